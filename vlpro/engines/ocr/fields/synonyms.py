"""Labels that mean the same: what is asked for by one of them may stand on the page under another."""

from __future__ import annotations

from vlpro.engines.ocr.text import compact

__all__ = ["synonyms"]

_GROUPS = (
    "甲方, party a, first party",
    "乙方, party b, second party",
    "付款人, 付款方, 付款人户名, payer, remitter",
    "收款人, 收款方, 收款人户名, payee, beneficiary",
    "付款人账号, 付款账号, 付款账户, payer account, payer's account",
    "收款人账号, 收款账号, 收款账户, payee account, payee's account",
    "账号, 银行账号, 账户, 开户行及账号, 开户行及帐号, 帐号, account no, account number, account, bank account",
    "开户行, 开户银行, bank name, bank",
    "手续费, fee, handling fee, service fee, bank charge",
    "用途, 摘要, purpose",
    "流水号, 交易流水号, 交易号, transaction number, transaction no, trans no",
    "总件数, 总数量, 合计数量, total quantity, total qty, total items",
    "备注, 附言, remark, remarks, note, notes",
    "合同编号, 合同号, contract number, contract no, agreement no",
    "合同总价, 合同金额, 合同价, contract total, contract amount, contract price, contract value",
    "签订日期, 签署日期, 签约时间, 签约日期, 签订时间, signing date",
    "交易日期, 交易时间, 付款日期, 付款时间, 转账日期, 转账时间, transfer date, payment date",
    "交货日期, 交货期限, 交货期, 交货时间, delivery date, date of delivery",
    "送货日期, 发货日期, delivery date, shipping date",
    "交货地点, 交货地址, place of delivery",
    "送货地址, 收货地址, delivery address, ship to, ship to address, shipping address",
    "质保期, 保修期, 质量保证期, warranty, warranty period",
    "法定代表人, 法人代表, legal representative",
    "联系人, contact, contact person",
    "手机号, 手机, 手机号码, 移动电话, mobile, mobile number, cell phone",
    "姓名, 名字, name",
    "身份证号码, 身份证号, 公民身份号码, 证件号码, id number",
    "出生日期, 出生, 生日, 出生年月, date of birth",
    "住址, 地址, 家庭住址",
    "年龄, age",
    "职务, 职位, 岗位, position, job title",
    "运单号, 快递单号, 物流单号, 快递号, waybill number, waybill no, tracking number, tracking no",
    "寄件人, 发件人, 寄件方, sender, shipper",
    "收件人, 收件方, recipient, addressee",
    "收货人, receiver, received by, consignee",
    "送货人, 送货员, delivered by, driver",
    "型号, 产品型号, model, model no, model number, type",
    "编号, 出厂编号, 序列号, serial no, serial number, s/n",
    "额定功率, 功率, rated power, power",
    "额定电压, 电压, rated voltage, voltage",
    "额定电流, 电流, rated current, current",
    "额定频率, 频率, rated frequency, frequency",
    "转速, 额定转速, speed, rated speed",
    "效率, efficiency",
    "重量, 净重, 毛重, weight, net weight, gross weight",
    "防护等级, ip code, protection class, degree of protection",
    "绝缘等级, insulation class",
    "出厂日期, 生产日期, 制造日期, date of manufacture, manufacturing date, production date",
    "生产厂家, 制造商, 厂家, 生产商, 制造单位, 生产企业, manufacturer, made by",
    "客人姓名, 客人, 住客, 住客姓名, 宾客姓名, guest name, guest's name, guest, name of guest",
    "房号, 房间号, room number, room no, room",
    "入住日期, 入住时间, 到店日期, check-in date, check-in, arrival date, arrival",
    "离店日期, 退房日期, 退房时间, 离店时间, check-out date, check-out, departure date, departure",
    "押金, 预付押金, 已付押金, deposit",
    "人数, 客人数, 用餐人数, guests, pax, covers, number of guests",
    "桌号, 台号, table, table no, table number",
    "小费, tip, gratuity",
    "服务费, service charge",
    "运费, 配送费, 送货费, shipping, shipping cost, delivery fee, freight, postage",
    "服务员, server, waiter, waitress",
    "车号, 车牌号, 车牌号码, 车牌, plate number, license plate, taxi's plate number, taxi no",
    "里程, mileage, distance",
    "上车, 上车时间, pick-up time, boarding time",
    "下车, 下车时间, drop-off time",
    "等候, 等候时间, waiting time",
    "订单号, 采购单号, po number, po no, purchase order no",
    "状态, 交易状态, status",
    "供应商, 供货单位, 供货方, supplier",
    "付款条件, 付款条款, payment terms, terms",
    "币种, 货币, currency",
    "会员卡号, 会员号, member no, member number, membership number",
    "积分, 本次积分, points, points earned",
    "邮箱, 电子邮箱, 电子邮件, email, e-mail, email address",
    "传真, fax, fax number",
    "邮编, 邮政编码, postcode, postal code, zip code",
    "网址, website",
)
_ALIKE: dict[str, list[str]] = {}
for _group in _GROUPS:
    _words = [word.strip() for word in _group.split(",")]
    for _word in _words:
        _ALIKE.setdefault(compact(_word), []).extend(other for other in _words if other != _word)


def synonyms(asked: str) -> tuple[str, ...]:
    """Other labels for the same thing.

    Args:
        asked: The words of a question.

    Returns:
        The labels, the likeliest first; none where the words are not a known label.
    """
    return tuple(dict.fromkeys(_ALIKE.get(compact(asked), ())))

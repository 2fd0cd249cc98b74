"""The fields that the rules know: their names, the labels that pages print, the words that people ask with."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["KINDS", "Kind"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One field.

    Args:
        en: Its name in English.
        zh: Its name in Chinese.
        labels: What pages call it, compacted (lower case, letters and digits only); longer ones are tried first.
        asks: What people call it in a question, lower case; longer ones are tried first.
    """

    en: str
    zh: str
    labels: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()


def _kind(en: str, zh: str, labels: str, asks: str) -> Kind:
    def longest_first(text: str) -> tuple[str, ...]:
        return tuple(
            sorted((word.strip() for word in text.split(",") if word.strip()), key=len, reverse=True)
        )

    return Kind(en, zh, longest_first(labels), longest_first(asks))


KINDS: dict[str, Kind] = {
    "capitals": _kind(
        "amount in capitals",
        "大写金额",
        "价税合计大写, 人民币大写, 金额大写, 大写金额, 合计大写, 大写",
        "amount in chinese capitals, amount in capitals, chinese capitals, amount in words, "
        "amount_in_words, capital amount, total_in_words, in capitals, 价税合计大写, 大写金额, "
        "金额大写, 合计大写, 大写",
    ),
    "subtotal": _kind(
        "subtotal",
        "小计",
        "subtotal, subttl, 不含税金额, 小计",
        "net amount before tax, amount without tax, pre-tax amount, before tax, sub total, sub-total, "
        "subtotal, pretax, 不含税金额, 未税金额, 税前金额, 不含税, 小计",
    ),
    "tax": _kind(
        "tax",
        "税额",
        "salestax, gst, vat, tax, 税额, 税金",
        "amount of tax, how much tax, tax amount, gst amount, vat amount, tax_amount, sales tax, "
        "total gst, total tax, total_tax, tax, gst, vat, 增值税, 税额, 税金, 税款",
    ),
    "tax_rate": _kind(
        "tax rate",
        "税率",
        "taxrate, gstrate, vatrate, 税率, 征收率",
        "sales tax rate, rate of tax, tax_rate, tax rate, gst rate, vat rate, sst rate, 增值税税率, 税率, 征收率",
    ),
    "discount": _kind(
        "discount",
        "优惠",
        "discount, savings, 优惠金额, disc, 优惠, 折扣",
        "how much off, how much did i save, how much did we save, how much was saved, did i save, you saved, "
        "discount, savings, 省了多少, 省了, 节省, 优惠金额, 优惠, 折扣, 减免, 打折",
    ),
    "change": _kind(
        "change",
        "找零",
        "changedue, change, 找零, 找赎",
        "how much change, change given, change due, the change, change, 找零, 找赎, 找回",
    ),
    "tendered": _kind(
        "amount tendered",
        "收款",
        "amttendered, tendered, cash, 收款金额, 现金, 实收",
        "how much was paid in cash, how much cash was given, how much cash, amount tendered, cash tendered, "
        "cash received, cash amount, cash given, cash paid, tendered, 现金金额, 付了多少现金, "
        "收了多少现金, 多少现金, "
        "收了多少, 收款金额, 实收",
    ),
    "rounding": _kind(
        "rounding",
        "抹零",
        "roundingadj, rounding, roundadj, 抹零",
        "rounding adjustment, rounding, 抹零, 舍入",
    ),
    "paid": _kind(
        "amount paid",
        "实付",
        "amountpaid, totalpaid, 实付金额, 实际支付, 支付金额, 付款金额, paid, 实付款, 实付",
        "how much was paid, actually paid, amount paid, paid amount, amount_paid, total paid, "
        "was paid, paid, 实付金额, 实际支付, 付了多少, 支付金额, 付款金额, 实付款, 实付",
    ),
    "due": _kind(
        "amount due",
        "应付",
        "amountpayable, balancedue, amountdue, totaldue, payable, 应付金额, 应付, 应收",
        "amount payable, balance due, amount due, due amount, amount_due, total due, payable, "
        "应付金额, 应付款, 应付, 应收",
    ),
    "total": _kind(
        "total",
        "合计",
        "",
        "消费了多少, 消费多少, 总费用, 费用合计, 车费, fare, "
        "how much was transferred, transfer amount, 转账金额, how much does it come to, "
        "amount of the invoice, how much is the bill, how much altogether, "
        "how much was spent, how much was it, how much in all, how much is it, invoice amount, "
        "rounded total, total amount, how much did, final amount, total_amount, amount_total, "
        "grand total, total price, bill amount, totalamount, grand_total, nett total, total cost, "
        "the amount, price paid, net total, total sum, amount, total, 价税合计, 合计金额, 花了多少, "
        "消费金额, 发票金额, sum, 总金额, 多少钱, 总价, 总计, 合计, 总额, 总共, 一共, 共计, 金额, 花费",
    ),
    "due_date": _kind(
        "due date",
        "到期日",
        "paymentdue, duedate, 付款期限, 到期日, 还款日",
        "when is payment due, when is it due, when must it be paid, payment deadline, payment due, due date, "
        "due_date, due by, pay by, 什么时候到期, 何时到期, 到期时间, 到期日期, 付款期限, 到期日",
    ),
    "date": _kind(
        "date",
        "日期",
        "transactiondate, invoicedate, receiptdate, orderdate, billdate, datetime, tanggal, tarikh, "
        "fecha, datum, date, 开票日期, 交易日期, 交易时间, 销售日期, 消费时间, 下单时间, 日期时间, "
        "日期, 时间",
        "transaction date, purchase date, date of issue, invoice date, invoice_date, issue date, "
        "which date, issue_date, what date, which day, what day, when was, when did, when is, date, "
        "when, 开票日期, 交易日期, 消费日期, 购买日期, 什么时候, 哪一天, 日期, 哪天, 几号, 何时, 哪日, "
        "几月",
    ),
    "time": _kind(
        "time",
        "时间",
        "",
        "at what time, time of day, what time, time, 几点, 时间, 时刻",
    ),
    "number": _kind(
        "document number",
        "单据号码",
        "invoicenumber, receiptnumber, transactionno, taxinvoiceno, ordernumber, referenceno, "
        "documentno, cashbillno, invoiceno, receiptno, ticketno, invoice, receipt, orderno, checkno, "
        "transno, billno, ticket, slipno, invno, docno, order, check, trxno, refno, bill, 发票号码, "
        "订单编号, 票据号码, 交易单号, inv, 发票号, 小票号, 流水号, 订单号, 交易号, 凭证号, 单据号, "
        "合同编号, 合同号, 回单编号, 账单号, 单据编号, 协议编号, 单号, 票号, 编号, no",
        "number of the invoice, number of the receipt, transaction number, reference number, "
        "document number, invoice number, receipt number, invoice_number, receipt_number, "
        "ticket number, order number, check number, reference no, order_number, bill number, "
        "invoice no, invoice id, receipt no, invoice_no, receipt_no, order no, order_no, bill no, "
        "doc no, doc_no, 发票号码, 订单编号, 票据号码, 发票号, 小票号, 流水号, 订单号, 单号, 票号, "
        "编号, 号码",
    ),
    "code": _kind(
        "invoice code",
        "发票代码",
        "invoicecode, 发票代码",
        "invoice code, invoice_code, 发票代码, 代码",
    ),
    "check_code": _kind(
        "check code",
        "校验码",
        "checkcode, 校验码",
        "verification code, check code, check_code, 校验码",
    ),
    "buyer_address": _kind(
        "buyer's address", "购买方地址、电话", "", "buyer's address, buyer address, 购买方地址, 购方地址"
    ),
    "seller_address": _kind(
        "seller's address", "销售方地址、电话", "", "seller's address, seller address, 销售方地址, 销方地址"
    ),
    "buyer_bank": _kind(
        "buyer's bank account",
        "购买方开户行及账号",
        "",
        "buyer's bank account, buyer bank account, 购买方开户行",
    ),
    "seller_bank": _kind(
        "seller's bank account",
        "销售方开户行及账号",
        "",
        "seller's bank account, seller bank account, 销售方开户行",
    ),
    "bank": _kind(
        "bank account",
        "开户行及账号",
        "开户行及账号, 开户行及帐号, 开户银行, 开户行, 银行账号, bankaccount, bank",
        "bank account, bank, 开户行及账号, 开户行及帐号, 开户行和账号, 开户银行, 开户行, 银行账号, 银行账户",
    ),
    "document_type": _kind(
        "document type",
        "票据种类",
        "",
        "receipt or an invoice, invoice or a receipt, receipt or invoice, 什么类型的单据, 什么单据, "
        "什么票据, 单据类型, 票据类型, "
        "type of invoice, kind of invoice, type of document, kind of document, type of receipt, document type, "
        "invoice type, 发票类型, 发票种类, 票据种类, 票种, 专票还是普票, 普票还是专票, 专票, 普票, "
        "什么发票, 哪种发票",
    ),
    "buyer_tax_id": _kind(
        "buyer's tax id",
        "购买方税号",
        "",
        "buyer's tax number, buyer tax number, customer tax id, buyer's tax id, buyer tax id, "
        "buyer_tax_id, buyer_tax_no, 购买方统一社会信用代码, 购买方纳税人识别号, 购方纳税人识别号, "
        "购货单位税号, 购买方税号, 购方税号, 买方税号, 买家税号",
    ),
    "seller_tax_id": _kind(
        "seller's tax id",
        "销售方税号",
        "",
        "seller's tax number, seller tax number, seller's tax id, seller tax id, seller_tax_id, "
        "seller_tax_no, 销售方统一社会信用代码, 销售方纳税人识别号, 销方纳税人识别号, 销货单位税号, "
        "销售方税号, 销方税号, 卖方税号, 卖家税号",
    ),
    "tax_id": _kind(
        "tax id",
        "税号",
        "gstregistrationno, 统一社会信用代码纳税人识别号, gstregnumber, 统一社会信用代码, gstregno, "
        "vatregno, 纳税人识别号, gstreg, gstid, gstno, taxid, vatno, vatid, sstno, sstid, gstin, npwp, "
        "tin, cif, nif, abn, ein, 税号",
        "tax identification number, tax registration, gst registration, taxpayer id, tax number, "
        "gst number, vat number, 统一社会信用代码, tax id, gst id, gst no, vat id, 纳税人识别号, "
        "tax_id, tax_no, gst_no, 识别号, 税号",
    ),
    "buyer": _kind(
        "buyer",
        "购买方",
        "customername, customer, billto, soldto, 购买方名称, buyer, 购货单位, 客户名称, 付款单位, "
        "甲方买方, 买方甲方, 甲方采购方, 采购方甲方, 甲方购买方, 甲方需方, 需方甲方, 采购方, 采购单位, "
        "付款人户名, 付款人名称, 付款人全称, 收货单位, 买受人, 需方, "
        "购买方, 付款方, 购方, 买方, 买家, 客户",
        "who is the buyer, who is the customer, customer name, customer_name, buyer's name, who bought, buyer_name, "
        "purchaser, billed to, customer, bill to, buyer, 谁买的, 谁购买的, 购货单位, 购买单位, 付款单位, 购买方, "
        "付款方, 购方, 买方, 买家, 客户, 抬头",
    ),
    "merchant": _kind(
        "merchant",
        "商户",
        "storename, merchant, supplier, seller, vendor, soldby, 销售方名称, 销货单位, 商户名称, "
        "乙方供货方, 供货方乙方, 乙方供应商, 乙方供应方, 乙方销售方, 乙方供方, 供方乙方, 供货方, 供应方, "
        "乙方卖方, 卖方乙方, 收款人户名, 收款人名称, 收款人全称, 供货单位, 送货单位, 发货单位, 供应商, 出卖人, 供方, "
        "门店名称, 收款单位, 销售方, 商户名, 收款方, 销方, 卖方, 商户, 商家, 店名, 门店, 店铺",
        "where was this bought, name of the company, name of the store, name of the shop, "
        "merchant name, seller's name, which company, business name, merchant_name, company name, "
        "what company, company_name, which store, seller_name, vendor_name, store name, which shop, "
        "what store, restaurant, who issued, store_name, shop name, what shop, merchant, supplier, "
        "who sold, company, seller, vendor, issuer, store, shop, 销货单位, 商户名称, 公司名称, "
        "收款单位, 开票单位, 谁开的票, 谁开的, 谁开具, 谁卖的, "
        "销售方, 哪家店, 哪个店, 收款方, 什么店, 开票方, 销方, 卖方, 卖家, 商户, "
        "供应商, 供货商, 商家, 店名, 店家, 哪家, 叫什么, 门店, 公司, 店铺, 商店",
    ),
    "address": _kind(
        "address",
        "地址",
        "address, 门店地址, addr, add, 地址, 店址",
        "location of the store, where is the store, where is the shop, address, located, 在什么地方, "
        "哪里的店, 地址, 店址, 位于",
    ),
    "phone": _kind(
        "phone",
        "电话",
        "telephone, contactno, phoneno, contact, mobile, telfax, telno, phone, 联系电话, 客服电话, "
        "服务热线, 手机号, tel, tel, 电话, 手机, 热线, hp",
        "telephone number, contact number, mobile number, phone number, phone_number, telephone, "
        "hotline, tel_no, phone, 电话号码, 联系方式, tel, 手机号, 电话, 热线",
    ),
    "payment": _kind(
        "payment method",
        "支付方式",
        "paymentmethod, paymentmode, paymenttype, tendertype, paymode, payment, paidby, 支付方式, "
        "付款方式, 结算方式",
        "what card was used, which card was used, what card, which card, 用什么方式付款, 用什么卡付, "
        "用什么卡, 用什么付款, "
        "how did i pay, how did we pay, how did you pay, how was this paid, method of payment, "
        "how did they pay, means of payment, how was it paid, "
        "payment method, payment_method, payment mode, payment type, paid with, paid by, 支付方式, "
        "付款方式, 结算方式, 怎么支付, 用什么付, 如何支付, 怎么付",
    ),
    "cashier": _kind(
        "cashier",
        "收银员",
        "salesperson, servedby, operator, cashier, server, staff, clerk, 收银员, 操作员, 开票人, "
        "营业员, 收银",
        "salesperson, who served, served by, operator, cashier, server, 收银员, 收款员, 操作员, 营业员",
    ),
    "table_columns": _kind(
        "columns",
        "列名",
        "",
        "names of the columns, headers of the table, names of columns, column headings, "
        "column headers, table headers, column names, table header, columns, 有哪些栏, 哪些列, 字段名, "
        "列名, 表头, 栏目, 各列, 几列",
    ),
    "items": _kind(
        "items",
        "明细",
        "",
        "what did i buy, what did we buy, what did i get, what did we order, what did we eat, show the table, "
        "把表格列出来, 列出表格, 表格内容, 点了哪些, what's on the receipt, what was purchased, "
        "what did they buy, what was bought, "
        "products bought, list of items, line items, line_items, products, articles, products, items, "
        "convert the table, table to csv, table to excel, what's on this receipt, "
        "表格转成, 表格转为, 表格导出, 表格提取, 提取表格, 转成表格, 买的什么, 买了些什么, 买的是什么, "
        "goods, 购买了什么, 买了什么, 卖了什么, 买了哪些, 哪些东西, 项目名称, 点了什么, 明细, 商品, 货物, 清单, "
        "品名, 菜品",
    ),
}

"""What stands before a number and says what it is."""

from __future__ import annotations

import re
from enum import Enum

__all__ = ["LOOK_BACK", "Label", "is_glued", "label_before", "names_passport"]

LOOK_BACK = 64
"""How many characters before a number are looked at."""


class Label(Enum):
    """What a number is, as the words directly before it say.

    PHONE and CARD let a number be found in forms that alone would be too doubtful; OTHER (an order, an invoice, a
    tax number, a serial number) and PLACE (coordinates) let it be left, except that an identity number is masked
    whatever it is called.
    """

    NONE = 0
    PHONE = 1
    CARD = 2
    OTHER = 3
    PLACE = 4


# Between a label and its number, such as in "Tel. No.: ", "订单号 #" and "phone_number": ".
_BETWEEN = (
    r"(?:[ _-]?(?:号码|号|编号|账号|number|num|nos?|id|code|\#))?"
    r"[ ]{0,3}(?:[(][^()\n]{0,12}[)])?"
    r"""[\s"'`:=.#*|/+_(\[-]{0,8}\Z"""
)
_THIN = " \t\r\n\"'`:=.#*|/+_([-"
_PHONE = (
    "电话|手机|移动电话|联系方式|联系人|致电|拨打|传真|座机|telephone|tel|phone|mobile|cell|call|fax|whatsapp"
)
_CARD = "卡号|银行卡|储蓄卡|信用卡|借记卡|付款卡|card"
_OTHER = (
    "订单|单号|单据号|流水|交易号|参考号|检索号|凭证号|授权码|批次号?|终端号|商户号|商户编号|发票|发票代码|票据号|票号|税号|识别号|"
    "信用代码|条码|条形码|商品编号|货号|物料号|序列号|合同号|校验码|机器编号|设备号|编码|"
    "order|invoice|inv|receipt|rcpt|reference|ref|trace|transaction|txn|trans|batch|terminal|merchant|serial|s/n|sn|"
    "sku|barcode|ean|upc|gst|vat|tax|imei|iccid|rrn|tracking|waybill|voucher|uuid|sha256|sha1|md5|timestamp|"
    "(?:bill|check|cheque|doc|document|contract|approval|auth)(?=[ ._-]?(?:no|number|id|#))"
)
_LABELS = tuple(
    (re.compile(f"(?:(?<![a-z])|(?<=_))(?:{words}){_BETWEEN}", re.IGNORECASE), label)
    for words, label in ((_OTHER, Label.OTHER), (_CARD, Label.CARD), (_PHONE, Label.PHONE))
)
# Coordinates in an answer, up to three of them before this one.
_PLACE = re.compile(
    r"""(?:bbox(?:_2d)?|point(?:_2d)?)["']?\s*[:=]\s*["'\[(]*\s*(?:[0-9]{1,4}(?:\.[0-9]+)?[ ,]+){0,3}\Z"""
)
# A number may be glued to these, and to no other letters: those belong to ids and hashes.
_GLUED = re.compile(
    r"(?:(?<![A-Za-z0-9])(?:tel|telephone|phone|mobile|mob|cell|call|fax|sms|id|idno|card|cardno|no|wx|vx|wechat|whatsapp)"
    r"[_:]?|\\[nrt])\Z",
    re.IGNORECASE,
)
_PASSPORT = re.compile(rf"(?:护照|通行证|passport){_BETWEEN}", re.IGNORECASE)


def label_before(plain: str, at: int) -> Label:
    """What the words directly before a place in a text say."""
    before = plain[max(0, at - LOOK_BACK) : at]
    if ("bbox" in before or "point" in before) and _PLACE.search(before):
        return Label.PLACE
    if before.rstrip(_THIN)[-1:].isdigit():
        return Label.NONE
    for pattern, label in _LABELS:
        if pattern.search(before):
            return label
    return Label.NONE


def is_glued(plain: str, at: int) -> bool:
    """Whether a number that begins here belongs to something longer: an id, a hash, a fraction, what is masked."""
    before = plain[at - 1 : at]
    if before == ".":
        return plain[at - 2 : at - 1].isdigit() if at > 1 else False
    if before == "*":
        return True
    if before.isascii() and (before.isalpha() or before == "_"):
        return _GLUED.search(plain[max(0, at - 16) : at]) is None
    return False


def names_passport(plain: str, at: int) -> bool:
    """Whether the words directly before a place in a text are those for a passport or a travel permit."""
    return _PASSPORT.search(plain[max(0, at - LOOK_BACK) : at]) is not None

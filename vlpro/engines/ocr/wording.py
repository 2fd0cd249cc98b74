"""Which words of a question say something: what only makes it a question, and what would have to be proven."""

from __future__ import annotations

import re

from vlpro.engines.ocr.text import compact, has_cjk, words

__all__ = ["clean", "leftover", "singular", "without"]

_NOISE_EN = re.compile(
    r"\b(?:please|pls|can you|could you|would you|tell me|give me|show me|i want to know|i'd like to know|"
    r"do you know|find|get|got|i|we|you|they|he|she|our|us|me|how(?! much)|extract|read|list|return|output|"
    r"what's|what is|what are|what was|what were|what|which is|which|whats|who's|who is|who are|who was|"
    r"who|how much is|how much was|how much are|how much did|how much does|how much|"
    r"on the (?:receipt|invoice|picture|image|page|bill|document)|in the (?:receipt|invoice|picture|image|"
    r"page|bill|document|photo)|"
    r"(?:on|in|from|of|for) (?:this|these|that|the) (?:receipt|invoice|picture|image|page|bill|document|photo)s?|"
    r"(?:on|in|from|of|for) (?:it|them|this|that)|shown|printed|written|cost|costs|value of|the value|as "
    r"json|in json(?: format)?|format|json|here|and also|also|additionally|besides|by the way|"
    r"the|a(?!\W*$)|an(?!\W*$)|is|are|was|were|does|did|do|of|for|on this|exactly|my|there|say|says|called|"
    r"named|with)\b",
)
_NOISE_ZH = re.compile(
    r"请问一下|请问|请帮我|请你|请|帮我|帮忙|麻烦|告诉我|给我|我想知道|看一下|看看|查一下|查找|找到|找一下|"
    r"提取|输出|返回|列出|读出|计?算一下|算算|怎么(?:计?算|收取?|约定|规定)的?|如何(?:计算|收取|约定|规定)的?|"
    r"识别|用中文回答[:：]?|用英文回答[:：]?|另外|此外|同时|顺便|一并|以及|"
    r"(?:在)?(?:这|那|该|此)(?:一)?(?:张|份|个|幅)?(?:图片|图像|图|照片|发票|小票|收据|票据|单据|单子|票|"
    r"页面|文档|表格|表)?"
    r"(?:上面|上边|里面|中间|上|里|中)?(?:写)?的?|"
    r"(?:图片|图像|图|照片|发票|小票|收据|票据|单据|页面|文档|表格)(?:上面|上边|里面|中间|上|里|中)(?:写)?的?|"
    r"^(?:图片|图像|图|照片|发票|小票|收据|票据|单据)的|"
    r"(?:是|有)?多少(?:公里|千米|千克|公斤|小时|分钟|千瓦|个月|米|天|晚|度|伏|安|转|位|岁|分)(?!钱)|(?<=[\u4e00-\u9fff])有?多(?:大|重|高|长时间|长|远|"
    r"久|快|厚|宽)|是多少|是什么|是啥|是谁|是哪个|是哪家|是哪天|是几号|是哪里|是哪|有多少|有哪些|分别是|各是|是几|多少|"
    r"什么|哪些|分别|"
    r"吗|呢|吧|啊|"
    r"用json(?:格式)?|json格式|以json|json|上面的?|里面的?|中的|里的|上的|的值|的内容|写着|写了|为"
)


def clean(text: str) -> str:
    """What is left of a question without the words that only make it a question."""
    text = _NOISE_EN.sub(" ", _NOISE_ZH.sub(" ", text))
    text = re.sub(r"(?:\s(?:it|from|to|on|at)(?:\sin)?)+\W*$", "", " ".join(text.split()))
    # The 的 of 标的, the subject of a contract, is no particle.
    return re.sub(r"^[\s的了是?？:：.。!！]+|(?<!标)[\s的了是?？:：.。!！]+$", "", text)


_IDLE_EN = re.compile(
    r"\b(?:receipts?|invoices?|bills?|documents?|slips?|pages?|pictures?|images?|purchases?|transactions?|stores?|shops?|"
    r"merchants?|restaurants?|compan(?:y|ies)|sales?|orders?|full|whole|entire|complete|exact|final|overall|total|"
    r"amounts?|numbers?|names?|dates?|issued?|bought|buy|paid|pay|payment|spent|spend|spending|cost|costs|come|came|"
    r"comes|made|make|signed|printed|written|stated|charged|given|got|get|was|were|is|are|did|does|do|have|has|had|"
    r"it|its|this|that|these|those|there|here|them|their|my|me|us|our|your|i|we|you|they|to|at|on|in|by|for|from|of|"
    r"or|be|been|as|so|just|must|should|now|then|and|also|what|which|when|where|who|how|much|many|please|about|altogether|"
    r"all|both|each|every|thing|things|everything|meal|dinner|lunch|money|value|the|a|an|day|time|"
    r"first|second|third|same|one|two|three|with|if|any|not|s)\b"
)
_IDLE_ZH = re.compile(
    r"我们|他们|这个|那个|一共|总共|合计|总计|全部|所有|具体|详细|完整|准确|购买|购物|消费|交易|开具|开票|"
    r"签订|签署|下单|打车|吃饭|票面|票据|发票|小票|收据|单据|账单|订单|单子|合同|文件|图片|支付|付款|结账|买单|商户|商家|店铺|店里|"
    r"超市|饭店|餐厅|酒店|商店|公司|企业|单位|名称|名字|全称|编号|号码|日期|时间|时候|金额|数额|地方|什么|多少|怎么|如何|"
    r"打的车|打的|顿饭|两张|三张|几张|叫什么|转账|开出|卖出|买的|应该|需要|现在|当时|当天|这次|这里|那里|东西|在内"
)
# Characters that say nothing by themselves, and those that may stand around a word.
_IDLE_CHARS = frozenset(
    "这那该此张份家个笔次单的了是在有我你您他她吗呢吧啊嘛呀买开付花用收总共全整叫请问一下上里中面写显示印哪谁几为到给钱元块和与及也都还就把被由从"
    "要应需额店票图号名出卖打点做来去过着得地哦先吃喝两各分别前后"
)
_PARTICLES = "买的了是在吗呢吧啊嘛呀我你您他她这那个和与也都还就把被"
# What the total is after anyway.
_INCLUDED = re.compile(r"\b(?:after|incl\w*|with)\s(?:the\s)?(?:rounding|tax(?:es)?|gst|vat|discounts?)\b")


def leftover(text: str) -> str:
    """What of a question's words says more than they must: 离店 of 离店日期, "check out" of "the check-out date".

    Args:
        text: Words of a question, without those that name a kind or a label.

    Returns:
        The words that would have to be proven; empty where all of them are idle.
    """
    if has_cjk(text):
        bound = re.search(r"[前后]$", text.strip())
        latin = re.sub(r"[a-z0-9\s]+", lambda match: _IDLE_EN.sub(" ", match[0]), text.lower())
        pieces = [piece.strip(_PARTICLES) for piece in _IDLE_ZH.sub(" ", latin).split()]
        pieces = [piece for piece in pieces if len(piece) > 1 and not set(piece) <= _IDLE_CHARS]
        return " ".join(pieces) or (bound[0] if bound else "")
    rest = _IDLE_EN.sub(" ", _INCLUDED.sub(" ", text.lower()))
    return " ".join(word for word in re.findall(r"[^\W_]+", rest) if len(word) > 1)


def without(asked: str, label: str) -> str:
    """A question's words without those of a label."""
    if has_cjk(asked):
        return compact(asked).replace(compact(label), " ", 1).strip()
    named = {singular(word) for word in words(label)}
    return " ".join(word for word in words(asked) if singular(word) not in named)


def singular(word: str) -> str:
    """An English word without the s of several."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word

"""What a question asks for, in Chinese or English, by rules; what the page must settle is left open."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from vlpro.engines.ocr.fields.kinds import KINDS
from vlpro.engines.ocr.text import compact, fold, has_cjk
from vlpro.engines.ocr.wording import clean, leftover

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "MONEY",
    "Ask",
    "Intent",
    "Want",
    "asks_again",
    "is_follow_up",
    "language_of",
    "parse",
    "party_of",
    "points_back",
]

Intent = Literal[
    "overview",  # a picture without a question, or asked about as a whole
    "greeting",
    "help",
    "read",
    "where",
    "count",
    "codes",
    "compare",
    "sum",
    "check",
    "exists",
    "extreme",
    "sight",
    "wants",  # fields, labels, cells of a table
]
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Want:
    """One thing that is asked for.

    Args:
        kind: A key of KINDS; empty where the words name none.
        phrase: The words that name it.
        literal: The whole part of the question, cleaned of what only makes it a question.
        raw: That part as it was asked.
        beside: Words of that part that say more than the kind and are not idle: 离店 of 离店日期.
    """

    kind: str
    phrase: str
    literal: str = ""
    raw: str = ""
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question, understood as far as it goes without the page.

    Args:
        intent: What to do.
        wants: The things asked for, in their order.
        target: What to look for on the page (where, count, exists).
        pictures: Numbers of the pictures that the question names: 1 the first, -1 the last, -2 the one before.
        every: The question is about all pictures.
        boxes_only: The question is Qwen's own prompt for boxes: the answer is JSON and nothing else.
        as_json: The question wants its fields as JSON.
        counted: What to count: lines, items, pictures, codes, pages, columns; empty for ``target``.
        detail: What kind of sight is asked for, or which comparison: more, less, earlier, later (also of items:
            the dearest is more); whether a count is one of occurrences: times; whether an overview was asked for.
        text_too: All the text is asked for as well, in a sentence of its own.
    """

    intent: Intent
    wants: tuple[Want, ...] = ()
    target: str = ""
    pictures: tuple[int, ...] = ()
    every: bool = False
    boxes_only: bool = False
    as_json: bool = False
    counted: str = ""
    detail: str = ""
    text_too: bool = False


_QUOTED = re.compile(r"[“\"「『《‘](.{1,80}?)[”\"」』》’]|(?<!\w)'(.{1,80}?)'(?!\w)")


def language_of(question: str) -> Literal["zh", "en"]:
    """The language to answer in: as the question demands, else Chinese where it has a Chinese character."""
    lower = question.lower()
    if re.search(r"(?:answer|reply|respond)\s(?:me\s)?in\senglish|用英[文语]", lower):
        return "en"
    if re.search(r"in\s(?:simplified\s)?chinese(?!\scapital)|用中文|用汉语", lower):
        return "zh"
    return (
        "zh"
        if has_cjk(_QUOTED.sub(" ", question)) or (has_cjk(question) and not re.search("[a-z]{3}", lower))
        else "en"
    )


_GREETING = re.compile(
    r"(?:hi|hello|hey|ping|test|testing|yo|good (?:morning|afternoon|evening|day)|thanks|thank you|ok|okay|bye|"
    r"great|nice|good job|well done|awesome|perfect|cool|got it|how are you(?: doing| today)?|"
    r"你好|您好|嗨|哈喽|在吗|在么|测试|谢谢|多谢|好的|早上好|下午好|晚上好|再见|辛苦了?|明白了?|知道了|收到|"
    r"你?真?[太很真]?(?:棒|厉害|好)[了的]?)(?: there| you| very much| so much|你|您|啦|啊|哈)?[\s!！.。?？~,，]*"
)
_HELLO = re.compile(
    r"(?:hi|hello|hey|thanks|thank you|ok|okay|你好|您好|嗨|谢谢|好的|早上好|下午好|晚上好)(?: there)?"
    r"(?:\s*[,，!！.。~]\s*|\s+)(?=\S)"
)
_HELP = re.compile(
    r"what can you do|who are you|what are you|how (?:do|can) i use|which model|what model|"
    r"(?:what is|what's) your name|^are you\s(?:an?\s)?(?:ai|robot|bot|human|real|chatgpt|gpt|claude|qwen|model|llm)|"
    r"你叫什么|^你是.{1,12}吗|"
    r"你能做什么|你会什么|你是谁|你可以做什么|能干什么|怎么用|什么模型|哪个模型|^help\b|^帮助"
)
_READ = re.compile(
    r"read (?:everything|all|the text|out|it|this|the (?:whole|entire)|aloud)|all (?:of )?the (?:text|words|lines)|"
    r"transcri|\bocr\b|extract (?:all |the |any )?(?:of )?(?:the )?text|full text|"
    r"what do(?:es)? (?:it|they|(?:the|this|that|these|those)(?: \w+)?) say|"
    r"what is written|what's written|what text|which text|spotting all|text (?:content )?in the (?:image|"
    r"picture|photo)\W*$|"
    r"qwenvl (?:html|markdown)|recogni[sz]e (?:the |all )?text|"
    r"读出|读一下|读取全|全部文字|所有文字|全文|识别.{0,6}文[字本]|文字识别|提取.{0,6}文[字本]|写了什么|"
    r"写着什么|写的什么|写的是什么|转[成为换]{1,2}(?:文字|文本)|"
    r"有什么字|有哪些字|什么文字|哪些文字|文字内容|全部内容|所有内容|读全部|念出|抄录|转写|都写了|"
    r"图中的?文字|图片里的?文字"
)
_SIGHT = re.compile(
    r"\bdescribe|what(?:'s| is) (?:happening|going on|in the background|shown|depicted)|what do you (?:see|"
    r"think)|your opinion|"
    r"\bscene|\bcolou?rs?\b|who is (?:this|that|the (?:man|woman|person|boy|girl))|how many (?:people|"
    r"persons|men|women|children|cars|animals|dogs|cats|birds|trees)|"
    r"\b(?:people|person|man|woman|animal|dog|cat|face|emotion|mood|weather|logo|landscape|clothes|wearing)\b|"
    r"summari[sz]e|\bsummary of\b|translat|\bexplain|\bwhy\b|looks? (?:like|good|broken|damaged)|beautiful|"
    r"\bdefect|damage|\bcrack|"
    r"\b(?:chart|graph|plot|diagram|trend|curve|needle|pointer)\b|pressure reading|gauge|style of|"
    r"aesthetic|is (?:this|it) safe|"
    r"write (?:a|an|me)\b|\bpoem|\bstory|joke|what (?:object|kind of (?:place|object|animal))|"
    r"what(?:'s| is) (?:in )?(?:this|the) (?:image|picture|photo)(?! (?:say|read))|what(?:'s| is) this\b|"
    r"描述|颜色|什么色|几个人|多少人|有人|什么人|表情|心情|情绪|天气|场景|风景|动物|看到了?什么|"
    r"看见了?什么|你觉得|你认为|怎么看|"
    r"翻译|总结|概括|摘要|解释|为什么|好看|漂亮|图表|曲线|趋势|折线|柱状|饼图|指针|仪表|压力表|读数|"
    r"缺陷|瑕疵|损坏|裂纹|划痕|"
    r"安全吗|写一[首篇段个]|编一个|讲个|笑话|这是什么|图[片中里]?是什么|图里有什么(?!字|文)|"
    r"图中有什么(?!字|文)|图片(?:里|中)?有什么(?!字|文)|内容是什么$|风格|穿|背景"
)
_WHERE = re.compile(
    r"\bwhere(?:'s| is| are| does| do| can i (?:see|find))\b|\blocate\b|position of|location of|point "
    r"(?:out|to)|bounding box|bbox|coordinates of|"
    r"在哪(?:里|儿|边)?|在什么位置|哪个位置|什么地方|的位置|位置在|坐标|框出|标出|圈出|定位|找出|指出"
)
_COUNT = re.compile(
    r"how often|how many|number of (?:lines|items|pictures|images|codes|pages|times|rows|columns)|count (?:the|how|"
    r"of|all)|几[行个张种样件页处次列条款份]|多少[行个种件次处张列条页款份]|多少(?:商品|东西|字)|数一下|"
    r"数数"
)
_CODES = re.compile(r"qr\b|\bqr[\s-]?code|bar\s?code|二维码|条形码|条码|扫码|码里")
_COMPARE = re.compile(
    r"cheaper|more expensive|costs? (?:more|less)|\bdifference|\bdiffer|\bcompar|\bversus\b|\bvs\b|which "
    r"(?:one |of (?:the (?:two|three)|them) |receipt |picture |invoice )?is (?:the )?"
    r"(?:higher|lower|larger|smaller|more|less|bigger|older|newer|earlier|later|highest|lowest|cheapest|"
    r"earliest|latest|largest)|"
    r"higher total|lower total|larger total|same (?:total|amount|date|merchant|store|shop|company)|are "
    r"(?:they|these|both|the two).{0,30}same|"
    r"(?:how )?much (?:more|less|cheaper)|"
    r"更便宜|更贵|便宜多少|贵多少|差多少|相差|差额|差价|差异|对比|比较|哪张(?:最|更|比较|便宜|贵|金额)|"
    r"哪[个家份边](?:的.{1,12})?(?:更|比较|便宜|贵|划算|金额)|哪[家份](?:的.{1,12})?最|"
    r"which (?:store|shop|supplier|vendor|restaurant) (?:has|is|sells|offers)(?: the)? "
    r"(?:cheap|low|more exp|high|dear)|"
    r"more recent|哪[一]?张.{0,8}(?:高|低|多|少|早|晚|便宜|贵)|"
    r"多多少|少多少|贵了|便宜了|一样吗|相同吗|是否相同|是否一样|有什么不同|有何不同|区别"
)
_SUM = re.compile(
    r"altogether|in total|combined|sum of (?:all|the|both|these)|add (?:them|these|all|the)|total of "
    r"(?:all|both|these|the (?:two|three|\d+))|"
    r"一共|总共|合起来|加起来|加在一起|合计一下|总和|全部加|都加|汇总"
)
_CHECK = re.compile(
    r"add(?:s)? up|\bverify|is (?:the|this) (?:total|amount|sum|arithmetic|math|calculation) (?:right|"
    r"correct|ok)|(?:total|amounts?|sums?|numbers|figures) (?:is |are )?(?:correct|consistent|right|match)|"
    r"match(?:es)? the|do(?:es)? the .{1,40} match|check the (?:sum|total|amount|math|calculation|"
    r"arithmetic)|correctly (?:calculated|added)|calculation error|"
    r"对不对|算错|算得对|算对|正确吗|是否正确|一致|核对|验算|对得上|对上|加起来对|相符|有没有错|有误"
)
_EXISTS = re.compile(
    r"^(?:is|are|does|do|did|was|were|has|have)\b|is there|are there|有没有|是否|^有.{1,30}吗|吗[？?。]?$|是不是"
)
# The dearest, the cheapest or the most of a page's own items.
_MOST = re.compile(
    r"most expensive|dearest|highest[\s-]priced|highest price|priciest|cost(?:s)? the most|biggest item|"
    r"最贵|价格最高|"
    r"单价最高|金额最[大高]|(?P<many>数量最[多大]|most units|largest quantity|买得最多)"
)
_LEAST = re.compile(
    r"cheapest|lowest[\s-]priced|lowest price|least expensive|cost(?:s)? the least|"
    r"最便宜|价格最低|单价最低|金额最[小低]|"
    r"(?P<many>数量最少|smallest quantity|fewest)"
)
_BOXES_ONLY = re.compile(
    r"(?:output|report|return|format|in).{0,40}json|bbox_2d|bounding box(?:es)? .{0,20}json", re.DOTALL
)
_JSON = re.compile(r"\bjson\b")
_ORDINALS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "fifth": 5, "last": -1,
             "latest": -1, "previous": -2, "sixth": 6, "seventh": 7, "eighth": 8}  # fmt: skip
_HAN_NUMBERS = {char: index for index, char in enumerate("零一二三四五六七八九十")} | {"两": 2}
_PICTURE_EN = re.compile(
    r"\b(?P<ordinal>first|second|third|fourth|fifth|sixth|seventh|eighth|last|latest|previous|1st|2nd|"
    r"3rd)\s(?:picture|image|photo|receipt|invoice|one|bill|document|page|scan)"
    r"|\b(?:picture|image|photo|receipt|invoice)\s(?:no\.?\s|number\s|#)?(?P<number>\d{1,2}|one|two|"
    r"three)\b(?![\d/.-])"
)
_PICTURE_ZH = re.compile(
    r"第(?P<n>[一二三四五六七八九十]{1,2}|\d{1,2})[张幅个份页](?:图片|图|照片|发票|小票|收据|单据|票)?|"
    r"(?P<last>最后[一]?[张幅份]|上[一]?[张幅份])|图(?:片)?(?P<m>\d{1,2}|"
    r"[一二三四五六七八九十])(?![万千百元])"
)
_NUMBER_WORDS = {"one": 1, "two": 2, "three": 3}
_EVERY = re.compile(
    r"\b(?:all|both|each|every)(?: of)?(?: the| these| those)? ?(?:two |three |four |\d+ )?(?:pictures|"
    r"images|photos|receipts|invoices|them|bills|documents|picture|image|receipt|invoice)?\b|these "
    r"(?:receipts|pictures|images|invoices)|两张|三张|四张|几张|每张|每一张|各张|所有(?:图|票|发票|小票|"
    r"收据)|这些|都是|分别|各是|两个(?:图|票)|\d+张"
)


def _ordinals(lower: str) -> tuple[int, ...]:
    found: list[tuple[int, int]] = []
    for match in _PICTURE_EN.finditer(lower):
        word = match["ordinal"] or match["number"]
        number = _ORDINALS.get(word) or _NUMBER_WORDS.get(word) or int(word)
        found.append((match.start(), number))
    for match in _PICTURE_ZH.finditer(lower):
        if match["last"]:
            found.append((match.start(), -1 if match["last"].startswith("最后") else -2))
            continue
        text = match["n"] or match["m"]
        if text.isdigit():
            number = int(text)
        else:
            tens, mark, ones = text.rpartition("十")
            number = (_HAN_NUMBERS.get(tens, 1) * 10 if mark else 0) + (
                _HAN_NUMBERS.get(ones, 0) if ones else 0
            )
        found.append((match.start(), number))
    return tuple(dict.fromkeys(number for _, number in sorted(found) if number))


_ASKS: tuple[tuple[str, str], ...] = tuple(
    sorted(((ask, kind) for kind, spec in KINDS.items() for ask in spec.asks), key=lambda pair: -len(pair[0]))
)
# Words so general that they count only where nothing better is named.
_GENERAL = frozenset(
    (
        *("amount", "the amount", "sum", "when", "when is", "when was", "when did", "time", "change", "paid"),
        *("products", "contact", "company", "order", "store", "shop", "restaurant", "total", "located"),
        *(
            "金额",
            "多少钱",
            "时间",
            "号码",
            "编号",
            "代码",
            "公司",
            "什么时候",
            "一共",
            "总共",
            "位于",
            "商品",
            "花费",
        ),
    )
)

_SPLIT = re.compile(r"[,、，;；/\n]|\band\b|\bplus\b|以及|还有|和|与|&|\?|？|。")


def _matches(text: str, ask: str) -> tuple[int, int] | None:
    start = text.find(ask)
    while start >= 0:
        end = start + len(ask)
        if has_cjk(ask):
            return start, end
        before = text[start - 1] if start else " "
        after = text[end] if end < len(text) else " "
        if not (before.isascii() and before.isalnum()) and (
            not (after.isascii() and after.isalnum())
            or (text[end:].startswith("s") and not text[end + 1 : end + 2].isalnum())
        ):
            return start, end
        start = text.find(ask, start + 1)
    return None


def _kinds(text: str) -> list[tuple[int, str, str]]:
    """(place, kind, words) of each kind named, the words taken out as they are found."""
    found: list[tuple[int, str, str]] = []
    for ask, kind in _ASKS:
        while place := _matches(text, ask):
            start, end = place
            found.append((start, kind, ask))
            text = text[:start] + "\0" * (end - start) + text[end:]
    special = [item for item in found if item[2] not in _GENERAL]
    return sorted(special or found)


# Money that is not simply the total.
MONEY = frozenset(
    {"subtotal", "tax", "discount", "change", "tendered", "rounding", "due", "paid", "capitals", "total"}
)
_MONEY = MONEY - {"total"}


_OF_PARTY = {
    ("buyer", "tax_id"): "buyer_tax_id", ("merchant", "tax_id"): "seller_tax_id",
    ("buyer", "address"): "buyer_address", ("merchant", "address"): "seller_address",
    ("buyer", "bank"): "buyer_bank", ("merchant", "bank"): "seller_bank",
}  # fmt: skip
_SIDES = re.compile(r"销|卖|seller|vendor|supplier")
_SELLER = re.compile(rf"{_SIDES.pattern}|供应商|供货商")
_BUYER = re.compile(r"购|买[方家]|客户|需方|buyer|customer|purchaser")


def party_of(words: str) -> Literal["buyer", "seller", ""]:
    """Which party of a sale words name."""
    return "buyer" if _BUYER.search(words) else "seller" if _SELLER.search(words) else ""


# "Total after rounding" is a total, whatever else its words name.
_TOTAL_WITH = re.compile(
    r"\b(?P<total>total|amount)\s(?:\w+\s)?(?:after|before|incl\w*|with|without|excl\w*)\b|(?:优惠|折扣|抹零)[前后]"
)


def _joined(
    kinds: list[tuple[int, str, str]], party: str, part: str
) -> tuple[list[tuple[int, str, str]], str]:
    """Kinds of one part of a question put together: the buyer's tax id is one thing, and so is "total tax"."""
    names = {kind for _, kind, _ in kinds}
    if match := _TOTAL_WITH.search(part):
        return [(match.start(), "total", match["total"] or "多少钱")], party
    if "total" in names and names & _MONEY:
        kinds = [item for item in kinds if item[1] != "total"]
    if "paid" in names and names & (_MONEY - {"paid"}):
        kinds = [item for item in kinds if item[1] != "paid"]
    own = next(
        (
            kind
            for _, kind, words in kinds
            if kind == "buyer" or (kind == "merchant" and _SIDES.search(words))
        ),
        "",
    )
    party = own or party
    made = [(place, _OF_PARTY.get((party, kind), kind), words) for place, kind, words in kinds]
    if own and made != kinds and not any("名" in words or "name" in words for _, _, words in kinds):
        made = [item for item in made if item[1] != own]
    if {kind for _, kind, _ in made} & {"buyer_address", "seller_address"}:  # 地址、电话 are one label
        made = [item for item in made if item[1] != "phone"]
    return made, party


_ROLE_ONLY = re.compile(r"数量|单价|金额|价格|规格|型号|单位|税率|税额")
_ARTICLE = re.compile(rf"(?P<article>.{{2,30}}?)的?(?:{_ROLE_ONLY.pattern})")


# Somebody's name or age, by whatever words: what a page has of it stands under these labels.
_WHO = r"(?:他|她|这个人|此人|本人|病人|患者|员工|持证人|持卡人)"
_PERSON = re.compile(
    rf"{_WHO}的?(?:(?:叫|是)?什么名字|叫什么|姓什么|名字|姓名|是谁)|叫什么名字|"
    rf"(?P<age>{_WHO}?的?(?:多大年纪|多大岁数|年纪多大|几岁|多少岁))"
)


def _wants(question: str) -> tuple[Want, ...]:
    wants: list[Want] = []
    party = ""
    article = ""
    for part in _SPLIT.split(_PERSON.sub(lambda match: "年龄" if match["age"] else "姓名", question)):
        if article and _ROLE_ONLY.fullmatch(part.strip(" 的是多少?？")):  # 大豆油的数量和金额
            asked = f"{article}{part.strip(' 的')}"
            wants.append(Want("", asked, clean(asked), asked))
            continue
        match = _ARTICLE.fullmatch(clean(part))
        article = match["article"] if match and leftover(match["article"]) else ""
        kinds, party = _joined(_kinds(part), party, part)
        cleaned = clean(part)
        if not kinds:
            if len(compact(cleaned)) >= 2 or (len(cleaned) == 1 and has_cjk(cleaned)):
                wants.append(Want("", cleaned, cleaned, part))
            continue
        single = len({kind for _, kind, _ in kinds}) == 1
        # The party is said by the kind: nothing of 销售方 is left beside the seller's bank.
        said = _kinds(part) if kinds[0][1] in _OF_PARTY.values() else kinds
        beside = leftover(_apart(cleaned, [words for _, _, words in said])) if single else ""
        whose = next((words for _, kind, words in kinds if kind == "buyer" or _SELLER.search(words)), "")
        if whose and {kind for _, kind, _ in kinds} in ({"buyer", "phone"}, {"merchant", "phone"}):
            beside, single = whose, True  # 客户电话 is not just any telephone
            kinds = [item for item in kinds if item[1] == "phone"]
        if single:  # 离店日期是哪天 names the date twice; the first time says which
            kinds = kinds[:1]
        for _, kind, words in kinds:
            want = Want(kind, words, cleaned if single else words, part, beside)
            if not any(
                other.kind == kind and other.beside == beside and kind not in {"number", "date"}
                for other in wants
            ):
                wants.append(want)
    if any(want.kind and want.phrase not in _GENERAL for want in wants):
        return tuple(w for w in wants if w.kind or not _filler(w.phrase))[:24]
    return tuple(wants)[:24]


def _apart(text: str, phrases: list[str]) -> str:
    for phrase in sorted(phrases, key=len, reverse=True):
        text = text.replace(clean(phrase) or phrase, " ")
        for word in phrase.split() if not has_cjk(phrase) else ():
            text = re.sub(rf"\b{re.escape(word)}s?\b", " ", text)
    return text


def _filler(phrase: str) -> bool:
    return len(phrase) > 60


def _target(question: str, extra: re.Pattern[str], quoted: Iterable[str]) -> str:
    for text in quoted:
        return text
    return clean(extra.sub(" ", question))


_COUNT_WORDS = re.compile(
    r"how often|how many|\b(?:bought|buy|ordered|purchased)\b|number of|"
    r"count(?: the| how| all)?|times|does|occur\w*|appear\w*|出现|"
    r"几[行个张种样件页处次列条款份位]|多少[行个种件次处张列条页款份]?|数一下|数数|了|有|共|总共|一共|买|"
    r"\bare there\b|\bin (?:total|all)\b|\bthere\b|\bword\b|\bthe text\b|字样|文字"
)
_COUNTED = (
    ("lines", re.compile(r"\blines?\b(?! items)|几行|多少行|行数|行字|行文字")),
    (
        "items",
        re.compile(
            r"\b(?:line )?items\b|products|articles|goods|dishes|things|商品|东西|货物|明细|菜|品种|几种|"
            r"几样|几件|项目"
        ),
    ),
    ("pictures", re.compile(r"pictures|images|photos|receipts|invoices|图片|几张|多少张|照片|图")),
    ("codes", re.compile(r"codes?\b|二维码|条码|条形码")),
    ("columns", re.compile(r"columns|几列|多少列|列")),
    ("rows", re.compile(r"\brows\b")),
    ("words", re.compile(r"\bwords\b(?! \w)")),
    ("characters", re.compile(r"characters|letters|多少字|几个字|字数")),
)


_FOLLOW_UP = re.compile(
    r"(?:and|what about|how about|now)?\s*(?:for|in|on|of)?\s*(?:this|that|it|the other|the)?\s*"
    r"(?:one|picture|image|photo|receipt|invoice)?\s*|[那]?(?:这|那)?(?:一)?[张个幅份]?(?:图|图片|小票|"
    r"发票)?呢?|那?(?:另一|下一)[张个]呢?"
)


def is_follow_up(question: str) -> bool:
    """Whether a question only points at another picture (那第二张呢？) and so repeats the question before it."""
    lower = " ".join(fold(question[:80]).lower().split()).strip(" ?？!。.,，")
    bare = _PICTURE_ZH.sub(" ", _PICTURE_EN.sub(" ", lower)).strip()
    pointed = bare != lower or re.search(r"this|that|other|这|那|另|下一", lower)
    return bool(pointed) and bool(_FOLLOW_UP.fullmatch(bare) or _FOLLOW_UP.fullmatch(bare.replace(" ", "")))


_AGAIN = re.compile(
    r"(?:are you (?:really )?sure|really|again|say (?:it|that) again|repeat(?: that)?|pardon|come again|"
    r"你?(?:确定|肯定)[吗么]?|真的吗?|再说一[遍次]|重复一[遍下]|没看清|再来一[遍次])\W*"
)


def asks_again(question: str) -> bool:
    """Whether a question only wants the answer before it once more."""
    return bool(_AGAIN.fullmatch(" ".join(fold(question[:80]).lower().split())))


def points_back(ask: Ask) -> bool:
    """Whether a question about a place (在哪里？ "where is it?") means what the question before it asked for."""
    return (
        ask.intent == "where"
        and not ask.wants
        and compact(ask.target) in {"", "it", "that", "this", "它", "他", "这个", "那个"}
    )


# What bears the text as a whole: what stands on it is all the text, not something beside these words.
_CARRIER = re.compile(
    r"(?:图|照|相|影|截)[片像图]|图像|影像|截屏|画面|扫描件|发票|小票|收据|票据|单据|账单|单子|合同|协议|文[件档本]|文书|页面|"
    r"材料|资料|(?:检[验查]|化验|体检|诊断)?报告单?|检验单|化验单|处方|病历|图纸|简历|名片|卡片|证件|证书|表[格单]|标签|铭牌|[招路广门]牌|广告牌|牌子|屏幕|[黑白]板|海报|横幅|通知|公告|说明书|"
    r"包装盒?|封面|信[件封]?|便条|纸条"
)

# By which a picture is asked about as a whole, where nothing is left beside them and what bears the text.
_ABOUT = re.compile(
    r"(?:主要|关键|重要|基本|核心|有效|结构化)?的?(?:内容|信息|要点|重点)|[讲说]了?(?:些|的是|的)?(?:什么|啥)|"
    r"整理|识别|分析|解读|看看|看一?下|"
    r"\b(?:key|main|important|basic|relevant)?\s*(?:information|info|details|data|fields|facts|contents?)\b|"
    r"\bcontains?\b|what(?:'s| is) (?:on|in)\b|\b(?:look|see) at\b|have a look|take a look"
)


def parse(question: str) -> Ask:
    """Understand a question.

    Args:
        question: The person's words; only the first 2,000 characters count.

    Returns:
        What it asks for.
    """
    text = fold(question[:_LONGEST]).strip()
    asked = _understood(text)
    sentences = _SENTENCE.findall(text)
    if asked.as_json or not 1 < len(sentences) <= _SENTENCES:
        return asked
    intents = [_understood(sentence).intent for sentence in sentences]
    kept = (
        sentence
        for sentence, intent in zip(sentences, intents, strict=True)
        if intent not in {"read", "greeting", "overview"}
    )
    if "read" in intents and (more := "".join(kept)):  # 图上写了什么？合计是多少？
        return replace(_understood(more), text_too=True)
    return asked


_SENTENCE = re.compile(r"[^?!。]+[?!。]*")
_SENTENCES = 8  # so many are looked at one by one


def _understood(text: str) -> Ask:  # noqa: C901, PLR0911, PLR0912 - one table of cases, in the order that settles which wins
    lower = " ".join(text.lower().split())
    if (greeting := _HELLO.match(lower)) and not _GREETING.fullmatch(lower):  # 你好，请问合计多少
        rest = lower[greeting.end() :]
        if not _GREETING.fullmatch(rest):
            text = text[-len(rest) :] if text.lower().endswith(rest) else rest
            lower = rest
        else:
            lower = "hello"
    quoted = tuple(a or b for a, b in _QUOTED.findall(text))
    pictures, every = _ordinals(lower), bool(_EVERY.search(lower))
    as_json = bool(_JSON.search(lower))
    boxes_only = bool(_BOXES_ONLY.search(lower)) and bool(
        re.search(r"bbox|spotting|locate|bounding|coordinates", lower)
    )
    bare = _PICTURE_ZH.sub(" ", _PICTURE_EN.sub(" ", lower))

    def ask(
        intent: Intent, wants: Sequence[Want] = (), *, target: str = "", counted: str = "", detail: str = ""
    ) -> Ask:
        return Ask(
            intent=intent,
            wants=tuple(wants),
            target=target,
            pictures=pictures,
            every=every,
            boxes_only=boxes_only,
            as_json=as_json,
            counted=counted,
            detail=detail,
        )

    if not compact(lower):
        return ask("overview")
    if _GREETING.fullmatch(lower):
        return ask("greeting")
    if _HELP.search(lower):
        return ask("help")
    if boxes_only and "spotting" in lower:
        return ask("read")
    if boxes_only and "locate" in lower:
        wanted = re.sub(
            r"locate|every instance|that belongs? to the following categor(?:y|ies):?|report .{0,40}|"
            r"return .{0,40}|output .{0,40}",
            " ",
            lower,
        )
        return ask("where", target=_target(wanted, re.compile(r"\bwhere\b"), quoted))
    wants = _wants(bare)
    named = [want for want in wants if want.kind]
    most, least = _MOST.search(lower), _LEAST.search(lower)
    if (most or least) and not (
        every or pictures or re.search(r"哪[张家份]|receipt|invoice|picture|store|shop", lower)
    ):
        found = most or least
        many = found is not None and bool(found["many"])
        # "Which is the cheapest?" is about the pictures where there are several, else about the items of the one.
        meant = many or re.search(
            r"items?\b|products?\b|dish|articles?\b|things?\b|line|price|商品|东西|菜|项|货|单价|价格|什么",
            lower,
        )
        return ask(
            "extreme" if meant else "compare",
            detail="more" if most else "less",
            counted="quantity" if many else "items",
        )
    if _COMPARE.search(lower):
        subject = clean(_COMPARED.sub(" ", bare))
        if named and all(want.kind == "merchant" and not re.search("名|name", want.phrase) for want in named):
            # 哪家便宜 asks for a price, not for a name.
            named = [] if re.search("哪家|which|贵|宜", lower) else named
            return ask("compare", wants=named, detail=_direction(lower), target=leftover(subject))
        return ask("compare", wants=named, detail=_direction(lower))
    if _CHECK.search(lower):
        return ask("check", wants=named)
    if (
        _CODES.search(lower)
        and not (_WHERE.search(lower) or _COUNT.search(lower))
        and not _SIGHT.search(lower)
    ):
        return ask("codes")
    if (
        _SUM.search(lower)
        and (every or not _COUNT.search(lower))
        and (
            not named
            or {want.kind for want in named} <= {"total", "paid", "due", "tax", "subtotal", "discount"}
        )
    ):
        return ask("sum", wants=wants if named else ())
    if (
        (named_text := re.match(r"(.{2,16}?)(?:上|里|中)?(?:面)?(?:写了?的?是?什么|写着什么)", bare))
        and len(clean(named_text[1])) >= 2
        and not _CARRIER.fullmatch(clean(named_text[1]))
    ):
        return ask("wants", (Want("", clean(named_text[1]), clean(named_text[1]), bare),))
    if _READ.search(lower) and not (named and not re.search("all|全|所有|everything", lower)):
        return ask("read")
    about = not (named or quoted or as_json) and _ABOUT.search(lower)
    if about and not leftover(clean(_CARRIER.sub(" ", _ABOUT.sub(" ", bare)))):  # 发票的内容, not 备注的内容
        return ask("overview", detail="asked")
    if re.search(
        r"how many (?:people|persons|men|women|child|cars|animals|dogs|cats|birds|trees)|几个人|多少人", lower
    ):
        return ask("sight")
    if _COUNT.search(lower) and not any(want.kind == "table_columns" for want in named):
        counted = "" if quoted else next((what for what, pattern in _COUNTED if pattern.search(lower)), "")
        times = quoted or re.search(
            r"times|\boccur|\bappear|出现|几次|多少次|几处|多少处|\bword\b|字样|how often", lower
        )
        return ask(
            "count",
            counted=counted,
            target=_target(bare, _COUNT_WORDS, quoted),
            detail="times" if times else "",
        )
    where = _WHERE.search(lower)
    if where and not (
        any(want.kind in {"address", "merchant"} for want in named)
        and not re.search("框|标出|圈|坐标|locate|bbox|position|的位置", lower)
    ):
        return ask(
            "where",
            target=_target(_WHERE.sub(" ", bare), re.compile(r"\b(?:word|text)\b|文字|字样|一下"), quoted),
            wants=named,
        )
    if _SIGHT.search(lower) and not (
        named
        and not re.search(
            r"翻译|translat|描述|describe|总结|summar|颜色|colou?r|解释|explain|为什么|why", lower
        )
    ):
        whole = re.search(r"describ|what(?:'s| is)|summar|描述|总结|概括|摘要|是什么|有什么|内容", lower)
        return ask(
            "sight",
            wants=named,
            detail="whole" if whole and not re.search("colou?r|颜色|weather|天气|joke|笑话", lower) else "",
        )
    if any(want.kind == "document_type" for want in wants):
        return ask("wants", wants=named)
    if _EXISTS.search(lower):
        return ask(
            "exists",
            wants=wants,
            target=_target(
                bare,
                re.compile(
                    r"^(?:is|are|does|do|did|was|were|has|have)\b|\b(?:is|are) there\b|\bit\b|\bthis\b|"
                    r"\bthat\b|mention\w*|contain\w*|include\w*|show\w*|\bany\b|有没有|是否|^有|提到|包含|"
                    r"包括|出现|写|吗|是不是|字样|文字|the word|the text|\bsay\b|\bword\b|\bhave\b|\bhas\b|"
                    r"\breceipt\b|\binvoice\b|\b(?:i|we|you|they|he|she|there|bought|buy|order|ordered|use|used|get|got|"
                    r"charge|charged|purchase|purchased|pay for|on)\b|[买点要用](?:了|过)|^[买点]|了$|两张都?"
                ),
                quoted,
            ),
        )
    if not wants and quoted:
        wants = (Want("", quoted[0], quoted[0]),)
    return ask("wants", wants=wants)


_COMPARED = re.compile(
    r"which|whose|cheaper|cheapest|cheap|more expensive|dearer|lower|higher|price[ds]?|sells?|offers?|"
    r"哪一?[家张个份边]|更?便宜|"
    r"更?贵|价格|多少|比较|划算|最"
)


def _direction(lower: str) -> str:
    if re.search(r"more recent|most recent", lower):
        return "later"
    if re.search(r"cheap|less|lower|small|lowest|便宜|低|少|划算", lower):
        return "less"
    if re.search(r"expensive|more|higher|larg|bigger|highest|贵|高|多", lower):
        return "more"
    if re.search(r"earl|older|first|早", lower):
        return "earlier"
    if re.search(r"later|newer|latest|晚", lower):
        return "later"
    return ""

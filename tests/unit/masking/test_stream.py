"""However a text is cut into pieces, what comes out is what comes out of the whole."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from vlpro.masking import JsonMasker, Masker, mask_text

NAMES = ("张三", "张三丰", "Li Lei", "李")
PARTS = st.one_of(
    st.sampled_from(
        [
            "13800138000", "138 0013 8000", "+86", "11010519491231002X", "6222 0212 3456 7890 128",
            "4111111111111111", "a.zhang@vip.163.com", "@", "example.com", "010-65521234",
            "(0755) 2345 6789-801", "电话", "卡号：", "订单号：", "护照号码：", "E12345678", "acc_", "tel", "tel:",
            "550e8400-e29b-41d4-a716-446655440000", 'data-bbox="', "bbox_2d", "1 1 0 1 0 5 1 9 4 9 1 2 3 1 0 0 2 X",
            "1" * 30, "a" * 70, "." * 70, "张三", "张三丰", "Li Lei", "０", "　", "\\n", "X", "86", "0086", "\n", "*",
            "130503670401001", "8901-138001380001", "6222021234567890128-a",
        ]
    ),
    st.text(alphabet="0123456789Xx -.()+@_abcfz中张三１－*,", max_size=24),
)  # fmt: skip
TEXTS = st.lists(PARTS, max_size=8).map("".join)


def in_pieces(masker: Masker | JsonMasker, text: str, cuts: list[int]) -> str:
    places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    pieces = [masker.feed(text[a:b]) for a, b in pairwise(places)]
    return "".join([*pieces, masker.rest()])


@settings(max_examples=600)
@given(TEXTS, st.lists(st.integers(0, 400), max_size=12))
def test_pieces_are_masked_as_the_whole(text: str, cuts: list[int]) -> None:
    assert in_pieces(Masker(NAMES), text, cuts) == mask_text(text, NAMES)


@settings(max_examples=300)
@given(TEXTS)
def test_letter_by_letter(text: str) -> None:
    assert in_pieces(Masker(NAMES), text, list(range(len(text)))) == mask_text(text, NAMES)


@settings(max_examples=300)
@given(TEXTS)
def test_the_length_stays_and_only_stars_are_new(text: str) -> None:
    masked = mask_text(text, NAMES)
    assert len(masked) == len(text)
    assert all(new in (old, "*") for old, new in zip(text, masked, strict=True))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "电话", "order_no"]), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=300)
@given(VALUES, st.booleans(), st.lists(st.integers(0, 600), max_size=12))
def test_json_stays_json_and_its_strings_are_masked(value: object, ascii_only: bool, cuts: list[int]) -> None:  # noqa: FBT001
    written = json.dumps(value, ensure_ascii=ascii_only)
    once = in_pieces(JsonMasker(NAMES), written, [])
    assert in_pieces(JsonMasker(NAMES), written, cuts) == once
    assert in_pieces(JsonMasker(NAMES), written, list(range(len(written)))) == once
    assert shape(json.loads(once)) == shape(value)


def shape(value: object) -> object:
    """A value without what its strings say."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return len(value) if isinstance(value, str) else value


def test_json_numbers_escapes_and_labels() -> None:
    written = (
        r'{"phone": "\n13800138000", "n": 13800138000, "escaped": "\u0031\u0033800138000 \u4e2d", '
        r'"order_no": "4111111111111111", "cut": "13800138000'
    )
    masked = (
        r'{"phone": "\n138****8000", "n": 13800138000, "escaped": "\u0031\u00338****8000 \u4e2d", '
        r'"order_no": "4111111111111111", "cut": "138****8000'
    )
    assert in_pieces(JsonMasker(), written, list(range(len(written)))) == masked
    assert in_pieces(JsonMasker(), '{"cut": "a\\u00', [3, 9, 12]) == '{"cut": "a\\u00'


def test_ordinary_text_is_not_held_back() -> None:
    masker = Masker()
    for piece in ["发票金额", "为", "128.50元", "，", "共3件。", "买方", "是"]:
        assert masker.feed(piece) == piece
    for piece, passed in [
        ("The", ""),
        (" total", "The "),
        (" is", "total "),
        (" 12", "is "),
        (".50", ""),
        (" yuan", "12.50 "),
    ]:
        assert masker.feed(piece) == passed
    assert masker.rest() == "yuan"


def test_counting_goes_on_while_it_is_masked() -> None:
    masker = Masker()
    held = most = 0
    for number in range(1, 400):
        piece = f"{number} "
        held += len(piece) - len(masker.feed(piece))
        most = max(most, held)
    assert most <= 24


def test_little_is_held_back_whatever_comes() -> None:
    for text in (
        "1" * 5000,
        "1 " * 5000,
        "a" * 5000,
        "a@" * 5000,
        "4 1 1 1 " * 2000,
        "0086 " * 2000,
        "a@b." * 2000,
    ):
        masker = Masker()
        held = 0
        for at in range(0, len(text), 3):
            held += len(text[at : at + 3]) - len(masker.feed(text[at : at + 3]))
            assert held <= 420, text[:8]

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlpro.ui.markdown import JOINER, Code, Prose, harmless, pieces

WAYS_OUT = [
    "![](http://sink.test/a)",
    "![alt](http://sink.test/a 'title')",
    "![alt][r]\n\n[r]: http://sink.test/a",
    "[r]\n\n[r]: <http://sink.test/a>",
    "[text](http://sink.test/a)",
    "[a [b](http://sink.test/a) c](http://sink.test/b)",
    "[![x](http://sink.test/a)](http://sink.test/b)",
    "[x](//sink.test/a)",
    "[x](javascript:alert(1))",
    "[x](\nhttp://sink.test/a\n)",
    "\\![x](http://sink.test/a)",
    "\\\\[x](http://sink.test/a)",
    "`[x`](http://sink.test/a)",
    "[x`](http://sink.test/a)`",
    "| a |\n|---|\n| ![](http://sink.test/a) |",
    "<http://sink.test/a>",
    "<img src=http://sink.test/a>",
    "<a href='http://sink.test/a'>x</a>",
    "<!-- --><img src=//sink.test>",
    "<me@sink.test>",
    "http://sink.test/a",
    "HTTPS://sink.test/a",
    "xhttp://sink.test",
    "www.sink.test",
    "WWW.sink.test",
    "me@sink.test",
    "mailto:me@sink.test",
    "xmpp:me@sink.test/a",
    "[^1]\n\n[^1]: ![](http://sink.test/a)",
    "$\\href{http://sink.test/a}{x}$",
    ":red[x](http://sink.test/a)",
    "    ![](http://sink.test/a)",
    "> ```\n> x\n![](http://sink.test/a)",
    '> ```mermaid\n> flowchart LR\n> A@{ img: "//sink.test/a" }\n> ```',
    "- ~~~ mermaid\n  flowchart LR\n  style A fill:url(//sink.test/a)\n  ~~~",
    "1. ```&#109;ermaid\n   flowchart LR\n   ```",
]

# What begins a link, a picture, HTML or a directive in CommonMark, GFM and Streamlit's Markdown.
STARTS = re.compile(
    r"\][(\[:]|<[A-Za-z/!?]|://|\b[wW]{3}\.|@[\w-]|:[A-Za-z_]|:[+-]?\w+:"
    rf"|(?:`{{3,}}|~{{3,}})[ \t]*[^\s`~{JOINER}]",
)


def _prose(text: str) -> str:
    return "\n".join(piece.text for piece in pieces(text) if isinstance(piece, Prose))


@pytest.mark.parametrize("text", WAYS_OUT)
def test_no_way_out_is_left(text: str) -> None:
    assert not STARTS.search(_prose(text))


@given(
    st.lists(st.sampled_from([*WAYS_OUT, "`", "```", "~~~", "\n", "\\", "$", "[", "](", "]:", "!", "<", " "]))
)
def test_no_way_out_is_left_in_any_combination(parts: list[str]) -> None:
    assert not STARTS.search(_prose("".join(parts)))


@given(st.text(alphabet=st.sampled_from(list("[](){}<>!:/\\`$~*@w.ahtp123 \n|#&;-_^“”中文"))))
def test_no_way_out_is_left_in_random_marks(text: str) -> None:
    assert not STARTS.search(_prose(text))


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters=JOINER + "\\")))
def test_words_stay_as_they_were(text: str) -> None:
    shown = harmless(text).replace(JOINER, "").replace("\\", "")
    assert shown.split() == text.split()


@given(st.text())
def test_every_streamed_beginning_is_taken(text: str) -> None:
    for end in range(len(text)):
        pieces(text[:end])


def test_emphasis_lists_and_tables_stay() -> None:
    text = "**合计 486.50**\n\n1. 甲\n2. 乙\n\n| 项目 | 金额 |\n|---|---:|\n| 纸 | 147.00 |"
    assert harmless(text).replace("  \n", "\n") == text


def test_lines_stay_lines() -> None:
    assert harmless("江宁路\n销售小票\n\n合计") == "江宁路  \n销售小票\n\n合计"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("$5 and $6", "\\$5 and \\$6"),
        ("USD $20,000 和$30,000", "USD \\$20,000 和\\$30,000"),
        ("3~5 天，10~15 元", "3\\~5 天，10\\~15 元"),
        ("5*10*20", "5\\*10\\*20"),
        ("`$a $b ~c~`", "`$a $b ~c~`"),
        ("~~旧价~~", "~~旧价~~"),
    ],
)
def test_text_of_receipts_is_not_taken_for_formatting(text: str, shown: str) -> None:
    assert harmless(text) == shown


@pytest.mark.parametrize("formula", ["$x^2 + y$", "$$\\frac{a}{b}$$", "$\\alpha$"])
def test_formulas_stay(formula: str) -> None:
    assert formula in harmless(f"甲 {formula} 乙")


def test_directives_and_shortcodes_are_words() -> None:
    for text in (":red[错]", ":material/delete:", ":smile:", ":1234:", "::x", ":red-background[x]"):
        assert harmless(text) != text
        assert harmless(text).replace(JOINER, "").replace("\\:", ":") == text


def test_code_stays_letter_by_letter() -> None:
    text = '结果：\n\n```json\n{"url": "http://a.test", "x": [1](2)}\n```\n完'
    assert pieces(text) == [
        Prose("结果："),
        Code('{"url": "http://a.test", "x": [1](2)}', "json"),
        Prose("完"),
    ]


def test_open_fence_runs_to_the_end() -> None:
    assert pieces("a\n~~~\nb\n```\nc") == [Prose("a"), Code("b\n```\nc")]


def test_longer_fence_holds_shorter_ones() -> None:
    assert pieces("````\n```\nx\n```\n````") == [Code("```\nx\n```")]


def test_a_formula_that_names_a_place_is_shown_as_text() -> None:
    for command in (
        r"\href{//sink.test/a}{x}",
        r"\url{x}",
        r"\includegraphics{x}",
        r"\htmlStyle{color:red}{x}",
    ):
        assert harmless(f"a ${command}$ b").startswith(rf"a \${command[:4]}")
        assert harmless(f"$${command}$$").startswith(r"\$\$")
    assert harmless(r"$\frac{1}{2} \hat{x}$") == r"$\frac{1}{2} \hat{x}$"

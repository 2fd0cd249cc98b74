from __future__ import annotations

import pytest

from vlpro.schema.knowledge import Citation
from vlpro.ui.citing import found_words, linked, quoted
from vlpro.ui.markdown import JOINER, harmless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("See [1].", r"See [\[1\]](#cite-m-1)."),
        ("见【2】", r"见[\[2\]](#cite-m-2)"),
        ("Both [1, 2].", r"Both [\[1\]](#cite-m-1) [\[2\]](#cite-m-2)."),
        ("None [7] of [1、7]", "None [7] of [1、7]"),
        ("A list `a[1]` of numbers", "A list `a[1]` of numbers"),
        (r"An escaped \[1]", r"An escaped \[1]"),
    ],
)
def test_a_citation_is_a_link_to_a_place_of_this_page(text: str, shown: str) -> None:
    assert linked(text, {1, 2}, "m") == shown


def test_no_link_of_the_answers_own_comes_of_it() -> None:
    told = linked(harmless("[1](http://sink.test) ![2](//sink.test)"), {1, 2}, "m")
    assert f"(#cite-m-1){JOINER}(http" in told
    assert f"(#cite-m-2){JOINER}(//" in told


CITED = Citation(number=1, base="kb_a", document="a.pdf", page=2, boxes=[], text=" # Reset\n**Hold** it. ")


def test_a_passage_alone_is_a_quotation_and_other_words_are_none() -> None:
    assert quoted("# Reset\n**Hold** it. [1]\n\n[1] a.pdf, page 2", [CITED]) == "# Reset\n**Hold** it."
    assert quoted("Hold it. [1]", [CITED]) is None
    assert quoted("# Reset\n**Hold** it. [1]\n\n[1] a.pdf, page 2", [CITED, CITED]) is None


@pytest.mark.parametrize(
    ("query", "text", "marked"),
    [
        ("What does E11 mean?", "Error e11 means that it is hot. E112 is other.", ["e11"]),
        ("F0-28 的接口在哪里？", "模块F0-28：接口位于右侧。", ["F0-28", "接口"]),
        ("the of is", "This is the end of it.", []),
        ("复位按钮", "按住复位按钮五秒", ["复位按钮"]),
    ],
)
def test_words_of_the_question_are_marked(query: str, text: str, marked: list[str]) -> None:
    parts = found_words(query, text)
    assert "".join(part for part, _ in parts) == text
    assert [part for part, found in parts if found] == marked

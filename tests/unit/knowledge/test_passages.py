"""Lines of a page become passages as a reader would cut them: in order, whole, and at their place."""

from __future__ import annotations

import random

import pytest

from vlpro.knowledge.layout import Line
from vlpro.knowledge.passages import PageContent, Passage, page_content, running_lines

WIDTH, HEIGHT = 1240, 1754  # A4 at 150 dpi
HIGH, STEP = 24, 34  # of a line; from one to the next


def line(text: str, x: int, y: int) -> Line:
    wide = sum(HIGH if ord(letter) > 0x2E7F else HIGH // 2 for letter in text)
    return Line(text, (x, y, x + wide, y + HIGH))


def paragraph(texts: list[str], x: int = 100, y: int = 300) -> list[Line]:
    return [line(text, x, y + STEP * number) for number, text in enumerate(texts)]


def made(lines: list[Line]) -> PageContent:
    shuffled = list(lines)
    random.Random(1).shuffle(shuffled)
    return page_content(shuffled, WIDTH, HEIGHT)


def holding(content: PageContent, text: str) -> Passage:
    (found,) = (passage for passage in content.passages if text in passage.text)
    return found


def test_lines_of_a_paragraph_are_one_text() -> None:
    english = paragraph(
        [
            "Switch the machine off before you open the hous-",
            "ing and wait for ten minutes until",
            "the capacitors are empty.",
        ]
    )
    chinese = paragraph(["打开机壳之前先断电，并等待十分钟，", "直到电容放完电为止。"], y=900)
    content = made([*english, *chinese])
    first, second = content.passages
    assert first.text == (
        "Switch the machine off before you open the housing and wait for ten minutes until the capacitors are empty."
    )
    assert second.text == "打开机壳之前先断电，并等待十分钟，直到电容放完电为止。"
    assert second.boxes == tuple(one.box for one in chinese)


def test_columns_are_read_one_after_the_other() -> None:
    left = [f"left column line {number} goes on here" for number in range(8)]
    right = [f"right column line {number} goes on here" for number in range(8)]
    content = made([*paragraph(left, x=100), *paragraph(right, x=680)])
    text = "\n".join(passage.text for passage in content.passages)
    places = [text.index(told) for told in left + right]
    assert places == sorted(places)


def test_a_heading_stays_with_what_follows() -> None:
    before = paragraph(["The second section is about how it is mounted, and ends"])
    heading = line("3.2 Cleaning the fan", 100, 480)
    after = [
        "Pull the fan out of its frame, blow the dust away with compressed air, and put",
        "it back until it clicks. Do so twice a year, or each month where there is much dust.",
        "Wear glasses while you do so, and do not let the fan turn, since it then gives a",
        "voltage that may destroy its circuit. Replace a fan that is loud, and write its date",
    ]
    content = made([*before, heading, *paragraph(after, y=530)])
    assert "Pull the fan out" in holding(content, "3.2 Cleaning the fan").text


def test_sections_are_passages_of_their_own() -> None:
    first = [
        "The first section says something about mounting the device, at length, in a",
        "paragraph of its own.",
    ]
    second = ["Pull the fan out of its frame, blow the dust away with compressed air, and put", "it back."]
    content = made([*paragraph(first), *paragraph(second, y=530)])
    assert [passage.text for passage in content.passages] == [" ".join(first), " ".join(second)]


def table(rows: int, *, middle: bool) -> list[Line]:
    """Codes, names, causes of two or three lines, remedies of two; the first cells at the top or in the middle."""
    lines = [line(text, x, 200) for text, x in (("代码", 100), ("名称", 220), ("原因", 420), ("处理", 800))]
    y = 260
    for number in range(rows):
        for part in range(3):
            if part == (1 if middle else 0):
                lines += [line(f"E{number:02}", 100, y), line("过热", 220, y)]
            lines.append(line(f"原因{number}之{part}的文字", 420, y))
            if part < 2:
                lines.append(line(f"处理{number}之{part}的文字", 800, y))
            y += HIGH + 4
        y += HIGH
    return lines


@pytest.mark.parametrize("middle", [False, True])
def test_a_row_of_a_table_is_whole_though_its_cells_have_several_lines(middle: bool) -> None:  # noqa: FBT001
    content = made(table(8, middle=middle))
    assert {passage.kind for passage in content.passages} == {"table"}
    rows = [clause.text for passage in content.passages for clause in passage.clauses][1:]
    assert rows == [
        f"E{n:02} 过热 原因{n}之0的文字原因{n}之1的文字原因{n}之2的文字 处理{n}之0的文字处理{n}之1的文字"
        for n in range(8)
    ]


def test_each_part_of_a_long_table_says_what_its_columns_are() -> None:
    content = made(table(12, middle=False))
    assert len(content.passages) > 1
    for passage in content.passages:
        assert passage.text.startswith("代码 名称 原因 处理\n")
        assert len(passage.text) <= 400


def test_a_table_whose_first_row_is_as_the_others_has_no_head() -> None:
    lines = [
        line(text, x, 200 + 40 * number)
        for number in range(30)
        for text, x in ((f"F0-{number:02}", 100), ("加速时间", 400), ("0.1~3600.0s", 700))
    ]
    content = made(lines)
    assert sum("F0-00" in passage.text for passage in content.passages) == 1


def test_what_is_marked_is_the_part_of_the_line_that_says_it() -> None:
    (told,) = paragraph(["Heatsink over 85 degrees; 请清理风扇和风道。"])
    (passage,) = made([told]).passages
    first, second = passage.clauses
    assert (first.text, second.text) == ("Heatsink over 85 degrees;", "请清理风扇和风道。")
    ((_, top, middle, bottom),) = first.boxes
    ((begin, *_, end, _),) = second.boxes
    assert (top, bottom) == (told.box[1], told.box[3])
    assert middle == begin
    assert end == told.box[2]
    assert middle - told.box[0] == pytest.approx(25 * HIGH // 2, abs=HIGH)  # Latin letters are half as wide


def test_points_within_numbers_end_nothing() -> None:
    (passage,) = made(paragraph(["SKR mini V2.0 runs at 3.3V, see section 4.1.2 for its pins."])).passages
    assert [clause.text for clause in passage.clauses] == [
        "SKR mini V2.0 runs at 3.3V,",
        "see section 4.1.2 for its pins.",
    ]


def test_a_value_is_marked_with_its_name() -> None:
    told = paragraph(
        [
            "Supply voltage: 12/24V",
            "Dimensions:",
            "100.75*70.25mm",
            "外形尺寸：高280mm、宽180mm、深170mm",
            "and a line as long as lines are in this place of the page, which is wide",
        ]
    )
    clauses = [clause.text for passage in made(told).passages for clause in passage.clauses]
    assert "Supply voltage: 12/24V" in clauses
    assert "Dimensions: 100.75*70.25mm" in clauses
    assert "外形尺寸：高280mm、" in clauses


def test_a_full_passage_does_not_end_within_a_sentence() -> None:
    told = paragraph(
        [
            "After power on the red lamp D3 shows that the supply is good, and it",
            "stays on for as long as the supply is good, whatever else may happen",
            "to the board; it says nothing about the firmware.",
            "The red lamp D10 is about the firmware and nothing else: it flashes while",
            "somebody updates the firmware, and goes out as soon as that is complete.",
            "The green lamp D4 belongs to the heating rod, which is always on then.",
        ]
    )
    texts = [passage.text for passage in made(told).passages]
    assert len(texts) == 2
    assert texts[0].endswith("says nothing about the firmware.")
    assert texts[1].startswith("The red lamp D10")
    # Where no sentence ends near, a passage is full all the same.
    endless = paragraph(
        [f"line {number} of a sentence that has no end and goes on and on with" for number in range(12)]
    )
    assert [len(passage.text) <= 330 for passage in made(endless).passages] == [True] * 3


def test_the_number_of_an_item_stays_with_it() -> None:
    told = paragraph(
        [
            "1. Switch the mains off. 2. Wait for ten minutes.",
            "(3) Open the cover; the fan stops at V1. Now clean it.",
        ]
    )
    clauses = [clause.text for passage in made(told).passages for clause in passage.clauses]
    assert clauses == [
        "1. Switch the mains off.",
        "2. Wait for ten minutes.",
        "(3) Open the cover;",
        "the fan stops at V1.",
        "Now clean it.",
    ]


def test_running_heads_and_feet_are_left_out() -> None:
    def page(number: int) -> list[Line]:
        return [
            line("KX100 User Manual", 100, 60),
            *paragraph([f"This is what page {number} has to say about its own subject."]),
            line(f"- {number} -", 600, 1700),
        ]

    running = running_lines([(page(number), HEIGHT) for number in range(1, 6)])
    content = page_content(page(7), WIDTH, HEIGHT, running=running)
    assert [passage.text for passage in content.passages] == [
        "This is what page 7 has to say about its own subject."
    ]


def test_words_in_a_drawing_are_found_apart_from_the_text() -> None:
    content = page_content(
        paragraph(["Figure 3 shows where the connectors of the board are to be found."]),
        WIDTH,
        HEIGHT,
        drawn=[line("FAN0", 300, 800), line("HEATER", 600, 900)],
    )
    assert [passage.kind for passage in content.passages] == ["text", "figure"]
    assert [clause.text for clause in content.passages[1].clauses] == ["FAN0", "HEATER"]
    assert content.passages[1].clauses[0].boxes == ((300, 800, 348, 824),)


@pytest.mark.parametrize("seed", range(40))
def test_any_page_keeps_all_its_words_once_and_in_bounds(seed: int) -> None:
    chance = random.Random(seed)
    lines = [
        line(
            f"w{number}q" + chance.choice(["", " some more words here.", "，中文文字；又一句。", "-"]),
            chance.randrange(0, 1000),
            chance.randrange(0, HEIGHT - HIGH),
        )
        for number in range(chance.randrange(0, 120))
    ]
    content = made(lines)
    text = "\n".join(clause.text for passage in content.passages for clause in passage.clauses)
    assert all(text.count(f"w{number}q") == 1 for number in range(len(lines)))
    for passage in content.passages:
        assert passage.clauses
        assert len(passage.text) <= 800
        for x1, y1, x2, y2 in [*passage.boxes, *(box for clause in passage.clauses for box in clause.boxes)]:
            assert x1 <= x2
            assert 0 <= y1 < y2 <= HEIGHT

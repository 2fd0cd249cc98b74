from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vlpro.chat.grounding import MAX_PLACES, Place, places, without_places

BOXES = '```json\n[\n  {"bbox_2d": [100, 200, 300, 400], "label": "total", "text_content": "5.00"}\n]\n```'
fixed = settings(derandomize=True, deadline=None, max_examples=100, database=None)


def _block(*entries: Any) -> str:
    return f"```json\n{json.dumps(list(entries))}\n```"


def test_a_box_in_pixels() -> None:
    assert places(f"It is 5.\n\n{BOXES}", [(200, 1000)]) == (
        Place(image=1, box=(20.0, 200.0, 60.0, 400.0), label="total", text="5.00"),
    )


def test_which_picture() -> None:
    box = [0, 0, 1000, 1000]
    answer = _block({"bbox_2d": box, "image": 1}, {"bbox_2d": box, "image": 2}, {"bbox_2d": box})
    found = places(answer, [(10, 10), (20, 20)])
    assert [(place.image, place.box[2]) for place in found] == [(1, 10.0), (2, 20.0), (2, 20.0)]


@pytest.mark.parametrize(
    "answer",
    [
        BOXES,
        BOXES.replace("json", ""),
        BOXES[: BOXES.rindex("]")],
        BOXES + "\nmore",
        'text\n```json\n{"bbox_2d": [100, 200, 300, 400], "label": "total"}\n```',
        '[{"bbox_2d": [100, 200, 300, 400]}]',
        BOXES.rstrip("`\n]") + ',\n  {"bbox_2d": [1, 2',
    ],
)
def test_shapes_that_are_read(answer: str) -> None:
    assert [place.box for place in places(answer, [(1000, 1000)])] == [(100, 200, 300, 400)]


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"bbox_2d": None},
        {"bbox_2d": [1, 2, 3]},
        {"bbox_2d": [1, 2, 3, 4, 5]},
        {"bbox_2d": [1, 2, 3, "4"]},
        {"bbox_2d": [1, 2, 3, True]},
        {"bbox_2d": [3, 2, 1, 4]},
        {"bbox_2d": [1, 4, 3, 2]},
        {"bbox_2d": [1, 2, 3, float("nan")]},
        {"bbox_2d": [1, 2, 3, float("inf")]},
        {"bbox_2d": [1, 2, 3, 4], "image": 0},
        {"bbox_2d": [1, 2, 3, 4], "image": 2},
        {"bbox_2d": [1, 2, 3, 4], "image": "1"},
        {"bbox_2d": [1, 2, 3, 4], "image": True},
        5,
        [],
        None,
    ],
)
def test_what_is_malformed_is_left_out(entry: Any) -> None:
    good = {"bbox_2d": [1, 2, 3, 4]}
    assert len(places(_block(entry, good), [(10, 10)])) == 1


def test_boxes_end_at_the_border_of_the_picture() -> None:
    answer = _block({"bbox_2d": [-50, -1, 2000, 10**400]})
    assert places(answer, [(30, 20)])[0].box == (0, 0, 30, 20)


def test_odd_labels_and_confidences() -> None:
    answer = '```json\n[{"bbox_2d": [1,2,3,4], "label": "\\ud800x", "text_content": 5, "confidence": 7}]\n```'
    (place,) = places(answer, [(10, 10)])
    assert (place.label, place.text, place.confidence) == ("?x", "", None)
    place.label.encode()


def test_no_picture_no_place() -> None:
    assert places(BOXES, []) == ()


def test_many_places_are_bounded() -> None:
    answer = _block(*[{"bbox_2d": [1, 2, 3, 4]}] * (MAX_PLACES + 50))
    assert len(places(answer, [(10, 10)])) == MAX_PLACES
    assert len(places(answer[:-10], [(10, 10)])) == MAX_PLACES


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["bbox_2d", "label", "image", "confidence", "text_content", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
SIZES = st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), max_size=3)


@given(
    st.text(max_size=80)
    | st.text('`json\n[]{}":,bx_2d019 -.e\\u', max_size=80)
    | JSONISH.map(lambda value: f"x\n```json\n{json.dumps(value)}\n```")
    | st.tuples(JSONISH, st.integers(0, 200)).map(lambda cut: f"```json\n{json.dumps(cut[0])}"[: cut[1]]),
    SIZES,
)
@example("```json\n" + "[" * 100_000, [(1, 1)])
@example('```json\n{"bbox_2d":[1,2,3,1' + "0" * 5000 + "]}\n```", [(1, 1)])
@fixed
def test_any_text_at_all(answer: str, sizes: list[tuple[int, int]]) -> None:
    for place in places(answer, sizes):
        width, height = sizes[place.image - 1]
        x1, y1, x2, y2 = place.box
        assert 0 <= x1 <= x2 <= width
        assert 0 <= y1 <= y2 <= height
        assert place.confidence is None or 0 <= place.confidence <= 1
        f"{place.label}{place.text}".encode()
    without_places(answer)


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        (f"It is 5.\n\n{BOXES}", "It is 5."),
        (f"It is 5.\n\n{BOXES}\nMore.", "It is 5.\nMore."),
        (f"{BOXES}\n{BOXES}", ""),
        ("Use `ls`", "Use `ls`"),
        ("Use ``ls``", "Use ``ls``"),
        ("```python\nprint(1)\n```", "```python\nprint(1)\n```"),
        ('```json\n{"total": 5}\n```', '```json\n{"total": 5}\n```'),
        ('Cut:\n```json\n{"total": 5, "da', 'Cut:\n```json\n{"total": 5, "da'),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_as_a_person_reads_it(answer: str, read: str) -> None:
    assert without_places(answer) == read


@given(
    st.text("ab `。\n", max_size=30).filter(lambda text: "```" not in text and not text.endswith("`")),
    st.lists(
        st.fixed_dictionaries(
            {"bbox_2d": st.lists(st.integers(0, 1000), min_size=4, max_size=4)},
            optional={"label": st.text("ab金", max_size=5), "text_content": st.text("ab金", max_size=5)},
        ),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(["json", ""]),
    st.sampled_from([None, 2]),
    st.booleans(),
)
@fixed
def test_nothing_of_a_block_shows_while_it_is_being_written(
    text: str,
    entries: list[dict[str, Any]],
    name: str,
    indent: int | None,
    label_first: bool,  # noqa: FBT001 - a generated value
) -> None:
    if label_first:
        entries = [{"label": "x", **entry} for entry in entries]
    answer = f"{text}\n\n```{name}\n{json.dumps(entries, indent=indent, ensure_ascii=False)}\n```"
    for end in range(len(answer) + 1):
        assert text.rstrip().startswith(without_places(answer[:end])), answer[:end]
    assert without_places(answer) == text.rstrip()


@pytest.mark.parametrize(
    "answer",
    [
        "\n" * 300_000,
        "`" * 300_000,
        "\n```" * 80_000,
        "```json\n[" * 40_000,
        "```json\n" + "\n" * 300_000,
        ("\n" * 100 + "`") * 3_000,
        "```json\n" + "[{" * 100_000,
        "```json\n[" + '{"bbox_2d":[1,2,3,4]},' * 20_000,
    ],
    ids=lambda answer: repr(answer[:20]),
)
def test_no_text_takes_long(answer: str) -> None:
    began = time.process_time()
    without_places(answer)
    places(answer, [(10, 10)])
    assert time.process_time() - began < 1

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vlpro.chat.grounding import MAX_PLACES, Place, places, without_places

BOXES = '```json\n[\n  {"bbox_2d": [100, 200, 300, 400], "label": "total", "text_content": "5.00"}\n]\n```'
fixed = settings(derandomize=True, max_examples=100, database=None)


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
    assert [(place.image, place.box and place.box[2]) for place in found] == [(1, 10.0), (2, 20.0), (2, 20.0)]


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
        BOXES.replace("json", "JSON"),
        'The box is {"bbox_2d": [100, 200, 300, 400]}, as asked.',
        '{"objects": [{"bbox_2d": [100, 200, 300, 400]}], "count": 1}',
        '[1] and [{"bbox_2d": [100, 200, 300, 400]}',
        "[{'bbox_2d': [100, 200, 300, 400], 'label': 'it is \\'so\\''},]",
        '[{"bbox_2d": [100 200, 300,, 400,] "label": "x",},',
        '{bbox_2d: ["100", "200.0", 3e2, +400]}',
        '{"bbox_2d": "100, 200, 300, 400"}',
        '{"bbox_2d": "(100 200 300 400)"}',
        '{"bbox_2d": [[100, 200, 300, 400]]}',
        '{"bbox_2d": [300, 400, 100, 200]}',
        '{"bbox_2d": [100, 400, 300, 200]}',
        '{"label": "two\nlines", "bbox_2d": [100, 200, 300, 400]}',
        '<p data-bbox="100 200 300 400">text</p>',
        "```html\n<p class='x' data-bbox = '100, 200, 300, 400' id=1>text",
        "<!-- Table (100, 200, 300, 400) -->\n\\begin{tabular}{|c|}\n1\n\\end{tabular}",
        "<!--Image(100 200 300 400)-->",
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
        {"bbox_2d": [1, 2, 3, "four"]},
        {"bbox_2d": [1, 2, 3, "nan"]},
        {"bbox_2d": [1, 2, 3, None]},
        {"bbox_2d": [1, 2, 3, [4]]},
        {"bbox_2d": "1 2 3"},
        {"bbox_2d": {"x": 1}},
        {"bbox_2d": [1, 2, 3, True]},
        {"bbox_2d": [-400, 2, 3, 4]},
        {"bbox_2d": [1, 2, 3, 10**400]},
        {"bbox_2d": [1, 2]},
        {"point_2d": [1, 2, 3]},
        {"bbox_2d": [], "point_2d": []},
        [1, 2, 3, 4],
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


def test_a_point_in_pixels() -> None:
    answer = _block({"point_2d": [500, 250], "label": "knob", "confidence": 1})
    assert places(answer, [(200, 1000)]) == (
        Place(image=1, point=(100.0, 250.0), label="knob", confidence=1.0),
    )


def test_several_places_of_one_object() -> None:
    answer = _block({"bbox_2d": [[0, 0, 1, 1], [2, 2, 3, 3]], "point_2d": [[4, 5], [6, 7]], "label": "x"})
    found = places(answer, [(1000, 1000)])
    assert [place.box or place.point for place in found] == [(0, 0, 1, 1), (2, 2, 3, 3), (4, 5), (6, 7)]
    assert {place.label for place in found} == {"x"}


def test_elements_of_a_document() -> None:
    answer = """```html
<html><body>
<h1 data-bbox="0 0 1000 100">Fish &amp; <b>chips</b></h1>
<div class="image" data-bbox="0 100 500 200"><img data-bbox="10 110 490 190"/></div>
<table data-bbox="0 200 1000 900"><tr><td>1</td><td>2</td></tr></table> after
<p data-bbox="1 2 3">three numbers</p>
</body></html>
```"""
    assert [(place.label, place.text) for place in places(answer, [(10, 10)])] == [
        ("h1", "Fish & chips"),
        ("image", ""),
        ("img", ""),
        ("table", "1 2"),
    ]
    read = without_places(answer)
    assert '<h1>Fish &amp; <b>chips</b></h1>\n<div class="image"><img/></div>' in read
    assert read.count("data-bbox") == 1


def test_places_of_a_document_in_markdown() -> None:
    answer = (
        "# A\n\n<!-- Image (0, 0, 5, 5) -->\n\ntext\n\n<!-- Table (0, 5, 10, 10) -->\n| 1 |\n<!-- note -->"
    )
    assert [place.label for place in places(answer, [(10, 10)])] == ["Image", "Table"]
    assert without_places(answer) == "# A\n\n\n\ntext\n\n\n| 1 |\n<!-- note -->"


def test_places_end_at_the_border_of_the_picture() -> None:
    answer = _block({"bbox_2d": [-5, -1, 1003, 1000.4]}, {"point_2d": [1001, -1]})
    box, point = places(answer, [(30, 20)])
    assert (box.box, point.point) == ((0, 0, 30, 20), (30, 0))


@pytest.mark.parametrize("form", [_block, lambda *entries: f"There: {json.dumps(list(entries))}"])
def test_pixels_are_not_taken_for_thousandths(form: Any) -> None:
    """Of boxes measured in pixels, those near the picture's corner would look right and be wrong."""
    answer = form({"bbox_2d": [10, 20, 300, 400]}, {"bbox_2d": [1500, 800, 1900, 1000]})
    assert places(answer, [(4000, 3000)]) == ()
    assert without_places(answer) == answer
    markup = '<p data-bbox="1 2 3 4">a</p><p data-bbox="1 2 3 1200">b</p>'
    assert places(markup, [(4000, 3000)]) == ()


@pytest.mark.parametrize("code", ["python\nboxes = ", "js\n", "html\n"])
def test_a_code_block_of_another_language_is_code(code: str) -> None:
    answer = f'```{code}[{{"bbox_2d": [1, 2, 3, 4]}}]\n```'
    assert places(answer, [(10, 10)]) == ()
    assert without_places(answer) == answer


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
            st.sampled_from(["bbox_2d", "point_2d", "label", "image", "confidence", "text_content", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)
SIZES = st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 5000)), max_size=3)


WORDS = (
    *(
        "```json\n",
        "```",
        "\n",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "'",
        '"',
        "\\",
        "<",
        ">",
        "<p",
        "</p>",
        " ",
        "text",
    ),
    *('"bbox_2d"', '"point_2d"', "[1, 2, 3, 4]", "[5, 6]", '"label": "x"', "-", "7", "1e999", "NaN", "9999"),
    *(" data-bbox=", '"1 2 3 4"', "<!-- Table (1, 2, 3, 4) -->", "<!--", '{"bbox_2d": [1, 2, 3, 4]}'),
)
PIECES = st.lists(st.sampled_from(WORDS), max_size=25).map("".join)


@given(
    st.text(max_size=80)
    | st.text('`json\n[]{}":,bx_2d019 -.e\\u', max_size=80)
    | PIECES
    | JSONISH.map(lambda value: f"x\n```json\n{json.dumps(value)}\n```")
    | st.tuples(JSONISH, st.integers(0, 200)).map(lambda cut: f"```json\n{json.dumps(cut[0])}"[: cut[1]]),
    SIZES,
)
@example("```json\n" + "[" * 100_000, [(1, 1)])
@example('```json\n{"bbox_2d":[1,2,3,1' + "0" * 5000 + "]}\n```", [(1, 1)])
@settings(fixed, max_examples=300)
def test_any_text_at_all(answer: str, sizes: list[tuple[int, int]]) -> None:
    found = places(answer, sizes)
    for place in found:
        width, height = sizes[place.image - 1]
        assert (place.box is None) != (place.point is None)
        x1, y1, x2, y2 = place.box or (*(place.point or (-1, -1)), width, height)
        assert 0 <= x1 <= x2 <= width
        assert 0 <= y1 <= y2 <= height
        assert place.confidence is None or 0 <= place.confidence <= 1
        f"{place.label}{place.text}".encode()
    read = without_places(answer)
    if found:
        assert read != answer.rstrip()


@given(
    st.lists(
        st.tuples(
            st.text("ab 金.!?", max_size=10), st.sampled_from(["json", "", "bare", "html", "markdown", None])
        ),
        max_size=5,
    )
)
@fixed
def test_what_is_taken_for_places_is_not_read_and_the_rest_is(parts: list[tuple[str, str | None]]) -> None:
    forms = {
        "json": '\n```json\n[{"bbox_2d": [1, 2, 3, 4]}]\n```\n',
        "": '\n```\n[{"bbox_2d": [1, 2, 3, 4]}]\n```\n',
        "bare": ' {"bbox_2d": [1, 2, 3, 4]}',
        "html": '<p data-bbox="1 2 3 4">',
        "markdown": "<!-- Image (1, 2, 3, 4) -->",
        None: '\n```json\n{"total": [1]}\n```\n',
    }
    answer = "".join(text + forms[form] for text, form in parts)
    read = without_places(answer)
    assert len(places(answer, [(1, 1)])) == sum(form is not None for _, form in parts)
    assert places(read, [(1, 1)]) == ()
    assert without_places(read) == read
    kept = "".join(text + ("" if form else forms[form] if form is None else "") for text, form in parts)
    assert "".join(read.replace("<p>", "").split()) == "".join(kept.split())


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
        ('Here: [{"bbox_2d": [1, 2, 3, 4]}] it is.', "Here: it is."),
        ('One\n\n{"bbox_2d": [1, 2, 3, 4]},\n{"point_2d": [1, 2]}\n\ntwo', "One\n\ntwo"),
        ('[{"bbox_2d": [1, 2, 3, 4]}]', ""),
        ('Being written: [{"bbox_2d": [1, 2', "Being written:"),
        ('Being written: [{"lab', "Being written:"),
        ('Being written: [{"bbox_2d": [1, 2, 3, 4], "label": "a { b', "Being written:"),
        ('<p data-bbox="1 2', "<p"),
        ('<p data-bbox="1 2 3 4" class', "<p"),
        ("A\n<!-- Tab", "A"),
        ("A\n<!-- Table (1, 2, 3", "A"),
        ("see [1] and {x}", "see [1] and {x}"),
        ('the list ["a", "b"', 'the list ["a", "b"'),
        ("a {", "a {"),
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


UNITS = (
    *(
        "\n",
        "`",
        "\n```",
        "```json\n[",
        "\n" * 100 + "`",
        "[{",
        "{",
        "[ ",
        "[1,",
        "[]",
        "[}",
        "{'",
        '{"',
        "{'a",
    ),
    *(
        "['x\n",
        "{'\\'",
        '["\\',
        '["a",',
        "{a    ",
        '{"label":"x"',
        '{"bbox_2d":[1,2,3,4],"a":',
        "a",
        "1",
        "&",
    ),
    *('{"bbox_2d":[1,2,3,4]},', '{"bbox_2d":[1,2,3,4]} x\n', "<", "<a ", "<a", "<!--", "<!-- a(", "<!-- "),
    *('<p data-bbox="1 2 3 4">', ' data-bbox="', " data-bbox = ", " " * 100 + "data-bbox", "<p class = '"),
)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(
    ("before", "after"), [("", ""), ("```json\n[{'", ""), ("<p data-bbox='1 2 3 4'", ">")]
)
def test_no_text_takes_long(unit: str, before: str, after: str) -> None:
    answer = before + unit * (100_000 // len(unit)) + after
    began = time.process_time()
    without_places(answer)
    places(answer, [(10, 10)])
    assert (
        time.process_time() - began < 20
    )  # a tenth of a second is usual; what tries text again takes minutes


def test_a_megabyte_is_read() -> None:
    answer = "[" + '{"bbox_2d": [1, 2, 3, 4]}, ' * 40_000
    assert len(places(answer, [(10, 10)])) == MAX_PLACES
    assert without_places(answer) == ""

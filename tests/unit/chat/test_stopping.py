from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from vlpro.chat.stopping import StopCutter

LETTERS = st.text("ab。", max_size=24)


def _cut(text: str, stops: list[str]) -> str:
    """What an answer must be: letter by letter, until it ends with a stop string; of several, the longest."""
    for end in range(len(text) + 1):
        if met := [stop for stop in stops if stop and text[:end].endswith(stop)]:
            return text[: end - max(map(len, met))]
    return text


def _pieces(text: str, borders: list[int]) -> list[str]:
    ends = sorted({min(border, len(text)) for border in borders} | {0, len(text)})
    return [text[a:b] for a, b in itertools.pairwise(ends)] or [""]


@given(LETTERS, st.lists(st.text("ab。", max_size=4), max_size=4), st.lists(st.integers(0, 24), max_size=8))
@settings(derandomize=True, max_examples=600, database=None)
def test_equal_to_looking_at_the_whole_text(text: str, stops: list[str], borders: list[int]) -> None:
    cutter = StopCutter(stops)
    out = ""
    for piece in _pieces(text, borders):
        out += cutter.feed(piece)
        assert _cut(text, stops).startswith(out)  # nothing is passed on that would have to be taken back
    if not cutter.stopped:
        out += cutter.rest()
    assert out == _cut(text, stops)
    assert cutter.stopped == any(stop and stop in text for stop in stops)


def test_nothing_more_than_needed_is_held_back() -> None:
    cutter = StopCutter(["END"])
    assert [cutter.feed(piece) for piece in ("x", "E", "N", "x", "EE", "ND", "more")] == [
        "x", "", "", "ENx", "E", "", "",
    ]  # fmt: skip
    assert cutter.stopped


def test_without_stop_strings_text_passes_at_once() -> None:
    cutter = StopCutter(["", ""])
    assert cutter.feed("abc") == "abc"
    assert cutter.rest() == ""

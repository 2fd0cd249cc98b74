from __future__ import annotations

import re
from pathlib import Path

import pytest

from vlpro.ui import strings
from vlpro.ui.strings import STRINGS, text

FOLDER = Path(strings.__file__).parent


def _places(sentence: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", sentence))


@pytest.mark.parametrize("key", STRINGS)
def test_both_languages_say_it_with_the_same_values(key: str) -> None:
    chinese, english = STRINGS[key]
    assert chinese
    assert english
    assert _places(chinese) == _places(english)


@pytest.mark.parametrize("key", STRINGS)
def test_english_has_no_chinese_in_it(key: str) -> None:
    assert not re.search(r"[\u4e00-\u9fff]", STRINGS[key][1])


@pytest.mark.parametrize("key", STRINGS)
def test_chinese_is_spaced_from_digits_and_places(key: str) -> None:
    assert not re.search(r"[\u4e00-\u9fff][A-Za-z0-9{]|[A-Za-z0-9}][\u4e00-\u9fff]", STRINGS[key][0])


def test_nobody_is_shouted_at() -> None:
    assert not [key for key, pair in STRINGS.items() if "!" in "".join(pair) or "！" in "".join(pair)]


def test_every_sentence_is_used() -> None:
    files = [
        path for path in FOLDER.rglob("*") if path.suffix in {".py", ".js"} and path.name != "strings.py"
    ]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    composed = {
        key for key in STRINGS if re.fullmatch(r"status\.(ready|starting|down|busy|checking|loading)", key)
    }
    unused = {
        key for key in STRINGS if not re.search(rf"""["']{re.escape(key)}["']|words\.{key}\b""", source)
    }
    assert unused == composed - {"status.busy"}


def test_values_are_filled_in() -> None:
    assert text("picture", "en", number=3) == "Picture 3"
    assert text("picture", "zh", number=3) == "图 3"


def test_unknown_sentence_is_an_error() -> None:
    with pytest.raises(KeyError):
        text("nothing", "en")

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vlpro.gateway.pages import strings
from vlpro.gateway.pages.strings import FOR_ROUTES, STRINGS, text

TEMPLATES = Path(strings.__file__).parent / "templates"


def _places(sentence: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", sentence))


def test_both_languages_say_it_with_the_same_values() -> None:
    assert [key for key, pair in STRINGS.items() if not all(pair)] == []
    assert [key for key, (zh, en) in STRINGS.items() if _places(zh) != _places(en)] == []


def test_english_has_no_chinese_in_it() -> None:
    assert [key for key, (_, en) in STRINGS.items() if re.search(r"[\u4e00-\u9fff，。：]", en)] == []


def test_chinese_is_spaced_from_digits_and_places() -> None:
    unspaced = re.compile(r"[\u4e00-\u9fff][A-Za-z0-9{]|[A-Za-z0-9}][\u4e00-\u9fff]")
    assert [key for key, (zh, _) in STRINGS.items() if unspaced.search(zh)] == []


def test_nobody_is_shouted_at() -> None:
    assert not [key for key, pair in STRINGS.items() if "!" in "".join(pair) or "！" in "".join(pair)]


def test_a_person_is_addressed_in_errors_only() -> None:
    polite = {key for key, (chinese, _) in STRINGS.items() if "您" in chinese or "你" in chinese}
    assert {key for key in polite if not key.startswith(("drift.", "error.", "problem."))} == set()


def test_every_sentence_is_used() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in TEMPLATES.iterdir())
    unused = []
    for key in STRINGS:
        parts = key.split(".")
        composed = [  # "factor." ~ method ~ ".title"
            rf'"{re.escape(".".join(parts[:at]) + ".")}" ~ \w+'
            + (rf' ~ "{re.escape("." + ".".join(parts[at + 1 :]))}"' if parts[at + 1 :] else r"(?! ~)")
            for at in range(1, len(parts))
        ]
        if not re.search("|".join([rf'"{re.escape(key)}"', *composed]), source):
            unused.append(key)
    assert [key for key in unused if not key.startswith(FOR_ROUTES)] == []


def test_what_the_routes_say_is_in_no_template() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in TEMPLATES.iterdir())
    assert [key for key in STRINGS if key.startswith(FOR_ROUTES) and f'"{key}"' in source] == []


def test_values_are_filled_in() -> None:
    assert text("error.login_wrong", "en", left=3) == "User name or password is wrong. 3 tries left."
    assert text("error.login_wrong", "zh", left=3) == "用户名或密码不正确，还可尝试 3 次。"


def test_unknown_sentence_is_an_error() -> None:
    with pytest.raises(KeyError):
        text("nothing", "en")

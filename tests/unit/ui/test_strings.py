from __future__ import annotations

import re
from pathlib import Path

import pytest

from vlpro.audit.alerts.alert import Rule
from vlpro.audit.events import Event, Outcome
from vlpro.identity.labels import Level
from vlpro.identity.permissions import KEY_SCOPES, Role
from vlpro.ui import strings
from vlpro.ui.policy_settings import GROUPS, SETTINGS
from vlpro.ui.strings import STRINGS, text
from vlpro.ui.texts import SUBJECTS
from vlpro.ui.views.navigation import PLACES

FOLDER = Path(strings.__file__).parent
# Keys that are put together from a name: of a state, a role, a setting, a column.
_COMPOSED = re.compile(
    r"status\.(ready|starting|down|checking|loading)|(choice|column|confidential|factor|level|role|scope|setting|source)\..*"
    r"|(alert|event|field|group|outcome|period|what|why)\..*|export\.(csv|jsonl|record)"
    r"|verify\.(whole|wrong|stopped|failed|expected|found|meaning)"
    r"|compliance\.((file|filter|is)\..*)"
    r"|batches\.(is\..*|cancel|delete|keep|keep_results|pause|resume)"
    r"|knowledge\.((index|is)\..*|here|everywhere|filter\.(all|going|failed))"
    r"|receipts\.(delivery|state)\..*"
    r"|inspections\.((kind|method|source)\..*|pass|fail|review)"
    r"|policy\.(passwords|sign_in|sessions|accounts|addresses|keys|pages|conversations|privacy)"
)


def _places(sentence: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", sentence))


def test_both_languages_say_it_with_the_same_values() -> None:
    assert [key for key, pair in STRINGS.items() if not all(pair)] == []
    assert [key for key, (zh, en) in STRINGS.items() if _places(zh) != _places(en)] == []


def test_english_has_no_chinese_in_it() -> None:
    assert [key for key, (_, en) in STRINGS.items() if re.search(r"[\u4e00-\u9fff]", en)] == []


def test_chinese_is_spaced_from_digits_and_places() -> None:
    unspaced = re.compile(r"[\u4e00-\u9fff][A-Za-z0-9{]|[A-Za-z0-9}][\u4e00-\u9fff]")
    assert [key for key, (zh, _) in STRINGS.items() if unspaced.search(zh)] == []


def test_nobody_is_shouted_at() -> None:
    assert not [key for key, pair in STRINGS.items() if "!" in "".join(pair) or "！" in "".join(pair)]


def test_no_page_speaks_in_the_name_of_another() -> None:
    """Words of one file could replace those of another."""
    assert len(STRINGS) == sum(len(texts) for texts in SUBJECTS.values())
    for subject, texts in SUBJECTS.items():
        begins = {key.partition(".")[0] for key in texts}
        assert begins & SUBJECTS.keys() <= {subject}


def test_every_file_of_words_is_asked() -> None:
    assert {path.stem for path in (FOLDER / "texts").glob("*.py")} - {"__init__"} == set(SUBJECTS)


def test_every_sentence_is_used() -> None:
    files = [
        path for path in FOLDER.rglob("*") if path.suffix in {".py", ".js"} and path.parent.name != "texts"
    ]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    composed = {key for key in STRINGS if _COMPOSED.fullmatch(key)}
    used = set(re.findall(r"""(?<=["'])[^"'\s]+(?=["'])|(?<=words\.)\w+""", source))
    assert STRINGS.keys() - used <= composed


def test_what_is_composed_is_complete() -> None:
    def words(prefix: str) -> set[str]:
        return {key.removeprefix(prefix) for key in STRINGS if key.startswith(prefix)}

    assert words("setting.") == {f"{s.name}{end}" for s in SETTINGS for end in ("", ".help")}
    assert words("choice.") == {choice for setting in SETTINGS for choice in setting.choices}
    assert words("role.") == {*Role, "none"}
    assert words("level.") == {level.word for level in Level}
    assert words("scope.") == set(KEY_SCOPES)
    assert words("factor.") == {"totp", "passkey", "recovery", "none"}
    assert words("source.") == {"local", "ldap", "oidc"}
    assert words("event.") == {str(event) for event in Event}
    assert words("alert.") == {str(rule) for rule in Rule}
    assert words("outcome.") == {str(outcome) for outcome in Outcome}
    assert {f"policy.{group}" for group in GROUPS} <= set(STRINGS)
    assert {place.name for place in PLACES} <= set(STRINGS)


def test_values_are_filled_in() -> None:
    assert text("picture", "en", number=3) == "Picture 3"
    assert text("picture", "zh", number=3) == "图 3"


def test_unknown_sentence_is_an_error() -> None:
    with pytest.raises(KeyError):
        text("nothing", "en")

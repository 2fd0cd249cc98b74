from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.elastic.mappings import check
from vlpro.audit.events import Event, Outcome
from vlpro.audit.record import FIRST, Actor, Entry, make
from vlpro.audit.ship.documents import Document, of_checkpoint, of_record
from vlpro.audit.ship.fields import TYPES, kinds
from vlpro.audit.ship.syslog import message
from vlpro.masking import Masking

MAPPINGS = json.loads(
    (Path(__file__).parents[4] / "deploy/elk/index-template.json").read_text(encoding="utf-8")
)["template"]["mappings"]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
DETAILS = st.dictionaries(
    st.text("abcdefgh_", min_size=1),
    st.one_of(TEXTS, st.integers(-(2**53) + 1, 2**53 - 1), st.booleans(), st.none()),
)


def document(entry: Entry, *, masked: bool = False, problem: str = "") -> Document:
    record = make(entry, seq=7, prev=FIRST, now=1_700_000_000.25)
    return of_record(
        7,
        record.hash,
        record.data,
        log="log_1",
        masking=Masking() if masked else None,
        labels={"site": "suzhou"},
        problem=problem,
    )


@pytest.mark.parametrize("event", Event)
@pytest.mark.parametrize("outcome", Outcome)
def test_each_event_has_a_category_and_a_type_that_ecs_allows(event: Event, outcome: Outcome) -> None:
    categories, types = kinds(event, outcome)
    assert set(categories) <= TYPES.keys()
    assert set(types) <= set.union(*(TYPES[category] for category in categories))
    assert types


@pytest.mark.parametrize(
    ("event", "outcome", "expected"),
    [
        ("identity:session:begun", "ok", (["authentication", "session"], ["start"])),
        ("identity:session:ended", "ok", (["authentication", "session"], ["end"])),
        ("identity:factor:given", "refused", (["authentication"], ["info"])),
        ("identity:role:granted", "ok", (["iam"], ["change"])),
        ("gateway:request:refused", "refused", (["web"], ["info"])),
        ("chat:question:asked", "refused", (["api"], ["access", "denied"])),
        ("policy:version:decided", "ok", (["configuration"], ["change"])),
        ("what:is:new", "ok", (["process"], ["info"])),
        ("", "", (["process"], ["info"])),
    ],
)
def test_categories_and_types(event: str, outcome: str, expected: tuple[list[str], list[str]]) -> None:
    assert kinds(event, outcome) == expected


@given(
    login=TEXTS, address=TEXTS, detail=DETAILS, masked=st.booleans(), problem=st.sampled_from(["", "altered"])
)
def test_whatever_was_recorded_fits_the_mapping(
    login: str,
    address: str,
    detail: dict[str, Any],
    problem: str,
    masked: bool,  # noqa: FBT001
) -> None:
    entry = Entry(Event.SIGN_IN, Actor(login=login, address=address), object=login, detail=detail)
    made = document(entry, masked=masked, problem=problem)
    for one in (made, made.set_aside("because " * 1000)):
        assert b"\n" not in one.body
        content = json.loads(one.body)
        check(content, MAPPINGS, "")
        assert content["event"]["sequence"] == 7
        assert content["vlpro"]["hash"] == made.hash
        assert json.loads(content["event"]["original"])["seq"] == 7
        assert one.id == "log_1-7"


def test_a_checkpoint_fits_the_mapping_too() -> None:
    data = json.dumps({"time": "2026-11-27T00:00:48.123456Z", "root": "r", "prev": "p", "key": "k"}).encode()
    made = of_checkpoint(1000, data, b"s" * 64, log="log_1", labels={})
    for one in (made, made.set_aside("no")):
        check(json.loads(one.body), MAPPINGS, "")
        assert one.id == "log_1-c1000"
        assert json.loads(one.body)["vlpro"]["checkpoint"]["size"] == 1000


@pytest.mark.parametrize("data", [b"", b"[]", b"nonsense", b"\xff\xfe", b'{"event": 7, "time": null}'])
def test_what_is_no_record_any_more_is_a_document_all_the_same(data: bytes) -> None:
    made = of_record(
        7, b"h" * 32, data, log="log_1", masking=Masking(), labels={}, problem="its bytes are no record"
    )
    check(json.loads(made.body), MAPPINGS, "")
    assert json.loads(made.body)["vlpro"]["problem"]
    check(json.loads(of_checkpoint(7, data, b"", log="log_1", labels={}).body), MAPPINGS, "")


@given(login=TEXTS, detail=DETAILS)
def test_a_message_of_syslog_is_one_of_rfc_5424(login: str, detail: dict[str, Any]) -> None:
    made = document(Entry(Event.SIGN_IN, Actor(login=login), outcome=Outcome.REFUSED, detail=detail))
    sent = message(made, host="h", facility=13, sd_id="vlpro@32473")
    head, _, text = sent.partition(b"] \xef\xbb\xbf")
    assert head.startswith(
        b"<109>1 2023-11-14T22:13:20.250000Z h vlpro - identity:session:begun [vlpro@32473 id="
    )
    assert text == made.body or b"\xef\xbb\xbf" in login.encode()
    assert sent.endswith(made.body)

"""What people get, take out and find on the record, with the policy's masking on."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.functional.company import Company, company
from tests.functional.server import MODEL, chat, events, eventually, picture_file
from vlpro.db import sqlite_url
from vlpro.identity.permissions import Role

SAID = "call 13800138000 or a.zhang@example.com, 张三丰 has 11010519491231002X, order no 4111111111111111"
MASKED = "call 138****8000 or a******@example.com, 张** has 110105********002X, order no 4111111111111111"
HIDDEN = ("13800138000", "zhang@", "张三丰", "19491231")


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("firm")
    with company(folder, sqlite_url(folder)) as firm:
        firm.policy(mask_answers=True, mask_names=["张三丰"], audit_texts="encrypted")
        yield firm


def test_an_answer_is_masked_whole_and_in_a_stream(firm: Company) -> None:
    with firm.client(Role.USER) as li:
        whole = li.post("/v1/chat/completions", json=chat(SAID)).json()["choices"][0]["message"]["content"]
        assert MASKED in whole
        stream = li.post("/v1/chat/completions", json=chat(SAID, stream=True)).text
        pieces = [e["choices"][0]["delta"].get("content", "") for e in events(stream) if e.get("choices")]
        assert "".join(pieces) == whole
        assert len(pieces) > 10  # still a stream
        body = {"model": MODEL, "input": SAID}
        reply = li.post("/v1/responses", json=body).json()
        assert reply["output"][0]["content"][0]["text"] == whole
        told = li.post("/v1/responses", json=body | {"stream": True}).text
        assert not [hidden for hidden in HIDDEN if hidden in told]


def test_the_audit_holds_what_was_delivered(firm: Company) -> None:
    with firm.client(Role.USER) as li, firm.client(Role.AUDIT) as auditor:
        given = li.post("/v1/chat/completions", json=chat(SAID)).json()["choices"][0]["message"]["content"]
        newest = auditor.get("/v1/audit/records", params={"event": "chat:answer:"}).json()["data"][0]
        path = f"/v1/audit/records/{newest['seq']}/content"
        assert auditor.post(path, json={"reason": "case 2026-11"}).json()["texts"] == {"answers[0]": given}


def test_places_stay_and_their_words_are_masked(firm: Company) -> None:
    with firm.client(Role.USER) as li:
        plain = li.post("/v1/chat/completions", json=chat("a box please", picture_file(400, 300))).json()
        said = li.post("/v1/chat/completions", json=chat(f"a box: {SAID}", picture_file(400, 300))).json()
    assert (
        plain["vlpro"]["grounding"][0]["box"] == said["vlpro"]["grounding"][0]["box"] == [100, 75, 300, 225]
    )
    assert "[250, 250, 750, 750]" in said["choices"][0]["message"]["content"]


def test_json_stays_json(firm: Company) -> None:
    properties = {
        "phone": {"type": "string", "enum": ["13800138000"]},
        "number": {"type": "integer", "enum": [13800138000]},
    }
    form = {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {"type": "object", "properties": properties}},
    }
    with firm.client(Role.USER) as li:
        reply = li.post("/v1/chat/completions", json=chat("fill in", response_format=form)).json()
    found = json.loads(reply["choices"][0]["message"]["content"])
    assert found == {"phone": "138****8000", "number": 13800138000}


def test_the_page_shows_and_exports_it_masked(firm: Company) -> None:
    with firm.client(Role.USER) as li:
        held = li.post("/v1/conversations", json={}).json()["id"]
        li.post(f"/v1/conversations/{held}/messages", json={"text": SAID}).raise_for_status()

        def answer() -> str:
            messages = li.get(f"/v1/conversations/{held}").json()["messages"]
            return str(messages[-1]["text"]) if messages[-1]["status"] == "done" else ""

        eventually(lambda: bool(answer()))
        assert MASKED in answer()
        exported = li.post(f"/v1/conversations/{held}/exports", json={"format": "json"}).json()
        assert exported["messages"][0]["text"] == SAID  # one's own words: this policy leaves them
        firm.policy(mask_exports=True)
        li.get("/v1/models")  # the policy is read again
        exported = li.post(f"/v1/conversations/{held}/exports", json={"format": "json"}).json()
        assert exported["messages"][0]["text"] == MASKED
        assert not [hidden for hidden in HIDDEN if hidden in json.dumps(exported, ensure_ascii=False)]


def test_without_the_policy_nothing_is_masked(firm: Company) -> None:
    firm.policy(mask_answers=False)
    try:
        with firm.client(Role.USER) as li:
            li.get("/v1/models")  # the policy is read again
            reply = li.post("/v1/chat/completions", json=chat(SAID)).json()
            assert SAID in reply["choices"][0]["message"]["content"]
    finally:
        firm.policy(mask_answers=True)

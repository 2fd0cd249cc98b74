"""History over HTTP: what it says, to whom, and where nothing of it stands."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from tests.functional.company import Company, company
from tests.functional.server import eventually
from vlpro.chat.tables import conversations
from vlpro.db import sqlite_url
from vlpro.identity.permissions import Permission, Role

CANARY = "canary-5e17-金丝雀"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("history")


@pytest.fixture(scope="module")
def firm(folder: Path) -> Iterator[Company]:
    (folder / "data").mkdir(mode=0o700)
    with company(folder, sqlite_url(folder / "data")) as running:
        yield running


def talk(http: httpx.Client, text: str) -> str:
    """A conversation with one question and its answer."""
    name = str(http.post("/v1/conversations", json={}).json()["id"])
    assert http.post(f"/v1/conversations/{name}/messages", json={"text": text}).status_code == 202
    eventually(lambda: not http.get(f"/v1/conversations/{name}").json()["busy"])
    return name


def found(http: httpx.Client, text: str) -> list[str]:
    reply = http.post("/v1/conversations/search", json={"text": text})
    assert reply.status_code == 200, reply.text
    return [hit["id"] for hit in reply.json()["data"]]


def test_nothing_that_was_written_or_looked_for_is_in_a_file_or_a_log(
    firm: Company, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with firm.client(Role.USER) as http:
        name = talk(http, f"{CANARY} written")
        assert found(http, f"{CANARY} WRITTEN") == [name]
        hit = http.post("/v1/conversations/search", json={"text": "５ｅ１７"}).json()["data"][0]
        excerpt = hit["excerpt"]
        assert excerpt["text"][excerpt["begin"] : excerpt["end"]] == "5e17"
        assert http.put(f"/v1/conversations/{name}", json={"title": CANARY}).json()["title"] == CANARY
    wanted = [CANARY.encode(), b"canary-5e17", "金丝雀".encode(), b"%E9%87%91"]

    def holding() -> list[str]:
        data = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        data["log"] = caplog.text.encode()
        return [place for place, content in data.items() if any(canary in content for canary in wanted)]

    assert name.encode() in b"".join(path.read_bytes() for path in (folder / "data").glob("*.db*"))
    assert holding() == []
    logging.getLogger("tests").info("in clear: %s", CANARY)  # the positive controls
    (folder / "data" / "clear").write_text(CANARY, encoding="utf-8")
    assert holding() == [str(folder / "data" / "clear"), "log"]
    (folder / "data" / "clear").unlink()


def test_nobody_finds_lists_renames_or_deletes_what_is_somebody_elses(firm: Company) -> None:
    with firm.client(Role.USER) as http, firm.client(firm.other) as other:
        name = talk(http, "only mine, zebra")
        assert found(other, "zebra") == []
        assert name not in [item["id"] for item in other.get("/v1/conversations").json()["data"]]
        assert other.put(f"/v1/conversations/{name}", json={"title": "x"}).status_code == 404
        assert other.delete("/v1/conversations").json()["count"] == 0
        assert found(http, "zebra") == [name]


@pytest.mark.parametrize("role", [Role.SYSTEM, Role.SECURITY, Role.AUDIT])
def test_no_administrator_has_conversations(firm: Company, role: Role) -> None:
    with firm.client(role) as http:
        assert http.post("/v1/conversations/search", json={"text": "x"}).status_code == 403
        assert http.delete("/v1/conversations").status_code == 403
        assert http.put("/v1/conversations/conv_x", json={"title": "x"}).status_code == 403


def test_a_key_for_questions_only_searches_nothing(firm: Company) -> None:
    with firm.server.http(headers={"authorization": f"Bearer {firm.key()}"}) as http:
        assert http.post("/v1/conversations/search", json={"text": "x"}).status_code == 403
    key = firm.key(scopes=[Permission.CONVERSATION_USE])
    with firm.server.http(headers={"authorization": f"Bearer {key}"}) as http:
        assert http.post("/v1/conversations/search", json={"text": "x"}).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"text": ""}, {"text": "  "}, {"text": "x" * 201}, {"text": "x", "limit": 0}]
)
def test_wrong_searches(firm: Company, body: dict[str, object]) -> None:
    with firm.client(Role.USER) as http:
        reply = http.post("/v1/conversations/search", json=body)
        assert reply.status_code == 400
        assert reply.json()["error"]["param"] == ("limit" if "limit" in body else "text")


def test_pages(firm: Company) -> None:
    with firm.client(firm.other) as http:
        names = [talk(http, f"page {number}") for number in range(5)]
        first = http.get("/v1/conversations", params={"limit": 3}).json()
        last = http.get("/v1/conversations", params={"limit": 3, "after": first["next"]}).json()
        assert [item["id"] for item in (*first["data"], *last["data"])] == names[::-1]
        assert (first["total"], last["next"]) == (5, None)
        wrong = http.get("/v1/conversations", params={"after": "x"})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "after")


def test_what_was_altered_is_told_and_the_others_go_on_working(firm: Company) -> None:
    with firm.client(Role.USER) as http:
        bad, good = talk(http, "bad one"), talk(http, "good one")
        with firm.world.identity.database.write() as connection:
            where = conversations.c.id == bad
            connection.execute(sa.update(conversations).where(where).values(version=77))
        reply = http.get(f"/v1/conversations/{bad}")
        error = reply.json()["error"]
        assert (reply.status_code, error["code"]) == (500, "integrity_error")
        assert bad in error["message"]
        assert bad in error["vlpro"]["zh"]
        assert http.get(f"/v1/conversations/{good}").status_code == 200
        listed = {item["id"]: item["damaged"] for item in http.get("/v1/conversations").json()["data"]}
        assert (listed[bad], listed[good]) == (True, False)
        assert http.post("/v1/conversations/search", json={"text": "one"}).json()["damaged"] == 1
        assert http.delete(f"/v1/conversations/{bad}").status_code == 200
        assert http.get(f"/v1/conversations/{bad}").status_code == 404
    with firm.client(Role.AUDIT) as http:
        told = http.get("/v1/audit/records", params={"event": "chat:conversation:damaged"}).json()["data"]
        found = [(record["said"]["object"], record["said"]["outcome"]) for record in told]
        assert found == [(bad, "failed")]  # once, however often it was met


def test_who_signs_out_leaves_no_opened_text(firm: Company) -> None:
    searches = firm.server.services.conversations._history._search
    with firm.client(Role.USER) as http:
        talk(http, "opened for a search")
        found(http, "opened")
        assert firm.people[Role.USER].id in searches._people
        mine = http.get("/v1/account/sessions").json()["data"]
        current = next(one for one in mine if one["current"])
        assert http.delete(f"/v1/account/sessions/{current['id']}").status_code == 200
        assert firm.people[Role.USER].id not in searches._people


def test_the_policy_decides_what_is_stored_and_that_is_on_the_record(firm: Company) -> None:
    with firm.client(Role.USER) as http:
        name = talk(http, "stored")
        firm.policy(store_conversations=False)
        try:
            refused = http.post(f"/v1/conversations/{name}/messages", json={"text": "more"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "storing_is_off")
            fleeting = talk(http, "not stored")
            assert http.get(f"/v1/conversations/{fleeting}").json()["stored"] is False
        finally:
            firm.policy(store_conversations=True)
        assert http.get(f"/v1/conversations/{name}").json()["stored"] is True

"""What the audit holds of what happens, and that nothing happens without it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa

from tests.functional.browser import Browser
from tests.functional.company import Company, company
from tests.functional.server import Json, Server, chat, events, eventually, picture_file, run
from tests.people import PASSWORD
from vlpro.audit.events import Event
from vlpro.audit.record import Actor, Entry
from vlpro.audit.recorder import LogRecorder
from vlpro.audit.tables import records
from vlpro.config import Settings
from vlpro.db import sqlite_url
from vlpro.errors import AuditError
from vlpro.gateway import cookies
from vlpro.identity.permissions import Role


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("firm")
    with company(folder, sqlite_url(folder)) as running:
        yield running


def log_of(server: Server) -> LogRecorder:
    recorder = server.services.recorder
    assert isinstance(recorder, LogRecorder)
    return recorder


def told(server: Server, after: int = 0, event: Event | None = None) -> list[Json]:
    """Records after a number; that of the model's loading, which comes when it comes, only if it is asked for."""
    query = sa.select(records.c.data).where(records.c.seq > after).order_by(records.c.seq)
    if event is not None:
        query = query.where(records.c.event == str(event))
    else:
        query = query.where(records.c.event != str(Event.MODEL_LOADED))
    with log_of(server).audit.database.read() as connection:
        return [json.loads(data) for data in connection.execute(query).scalars()]


def last(server: Server) -> int:
    with log_of(server).audit.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.max(records.c.seq))).scalar_one())


def test_a_question_is_two_records(server: Server) -> None:
    before = last(server)
    picture = picture_file()
    reply = server.post("/v1/chat/completions", chat("what is it?", picture, temperature=0.2, max_tokens=50))
    asked, answered = told(server, before)
    assert (asked["event"], answered["event"]) == ("chat:question:asked", "chat:answer:completed")
    assert asked["request"] == answered["request"] == reply.headers["x-request-id"]
    assert (asked["login"], asked["role"], asked["address"]) == ("local", "user", "127.0.0.1")
    image = asked["detail"]["images"][0]
    assert image["sha256"] == reply.json()["vlpro"]["pictures"][0]["sha256"]
    assert (image["bytes"], image["format"], image["width"], image["height"]) == (len(picture), "png", 40, 30)
    assert asked["detail"]["parameters"]["temperature"] == 0.2
    assert asked["detail"]["question"]["chars"] == len("what is it?")
    assert (asked["detail"]["engine"], asked["detail"]["model"]) == ("fake", "vlpro-fake")
    assert answered["detail"]["asked"] == asked["seq"]
    assert answered["outcome"] == "ok"
    assert answered["detail"]["finish_reasons"] == ["stop"]
    usage = reply.json()["usage"]
    assert answered["detail"]["tokens"] == {
        "read": usage["prompt_tokens"],
        "written": usage["completion_tokens"],
    }
    text = json.dumps([asked, answered], ensure_ascii=False)
    assert "what is it" not in text  # neither the question nor the answer stands there readably
    assert reply.json()["choices"][0]["message"]["content"][:20] not in text


def test_a_question_is_recorded_as_it_was_written(server: Server) -> None:
    assert server.services.chat.engine.capabilities.sees  # so that words for the language go before it
    before = last(server)
    server.post("/v1/chat/completions", chat("这是什么？", picture_file())).raise_for_status()
    asked = told(server, before)[0]["detail"]
    assert asked["question"]["chars"] == len("这是什么？")
    assert asked["prompt"]["chars"] > len('[["user","这是什么？"]]')


def test_every_way_to_ask_is_on_the_record(server: Server) -> None:
    before = last(server)
    with server.http() as http:
        http.post("/v1/responses", json={"model": "vlpro", "input": "hello"}).raise_for_status()
        body = http.post("/v1/chat/completions", json=chat("hi", stream=True)).text
        assert events(body)
        talk = http.post("/v1/conversations", json={}).json()["id"]
        http.post(f"/v1/conversations/{talk}/messages", json={"text": "hi"}).raise_for_status()
        eventually(lambda: not http.get(f"/v1/conversations/{talk}").json()["busy"])
    found = told(server, before)
    assert [record["event"] for record in found] == ["chat:question:asked", "chat:answer:completed"] * 3
    assert [record["object"] for record in found] == ["", "", "", "", talk, talk]


def test_an_exported_conversation_is_on_the_record(server: Server) -> None:
    with server.http() as http:
        talk = http.post("/v1/conversations", json={}).json()["id"]
        before = last(server)
        assert http.post(f"/v1/conversations/{talk}/exports", json={"format": "pdf"}).status_code == 400
        taken = http.post(f"/v1/conversations/{talk}/exports", json={"format": "markdown"})
        assert taken.json()["id"] == talk
    (record,) = told(server, before)
    assert (record["event"], record["object"]) == ("chat:conversation:exported", talk)
    assert record["detail"] == {"conversations": 1, "format": "markdown", "pictures": [], "turns": 0}


def test_a_cleared_conversation_is_on_the_record(server: Server) -> None:
    with server.http() as http:
        talk = http.post("/v1/conversations", json={}).json()["id"]
        before = last(server)
        http.delete(f"/v1/conversations/{talk}").raise_for_status()
    (record,) = told(server, before)
    assert (record["event"], record["object"], record["login"]) == (
        "chat:conversation:cleared",
        talk,
        "local",
    )


def test_an_answer_that_was_stopped_is_on_the_record(slow: Server) -> None:
    before = last(slow)
    with (
        slow.http() as http,
        http.stream("POST", "/v1/chat/completions", json=chat("count to 9000", stream=True)) as s,
    ):
        next(s.iter_lines())
    request = s.headers["x-request-id"]  # the end of what another test has left may be recorded only now

    def of_it() -> list[Json]:
        return [record for record in told(slow, before) if record["request"] == request]

    eventually(lambda: len(of_it()) == 2)
    record = of_it()[1]
    assert (record["event"], record["outcome"], record["detail"]["why"]) == (
        "chat:answer:completed",
        "refused",
        "stopped",
    )
    assert record["detail"]["tokens"]["read"] > 0


def _broken(monkeypatch: pytest.MonkeyPatch, server: Server, which: Event) -> None:
    """Records of one kind cannot be written any more."""
    audit = log_of(server).audit
    submit, arecord = audit.submit, audit.arecord

    def refuse(entry: Any) -> Future[int]:
        if entry.event is not which:
            return submit(entry)
        done: Future[int] = Future()
        done.set_exception(AuditError("The disk is full."))
        return done

    async def arefuse(entry: Any) -> int:
        if entry.event is not which:
            return await arecord(entry)
        raise AuditError("The disk is full.")

    monkeypatch.setattr(audit, "submit", refuse)
    monkeypatch.setattr(audit, "arecord", arefuse)


@pytest.mark.parametrize("which", [Event.ASKED, Event.ANSWERED])
def test_without_its_record_nothing_is_answered(
    server: Server, monkeypatch: pytest.MonkeyPatch, which: Event
) -> None:
    """8.1.4.3 d."""
    _broken(monkeypatch, server, which)
    reply = server.post("/v1/chat/completions", chat("hi"))
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "audit_error")
    reply = server.post("/v1/responses", {"model": "vlpro", "input": "hi"})
    assert reply.status_code == 503
    with server.http() as http:
        talk = http.post("/v1/conversations", json={}).json()["id"]
        http.post(f"/v1/conversations/{talk}/messages", json={"text": "hi"}).raise_for_status()
        eventually(lambda: not http.get(f"/v1/conversations/{talk}").json()["busy"])
        answer = http.get(f"/v1/conversations/{talk}").json()["messages"][-1]
        assert (answer["status"], answer["error"]["code"]) == ("failed", "audit_error")
        streamed = http.post("/v1/chat/completions", json=chat("hi", stream=True))
    if which is Event.ASKED:
        assert streamed.status_code == 503
    else:
        assert "error" in events(streamed.text)[-1]
        assert "[DONE]" not in streamed.text
        assert '"finish_reason":"stop"' not in streamed.text


def test_an_engine_is_not_asked_before_the_question_is_on_the_record(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate = mock.Mock()
    monkeypatch.setattr(server.services.chat.engine, "generate", generate)
    _broken(monkeypatch, server, Event.ASKED)
    assert server.post("/v1/chat/completions", chat("hi")).status_code == 503
    generate.assert_not_called()


def test_a_full_disk_stops_answers_and_room_brings_them_back(tmp_path: Path) -> None:
    with run(Settings(engine="fake", data_dir=tmp_path)) as server:
        assert server.post("/v1/chat/completions", chat("hi")).status_code == 200
        database = log_of(server).audit.database
        with database.read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()

        def limit(most: int) -> None:
            def set_it(connection: Any, *_: Any) -> None:
                connection.execute(f"PRAGMA max_page_count={most}")

            sa.event.listen(database._engine, "checkout", set_it)

        limit(pages)
        body = chat("hi", *[picture_file(seed=seed) for seed in range(8)])
        eventually(lambda: server.post("/v1/chat/completions", body).status_code == 503)
        limit(1_000_000)
        assert server.post("/v1/chat/completions", chat("hi")).status_code == 200


# --- people ---


def test_what_people_do_is_on_the_record_once(firm: Company) -> None:
    before = last(firm.server)
    person = firm.world.person(
        "auditee", Role.USER, by=(firm.people[Role.SECURITY], firm.people[Role.SYSTEM])
    )
    with firm.server.http() as http:
        browser = Browser(http)
        browser.post("/login", login="auditee", password="wrong")
        browser.post("/login", login="my secret password", password="x")
        browser.follow(browser.post("/login", login="auditee", password=person.password))
        browser.post("/login/password", new=PASSWORD, repeat=PASSWORD)
    found = told(firm.server, before)
    assert [(r["event"], r["outcome"], r["login"]) for r in found] == [
        ("identity:session:begun", "refused", "auditee"),
        ("identity:session:begun", "refused", ""),
        ("identity:password:changed", "ok", "auditee"),
    ]
    assert "my secret password" not in json.dumps(found)
    assert {r["address"] for r in found} == {"127.0.0.1"}


def test_what_administrators_do_is_on_the_record_with_old_and_new(firm: Company) -> None:
    before = last(firm.server)
    with firm.client(Role.SYSTEM) as system, firm.client(Role.SECURITY) as security:
        made = system.post("/v1/accounts", json={"login": "newone", "name": "新人"}).json()["account"]
        path = f"/v1/accounts/{made['id']}"
        security.put(f"{path}/role", json={"role": "user"}).raise_for_status()
        security.put(f"{path}/level", json={"level": "public"}).raise_for_status()
        system.post(f"{path}/disable").raise_for_status()
        base = security.get("/v1/policy").json()["version"]
        security.put(
            "/v1/policy", json={"content": {"idle_minutes": 12}, "base": base, "note": "shorter"}
        ).raise_for_status()
        assert system.get("/v1/policy").status_code == 403
    eventually(lambda: len(told(firm.server, before)) == 6)
    found = told(firm.server, before)
    assert [(r["event"], r["login"], r["role"]) for r in found] == [
        ("identity:account:created", "sysadmin", "system"),
        ("identity:role:granted", "sec", "security"),
        ("identity:level:set", "sec", "security"),
        ("identity:account:changed", "sysadmin", "system"),
        ("policy:version:decided", "sec", "security"),
        ("gateway:request:refused", "sysadmin", "system"),
    ]
    assert all(r["session"].startswith("ses_") and r["request"].startswith("req_") for r in found)
    assert (found[1]["detail"]["old"], found[1]["detail"]["new"]) == (None, "user")
    assert found[4]["detail"]["changes"] == {"idle_minutes": {"old": 15, "new": 12}}
    assert found[5]["detail"]["path"] == "/v1/policy"


def test_a_change_whose_record_cannot_be_written_is_not_made(
    firm: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    _broken(monkeypatch, firm.server, Event.ACCOUNT_CREATED)
    with firm.client(Role.SYSTEM) as system:
        reply = system.post("/v1/accounts", json={"login": "neverwas", "name": "x"})
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "audit_error")
        assert system.get("/v1/accounts", params={"query": "neverwas"}).json()["data"] == []


def test_refusals_are_on_the_record_and_a_flood_of_them_is_counted(firm: Company) -> None:
    before = last(firm.server)
    with firm.server.http(headers={"authorization": "Bearer vlp_unknown"}) as program:
        for _ in range(50):
            assert program.get("/v1/models").status_code == 401
    eventually(lambda: bool(told(firm.server, before)))
    found = told(firm.server, before)
    assert len(found) == 1
    assert (found[0]["event"], found[0]["detail"]["why"]) == ("gateway:request:refused", "not_authenticated")


def test_a_wrong_key_is_on_the_record_though_it_asks_as_a_page_does(tmp_path: Path) -> None:
    disguised = {"authorization": "Bearer vlp_unknown", "x-vlpro-background": "1", "accept": "text/html"}
    with company(tmp_path, sqlite_url(tmp_path)) as fresh:  # the first refusal of its kind is told at once
        before = last(fresh.server)
        with fresh.server.http(headers=disguised) as program:
            assert program.get("/v1/models").status_code == 303  # to the way in, as a page is
        eventually(lambda: bool(told(fresh.server, before)))
        assert [entry["event"] for entry in told(fresh.server, before)] == ["gateway:request:refused"]


@pytest.mark.parametrize(
    "disguise", [{"x-vlpro-background": "1"}, {"accept": "text/html"}], ids=["asks", "visits"]
)
def test_a_session_that_never_was_is_on_the_record_and_one_that_ended_is_not(
    tmp_path: Path, disguise: dict[str, str]
) -> None:
    """A page whose session has ended asks and visits like that all day; who asks is told the same."""
    with company(tmp_path, sqlite_url(tmp_path)) as fresh:
        ended = fresh.world.session(fresh.people[Role.USER])
        fresh.world.identity.sessions.end_all(fresh.people[Role.USER].id)
        before = last(fresh.server)

        def ask(token: str) -> tuple[int, str, list[tuple[str, str]]]:
            headers = {"cookie": f"{cookies.SESSION}={token}"} | disguise
            with fresh.server.http(headers=headers, follow_redirects=False) as page:
                reply = page.get("/v1/models")
            body = reply.text.replace(reply.headers["x-request-id"], "")
            same = [(k, v) for k, v in reply.headers.items() if k not in ("date", "x-request-id")]
            return reply.status_code, body, same

        answer = ask(ended)
        assert answer[0] in (401, 303)
        other = ended[:-2] + ("AA" if ended[-2:] != "AA" else "BB")
        for made_up in (other, "A" * len(ended), "unknown", ended[:43], *(f"flood{n}" for n in range(40))):
            assert ask(made_up) == answer
        assert ask(ended) == answer
        eventually(lambda: bool(told(fresh.server, before)))
        found = told(fresh.server, before)
        assert [(entry["event"], entry["detail"]["why"]) for entry in found] == [
            ("gateway:request:refused", "forged_session")
        ]


def test_a_loaded_model_is_on_the_record(server: Server) -> None:
    eventually(lambda: bool(told(server, event=Event.MODEL_LOADED)))
    assert told(server, event=Event.MODEL_LOADED)[0]["detail"] == {"engine": "fake", "model": "vlpro-fake"}


def test_the_service_records_its_start_and_stop(tmp_path: Path) -> None:
    for _ in range(2):
        with run(Settings(engine="fake", data_dir=tmp_path)):
            pass
    with run(Settings(engine="fake", data_dir=tmp_path)) as server:
        found = [record["event"] for record in told(server)]
    assert found == [
        "audit:log:begun",
        *(["system:service:started", "system:service:stopped"] * 2),
        "system:service:started",
    ]


# --- who reads it ---


def test_the_audit_administrator_reads_the_record_and_is_on_it(firm: Company) -> None:
    with firm.client(Role.USER) as li:
        li.post("/v1/chat/completions", json=chat("hi", picture_file())).raise_for_status()
    with firm.client(Role.AUDIT) as auditor:
        before = last(firm.server)

        def find(**wanted: Any) -> list[Json]:
            reply = auditor.get("/v1/audit/records", params=wanted)
            reply.raise_for_status()
            return list(reply.json()["data"])

        asked = find(event="chat:question:asked", login="liwei")[0]
        assert asked["said"]["detail"]["images"]
        assert find(event="chat:", login="liwei", outcome="ok")
        assert find(object="no such thing") == find(login="nobody") == find(until=1) == []
        assert find(session=asked["said"]["session"])[-1]["said"]["login"] == "liwei"
        found = find(text=asked["said"]["detail"]["images"][0]["sha256"].upper(), event="chat:")
        assert [record["seq"] for record in found] == [asked["seq"]]
        numbers = [record["seq"] for record in find(before=asked["seq"])]
        assert numbers == sorted(numbers, reverse=True)
        assert numbers[0] < asked["seq"]
        assert auditor.get(f"/v1/audit/records/{asked['seq']}").json() == asked
        assert auditor.get("/v1/audit/records/999999999").status_code == 404
        standing = auditor.get("/v1/audit/standing").json()
        assert standing["size"] >= asked["seq"]
        assert standing["first"] == 1
        found = [r for r in told(firm.server, before) if r["event"] == "audit:log:queried"]
        assert len(found) == 8
        assert found[0]["login"] == "auditor"
        assert found[0]["detail"] == {"event": "chat:question:asked", "login": "liwei"}


def test_nobody_else_reads_it_and_nobody_alters_it(firm: Company) -> None:
    for role in (Role.USER, Role.SYSTEM, Role.SECURITY):
        with firm.client(role) as person:
            for path in ("/v1/audit/records", "/v1/audit/records/1", "/v1/audit/standing"):
                assert person.get(path).status_code == 403
    with firm.client(Role.AUDIT) as auditor:
        for method in ("DELETE", "PUT", "PATCH", "POST"):
            assert auditor.request(method, "/v1/audit/records/1").status_code in (404, 405)
            assert auditor.request(method, "/v1/audit/records").status_code in (404, 405)


def test_reading_what_people_wrote_takes_a_reason_and_is_recorded(firm: Company) -> None:
    with firm.client(Role.AUDIT) as auditor, firm.client(Role.USER) as li:
        li.post("/v1/chat/completions", json=chat("a hashed question")).raise_for_status()
        newest = auditor.get("/v1/audit/records", params={"event": "chat:question:asked"}).json()["data"][0]
        path = f"/v1/audit/records/{newest['seq']}/content"
        assert (
            auditor.post(path, json={"reason": "case 2026-11"}).json()["error"]["code"] == "content_not_kept"
        )
        firm.policy(audit_texts="encrypted")
        li.get("/v1/models")  # the policy is read again
        answer = li.post("/v1/chat/completions", json=chat("an encrypted question")).json()
        records_of = auditor.get("/v1/audit/records", params={"event": "chat:"}).json()["data"]
        answered, asked = records_of[0], records_of[1]
        for reason in ({}, {"reason": ""}, {"reason": "   .   "}):
            assert auditor.post(f"/v1/audit/records/{asked['seq']}/content", json=reason).status_code == 400
        before = last(firm.server)
        texts = auditor.post(
            f"/v1/audit/records/{asked['seq']}/content", json={"reason": "case 2026-11"}
        ).json()
        assert texts["texts"] == {"question": "an encrypted question"}
        texts = auditor.post(
            f"/v1/audit/records/{answered['seq']}/content", json={"reason": "case 2026-11"}
        ).json()
        assert texts["texts"] == {"answers[0]": answer["choices"][0]["message"]["content"]}
        looked = told(firm.server, before)
        assert [(r["event"], r["login"], r["object"], r["detail"]["reason"]) for r in looked] == [
            ("audit:content:viewed", "auditor", f"record_{asked['seq']}", "case 2026-11"),
            ("audit:content:viewed", "auditor", f"record_{answered['seq']}", "case 2026-11"),
        ]
        assert (
            li.post(f"/v1/audit/records/{asked['seq']}/content", json={"reason": "mine"}).status_code == 403
        )
    firm.policy(audit_texts="hashed")


# --- verified and taken out by its administrator ---


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Company]:
    """A company whose record may be altered."""
    with company(tmp_path, sqlite_url(tmp_path), alerts={"thresholds": {"exports": 3}}) as running:
        # So that it comes in the middle of no test.
        eventually(lambda: bool(told(running.server, event=Event.MODEL_LOADED)))
        yield running


def verified(auditor: Any) -> Json:
    """Begin a verification and wait for its end; returns what it found."""
    assert auditor.post("/v1/audit/verification").status_code == 202
    eventually(lambda: not auditor.get("/v1/audit/verification").json()["running"], timeout_s=60)
    return dict(auditor.get("/v1/audit/verification").json()["last"])


def test_the_record_is_verified_on_the_record(small: Company) -> None:
    with small.client(Role.AUDIT) as auditor:
        assert auditor.get("/v1/audit/verification").json() == {
            "object": "audit.verification",
            "running": False,
            "by": "",
            "began": None,
            "read": 0,
            "of": 0,
            "last": None,
        }
        before = last(small.server)
        found = verified(auditor)
        assert (found["result"], found["by"], found["first"], found["last"]) == (
            "whole",
            "auditor",
            1,
            before,
        )
        assert len(bytes.fromhex(found["root"])) == 32
        (record,) = told(small.server, before, Event.LOG_VERIFIED)
        assert (record["outcome"], record["login"], record["seq"]) == ("ok", "auditor", found["seq"])
        assert record["session"]
        assert record["detail"]["size"] == before
        assert record["detail"]["root"] == found["root"]
        assert record["detail"]["seconds"] > 0

        with log_of(small.server).audit.database.write() as connection:
            connection.execute(
                sa.text("UPDATE audit_records SET data = CAST(replace(data, 'auditor', 'another') AS BLOB)"
                        " WHERE seq = :seq"), {"seq": record["seq"]})  # fmt: skip
        found = verified(auditor)
        assert (found["result"], found["finding"], found["record"]) == ("wrong", "altered", record["seq"])
        assert found["message"].startswith(f"record {record['seq']}: it was altered")
        assert found["message_zh"].startswith(f"第 {record['seq']} 条记录：内容被改动")
        assert found["expected"] != found["found"]
        assert told(small.server, before, Event.LOG_VERIFIED)[-1]["outcome"] == "failed"


def test_a_verification_knows_the_copies_of_checkpoints_and_sm2(tmp_path: Path) -> None:
    copies = tmp_path / "copies"
    with company(tmp_path, sqlite_url(tmp_path), audit_copy=copies, crypto="gm") as firm:
        log_of(firm.server).audit._every_records = 1
        with firm.client(Role.AUDIT) as auditor:
            auditor.get("/v1/audit/records")
            eventually(copies.exists)
            found = verified(auditor)
            assert found["copies"] >= 1
            assert found["sm2"] >= found["copies"]
            assert found["sm2_unchecked"] == 0
            log_of(firm.server).audit._every_records = 10**9
            auditor.get("/v1/audit/records").raise_for_status()  # what is signed now begins before it
            eventually(lambda: log_of(firm.server).audit._cosigning is None)
            copies.write_text("")
            assert "no copies of checkpoints" in verified(auditor)["message"]


def test_one_verification_at_a_time_and_it_can_be_stopped(
    small: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vlpro.audit.verification._MODULE", "tests.functional.endless")
    with small.client(Role.AUDIT) as auditor:
        before = last(small.server)
        auditor.post("/v1/audit/verification").raise_for_status()
        eventually(lambda: auditor.get("/v1/audit/verification").json()["of"] == 7)
        state = auditor.get("/v1/audit/verification").json()
        assert (state["running"], state["by"], state["read"]) == (True, "auditor", 3)
        again = auditor.post("/v1/audit/verification")
        assert (again.status_code, again.json()["error"]["code"]) == (409, "verification_running")
        (child,) = children()
        stopped = auditor.post("/v1/audit/verification/stop").json()
        assert not stopped["running"]
        assert (stopped["last"]["result"], stopped["last"]["stopped_by"]) == ("stopped", "auditor")
        assert not Path(f"/proc/{child}").exists()
        (record,) = told(small.server, before, Event.LOG_VERIFIED)
        assert record["outcome"] == "failed"
        assert (
            auditor.post("/v1/audit/verification/stop").json()["last"] == stopped["last"]
        )  # nothing goes on


def test_a_service_that_stops_leaves_no_verification_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vlpro.audit.verification._MODULE", "tests.functional.endless")
    with company(tmp_path, sqlite_url(tmp_path)) as firm, firm.client(Role.AUDIT) as auditor:
        auditor.post("/v1/audit/verification").raise_for_status()
        eventually(lambda: auditor.get("/v1/audit/verification").json()["of"] == 7)
        (child,) = children()
    assert not Path(f"/proc/{child}").exists()
    with closing(sqlite3.connect(tmp_path / "data" / "audit.db")) as database:
        query = "SELECT data FROM audit_records WHERE event = 'audit:log:verified'"
        (record,) = [json.loads(data) for (data,) in database.execute(query)]
    assert (record["outcome"], record["detail"]["result"]) == ("failed", "stopped")


def children() -> list[int]:
    """The processes that verify for this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # one that has ended meanwhile
            words = path.read_bytes().split(b"\0")
            if (
                b"tests.functional.endless" in words
                and f"PPid:\t{os.getpid()}\n" in path.with_name("status").read_text()
            ):
                found.append(int(path.parent.name))
    return found


def taken(auditor: Any, kind: str, reason: str = "case 2026-11", **wanted: Any) -> Any:
    """Export, and fetch the file; returns the answer."""
    asked = {"format": kind, "reason": reason, "filter": wanted}
    made = auditor.post("/v1/audit/exports", json=asked)
    made.raise_for_status()
    reply = auditor.get(f"/v1/audit/exports/{made.json()['id']}/file")
    reply.raise_for_status()
    assert reply.headers["content-disposition"] == f'attachment; filename="{made.json()["name"]}"'
    assert reply.headers["cache-control"] == "no-store"
    return reply


def test_the_whole_record_is_exported_and_verifies_elsewhere(small: Company, tmp_path: Path) -> None:
    log_of(small.server).audit._every_records = 5
    with small.client(Role.AUDIT) as auditor:
        for _ in range(8):
            auditor.get("/v1/audit/records").raise_for_status()
        before = last(small.server)
        reply = taken(auditor, "record", "inspection of 2026")
        file = tmp_path / "record.jsonl"
        file.write_bytes(reply.content)
        key = auditor.get("/v1/audit/standing").json()["key"]
        eventually(lambda: len(told(small.server, before)) == 2)
    begun, ended = told(small.server, before)
    assert (begun["event"], begun["outcome"], begun["login"]) == ("audit:log:exported", "ok", "auditor")
    assert begun["detail"]["reason"] == "inspection of 2026"
    assert (begun["detail"]["format"], begun["detail"]["first"], begun["detail"]["last"]) == (
        "record",
        1,
        before,
    )
    assert begun["detail"]["root"]
    assert (ended["event"], ended["outcome"]) == ("audit:export:ended", "ok")
    assert (ended["detail"]["export"], ended["detail"]["records"]) == (begun["seq"], before)
    assert ended["detail"]["bytes"] == len(reply.content)
    assert ended["detail"]["sha256"] == hashlib.sha256(reply.content).hexdigest()
    command = [sys.executable, "-m", "vlpro", "audit", "verify", "--export", str(file), "--key", key]
    environment = os.environ | {"VLPRO_DATA_DIR": str(tmp_path / "elsewhere"), "LANG": "C.UTF-8"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Audit records 1 to {before} are whole and unaltered" in done.stdout
    file.write_bytes(reply.content.replace(b"auditor", b"another", 1))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1


def test_what_the_filters_show_is_exported_for_a_spreadsheet(small: Company) -> None:
    with small.client(Role.AUDIT) as auditor:
        for text in ("=cmd|' /C calc'!A0", "中文，逗号", "plain"):
            auditor.get("/v1/audit/records", params={"object": text})
        reply = taken(auditor, "csv", event="audit:log:queried")
        assert reply.headers["content-type"] == "text/csv; charset=utf-8"
        assert reply.content.startswith(b"\xef\xbb\xbfseq,time,event,")
        rows = list(csv.DictReader(io.StringIO(reply.content.decode("utf-8-sig"), newline="")))
        assert [row["event"] for row in rows] == ["audit:log:queried"] * 3
        assert [json.loads(row["detail"])["object"] for row in rows] == [
            "=cmd|' /C calc'!A0",
            "中文，逗号",
            "plain",
        ]
        numbers = [int(row["seq"]) for row in rows]
        assert numbers == sorted(numbers)
        lines = [json.loads(line) for line in taken(auditor, "jsonl", text="逗号").text.splitlines()]
        assert [line["record"]["detail"]["object"] for line in lines[:1]] == ["中文，逗号"]
        assert lines[0]["hash"]
        assert taken(auditor, "csv", login="nobody").text.count("\r\n") == 1


def test_an_export_takes_a_reason_once_and_its_own_person(small: Company) -> None:
    with small.client(Role.AUDIT) as auditor:
        before = last(small.server)
        for asked, param in (
            ({"format": "csv", "reason": "  .  "}, "reason"),
            ({"format": "csv"}, "reason"),
            ({"format": "pdf", "reason": "case 2026"}, "format"),
            ({"format": "record", "reason": "case 2026", "filter": {"login": "li"}}, "filter"),
            ({"format": "csv", "reason": "case 2026", "filter": {"colour": "red"}}, "filter.colour"),
        ):
            reply = auditor.post("/v1/audit/exports", json=asked)
            assert (reply.status_code, reply.json()["error"]["param"]) == (400, param)
        made = auditor.post("/v1/audit/exports", json={"format": "csv", "reason": "case 2026"}).json()
        path = f"/v1/audit/exports/{made['id']}/file"
        second = small.world.person(
            "auditor2", Role.AUDIT, by=(small.people[Role.SECURITY], small.people[Role.SYSTEM])
        )
        with small.client(second) as other:
            assert other.get(path).json()["error"]["code"] == "export_not_found"
        assert not told(small.server, before, Event.LOG_EXPORTED)
        assert auditor.get(path).status_code == 200
        assert auditor.get(path).json()["error"]["code"] == "export_not_found"
        assert len(told(small.server, before, Event.LOG_EXPORTED)) == 1


def test_nothing_goes_out_that_cannot_be_recorded(small: Company) -> None:
    with small.client(Role.AUDIT) as auditor:
        made = auditor.post("/v1/audit/exports", json={"format": "record", "reason": "case 2026"}).json()

        async def refused(_: Any) -> int:
            raise AuditError("no")

        with mock.patch.object(log_of(small.server), "arecord", refused):
            reply = auditor.get(f"/v1/audit/exports/{made['id']}/file")
        assert reply.status_code == 503
        assert b"record" not in reply.content.split(b"error")[0]


def test_who_breaks_an_export_off_is_on_the_record(small: Company) -> None:
    fill(small.server, 3_000)
    with small.client(Role.AUDIT) as auditor:
        before = last(small.server)
        made = auditor.post("/v1/audit/exports", json={"format": "record", "reason": "case 2026"}).json()
        with auditor.stream("GET", f"/v1/audit/exports/{made['id']}/file") as reply:
            next(reply.iter_raw())
        eventually(lambda: bool(told(small.server, before, Event.LOG_EXPORT_ENDED)))
    (ended,) = told(small.server, before, Event.LOG_EXPORT_ENDED)
    assert (ended["outcome"], ended["detail"]["why"]) == ("failed", "client_gone")
    assert 0 < ended["detail"]["records"] < before


def fill(server: Server, number: int) -> None:
    """More records than fit into what lies between a server and its client."""
    log = log_of(server).audit
    waiting = [
        log.submit(Entry(Event.LOG_QUERIED, Actor(login="li"), detail={"text": "x" * 8000}))
        for _ in range(number)
    ]
    for each in waiting:
        each.result()


def test_many_exports_raise_an_alert(small: Company) -> None:
    with small.client(Role.AUDIT) as auditor:
        before = last(small.server)
        for kind in ("csv", "jsonl", "record"):
            taken(auditor, kind)
    eventually(lambda: bool(told(small.server, before, Event.ALERT_RAISED)))
    (alert,) = told(small.server, before, Event.ALERT_RAISED)
    assert (alert["detail"]["rule"], alert["detail"]["subject"], alert["detail"]["count"]) == (
        "mass_export",
        "auditor",
        3,
    )


def test_nobody_else_verifies_or_takes_out(firm: Company) -> None:
    with firm.client(Role.AUDIT) as auditor:
        made = auditor.post("/v1/audit/exports", json={"format": "csv", "reason": "case 2026"}).json()
    key = firm.key(Role.USER, scopes=["chat:answer:create"])
    for who, headers in (
        (Role.USER, {}),
        (Role.SYSTEM, {}),
        (Role.SECURITY, {}),
        (None, {"authorization": f"Bearer {key}"}),
    ):
        with firm.client(who, **headers) as person:
            for method, path in (
                ("GET", "verification"),
                ("POST", "verification"),
                ("POST", "verification/stop"),
                ("POST", "exports"),
                ("GET", f"exports/{made['id']}/file"),
            ):
                body = {"format": "csv", "reason": "case 2026"} if path == "exports" else None
                reply = person.request(method, f"/v1/audit/{path}", json=body)
                assert reply.status_code == 403, (who, path)

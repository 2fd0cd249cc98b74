"""Batches over HTTP: with the official client, with files of every kind, and when the service dies in the middle."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import httpx
import openai
import pytest

from tests.functional.company import Company, company
from tests.functional.server import MODEL, Json, Server, chat, eventually, picture_file, run
from tests.unit.imaging import pdfs
from vlpro.audit.events import Event
from vlpro.audit.query import Filter
from vlpro.config import Settings
from vlpro.db import sqlite_url
from vlpro.engines.fake import FakeEngine
from vlpro.identity.permissions import Role
from vlpro.workflows.batch.options import BatchOptions

CHAT: Literal["/v1/chat/completions"] = "/v1/chat/completions"


def request(name: str, body: Json, **fields: object) -> Json:
    return {"custom_id": name, "method": "POST", "url": CHAT, "body": body} | fields


def jsonl(*lines: Json | str) -> bytes:
    return "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode()


def zipped(**files: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/"), data)
    return made.getvalue()


def upload(http: httpx.Client, data: bytes, name: str = "a.zip", purpose: str = "user_data") -> str:
    reply = http.post("/v1/files", files={"file": (name, data)}, data={"purpose": purpose})
    assert reply.status_code == 200, reply.text
    return str(reply.json()["id"])


def begin(http: httpx.Client, *files: str, **fields: object) -> str:
    asked = {"input": {"file_ids": list(files)}, "instruction": "what is it?"} | fields
    reply = http.post("/v1/batches", json={k: v for k, v in asked.items() if v is not None})
    assert reply.status_code == 200, reply.text
    return str(reply.json()["id"])


def ended(http: httpx.Client, name: str) -> Json:
    found: list[Json] = []

    def is_over() -> bool:
        found[:] = [http.get(f"/v1/batches/{name}").json()]
        return found[0]["status"] in ("completed", "failed", "cancelled", "expired")

    eventually(is_over)
    return found[0]


def lines(http: httpx.Client, name: str) -> list[Json]:
    data: list[Json] = http.get(f"/v1/batches/{name}/lines", params={"limit": 200}).json()["data"]
    return data


def test_as_openais_own_client_has_it(server: Server) -> None:
    client = server.openai()
    good = [request(f"r{i}", chat(f"question {i}", picture_file(seed=i))) for i in range(3)]
    data = jsonl(
        *good,
        request("", chat()),
        "",
        "no json",
        request("r1", chat()),
        request("other", chat(), url="/v1/responses"),
        request("streamed", chat(stream=True)),
        request("refused", {"model": MODEL, "messages": []}),
    )
    sent = client.files.create(file=("问题.jsonl", data), purpose="batch")
    assert (sent.filename, sent.bytes, sent.purpose, sent.status) == (
        "问题.jsonl",
        len(data),
        "batch",
        "processed",
    )
    assert client.files.content(sent.id).content == data
    made = client.batches.create(
        input_file_id=sent.id, endpoint=CHAT, completion_window="24h", metadata={"month": "11"}
    )
    assert (made.object, made.status, made.input_file_id) == ("batch", "validating", sent.id)
    with server.http() as http:
        ended(http, made.id)
    batch = client.batches.retrieve(made.id)
    assert batch.status == "completed"
    assert batch.metadata == {"month": "11"}
    assert batch.request_counts is not None
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (9, 3, 6)
    assert batch.usage is not None
    assert batch.usage.total_tokens == batch.usage.input_tokens + batch.usage.output_tokens > 0
    assert batch.created_at <= (batch.in_progress_at or 0) <= (batch.completed_at or 0)
    assert batch.output_file_id
    assert batch.error_file_id
    output = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    assert [line["custom_id"] for line in output] == ["r0", "r1", "r2"]
    for number, line in enumerate(output):
        assert line.keys() == {"id", "custom_id", "response", "error"}
        assert line["error"] is None
        assert line["response"].keys() == {"status_code", "request_id", "body"}
        assert line["response"]["status_code"] == 200
        answer = openai.types.chat.ChatCompletion.model_validate(line["response"]["body"])
        assert f"question {number}" in (answer.choices[0].message.content or "")
    errors = [json.loads(line) for line in client.files.content(batch.error_file_id).text.splitlines()]
    assert [(e["custom_id"], (e["error"] or {}).get("code")) for e in errors] == [
        ("", "invalid_custom_id"),
        ("", "invalid_json"),
        ("r1", "duplicate_custom_id"),
        ("other", "mismatched_url"),
        ("streamed", "stream_not_possible"),
        ("refused", None),
    ]
    assert errors[-1]["response"]["status_code"] == 400
    assert errors[-1]["response"]["body"]["error"]["param"] == "messages"
    results = client.files.retrieve(batch.output_file_id)
    assert (results.purpose, results.bytes) == ("batch_output", len(client.files.content(results.id).content))
    assert made.id in [each.id for each in client.batches.list(limit=2)]
    assert sent.id in [each.id for each in client.files.list(purpose="batch")]
    client.files.delete(sent.id)
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(sent.id)
    client.files.delete(batch.error_file_id)
    assert client.files.content(batch.output_file_id).text  # the other results stay


def test_a_file_that_is_wrong_is_its_own_error_and_the_rest_goes_on(server: Server) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    gbk = zipfile.ZipInfo("1.png")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(gbk, picture_file(seed=1))
        archive.writestr(link, b"/etc/passwd")
        archive.writestr("../../out.png", picture_file())
        archive.writestr("inner.zip", zipped(a=picture_file()))
        archive.writestr("bomb.png", bytes(3_000_000))
        archive.writestr("half.png", picture_file(seed=2)[:200])
        archive.writestr("__MACOSX/._a", b"left behind")
        archive.writestr("page/letter.pdf", pdfs.pdf(2))
        archive.writestr("locked.pdf", pdfs.ENCRYPTED)
    data = made.getvalue().replace(b"1.png", "发票".encode("gbk") + b"1", 2)  # as Chinese programs name it
    with server.http() as http:
        name = begin(http, upload(http, data), upload(http, picture_file(seed=3), "b.png"))
        batch = ended(http, name)
        found = [(line["custom_id"], (line["error"] or {}).get("code")) for line in lines(http, name)]
        assert found == [
            ("发票1", None),
            ("link.png", "archive_link"),
            ("../../out.png", "unsafe_archive_name"),
            ("inner.zip", "nested_archive"),
            ("bomb.png", "archive_ratio"),
            ("half.png", "invalid_image_format"),
            ("page/letter.pdf#1", None),
            ("page/letter.pdf#2", None),
            ("locked.pdf", "pdf_password"),
            ("b.png", None),
        ]
        assert batch["request_counts"] == {"total": 10, "completed": 4, "failed": 6}
        for kind, start in (
            ("csv", b"\xef\xbb\xbf"),
            ("json", b"{"),
            ("xlsx", b"PK"),
            ("docx", b"PK"),
            ("pdf", b"%PDF"),
        ):
            reply = http.get(f"/v1/batches/{name}/results", params={"format": kind, "language": "en"})
            assert reply.status_code == 200, kind
            assert reply.content.startswith(start), kind
        table = http.get(f"/v1/batches/{name}/results", params={"format": "csv"}).text
        assert "发票1,完成" in table
        assert "inner.zip,失败" in table


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, None, "invalid_value"),
        ({"input_file_id": "file-none", "endpoint": CHAT}, "input_file_id", "not_found"),
        ({"input_file_id": "file-none", "endpoint": "/v1/embeddings"}, "endpoint", "invalid_value"),
        ({"input": {"file_ids": ["file-none"]}, "instruction": "x"}, "input.file_ids[0]", "not_found"),
        ({"input": {"file_ids": ["f"]}, "instruction": "x", "template": "y"}, None, "invalid_value"),
        ({"input": {"file_ids": ["f"]}}, None, "invalid_value"),
        (
            {"input": {"file_ids": ["f"]}, "instruction": "x", "completion_window": "soon"},
            "completion_window",
            "invalid_value",
        ),
    ],
)
def test_what_is_wrong_is_named(server: Server, fields: Json, param: str | None, code: str) -> None:
    error = server.post("/v1/batches", fields).json()["error"]
    assert (error["param"], error["code"]) == (param, code)


def test_what_is_no_upload_is_named(server: Server) -> None:
    with server.http() as http:

        def refused(**request: object) -> tuple[int, str | None]:
            reply = http.post("/v1/files", **request)  # type: ignore[arg-type]
            return reply.status_code, reply.json()["error"]["param"]

        file = {"file": ("a.png", b"x")}
        assert refused(json={"file": "x"}) == (400, None)
        assert refused(files=file) == (400, "purpose")
        assert refused(files=file, data={"purpose": "fine-tune"}) == (400, "purpose")
        assert refused(files={"other": ("a", b"x")}, data={"purpose": "batch"}) == (400, "file")
        assert refused(files={"file": ("a", b"")}, data={"purpose": "batch"}) == (400, "file")
        assert refused(files=file, data={"purpose": "batch", "x": "1"}) == (400, "x")
        assert refused(files=file, data={"purpose": "batch", "expires_after[anchor]": "created_at"}) == (
            400,
            "expires_after",
        )
        reply = http.post(
            "/v1/files", content=b"--x\r\nbroken", headers={"content-type": "multipart/form-data; boundary=x"}
        )
        assert reply.status_code == 400
        # Nothing of what was refused stays.
        before = len(http.get("/v1/files", params={"limit": 10000}).json()["data"])
        refused(files=file)
        assert len(http.get("/v1/files", params={"limit": 10000}).json()["data"]) == before


@pytest.fixture(scope="module")
def one_at_a_time() -> Iterator[tuple[Server, FakeEngine]]:
    """Answers one question at a time, in a second."""
    engine = FakeEngine(delay_s=0.1)
    engine.capabilities = replace(engine.capabilities, concurrency=1)
    options = BatchOptions(workers=2, max_owner_batches=2, max_file_bytes=3_000_000, max_lines=40)
    with run(Settings(engine="fake", batch=options), engine) as running:
        yield running, engine


def test_paused_resumed_cancelled_and_deleted(one_at_a_time: tuple[Server, FakeEngine]) -> None:
    server, _ = one_at_a_time
    with server.http() as http:
        file = upload(http, zipped(**{f"{i}.png": picture_file(seed=i) for i in range(30)}))
        name = begin(http, file)

        def batch() -> Json:
            told: Json = http.get(f"/v1/batches/{name}").json()
            return told

        eventually(lambda: batch()["request_counts"]["completed"] >= 1)
        assert http.delete(f"/v1/files/{file}").json()["error"]["code"] == "file_in_use"
        assert http.delete(f"/v1/batches/{name}").json()["error"]["code"] == "batch_in_progress"
        paused = http.post(f"/v1/batches/{name}/pause").json()
        assert (paused["status"], paused["vlpro"]["paused"], paused["vlpro"]["why"]) == (
            "in_progress",
            True,
            "paused",
        )
        eventually(lambda: not at_work(server))
        standing = batch()["request_counts"]
        assert standing["completed"] < 30
        time.sleep(0.5)
        assert batch()["request_counts"] == standing
        assert not http.post(f"/v1/batches/{name}/resume").json()["vlpro"]["paused"]
        eventually(lambda: batch()["request_counts"]["completed"] > standing["completed"])
        http.post(f"/v1/batches/{name}/cancel")
        over = ended(http, name)
        counts = over["request_counts"]
        assert over["status"] == "cancelled"
        assert counts["completed"] + counts["failed"] == counts["total"] == 30
        told = http.get(f"/v1/files/{over['error_file_id']}/content").text.splitlines()
        assert {json.loads(line)["error"]["code"] for line in told} == {"batch_cancelled"}
        assert len(told) == counts["failed"]
        assert http.post(f"/v1/batches/{name}/resume").json()["error"]["code"] == "batch_ended"
        assert http.delete(f"/v1/batches/{name}").status_code == 200
        assert http.get(f"/v1/batches/{name}").status_code == 404
        assert http.get(f"/v1/files/{over['error_file_id']}").status_code == 404
        assert http.delete(f"/v1/files/{file}").status_code == 200


def test_a_batch_is_deleted_with_the_files_that_only_it_read(
    one_at_a_time: tuple[Server, FakeEngine],
) -> None:
    server, engine = one_at_a_time
    engine._delay_s = 0
    with server.http() as http:
        own, shared, kept = (upload(http, picture_file(seed=seed), f"{seed}.png") for seed in range(3))
        first, second, third = begin(http, own, shared), begin(http, shared), ""
        ended(http, first)
        ended(http, second)
        third = begin(http, kept)
        ended(http, third)
        engine._delay_s = 0.1

        def found(file: str) -> int:
            return http.get(f"/v1/files/{file}").status_code

        assert http.delete(f"/v1/batches/{third}").status_code == 200
        assert found(kept) == 200  # not asked
        assert http.delete(f"/v1/batches/{first}", params={"files": True}).status_code == 200
        assert (found(own), found(shared)) == (404, 200)  # the second one's report shows it
        assert http.delete(f"/v1/batches/{second}", params={"files": True}).status_code == 200
        assert found(shared) == 404
        http.delete(f"/v1/files/{kept}")


def at_work(server: Server) -> bool:
    """Whether a line is being answered, waits for its turn, or is being stored."""

    def found() -> bool:
        return any("_answer_line" in repr(task.get_coro()) for task in asyncio.all_tasks())

    return bool(server.call(found))


def test_people_come_first(one_at_a_time: tuple[Server, FakeEngine]) -> None:
    server, engine = one_at_a_time
    engine._delay_s = 1.0  # a line takes ten seconds
    alone = asked(server)
    with server.http() as http:
        name = begin(http, upload(http, zipped(**{f"{i}.png": picture_file(seed=i) for i in range(12)})))
        for _ in range(3):
            eventually(lambda: server.call(lambda: server.services.chat.queue.background) == 1)
            assert asked(server) < alone + 5
        engine._delay_s = 0.1
        http.post(f"/v1/batches/{name}/cancel")
        ended(http, name)


def asked(server: Server) -> float:
    began = time.monotonic()
    assert server.post(CHAT, chat("short", max_tokens=1)).status_code == 200
    return time.monotonic() - began


def test_limits(one_at_a_time: tuple[Server, FakeEngine]) -> None:
    server, _ = one_at_a_time
    with server.http() as http:
        big = http.post("/v1/files", files={"file": ("a", bytes(3_100_000))}, data={"purpose": "batch"})
        assert (big.status_code, big.json()["error"]["code"]) == (413, "request_too_large")
        file = upload(http, jsonl(*(request(str(i), chat()) for i in range(41))), "a", "batch")
        made = http.post(
            "/v1/batches", json={"input_file_id": file, "endpoint": CHAT, "completion_window": "24h"}
        ).json()
        over = ended(http, made["id"])
        assert over["status"] == "failed"
        assert [error["code"] for error in over["errors"]["data"]] == ["too_many_lines"]
        picture = upload(http, picture_file(), "a.png")
        wrong = http.post("/v1/batches", json={"input_file_id": picture, "endpoint": CHAT}).json()
        assert (wrong["error"]["param"], wrong["error"]["code"]) == ("input_file_id", "invalid_purpose")
        files = upload(http, zipped(**{f"{i}.png": picture_file(seed=i) for i in range(40)}))
        going = [begin(http, files), begin(http, files)]
        third = http.post("/v1/batches", json={"input": {"file_ids": [files]}, "instruction": "x"})
        assert (third.status_code, third.json()["error"]["code"]) == (409, "too_many_batches")
        for name in going:
            http.post(f"/v1/batches/{name}/cancel")
            ended(http, name)


def test_a_batch_goes_on_after_a_restart(tmp_path: Path) -> None:
    settings = Settings(
        engine="fake", data_dir=tmp_path / "data", fake_delay_s=0.01, batch=BatchOptions(workers=3)
    )
    with run(settings) as server, server.http() as http:
        file = upload(http, zipped(**{f"{i:02}.png": picture_file(seed=i) for i in range(25)}))
        name = begin(http, file)
        eventually(lambda: http.get(f"/v1/batches/{name}").json()["request_counts"]["completed"] >= 2)
        asyncio.run_coroutine_threadsafe(server.services.batches.close(), server.loop).result(10)
        assert http.get(f"/v1/batches/{name}").json()["status"] == "in_progress"
    with run(settings) as server, server.http() as http:
        batch = ended(http, name)
        output = http.get(f"/v1/files/{batch['output_file_id']}/content").text.splitlines()
    assert batch["request_counts"] == {"total": 25, "completed": 25, "failed": 0}
    assert [json.loads(line)["custom_id"] for line in output] == [f"{i:02}.png" for i in range(25)]
    texts = [json.loads(line)["response"]["body"]["choices"][0]["message"]["content"] for line in output]
    assert len(set(texts)) == 25
    # At rest nothing of it can be read.
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").rglob("*.db*"))
    assert picture_file(seed=1)[40:90] not in stored
    assert b"what is it?" not in stored
    assert b"24.png" not in stored


@pytest.fixture(scope="module")
def firm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    folder = tmp_path_factory.mktemp("firm")
    with company(folder, sqlite_url(folder), fake_delay_s=0.1) as running:
        yield running


def test_a_batch_is_its_owners_and_ends_with_their_permission(firm: Company) -> None:
    key = firm.key(Role.USER, scopes=["workflow:run:use", "chat:answer:create"])
    with (
        firm.server.http(headers={"authorization": f"Bearer {key}"}) as http,
        firm.client(firm.other) as other,
    ):
        file = upload(http, zipped(**{f"{i}.png": picture_file(seed=i) for i in range(60)}))
        name = begin(http, file)
        eventually(lambda: http.get(f"/v1/batches/{name}").json()["request_counts"]["completed"] >= 2)
        for path in (f"/v1/batches/{name}", f"/v1/batches/{name}/lines", f"/v1/files/{file}"):
            theirs, nobodys = (
                other.get(path),
                other.get(path.replace(name, "batch_x").replace(file, "file-x")),
            )
            assert (theirs.status_code, theirs.json()) == (nobodys.status_code, nobodys.json()), path
            assert theirs.status_code == 404
        world, owner = firm.world, firm.people[Role.USER]
        world.identity.keys.revoke(firm.key_id(key), owner.id)
        with firm.client(owner) as person:
            eventually(lambda: person.get(f"/v1/batches/{name}").json()["vlpro"]["paused"])
            stopped = person.get(f"/v1/batches/{name}").json()
            assert stopped["vlpro"]["why"] == "owner_not_permitted"
            assert stopped["request_counts"]["completed"] < 60
            # Whoever owns it may go on by another way.
            person.post(f"/v1/batches/{name}/resume")
            more = stopped["request_counts"]["completed"] + 2
            eventually(
                lambda: person.get(f"/v1/batches/{name}").json()["request_counts"]["completed"] >= more
            )
            person.post(f"/v1/batches/{name}/cancel")
            ended(person, name)
    audit = firm.server.services.audit
    assert audit is not None
    changes = audit.find(Filter(object=name, event=str(Event.BATCH_CHANGED)), None).found
    told = [(found.said["detail"]["change"], found.said["outcome"]) for found in reversed(changes)]
    assert told == [
        ("created", "ok"),
        ("paused", "refused"),
        ("resumed", "ok"),
        ("cancelling", "ok"),
        ("cancelled", "ok"),
    ]
    asked = audit.find(Filter(event=str(Event.ASKED), text=f"{name}:1"), None).found
    assert asked
    assert {found.said["login"] for found in asked} == {"liwei"}


def vlpro(server: Server, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "vlpro", "batch", *arguments, "--server", server.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"LANG": "C.UTF-8"},
    )


def test_the_command(one_at_a_time: tuple[Server, FakeEngine], tmp_path: Path) -> None:
    server, engine = one_at_a_time
    engine._delay_s = 0.2
    folder = tmp_path / "票据"
    (folder / "七月").mkdir(parents=True)
    for number in range(8):
        (folder / "七月" / f"{number}.png").write_bytes(picture_file(seed=number))
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_bytes(b"not asked about")
    out = tmp_path / "results.csv"
    with server.http() as http:
        before = http.get("/v1/batches", params={"limit": 1}).json()["data"]
        running = vlpro(server, str(folder), "--instruction", "what is it?", "--out", str(out))
        newest: list[Json] = []

        def has_begun() -> bool:
            newest[:] = http.get("/v1/batches", params={"limit": 1}).json()["data"]
            begun = bool(newest) and [one["id"] for one in newest] != [one["id"] for one in before]
            return begun and newest[0]["status"] == "in_progress" and running.poll() is None

        eventually(has_begun)
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith("Answering"):  # so it knows what it has begun
                break
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
        assert running.returncode == 130, said
        name = newest[0]["id"]
        assert f"vlpro batch --resume {name} --out {out}" in said
        assert http.get(f"/v1/batches/{name}").json()["vlpro"]["paused"]
    engine._delay_s = 0.0
    again = vlpro(server, "--resume", "--json", "--out", str(out))
    told, said = again.communicate(timeout=60)
    assert again.returncode == 1, said  # one is no picture
    batch = json.loads(told)
    assert (batch["id"], batch["status"]) == (name, "completed")
    assert [line["custom_id"] for line in batch["failed"]] == ["broken.png"]
    table = out.read_text("utf-8-sig")
    assert table.startswith("File,Status,Answer,Error")
    assert all(f"七月/{number}.png,Completed" in table for number in range(8))
    engine._delay_s = 0.1

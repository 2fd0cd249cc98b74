"""Conversations over HTTP: ask, poll, stop, ask again, clear."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.functional.server import Json, Server, eventually, picture_file, run
from vlpro.config import Settings
from vlpro.engines.fake import FakeEngine
from vlpro.engines.interface import Forgotten


@dataclass
class Talk:
    """One conversation, as a page would use it."""

    http: httpx.Client
    id: str

    @property
    def path(self) -> str:
        return f"/v1/conversations/{self.id}"

    def now(self) -> Json:
        reply = self.http.get(self.path)
        assert reply.status_code == 200
        return dict(reply.json())

    def add(self, data: bytes) -> str:
        reply = self.http.post("/v1/images", content=data)
        assert reply.status_code == 201, reply.text
        return str(reply.json()["id"])

    def post(self, text: str, **fields: object) -> httpx.Response:
        return self.http.post(f"{self.path}/messages", json={"text": text} | fields)

    def ask(self, text: str, **fields: object) -> Json:
        """Ask and wait for the end of the answer."""
        reply = self.post(text, **fields)
        assert reply.status_code == 202, reply.text
        message = reply.json()
        assert message["role"] == "assistant"
        eventually(lambda: not self.now()["busy"])
        return dict(self.http.get(f"{self.path}/messages/{message['id']}").json())


def _talk(server: Server) -> Iterator[Talk]:
    with server.http() as http:
        reply = http.post("/v1/conversations", json={})
        assert reply.status_code == 201
        talk = Talk(http, reply.json()["id"])
        yield talk
        http.delete(talk.path)


@pytest.fixture
def talk(server: Server) -> Iterator[Talk]:
    yield from _talk(server)


@pytest.fixture
def slow_talk(slow: Server) -> Iterator[Talk]:
    yield from _talk(slow)


@pytest.fixture
def narrow_talk(narrow: Server) -> Iterator[Talk]:
    yield from _talk(narrow)


@pytest.fixture
def hasty_talk(hasty: Server) -> Iterator[Talk]:
    yield from _talk(hasty)


def refused(reply: httpx.Response, status: int, code: str, param: str | None = None) -> None:
    assert reply.status_code == status, reply.text
    assert (reply.json()["error"]["code"], reply.json()["error"]["param"]) == (code, param)


def test_ask_and_read_the_answer(talk: Talk) -> None:
    image = talk.add(picture_file(64, 48))
    answer = talk.ask("box it", images=[image])
    assert answer["status"] == "done"
    assert answer["text"].startswith("You asked: box it")
    assert "bbox_2d" not in answer["text"]  # a person reads no JSON; the boxes stand beside it
    assert answer["vlpro"]["grounding"][0]["box"] == [16, 12, 48, 36]
    assert answer["usage"]["completion_tokens"] > 0
    assert answer["request_id"].startswith("req_")
    whole = talk.now()
    assert [m["role"] for m in whole["messages"]] == ["user", "assistant"]
    assert whole["messages"][0]["images"][0]["id"] == image
    assert whole["title"] == "box it"
    assert whole["image_count"] == 1
    assert whole["tokens"] > 0
    listed = talk.http.get("/v1/conversations").json()["data"]
    assert [(c["title"], "messages" in c) for c in listed if c["id"] == talk.id] == [("box it", False)]


def test_a_point_is_told_beside_the_answer(talk: Talk) -> None:
    answer = talk.ask("point at it", images=[talk.add(picture_file(64, 48))])
    (place,) = answer["vlpro"]["grounding"]
    assert (place["box"], place["point"]) == (None, [32, 24])
    assert "point_2d" not in answer["text"]


def test_an_annotated_picture(talk: Talk) -> None:
    talk.ask("first", images=[talk.add(picture_file(64, 48))])
    answer = talk.ask("box and point", images=[talk.add(picture_file(3000, 2000, kind="JPEG"))])
    path = f"{talk.path}/messages/{answer['id']}/annotated"
    reply = talk.http.get(path)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(reply.content)) as image:
        assert image.size == (3000, 2000)  # the original's, although the engine was given fewer
        drawn = np.asarray(image, int)
    plain = talk.http.get(f"/v1/images/{talk.now()['messages'][2]['images'][0]['id']}/content")
    with Image.open(io.BytesIO(plain.content)) as image:
        differs = np.abs(np.asarray(image, int) - drawn).max(axis=2) > 60
    assert differs[1000, 748:753].any()  # the box's left side
    assert differs[995:1006, 1495:1506].any()  # the point in its middle
    assert not differs[1000, 900:1400].any()
    assert talk.http.get(path, params={"image": 2}).content == reply.content
    refused(talk.http.get(path, params={"image": 1}), 404, "no_places", "image")
    refused(talk.http.get(path, params={"image": 9}), 404, "no_places", "image")
    question = talk.now()["messages"][0]["id"]
    refused(talk.http.get(f"{talk.path}/messages/{question}/annotated"), 404, "no_places", "image")
    refused(talk.http.get(f"{talk.path}/messages/msg_x/annotated"), 404, "not_found")
    refused(
        talk.http.get(f"/v1/conversations/conv_x/messages/{answer['id']}/annotated"),
        404,
        "conversation_not_found",
    )


def test_pictures_stay_in_the_context(talk: Talk) -> None:
    talk.ask("first", images=[talk.add(picture_file(64, 48))])
    second = talk.ask("box it")
    assert "64×48" in second["text"]
    assert second["vlpro"]["grounding"][0]["image"] == 1


def test_the_answer_goes_on_when_nobody_looks(slow: Server) -> None:
    with slow.http() as http:
        talk = Talk(http, http.post("/v1/conversations", json={}).json()["id"])
        talk.post("count to 20")
    with slow.http() as http:  # another connection, as after a reload
        talk = Talk(http, talk.id)
        eventually(lambda: not talk.now()["busy"])
        assert talk.now()["messages"][-1]["text"].endswith("20")


def test_the_answer_grows(slow_talk: Talk) -> None:
    slow_talk.post("count to 9000")
    seen = set()

    def grown() -> bool:
        seen.add(slow_talk.now()["messages"][-1]["text"])
        return len(seen) >= 3

    eventually(grown)
    slow_talk.http.post(f"{slow_talk.path}/stop")


def test_stop_keeps_what_was_written(slow_talk: Talk, slow: Server) -> None:
    slow_talk.post("count to 9000")
    eventually(lambda: "3" in slow_talk.now()["messages"][-1]["text"])
    stopped = slow_talk.http.post(f"{slow_talk.path}/stop").json()
    assert stopped["busy"] is False
    assert stopped["messages"][-1]["status"] == "stopped"
    assert stopped["messages"][-1]["text"].startswith("1 2 3")
    assert slow.idle()
    assert (
        slow_talk.http.post(f"{slow_talk.path}/stop").status_code == 200
    )  # nothing to stop: nothing happens
    assert slow_talk.ask("count to 1")["status"] == "done"


def test_one_question_at_a_time(slow_talk: Talk) -> None:
    slow_talk.post("count to 9000")
    refused(slow_talk.post("and this?"), 400, "conversation_busy")
    assert len(slow_talk.now()["messages"]) == 2
    slow_talk.http.post(f"{slow_talk.path}/stop")


def test_regenerate_and_edit_replace(talk: Talk) -> None:
    image = talk.add(picture_file())
    talk.ask("one", images=[image])
    talk.ask("two")
    first, _, second, _ = talk.now()["messages"]
    talk.ask("two again", replaces=second["id"])
    assert [m["text"] for m in talk.now()["messages"]][2] == "two again"
    assert len(talk.now()["messages"]) == 4
    talk.ask("one again", replaces=first["id"], images=[image])
    assert len(talk.now()["messages"]) == 2
    assert talk.now()["image_count"] == 1
    talk.ask("without", replaces=talk.now()["messages"][0]["id"])
    assert talk.now()["image_count"] == 0
    assert talk.http.get(f"/v1/images/{image}").status_code == 404  # taken out by the edit: gone from memory


def test_what_cannot_be_replaced(talk: Talk) -> None:
    talk.ask("one")
    before = talk.now()["messages"]
    refused(talk.post("x", replaces=before[1]["id"]), 400, "invalid_value", "replaces")
    refused(talk.post("x", replaces="msg_nope"), 404, "not_found")
    refused(talk.post("x" * 400_001, replaces=before[0]["id"]), 400, "context_length_exceeded", "text")
    refused(talk.post("x", replaces=before[0]["id"], images=["img_x"]), 404, "image_not_found", "images[0]")
    assert talk.now()["messages"] == before  # nothing was lost


def test_sixteen_pictures_and_a_seventeenth(talk: Talk) -> None:
    ids = [talk.add(picture_file(seed=seed)) for seed in range(17)]
    assert talk.ask("what?", images=ids[:16])["status"] == "done"
    refused(talk.post("and?", images=ids[16:]), 400, "too_many_images", "images")
    assert len(talk.now()["messages"]) == 2
    assert talk.ask("and without?")["status"] == "done"


def test_a_picture_that_is_gone(talk: Talk) -> None:
    image = talk.add(picture_file())
    assert talk.http.delete(f"/v1/images/{image}").status_code == 200
    refused(talk.post("what?", images=[image]), 404, "image_not_found", "images[0]")
    refused(talk.http.delete(f"/v1/images/{image}"), 404, "image_not_found")
    assert talk.now()["messages"] == []


def test_a_picture_that_is_held_stays(talk: Talk) -> None:
    image = talk.add(picture_file())
    talk.ask("what?", images=[image])
    refused(talk.http.delete(f"/v1/images/{image}"), 400, "invalid_value", "image_id")
    assert talk.http.get(f"/v1/images/{image}/content").status_code == 200


def test_a_failed_answer_says_why(talk: Talk) -> None:
    answer = talk.ask("please fail")
    assert answer["status"] == "failed"
    assert answer["text"] == "This answer breaks"
    assert answer["error"]["code"] == "engine_error"
    assert answer["error"]["vlpro"]["zh"]
    assert talk.ask("count to 1")["status"] == "done"


def _places(server: Server) -> tuple[int, int]:
    """Questions that are answered, and that wait."""
    with server.http() as http:
        status = http.get("/v1/status").json()
    return status["running"], status["queued"]


def test_a_question_that_finds_the_queue_full(narrow_talk: Talk, narrow: Server) -> None:
    others = [
        Talk(narrow_talk.http, narrow_talk.http.post("/v1/conversations", json={}).json()["id"]) for _ in "12"
    ]
    for other in others:
        other.post("count to 9000")
    # Both: while the second is not there yet, its place in the queue is free.
    eventually(lambda: _places(narrow) == (1, 1))
    answer = narrow_talk.ask("count to 1")
    assert (answer["status"], answer["error"]["code"]) == ("failed", "rate_limit_exceeded")
    for other in others:
        narrow_talk.http.delete(other.path)
    assert narrow.idle()


def test_an_answer_that_takes_too_long(hasty_talk: Talk) -> None:
    answer = hasty_talk.ask("count to 9000")
    assert (answer["status"], answer["error"]["code"]) == ("failed", "engine_timeout")
    assert answer["text"].startswith("1 2 3")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_required_parameter", "text"),
        ({"text": ""}, "invalid_value", "text"),
        ({"text": 5}, "invalid_type", "text"),
        ({"text": "x", "images": "img_1"}, "invalid_type", "images"),
        ({"text": "x", "images": [5]}, "invalid_type", "images[0]"),
        ({"text": "x", "language": "fr"}, "invalid_value", "language"),
        ({"text": "x", "temperature": 3}, "invalid_value", "temperature"),
        ({"text": "x", "max_tokens": 0}, "invalid_value", "max_tokens"),
        ({"text": "x", "n": 2}, "unknown_parameter", "n"),
        ({"text": "x" * 400_001}, "context_length_exceeded", "text"),
        ({"text": "字" * 50_000}, "context_length_exceeded", "text"),
        ({"text": "x", "max_tokens": 32_768}, "context_length_exceeded", "max_tokens"),
    ],
)
def test_wrong_questions(talk: Talk, body: Json, code: str, param: str) -> None:
    refused(talk.http.post(f"{talk.path}/messages", json=body), 400, code, param)
    assert talk.now()["messages"] == []


def test_wrong_title(server: Server) -> None:
    refused(server.post("/v1/conversations", {"title": "x" * 201}), 400, "invalid_value", "title")
    refused(server.post("/v1/conversations", {"name": "x"}), 400, "unknown_parameter", "name")


def test_length_of_an_answer(talk: Talk) -> None:
    answer = talk.ask("count to 9", max_tokens=2, temperature=0.0, language="zh")
    assert (answer["text"], answer["finish_reason"]) == ("1 2", "length")


class _Remembering(FakeEngine):
    """Tells what it was told to forget."""

    def __init__(self, *, delay_s: float = 0.0) -> None:
        super().__init__(delay_s=delay_s)
        self.forgotten: list[str] = []
        self.busy = False

    async def forget(
        self, pictures: frozenset[str], conversations: frozenset[str] = frozenset()
    ) -> Forgotten:
        self.forgotten += sorted(pictures)
        return Forgotten(len(pictures), 100 * len(conversations), 7000, confirmed=not self.busy)


@pytest.mark.parametrize("busy", [False, True])
def test_the_receipt_tells_what_the_engine_dropped(busy: bool) -> None:  # noqa: FBT001 - a parameter
    engine = _Remembering()
    engine.busy = busy
    with run(Settings(engine="fake"), engine) as server, server.http() as http:
        talk = Talk(http, http.post("/v1/conversations", json={}).json()["id"])
        talk.ask("count to 1", images=[talk.add(picture_file())])
        dropped = http.delete(talk.path).json()["engine"]
        assert dropped == {"entries": 1, "tokens": 100, "bytes": 7000, "confirmed": not busy}


def test_an_engine_that_keeps_nothing_says_nothing(server: Server) -> None:
    with server.http() as http:
        talk = Talk(http, http.post("/v1/conversations", json={}).json()["id"])
        talk.ask("count to 1", images=[talk.add(picture_file())])
        assert http.delete(talk.path).json()["engine"] is None


def test_clear_frees_everything() -> None:
    engine = _Remembering(delay_s=0.02)
    with run(Settings(engine="fake"), engine) as server, server.http() as http:
        store = server.services.conversations._pictures
        talk, other = (Talk(http, http.post("/v1/conversations", json={}).json()["id"]) for _ in "12")
        shared, own = talk.add(picture_file(seed=1)), talk.add(picture_file(seed=2))
        digests = {image: store.get("local", image).picture.pixels_sha256 for image in (shared, own)}
        talk.ask("count to 1", images=[shared, own])
        other.ask("count to 1", images=[shared])
        talk.post("count to 9000")  # still being answered when it is cleared
        cleared = http.delete(talk.path).json()
        assert (cleared["images"], cleared["messages"], cleared["deleted"]) == (1, 4, True)
        assert cleared["image_bytes"] == 40 * 30 * 3 + len(picture_file(seed=2))
        assert cleared["took_ms"] > 0
        assert cleared["before"]["gateway_memory"] > 0
        assert cleared["after"]["memory_total"] > 0
        assert server.idle()
        assert engine.forgotten == [digests[own]]  # the other picture is held elsewhere
        refused(http.get(talk.path), 404, "conversation_not_found")
        refused(talk.post("x"), 404, "conversation_not_found")
        refused(http.delete(talk.path), 404, "conversation_not_found")
        refused(http.get(f"/v1/images/{own}"), 404, "image_not_found")
        assert http.get(f"/v1/images/{shared}").status_code == 200
        http.delete(other.path)
        assert engine.forgotten == [digests[own], digests[shared]]
        assert store.bytes_used == 0


def test_two_copies_of_one_picture_are_forgotten_with_the_last() -> None:
    engine = _Remembering()
    with run(Settings(engine="fake"), engine) as server, server.http() as http:
        talk = Talk(http, http.post("/v1/conversations", json={}).json()["id"])
        first, second = talk.add(picture_file()), talk.add(picture_file())
        assert http.delete(f"/v1/images/{first}").status_code == 200
        assert engine.forgotten == []
        assert http.delete(f"/v1/images/{second}").status_code == 200
        assert len(engine.forgotten) == 1


def test_the_longest_unused_conversation_makes_room_and_empty_ones_first() -> None:
    engine = _Remembering()
    with (
        run(Settings(engine="fake", max_conversations=3, store_conversations=False), engine) as server,
        server.http() as http,
    ):
        used = Talk(http, http.post("/v1/conversations", json={}).json()["id"])
        used.ask("what?", images=[used.add(picture_file())])
        for _ in range(5):
            http.post("/v1/conversations", json={})
        assert used.now()["image_count"] == 1
        assert len(http.get("/v1/conversations").json()["data"]) == 3
        for talk in [Talk(http, c["id"]) for c in http.get("/v1/conversations").json()["data"]]:
            talk.ask("count to 1")
        http.get(used.path)
        listed = [c["id"] for c in http.get("/v1/conversations").json()["data"]]
        http.post("/v1/conversations", json={})
        refused(http.get(f"/v1/conversations/{listed[-1]}"), 404, "conversation_not_found")


def test_all_conversations_are_busy(slow: Server) -> None:
    with (
        run(Settings(engine="fake", fake_delay_s=0.02, max_conversations=1)) as server,
        server.http() as http,
    ):
        talk = Talk(http, http.post("/v1/conversations", json={}).json()["id"])
        talk.post("count to 9000")
        refused(http.post("/v1/conversations", json={}), 429, "rate_limit_exceeded")
        assert talk.now()["busy"]

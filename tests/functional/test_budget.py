"""Many pictures in one question: made smaller together, which the answer says, or refused with the field."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
from PIL import Image

from tests.functional.server import Json, Server, chat, eventually, run
from vlpro.config import Settings
from vlpro.engines.fake import FakeEngine
from vlpro.engines.interface import Delta, Request

LONG = "Compare all of these pictures, box by box. " * 47  # over 2,000 characters


def plain_file(number: int, width: int = 1024, height: int = 1024) -> bytes:
    """A picture of one colour, another for each number."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), (number * 15, 90, 200)).save(out, "PNG")
    return out.getvalue()


SIXTEEN = [plain_file(number) for number in range(16)]


class _Remembering(FakeEngine):
    """Knows what it was asked and what it was told to forget."""

    def __init__(self, **capabilities: int) -> None:
        super().__init__()
        self.capabilities = replace(self.capabilities, **capabilities)  # type: ignore[arg-type]
        self.asked: list[Request] = []
        self.forgotten: set[str] = set()

    async def forget(self, pictures: frozenset[str], conversations: frozenset[str] = frozenset()) -> None:
        self.forgotten |= pictures

    async def _generate(self, request: Request) -> AsyncGenerator[Delta, None]:
        self.asked.append(request)
        async for delta in super()._generate(request):
            yield delta


@contextmanager
def _talking(engine: _Remembering) -> Iterator[tuple[Server, httpx.Client, str]]:
    """A server, a client, and the path of a conversation."""
    with run(Settings(engine="fake"), engine) as server, server.http() as http:
        yield server, http, f"/v1/conversations/{http.post('/v1/conversations', json={}).json()['id']}"


def _add(http: httpx.Client, *files: bytes) -> list[str]:
    return [http.post("/v1/images", content=data).json()["id"] for data in files]


def _ask(http: httpx.Client, path: str, text: str, images: list[str] | None = None) -> Json:
    reply = http.post(f"{path}/messages", json={"text": text, "images": images or []})
    assert reply.status_code == 202, reply.text
    eventually(lambda: not http.get(path).json()["busy"])
    return dict(http.get(path).json()["messages"][-1])


def test_sixteen_pictures_and_two_thousand_characters_are_answered_and_said_to_be_reduced(
    server: Server,
) -> None:
    assert len(LONG) > 2000
    reply = server.post("/v1/chat/completions", chat(LONG, *SIXTEEN))
    assert reply.status_code == 200, reply.text
    added = reply.json()["vlpro"]
    assert added["reduced"] is True
    assert len(added["pictures"]) == 16
    for picture in added["pictures"]:
        assert (picture["width"], picture["height"]) == (1024, 1024)
        assert 512 <= picture["used_width"] == picture["used_height"] < 1024
        assert picture["reduced"]
        assert picture["shrunk"]
    assert 4096 < sum(picture["tokens"] for picture in added["pictures"]) <= 8192
    assert reply.json()["usage"]["prompt_tokens"] < 8192 + 700
    assert added["grounding"][0]["box"] == [256, 256, 768, 768]  # in pixels of the original
    used = f"{added['pictures'][0]['used_width']}×{added['pictures'][0]['used_height']}"
    assert f"Picture 16: {used}" in reply.json()["choices"][0]["message"]["content"]  # what the engine saw


def test_a_stream_and_responses_say_it_too(server: Server) -> None:
    body = chat("What?", *SIXTEEN, stream=True)
    assert '"reduced":true' in server.post("/v1/chat/completions", body).text.splitlines()[-4]
    parts = [
        {"type": "input_image", "image_url": part["image_url"]["url"]}
        for part in body["messages"][0]["content"][:-1]
    ]
    asked = {"model": body["model"], "input": [{"role": "user", "content": parts}]}
    assert server.post("/v1/responses", asked).json()["vlpro"]["reduced"] is True


def test_few_pictures_stay_as_they_are(server: Server) -> None:
    added = server.post("/v1/chat/completions", chat("What?", *SIXTEEN[:4])).json()["vlpro"]
    assert added["reduced"] is False
    assert [(p["used_width"], p["reduced"]) for p in added["pictures"]] == [(1024, False)] * 4


def test_small_pictures_stay_as_they_are_beside_large_ones(server: Server) -> None:
    small = plain_file(3, 300, 200)
    pictures = server.post("/v1/chat/completions", chat("What?", *SIXTEEN[:15], small)).json()["vlpro"][
        "pictures"
    ]
    assert all(picture["reduced"] for picture in pictures[:15])
    assert (pictures[15]["used_width"], pictures[15]["used_height"], pictures[15]["reduced"]) == (
        300,
        200,
        False,
    )


def test_what_does_not_fit_at_the_smallest_is_refused_with_the_field() -> None:
    engine = _Remembering(context_tokens=4096)
    with _talking(engine) as (server, http, path):
        reply = server.post("/v1/chat/completions", chat(LONG, *SIXTEEN))
        assert reply.status_code == 400
        error = reply.json()["error"]
        assert (error["code"], error["param"]) == ("context_length_exceeded", "messages")
        reply = http.post(f"{path}/messages", json={"text": LONG, "images": _add(http, *SIXTEEN)})
        assert reply.status_code == 400
        error = reply.json()["error"]
        assert (error["code"], error["param"]) == ("context_length_exceeded", "text")
        assert http.get(path).json()["messages"] == []
        assert engine.asked == []


def test_the_smallest_is_taken_where_it_is_over_the_budget_but_within_the_context() -> None:
    with _talking(_Remembering(context_tokens=8192, picture_tokens_budget=4096)) as (server, _, __):
        added = server.post("/v1/chat/completions", chat(LONG, *SIXTEEN)).json()["vlpro"]
        assert [picture["used_width"] for picture in added["pictures"]] == [512] * 16


def test_a_long_answer_that_is_asked_for_has_its_room() -> None:
    with _talking(_Remembering(context_tokens=8192)) as (server, _, __):
        wide = server.post("/v1/chat/completions", chat("What?", *SIXTEEN[:8], max_tokens=100)).json()
        tight = server.post("/v1/chat/completions", chat("What?", *SIXTEEN[:8], max_tokens=5000)).json()
        assert wide["vlpro"]["pictures"][0]["used_width"] > tight["vlpro"]["pictures"][0]["used_width"]
        assert tight["usage"]["prompt_tokens"] + 5000 <= 8192


def test_a_follow_up_gives_the_engine_the_very_same_pictures() -> None:
    engine = _Remembering()
    with _talking(engine) as (_, http, path):
        first = _ask(http, path, LONG, _add(http, *SIXTEEN[:14]))
        assert first["vlpro"]["reduced"] is True
        second = _ask(http, path, "And now?")
        assert second["vlpro"]["pictures"] == first["vlpro"]["pictures"]
        _ask(http, path, "And this one?", _add(http, SIXTEEN[15]))
        digests = [[p.pixels_sha256 for p in request.pictures] for request in engine.asked]
        assert digests[1] == digests[0]
        assert digests[2][:14] == digests[0]  # one more picture stays within the step
        assert http.get(path).json()["messages"][1]["vlpro"]["pictures"] == first["vlpro"]["pictures"]
        assert http.get(path).json()["tokens"] < 8192 + 1500


def test_clearing_makes_the_engine_forget_the_smaller_copies() -> None:
    engine = _Remembering()
    with _talking(engine) as (_, http, path):
        _ask(http, path, "What?", _add(http, *SIXTEEN))
        given = {picture.pixels_sha256 for picture in engine.asked[0].pictures}
        assert len(given) == 16
        http.delete(path)
        assert given <= engine.forgotten
        assert len(engine.forgotten) == 32


def test_an_engine_without_a_budget_sees_whole_pictures_or_none() -> None:
    with _talking(_Remembering(picture_tokens_budget=0)) as (server, _, __):
        added = server.post("/v1/chat/completions", chat("What?", *SIXTEEN)).json()["vlpro"]
        assert added["reduced"] is False
    with _talking(_Remembering(picture_tokens_budget=0, context_tokens=16_000)) as (server, _, __):
        assert server.post("/v1/chat/completions", chat("What?", *SIXTEEN)).status_code == 400


def test_the_page_knows_the_budget(server: Server) -> None:
    with server.http() as http:
        assert http.get("/v1/status").json()["budget"]["picture_tokens"] == 8192

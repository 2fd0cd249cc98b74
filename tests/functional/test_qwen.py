"""The engines of Qwen3-VL behind the service, in their worker: loading, answers, what is kept, and refusals."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.functional.server import Json, Server, chat, eventually, picture_file, run
from tests.seeing import MODEL
from vlpro.config import Settings
from vlpro.engines.hardware import Card, probe
from vlpro.engines.model_files import make_manifest
from vlpro.engines.openvino.convert import convert
from vlpro.errors import ConfigError
from vlpro.gateway.engine import engine_of


@pytest.fixture(scope="module")
def manifest(random_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("manifest") / "small.json"
    made.write_text(make_manifest(random_model, "vlpro/small").to_json())
    return made


def settings(folder: Path, manifest: Path, **more: Any) -> Settings:
    return Settings(model_dir=str(folder), model_manifest=str(manifest), device="cpu", **more)


@pytest.fixture(scope="module", params=["openvino", "transformers"])
def server(random_model: Path, manifest: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    with run(settings(random_model, manifest, engine=request.param)) as running:
        eventually(lambda: status(running)["ready"], timeout_s=120)
        yield running


@pytest.fixture
def model(random_model: Path, manifest: Path) -> tuple[Path, Path]:
    return random_model, manifest


def status(server: Server) -> Json:
    with server.http() as http:
        reply: Json = http.get("/v1/status").json()
    return reply


def answer(server: Server, body: Json) -> Json:
    asked = body | {"model": "vlpro", "temperature": 0}
    reply: Json = server.post("/v1/chat/completions", asked, timeout=120).json()  # a model may load before it
    assert "error" not in reply, reply
    return reply


def test_it_says_what_it_is(server: Server) -> None:
    told = status(server)
    assert told["engine"] in ("openvino", "transformers")
    assert (told["model"], told["sees"]) == ("vlpro/small", True)
    assert told["device"]["engine_memory"] > 0


@pytest.mark.parametrize(
    ("capability", "device", "engine"),
    [
        (None, "auto", "openvino"),
        ((8, 0), "auto", "transformers"),
        ((8, 0), "cpu", "openvino"),
        ((6, 1), "auto", "openvino"),  # no card that torch knows any more
    ],
)
def test_a_model_folder_is_enough_to_choose_the_engine(
    capability: tuple[int, int] | None,
    device: Literal["auto", "cpu"],
    engine: str,
    model: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch", reason="the packages of the extra qwen are not installed")
    cards = (Card("card", capability, 24 << 30, 24 << 30),) if capability else ()
    found = replace(probe(), cards=cards)
    for module in ("vlpro.gateway.engine", "vlpro.engines.transformers.engine"):
        monkeypatch.setattr(f"{module}.probe", lambda: found)
    assert engine_of(settings(*model).model_copy(update={"device": device})).name == engine


def test_a_picture_counts_and_a_follow_up_is_not_read_again(server: Server) -> None:
    first = chat("What is it?", picture_file(128, 128)) | {"max_tokens": 6}
    told = answer(server, first)
    without = answer(server, chat("What is it?") | {"max_tokens": 6})
    # 4 x 4 cells with their marks, and "Picture 1: ".
    more = told["usage"]["prompt_tokens"] - without["usage"]["prompt_tokens"]
    assert 18 < more < 26
    said = told["choices"][0]["message"]
    turns = [
        *first["messages"],
        {"role": "assistant", "content": said["content"]},
        *chat("And now?")["messages"],
    ]
    again = answer(server, {"messages": turns, "max_tokens": 6})
    known = again["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert known >= told["usage"]["prompt_tokens"] - 1


def test_the_same_question_has_the_same_answer_streamed_or_whole(server: Server) -> None:
    body = chat("圆形是什么颜色？", picture_file(96, 96)) | {
        "max_tokens": 12,
        "model": "vlpro",
        "temperature": 0,
    }
    answer(
        server, body
    )  # both of the others then begin with the same that is known: random weights are often undecided
    whole = answer(server, body)["choices"][0]
    with server.openai() as client:
        pieces = [
            chunk.choices[0].delta.content or ""
            for chunk in client.chat.completions.create(**body, stream=True)
            if chunk.choices
        ]
    assert len(pieces) > 3
    assert "".join(pieces) == whole["message"]["content"]


def test_an_answer_keeps_to_a_schema_with_chinese_keys(server: Server) -> None:
    schema = {
        "type": "object",
        "properties": {
            "类别": {"enum": ["餐饮", "交通"]},
            "件数": {"type": "integer", "minimum": 0, "maximum": 99},
        },
        "required": ["类别", "件数"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": schema}}
    told = answer(server, chat("填写") | {"response_format": wanted, "max_tokens": 100})
    filled = json.loads(told["choices"][0]["message"]["content"])
    assert filled["类别"] in ("餐饮", "交通")
    assert 0 <= filled["件数"] <= 99


def test_a_schema_that_cannot_be_kept_to_is_the_askers_error(server: Server) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?<=x)y"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": schema}}
    reply = server.post("/v1/chat/completions", chat("?") | {"model": "vlpro", "response_format": wanted})
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "invalid_json_schema"


def test_a_prompt_beyond_the_context_is_refused_with_the_exact_count(server: Server) -> None:
    reply = server.post("/v1/chat/completions", chat("圆 " * 9000) | {"model": "vlpro"})
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "context_length_exceeded"


def test_a_picture_is_read_while_the_person_types(server: Server) -> None:
    with server.http() as http:
        image = http.post("/v1/images", content=picture_file(160, 128, seed=77)).json()
        held = http.post("/v1/conversations", json={}).json()["id"]
        ask = {"text": "What colour is it?", "images": [image["id"]], "max_tokens": 4}
        eventually(lambda: status(server)["reading_ahead"] == 0)  # the person types
        http.post(f"/v1/conversations/{held}/messages", json=ask).raise_for_status()
        eventually(lambda: http.get(f"/v1/conversations/{held}").json()["messages"][-1]["status"] == "done")
        usage = http.get(f"/v1/conversations/{held}").json()["messages"][-1]["usage"]
        assert usage["prompt_tokens_details"]["cached_tokens"] > image["tokens"]
        http.delete(f"/v1/conversations/{held}").raise_for_status()


def test_several_pictures_are_read_in_their_places_while_the_person_types(server: Server) -> None:
    with server.http() as http:

        def put(seed: int, **place: Any) -> Json:
            reply = http.post("/v1/images", params=place, content=picture_file(160, 128, seed=seed))
            reply.raise_for_status()
            eventually(lambda: status(server)["reading_ahead"] == 0)
            image: Json = reply.json()
            return image

        def read_anew(text: str, *images: Json) -> int:
            ask = {"text": text, "images": [image["id"] for image in images], "max_tokens": 4}
            http.post(f"/v1/conversations/{held}/messages", json=ask).raise_for_status()
            eventually(
                lambda: http.get(f"/v1/conversations/{held}").json()["messages"][-1]["status"] == "done"
            )
            usage = http.get(f"/v1/conversations/{held}").json()["messages"][-1]["usage"]
            left: int = usage["prompt_tokens"] - usage["prompt_tokens_details"]["cached_tokens"]
            return left

        held = http.post("/v1/conversations", json={}).json()["id"]
        first = put(81)
        second = put(82, after=first["id"])
        assert read_anew("Which is darker?", first, second) < second["tokens"]
        third = put(83, conversation=held)
        fourth = put(84, conversation=held, after=third["id"])
        assert read_anew("And of these?", third, fourth) < third["tokens"]
        http.delete(f"/v1/conversations/{held}").raise_for_status()


def test_reading_ahead_can_be_turned_off(random_model: Path, manifest: Path) -> None:
    with run(settings(random_model, manifest, engine="openvino", read_ahead=False)) as running:
        eventually(lambda: status(running)["ready"], timeout_s=120)
        with running.http() as http:
            http.post("/v1/images", content=picture_file(160, 128, seed=78)).raise_for_status()
        eventually(lambda: status(running)["reading_ahead"] == 0)
        body = chat("What colour is it?", picture_file(160, 128, seed=78)) | {"max_tokens": 4}
        assert answer(running, body)["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


def test_clearing_a_conversation_empties_what_the_engine_kept_of_it(server: Server) -> None:
    def ask(text: str) -> Json:
        with server.http() as http:
            image = http.post("/v1/images", content=picture_file(128, 128)).json()["id"]
            held = http.post("/v1/conversations", json={}).json()["id"]
            http.post(
                f"/v1/conversations/{held}/messages", json={"text": text, "images": [image], "max_tokens": 4}
            )
            eventually(lambda: message(held)["status"] == "done")
            told: Json = message(held)
            http.delete(f"/v1/conversations/{held}").raise_for_status()
        return told

    def message(held: str) -> Json:
        with server.http() as http:
            told: Json = http.get(f"/v1/conversations/{held}").json()["messages"][-1]
        return told

    ask("What colour is the star?")
    body = chat("What colour is the star?", picture_file(128, 128)) | {"max_tokens": 4}
    # The opening of a question is the same in all of them; nothing of the picture and what followed is known.
    assert answer(server, body)["usage"]["prompt_tokens_details"]["cached_tokens"] < 12
    assert answer(server, body)["usage"]["prompt_tokens_details"]["cached_tokens"] > 22


def test_an_altered_weight_is_not_loaded_and_the_service_says_why(
    random_model: Path, manifest: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(random_model, folder)
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with run(settings(folder, manifest)) as running:
        eventually(lambda: status(running)["problem"] is not None, timeout_s=60)
        told = status(running)
        assert not told["ready"]
        assert "model.safetensors was altered" in told["problem"]["message"]
        reply = running.post("/v1/chat/completions", chat("?") | {"model": "vlpro"})
        assert reply.status_code == 503
        assert "model.safetensors was altered" in reply.json()["error"]["message"]


def test_an_altered_configuration_stops_the_start(random_model: Path, manifest: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(random_model, folder)
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    with pytest.raises(ConfigError, match=r"config\.json was altered"), run(settings(folder, manifest)):
        pass


@pytest.mark.parametrize("engine", ["openvino", "transformers"])
def test_an_idle_model_leaves_memory_and_comes_back(engine: str, random_model: Path, manifest: Path) -> None:
    with run(settings(random_model, manifest, engine=engine, idle_unload_s=1.0)) as running:
        assert answer(running, chat("Hello?") | {"max_tokens": 3})["usage"]["completion_tokens"] > 0
        eventually(lambda: status(running)["device"]["engine_memory"] is None)
        assert status(running)["ready"]
        assert answer(running, chat("Hello?") | {"max_tokens": 3})["usage"]["completion_tokens"] > 0


def test_a_packed_folder_is_not_for_transformers(tmp_path: Path) -> None:
    convert(MODEL, tmp_path / "packed")
    listing = tmp_path / "listing.json"
    listing.write_text(make_manifest(tmp_path / "packed", "packed").to_json())
    with pytest.raises(ConfigError, match="packed for the engine openvino"):
        engine_of(settings(tmp_path / "packed", listing, engine="transformers"))
    assert engine_of(settings(tmp_path / "packed", listing)).name == "openvino"


def test_without_its_packages_it_says_what_to_install(
    random_model: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("vlpro.engines.transformers.engine")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"torch.*requirements-qwen\.txt"):
        run(settings(random_model, manifest, engine="transformers")).__enter__()

"""Every reply has the keys that OpenAI's specification (openai-openapi 2.3.0) requires, in its order."""

from __future__ import annotations

import json

import pytest

from tests.functional.server import MODEL, Json, Server, chat, events, picture_file

CHUNK = {"id", "object", "created", "model", "choices"}
CHOICE = {"index", "delta", "logprobs", "finish_reason"}


def _stream(server: Server, **fields: object) -> tuple[list[Json], str]:
    reply = server.post("/v1/chat/completions", chat("count to 3", stream=True, **fields))
    assert reply.status_code == 200
    assert reply.headers["content-type"].split(";")[0] == "text/event-stream"
    assert "content-length" not in reply.headers
    return events(reply.text), reply.text


def test_chat_completion(server: Server) -> None:
    reply = server.post("/v1/chat/completions", chat("what?", picture_file(64, 48))).json()
    assert reply.keys() >= {"id", "object", "created", "model", "choices", "usage"}
    assert reply["object"] == "chat.completion"
    assert reply["id"].startswith("chatcmpl-")
    (choice,) = reply["choices"]
    assert choice.keys() == {"index", "message", "logprobs", "finish_reason"}
    assert choice["logprobs"] is None
    assert choice["message"].keys() == {"role", "content", "refusal"}
    assert reply["usage"].keys() >= {"prompt_tokens", "completion_tokens", "total_tokens"}
    (picture,) = reply["vlpro"]["pictures"]
    assert (picture["width"], picture["height"], picture["shrunk"]) == (64, 48, False)
    assert reply["vlpro"]["timing"]["total_ms"] > 0


def test_boxes_are_in_pixels_of_the_original(server: Server) -> None:
    reply = server.post("/v1/chat/completions", chat("box it", picture_file(640, 480))).json()
    (place,) = reply["vlpro"]["grounding"]
    assert place["box"] == [160, 120, 480, 360]
    assert place["image"] == 1


def test_prompts_are_listed_with_a_title_in_each_language(server: Server) -> None:
    with server.http() as http:
        listed = http.get("/v1/prompts").json()
    assert listed["object"] == "list"
    texts = {prompt["id"]: prompt["text"] for prompt in listed["data"]}
    assert texts["locate"].startswith(
        "Locate every instance that belongs to the following categories: '{categories}'"
    )
    assert texts["html"] == "qwenvl html"
    assert all(prompt["titles"].keys() == {"zh", "en"} for prompt in listed["data"])


def test_a_large_picture_is_shrunk_and_the_answer_says_so(server: Server) -> None:
    reply = server.post("/v1/chat/completions", chat("box it", picture_file(3000, 2000, kind="JPEG"))).json()
    (picture,) = reply["vlpro"]["pictures"]
    assert picture["shrunk"]
    assert (picture["width"], picture["height"]) == (3000, 2000)
    assert picture["used_width"] * picture["used_height"] <= 1_048_576
    assert reply["vlpro"]["grounding"][0]["box"] == [750, 500, 2250, 1500]


def test_chunks(server: Server) -> None:
    chunks, text = _stream(server)
    assert text.endswith("data: [DONE]\n\n")
    for chunk in chunks:
        assert chunk.keys() >= CHUNK
        assert "usage" not in chunk
        assert chunk["object"] == "chat.completion.chunk"
        assert [choice.keys() for choice in chunk["choices"]] == [CHOICE]
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert all("role" not in delta for delta in deltas[1:])
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + ["stop"]
    assert chunks[-1]["vlpro"]["engine"] == "fake"


def test_chunks_with_usage(server: Server) -> None:
    chunks, text = _stream(server, stream_options={"include_usage": True})
    assert text.endswith("data: [DONE]\n\n")
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 0
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"


def test_chunks_that_are_cut_by_length(server: Server) -> None:
    chunks, _ = _stream(server, max_tokens=2)
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": None}])
def test_no_usage_unless_asked_for(server: Server, options: Json | None) -> None:
    chunks, _ = _stream(server, stream_options=options)
    assert not any("usage" in chunk for chunk in chunks)


def test_streamed_text_equals_whole_text(server: Server) -> None:
    asked: list[Json] = [{}, {"stop": "2"}, {"max_tokens": 1}, {"stop": ["3 ", "1 2 3"]}]
    for fields in asked:
        whole = server.post("/v1/chat/completions", chat("count to 9", **fields)).json()
        chunks = events(server.post("/v1/chat/completions", chat("count to 9", stream=True, **fields)).text)
        text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
        assert text == whole["choices"][0]["message"]["content"]


def test_errors_before_the_first_piece_are_http_errors(server: Server) -> None:
    reply = server.post("/v1/chat/completions", chat("x", "data:image/png;base64,AAAA", stream=True))
    assert reply.status_code == 400
    assert reply.headers["content-type"] == "application/json"


def test_response(server: Server) -> None:
    reply = server.post("/v1/responses", {"model": MODEL, "input": "hi"}).json()
    required = {
        "id", "object", "created_at", "error", "incomplete_details", "instructions", "model", "tools",
        "output", "parallel_tool_calls", "metadata", "tool_choice", "temperature", "top_p", "status", "usage",
    }  # fmt: skip
    assert reply.keys() >= required
    assert reply["store"] is False
    (item,) = reply["output"]
    assert item.keys() == {"id", "type", "status", "role", "content"}
    assert item["content"][0].keys() == {"type", "text", "annotations", "logprobs"}
    assert reply["usage"].keys() == {
        "input_tokens", "input_tokens_details", "output_tokens", "output_tokens_details", "total_tokens",
    }  # fmt: skip


def test_response_events(server: Server) -> None:
    reply = server.post("/v1/responses", {"model": MODEL, "input": "count to 2", "stream": True})
    names = [line.removeprefix("event: ") for line in reply.text.splitlines() if line.startswith("event: ")]
    got = events(reply.text)
    assert names == [event["type"] for event in got]
    assert names == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * (len(got) - 8),
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event["sequence_number"] for event in got] == list(range(len(got)))
    assert "".join(event.get("delta", "") for event in got) == "1 2 "
    items = {event["item_id"] for event in got if "item_id" in event}
    assert items == {got[2]["item"]["id"]} == {got[-1]["response"]["output"][0]["id"]}
    assert got[0]["response"]["status"] == "in_progress"
    assert got[0]["response"]["usage"] is None
    assert got[-1]["response"]["usage"]["output_tokens"] == 2


def test_response_events_of_a_failure(server: Server) -> None:
    reply = server.post("/v1/responses", {"model": MODEL, "input": "please fail", "stream": True})
    last = events(reply.text)[-1]
    assert last.keys() == {"type", "code", "message", "param", "sequence_number"}
    assert (last["type"], last["code"]) == ("error", "engine_error")
    whole = server.post("/v1/responses", {"model": MODEL, "input": "please fail"})
    assert whole.status_code == 502


def test_models(server: Server) -> None:
    with server.http() as http:
        reply = http.get("/v1/models").json()
        assert reply["object"] == "list"
        for model in reply["data"]:
            assert model.keys() == {"id", "object", "created", "owned_by"}
            assert http.get(f"/v1/models/{model['id']}").json() == model


def test_chinese_stays_readable_on_the_wire(server: Server) -> None:
    assert "合计金额".encode() in server.post("/v1/chat/completions", chat("合计金额是多少？")).content
    streamed = server.post("/v1/chat/completions", chat("合计金额是多少？", stream=True))
    assert "合计金额".encode() in streamed.content


def test_a_long_chinese_question_with_sixteen_pictures(server: Server) -> None:
    question = "请逐一比较这些图片。" * 200 + "末尾"
    assert len(question) > 2000
    pictures = [picture_file(300 + i, 200, kind="JPEG", seed=i) for i in range(16)]
    reply = server.post("/v1/chat/completions", chat(question, *pictures))
    assert reply.status_code == 200
    text = reply.json()["choices"][0]["message"]["content"]
    assert question in text
    assert "Picture 16: 315×200 jpeg" in text
    longer = server.post("/v1/chat/completions", chat("字" * 20_000, *pictures[:2]))
    assert longer.status_code == 200
    assert "字" * 20_000 in json.dumps(longer.json(), ensure_ascii=False)


def test_answers_are_sent_at_once(server: Server) -> None:
    """No answer waits 40 ms for a delayed acknowledgement (Nagle's algorithm is off)."""
    with server.http() as http:
        took = [http.get("/healthz").elapsed.total_seconds() for _ in range(100)]
    assert sorted(took)[20] < 0.03  # a busy machine delays the others

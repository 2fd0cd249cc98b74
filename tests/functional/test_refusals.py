"""What cannot be honoured is refused with the field's name, and never ignored."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.functional.server import MODEL, Json, Server, chat, data_url, picture_file, user

CHAT = "/v1/chat/completions"
PNG = data_url(picture_file())


def refused(
    server: Server, body: object, param: str | None, code: str | None = None, *, path: str = CHAT
) -> None:
    reply = server.post(path, body)
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert error["param"] == param, error
    assert error["type"] == "invalid_request_error"
    if code is not None:
        assert error["code"] == code, error
    if param:
        assert param.split(".")[-1].split("[")[0] in error["message"] or code != "unknown_parameter"


def say(content: Any, role: str = "user", **more: Any) -> Json:
    return {"model": MODEL, "messages": [{"role": role, "content": content, **more}]}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (chat(best_of=5), "best_of"),
        (chat(chat_template_kwargs={"x": 1}), "chat_template_kwargs"),
        (chat(extra_body={}), "extra_body"),
        (chat(mm_processor_kwargs={}), "mm_processor_kwargs"),
        (chat(stream=True, stream_options={"x": 1}), "stream_options.x"),
        (say("a", colour="red"), "messages[0].colour"),
        (say([{"type": "text", "text": "a", "x": 1}]), "messages[0].content[0].x"),
        (
            say([{"type": "image_url", "image_url": {"url": PNG, "x": 1}}]),
            "messages[0].content[0].image_url.x",
        ),
        (chat(response_format={"type": "json_object", "x": 1}), "response_format.x"),
        (
            chat(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "x": 1}}),
            "response_format.json_schema.x",
        ),
    ],
)
def test_unknown_field(server: Server, body: Json, param: str) -> None:
    refused(server, body, param, "unknown_parameter")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("logprobs", True),
        ("top_logprobs", 3),
        ("logit_bias", {"50256": -100}),
        ("tools", [{"type": "function", "function": {"name": "f"}}]),
        ("tool_choice", "required"),
        ("tool_choice", {"type": "function", "function": {"name": "f"}}),
    ],
)
def test_known_field_that_the_engine_cannot_honour(server: Server, field: str, value: Any) -> None:
    refused(server, chat(**{field: value}), field, "unsupported_parameter")


@pytest.mark.parametrize(
    "fields",
    [
        {"logprobs": False, "top_logprobs": 0, "logit_bias": {}, "tools": [], "tool_choice": "none"},
        {"logprobs": None, "top_logprobs": None, "logit_bias": None, "tools": None, "tool_choice": None},
        {"n": None, "stop": None, "seed": None, "temperature": None, "top_p": None, "max_tokens": None},
        {"stream": None, "stream_options": None, "response_format": None, "user": None, "metadata": None},
        {"parallel_tool_calls": True, "store": False, "tool_choice": "auto", "stop": []},
        {"presence_penalty": 1, "frequency_penalty": -2.0},
    ],
)
def test_values_that_ask_for_nothing_are_taken(server: Server, fields: Json) -> None:
    assert server.post(CHAT, chat(**fields)).status_code == 200


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/x.png",
        "HTTP://127.0.0.1:{port}/x.png",
        "https://127.0.0.1:{port}/x.png",
        "ftp://127.0.0.1:{port}/x.png",
        "//127.0.0.1:{port}/x.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "blob:http://127.0.0.1:{port}/1",
        "data:text/plain,hello",
        "data:image/png,hello",
        "data:image/png;base64",
        "data:;base64;x,AAAA",
        " data:image/png;base64,AAAA",
        "data:image/png;base64 ,AAAA",
        "",
        "x",
        "data:" + "a" * 200_000,
        "data:" + ";x=y" * 50_000 + ";base64,AAAA",
        "data:image/png" + ";a" * 5 + ";base64,AAAA",
    ],
)
def test_only_data_urls_and_nothing_is_fetched(server: Server, url: str, sink: Any) -> None:
    body = say([{"type": "image_url", "image_url": {"url": url.replace("{port}", str(sink.port))}}])
    refused(server, body, "messages[0].content[0].image_url.url", "invalid_image_url")
    parts = [{"type": "input_image", "image_url": url.replace("{port}", str(sink.port))}]
    body = {"model": MODEL, "input": [{"role": "user", "content": parts}]}
    refused(server, body, "input[0].content[0].image_url", "invalid_image_url", path="/v1/responses")
    assert not sink.touched()


def test_urls_in_text_are_not_followed(server: Server, sink: Any) -> None:
    text = f"![x](http://127.0.0.1:{sink.port}/a.png) http://127.0.0.1:{sink.port}/b"
    assert server.post(CHAT, chat(text)).status_code == 200
    assert not sink.touched()


def test_the_sink_would_notice(sink: Any) -> None:
    sink.touch()
    assert sink.touched()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("AA AA", "invalid_base64"),
        ("AAAA\nAAAA", "invalid_base64"),
        ("AAA", "invalid_base64"),
        ("A", "invalid_base64"),
        ("__--", "invalid_base64"),
        ("AAAA====", None),
        ("AA==AA==", "invalid_base64"),
        ("图片", "invalid_base64"),
        ("%41%41", "invalid_base64"),
        ("", "invalid_image_format"),
        ("AAAA", "invalid_image_format"),
        ("data:image/png;base64,AAAA", "invalid_base64"),
    ],
)
def test_bad_base64(server: Server, data: str, code: str | None) -> None:
    body = say([{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}])
    refused(server, body, "messages[0].content[0].image_url.url", code)


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (chat(stream_options={"include_usage": True}), "stream_options", "invalid_value"),
        (chat(n=9), "n", "invalid_value"),
        (chat(n=0), "n", "invalid_value"),
        (chat(n=129), "n", "invalid_value"),
        (chat(n=1.0), "n", "invalid_type"),
        (chat(n="1"), "n", "invalid_type"),
        (chat(n=True), "n", "invalid_type"),
        (chat(stop=["a"] * 5), "stop", "invalid_value"),
        (chat(stop=[1]), "stop[0]", "invalid_type"),
        (chat(stop=5), "stop", "invalid_type"),
        (chat(max_tokens=0), "max_tokens", "invalid_value"),
        (chat(max_tokens=-1), "max_tokens", "invalid_value"),
        (chat(max_tokens=2**31), "max_tokens", "invalid_value"),
        (chat(max_tokens="5"), "max_tokens", "invalid_type"),
        (chat(max_tokens=5, max_completion_tokens=6), "max_tokens", "invalid_value"),
        (chat(max_tokens=32_768), "max_tokens", "context_length_exceeded"),
        (chat(max_completion_tokens=32_768), "max_completion_tokens", "context_length_exceeded"),
        (chat("字" * 50_000), "messages", "context_length_exceeded"),
        (chat("x" * 400_001), "messages", "context_length_exceeded"),
        (chat(temperature=-0.1), "temperature", "invalid_value"),
        (chat(temperature=99), "temperature", "invalid_value"),
        (chat(temperature="1"), "temperature", "invalid_type"),
        (chat(temperature=True), "temperature", "invalid_type"),
        (chat(temperature=[]), "temperature", "invalid_type"),
        (chat(top_p=0), "top_p", "invalid_value"),
        (chat(top_p=1.1), "top_p", "invalid_value"),
        (chat(seed=2**63), "seed", "invalid_value"),
        (chat(seed=10**4000), "seed", "invalid_value"),
        (chat(seed=-(10**4000)), "seed", "invalid_value"),
        (chat(temperature=10**400), "temperature", None),
        (chat(seed=1.5), "seed", "invalid_type"),
        (chat(top_logprobs=21), "top_logprobs", "invalid_value"),
        (chat(store=True), "store", None),
        (chat(stream="yes"), "stream", "invalid_type"),
        (chat(stream=1), "stream", "invalid_type"),
        (chat(stream=True, stream_options={"include_obfuscation": True}), "stream_options.include_obfuscation", None),
        (chat(user=5), "user", "invalid_type"),
        (chat(metadata={str(i): "x" for i in range(17)}), "metadata", "invalid_value"),
        (chat(metadata={"a": 1}), "metadata.a", "invalid_type"),
        (chat(response_format="json"), "response_format", None),
        (chat(response_format={"type": "xml"}), "response_format.type", "invalid_value"),
        (chat(response_format={}), "response_format.type", "missing_required_parameter"),
        (chat(response_format={"type": "json_schema"}), "response_format.json_schema", "missing_required_parameter"),
        (
            chat(response_format={"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}}),
            "response_format.json_schema.name",
            "invalid_value",
        ),
        ({"messages": [user("x")]}, "model", "missing_required_parameter"),
        ({"model": MODEL}, "messages", "missing_required_parameter"),
        ({"model": "", "messages": [user("x")]}, "model", "invalid_value"),
        ({"model": 5, "messages": [user("x")]}, "model", "invalid_type"),
        ({"model": MODEL, "messages": []}, "messages", "invalid_value"),
        ({"model": MODEL, "messages": {}}, "messages", "invalid_type"),
        ({"model": MODEL, "messages": "hi"}, "messages", "invalid_type"),
        ({"model": MODEL, "messages": [user("x")] * 2001}, "messages", "invalid_value"),
        ({"model": MODEL, "messages": ["hi"]}, "messages[0]", None),
        ({"model": MODEL, "messages": [{}]}, "messages[0].role", "missing_required_parameter"),
        ({"model": MODEL, "messages": [user("x"), {"role": "user"}]}, "messages[1].content", None),
        (say("a", "wizard"), "messages[0].role", "invalid_value"),
        (say("a", "USER"), "messages[0].role", "invalid_value"),
        (say("a", 5), "messages[0].role", None),  # type: ignore[arg-type]
        (say("a", "system"), "messages", "invalid_value"),
        (say("a", "assistant"), "messages", "invalid_value"),
        (say("a", "tool"), "messages[0].tool_call_id", "missing_required_parameter"),
        (say(None), "messages[0].content", "invalid_type"),
        (say(5), "messages[0].content", "invalid_type"),
        (say([]), "messages[0].content", "invalid_value"),
        (say({}), "messages[0].content", "invalid_type"),
        (say(["x"]), "messages[0].content[0]", None),
        (say([{"type": "input_audio"}]), "messages[0].content[0].type", "invalid_value"),
        (say([{"type": "text"}]), "messages[0].content[0].text", "missing_required_parameter"),
        (say([{"type": "image_url", "image_url": PNG}]), "messages[0].content[0].image_url", None),
        (say([{"type": "image_url", "image_url": {}}]), "messages[0].content[0].image_url.url", None),
        (
            say([{"type": "image_url", "image_url": {"url": PNG, "detail": "max"}}]),
            "messages[0].content[0].image_url.detail",
            "invalid_value",
        ),
        (
            say([{"type": "image_url", "image_url": {"url": PNG}}], "system"),
            "messages[0].content[0].type",
            "invalid_value",
        ),
    ],
)  # fmt: skip
def test_wrong_value(server: Server, body: Json, param: str, code: str | None) -> None:
    refused(server, body, param, code)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "unsupported_parameter"),
        ({"include": ["message.output_text.logprobs"]}, "include", "unsupported_parameter"),
        ({"reasoning": {"effort": "low"}}, "reasoning.effort", "unsupported_parameter"),
        ({"conversation": "conv_1"}, "conversation", "unsupported_parameter"),
        ({"store": True}, "store", "unsupported_parameter"),
        ({"background": True}, "background", "unsupported_parameter"),
        ({"truncation": "auto"}, "truncation", "unsupported_parameter"),
        ({"top_logprobs": 5}, "top_logprobs", "unsupported_parameter"),
        ({"metadata": {"k" * 65: "v"}}, "metadata." + "k" * 65, "invalid_value"),
        ({"tools": [{"type": "web_search"}]}, "tools", "unsupported_parameter"),
        ({"max_output_tokens": 0}, "max_output_tokens", "invalid_value"),
        ({"max_output_tokens": 32_768}, "max_output_tokens", "context_length_exceeded"),
        ({"input": "字" * 50_000}, "input", "context_length_exceeded"),
        ({"input": "x" * 400_001}, "input", "context_length_exceeded"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": 5}, "input", "invalid_type"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role", "invalid_value"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]", "invalid_value"),
        ({"input": [{"type": "reasoning", "id": "x", "summary": []}]}, "input[0]", "invalid_value"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].arguments", None),
        ({"input": [{"role": "assistant", "content": "x"}]}, "input", "invalid_value"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file"}]}]},
            "input[0].content[0].type",
            "invalid_value",
        ),
        (
            {"input": [{"role": "system", "content": [{"type": "input_image", "image_url": PNG}]}]},
            "input[0].content[0]",
            "invalid_value",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": PNG}] * 17}]},
            "input",
            "too_many_images",
        ),
    ],
)
def test_wrong_value_of_responses(server: Server, fields: Json, param: str, code: str | None) -> None:
    refused(server, {"model": MODEL, "input": "x"} | fields, param, code, path="/v1/responses")


def test_an_item_of_the_server_cannot_be_referred_to_and_the_answer_says_what_to_do(server: Server) -> None:
    body = {"model": MODEL, "input": [{"type": "item_reference", "id": "msg_1"}]}
    message = server.post("/v1/responses", body).json()["error"]["message"]
    assert "Nothing is stored" in message
    assert "store: false" in message


# What the official clients, LangChain, LlamaIndex and the AI SDK send without asking for anything by it.
NEUTRAL_OF_CHAT: Json = {
    "audio": None,
    "function_call": "none",
    "functions": [],
    "metadata": {"job": "7"},
    "modalities": ["text"],
    "parallel_tool_calls": True,
    "prediction": None,
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "reasoning_effort": "none",
    "service_tier": "auto",
    "store": False,
    "tool_choice": "auto",
    "verbosity": "medium",
    "web_search_options": None,
}
NEUTRAL_OF_RESPONSES: Json = {
    "background": False,
    "context_management": [],
    "conversation": None,
    "include": [],
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": 3,
    "metadata": None,
    "previous_response_id": None,
    "prompt": None,
    "prompt_cache_key": "k",
    "prompt_cache_retention": None,
    "reasoning": {"effort": None, "summary": None},
    "service_tier": "default",
    "store": False,
    "stream_options": {"include_obfuscation": False},
    "top_logprobs": 0,
    "truncation": "disabled",
}


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        *((CHAT, field, value) for field, value in NEUTRAL_OF_CHAT.items()),
        *(("/v1/responses", field, value) for field, value in NEUTRAL_OF_RESPONSES.items()),
    ],
)
def test_a_field_that_asks_for_nothing_is_taken(server: Server, path: str, field: str, value: object) -> None:
    body = chat("count to 2") if path == CHAT else {"model": MODEL, "input": "count to 2"}
    for each in (value, None):
        reply = server.post(path, body | {field: each})
        assert reply.status_code == 200, reply.text


@pytest.mark.parametrize(
    ("path", "asked"), [(CHAT, chat()), ("/v1/responses", {"model": MODEL, "input": "x"})]
)
def test_functions_that_may_not_be_called_are_taken(server: Server, path: str, asked: Json) -> None:
    offered = asked | {"tools": [{"type": "function", "name": "f", "function": {"name": "f"}}]}
    refused(server, offered, "tools", "unsupported_parameter", path=path)
    reply = server.post(path, offered | {"tool_choice": "none"})
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("audio", {"voice": "alloy", "format": "mp3"}),
        ("function_call", {"name": "f"}),
        ("functions", [{"name": "f"}]),
        ("modalities", ["text", "audio"]),
        ("prediction", {"type": "content", "content": "x"}),
        ("reasoning_effort", "low"),
        ("service_tier", "flex"),
        ("store", True),
        ("verbosity", "low"),
        ("web_search_options", {}),
        ("store", 0),
    ],
)
def test_a_field_that_asks_for_something_is_refused(server: Server, field: str, value: Any) -> None:
    refused(server, chat(**{field: value}), field, "unsupported_parameter")


def test_an_answer_can_be_sent_back_as_clients_keep_it(server: Server) -> None:
    kept = {
        "role": "assistant",
        "content": "{}",
        "refusal": None,
        "parsed": {"a": 1},
        "reasoning_content": None,
    }
    body = {"model": MODEL, "messages": [user("a"), kept, user("count to 2")]}
    assert server.post(CHAT, body).status_code == 200
    first = server.post("/v1/responses", {"model": MODEL, "input": "count to 2"}).json()["output"]
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c1", "output": "42"}
    again = [user("a"), {**first[0], "phase": None}, call, result, user("count to 3")]
    reply = server.post("/v1/responses", {"model": MODEL, "input": again})
    assert reply.status_code == 200, reply.text
    assert reply.json()["output"][0]["content"][0]["text"].startswith("1 2 3")


def test_seventeen_pictures(server: Server) -> None:
    refused(server, chat("what?", *[PNG] * 17), "messages", "too_many_images")
    assert server.post(CHAT, chat("what?", *[PNG] * 16)).status_code == 200
    spread = {"model": MODEL, "messages": [user("x", PNG)] * 17}
    refused(server, spread, "messages", "too_many_images")


def test_own_limits(narrow: Server) -> None:
    refused(narrow, chat("x" * 5_001), "messages", "context_length_exceeded")
    refused(narrow, chat("x", *[PNG] * 4), "messages", "too_many_images")
    refused(narrow, chat(n=3), "n", "invalid_value")
    large = picture_file(200, 200)
    assert len(large) > 100_000
    refused(narrow, chat("x", large), "messages[0].content[0].image_url.url", "image_too_large")
    assert "Make it smaller" in narrow.post(CHAT, chat("x", large)).json()["error"]["message"]
    assert narrow.post(CHAT, chat("count to 1", PNG)).status_code == 200


def test_text_limit_counts_all_messages(narrow: Server) -> None:
    body = {"model": MODEL, "messages": [user("x" * 3_000), user("y" * 3_000)]}
    refused(narrow, body, "messages", "context_length_exceeded")


def test_a_picture_that_does_not_fit_the_context(server: Server) -> None:
    refused(
        server, chat("x" * 100_000, *[PNG] * 16, max_tokens=8_000), "max_tokens", "context_length_exceeded"
    )


@pytest.mark.parametrize(
    ("json_schema", "place"),
    [
        ({"type": "wizard"}, ".type"),
        ({"type": 5}, ".type"),
        ({"type": "object", "properties": [1]}, ".properties"),
        ({"type": "object", "properties": {"a": {"type": "text"}}}, ".properties.a.type"),
        ({"type": "object", "required": "a"}, ".required"),
        ({}, ".type"),
        ({"type": "string"}, ".type"),
        ({"type": "array", "items": {}}, ".type"),
        ({"type": "object", "properties": {"a": {"$ref": "#/$defs/no"}}}, ".properties.a.$ref"),
        ({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/x"}}}, ".properties.a.$ref"),
    ],
)
def test_a_schema_that_no_answer_can_have(server: Server, json_schema: Json, place: str) -> None:
    form: Json = {"type": "json_schema", "json_schema": {"name": "n", "schema": json_schema}}
    refused(
        server,
        chat() | {"response_format": form},
        "response_format.json_schema.schema" + place,
        "invalid_json_schema",
    )
    body = {"model": MODEL, "input": "x", "text": {"format": {"type": "json_schema", **form["json_schema"]}}}
    refused(server, body, "text.format.schema" + place, "invalid_json_schema", path="/v1/responses")


def test_a_large_schema_is_refused_before_it_takes_time(server: Server) -> None:
    inner = {"type": "object", "properties": {f"q{n}": {"type": "string"} for n in range(60)}}
    schema: Json = {"type": "object", "properties": {f"p{n}": inner for n in range(500)}}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    began = time.process_time()  # of this process, in which the server runs, too
    refused(
        server,
        chat() | {"response_format": form},
        "response_format.json_schema.schema",
        "invalid_json_schema",
    )
    assert time.process_time() - began < 1


def test_a_schema_of_endless_depth(server: Server) -> None:
    nested: Json = {"type": "object"}
    for _ in range(150):
        nested = {"type": "object", "properties": {"a": nested}}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": nested}}
    reply = server.post(CHAT, chat() | {"response_format": form})
    assert reply.status_code in (200, 400), reply.text

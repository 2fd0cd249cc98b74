from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from vlpro import errors, schema
from vlpro.gateway.errors import STATUS, as_event, from_validation, response


@pytest.mark.parametrize("cls", STATUS)
def test_every_error_as_an_answer(cls: type[errors.VlproError]) -> None:
    error = errors.BusyError("x", retry_after=3) if cls is errors.BusyError else cls("x", zh="错", param="p")
    reply = response(error)
    body = json.loads(bytes(reply.body))["error"]
    assert reply.status_code == STATUS[cls][0]
    assert body.keys() == {"message", "type", "param", "code", "vlpro"}
    assert body["code"] == cls.default_code
    assert reply.headers.get("retry-after") == ("3" if cls is errors.BusyError else None)


def test_event() -> None:
    data = as_event(errors.EngineError("Broke.", zh="坏了。"))
    assert data.startswith(b"data: {")
    assert data.endswith(b"\n\n")
    assert json.loads(data[6:])["error"]["code"] == "engine_error"


def _named(body: Any, model: type[BaseModel] = schema.ChatRequest) -> errors.BadRequestError:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(body)
    problems = [{**problem, "loc": ("body", *problem["loc"])} for problem in refused.value.errors()]
    return from_validation(problems, body)


def _say(content: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content, **more}]}


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "model", "missing_required_parameter"),
        (_say([{"type": "text", "text": "a", "x": 1}]), "messages[0].content[0].x", "unknown_parameter"),
        (_say([{"type": "text", "text": 5}]), "messages[0].content[0].text", "invalid_type"),
        (_say([{"type": "text"}]), "messages[0].content[0].text", "missing_required_parameter"),
        (_say([{"type": "image_url", "image_url": 5}]), "messages[0].content[0].image_url", "invalid_type"),
        (_say("a", user=1), "messages[0].user", "unknown_parameter"),
        (_say([]), "messages[0].content", "invalid_value"),
        (_say("a") | {"user": 5}, "user", "invalid_type"),
        (_say("a") | {"x" * 500: 5}, "x" * 80, "unknown_parameter"),
        (
            _say("a")
            | {"response_format": {"type": "json_schema", "json_schema": {"name": 5, "schema": {}}}},
            "response_format.json_schema.name",
            "invalid_type",
        ),
    ],
)
def test_the_field_is_named_as_the_caller_wrote_it(body: Any, param: str, code: str) -> None:
    error = _named(body)
    assert (error.param, error.code) == (param, code)
    assert param in error.message
    assert param in error.zh


def test_no_object_at_all() -> None:
    error = _named([])
    assert error.param is None
    assert error.message.startswith("Invalid body")


def test_a_parameter_of_the_query() -> None:
    problem = {"loc": ("query", "size"), "type": "int_parsing", "msg": "Input should be a valid integer"}
    assert from_validation([problem], None).param == "size"


def test_messages_do_not_repeat_what_was_sent() -> None:
    assert "secret" not in _named(_say([{"type": "text", "text": ["secret"]}])).message

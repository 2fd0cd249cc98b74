from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest
from pydantic import BaseModel, ValidationError

from vlpro import schema
from vlpro.schema import shapes


def test_every_public_name_exists_and_every_class_is_public() -> None:
    classes = {
        name
        for name, value in inspect.getmembers(schema, inspect.isclass)
        if issubclass(value, BaseModel)
        and value.__module__.startswith(schema.__name__)
        and not name.startswith("_")
    }
    assert classes <= set(schema.__all__)
    assert all(hasattr(schema, name) for name in schema.__all__)
    assert schema.__all__ == sorted(schema.__all__)


def _classes(root: type[BaseModel]) -> list[type[BaseModel]]:
    modules = [
        importlib.import_module(f"{schema.__name__}.{one.name}")
        for one in pkgutil.iter_modules(schema.__path__)
    ]
    classes = {value for module in modules for _, value in inspect.getmembers(module, inspect.isclass)}
    return sorted((value for value in classes if issubclass(value, root) and value is not root), key=str)


@pytest.mark.parametrize("model", _classes(shapes.Request))
def test_requests_are_strict(model: type[BaseModel]) -> None:
    assert model.model_config["extra"] == "forbid"
    assert model.model_config["strict"] is True
    assert model.model_config["allow_inf_nan"] is False


@pytest.mark.parametrize("model", _classes(shapes.Reply))
def test_replies_bear_fields_of_a_newer_service(model: type[BaseModel]) -> None:
    assert model.model_config["extra"] == "ignore"


def test_a_list_of_wrong_elements_makes_one_finding() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": [{}] * 1000}] * 100}
    with pytest.raises(ValidationError) as refused:
        schema.ChatRequest.model_validate(body)
    assert refused.value.error_count() < 5


def test_alias_of_a_schema() -> None:
    kind = schema.JsonSchemaFormat.model_validate({"name": "x", "schema": {"type": "object"}})
    assert kind.schema_ == {"type": "object"}
    assert "schema" in kind.model_dump(by_alias=True)

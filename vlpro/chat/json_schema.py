"""Whether a JSON Schema can be answered to (``response_format``): valid, of an object, and whole in itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vlpro.errors import BadRequestError

__all__ = ["check_schema"]

_VALUES = frozenset({"const", "default", "enum", "examples"})  # hold values, not schemas
_MOST_OBJECTS = 1_000  # in a schema: each takes a third of a millisecond to check


def check_schema(schema: Mapping[str, object], param: str) -> None:
    """Refuse a schema that no answer can be made of. Takes up to a second: call it off the event loop.

    Args:
        schema: JSON Schema, draft 2020-12.
        param: The field that it came in.

    Raises:
        BadRequestError: It is not valid, does not describe an object, refers to what is not in it, or is too large;
            names the place.
    """
    if sum(isinstance(part, dict) for _, part in _parts(schema)) > _MOST_OBJECTS:
        reason = f"it holds more than {_MOST_OBJECTS} objects"
        raise _refused(param, (), reason, f"对象超过 {_MOST_OBJECTS} 个")
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - a fifth of a second, needed by few requests
    from jsonschema.exceptions import best_match  # noqa: PLC0415 - likewise

    try:
        problem = best_match(Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(schema))
        broken = next(
            (path for path, part in _parts(schema) if path[-1:] == ("$ref",) and _is_broken(schema, part)),
            None,
        )
    except RecursionError:
        raise _refused(param, (), "it is nested too deeply", "嵌套过深") from None
    if problem is not None:
        reason = problem.message[:200]
        raise _refused(param, problem.absolute_path, reason, reason)
    if schema.get("type") != "object" and not {"properties", "$ref"} & schema.keys():
        raise _refused(
            param, ("type",), 'the answer is an object: give it "type": "object"', "根类型必须是 object"
        )
    if broken is not None:
        raise _refused(
            param, broken, "it refers to what is not in this schema", "引用的内容不在这个 schema 之内"
        )


def _parts(schema: object) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """Everything in a schema that is no mere value, with the path to it."""
    waiting: list[tuple[tuple[str | int, ...], object]] = [((), schema)]
    while waiting:
        path, here = waiting.pop()
        yield path, here
        if isinstance(here, dict):
            waiting += [((*path, key), part) for key, part in here.items() if key not in _VALUES]
        elif isinstance(here, list):
            waiting += [((*path, index), part) for index, part in enumerate(here)]


def _is_broken(schema: object, reference: object) -> bool:
    """Whether a reference (RFC 6901) names nothing in this schema; a property may be called ``$ref`` and is none."""
    if not isinstance(reference, str):
        return False
    if not reference.startswith("#"):
        return True
    here = schema
    for step in reference[1:].strip("/").split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(here, dict) and name:
            here = here.get(name)
        elif isinstance(here, list) and name.isdecimal():
            here = here[int(name)] if int(name) < len(here) else None
    return not isinstance(here, (dict, bool))


def _refused(param: str, path: Iterable[str | int], reason: str, zh: str) -> BadRequestError:
    where = param + "".join(f"[{step}]" if isinstance(step, int) else f".{step[:80]}" for step in path)
    where = where[:300]
    return BadRequestError(
        f"Invalid {where}: {reason}.", zh=f"{where} 不正确：{zh}。", param=where, code="invalid_json_schema"
    )

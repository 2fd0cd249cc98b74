"""What a search finds, and how much of it is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.elastic.mappings import Answer, Json, only

__all__ = ["filtered", "meets", "picked", "values"]


def values(source: Json, name: str) -> list[Any]:
    """Values of a field, whose dots lead into objects."""
    value: Any = source
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, list) else [] if value is None else [value]


def picked(source: Json, names: list[str]) -> Json:
    picked: Json = {}
    for name in names:
        found = values(source, name)
        if found:
            *parts, last = name.split(".")
            into = picked
            for part in parts:
                into = into.setdefault(part, {})
            into[last] = found[0] if len(found) == 1 else found
    return picked


def meets(query: Json, source: Json) -> bool:
    if len(query) != 1:
        raise Answer(400, "parsing_exception", "[query] malformed query, expected one of them")
    ((kind, of),) = query.items()
    if kind == "match_all":
        return True
    if kind == "bool":
        only(of, {"filter", "must", "must_not", "should"}, "bool")
        needed = [*_listed(of.get("filter", [])), *_listed(of.get("must", []))]
        return all(meets(one, source) for one in needed) and not any(
            meets(one, source) for one in _listed(of.get("must_not", []))
        )
    if kind in ("term", "terms", "range"):
        ((name, wanted),) = of.items()
        found = values(source, name)
        if kind == "term":
            return (wanted["value"] if isinstance(wanted, dict) else wanted) in found
        if kind == "terms":
            return any(value in wanted for value in found)
        only(wanted, {"gte", "lte", "gt", "lt"}, "range")
        tests: dict[str, Callable[[Any, Any], bool]] = {
            "gte": lambda a, b: a >= b,
            "lte": lambda a, b: a <= b,
            "gt": lambda a, b: a > b,
            "lt": lambda a, b: a < b,
        }
        return any(all(tests[how](value, limit) for how, limit in wanted.items()) for value in found)
    raise Answer(400, "parsing_exception", f"unknown query [{kind}]")


def _listed(value: Any) -> list[Json]:
    return value if isinstance(value, list) else [value]


def filtered(value: Any, paths: list[list[str]]) -> Any:
    """What ``filter_path`` leaves."""
    if any(not path for path in paths):
        return value
    if isinstance(value, list):
        kept = [filtered(one, paths) for one in value]
        return [one for one in kept if one not in (None, {}, [])]
    if not isinstance(value, dict):
        return None
    result = {}
    for name, inner in value.items():
        on = [path[1:] for path in paths if path[0] in ("*", name)]
        if on and (kept := filtered(inner, on)) not in (None, {}, []):
            result[name] = kept
    return result

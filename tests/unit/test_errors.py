from __future__ import annotations

import inspect
import re

import pytest

from vlpro import errors
from vlpro.gateway.errors import STATUS

TREE = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.VlproError)]


def test_public_names() -> None:
    assert errors.__all__ == [
        "AuditError",
        "BackupError",
        "BadRequestError",
        "BusyError",
        "ConfigError",
        "ConflictError",
        "ContextLengthError",
        "DatabaseError",
        "DirectoryUnavailableError",
        "EngineError",
        "EngineTimeoutError",
        "EngineUnavailableError",
        "ForbiddenError",
        "ImageError",
        "MethodNotAllowedError",
        "ModelFilesError",
        "NotFoundError",
        "RequestTimeoutError",
        "RequestTooLargeError",
        "UnauthenticatedError",
        "UnsupportedError",
        "VlproError",
    ]
    assert errors.__all__ == sorted(cls.__name__ for cls in TREE)


def test_the_drawing_is_the_tree() -> None:
    parents: list[str] = []
    drawn = {}
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"^([│├└─ ]*)(\w+Error)\b", line):
            depth = len(found[1]) // 4
            drawn[found[2]] = parents[depth - 1] if depth else "Exception"
            parents[depth:] = [found[2]]
    assert drawn == {cls.__name__: cls.__bases__[0].__name__ for cls in TREE}


def test_each_class_has_its_status_and_a_code_of_its_own() -> None:
    assert set(STATUS) == set(TREE)
    codes = [cls.default_code for cls in TREE]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("cls", [cls for cls in TREE if cls is not errors.BusyError])
def test_an_error_speaks_both_languages(cls: type[errors.VlproError]) -> None:
    error = cls("What is wrong.", zh="哪里错了。", param="a.b")
    assert (error.message, error.zh, error.param, error.code) == (
        "What is wrong.",
        "哪里错了。",
        "a.b",
        cls.default_code,
    )
    assert str(error) == "What is wrong."
    assert cls("Only English.").zh == "Only English."
    assert cls("x", code="special").code == "special"


def test_busy_tells_when() -> None:
    assert errors.BusyError("Full.", retry_after=7).retry_after == 7

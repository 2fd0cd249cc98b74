"""What this process logs: text for people, or a JSON object a line, for those who collect logs.

A log holds no content. Of an error it has the places in the code and the kind, never the error's own words, unless
they are those of the operating system: a library puts into them what it stumbled over. Libraries are heard at
warnings only, whatever the level is: at a finer one they tell of headers, statements and addresses.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from contextvars import ContextVar
from typing import Any, Literal, TextIO

__all__ = [
    "REQUEST",
    "Kind",
    "Level",
    "as_json",
    "child_environment",
    "configure",
    "configure_child",
    "kind",
    "safe_words",
    "take_over",
]

Kind = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]

REQUEST: ContextVar[str] = ContextVar("request", default="")
"""Id of the request that is being served; inherited by threads and tasks that it begins."""

_OWN = "vlpro"
_VARIABLE = "VLPRO_LOG_FORMAT"
_LONGEST = 4_000
_OF_THE_SYSTEM = frozenset({"ConnectError", "ConnectTimeout"})  # of httpx
_OTHERS = ("uvicorn", "streamlit", "websockets")
_kind: Kind = "text"


def configure(form: Kind, level: Level, *, process: str = "") -> None:
    """Log to standard error from now on, in place of what was configured here before.

    Args:
        form: Text or JSON.
        level: Of this product's own loggers.
        process: Which of our processes this is; empty: the service itself.
    """
    global _kind  # noqa: PLW0603 - a process has one log
    _kind = form
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, _Handler):
            root.removeHandler(handler)
    handler = _Handler()
    handler.setFormatter(_Json(process) if form == "json" else _Text(process))
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(_OWN).setLevel(level.upper())
    if form == "json":
        logging.captureWarnings(True)  # noqa: FBT003 - the signature is Python's
    take_over()


def kind() -> Kind:
    """What was configured last."""
    return _kind


def take_over() -> None:
    """Have the web server's and the page's loggers written like all others, those of later imports as well."""
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and name.split(".")[0] in _OTHERS:
            _taken_over(logger)
    # Streamlit gives each of its loggers a handler of its own when it is first asked for.
    if (module := sys.modules.get("streamlit.logger")) is not None:
        module.setup_formatter = _taken_over  # type: ignore[attr-defined]


def child_environment() -> dict[str, str]:
    """What a process of ours must be given so that it logs alike."""
    return {_VARIABLE: _kind}


def configure_child(process: str) -> None:
    """As :func:`configure`, in a process that :func:`child_environment` was given to."""
    configure("json" if os.environ.get(_VARIABLE) == "json" else "text", "warning", process=process)


def safe_words(error: BaseException) -> str:
    """What may be logged of an exchange with another machine that failed.

    Its kind; and words where they are the system's or OpenSSL's. Those of a library that speaks a protocol quote what
    was sent, such as a header with a key, or what came back, which may repeat it.
    """
    name = type(error).__name__
    said = str(error) if isinstance(error, OSError) or name in _OF_THE_SYSTEM else ""
    return f"{name}: {ascii(said)[1:-1][:300]}" if said else name


def as_json(fields: dict[str, Any]) -> str:
    """One line of a JSON log."""
    return json.dumps(fields, ensure_ascii=False, default=str)


def _taken_over(logger: logging.Logger) -> None:
    logger.handlers.clear()
    logger.propagate = True
    if logger.level < logging.WARNING:
        logger.setLevel(logging.WARNING)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to whatever standard error is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        self.stream = sys.stderr
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Tell where a line was lost: logging's own words would hold its arguments."""
        sys.stderr.write(f"a line of {record.name} ({record.filename}:{record.lineno}) could not be logged\n")


class _Formatter(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def _said(self, record: logging.LogRecord) -> str:
        said = record.getMessage()
        if record.name == "asyncio":  # behind the first line stand tasks and errors, with their values
            said = said.partition("\n")[0]
        return said if len(said) <= _LONGEST else said[:_LONGEST] + "…"

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        request = REQUEST.get()
        fields = {"process": self._process} if self._process else {}
        return fields | ({"request_id": request} if request else {}) | getattr(record, "fields", {})


class _Json(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self._said(record),
            **self._fields(record),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["traceback"] = _traceback(record.exc_info[1])
        return as_json(line)


class _Text(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={value}" for name, value in self._fields(record).items())
        said = self._said(record).replace("\r", "\\r").replace("\n", "\\n")  # one line, whoever made it up
        line = f"{_time(record.created)} {record.levelname.lower()} {record.name}: {said}"
        if fields:
            line += f"  [{fields}]"
        if record.exc_info and record.exc_info[1] is not None:
            line += "\n" + _traceback(record.exc_info[1])
        return line


def _time(seconds: float) -> str:
    """Date and time in UTC with milliseconds (RFC 3339)."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03}Z"


def _traceback(error: BaseException) -> str:
    """Where an error came from, the first cause first; of its words only what the system said."""
    parts, seen = list[str](), set[int]()
    step: BaseException | None = error
    while step is not None and id(step) not in seen:
        seen.add(id(step))
        frames = "".join(traceback.format_tb(step.__traceback__))
        inner = getattr(step, "exceptions", ())
        within = (
            "".join(f"\nwithin it: {_traceback(one)}" for one in inner) if isinstance(inner, tuple) else ""
        )
        parts.append(f"{frames}{_kind_of(step)}{within}")
        step = step.__cause__ or (None if step.__suppress_context__ else step.__context__)
    return "\n".join(reversed(parts))


def _kind_of(error: BaseException) -> str:
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name}: {os.strerror(error.errno)}"
    code = getattr(error, "code", "")
    return f"{name} ({code})" if name.startswith(f"{_OWN}.") and code else name

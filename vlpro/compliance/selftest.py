"""A promise is kept only where something was tried against it and came out as it should.

What cannot be tried on this machine says so; a check that crashes is a broken promise.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vlpro.config import Settings
from vlpro.crypto import Sealer
from vlpro.errors import ConfigError

__all__ = [
    "BrokenError",
    "Context",
    "NotHereError",
    "Promise",
    "Result",
    "Sentence",
    "Verdict",
    "refuse",
    "run",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sentence:
    """The same in both languages."""

    en: str
    zh: str


class Verdict(StrEnum):
    """What came of a promise."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_HERE = "not_here"


class BrokenError(Exception):
    """Raised by a check: the promise does not hold. ``found`` says what came out."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.found = Sentence(en, zh)


class NotHereError(Exception):
    """Raised by a check: what it tries is not in use, or cannot be had on this machine. ``found`` says why."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.found = Sentence(en, zh)


@dataclass(frozen=True, slots=True)
class Context:
    """What checks may use.

    Args:
        settings: Of the service.
        sealer: What opens its secrets.
        folder: For what a check must write; removed afterwards.
        in_service: Whether this is the service itself, at its start; else the command.
    """

    settings: Settings
    sealer: Sealer
    folder: Path
    in_service: bool = False


@dataclass(frozen=True, slots=True)
class Promise:
    """A promise, and how it is tried.

    Args:
        name: Its id, for scripts.
        clause: Of GB/T 22239-2019 that it serves.
        promise: What is promised.
        tried: What the check does.
        check: Tries it, and says what came out. Raises BrokenError or NotHereError.
        at_start: Whether profile ``mlps3`` tries it at each start; what takes long is tried by the command alone.
    """

    name: str
    clause: str
    promise: Sentence
    tried: Sentence
    check: Callable[[Context], Sentence]
    at_start: bool = True


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one promise; ``seconds`` is what the check took."""

    promise: Promise
    verdict: Verdict
    found: Sentence
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        texts = {"promise": self.promise.promise, "tried": self.promise.tried, "found": self.found}
        return {
            "name": self.promise.name,
            "clause": self.promise.clause,
            "verdict": str(self.verdict),
            **{name: {"en": text.en, "zh": text.zh} for name, text in texts.items()},
            "seconds": round(self.seconds, 3),
        }


def run(
    promises: Sequence[Promise],
    settings: Settings,
    sealer: Sealer,
    *,
    in_service: bool = False,
    tell: Callable[[Result], None] = lambda _: None,
) -> list[Result]:
    """Try promises, one after the other.

    Args:
        promises: Which.
        settings: Of the service.
        sealer: What opens its secrets.
        in_service: Whether this is the service itself, at its start.
        tell: Is given each result as it is known.
    """
    results = []
    with TemporaryDirectory(prefix="vlpro-selftest-") as folder:
        for promise in promises:
            own = Path(folder) / promise.name
            own.mkdir()
            result = _tried(promise, Context(settings, sealer, own, in_service))
            results.append(result)
            tell(result)
    return results


def refuse(results: Sequence[Result]) -> None:
    """Go on only where no promise is broken.

    Raises:
        ConfigError: Names those that are.
    """
    broken = [result for result in results if result.verdict is Verdict.BROKEN]
    if not broken:
        return
    en = " ".join(f"{each.promise.promise.en} {each.found.en}" for each in broken)
    zh = "".join(f"{each.promise.promise.zh}{each.found.zh}" for each in broken)
    raise ConfigError(
        f"The self-test failed, so the service does not start. {en} Details: vlpro selftest",
        zh=f"自检未通过，服务没有启动。{zh}详情：vlpro selftest",
        param="selftest",
    )


def _tried(promise: Promise, context: Context) -> Result:
    began = time.perf_counter()
    try:
        verdict, found = Verdict.KEPT, promise.check(context)
    except NotHereError as here:
        verdict, found = Verdict.NOT_HERE, here.found
    except BrokenError as broken:
        verdict, found = Verdict.BROKEN, broken.found
    except Exception as error:
        log.exception("the check of %s crashed", promise.name)
        name = type(error).__name__
        verdict, found = (
            Verdict.BROKEN,
            Sentence(f"The check crashed: {name}: {error}", f"检查出错：{name}：{error}"),
        )
    return Result(promise, verdict, found, time.perf_counter() - began)

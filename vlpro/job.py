"""A job: work that a process of its own does, so that whoever has it done goes on undisturbed.

What is to be done comes as one line of JSON on its input, secrets among it; how far it is, and how it ended, goes as
lines of JSON to its output. A job knows no setting but those it is given, and gives way to other processes.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TextIO

from vlpro.process import die_with_parent, keep_memory_private, package_path

__all__ = ["FAILED", "end", "received", "run", "tell"]

FAILED = "failed"
"""How a job ends that broke off; with ``message`` and ``message_zh``."""

_MOST_LINE = 1 << 20  # bytes
_NICE = 10
_PROGRESS = "progress"


async def run(
    module: str,
    work: Mapping[str, Any],
    progress: Callable[[dict[str, Any]], None],
    *,
    environment: Mapping[str, str] | None = None,
) -> tuple[str, dict[str, Any]]:
    """Have a job done; where this is cancelled, its process is killed, and has ended.

    Args:
        module: The program, as a module's name.
        work: What :func:`received` gives it: JSON values.
        progress: Is given what the job told of how far it is.
        environment: Variables that it needs besides.

    Returns:
        How it ended, and what it told of that; :data:`FAILED` where the process ended without a word.

    Raises:
        OSError: The process cannot be started.
        ValueError: What it told is no line of a job.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # nothing is imported from the folder that the service was started in
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**_environment(), **(environment or {})},
        start_new_session=True,
        limit=_MOST_LINE,
    )
    if process.stdin is None or process.stdout is None:
        raise AssertionError  # both are pipes
    try:
        with suppress(ConnectionError):
            process.stdin.write(json.dumps({**work, "parent": os.getpid()}).encode() + b"\n")
            await process.stdin.drain()
            process.stdin.close()
        async for line in process.stdout:
            what, told = _read(line)
            if what != _PROGRESS:
                return what, told
            progress(told)
        code = await process.wait()
        message = {"message": f"The process ended with {code}.", "message_zh": f"进程以 {code} 结束。"}
        return FAILED, message
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def received() -> dict[str, Any]:
    """What is to be done; for the job's own process, which keeps its memory to itself and gives way from now on."""
    keep_memory_private()
    work: dict[str, Any] = json.loads(sys.stdin.readline())
    die_with_parent(work.pop("parent"))
    os.nice(_NICE)
    return work


def tell(output: TextIO | None = None, **how_far: Any) -> None:
    """Tell how far the job is.

    Args:
        output: Where the job's output is now; None: standard output.
        how_far: JSON values.
    """
    _write(output, _PROGRESS, how_far)


def end(how: str, what: Mapping[str, Any], output: TextIO | None = None) -> None:
    """Tell how the job ended; nothing that is told afterwards is heard."""
    _write(output, how, what)


def _write(output: TextIO | None, what: str, told: Mapping[str, Any]) -> None:
    output = output or sys.stdout
    output.write(json.dumps({what: told}) + "\n")
    output.flush()


def _read(line: bytes) -> tuple[str, dict[str, Any]]:
    said = json.loads(line)
    if isinstance(said, dict) and len(said) == 1:
        ((what, told),) = said.items()
        if isinstance(told, dict):
            return what, told
    raise ValueError("the process told what no job tells")


def _environment() -> dict[str, str]:
    """No setting and no secret of the service, but the same package."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VLPRO_")}
    environment.pop("CREDENTIALS_DIRECTORY", None)
    return {**environment, "PYTHONPATH": package_path()}

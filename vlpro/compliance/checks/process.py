"""The process itself: its memory, its libraries, its ways out."""

from __future__ import annotations

import ctypes
import os
import resource

from vlpro.compliance.selftest import BrokenError, Context, NotHereError, Promise, Sentence
from vlpro.sealing import probes
from vlpro.sealing.offline import OFFLINE
from vlpro.sealing.seal import is_sealed

__all__ = ["PROMISES"]

_PR_GET_DUMPABLE = 3


def _memory_private(_: Context) -> Sentence:
    if resource.getrlimit(resource.RLIMIT_CORE)[0] != 0:
        raise BrokenError("A crash would write the memory to a file.", "崩溃时内存会写入文件。")
    if ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise BrokenError("Programs of the same user may read the memory.", "同一用户的其他程序可读取内存。")
    return Sentence("No core file; not dumpable.", "不生成核心转储，内存不可被读取。")


def _offline(_: Context) -> Sentence:
    wrong = [name for name, value in OFFLINE.items() if os.environ.get(name) != value]
    if wrong:
        raise BrokenError(f"Not set: {', '.join(wrong)}.", f"未设置：{'、'.join(wrong)}。")
    return Sentence(f"{len(OFFLINE)} variables are set.", f"已设置 {len(OFFLINE)} 个变量。")


def _egress(context: Context) -> Sentence:
    """From this process where it is sealed; else, by the command alone, from one that seals itself."""
    here = is_sealed()
    if not here and context.in_service:
        raise NotHereError(
            "The service was not started with --sealed: the network's own rules alone keep it in.",
            "服务未以 --sealed 启动：仅由网络侧规则限制外联。",
        )
    try:
        tried = probes.attempts() if here else probes.prove()
    except RuntimeError as error:
        raise NotHereError(
            f"This machine does not seal a process: {error}", f"本机无法密封进程：{error}"
        ) from error
    left = [attempt for attempt in tried if not attempt.refused]
    if left:
        open_ways = ", ".join(f"{attempt.way} ({attempt.told})" for attempt in left)
        raise BrokenError(f"Open: {open_ways}.", f"未被阻止：{open_ways}。")
    ways = ", ".join(attempt.way for attempt in tried)
    where = (
        ("This service", "本服务")
        if here
        else ("A process that sealed itself, as serve --sealed does,", "按 serve --sealed 方式密封的进程")
    )
    return Sentence(
        f"{where[0]} was refused {len(tried)} ways: {ways}.",
        f"{where[1]}的 {len(tried)} 种外联方式均被拒绝：{ways}。",
    )


PROMISES: tuple[Promise, ...] = (
    Promise(
        "memory",
        "8.1.4.10",
        Sentence("The memory of the service stays private.", "服务的内存不外泄。"),
        Sentence("What the kernel says of this process.", "向内核查询本进程的设置。"),
        _memory_private,
    ),
    Promise(
        "offline",
        "8.1.3.1",
        Sentence("No library looks for anything outside.", "任何软件库都不会联网查找内容。"),
        Sentence("The variables by which they are told.", "检查相应的环境变量。"),
        _offline,
    ),
    Promise(
        "egress",
        "8.1.3.1",
        Sentence("Nothing leaves the machine by a way of its own.", "没有任何内容自行流出本机。"),
        Sentence(
            "Each way out that we know of, from a sealed process.", "从密封的进程尝试所有已知的外联方式。"
        ),
        _egress,
    ),
)

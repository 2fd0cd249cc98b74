"""What a start found, in one screen: for a person on a terminal, or as one line of a JSON log. No secret is in it."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import psutil
import sqlalchemy as sa

from vlpro import __version__, logs
from vlpro.audit.log import last_record
from vlpro.audit.recorder import LogRecorder
from vlpro.audit.tables import checkpoints
from vlpro.engines.hardware import probe
from vlpro.gateway.gauges import BACKUP_STATE, shipped_seq
from vlpro.gateway.readiness import REASONS, Readiness
from vlpro.sealing.seal import is_sealed

if TYPE_CHECKING:
    from vlpro.gateway.deps import Services

__all__ = ["Fact", "Start", "found", "show"]

log = logging.getLogger(__name__)

_MOST_WARNINGS = 8  # with the facts, they are one screen of 24 lines


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that the start found.

    Args:
        code: For programs.
        zh: Its name in Chinese.
        en: Its name in English.
        value: What it is, in Chinese and in English.
    """

    code: str
    zh: str
    en: str
    value: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Start:
    """All that a start found.

    Args:
        facts: In the order in which they are shown.
        warnings: What somebody should do something about, in Chinese and in English.
    """

    facts: tuple[Fact, ...]
    warnings: tuple[tuple[str, str], ...]


def found(services: Services, address: str) -> Start:
    """Look at what was started. Reads databases and the machine: not for the event loop.

    Args:
        services: The application's.
        address: That the service listens on, as far as its caller knows.
    """
    return Start(tuple(_facts(services, address)), tuple(_warnings(services))[:_MOST_WARNINGS])


def show(start: Start, out: TextIO | None = None) -> None:
    """Tell it: as one line of the log where that is JSON, else as a screen on standard error.

    Args:
        start: What was found.
        out: Where the screen is written; None: standard error.
    """
    out = out or sys.stderr
    if logs.kind() == "json":
        fields = {fact.code: fact.value[1] for fact in start.facts}
        log.info("started", extra={"fields": fields | {"warnings": [en for _, en in start.warnings]}})
        return
    chinese = os.environ.get("LANG", "").startswith("zh")
    lines = [
        (fact.zh if chinese else fact.en, fact.value[0] if chinese else fact.value[1]) for fact in start.facts
    ]
    warnings = [zh if chinese else en for zh, en in start.warnings]
    if out.isatty():
        _on_terminal(lines, warnings, out)
        return
    shown = [f"  {name}: {value}" for name, value in lines] + [f"  ! {warning}" for warning in warnings]
    out.write("\n".join(["Qwen3-VL-4B Pro", *shown]) + "\n")
    out.flush()


def _on_terminal(lines: list[tuple[str, str]], warnings: list[str], out: TextIO) -> None:
    from rich.console import Console  # noqa: PLC0415 - a service without a terminal does not need it
    from rich.table import Table  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    console = Console(file=out, highlight=False)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    for name, value in lines:
        table.add_row(name, Text(value))
    console.print(Text("Qwen3-VL-4B Pro", style="bold"))
    console.print(table)
    for warning in warnings:
        console.print(Text(f"! {warning}", style="yellow"), no_wrap=True, overflow="ellipsis", crop=True)


def _facts(services: Services, address: str) -> Iterator[Fact]:
    settings, engine, hardware = services.settings, services.chat.engine, probe()
    yield Fact("version", "版本", "Version", (__version__, __version__))
    yield Fact("profile", "模式", "Profile", (settings.profile, settings.profile))
    listening = _listening() or address
    yield Fact("address", "地址", "Address", (listening, listening))
    zh, en = _why(services)
    model = engine.capabilities.model
    yield Fact("engine", "引擎", "Engine", (f"{engine.name}（{zh}）", f"{engine.name} ({en})"))
    zh, en = _verified(engine.name)
    yield Fact("model", "模型", "Model", (f"{model}，{zh}", f"{model}, {en}"))
    cards = ", ".join(card.name for card in hardware.cards)
    memory = f"{hardware.free_memory / 2**30:.1f} GiB"
    yield Fact(
        "hardware",
        "硬件",
        "Hardware",
        (
            f"{hardware.cores} 核，可用内存 {memory}，{cards or '无显卡'}",
            f"{hardware.cores} cores, {memory} of memory free, {cards or 'no card'}",
        ),
    )
    kind = "PostgreSQL" if settings.database_url.get_secret_value() else "SQLite"
    yield Fact("database", "数据库", "Database", (kind, kind))
    yield from _audit(services)
    cipher = "SM4-GCM" if settings.crypto == "gm" else "AES-256-GCM"
    zh, en = _key(services)
    yield Fact("encryption", "加密", "Encryption", (f"{cipher}，{zh}", f"{cipher}, {en}"))
    sealed = ("是：由内核保证不外联", "yes: the kernel lets nothing out") if is_sealed() else ("否", "no")
    yield Fact("sealed", "封闭运行", "Sealed", sealed)
    knowledge = services.knowledge.status()
    yield Fact(
        "knowledge",
        "知识库",
        "Knowledge",
        (
            f"{knowledge.index}，向量 {knowledge.embedder}",
            f"index {knowledge.index}, vectors {knowledge.embedder}",
        ),
    )


def _why(services: Services) -> tuple[str, str]:
    settings = services.settings
    if settings.engine != "auto":
        return "按 VLPRO_ENGINE", "as VLPRO_ENGINE says"
    if settings.upstream_url:
        return "设置了上游服务", "a model's server is set"
    if settings.model_dir:
        return "有模型文件夹", "there is a model's folder"
    return "没有模型文件夹和上游服务", "no model's folder and no server is set"


def _verified(engine: str) -> tuple[str, str]:
    if engine in ("openvino", "transformers"):
        return "加载前逐字节校验", "verified before it is loaded"
    if engine == "openai":
        return "由其服务器负责", "its server answers for it"
    return "随产品提供", "comes with the product"


def _audit(services: Services) -> Iterator[Fact]:
    recorder = services.recorder
    if not isinstance(recorder, LogRecorder):
        return
    with recorder.audit.database.read() as connection:
        records = last_record(connection)[0]
        newest = sa.select(checkpoints.c.data).order_by(checkpoints.c.size.desc()).limit(1)
        data = connection.execute(newest).scalar()
    when = "-"
    if data is not None:
        signed = json.loads(data).get("time")
        if isinstance(signed, int | float):
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(signed))
        elif isinstance(signed, str):
            when = signed
    yield Fact(
        "audit",
        "审计",
        "Audit",
        (f"{records} 条，最近检查点 {when}", f"{records} records, last checkpoint {when}"),
    )
    shipped = shipped_seq(services.settings)
    if services.settings.audit_ship is None:
        told = ("未设置", "not set up")
    elif shipped is None:
        told = ("已设置，进度未知", "set up, how far is not known here")
    else:
        told = (f"已发送至第 {shipped} 条", f"up to record {shipped}")
    yield Fact("shipping", "审计发送", "Shipping", told)


def _key(services: Services) -> tuple[str, str]:
    settings = services.settings
    if settings.key_token:
        return "密钥由硬件模块保护", "key wrapped by a hardware module"
    if settings.key_file is None:
        return "密钥在数据文件夹内", "key in the data folder"
    return "密钥文件在数据之外", "key file outside of the data"


def _warnings(services: Services) -> Iterator[tuple[str, str]]:
    settings = services.settings
    for code in Readiness(services).look():
        yield REASONS[code].zh, REASONS[code].message
    if settings.engine == "fake":
        yield (
            "fake 引擎只用于测试，请设置 VLPRO_ENGINE=auto。",
            "Engine fake is for tests: set VLPRO_ENGINE=auto.",
        )
    if settings.profile == "local":
        return
    if services.identity is not None and services.identity.setup.is_open():
        yield (
            "还没有账号：请在服务器上运行 vlpro user setup，获取一次性密钥。",
            "No account yet: vlpro user setup, at the machine, gives the one-time secret.",
        )
    if not is_sealed():
        yield "未封闭运行：请使用 vlpro serve --sealed。", "Not sealed: start it by vlpro serve --sealed."
    if settings.audit_copy is None:
        yield (
            "检查点没有第二份：请设置 VLPRO_AUDIT_COPY。",
            "No second copy of the audit's checkpoints: set VLPRO_AUDIT_COPY.",
        )
    if settings.audit_ship is None:
        yield (
            "审计记录没有发送到别处：请设置 VLPRO_AUDIT_SHIP。",
            "The audit is copied nowhere: set VLPRO_AUDIT_SHIP.",
        )
    if not (settings.data_dir / BACKUP_STATE).exists():
        yield "尚无备份：请运行 vlpro backup。", "There is no backup yet: run vlpro backup."


def _listening() -> str:
    """Where this process listens by TCP."""
    found = psutil.Process().net_connections("tcp")
    places = {f"http://{one.laddr.ip}:{one.laddr.port}" for one in found if one.status == psutil.CONN_LISTEN}
    return ", ".join(sorted(places))

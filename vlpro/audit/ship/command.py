"""The command ``vlpro audit ship``, without its arguments and its language."""

from __future__ import annotations

import threading
from pathlib import Path

from vlpro.audit.ship.check import Findings, compare, ranges
from vlpro.audit.ship.destination import Destination
from vlpro.audit.ship.documents import Kind
from vlpro.audit.ship.elastic import Elasticsearch
from vlpro.audit.ship.errors import ShippingError
from vlpro.audit.ship.options import ShipOptions
from vlpro.audit.ship.position import PositionFile
from vlpro.audit.ship.shipper import Shipper, Teller
from vlpro.audit.ship.store import Store
from vlpro.audit.ship.syslog import Syslog
from vlpro.errors import AuditError
from vlpro.masking import mask_text
from vlpro.masking.logs import mask_logs

__all__ = ["check", "ship"]

_PATIENCE_S = 30.0


def ship(
    options: ShipOptions, database: str, state: Path, *, once: bool, tell: Teller, stop: threading.Event
) -> None:
    """Ship: until everything that is there has arrived, or for ever.

    Args:
        options: Where to, and how.
        database: URL of the audit's database.
        state: Keeps the position.
        once: Whether to end when everything has arrived, or after 30 seconds without progress.
        tell: Is given sentences for the operator.
        stop: Set from outside to end.

    Raises:
        AuditError: It gave up, or must not go on.
        ConfigError: A setting is wrong.
        DatabaseError: It gave up, since the store cannot be read.
    """
    mask_logs()
    destination, store, file = _destination(options), Store(database), PositionFile(state)
    tell = _masked(tell)  # a destination quotes what it does not take
    try:
        with file.held():
            shipper = Shipper(store, destination, file, options, tell=tell, stop=stop)
            shipper.run(patience_s=_PATIENCE_S if once else None)
    except ShippingError as error:
        raise AuditError(mask_text(error.message), zh=mask_text(error.zh)) from error
    finally:
        destination.close()
        store.close()


def check(options: ShipOptions, database: str, state: Path, *, tell: Teller) -> bool:
    """Compare, and tell; whether everything here is there, and nothing else.

    Args:
        options: Where to.
        database: URL of the audit's database.
        state: Keeps the position.
        tell: Is given sentences for the operator.

    Raises:
        AuditError: The destination does not answer.
        ConfigError: A setting is wrong.
        DatabaseError: The store cannot be read.
    """
    destination, store = _destination(options), Store(database)
    try:
        if not destination.can_be_asked:
            position, (_, last) = PositionFile(state).load(destination.name), store.ends()
            tell(
                "A syslog receiver tells nothing about what it has. "
                f"Read by it: records up to {position.seq} of {last}.",
                f"syslog 接收端不会告知其存储内容。已被读取：第 {position.seq} 条，共 {last} 条。",
            )
            return position.seq == last
        found = compare(store, destination)
    except ShippingError as error:
        raise AuditError(error.message, zh=error.zh) from error
    finally:
        destination.close()
        store.close()
    for findings in found:
        _tell(findings, tell)
    if not found:
        tell("Nothing was recorded yet.", "尚无记录。")
    return all(findings.same for findings in found)


def _masked(tell: Teller) -> Teller:
    return lambda en, zh: tell(mask_text(en), mask_text(zh))


def _destination(options: ShipOptions) -> Destination:
    if options.syslog is not None:
        return Syslog(options.syslog, options.timeout_s)
    return Elasticsearch(options)


def _tell(findings: Findings, tell: Teller) -> None:
    what, zh = ("Records", "记录") if findings.kind is Kind.RECORD else ("Checkpoints", "检查点")
    tell(
        f"{what}: {findings.here} here, {findings.there} there.",
        f"{zh}：本地 {findings.here}，目标 {findings.there}。",
    )
    for numbers, said, said_zh in (
        (findings.missing, "missing there", "目标中缺少"),
        (findings.different, "different there", "目标中内容不同"),
        (findings.twice, "there more than once", "目标中重复"),
        (findings.extra, "there, but not here: the store has lost them", "目标中有而本地没有，本地已丢失"),
    ):
        if numbers:
            tell(
                f"{what} {said} ({len(numbers)}): {ranges(numbers)}.",
                f"{zh}{said_zh}（{len(numbers)}）：{ranges(numbers)}。",
            )
    if findings.older:
        tell(
            f"{what} there from before the store's beginning: {findings.older}.",
            f"目标中早于本地起点的{zh}：{findings.older}。",
        )

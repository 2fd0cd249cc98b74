"""Makes a report: tries all clauses, compares with the report before, writes and signs."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from pathlib import Path

from vlpro.compliance.clause import Clause, Tell, run
from vlpro.compliance.clauses import CLAUSES
from vlpro.compliance.context import Context
from vlpro.compliance.report import Content, compose, new_id
from vlpro.compliance.report_signature import Keys, signer_of
from vlpro.compliance.report_store import ReportStore, folder_of, write
from vlpro.config import Settings
from vlpro.crypto import Sealer

__all__ = ["make_report", "store_of", "trusted_keys"]


def make_report(
    context: Context,
    *,
    by: str,
    id: str = "",  # noqa: A002 - the API's word
    folder: Path | None = None,
    tell: Tell = lambda _done, _total, _result: None,
    clauses: Sequence[Clause] = CLAUSES,
) -> Content:
    """Try all clauses, and write what came of them.

    Args:
        context: What the checks use.
        by: Who asks for it: a login, or a user of the machine.
        id: Of the report; empty: a new one.
        folder: Where it is written; None: among the service's reports. It must not be there yet.
        tell: Is told of each check as it is done.
        clauses: Which.

    Returns:
        The content of ``report.json``.

    Raises:
        ConfigError: The folder is there already, or cannot be written.
        AuditError: OpenSSL has failed at the signature with SM2.
    """
    settings, sealer = context.settings, context.sealer
    id = id or new_id()  # noqa: A001 - likewise
    before = store_of(settings, sealer).last()
    results = run(clauses, context, tell)
    report = compose(
        results, settings, id=id, created=time.time(), by=by, host=socket.gethostname(), before=before
    )
    signer = signer_of(sealer, gm=settings.crypto == "gm")
    return write(report, folder or folder_of(settings.data_dir) / id, signer)


def store_of(settings: Settings, sealer: Sealer) -> ReportStore:
    """The reports of a service."""
    return ReportStore(folder_of(settings.data_dir), trusted_keys(settings, sealer))


def trusted_keys(settings: Settings, sealer: Sealer) -> Keys:
    """The service's own keys: those that sign its reports."""
    signer = signer_of(sealer, gm=settings.crypto == "gm")
    # A report from before Chinese algorithms were switched on names no key of SM2, one from before they were
    # switched off names one that Ed25519 signs.
    return Keys([signer.public], [signer.sm2] if signer.sm2 else [])

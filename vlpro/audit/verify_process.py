"""The job (:mod:`vlpro.job`) that verifies the stored record. It reads only, and knows no key but public ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vlpro import job
from vlpro.audit.copies import read_copies
from vlpro.audit.cosigned import Cosigned
from vlpro.audit.errors import VerificationError
from vlpro.audit.place import LOCK
from vlpro.audit.sources import DatabaseSource
from vlpro.audit.summary import Summary
from vlpro.audit.verify import verify
from vlpro.db import Database
from vlpro.errors import VlproError

__all__ = ["Work", "no_copies", "verify_stored"]

_TOLD_S = 0.2  # seconds between two reports
_LONGEST = 500  # characters of what was expected or found


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be verified.

    Args:
        url: Of the audit's database.
        keys: Public keys whose signatures are trusted, hexadecimal.
        sm2: Public key of SM2 that is trusted, hexadecimal; empty: those that the log names.
        copy: File with copies of checkpoints; empty: none is configured.
    """

    url: str
    keys: tuple[str, ...]
    sm2: str = ""
    copy: str = ""


def verify_stored(work: Work, progress: Callable[[int, int], None]) -> Summary:
    """Verify the database as ``vlpro audit verify`` does.

    Args:
        work: What.
        progress: Is given how many records were read, and about how many there are.

    Raises:
        VerificationError: Something is not what it must be.
        AuditError: OpenSSL has failed at a signature with SM2.
        DatabaseError: The database does not answer.
    """
    keys = [bytes.fromhex(key) for key in work.keys]
    cosigned = Cosigned([bytes.fromhex(work.sm2)] if work.sm2 else ())
    path = Path(work.copy)
    # Before the database is read: a checkpoint that is signed meanwhile counts records that were not read.
    copies = read_copies(path, keys, cosigned) if work.copy and path.exists() else []
    database = Database(work.url, lock=LOCK)
    try:
        source = DatabaseSource(database)
        found = verify(source, keys=keys, copies=copies, cosigned=cosigned, progress=progress)
    finally:
        database.close()
    if work.copy and not copies and found.checkpoints:
        raise no_copies(work.copy)
    if not found.first and not found.archived:
        raise VerificationError("there are no audit records to verify", zh="没有可校验的审计记录")
    return found


def no_copies(name: str) -> VerificationError:
    """Copies that ought to be there are not."""
    return VerificationError(
        f"{name} has no copies of checkpoints: they were removed, or never written",
        zh=f"{name} 中没有检查点副本：已被删除或从未写入",
    )


def _summary(found: Summary) -> dict[str, Any]:
    """What a record says of a verification that found nothing wrong."""
    said = asdict(found)
    said["root"] = found.root.hex() if found.root is not None else ""
    said["unsigned"], said["records"] = found.unsigned, found.records
    return said


def _finding(error: VerificationError) -> dict[str, Any]:
    """What a record says of a verification that found something wrong."""
    return {
        "finding": str(error.finding),
        "record": error.seq,
        "message": str(error)[:_LONGEST],
        "message_zh": error.zh[:_LONGEST],
        "expected": error.expected[:_LONGEST],
        "found": error.found[:_LONGEST],
        "meaning": error.meaning[:_LONGEST],
        "meaning_zh": error.meaning_zh[:_LONGEST],
    }


def _main() -> None:
    work = Work(**job.received())
    told = 0.0

    def progress(read: int, of: int) -> None:
        nonlocal told
        if (now := time.monotonic()) - told > _TOLD_S:
            told = now
            job.tell(read=read, of=of)

    try:
        found = verify_stored(work, progress)
    except VerificationError as error:
        job.end("wrong", _finding(error))
    except VlproError as error:
        job.end(job.FAILED, {"message": error.message, "message_zh": error.zh})
    else:
        job.end("whole", _summary(found))


if __name__ == "__main__":
    _main()

"""Copies of checkpoints that are kept elsewhere, and whether a record agrees with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from vlpro.audit import findings
from vlpro.audit.checkpoint import opened
from vlpro.audit.cosigned import Cosigned
from vlpro.audit.errors import Finding, VerificationError
from vlpro.audit.sources import checkpoint_line, sm2_of

__all__ = ["Comparison", "Copy", "read_copies"]


@dataclass(frozen=True, slots=True)
class Copy:
    """What a copy of a checkpoint says, its signature being right.

    Args:
        size: How many records.
        root: Of their tree.
        log_id: Of which log.
        time: When it was signed.
    """

    size: int
    root: bytes
    log_id: str
    time: str


def read_copies(path: Path, keys: Sequence[bytes], cosigned: Cosigned | None = None) -> list[Copy]:
    """Copies of checkpoints from a file, one a line as ``Checkpoint.as_json`` writes them.

    Args:
        path: The file.
        keys: Public keys whose signatures are trusted, 32 bytes each.
        cosigned: Checks signatures with SM2; None: by the keys that the copies name.

    Raises:
        VerificationError: A line is none, or a signature is wrong.
        AuditError: OpenSSL has failed at a signature with SM2.
    """
    cosigned = cosigned or Cosigned()
    found = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                found.append(_copy(line, f"{path.name}:{number}", keys, cosigned))
    except OSError as error:
        raise VerificationError(
            f"{path} cannot be read: {error.strerror}", zh=f"{path} 无法读取：{error.strerror}"
        ) from error
    finally:
        cosigned.finish()
    return found


def _copy(line: bytes, place: str, keys: Sequence[bytes], cosigned: Cosigned) -> Copy:
    try:
        content = json.loads(line)
        data, signature = content["checkpoint"].encode(), bytes.fromhex(content["signature"])
        sm2 = sm2_of(content)
        written = checkpoint_line(data, signature, sm2)
    except (ValueError, KeyError, TypeError, AttributeError):
        written = ""
    if written.encode().rstrip() != line.rstrip(b"\r\n"):
        raise VerificationError(
            f"line {place} of the copies is no checkpoint: it was altered or cut",
            zh=f"副本 {place} 行不是检查点：被改动或截断",
            found=repr(line[:200]),
        )
    checkpoint = opened(data, signature, keys, sm2=sm2)
    cosigned.signature(checkpoint)
    said = json.loads(data)
    return Copy(checkpoint.size, checkpoint.root, said["log"], said["time"])


class Comparison:
    """Copies against one record, while that is read from its beginning on.

    Args:
        copies: In any order.
    """

    def __init__(self, copies: Iterable[Copy]) -> None:
        self._copies = iter(sorted(copies, key=lambda copy: copy.size))
        self._copy = next(self._copies, None)
        self._agreed = 0
        self.next = self._size()
        """Records that the next copy counts; infinity: there is none."""
        self.agreeing = 0
        """Copies that agree."""

    def check_log(self, log_id: str | None) -> None:
        """The next copy must be of this log. Raises: VerificationError."""
        copy = self._copy
        if copy is not None and log_id is not None and copy.log_id != log_id:
            raise findings.other_log(copy.log_id, log_id, copy.time)

    def compare(self, size: int, root: bytes | None, log_id: str | None) -> None:
        """Copies up to a tree must be of this very record.

        Args:
            size: Of the tree that is known now; copies of smaller ones are of records that are not at hand.
            root: Its root; None: not known.
            log_id: The log; None: not known.

        Raises:
            VerificationError: One is of another.
        """
        while (copy := self._copy) is not None and copy.size <= size:
            self.check_log(log_id)
            if copy.size == size and root is not None:
                if root != copy.root:
                    raise _replaced(self._agreed, copy.size, copy.time, copy.root, root)
                self.agreeing += 1
                self._agreed = size
            self._copy = next(self._copies, None)
        self.next = self._size()

    def end(self, last: int) -> None:
        """No copy may count more than there is. Raises: VerificationError.

        Args:
            last: The last record.
        """
        if self._copy is not None:
            *_, newest = chain([self._copy], self._copies)
            raise _shorter(last + 1, newest.size, newest.time)

    def _size(self) -> float:
        return self._copy.size if self._copy is not None else float("inf")


def _replaced(agreed: int, size: int, signed: str, expected: bytes, found: bytes) -> VerificationError:
    """A copy of a checkpoint has another root than the record.

    Args:
        agreed: The last record for which copies agree.
        size: Records that the copy counts.
        signed: When it was signed.
        expected: Its root.
        found: The root of the record at this size.
    """
    return VerificationError(
        f"the record was replaced: a copy of the checkpoint of {size} records, signed {signed}, "
        f"has another root. Up to record {agreed} the copies agree",
        agreed + 1,
        zh=f"记录被替换：{signed} 签署的 {size} 条处检查点副本的根不同。到第 {agreed} 条为止副本一致",
        finding=Finding.REPLACED,
        expected=f"root {expected.hex()}",
        found=f"root {found.hex()}",
        meaning="The database was put back to an older copy and went on from there, or somebody who "
        "has the key rewrote it.",
        meaning_zh="数据库被恢复到较早的副本后继续写入，或持有密钥的人重写了它。",
    )


def _shorter(seq: int, counted: int, signed: str) -> VerificationError:
    """The record ends before what a copy of a checkpoint counts.

    Args:
        seq: The first record that is missing.
        counted: Records that the copy counts.
        signed: When it was signed.
    """
    return VerificationError(
        f"the record ends before it, but a copy of a checkpoint, signed {signed}, counts {counted} records",
        seq,
        zh=f"记录在此之前结束，但 {signed} 签署的检查点副本计有 {counted} 条",
        finding=Finding.SHORTER,
        expected=f"{counted} records",
        found=f"{seq - 1} records",
        meaning="The whole database was put back to an older copy, or its tail was cut together with its "
        "checkpoints: from the record alone, the two are the same.",
        meaning_zh="整个数据库被恢复到较早的副本，或尾部连同检查点一起被截断：仅凭记录本身无法区分二者。",
    )

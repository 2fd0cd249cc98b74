"""That one record is part of the signed record: a proof that stands alone; deploy/audit/verify_proof.py checks it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from vlpro.audit.checkpoint import Checkpoint, opened
from vlpro.audit.leaves import Leaves, checkpoint_at, leaf_hashes
from vlpro.audit.sources import ArchiveFile, StoredBefore, StoredCheckpoint, StoredRecord, snapshot
from vlpro.audit.tables import checkpoints, records
from vlpro.audit.tree import (
    HASH_BYTES,
    Frontier,
    consistency_path,
    inclusion_path,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from vlpro.db import Database
from vlpro.errors import NotFoundError

__all__ = ["check", "prove", "prove_archived"]


def prove(database: Database, seq: int, key: bytes, *, since: int | None = None) -> dict[str, Any]:
    """Prove that a record is part of the record that a checkpoint signs.

    Args:
        database: Of the audit.
        seq: The record's number.
        key: Public key that signs checkpoints, 32 bytes.
        since: Size of an earlier checkpoint; the proof is then of the newest one, and that it continues the earlier.

    Returns:
        JSON values: the record's text, the path, the checkpoint's text, signature and key; its signature with SM2,
        if it has one.

    Raises:
        NotFoundError: There is no such record or checkpoint here, or none is signed behind it yet.
        VerificationError: The database is not what was signed.
        DatabaseError: The database does not answer.
    """
    with snapshot(database) as connection:
        data = connection.execute(sa.select(records.c.data).where(records.c.seq == seq)).scalar()
        if data is None:
            raise NotFoundError(
                f"The database has no audit record {seq}. If it is old, it is in an archive (--archives DIR).",
                zh=f"数据库中没有第 {seq} 条审计记录。较早的记录在归档中（--archives 目录）。",
            )
        size = checkpoints.c.size
        target = checkpoint_at(connection, size >= seq, newest=since is not None)
        if target is None:
            raise NotFoundError(
                f"No checkpoint is signed behind record {seq} yet. Try again in a few minutes.",
                zh=f"第 {seq} 条记录之后尚未签署检查点，请过几分钟再试。",
            )
        earlier = None
        if since is not None:
            earlier = checkpoint_at(connection, size == since, newest=True)
            if earlier is None:
                raise NotFoundError(
                    f"There is no checkpoint of {since} records.", zh=f"没有 {since} 条记录处的检查点。"
                )
        least = min(seq - 1, since if since is not None else seq)
        base = checkpoint_at(connection, size <= least, newest=True)
        begin = base.frontier() if base is not None else Frontier()
        hashes = leaf_hashes(connection, begin.size + 1, target.size)
    return _proof(seq, bytes(data), Leaves(begin, hashes), target, key, since=earlier)


def prove_archived(path: Path, seq: int, key: bytes) -> dict[str, Any]:
    """As :func:`prove`, of a record in an archive.

    Args:
        path: The archive.
        seq: The record's number.
        key: Public key that signs checkpoints, 32 bytes.

    Raises:
        NotFoundError: It has no such record.
        VerificationError: The archive cannot be read, or is not what was signed.
    """
    number, data, base, leaves, last = 0, b"", Frontier(), bytearray(), Frontier()
    for item in ArchiveFile(path).items():
        if isinstance(item, StoredBefore):
            roots = [item.roots[i : i + HASH_BYTES] for i in range(0, len(item.roots), HASH_BYTES)]
            base, last, number = Frontier(item.size, roots), Frontier(item.size, roots), item.size
        elif isinstance(item, StoredRecord):
            number += 1
            leaf = leaf_hash(item.data)
            last.append(leaf)
            leaves += leaf
            data = item.data if number == seq else data
        elif isinstance(item, StoredCheckpoint):
            signed = Checkpoint.stored(item.data, item.signature, sm2=item.sm2)
            if data and signed.size >= seq:
                return _proof(seq, data, Leaves(base, bytes(leaves)), signed, key)
            base, leaves = Frontier(last.size, last.roots), bytearray()
    raise NotFoundError(
        f"{path.name} has no audit record {seq}.", zh=f"{path.name} 中没有第 {seq} 条审计记录。"
    )


def _proof(
    seq: int, data: bytes, leaves: Leaves, target: Checkpoint, key: bytes, *, since: Checkpoint | None = None
) -> dict[str, Any]:
    proof: dict[str, Any] = {
        "v": 1,
        "seq": seq,
        "record": data.decode(),
        "path": [node.hex() for node in inclusion_path(seq - 1, target.size, leaves.root_of)],
        "checkpoint": target.data.decode(),
        "signature": target.signature.hex(),
        "key": key.hex(),
    }
    if target.sm2:
        proof["sm2"] = target.sm2.hex()
    if since is not None:
        path = consistency_path(since.size, target.size, leaves.root_of)
        proof["since"] = {
            "checkpoint": since.data.decode(),
            "signature": since.signature.hex(),
            "path": [node.hex() for node in path],
        }
    check(proof, key)
    return proof


def check(proof: dict[str, Any], key: bytes) -> None:
    """Check a proof.

    Args:
        proof: As :func:`prove` returns it.
        key: Public key that is trusted, 32 bytes; the one in the proof is not.

    Raises:
        VerificationError: It proves nothing.
    """
    target = opened(proof["checkpoint"].encode(), bytes.fromhex(proof["signature"]), [key])
    path = [bytes.fromhex(node) for node in proof["path"]]
    verify_inclusion(proof["seq"] - 1, target.size, leaf_hash(proof["record"].encode()), path, target.root)
    if "since" in proof:
        since = proof["since"]
        earlier = opened(since["checkpoint"].encode(), bytes.fromhex(since["signature"]), [key])
        path = [bytes.fromhex(node) for node in since["path"]]
        verify_consistency(earlier.size, target.size, earlier.root, target.root, path)

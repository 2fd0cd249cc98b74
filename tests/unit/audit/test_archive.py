"""Retention: what leaves the database, what stays provable, and what is refused."""

from __future__ import annotations

import gzip
import json
import os
import runpy
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.unit.audit.victim import Victim, entry
from vlpro.audit import archive as module
from vlpro.audit import proof
from vlpro.audit.archive import archive
from vlpro.audit.errors import Finding, VerificationError
from vlpro.audit.export import export
from vlpro.audit.seal import Seal
from vlpro.audit.sources import ArchiveFile, ExportFile, archive_files
from vlpro.audit.tables import archives, checkpoints, records
from vlpro.errors import AuditError, ConfigError, NotFoundError

VERIFIER = Path(__file__).parents[3] / "deploy" / "audit" / "verify_proof.py"


@pytest.fixture
def old(victim: Victim) -> Victim:
    """36 records of 400 days ago, and 8 of 300 days ago behind them; checkpoints of 11, 21, 31, 36, 44."""
    victim.clock.pass_(days=100)
    victim.fill(8)
    victim.clock.pass_(days=300)
    return victim


def run(victim: Victim, folder: Path, **options: Any) -> list[Seal]:
    log = victim.open()
    log.start()
    try:
        return archive(log, folder, **({"now": victim.clock} | options))
    finally:
        log.stop()


def seqs(victim: Victim) -> list[int]:
    with victim.database.read() as connection:
        return list(connection.execute(sa.select(records.c.seq).order_by(records.c.seq)).scalars())


def test_old_records_move_and_everything_verifies(old: Victim, tmp_path: Path) -> None:
    whole = old.frontier(44).root()
    made = run(old, tmp_path, each=15)
    assert [(seal.first, seal.last) for seal in made] == [(1, 11), (12, 21), (22, 36)]
    assert sorted(path.name for path in tmp_path.iterdir()) == [seal.name for seal in made]
    assert all(path.stat().st_mode & 0o777 == 0o400 for path in tmp_path.iterdir())
    assert seqs(old) == list(range(37, 48))  # and three records that say what was moved
    summary = old.verify(copies=True)
    assert (summary.first, summary.last, summary.archived, summary.sealed) == (37, 47, 36, 3)
    assert summary.copies == 6
    assert json.loads(old.row(45)["data"])["object"] == made[0].name
    together = old.verify(archives=archive_files(tmp_path), copies=True)
    assert (together.first, together.last, together.archived, together.sealed) == (1, 47, 0, 3)
    assert (together.checkpoints, together.copies, together.root) == (6, 6, summary.root)
    old.delete(records.c.seq > 44)
    old.remove_checkpoints(checkpoints.c.size > 44)
    assert old.verify().root == whole
    # Each archive by itself, as far as it goes.
    alone = [old.verify(source) for source in archive_files(tmp_path)]
    assert [(one.first, one.last, one.signed, one.unsigned) for one in alone] == [
        (1, 11, 11, 0),
        (12, 21, 21, 0),
        (22, 36, 36, 0),
    ]


def test_the_log_goes_on_behind_archives(old: Victim, tmp_path: Path) -> None:
    run(old, tmp_path)
    old.fill(12)
    assert old.verify(archives=archive_files(tmp_path), copies=True).last == 57
    old.clock.pass_(days=400)
    made = run(old, tmp_path)
    assert [seal.first for seal in made] == [37]
    assert old.verify(archives=archive_files(tmp_path), copies=True).last == 58
    assert old.verify(copies=True).sealed == 2


def test_the_last_record_stays_whatever_its_age(victim: Victim, tmp_path: Path) -> None:
    victim.clock.pass_(days=4000)
    run(victim, tmp_path)
    assert seqs(victim) == [32, 33, 34, 35, 36, 37]
    assert victim.verify(archives=archive_files(tmp_path)).last == 37


def test_young_records_stay(victim: Victim, tmp_path: Path) -> None:
    victim.clock.pass_(days=364)
    assert run(victim, tmp_path) == []
    assert seqs(victim) == list(range(1, 37))
    assert list(tmp_path.iterdir()) == []
    assert len(run(victim, tmp_path, days=180)) == 1


@pytest.mark.parametrize("days", [179, 0, -1])
def test_less_than_half_a_year_is_refused(victim: Victim, tmp_path: Path, days: int) -> None:
    with pytest.raises(ConfigError, match="180 days") as error:
        run(victim, tmp_path, days=days)
    assert error.value.param == "audit_days"


def test_records_in_archives_are_proven(old: Victim, tmp_path: Path) -> None:
    run(old, tmp_path, each=15)
    check = runpy.run_path(str(VERIFIER))["check"]
    for seq in (1, 5, 11, 12, 21, 22, 30, 36):
        path = next(
            path for path in sorted(tmp_path.iterdir()) if int(path.name.split("-")[2].split(".")[0]) >= seq
        )
        made = proof.prove_archived(path, seq, old.keys[0])
        record, checkpoint, _ = check(made, old.keys[0])
        assert record["seq"] == seq
        assert checkpoint["size"] == next(size for size in (11, 21, 31, 36) if size >= seq)
    with pytest.raises(NotFoundError, match="--archives"):
        proof.prove(old.database, 5, old.keys[0])
    with pytest.raises(NotFoundError, match="no audit record 40"):
        proof.prove_archived(path, 40, old.keys[0])
    record, _, earlier = check(proof.prove(old.database, 40, old.keys[0], since=36), old.keys[0])
    assert (record["seq"], earlier["size"]) == (40, 36)


def test_an_export_begins_behind_the_archives(old: Victim, tmp_path: Path) -> None:
    run(old, tmp_path)
    lines: list[str] = []
    assert export(old.database, lines.append).first == 37
    with pytest.raises(NotFoundError, match="archives"):
        export(old.database, lines.append, first=5)
    path = tmp_path / "part"
    path.write_text("".join(lines), encoding="utf-8")
    assert old.verify(ExportFile(path)).root == old.verify().root


# --- attacks


def test_records_deleted_as_if_they_were_archived(victim: Victim) -> None:
    with victim.database.write() as connection:
        connection.execute(sa.insert(archives).values(last=11, data=b"{}", signature=b""))
    victim.delete(records.c.seq <= 11)
    with pytest.raises(VerificationError):
        victim.verify()


def test_more_deleted_than_was_archived(old: Victim, tmp_path: Path) -> None:
    run(old, tmp_path)
    old.delete(records.c.seq == 37)
    with pytest.raises(VerificationError) as error:
        old.verify()
    assert (error.value.finding, error.value.seq) == (Finding.MISSING, 37)


def test_a_removed_or_replayed_seal(old: Victim, tmp_path: Path) -> None:
    run(old, tmp_path, each=15)
    backup = old.dump()
    seals = backup["audit_archives"]
    for change, seq in (
        (sa.delete(archives).where(archives.c.last == 36), 22),
        (sa.delete(archives).where(archives.c.last == 21), 12),
        (sa.delete(archives).where(archives.c.last == 11), 1),
        (sa.delete(archives), 1),
        (
            sa.update(archives)
            .where(archives.c.last == 36)
            .values(data=seals[1]["data"], signature=seals[1]["signature"]),
            36,
        ),
        (sa.update(archives).where(archives.c.last == 36).values(last=38), 38),
    ):
        with old.database.write() as connection:
            connection.execute(change)
        with pytest.raises(VerificationError) as error:
            old.verify()
        assert error.value.seq == seq
        old.restore(backup)
    old.remove_checkpoints(checkpoints.c.size == 36)
    with pytest.raises(VerificationError):
        old.verify()


def test_an_archive_that_was_tampered_with(old: Victim, tmp_path: Path) -> None:
    run(old, tmp_path, each=15)
    paths = sorted(tmp_path.iterdir())
    originals = {path: gzip.decompress(path.read_bytes()) for path in paths}
    lines = originals[paths[1]].splitlines(keepends=True)  # before, 10 records, a checkpoint, the seal

    def tampered(data: bytes | None) -> VerificationError:
        paths[1].chmod(0o600)
        if data is None:
            paths[1].unlink()
        else:
            paths[1].write_bytes(gzip.compress(data))
        with pytest.raises(VerificationError) as error:
            old.verify(archives=archive_files(tmp_path))
        return error.value

    assert len(lines) == 13
    error = tampered(originals[paths[1]].replace(b"msg_15", b"msg_51"))
    assert error.seq == 15
    assert tampered(b"".join([*lines[:4], *lines[5:]])).seq == 15
    assert "seal" in str(tampered(b"".join(lines[:-1])))
    assert "seal" in str(tampered(b"".join([*lines, lines[-1]])))
    assert tampered(b"".join([*lines[:-2], lines[-1]])).seq == 12  # its checkpoint removed
    assert tampered(originals[paths[0]]).finding in (Finding.MISSING, Finding.MOVED, Finding.DUPLICATE)
    assert tampered(originals[paths[2]]).seq == 12
    assert tampered(gzip.compress(b"x")).finding == Finding.UNREADABLE
    assert tampered(None).seq == 12
    paths[1].write_bytes(gzip.compress(originals[paths[1]])[:-20])
    with pytest.raises(VerificationError, match="cannot be read"):
        old.verify(archives=archive_files(tmp_path))
    paths[1].write_bytes(gzip.compress(originals[paths[1]]))
    assert old.verify(archives=archive_files(tmp_path)).first == 1
    paths[2].unlink()
    with pytest.raises(VerificationError) as raised:
        old.verify(archives=archive_files(tmp_path))
    assert (raised.value.finding, raised.value.seq) == (Finding.MISSING, 22)
    assert "000000000022-000000000036" in str(raised.value)


def test_every_flipped_byte_of_an_archive_is_found(old: Victim, tmp_path: Path) -> None:
    run(old, tmp_path, each=1)
    path = sorted(tmp_path.iterdir())[1]
    data = gzip.decompress(path.read_bytes())
    path.chmod(0o600)
    for i in range(0, len(data), 3):
        path.write_bytes(data[:i] + bytes([data[i] ^ 1 << i % 8]) + data[i + 1 :])
        with pytest.raises(VerificationError):
            old.verify(ArchiveFile(path))


@pytest.mark.parametrize("how", ["edited", "rewritten", "missing", "young"])
def test_an_altered_record_is_not_archived(old: Victim, tmp_path: Path, how: str) -> None:
    if how == "edited":
        old.edit(17, login="mallory")
    elif how == "rewritten":
        old.edit(17, fix=True, login="mallory")
        old.rehash(18)
    elif how == "missing":
        old.delete(records.c.seq == 17)
    else:  # so that they would leave the database early
        for seq in range(37, 44):
            old.set(seq, time=1.0)
        old.set(44, time=1.0)
        old.fill(12)
    before = seqs(old)
    with pytest.raises(VerificationError) as error:
        run(old, tmp_path)
    assert error.value.seq == {"young": 37, "rewritten": 12}.get(how, 17)
    assert [seq for seq in before if seq not in seqs(old)] == []


def test_an_interrupted_run_is_continued(
    old: Victim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = module._remove

    def power_fails(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_remove", power_fails)
    with pytest.raises(KeyboardInterrupt):
        run(old, tmp_path)
    assert seqs(old)[:1] == [1]
    written = next(tmp_path.iterdir()).read_bytes()
    assert old.verify(copies=True).archived == 0
    monkeypatch.setattr(module, "_remove", remove)
    assert len(run(old, tmp_path)) == 1
    assert next(tmp_path.iterdir()).read_bytes() == written
    assert old.verify(archives=archive_files(tmp_path), copies=True).first == 1


def test_what_disappears_while_it_is_archived_is_told(
    old: Victim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = module._remove

    def late(*arguments: Any) -> None:
        old.delete(records.c.seq == 17)
        remove(*arguments)

    monkeypatch.setattr(module, "_remove", late)
    with pytest.raises(VerificationError, match="disappeared"):
        run(old, tmp_path)
    assert seqs(old)[:2] == [1, 2]


def test_another_log_s_archive_is_in_the_way(old: Victim, tmp_path: Path) -> None:
    name = "audit-000000000001-000000000036.jsonl.gz"
    (tmp_path / name).write_bytes(gzip.compress(b"{}\n"))
    with pytest.raises(VerificationError):
        run(old, tmp_path)
    assert seqs(old)[0] == 1


def test_a_folder_that_cannot_be_written(old: Victim, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(AuditError, match="Nothing was removed"):
        run(old, tmp_path / "file" / "x")
    assert seqs(old)[0] == 1


def test_a_full_disk_removes_nothing(old: Victim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(AuditError, match="No space left"):
            run(old, tmp_path)
    assert seqs(old)[0] == 1
    assert len(run(old, tmp_path)) == 1  # an unfinished file is in nobody's way


def test_records_written_meanwhile_are_not_lost(old: Victim, tmp_path: Path) -> None:
    log = old.open()
    log.start()
    waiting = [log.submit(entry(number)) for number in range(200)]
    made = archive(log, tmp_path, each=5, now=old.clock)
    numbers = [one.result() for one in waiting]
    log.stop()
    assert made
    assert len(set(numbers)) == 200
    assert old.verify(archives=archive_files(tmp_path), copies=True).last >= max(numbers)

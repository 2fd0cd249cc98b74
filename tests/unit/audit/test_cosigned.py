"""A log that is signed with SM2 as well, and attacks on these signatures."""

from __future__ import annotations

import gzip
import json
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.support import altered
from tests.unit.audit.test_files import documents, exported
from tests.unit.audit.victim import Victim, entry, write_copies
from vlpro.audit.archive import archive
from vlpro.audit.checkpoint import CHECKPOINT, Checkpoint, Signer
from vlpro.audit.copies import read_copies
from vlpro.audit.cosigned import Cosigned
from vlpro.audit.errors import Finding, VerificationError
from vlpro.audit.events import Event
from vlpro.audit.proof import prove
from vlpro.audit.service import open_log
from vlpro.audit.ship.documents import of_checkpoint
from vlpro.audit.sm2 import Sm2Key, verify
from vlpro.audit.sources import ArchiveFile, DatabaseSource, DocumentsSource, ExportFile
from vlpro.audit.tables import archives, checkpoints
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url
from vlpro.errors import AuditError, ConfigError

KEY = b"k" * 32


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Victim, Any]]:
    """A log of 26 records with checkpoints of 11, 21 and 26."""
    if request.param == "sqlite":
        url = sqlite_url(tmp_path_factory.mktemp("gm"))
    else:
        url = request.getfixturevalue("postgresql").new()
    made = Victim(url, gm=True)
    log = made.open()
    log.start()
    for number in range(2, 27):
        made.clock.pass_(seconds=0.05)
        log.record(entry(number))
        if number % 10 == 1:
            signed(made, number)
    log.stop()
    yield made, made.dump()
    made.database.close()


def signed(victim: Victim, size: int) -> None:
    """Wait until a checkpoint is stored: nothing waits for its signature."""
    while size not in victim.sizes():
        threading.Event().wait(0.01)


@pytest.fixture
def victim(filled: tuple[Victim, Any]) -> Iterator[Victim]:
    made, backup = filled
    made.restore(backup)
    copied, now = list(made.copied), made.clock.now
    yield made
    made.copied[:], made.clock.now, made.gm = copied, now, True


def found(victim: Victim, act: Callable[[], object] | None = None, **options: Any) -> VerificationError:
    with pytest.raises(VerificationError) as error:
        act() if act is not None else victim.verify(**options)
    assert error.value.zh != error.value.reason, "no sentence in Chinese"
    assert "SM2" in str(error.value), "it does not say that SM2 is the matter"
    return error.value


def sm2_key(victim: Victim) -> Sm2Key:
    return Sm2Key.derived(Sealer(victim.key).signing_seed)


def test_every_checkpoint_is_signed_with_both(victim: Victim) -> None:
    summary = victim.verify(copies=True)
    assert victim.sizes() == [11, 21, 26]
    assert (summary.checkpoints, summary.copies, summary.sm2, summary.sm2_unchecked) == (3, 3, 3, 0)
    public = sm2_key(victim).public
    for size in victim.sizes():
        row = victim.checkpoint(size)
        said = json.loads(row["data"])
        assert (said["key"], said["sm2"]) == (victim.keys[0].hex(), public.hex())
        verify(public, CHECKPOINT + bytes(row["data"]), bytes(row["sm2"]))
    assert json.loads(victim.row(1)["data"])["detail"] == {"key": victim.keys[0].hex(), "sm2": public.hex()}
    assert victim.verify(cosigned=Cosigned([public])).sm2 == 3


@pytest.mark.parametrize("size", [11, 26])
def test_a_flipped_signature(victim: Victim, size: int) -> None:
    right = bytes(victim.checkpoint(size)["sm2"])
    for i in (0, 3, 10, 40, len(right) - 1):
        victim.set_checkpoint(size, sm2=right[:i] + bytes([right[i] ^ 1]) + right[i + 1 :])
        error = found(victim)
        assert (error.finding, error.seq) == (Finding.FORGED, size)
        assert f"the SM2 signature of the checkpoint of {size} records is wrong" in str(error)


@pytest.mark.parametrize("sizes", [[11], [26], [11, 21, 26]])
@pytest.mark.parametrize("value", [None, b""])
def test_a_signature_taken_away(victim: Victim, sizes: list[int], value: bytes | None) -> None:
    for size in sizes:
        victim.set_checkpoint(size, sm2=value)
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.MISSING, sizes[0])
    assert f"the SM2 signature of the checkpoint of {sizes[0]} records is missing" in str(error)


def test_a_signature_of_another_key_or_of_another_checkpoint(victim: Victim) -> None:
    other = Sm2Key.derived(b"other" * 8).sign(CHECKPOINT + bytes(victim.checkpoint(21)["data"]))
    for signature in (
        other,
        victim.checkpoint(11)["sm2"],
        sm2_key(victim).sign(victim.checkpoint(21)["data"]),
    ):
        victim.set_checkpoint(21, sm2=signature)
        error = found(victim)
        assert (error.finding, error.seq) == (Finding.FORGED, 21)


def resigned(victim: Victim, sm2: Sm2Key | None) -> None:
    """The last checkpoint made anew by somebody who has the Ed25519 key, and another one of SM2 or none."""
    row = victim.checkpoint(21)
    log = json.loads(row["data"])["log"]
    before = Checkpoint.stored(row["data"], row["signature"], row["roots"], row["sm2"])
    signer = Signer(Sealer(victim.key).signing_seed, log, sm2)
    made = signer.cosigned(signer.sign(victim.frontier(26), before, victim.clock()))
    victim.set_checkpoint(26, data=made.data, signature=made.signature, sm2=made.sm2 or None)


def test_who_has_the_other_key_alone(victim: Victim) -> None:
    resigned(victim, Sm2Key.derived(b"other" * 8))
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.FORGED, 26)
    assert "another SM2 key than the log says" in str(error)
    resigned(victim, None)
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.FORGED, 26)
    assert "not signed with SM2, though the log says that it is" in str(error)
    assert error.expected == f"sm2 {sm2_key(victim).public.hex()}"
    resigned(victim, sm2_key(victim))
    assert victim.verify().sm2 == 3


def test_another_key_is_expected(victim: Victim) -> None:
    error = found(victim, cosigned=Cosigned([sm2_key(victim).public[::-1]]))
    assert (error.finding, error.seq) == (Finding.FORGED, 11)
    assert "by an SM2 key that is not trusted" in str(error)


def test_a_signature_where_none_belongs(tmp_path: Path) -> None:
    victim = Victim(sqlite_url(tmp_path))
    victim.fill(12)
    victim.set_checkpoint(11, sm2=Sm2Key(7).sign(bytes(victim.checkpoint(11)["data"])))
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.FORGED, 11)
    assert "names no key for it" in str(error)
    victim.database.close()


def test_switched_on_and_off_and_on(victim: Victim) -> None:
    seqs = []
    for victim.gm in (False, True, False):
        victim.fill(3)
        seqs.append(victim.last() - 3)
    summary = victim.verify(copies=True)
    assert [victim.row(seq)["event"] for seq in seqs] == [Event.SIGNING_CHANGED] * 3
    details = [json.loads(victim.row(seq)["data"])["detail"] for seq in seqs]
    assert ["sm2" in detail for detail in details] == [False, True, False]
    assert (summary.checkpoints, summary.sm2) == (6, 4)
    victim.set_checkpoint(victim.sizes()[4], sm2=None)
    assert found(victim).finding == Finding.MISSING


def test_a_log_of_before_goes_on_with_it(tmp_path: Path) -> None:
    victim = Victim(sqlite_url(tmp_path))
    victim.fill(12)
    victim.gm = True
    victim.fill(2)
    assert victim.row(14)["event"] == Event.SIGNING_CHANGED
    assert (victim.verify().checkpoints, victim.verify().sm2) == (3, 1)
    victim.database.close()


def test_only_the_service_decides_how_it_is_signed(victim: Victim) -> None:
    with pytest.raises(ConfigError, match="service's own settings"):
        open_log(victim.database, Sealer(KEY), settle=False)
    assert victim.last() == 26
    open_log(victim.database, Sealer(KEY), gm=True, settle=False)


def test_a_replica_with_another_setting_signs_nothing(victim: Victim) -> None:
    other = open_log(victim.database, Sealer(KEY), every_records=1)  # it says so on the record
    mine = open_log(victim.database, Sealer(KEY), gm=True, every_records=1)
    other.start()
    other.record(entry(1))
    other.stop()
    assert "VLPRO_CRYPTO" in str(other.failed)
    mine.start()
    mine.record(entry(2))
    mine.stop()
    assert mine.failed is None
    summary = victim.verify()
    assert (summary.unsigned, summary.sm2) == (0, summary.checkpoints)


def test_the_last_records_are_signed_although_another_replica_was_quicker(
    victim: Victim, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, mine = (open_log(victim.database, Sealer(KEY), gm=True, every_records=1_000) for _ in range(2))
    mine.start()
    mine.record(entry(1))
    other._checkpoint()  # of the records so far; its signature takes its time
    assert mine.record(entry(2)) == victim.last()
    sign = mine.signer.cosigned

    def late(checkpoint: Checkpoint) -> Checkpoint:
        other._store_cosigned()
        return sign(checkpoint)

    monkeypatch.setattr(mine.signer, "cosigned", late)
    before = victim.verify().checkpoints
    mine.stop()
    assert mine.failed is None
    summary = victim.verify()
    assert (summary.unsigned, summary.checkpoints, summary.sm2) == (0, before + 2, before + 2)


def test_replicas_that_sign_at_the_same_time(victim: Victim) -> None:
    logs = [open_log(victim.database, Sealer(KEY), gm=True, every_records=5) for _ in range(3)]
    for log in logs:
        log.start()
    threads = [
        threading.Thread(target=lambda log=log: [log.record(entry(n)) for n in range(60)]) for log in logs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for log in logs:
        log.stop()
        assert log.failed is None
    summary = victim.verify()
    assert (summary.last, summary.unsigned, summary.sm2) == (206, 0, summary.checkpoints)


# --- copies elsewhere


def test_an_export(victim: Victim, tmp_path: Path) -> None:
    whole = exported(victim, tmp_path / "whole.jsonl")
    part = exported(victim, tmp_path / "part.jsonl", 15, 25)
    assert (victim.verify(whole).sm2, victim.verify(part).sm2) == (3, 1)
    assert sm2_key(victim).public.hex() in (tmp_path / "whole.jsonl").read_text()
    for name in ("whole.jsonl", "part.jsonl"):
        lines = (tmp_path / name).read_text().splitlines()
        for at, line in enumerate(lines):
            content = json.loads(line)
            if "checkpoint" not in content:
                continue
            right = content["sm2"]
            flipped = right[:-2] + f"{int(right[-2:], 16) ^ 1:02x}"
            altered: list[tuple[dict[str, Any], str]] = [
                ({}, "the SM2 signature of the checkpoint"),
                ({"sm2": flipped}, "the SM2 signature of the checkpoint"),
                *(({"sm2": wrong}, "none that an export writes") for wrong in ("", "zz", 5)),
            ]
            for change, words in altered:
                other = tmp_path / "other.jsonl"
                changed = {key: content[key] for key in ("checkpoint", "signature")} | change
                other.write_text("\n".join([*lines[:at], json.dumps(changed), *lines[at + 1 :]]) + "\n")
                with pytest.raises(VerificationError, match=words):
                    victim.verify(ExportFile(other))


def test_copies_of_checkpoints(victim: Victim, tmp_path: Path) -> None:
    path = write_copies(tmp_path / "copies", victim.copied)
    cosigned = Cosigned([sm2_key(victim).public])
    copies = read_copies(path, victim.keys, cosigned)
    assert [copy.size for copy in copies] == [11, 21, 26]
    assert cosigned.right == 3
    lines = path.read_text().splitlines()
    content = json.loads(lines[1])
    stripped = {name: content[name] for name in ("checkpoint", "signature")}
    path.write_text("\n".join([lines[0], json.dumps(stripped), lines[2]]) + "\n")
    error = found(victim, lambda: read_copies(path, victim.keys))
    assert (error.finding, error.seq) == (Finding.MISSING, 21)
    replayed = content | {"sm2": json.loads(lines[0])["sm2"]}
    path.write_text("\n".join([lines[0], json.dumps(replayed), lines[2]]) + "\n")
    assert found(victim, lambda: read_copies(path, victim.keys)).finding == Finding.FORGED


def test_the_copy_in_elasticsearch(victim: Victim) -> None:
    source = DatabaseSource(victim.database)
    summary = victim.verify(DocumentsSource(documents(victim), list(source.checkpoints())))
    assert summary.sm2 == 3
    row = victim.checkpoint(21)
    made = of_checkpoint(21, row["data"], row["signature"], row["sm2"], log="log_1", labels={})
    assert made.hash == Checkpoint.stored(row["data"], row["signature"], b"", bytes(row["sm2"])).hash.hex()
    assert made.content["vlpro"]["signature_sm2"] == bytes(row["sm2"]).hex()
    assert made.content["vlpro"]["checkpoint"]["sm2"] == sm2_key(victim).public.hex()
    without = of_checkpoint(21, row["data"], row["signature"], log="log_1", labels={})
    assert without.hash != made.hash  # so a copy that lost it is another one, and the comparison finds it
    victim.set_checkpoint(21, sm2=None)
    assert found(
        victim, lambda: victim.verify(DocumentsSource(documents(victim), list(source.checkpoints())))
    ).finding == (Finding.MISSING)


def test_archives(victim: Victim, tmp_path: Path) -> None:
    log = victim.open()
    log.start()
    seals = archive(log, tmp_path, days=180, each=10, now=lambda: victim.clock() + 400 * 86_400)
    log.stop()
    assert [seal.last for seal in seals] == [11, 21]
    files = [ArchiveFile(tmp_path / seal.name) for seal in seals]
    # Two seals in the database, three checkpoints and the one that ended the work; the archives repeat most of it.
    assert victim.verify().sm2 == victim.verify(archives=files).sm2 == len(victim.sizes()) + 2
    lines = gzip.decompress((tmp_path / seals[0].name).read_bytes()).decode().splitlines()
    content = json.loads(lines[-1])
    for wrong in ({"sm2": altered(content["sm2"])}, {}):
        changed = {name: content[name] for name in ("seal", "signature")} | wrong
        other = tmp_path / "other" / seals[0].name
        other.parent.mkdir(exist_ok=True)
        other.write_bytes(gzip.compress("\n".join([*lines[:-1], json.dumps(changed)]).encode() + b"\n"))
        error = found(victim, lambda other=other: victim.verify(ArchiveFile(other)))  # type: ignore[misc]
        assert f"the seal of {seals[0].name}" in str(error)
    with victim.database.write() as connection:
        connection.execute(sa.update(archives).where(archives.c.last == 21).values(sm2=None))
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.MISSING, 21)


def test_a_proof_holds_it(victim: Victim) -> None:
    made = prove(victim.database, 17, victim.keys[0])
    verify(sm2_key(victim).public, CHECKPOINT + made["checkpoint"].encode(), bytes.fromhex(made["sm2"]))


def test_a_backup_of_before_is_verified_as_it_is(tmp_path: Path) -> None:
    victim = Victim(sqlite_url(tmp_path))
    victim.fill(25)
    raw = victim.database._engine.raw_connection()
    for table in ("audit_checkpoints", "audit_archives"):
        raw.execute(f"ALTER TABLE {table} DROP COLUMN sm2")
    raw.commit()
    raw.close()
    assert victim.verify(copies=True).checkpoints == 3
    assert prove(victim.database, 7, victim.keys[0])["seq"] == 7
    victim.database.close()


# --- without OpenSSL


def test_what_cannot_be_checked_is_told_and_what_is_missing_is_found(
    victim: Victim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    summary = victim.verify(copies=True)
    assert (summary.sm2, summary.sm2_unchecked) == (0, 3)
    victim.set_checkpoint(21, sm2=None)
    assert found(victim).finding == Finding.MISSING


def test_the_log_does_not_begin_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    database = Database(sqlite_url(tmp_path))
    with pytest.raises(ConfigError, match="VLPRO_CRYPTO is gm, but there is no openssl"):
        open_log(database, Sealer(KEY), gm=True)
    assert not list(tmp_path.glob("*.db"))
    database.close()


def test_an_openssl_that_disappears_is_told_and_signed_later(
    victim: Victim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = open_log(victim.database, Sealer(KEY), gm=True, every_records=1)
    path = tmp_path / "openssl"
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(stat.S_IRWXU)
    with monkeypatch.context() as without:
        without.setenv("PATH", str(tmp_path))
        log.start()
        assert log.record(entry(1)) == 27  # what happens is on the record all the same
        while log.failed is None:
            threading.Event().wait(0.01)
        assert isinstance(log.failed, AuditError)
        assert "openssl" in str(log.failed)
    log.record(entry(2))
    log.stop()
    assert victim.verify().unsigned == 0
    with victim.database.read() as connection:
        stored = connection.execute(sa.select(checkpoints.c.sm2)).scalars().all()
    assert all(stored)

"""Attacks on a record by somebody who may write to its database, and their discovery. One test an attack."""

from __future__ import annotations

import dataclasses
import json
import re
import struct
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.audit.victim import Victim, entry, write_copies
from vlpro.audit.checkpoint import Checkpoint, Signer
from vlpro.audit.copies import read_copies
from vlpro.audit.errors import Finding, VerificationError
from vlpro.audit.record import make
from vlpro.audit.sources import DatabaseSource, Item, Source, StoredCheckpoint, StoredRecord
from vlpro.audit.tables import checkpoints, records
from vlpro.audit.tree import leaf_hash
from vlpro.audit.verify import verify
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url
from vlpro.errors import AuditError


def found(victim: Victim, source: Source | None = None, **options: Any) -> VerificationError:
    with pytest.raises(VerificationError) as error:
        victim.verify(source, **options)
    assert error.value.zh != error.value.reason, "no sentence in Chinese"
    assert str(error.value) in error.value.diagnostics()
    return error.value


def test_an_untouched_record_is_whole(victim: Victim) -> None:
    summary = victim.verify(copies=True)
    assert (summary.first, summary.last, summary.records, summary.unsigned) == (1, 36, 36, 0)
    assert victim.sizes() == [11, 21, 31, 36]
    assert (summary.checkpoints, summary.signed, summary.copies) == (4, 36, 4)
    assert summary.root == victim.frontier(36).root()
    assert not summary.backwards
    assert summary.since < summary.until


def test_what_is_not_signed_yet_is_told(victim: Victim) -> None:
    victim.fill(4, sign=False)
    summary = victim.verify()
    assert (summary.last, summary.signed, summary.unsigned) == (40, 36, 4)


def test_an_edited_record(victim: Victim) -> None:
    victim.edit(17, login="mallory")
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.ALTERED, 17)
    assert error.expected
    assert error.meaning_zh


def test_an_edited_record_with_its_hash_and_columns(victim: Victim) -> None:
    victim.edit(17, fix=True, login="mallory")
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.ALTERED, 17)


def test_an_edited_record_with_all_later_hashes(victim: Victim) -> None:
    victim.edit(17, fix=True, login="mallory")
    victim.rehash(18)
    error = found(victim)
    assert error.finding == Finding.REWRITTEN
    assert (error.seq, "to record 20" in str(error)) == (17, True)  # the subtree of records 17 to 20


@pytest.mark.parametrize("seq", [11, 21, 31, 36])
def test_the_last_record_before_a_checkpoint_edited_with_its_hash(victim: Victim, seq: int) -> None:
    victim.edit(seq, fix=True, object="msg_none")
    if seq < 36:
        victim.rehash(seq + 1)
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.REWRITTEN, seq if seq != 36 else 33)


def test_a_record_that_follows_from_nothing(victim: Victim) -> None:
    victim.edit(17, fix=True, prev="00" * 32)
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.ALTERED, 17)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("time", 1.0),
        ("event", "audit:log:queried"),
        ("outcome", "failed"),
        ("login", "mallory"),
        ("session", "ses_none"),
        ("address", "10.0.0.8"),
        ("object", ""),
        ("hash", b"x" * 32),
    ],
)
def test_an_edited_column(victim: Victim, column: str, value: Any) -> None:
    victim.set(9, **{column: value})
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.COLUMN, 9)


def test_a_deleted_record(victim: Victim) -> None:
    victim.delete(records.c.seq == 22)
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.MISSING, 22)


def test_several_deleted_records(victim: Victim) -> None:
    victim.delete(records.c.seq.between(11, 23))
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.MISSING, 11)
    assert "23" in str(error)


def test_a_deleted_record_with_all_later_ones_renumbered(victim: Victim) -> None:
    victim.delete(records.c.seq == 22)
    victim.shift(23, -1)
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.MOVED, 22)
    for seq in range(22, victim.last() + 1):
        victim.edit(seq, fix=True, seq=seq, prev=victim.row(seq - 1)["hash"].hex())
    error = found(victim)
    assert error.finding == Finding.REWRITTEN
    assert error.seq == 22


def test_the_first_records_deleted(victim: Victim) -> None:
    victim.delete(records.c.seq <= 11)
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.MISSING, 1)


def test_the_log_does_not_go_on_behind_a_missing_beginning(victim: Victim) -> None:
    victim.delete(records.c.seq == 1)
    victim.remove_checkpoints()
    with pytest.raises(AuditError, match="first record is missing"):
        victim.open()


def test_an_inserted_record(victim: Victim) -> None:
    victim.shift(20, 1)
    before = victim.row(19)
    forged = make(entry(20), seq=20, prev=before["hash"], now=before["time"])
    victim.add(victim.open().row(forged))
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.INSERTED, 20)


@pytest.mark.parametrize("seq", [0, -5])
def test_a_record_before_the_first(victim: Victim, seq: int) -> None:
    victim.add(victim.row(3) | {"seq": seq})
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.INSERTED, seq)


def test_a_record_added_at_the_end(victim: Victim) -> None:
    last = victim.row(36)
    forged = make(entry(38), seq=38, prev=last["hash"], now=last["time"])
    victim.add(victim.open().row(forged))
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.MISSING, 37)


def test_two_records_in_each_others_places(victim: Victim) -> None:
    one, two = victim.row(14), victim.row(25)
    victim.set(14, **(two | {"seq": 14}))
    victim.set(25, **(one | {"seq": 25}))
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.MOVED, 14)
    assert "record 25" in str(error)


def test_a_record_in_the_place_of_the_next(victim: Victim) -> None:
    victim.set(15, **(victim.row(14) | {"seq": 15}))
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.MOVED, 15)


def test_a_cut_tail(victim: Victim) -> None:
    victim.delete(records.c.seq > 33)
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.CUT, 34)
    assert "36" in str(error)


def test_a_tail_cut_below_several_checkpoints(victim: Victim) -> None:
    victim.delete(records.c.seq > 15)
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.CUT, 16)
    assert "36 records" in str(error)


def test_everything_deleted_but_the_checkpoints(victim: Victim) -> None:
    victim.delete()
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.CUT, 1)


def test_everything_deleted(victim: Victim) -> None:
    victim.delete()
    victim.remove_checkpoints()
    error = found(victim, copies=True)
    assert (error.finding, error.seq) == (Finding.SHORTER, 1)


def test_a_tail_cut_with_its_checkpoints(victim: Victim) -> None:
    victim.delete(records.c.seq > 33)
    victim.remove_checkpoints(checkpoints.c.size > 33)
    assert victim.verify().last == 33  # alone, it looks like an earlier moment
    error = found(victim, copies=True)
    assert (error.finding, error.seq) == (Finding.SHORTER, 34)


def test_a_cut_tail_that_the_log_went_on_from(victim: Victim) -> None:
    victim.delete(records.c.seq > 33)
    victim.remove_checkpoints(checkpoints.c.size > 33)
    before = list(victim.copied)
    victim.fill(20)
    assert victim.verify().last == 53
    victim.copied[:] = before
    error = found(victim, copies=True)
    assert (error.finding, error.seq) == (Finding.REPLACED, 32)
    assert "Up to record 31" in str(error)


def test_a_database_put_back_to_an_older_copy(victim: Victim) -> None:
    backup = victim.dump()
    victim.fill(12)
    victim.restore(backup)
    assert victim.verify().last == 36
    error = found(victim, copies=True)
    assert (error.finding, error.seq) == (Finding.SHORTER, 37)
    assert "older copy" in error.meaning


def test_a_database_put_back_that_went_on(victim: Victim) -> None:
    backup = victim.dump()
    victim.fill(12)
    victim.restore(backup)
    victim.fill(30)
    error = found(victim, copies=True)  # both courses are in the copies
    assert (error.finding, error.seq) == (Finding.REPLACED, 37)


def test_two_databases_swapped(victim: Victim, tmp_path: Path) -> None:
    other = Victim(sqlite_url(tmp_path, "other"), clock=victim.clock)  # the same key
    other.fill(50)
    backup = other.dump()
    other.database.close()
    victim.restore(backup)
    assert victim.verify().last == 51
    error = found(victim, copies=True)
    assert error.finding == Finding.REPLACED
    assert "another log" in str(error)


def test_a_log_that_was_begun_anew(victim: Victim) -> None:
    victim.restore({name: [] for name in victim.dump()})
    copied = list(victim.copied)
    victim.fill(60)
    victim.copied[:] = copied
    error = found(victim, copies=True)
    assert (error.finding, "another log" in str(error)) == (Finding.REPLACED, True)


def test_a_log_that_is_expected_by_name(victim: Victim) -> None:
    assert found(victim, log_id="log_other").finding == Finding.REPLACED


# --- checkpoints


def forged(victim: Victim, key: bytes, log_id: str = "") -> Checkpoint:
    """The checkpoint of 21 records, signed anew by somebody."""
    before = victim.checkpoint(11)
    last = Checkpoint.stored(before["data"], before["signature"])
    signer = Signer(key, log_id or json.loads(before["data"])["log"])
    return signer.sign(victim.frontier(21), last, victim.clock())


def test_a_checkpoint_signed_by_another_key(victim: Victim) -> None:
    made = forged(victim, b"m" * 32)
    victim.set_checkpoint(21, data=made.data, signature=made.signature)
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.FORGED, 21)


def test_a_checkpoint_under_the_right_name_but_another_key(victim: Victim) -> None:
    made = forged(victim, b"m" * 32)
    right = json.loads(victim.checkpoint(21)["data"])["key"]
    data = made.data.replace(json.loads(made.data)["key"].encode(), right.encode())
    victim.set_checkpoint(21, data=data, signature=made.signature)
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.FORGED, 21)


def test_the_key_used_for_another_log(victim: Victim) -> None:
    made = forged(victim, Sealer(victim.key).signing_seed, "log_other")
    victim.set_checkpoint(21, data=made.data, signature=made.signature)
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.REPLACED, 21)


def test_a_checkpoint_signed_twice(victim: Victim) -> None:
    victim.clock.pass_(seconds=1)
    made = forged(victim, Sealer(victim.key).signing_seed)
    victim.set_checkpoint(21, data=made.data, signature=made.signature)
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.MISSING, 31)  # the next one names the other


@pytest.mark.parametrize("at", [21, 36])
def test_an_older_checkpoint_in_the_place_of_another(victim: Victim, at: int) -> None:
    old = victim.checkpoint(11)
    victim.set_checkpoint(at, data=old["data"], signature=old["signature"], roots=old["roots"])
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.REPLAYED, at)


def test_a_removed_checkpoint(victim: Victim) -> None:
    victim.remove_checkpoints(checkpoints.c.size == 21)
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.MISSING, 31)


def test_the_last_checkpoint_removed(victim: Victim) -> None:
    """Nothing is lost by it: the records are bound by the chain, and by the copies."""
    victim.remove_checkpoints(checkpoints.c.size == 36)
    assert victim.verify().unsigned == 5
    assert victim.verify(copies=True).copies == 4


def test_subtrees_altered_beside_a_checkpoint(victim: Victim) -> None:
    victim.set_checkpoint(21, roots=victim.checkpoint(31)["roots"])
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.COLUMN, 21)


def test_a_checkpoint_that_is_none(victim: Victim) -> None:
    victim.set_checkpoint(21, data=b"[1]")
    assert found(victim).finding == Finding.UNREADABLE


def test_altered_copies_are_found(victim: Victim, tmp_path: Path) -> None:
    path = write_copies(tmp_path / "copies", victim.copied)
    assert read_copies(path, victim.keys) == victim.copies()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('size\\":31', 'size\\":30'), encoding="utf-8")
    with pytest.raises(VerificationError, match="30 records"):
        read_copies(path, victim.keys)
    path.write_text(text[:-30], encoding="utf-8")
    with pytest.raises(VerificationError, match="copies:4"):
        read_copies(path, victim.keys)
    with pytest.raises(VerificationError, match="cannot be read"):
        read_copies(tmp_path / "none", victim.keys)
    with pytest.raises(VerificationError, match="not trusted"):
        read_copies(write_copies(path, victim.copied), [b"x" * 32])


# --- the clock


def test_a_clock_that_was_put_back_is_told_and_no_error(victim: Victim) -> None:
    victim.clock.pass_(seconds=-3)
    victim.fill(1, seconds=0)
    victim.clock.pass_(days=-2)
    victim.fill(1, seconds=0)
    summary = victim.verify()
    assert summary.times_backwards == len(summary.backwards) == 2
    assert [seq for seq, _ in summary.backwards] == [37, 38]
    assert summary.backwards[0][1] == pytest.approx(3)
    assert summary.backwards[1][1] == pytest.approx(2 * 86_400)


# --- every byte


class Memory(Source):
    """The tables in memory, in which one value may be another."""

    def __init__(self, dump: dict[str, list[dict[str, Any]]]) -> None:
        self.rows = {table.name: [dict(row) for row in dump[table.name]] for table in (records, checkpoints)}

    def items(self) -> Generator[Item]:
        keyed = [(row["seq"], 0, row) for row in self.rows[records.name]]
        keyed += [(row["size"], 1, row) for row in self.rows[checkpoints.name]]
        for _, signed, row in sorted(keyed, key=lambda entry: entry[:2]):
            kind = StoredCheckpoint if signed else StoredRecord
            yield kind(**{name: row[name] for name in kind._fields})


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    victim = Victim(sqlite_url(tmp_path))
    victim.fill(4)
    source, tried = Memory(victim.dump()), 0
    victim.database.close()
    assert victim.verify(source, copies=True).copies == 1
    for table, rows in source.rows.items():
        for row in rows:
            for name, value in list(row.items()):
                for row[name] in _flips(value):
                    error = found(victim, source=source)
                    if table == records.name and name != "seq":
                        assert error.seq == row["seq"], (name, row[name])
                        if (name, row["seq"]) != (
                            "hash",
                            5,
                        ):  # whether the last one's hash or bytes, nothing tells
                            assert (error.finding == Finding.COLUMN) == (name != "data"), (name, row[name])
                    tried += 1
                row[name] = value
    assert tried > 3000
    assert victim.verify(source, copies=True).copies == 1


def _flips(value: Any) -> list[Any]:
    """A value with one bit of each of its bytes turned over, another bit each time."""
    if isinstance(value, bytes):
        return [value[:i] + bytes([value[i] ^ 1 << i % 8]) + value[i + 1 :] for i in range(len(value))]
    if isinstance(value, str):
        return [value[:i] + chr(ord(value[i]) ^ 1 << i % 7) + value[i + 1 :] for i in range(len(value))]
    if isinstance(value, float):
        return [struct.unpack("d", flipped)[0] for flipped in _flips(struct.pack("d", value))]
    if value is None:  # a signature with SM2 where none is
        return [b"\0", b"0" * 70, "text", 5]
    return [value ^ 1 << bit for bit in range(40)]


@pytest.mark.parametrize("value", ["text", None, 5, b"", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 2000])
def test_what_is_no_record_at_all(tmp_path: Path, value: Any) -> None:
    victim = Victim(sqlite_url(tmp_path))
    victim.fill(12)
    raw = victim.database._engine.raw_connection()
    raw.execute("CREATE TABLE x AS SELECT * FROM audit_records")
    raw.execute("DROP TABLE audit_records")
    raw.execute("ALTER TABLE x RENAME TO audit_records")  # without NOT NULL
    raw.execute("UPDATE audit_records SET data = ? WHERE seq = 7", (value,))
    raw.commit()
    raw.close()
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.UNREADABLE, 7)
    victim.database.close()


def test_text_that_is_no_utf_8(tmp_path: Path) -> None:
    victim = Victim(sqlite_url(tmp_path))
    victim.fill(12)
    raw = victim.database._engine.raw_connection()
    raw.execute("UPDATE audit_records SET login = CAST(x'ff41' AS TEXT) WHERE seq = 7")
    raw.commit()
    raw.close()
    error = found(victim)
    assert (error.finding, error.seq) == (Finding.COLUMN, 7)
    victim.database.close()


def test_a_damaged_file(tmp_path: Path) -> None:
    victim = Victim(sqlite_url(tmp_path))
    victim.fill(300, seconds=0)
    victim.database.close()
    path = tmp_path / "vlpro.db"
    data = bytearray(path.read_bytes())
    data[20_000:60_000] = b"\x55" * 40_000
    path.write_bytes(data)
    database = Database(sqlite_url(tmp_path))
    with pytest.raises(VerificationError):
        verify(DatabaseSource(database), keys=victim.keys)
    database.close()


def test_who_has_the_key_is_found_by_the_copies_alone(victim: Victim) -> None:
    victim.edit(17, fix=True, login="mallory")
    victim.rehash(18)
    victim.remove_checkpoints(checkpoints.c.size > 11)
    copied = list(victim.copied)
    log = victim.open()
    log.start()
    log.record(entry(1))
    log.stop()
    assert victim.verify().last == 37
    victim.copied[:] = copied
    error = found(victim, copies=True)
    assert (error.finding, error.seq) == (Finding.REPLACED, 12)


def test_hashes_are_recomputed_and_not_believed(victim: Victim) -> None:
    """A leaf's hash of the table is never used for the root."""
    assert victim.frontier(36).root() == victim.verify().root
    assert leaf_hash(victim.row(36)["data"]) == victim.row(36)["hash"]


def test_progress_is_told(victim: Victim) -> None:
    told: list[tuple[int, int]] = []
    victim.verify(progress=lambda *how_far: told.append(how_far))
    assert told == [(36, 36)]


def test_messages_hold_what_a_person_needs(victim: Victim) -> None:
    victim.edit(17, login="mallory")
    text = found(victim).diagnostics(chinese=True)
    assert re.search(r"第 17 条记录：内容被改动.*\n应为: hash .*\n实为: hash .*\n含义: ", text)
    assert dataclasses.is_dataclass(victim)

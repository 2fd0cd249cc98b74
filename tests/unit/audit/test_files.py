"""Exports, proofs, the copy in Elasticsearch."""

from __future__ import annotations

import copy
import gzip
import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature

from tests.unit.audit.victim import Victim
from vlpro.audit import proof
from vlpro.audit.errors import Finding, VerificationError
from vlpro.audit.export import export
from vlpro.audit.ship.documents import of_record
from vlpro.audit.sources import DatabaseSource, DocumentsSource, ExportFile
from vlpro.audit.summary import Summary
from vlpro.audit.tables import records
from vlpro.errors import NotFoundError
from vlpro.masking import Masking

VERIFIER = Path(__file__).parents[3] / "deploy" / "audit" / "verify_proof.py"


def exported(victim: Victim, path: Path, first: int | None = None, last: int | None = None) -> ExportFile:
    lines: list[str] = []
    export(victim.database, lines.append, first=first, last=last)
    path.write_text("".join(lines), encoding="utf-8")
    return ExportFile(path)


def found(victim: Victim, source: ExportFile | DocumentsSource, **options: Any) -> VerificationError:
    with pytest.raises(VerificationError) as error:
        victim.verify(source, **options)
    return error.value


# --- exports


def test_an_export_holds_everything(victim: Victim, tmp_path: Path) -> None:
    source = exported(victim, tmp_path / "all")
    assert victim.verify(source, copies=True) == victim.verify(copies=True)
    lines = (tmp_path / "all").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 36 + 4
    said = json.loads(json.loads(lines[4])["record"])
    assert (said["seq"], said["login"], said["detail"]["tokens"]) == (5, "李伟5", 5)
    assert "李伟5" in lines[4]
    signed = json.loads(lines[11])
    assert json.loads(signed["checkpoint"])["size"] == 11
    (tmp_path / "all.gz").write_bytes(gzip.compress((tmp_path / "all").read_bytes()))
    assert victim.verify(ExportFile(tmp_path / "all.gz")).last == 36


@pytest.mark.parametrize(
    ("first", "last", "signed"), [(12, 36, 36), (15, 33, 31), (21, 21, 21), (2, 36, 36), (1, 20, 11)]
)
def test_a_part_verifies_by_itself(
    victim: Victim, tmp_path: Path, first: int, last: int, signed: int
) -> None:
    source = exported(victim, tmp_path / "part", first, last)
    summary = victim.verify(source)
    assert (summary.first, summary.last, summary.signed) == (first, last, signed)
    assert summary.root == victim.frontier(last).root()
    assert summary.unsigned == last - signed


def test_a_part_of_which_one_record_was_rewritten(victim: Victim, tmp_path: Path) -> None:
    path = tmp_path / "part"
    exported(victim, path, 15, 31)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("msg_31", "msg_13"), encoding="utf-8")  # the last one: no chain tells
    error = found(victim, ExportFile(path))
    assert (error.finding, error.seq) == (Finding.REWRITTEN, 22)
    path.write_text(text.replace("msg_20", "msg_02"), encoding="utf-8")
    error = found(victim, ExportFile(path))
    assert (error.finding, error.seq) == (Finding.ALTERED, 20)


@pytest.mark.parametrize(("first", "last"), [(0, 5), (5, 4), (30, 37), (37, 37), (-1, None)])
def test_what_is_not_there_is_not_exported(victim: Victim, first: int, last: int | None) -> None:
    with pytest.raises(NotFoundError, match="from 1 to 36"):
        export(victim.database, lambda _: None, first=first, last=last)


def test_every_flipped_byte_of_an_export_is_found(victim: Victim, tmp_path: Path) -> None:
    path = tmp_path / "part"
    exported(victim, path, 20, 22)
    data = path.read_bytes()
    for i in range(len(data)):
        path.write_bytes(data[:i] + bytes([data[i] ^ 1 << i % 8]) + data[i + 1 :])
        try:
            summary = victim.verify(ExportFile(path))
        except VerificationError:
            continue
        # Record 22 stands behind the last checkpoint of this part: the chain alone binds it, to those before it.
        assert i > data.rindex(b'{"record"'), data[i - 40 : i + 40]
        assert summary.unsigned == 1


def test_lines_of_an_export_removed_added_and_reordered(victim: Victim, tmp_path: Path) -> None:
    path = tmp_path / "all"
    exported(victim, path)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    places = [i for i, line in enumerate(lines) if line.startswith('{"record"')]  # of each record

    def tampered(changed: list[str], **options: Any) -> VerificationError:
        path.write_text("".join(changed), encoding="utf-8")
        return found(victim, ExportFile(path), **options)

    at = places[16]  # record 17
    error = tampered(lines[:at] + lines[at + 1 :])
    assert (error.finding, error.seq) == (Finding.MISSING, 17)
    error = tampered(lines[: at + 1] + lines[at:])
    assert (error.finding, error.seq) == (Finding.DUPLICATE, 17)
    error = tampered([*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]])
    assert (error.finding, error.seq) == (Finding.MISSING, 17)
    error = tampered(lines[:-3], copies=True)
    assert (error.finding, error.seq) == (Finding.SHORTER, 35)
    error = tampered([line for line in lines if '"size\\":21' not in line])
    assert (error.finding, error.seq) == (Finding.MISSING, 31)
    early = next(i for i, line in enumerate(lines) if '\\"size\\":21' in line)
    error = tampered([*lines[: early - 1], lines[early], lines[early - 1], *lines[early + 1 :]])
    assert error.finding == Finding.REPLAYED
    error = tampered([*lines[:early], lines[early + 1], lines[early], *lines[early + 2 :]])
    assert error.finding == Finding.REPLAYED
    error = tampered([*lines, "{}\n"])
    assert "all:41" in str(error)
    error = tampered([*lines[:-1], lines[-1].rstrip("\n")])
    assert error.finding == Finding.UNREADABLE
    assert found(victim, ExportFile(tmp_path / "none")).finding == Finding.UNREADABLE


# --- the copy in Elasticsearch


def documents(victim: Victim, *, flat: bool = False) -> list[dict[str, Any]]:
    with victim.database.read() as connection:
        rows = connection.execute(sa.select(records.c.seq, records.c.data).order_by(records.c.seq)).all()
    if flat:
        return [{"event.original": bytes(data).decode(), "event.sequence": seq} for seq, data in rows]
    return [{"_source": {"event": {"original": bytes(data).decode(), "sequence": seq}}} for seq, data in rows]


def from_documents(victim: Victim, found: list[dict[str, Any]]) -> Summary:
    return victim.verify(DocumentsSource(found, DatabaseSource(victim.database).checkpoints()), copies=True)


@pytest.mark.parametrize("flat", [False, True])
def test_the_copy_is_the_same_record(victim: Victim, *, flat: bool) -> None:
    summary = from_documents(victim, documents(victim, flat=flat))
    assert (summary.last, summary.signed, summary.copies) == (36, 36, 4)
    assert summary.root == victim.verify().root
    younger = from_documents(victim, documents(victim)[14:])  # the older ones have left it
    assert (younger.first, younger.last, younger.signed) == (15, 36, 36)
    exact = from_documents(victim, documents(victim)[11:])
    assert (exact.first, exact.root) == (12, summary.root)


@pytest.mark.parametrize("masked", [False, True])
def test_the_copy_as_it_is_shipped(victim: Victim, *, masked: bool) -> None:
    log = victim.verify().log_id
    rows = [victim.row(seq) for seq in range(1, 37)]
    sent = [
        of_record(
            row["seq"], row["hash"], row["data"], log=log, masking=Masking() if masked else None, labels={}
        ).content
        for row in rows
    ]
    if masked:
        sent[4] = {**sent[4], "vlpro": {**sent[4]["vlpro"], "masked": True}}
        with pytest.raises(VerificationError, match="record 5: the copy is masked"):
            from_documents(victim, [dict(one) for one in sent])
    else:
        assert from_documents(victim, [dict(one) for one in sent]).last == 36


def test_the_copy_tells_which_record_was_rewritten(victim: Victim) -> None:
    """When everything after it was hashed again, and the database alone names a range."""
    copied = documents(victim)
    victim.edit(17, fix=True, login="mallory")
    victim.rehash(18)
    assert from_documents(victim, copied).last == 36
    there = {one["_source"]["event"]["sequence"]: one["_source"]["event"]["original"] for one in copied}
    assert next(n for n in range(1, 37) if victim.row(n)["data"].decode() != there[n]) == 17


def test_an_altered_or_missing_document(victim: Victim) -> None:
    copied = documents(victim)
    copied[8]["_source"]["event"]["original"] = copied[8]["_source"]["event"]["original"].replace(
        "msg_9", "msg_8"
    )
    with pytest.raises(VerificationError) as error:
        from_documents(victim, copied)
    assert error.value.seq == 9
    with pytest.raises(VerificationError) as error:
        from_documents(victim, documents(victim)[:20] + documents(victim)[21:])
    assert (error.value.finding, error.value.seq) == (Finding.MISSING, 21)
    with pytest.raises(VerificationError) as error:
        from_documents(victim, documents(victim)[:33])
    assert (error.value.finding, error.value.seq) == (Finding.CUT, 34)
    with pytest.raises(VerificationError, match=r"no event\.original"):
        from_documents(victim, [{"event": {"sequence": 1}}])


# --- proofs


@pytest.mark.parametrize("seq", [1, 2, 11, 12, 17, 21, 30, 36])
@pytest.mark.parametrize("since", [None, 11, 31, 36])
def test_every_record_is_proven(victim: Victim, seq: int, since: int | None) -> None:
    made = proof.prove(victim.database, seq, victim.keys[0], since=since)
    size = json.loads(made["checkpoint"])["size"]
    assert size == (36 if since is not None else next(n for n in (11, 21, 31, 36) if n >= seq))
    check = runpy.run_path(str(VERIFIER))["check"]
    record, checkpoint, earlier = check(made, victim.keys[0])
    assert (record["seq"], checkpoint["size"]) == (seq, size)
    assert (earlier and earlier["size"]) == since


def test_the_verifier_finds_every_flip(victim: Victim) -> None:
    made = proof.prove(victim.database, 17, victim.keys[0], since=21)
    check = runpy.run_path(str(VERIFIER))["check"]
    text = json.dumps(made)
    harmless = 0
    for i in range(len(text)):
        flipped = text[:i] + chr(ord(text[i]) ^ 1 << i % 7) + text[i + 1 :]
        try:
            other = json.loads(flipped)
        except ValueError:
            continue
        if not isinstance(other, dict) or {k: other.get(k) for k in made} == made:
            continue
        try:
            check(other, victim.keys[0])
        except (ValueError, KeyError, TypeError, InvalidSignature):
            continue
        same = [name for name in made if str(other.get(name)).lower() != str(made[name]).lower()]
        assert same in ([], ["v"], ["seq"], ["key"], ["since"]), (
            same
        )  # not read: the record and the key given say it
        if same == ["since"]:
            assert "since" not in other  # then nothing is claimed about it
        harmless += 1
    assert harmless < 250


def test_proofs_of_something_else(victim: Victim) -> None:
    check = runpy.run_path(str(VERIFIER))["check"]
    made = proof.prove(victim.database, 17, victim.keys[0], since=11)
    other = proof.prove(victim.database, 18, victim.keys[0], since=31)
    for changes in (
        {"record": other["record"]},
        {"path": other["path"]},
        {"path": made["path"][:-1]},
        {"path": [*made["path"], "00" * 32]},
        {"checkpoint": made["since"]["checkpoint"], "signature": made["since"]["signature"]},
        {"since": other["since"] | {"path": made["since"]["path"]}},
        {"since": made["since"] | {"path": []}},
    ):
        with pytest.raises((ValueError, IndexError)):
            check(copy.deepcopy(made) | changes, victim.keys[0])
        with pytest.raises(VerificationError):
            proof.check(copy.deepcopy(made) | changes, victim.keys[0])
    with pytest.raises(InvalidSignature):
        check(made, bytes(32))


def test_the_verifier_as_a_command(victim: Victim, tmp_path: Path) -> None:
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(proof.prove(victim.database, 17, victim.keys[0], since=11)), encoding="utf-8")

    def run(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-I", str(VERIFIER), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        return done.returncode, done.stdout + done.stderr

    code, said = run(str(path), victim.keys[0].hex())
    assert code == 0
    assert "RIGHT: record 17" in said
    assert "continues the one of 11" in said
    code, said = run(str(path), bytes(32).hex())
    assert code == 1
    assert "WRONG" in said
    assert run()[0] == 1
    text = VERIFIER.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 100
    assert "vlpro" not in {
        line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import", "from"))
    }


def test_what_cannot_be_proven(victim: Victim) -> None:
    victim.fill(2, sign=False)
    for seq, since, words in (
        (99, None, "no audit record 99"),
        (38, None, "No checkpoint"),
        (5, 12, "of 12 records"),
    ):
        with pytest.raises(NotFoundError, match=words):
            proof.prove(victim.database, seq, victim.keys[0], since=since)
    victim.edit(17, fix=True, login="mallory")
    with pytest.raises(VerificationError):
        proof.prove(victim.database, 17, victim.keys[0])
    victim.delete(records.c.seq == 19)
    with pytest.raises(VerificationError) as error:
        proof.prove(victim.database, 18, victim.keys[0])
    assert error.value.seq == 19

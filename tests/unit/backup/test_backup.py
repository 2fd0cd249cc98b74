"""What a backup has in it, when it is refused, and what is left behind."""

from __future__ import annotations

import fcntl
import json
import shutil
import sqlite3
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.unit.backup.conftest import KEY, Folder
from vlpro.audit.tables import records
from vlpro.backup import make as module
from vlpro.backup import snapshot as snapshot_module
from vlpro.backup import state
from vlpro.backup.restore import check, restore
from vlpro.crypto import Cipher, Sealer
from vlpro.errors import AuditError, BackupError, ConflictError


def test_it_holds_what_is_stored_and_no_key(folder: Folder, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    target.mkdir()
    done: list[tuple[int, int]] = []
    made = folder.make(target, progress=lambda *at: done.append(at))
    assert list(target.iterdir()) == [made.path]
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert made.path.stat().st_size == made.size
    names = [member.name for member in made.manifest.members]
    assert names == ["vlpro.db", "audit.db", "audit-ship.json", "notes/说明.txt"]
    assert made.manifest.audit.sequence == 27
    assert done[-1][0] == done[-1][1]
    data = made.path.read_bytes()
    assert b"SQLite" not in data
    assert (folder.path / "key").read_bytes() not in data
    assert sorted(path.name for path in folder.path.iterdir() if path.name.startswith("backup")) == [
        "backup-state.json",
        "backup.lock",
    ]
    said = json.loads((folder.path / state.STATE).read_text())
    assert (said["file"], said["audit_sequence"]) == (str(made.path), 27)
    ((event, outcome, detail),) = folder.events()
    assert (event, outcome) == ("backup:archive:created", "ok")
    assert detail == {"sha256": made.sha256, "bytes": made.size, "sequence": 27}


def test_with_sm4(folder: Folder, tmp_path: Path) -> None:
    log = folder.log()
    log.start()
    sealer = Sealer(KEY, Cipher.SM4_GCM)
    made = module.make(folder.stores, sealer, log, tmp_path / "one.vlbackup")
    log.stop()
    assert made.path.read_bytes()[18] == Cipher.SM4_GCM
    assert check(made.path, sealer).audit is not None


def test_the_audit_is_never_behind_what_the_data_shows(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deed is recorded, then done: before the copying, and between each two pages of it."""
    copied, number = snapshot_module._copied, 1

    def meanwhile(source: Any, path: Path, before: int, total: int, progress: Any) -> int:
        def told(done: int, size: int) -> None:
            nonlocal number
            if number < 12:
                number += 1
                folder.write(number)
            progress(done, size)

        return copied(source, path, before, total, told)

    monkeypatch.setattr(snapshot_module, "_PAGES", 8)
    monkeypatch.setattr(snapshot_module, "_copied", meanwhile)
    made = folder.make(tmp_path / "one.vlbackup")
    assert number == 12
    restore(made.path, Sealer(KEY), tmp_path / "into")
    with sqlite3.connect(tmp_path / "into" / "vlpro.db") as data:
        assert data.execute("SELECT tries FROM failures").fetchall() == [(1,)], (
            "as it was when the copying began"
        )
    assert made.manifest.audit.sequence == 27
    # What is done while the points are taken, between the two of them, is told by the audit only.
    reading = snapshot_module._reading

    @contextmanager
    def late(path: Path) -> Iterator[sqlite3.Connection]:
        if path.name == "audit.db":
            folder.write(20)
        with reading(path) as connection:
            yield connection

    monkeypatch.setattr(snapshot_module, "_copied", copied)
    monkeypatch.setattr(snapshot_module, "_reading", late)
    made = folder.make(tmp_path / "two.vlbackup")
    restore(made.path, Sealer(KEY), tmp_path / "again")
    with sqlite3.connect(tmp_path / "again" / "vlpro.db") as data:
        assert data.execute("SELECT max(tries) FROM failures").fetchone() == (12,)
    assert made.manifest.audit.sequence == 27 + 11 + 1 + 1  # with the record of the first backup


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda f, t: t.touch(), "exists"),
        (lambda f, t: shutil.rmtree(t.parent), "There is no folder"),
        (lambda f, t: (f.path / "vlpro.db").unlink(), "nothing is stored yet"),
    ],
)
def test_what_is_refused(
    folder: Folder, tmp_path: Path, prepare: Callable[[Folder, Path], object], words: str
) -> None:
    (tmp_path / "b").mkdir()
    target = tmp_path / "b" / "one.vlbackup"
    prepare(folder, target)
    with pytest.raises(BackupError, match=words):
        folder.make(target)
    assert not (folder.path / "backup.part").exists()
    ((event, outcome, detail),) = folder.events()
    assert (event, outcome, detail["error"]) == ("backup:archive:created", "failed", "backup_error")


def test_not_into_the_data_folder(folder: Folder) -> None:
    with pytest.raises(BackupError, match="lies in the data folder"):
        folder.make(folder.path / "notes")


def test_too_little_room_is_seen_before(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 70_000_000))
    with pytest.raises(BackupError, match=r"too little room.*70,000,000 are free"):
        folder.make(tmp_path / "one.vlbackup")
    assert not list(tmp_path.glob("one*"))


def test_one_at_a_time(folder: Folder, tmp_path: Path) -> None:
    with state.alone(folder.path), pytest.raises(ConflictError, match="Another backup"):
        folder.make(tmp_path / "one.vlbackup")


def test_what_cannot_be_recorded_is_not_made(folder: Folder, tmp_path: Path) -> None:
    log = folder.log()  # not started: it writes nothing
    with pytest.raises(AuditError):
        module.make(folder.stores, Sealer(KEY), log, tmp_path / "one.vlbackup")
    assert not list(tmp_path.glob("one*"))


def test_a_killed_run_leaves_nothing_that_lasts(folder: Folder, tmp_path: Path) -> None:
    (folder.path / "backup.part").mkdir()
    (folder.path / "backup.part" / "vlpro.db").write_text("of a run that was killed")
    made = folder.make(tmp_path / "one.vlbackup")
    assert all(not member.name.startswith("backup") for member in made.manifest.members)
    assert not (folder.path / "backup.part").exists()


def test_what_a_killed_run_left_at_the_target_is_cleared_away(folder: Folder, tmp_path: Path) -> None:
    """A night's backup that is killed again and again would fill the disk; one that is being written stays."""
    target = tmp_path / "backups"
    target.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vlpro.backup.make.SealedWriter.finish", interrupt)
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # as a kill does
        with pytest.raises(KeyboardInterrupt):
            folder.make(target, clock=lambda: 1_800_000_000.0)
    (left,) = target.iterdir()
    assert left.name.endswith(".vlbackup.part")
    others = {"vlpro-20261127T020000Z.vlbackup.part", "mine.part", "vlpro-mine.vlbackup.part"}
    for name in others:
        (target / name).touch()
    with (target / "vlpro-20261127T020000Z.vlbackup.part").open("ab") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        made = folder.make(target)
    assert {path.name for path in target.iterdir()} == {made.path.name, *others}


def interrupt(_: Any) -> None:
    raise KeyboardInterrupt


def test_a_file_that_changes_meanwhile_is_told(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = module._sources

    def then_changed(*arguments: Any) -> Any:
        found = sources(*arguments)
        (folder.path / "notes" / "说明.txt").write_bytes(b"y" * 3_000_000)
        return found

    monkeypatch.setattr(module, "_sources", then_changed)
    with pytest.raises(BackupError, match="changed while it was read"):
        folder.make(tmp_path / "one.vlbackup")
    assert not list(tmp_path.glob("one*"))


def test_a_damaged_audit_is_not_backed_up_as_if_it_were_whole(folder: Folder, tmp_path: Path) -> None:
    folder.victim.fill(3, sign=False)
    folder.victim.delete(records.c.seq == folder.victim.last() - 1)
    with pytest.raises(BackupError, match=r"is damaged.*vlpro audit verify"):
        folder.make(tmp_path / "one.vlbackup")


def test_some_stay_and_the_verified_one_always(folder: Folder, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    target.mkdir()
    (target / "vlpro-mine.vlbackup").touch()  # not one of ours
    day = 86_400.0
    first = folder.make(target, clock=lambda: day)
    state.remember(folder.path, verified={"at": 0, "file": str(first.path)})
    for number in range(2, 5):
        folder.make(target, clock=lambda: number * day)  # noqa: B023 - called at once
    last = folder.make(target, keep=2, clock=lambda: 5 * day)
    stay = sorted(path.name for path in target.iterdir())
    assert stay == [
        "vlpro-19700102T000000Z.vlbackup",
        "vlpro-19700105T000000Z.vlbackup",
        "vlpro-19700106T000000Z.vlbackup",
        "vlpro-mine.vlbackup",
    ]
    assert [path.name for path in last.removed] == [
        "vlpro-19700103T000000Z.vlbackup",
        "vlpro-19700104T000000Z.vlbackup",
    ]


def test_databases_of_an_older_version_are_left_to_it(folder: Folder, tmp_path: Path) -> None:
    with sqlite3.connect(folder.path / "vlpro.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0003'")
    with pytest.raises(BackupError, match=r"of another version \(0003"):
        folder.make(tmp_path / "one.vlbackup")

"""A backup put back: what is refused, what is verified, and what goes on."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.people import World
from tests.unit.audit.victim import Victim
from tests.unit.backup.conftest import KEY, Edit, Folder, events_of, listed
from vlpro.audit.archive import archive
from vlpro.audit.record import Actor
from vlpro.backup import restore as module
from vlpro.backup.manifest import check_names
from vlpro.backup.restore import check, restore
from vlpro.config import Settings
from vlpro.crypto import Keys, Sealer
from vlpro.db import sqlite_url
from vlpro.errors import BackupError, ConfigError, UnauthenticatedError
from vlpro.gateway.profile import database_of, recorder_of
from vlpro.identity.permissions import Role

SEALER = Sealer(KEY)
Forge = Callable[[Path, Edit], Path]


def test_everything_is_there_and_the_chain_goes_on(backup: Path, tmp_path: Path) -> None:
    into = tmp_path / "new" / "data"
    done: list[tuple[int, int]] = []
    actor = Actor(login="root", role="machine")
    restored = restore(backup, SEALER, into, actor=actor, progress=lambda *at: done.append(at))
    assert done[-1][0] == done[-1][1] == restored.manifest.size
    assert restored.audit is not None
    assert restored.audit.root is not None
    assert restored.audit.root.hex() == restored.manifest.audit.root
    names = sorted(path.name for path in into.iterdir())
    assert names == ["audit-ship.json", "audit.db", "notes", "vlpro.db"]
    assert into.stat().st_mode & 0o777 == 0o700
    assert (into / "vlpro.db").stat().st_mode & 0o777 == 0o600
    assert (into / "notes" / "说明.txt").read_bytes() == b"z" * 3_000_000
    with sqlite3.connect(into / "vlpro.db") as connection:
        assert connection.execute("SELECT tries FROM failures").fetchall() == [(1,)]
    new = Victim(sqlite_url(into, "audit"), key=KEY)
    new.fill(5)
    summary = new.verify()
    assert summary.last == 27 + 1 + 5
    ((event, outcome, detail),) = events_of(into)
    assert (event, outcome, detail["sequence"]) == ("backup:archive:restored", "ok", 27)
    assert new.row(28)["login"] == "root"


def test_the_audit_goes_where_its_setting_says(backup: Path, tmp_path: Path) -> None:
    into, apart = tmp_path / "data", tmp_path / "apart" / "record.db"
    restored = restore(backup, SEALER, into, audit_database_url=f"sqlite:///{apart}")
    assert restored.audit is not None
    assert sorted(path.name for path in into.iterdir()) == ["audit-ship.json", "notes", "vlpro.db"]
    assert apart.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(apart) as connection:
        assert connection.execute("SELECT count(*) FROM audit_records").fetchone() == (28,)

    with pytest.raises(BackupError, match="is there already"):
        restore(backup, SEALER, tmp_path / "again", audit_database_url=f"sqlite:///{apart}")
    assert not (tmp_path / "again").exists()


def test_the_copies_of_checkpoints_begin_anew(backup: Path, tmp_path: Path) -> None:
    into, copy = tmp_path / "data", tmp_path / "checkpoints.jsonl"
    copy.write_text("of the record as it was\n")
    with pytest.raises(BackupError, match="Keep it under another name") as error:
        restore(backup, SEALER, into, copy=copy)
    assert error.value.param == "audit_copy"
    assert not into.exists()
    assert copy.read_text() == "of the record as it was\n"

    copy.rename(tmp_path / "before.jsonl")
    restore(backup, SEALER, into, copy=copy)
    (line,) = copy.read_text().splitlines()
    assert json.loads(json.loads(line)["checkpoint"])["size"] == 28


def test_a_copy_that_cannot_be_written_is_told_first(backup: Path, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"cannot be written to .*: No such file or directory") as error:
        restore(backup, SEALER, tmp_path / "data", copy=tmp_path / "none" / "checkpoints.jsonl")
    assert error.value.param == "audit_copy"
    assert not (tmp_path / "data").exists()


def test_a_place_on_another_file_system(backup: Path, tmp_path: Path) -> None:
    other = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
    if other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("this machine mounts no file system beside that of the tests")
    with tempfile.TemporaryDirectory(dir=other) as folder:
        apart = Path(folder) / "audit.db"
        restore(backup, SEALER, tmp_path / "data", audit_database_url=f"sqlite:///{apart}")
        assert [path.name for path in Path(folder).iterdir()] == ["audit.db"]
        with sqlite3.connect(apart) as connection:
            assert connection.execute("SELECT count(*) FROM audit_records").fetchone() == (28,)


def test_the_key_may_be_there_already_and_nothing_else(backup: Path, tmp_path: Path) -> None:
    into = tmp_path / "data2"
    into.mkdir()
    (into / "key").write_text("the key of profile local")
    (into / "x").touch()
    with pytest.raises(BackupError, match="is not empty"):
        restore(backup, SEALER, into)
    (into / "x").unlink()
    into.chmod(0o755)
    restore(backup, SEALER, into)
    assert into.stat().st_mode & 0o777 == 0o700
    assert (into / "key").read_text() == "the key of profile local"


def test_after_a_restore_that_was_killed_nothing_begins_anew(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that lost its power meanwhile starts its service at boot: with no accounts, open to whoever comes."""
    into = tmp_path / "data"
    with monkeypatch.context() as patch:
        patch.setattr("vlpro.backup.restore._move", interrupted)
        patch.setattr("shutil.rmtree", lambda *_, **__: None)  # as a kill does
        with pytest.raises(KeyboardInterrupt):
            restore(backup, SEALER, into)
    assert [path.name for path in into.iterdir()] == ["restore.part"]
    with pytest.raises(BackupError, match="did not come to its end"):
        restore(backup, SEALER, into)
    settings = Settings(engine="fake", data_dir=into)
    for begins in (database_of, lambda given: recorder_of(given, SEALER)):
        with pytest.raises(ConfigError, match="did not come to its end"):
            begins(settings)
    assert [path.name for path in into.iterdir()] == ["restore.part"]
    shutil.rmtree(into / "restore.part")
    restore(backup, SEALER, into)


def test_half_of_it_in_its_place_is_no_data_folder(
    backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The audit's disk is full when the accounts are there already: a service would begin a record anew."""
    into, rename = tmp_path / "data", module._rename

    def full(entry: Path, target: Path) -> None:
        if entry.name == "audit.db":
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(entry, target)

    monkeypatch.setattr(module, "_rename", full)
    with pytest.raises(BackupError, match=r"No space left on device\. Put that right, remove everything"):
        restore(backup, SEALER, into)
    with pytest.raises(ConfigError, match="did not come to its end"):
        recorder_of(Settings(engine="fake", data_dir=into), SEALER)
    with pytest.raises(BackupError, match="did not come to its end"):
        restore(backup, SEALER, into)


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", ["file", "link", "link to nothing"])
def test_what_is_no_folder(backup: Path, tmp_path: Path, kind: str) -> None:
    into, other = tmp_path / "into", tmp_path / "other"
    if kind == "file":
        into.touch()
    else:
        into.symlink_to(other)
        if kind == "link":
            other.mkdir()
    with pytest.raises(BackupError, match="is no folder"):
        restore(backup, SEALER, into)


def test_a_check_leaves_nothing_behind(backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    found = check(backup, SEALER)
    assert found.audit is not None
    assert found.audit.last == 27
    assert list(scratch.iterdir()) == []


def refused(path: Path, tmp_path: Path, words: str, sealer: Sealer = SEALER) -> None:
    """By both ways; and nothing is left behind."""
    with pytest.raises(BackupError, match=words):
        check(path, sealer)
    into = tmp_path / "refused"
    with pytest.raises(BackupError, match=words):
        restore(path, sealer, into)
    assert not into.exists() or list(into.iterdir()) == []
    shutil.rmtree(into, ignore_errors=True)


def test_a_file_that_was_touched_or_another_key(backup: Path, tmp_path: Path) -> None:
    data, bad = backup.read_bytes(), tmp_path / "bad.vlbackup"
    refused(backup, tmp_path, "which is not in this key file", Sealer(b"o" * 32))
    refused(tmp_path / "missing", tmp_path, "cannot be read: No such file")
    for altered, words in (
        (data[: len(data) // 2], "was cut"),
        (data[:-1], "was cut"),
        (data[:-5] + bytes([data[-5] ^ 1]) + data[-4:], "Part .* altered"),
        (
            data[: len(data) // 3] + bytes([data[len(data) // 3] ^ 1]) + data[len(data) // 3 + 1 :],
            "Part .* altered",
        ),
        (b"x" + data[1:], "is no backup"),
    ):
        bad.write_bytes(altered)
        refused(bad, tmp_path, words)


def test_the_signing_key_must_be_that_of_the_record(backup: Path, tmp_path: Path) -> None:
    """A key file that opens the backup but signs otherwise: somebody made it to pass a forged record off."""
    other = Sealer(Keys([(KEY, 0.0)], sign=b"s" * 32))
    refused(backup, tmp_path, "audit record in the backup is not what was written", other)


NAMES = (
    *(
        "../evil",
        "/etc/cron.d/evil",
        "notes/../../evil",
        "notes//x",
        "./x",
        "a/.ssh/authorized_keys",
        ".profile",
    ),
    *("a\\..\\b", "new\nline", "", "notes/", "vlpro.db", "key", "restore.part", "x" * 2000),
)


@pytest.mark.parametrize("name", NAMES)
def test_names_that_may_not_be_written(name: str) -> None:
    with pytest.raises(BackupError, match="names a file that may not be written"):
        check_names(["vlpro.db", "audit.db", name])


def test_names_that_lead_elsewhere(backup: Path, forged: Forge, tmp_path: Path) -> None:
    for name in ("../evil", str(tmp_path / "evil")):

        def edit(said: dict[str, Any], contents: dict[str, bytes], name: str = name) -> None:
            said["members"][2]["name"] = name

        refused(forged(backup, edit), tmp_path, "names a file that may not be written")
        assert not list(tmp_path.rglob("evil"))


def test_a_name_that_is_a_file_and_a_folder(backup: Path, forged: Forge, tmp_path: Path) -> None:
    def edit(said: dict[str, Any], contents: dict[str, bytes]) -> None:
        contents |= {"a": b"1", "a/b": b"2"}
        listed(said, contents)

    refused(forged(backup, edit), tmp_path, "names a file that may not")


def test_the_list_must_fit_the_files(backup: Path, forged: Forge, tmp_path: Path) -> None:
    def other_hash(said: dict[str, Any], _: dict[str, bytes]) -> None:
        said["members"][0]["sha256"] = "0" * 64

    def longer(said: dict[str, Any], _: dict[str, bytes]) -> None:
        said["members"][-1]["size"] += 1

    def shorter(said: dict[str, Any], contents: dict[str, bytes]) -> None:
        listed(said, contents)
        contents["more"] = b"x"

    def huge(said: dict[str, Any], _: dict[str, bytes]) -> None:
        said["members"][-1]["size"] = 2**48

    def nonsense(said: dict[str, Any], _: dict[str, bytes]) -> None:
        said["members"] = "all"

    for edit, words in (
        (other_hash, "is not what the backup's list of contents says"),
        (longer, "is not what the backup's list of contents says"),
        (shorter, "holds more than its list"),
        (huge, "too little room"),
        (nonsense, "list of contents cannot be read"),
    ):
        refused(forged(backup, edit), tmp_path, words)


def test_an_audit_that_was_rewritten_behind_the_backup(
    folder: Folder, backup: Path, forged: Forge, tmp_path: Path
) -> None:
    """The files fit their hashes, and still the record is not the one that was signed, or that was listed."""
    folder.victim.edit(12, fix=True, object="msg_other")
    folder.victim.rehash(13)
    folder.victim.database.close()  # so that all is in the file
    rewritten = (folder.path / "audit.db").read_bytes()

    def put(said: dict[str, Any], contents: dict[str, bytes]) -> None:
        contents["audit.db"] = rewritten
        listed(said, contents)

    refused(forged(backup, put), tmp_path, "is not what was written.*record")

    def say(said: dict[str, Any], _: dict[str, bytes]) -> None:
        said["audit"]["root"] = hashlib.sha256(b"another").hexdigest()

    refused(forged(backup, say), tmp_path, "another one than its list of contents says")


def test_an_older_audit_under_a_newer_list(folder: Folder, tmp_path: Path, forged: Forge) -> None:
    """Its signatures are right, but it is not all: what was recorded last would be gone."""
    older = folder.make(tmp_path / "older.vlbackup").path
    folder.victim.fill(15)
    newer = folder.make(tmp_path / "newer.vlbackup").path
    kept: dict[str, bytes] = {}
    forged(older, lambda _, contents: kept.update(contents))

    def put(said: dict[str, Any], contents: dict[str, bytes]) -> None:
        contents["audit.db"] = kept["audit.db"]
        listed(said, contents)

    refused(forged(newer, put), tmp_path, "another one than its list of contents says: 27 records")


@pytest.mark.parametrize(
    "edit",
    [
        lambda said, _: said.update(format=2),
        lambda said, _: said.update(schema=["9999", said["schema"][1]]),
        lambda said, _: said.update(schema=[said["schema"][0], "9999"]),
    ],
)
def test_a_newer_one_is_refused(backup: Path, forged: Forge, tmp_path: Path, edit: Edit) -> None:
    refused(forged(backup, edit), tmp_path, "made by a newer version")


def test_a_damaged_database_is_told(backup: Path, forged: Forge, tmp_path: Path) -> None:
    def edit(said: dict[str, Any], contents: dict[str, bytes]) -> None:
        data = bytearray(contents["vlpro.db"])
        data[4096:8192] = b"\xee" * 4096
        contents["vlpro.db"] = bytes(data)
        listed(said, contents)

    refused(forged(backup, edit), tmp_path, "damaged already when it was copied")


def test_sessions_of_the_backup_are_ended(folder: Folder, tmp_path: Path) -> None:
    world = World(sqlite_url(folder.path), key=KEY)
    admins = world.found()
    person = world.person("liwei", Role.USER, by=admins)
    token = world.sign_in(person)
    assert world.identity.authentication.who(token, "127.0.0.1").login == "liwei"
    made = folder.make(tmp_path / "two.vlbackup")
    world.close()
    into = tmp_path / "into"
    assert restore(made.path, SEALER, into).sessions > 0
    again = World(sqlite_url(into), key=KEY, clock=world.clock)
    with pytest.raises(UnauthenticatedError):
        again.identity.authentication.who(token, "127.0.0.1")
    assert again.account(person).login == "liwei"
    again.sign_in(person)
    again.close()


def test_archives_of_the_audit_come_along(folder: Folder, tmp_path: Path) -> None:
    folder.victim.clock.pass_(days=400)
    log = folder.log()
    log.start()
    archive(log, folder.path / "archives", now=folder.victim.clock)
    log.stop()
    made = folder.make(tmp_path / "two.vlbackup")
    assert any(member.name.startswith("archives/audit-") for member in made.manifest.members)
    found = check(made.path, SEALER).audit
    assert found is not None
    assert (found.first, found.archived, found.last) == (1, 0, made.manifest.audit.sequence)
    assert json.dumps(made.manifest.audit.root)

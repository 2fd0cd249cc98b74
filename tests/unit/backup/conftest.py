"""A data folder with what a service stores, backed up."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.unit.audit.victim import Victim
from vlpro.audit.log import AuditLog
from vlpro.backup.make import Made, make
from vlpro.backup.stores import Stores
from vlpro.backup.stream import SealedReader, SealedWriter
from vlpro.crypto import Sealer
from vlpro.db import Database, sqlite_url
from vlpro.identity.tables import failures

KEY = b"k" * 32


@dataclass
class Folder:
    """A data folder and its audit.

    Args:
        path: The folder.
        victim: Fills, and tampers with, the audit.
    """

    path: Path
    victim: Victim

    @property
    def stores(self) -> Stores:
        return Stores.of(self.path)

    def log(self) -> AuditLog:
        return self.victim.open()

    def make(self, target: Path, **options: Any) -> Made:
        """Back it up, as the command does."""
        log = self.log()
        log.start()
        try:
            return make(self.stores, Sealer(KEY), log, target, **options)
        finally:
            log.stop()

    def write(self, number: int) -> None:
        """A row of the service's database, whose deed is on the record before."""
        self.victim.fill(1)
        database = Database(sqlite_url(self.path))
        with database.write() as connection:
            connection.execute(
                sa.insert(failures).values(subject=bytes([number]) * 32, tries=number, last_at=0.0)
            )
        database.close()

    def events(self) -> list[tuple[str, str, dict[str, Any]]]:
        """What the record says of backups: event, outcome, detail."""
        return events_of(self.path)


def events_of(folder: Path) -> list[tuple[str, str, dict[str, Any]]]:
    database = Database(sqlite_url(folder, "audit"))
    with database.read() as connection:
        rows = connection.execute(
            sa.text("SELECT data FROM audit_records WHERE event LIKE 'backup:%' ORDER BY seq")
        ).scalars()
        said = [json.loads(row) for row in rows]
    database.close()
    return [(each["event"], each["outcome"], each["detail"]) for each in said]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data folder and a backup of it; not to be touched."""
    place = tmp_path_factory.mktemp("backups")
    data = place / "data"
    (data / "archives").mkdir(parents=True)
    database = Database(sqlite_url(data))
    database.migrate()
    database.close()
    made = Folder(data, Victim(sqlite_url(data, "audit"), key=KEY))
    made.victim.fill(25)
    made.write(1)
    (data / "key").write_text("ab" * 32)
    (data / "audit-ship.json").write_text("{}")
    (data / "notes").mkdir()
    (data / "notes" / "说明.txt").write_bytes(b"z" * 3_000_000)
    (data / ".cache").mkdir()
    (data / ".cache" / "secret").write_text("secret")
    (data / "link").symlink_to("/etc/passwd")
    (data / "tmp").mkdir()
    (data / "tmp" / "scratch").write_text("scratch")
    made.victim.database.close()
    copy = place / "copy"
    shutil.copytree(data, copy, symlinks=True)
    before = Folder(copy, Victim(sqlite_url(copy, "audit"), key=KEY))
    backup = before.make(place / "one.vlbackup").path
    before.victim.database.close()
    return data, backup


@pytest.fixture
def folder(made_once: tuple[Path, Path], tmp_path: Path) -> Iterator[Folder]:
    """A data folder of the test's own."""
    data = tmp_path / "data"
    shutil.copytree(made_once[0], data, symlinks=True)
    victim = Victim(sqlite_url(data, "audit"), key=KEY)
    yield Folder(data, victim)
    victim.database.close()


@pytest.fixture
def backup(made_once: tuple[Path, Path]) -> Path:
    """A backup; not to be touched."""
    return made_once[1]


Edit = Callable[[dict[str, Any], dict[str, bytes]], None]


@pytest.fixture
def forged(tmp_path: Path) -> Callable[[Path, Edit], Path]:
    """Makes a backup of another, as who has its key could: with an altered list of contents, or altered files."""

    def forge(path: Path, edit: Edit) -> Path:
        with path.open("rb") as file:
            reader = SealedReader(file, Sealer(KEY))
            (size,) = struct.unpack(">I", reader.exactly(4))
            said = json.loads(reader.exactly(size))
            contents = {each["name"]: reader.exactly(each["size"]) for each in said["members"]}
        edit(said, contents)
        out = io.BytesIO()
        writer = SealedWriter(out, Sealer(KEY))
        head = json.dumps(said).encode()
        writer.write(struct.pack(">I", len(head)) + head)
        for content in contents.values():
            writer.write(content)
        writer.finish()
        made = tmp_path / "forged.vlbackup"
        made.write_bytes(out.getvalue())
        return made

    return forge


def listed(said: dict[str, Any], contents: dict[str, bytes]) -> None:
    """Make the list of contents fit the files."""
    said["members"] = [
        {"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    ]

"""PostgreSQL: dumped and restored as a whole; and brought back to a point in time by its archived log."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from tests.postgresql import BINARIES, Cluster, cluster
from tests.unit.audit.victim import Victim
from vlpro.backup.make import make
from vlpro.backup.restore import check, restore
from vlpro.backup.stores import Stores
from vlpro.crypto import Sealer
from vlpro.db import Database
from vlpro.errors import BackupError
from vlpro.identity.tables import failures

SCRIPTS = Path(__file__).parents[2] / "deploy" / "postgresql"
SEALER = Sealer(b"k" * 32)


def filled(url: str, audit_url: str = "") -> Victim:
    database = Database(url)
    database.migrate()
    with database.write() as connection:
        connection.execute(sa.insert(failures).values(subject=b"s" * 32, tries=7, last_at=0.0))
    database.close()
    victim = Victim(audit_url or url, key=b"k" * 32)
    victim.fill(25)
    return victim


@pytest.mark.parametrize("own", [False, True], ids=["one database", "the audit has its own"])
def test_a_dump_is_of_one_moment_and_restored_as_a_whole(
    postgresql: Cluster,
    tmp_path: Path,
    own: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    url, audit_url = postgresql.new(), postgresql.new() if own else ""
    data = tmp_path / "data"
    data.mkdir()
    victim = filled(url, audit_url)
    log = victim.open()
    log.start()
    made = make(Stores.of(data, url, audit_url), SEALER, log, tmp_path / "one.vlbackup")
    log.stop()
    victim.fill(3)
    dumps = [member.name for member in made.manifest.members]
    assert dumps == (["database.dump", "audit.dump"] if own else ["database.dump"])
    assert made.manifest.audit.sequence == 26
    assert check(made.path, SEALER).audit is None
    with pytest.raises(BackupError, match="name the new, empty database"):
        restore(made.path, SEALER, tmp_path / "new")
    with pytest.raises(BackupError, match="database is not empty"):
        restore(made.path, SEALER, tmp_path / "new", database_url=url, audit_database_url=audit_url)
    into, audit_into = postgresql.new(), postgresql.new() if own else ""
    with pytest.raises(BackupError, match="VLPRO_AUDIT_DATABASE_URL"):
        restore(
            made.path,
            SEALER,
            tmp_path / "new",
            database_url=into,
            audit_database_url="" if own else postgresql.new(),
        )
    restored = restore(made.path, SEALER, tmp_path / "new", database_url=into, audit_database_url=audit_into)
    assert restored.audit is not None
    assert restored.audit.last == 26
    assert list((tmp_path / "new").iterdir()) == []
    database = Database(into)
    with database.read() as connection:
        assert connection.execute(sa.select(failures.c.tries)).scalar_one() == 7
    database.close()
    again = Victim(audit_into or into, key=b"k" * 32)
    again.fill(4)
    assert again.verify().last == 26 + 1 + 4
    again.database.close()
    victim.database.close()


def test_a_backup_of_sqlite_does_not_go_into_postgresql(postgresql: Cluster, tmp_path: Path) -> None:
    mixed = Stores.of(tmp_path, "", postgresql.new())
    with pytest.raises(BackupError, match="both databases of one kind"):
        assert mixed.sqlite


def test_a_password_is_not_among_the_arguments(
    postgresql: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other users of the machine see a program's arguments."""
    told = '#!/bin/sh\necho "$@" > "$0.arguments"\necho "$PGPASSWORD" > "$0.password"\n'
    (tmp_path / "pg_restore").write_text(told)
    (tmp_path / "pg_restore").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    from vlpro.backup import postgresql as module  # noqa: PLC0415 - its name is the fixture's

    module.restore("postgresql://u:p%40ss@/x?host=/run/postgresql", tmp_path / "dump")
    arguments = (tmp_path / "pg_restore.arguments").read_text()
    assert "p%40ss" not in arguments
    assert "p@ss" not in arguments
    assert "--dbname=postgresql://u@/x?host=" in arguments
    assert (tmp_path / "pg_restore.password").read_text() == "p@ss\n"


def as_server(*command: str) -> subprocess.CompletedProcess[str]:
    user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
    done = subprocess.run(
        [*user, *command], capture_output=True, text=True, check=False, cwd="/", timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_point_in_time_between_two_writes(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The scripts of deploy/postgresql: archived log, base backup, and recovery to before a mistake."""
    if BINARIES is None:
        pytest.skip("PostgreSQL is not installed")
    with cluster() as server:
        home = server._folder
        as_server("mkdir", f"{home}/wal", f"{home}/base")
        for script in SCRIPTS.glob("*.sh"):  # where the server's own user can read them
            shutil.copy(script, home)
        url = server.new()
        dsn = f"host={home} dbname=postgres user=postgres"
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET archive_mode = on")
            connection.execute(
                f"ALTER SYSTEM SET archive_command = 'sh {home}/archive-wal.sh %p %f {home}/wal'"
            )
        server.stop()
        server.start()
        victim = filled(url)
        base = as_server("sh", f"{home}/base-backup.sh", f"{home}/base", f"--host={home}").stdout.split()[-1]
        victim.fill(5)
        before = victim.last()
        time.sleep(0.05)  # between the two writes, there is a time that is neither's
        with psycopg.connect(dsn, autocommit=True) as connection:
            (moment,) = connection.execute("SELECT clock_timestamp()::text").fetchone() or ("",)
        time.sleep(0.05)
        victim.fill(5)  # what shall not have been
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("SELECT pg_switch_wal()")
        victim.database.close()
        server._do("--mode=fast", "stop")  # it archives what is left
        as_server("sh", f"{home}/recover.sh", base, f"{home}/wal", f"{home}/new", moment)
        recovered = Cluster(
            home, [f"{home}/new" if part == f"{home}/data" else part for part in server._control]
        )
        recovered.start()
        try:
            again = Victim(url, key=b"k" * 32)
            assert again.verify().last == before
            again.fill(3)  # it was promoted: the chain goes on
            assert again.verify().last == before + 3
            again.database.close()
        finally:
            recovered.stop()
            server.start()

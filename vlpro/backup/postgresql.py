"""Dumps of PostgreSQL by its own programs, of one moment that another connection holds."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from vlpro.audit.place import LOCK
from vlpro.db import Database
from vlpro.errors import BackupError

__all__ = ["check_dump", "check_empty", "dump", "moment", "restore"]


@contextmanager
def moment(url: str) -> Iterator[tuple[sa.Connection, str]]:
    """A connection that sees one moment, and the name by which another may see the same.

    Raises:
        DatabaseError: The database does not answer.
    """
    database = Database(url, lock=LOCK)
    try:
        with database.read() as connection:
            held = connection.execution_options(isolation_level="REPEATABLE READ")
            with held.begin():
                # Held for as long as a dump takes: the limits are for questions of the service.
                held.exec_driver_sql("SET LOCAL statement_timeout = 0")
                name = held.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
                yield held, str(name)
    finally:
        database.close()


def dump(url: str, name: str, path: Path) -> None:
    """Dump a database.

    Args:
        url: Of the database.
        name: Of a moment, as of :func:`moment`.
        path: A new file: pg_dump's own format.

    Raises:
        BackupError: The program is missing, or failed; tells what it said.
    """
    _run(
        "pg_dump",
        url,
        [
            *("--format=custom", "--compress=1", "--no-owner", "--no-privileges"),
            *(f"--snapshot={name}", f"--file={path}"),
        ],
    )


def check_dump(path: Path) -> None:
    """See that a dump can be read. Raises: BackupError."""
    _run("pg_restore", "", ["--list", str(path)])


def check_empty(url: str) -> None:
    """See that a database has no tables.

    Raises:
        BackupError: It has.
        DatabaseError: It does not answer.
    """
    database = Database(url)
    try:
        with database.read() as connection:
            tables = sa.inspect(connection).get_table_names()
    finally:
        database.close()
    if tables:
        raise BackupError(
            "The database is not empty. A backup is restored into an empty one only: createdb.",
            zh="数据库不为空。备份只能恢复到空数据库：createdb。",
            param="database_url",
        )


def restore(url: str, path: Path) -> None:
    """Fill an empty database from a dump: as a whole, or not at all.

    Raises:
        BackupError: The program is missing, or failed; tells what it said.
    """
    _run(
        "pg_restore",
        url,
        ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", str(path)],
    )


def _run(program: str, url: str, arguments: Sequence[str]) -> None:
    found = shutil.which(program)
    if found is None:
        raise BackupError(
            f"{program} is not installed: apt-get install postgresql-client, of the server's version or a newer one.",
            zh=f"未安装 {program}：apt-get install postgresql-client（版本不低于服务器）。",
        )
    environment, where = {**os.environ, "LC_ALL": "C"}, []
    if url:
        parsed = sa.make_url(url)
        if parsed.password is not None:  # other users see a program's arguments, but not its environment
            environment["PGPASSWORD"] = str(parsed.password)
        # URL.set(password=None) would leave the password as it is.
        plain = parsed._replace(drivername="postgresql", password=None).render_as_string(hide_password=False)
        where = [f"--dbname={plain}"]
    done = subprocess.run(  # noqa: S603 - a program of PostgreSQL's
        [found, *where, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = " ".join(done.stderr.split())[:400]
        raise BackupError(f"{program} failed: {said}", zh=f"{program} 失败：{said}")

"""Backup, verification and restore of a folder: seconds, MB/s, memory; beside cp and sha256sum in the same run.

    python bench/backup.py --pages-mb 1024 --records 1000000

The database holds random bytes, as sealed content is; the audit holds records of questions.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import sqlalchemy as sa

from vlpro.audit.events import Event
from vlpro.audit.log import AuditLog, last_record
from vlpro.audit.record import Actor, Entry, make
from vlpro.audit.service import open_log
from vlpro.audit.tables import records
from vlpro.backup import make as making
from vlpro.backup.restore import check, restore
from vlpro.backup.stores import Stores
from vlpro.crypto import Cipher, Sealer
from vlpro.db import Database, sqlite_url

KEY = b"k" * 32


def fill(data: Path, megabytes: int, count: int) -> None:
    database = Database(sqlite_url(data))
    database.migrate()
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE bench_pages (id INTEGER PRIMARY KEY, data BLOB)")
        for _ in range(megabytes):
            connection.exec_driver_sql(
                "INSERT INTO bench_pages (data) VALUES (?)", [(os.urandom(65_536),) for _ in range(16)]
            )
    database.close()
    audit = Database(sqlite_url(data, "audit"))
    log = open_log(audit, Sealer(KEY), every_records=10**9)
    actor = Actor("acc_1", "liwei", "user", "ses_1", "", "req_1", "10.0.0.7")
    done = 0
    while done < count:
        with audit.write(alone=True) as connection:
            seq, prev = last_record(connection)
            rows = []
            for _ in range(min(20_000, count - done)):
                entry = Entry(
                    Event.ASKED,
                    actor,
                    object=f"msg_{seq}",
                    detail={"sha256": os.urandom(32).hex(), "tokens": seq},
                )
                record = make(entry, seq=seq + 1, prev=prev, now=time.time())
                rows.append(AuditLog.row(record))
                seq, prev = record.seq, record.hash
            connection.execute(sa.insert(records), rows)
            done += len(rows)
    log.start()
    log.record(Entry(Event.ASKED, actor))
    log.stop()
    audit.close()


def _run(work: Callable[[], object], told: Connection) -> None:
    before = time.perf_counter()
    work()
    seconds = time.perf_counter() - before
    told.send((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds, and the most memory of a process of its own, MiB."""
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_run, args=(work, there))
    process.start()
    there.close()
    found: tuple[float, float] = here.recv()
    process.join()
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages-mb", type=int, default=1024)
    parser.add_argument("--records", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-backup", dir=os.environ.get("BENCH_DIR")) as made:
        home = Path(made)
        data = home / "data"
        data.mkdir()
        fill(data, options.pages_mb, options.records)
        size = sum(path.stat().st_size for path in data.glob("*.db"))
        print(
            f"{size / 1e6:,.0f} MB in both databases; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        )
        print("| what | s | MB/s | memory, MiB | file, MB |\n|---|---|---|---|---|")

        def told(name: str, work: Callable[[], object], file: Path | None = None) -> None:
            seconds, memory = measured(work)
            length = f"{file.stat().st_size / 1e6:,.0f}" if file else ""
            print(
                f"| {name} | {seconds:.1f} | {size / 1e6 / seconds:.0f} | {memory:.0f} | {length} |",
                flush=True,
            )

        for name, cipher in (("AES-256-GCM", Cipher.AES_256_GCM), ("SM4-GCM", Cipher.SM4_GCM)):
            sealer, file = Sealer(KEY, cipher), home / f"{cipher.name}.vlbackup"

            def back_up(sealer: Sealer = sealer, file: Path = file) -> None:
                audit = Database(sqlite_url(data, "audit"))
                log = open_log(audit, sealer)
                log.start()
                making.make(Stores.of(data), sealer, log, file)
                log.stop()
                audit.close()

            told(f"vlpro backup, {name}", back_up, file)
        sealer, file = Sealer(KEY), home / "AES_256_GCM.vlbackup"
        told("vlpro restore --check", lambda: check(file, sealer))
        told("vlpro restore --into, without the self-test", lambda: restore(file, sealer, home / "new"))
        copy = home / "copy"
        told("cp of both files, and sync", lambda: (shutil.copytree(data, copy), os.sync()))
        sums = ["sha256sum", *map(str, copy.glob("*.db"))]
        told("sha256sum of the copies", lambda: subprocess.run(sums, check=True, capture_output=True))


if __name__ == "__main__":
    main()

"""Sealed values in a database: counted by key, and brought under the newest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from vlpro.audit.tables import metadata as audit_metadata
from vlpro.crypto import Cipher, Keys, Sealer
from vlpro.crypto.stored import Found, SealedColumn, count, reseal
from vlpro.db import Database
from vlpro.errors import VlproError
from vlpro.identity.tables import metadata
from vlpro.sealed_columns import AUDIT, MAIN

KEY, NEW = bytes(range(32)), bytes(range(32, 64))
OLD_VALUE = bytes.fromhex("011441641d49c3639f540ff0af366f909cb7452c7e7f6819f8ada0a331bc0810ae2f42")

table = sa.Table(
    "sealed_things",
    sa.MetaData(),
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("account", sa.String(16)),
    sa.Column("secret", sa.LargeBinary),
)
COLUMN = SealedColumn(
    table.c.secret, table.c.id, lambda row: f"totps.secret:{row.account}", (table.c.account,)
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    with made.write() as connection:
        table.create(connection)
    yield made
    made.close()


def put(database: Database, row: str, account: str, secret: bytes | None) -> None:
    with database.write() as connection:
        connection.execute(sa.insert(table).values(id=row, account=account, secret=secret))


def stored(database: Database) -> dict[str, bytes | None]:
    with database.read() as connection:
        return {row.id: row.secret for row in connection.execute(sa.select(table))}


def test_all_come_under_the_newest_key_and_cipher(database: Database) -> None:
    old = Sealer(KEY)
    put(database, "first", "usr_1", OLD_VALUE)
    put(database, "none", "usr_1", None)
    for n in range(250):
        put(database, f"r{n:03}", f"usr_{n}", old.seal(b"%d" % n, f"totps.secret:usr_{n}"))
    sealer = Sealer(old.keys.with_key(NEW, 1.0), Cipher.SM4_GCM)
    put(database, "new", "usr_9", sealer.seal(b"new", "totps.secret:usr_9"))
    old_id, new_id = (key.id for key in sealer.keys.sealing)
    aes, sm4 = Cipher.AES_256_GCM, Cipher.SM4_GCM
    assert count(database, COLUMN) == {Found(b"", aes): 1, Found(old_id, aes): 250, Found(new_id, sm4): 1}
    assert sum(reseal(database, COLUMN, sealer)) == 251
    assert count(database, COLUMN) == {Found(new_id, sm4): 252}
    assert list(reseal(database, COLUMN, sealer)) == []
    only_new = Sealer(sealer.keys.without(old_id))
    found = stored(database)
    assert found.pop("none") is None
    opened = {
        row: only_new.open(
            sealed or b"",
            "totps.secret:usr_" + {"first": "1", "new": "9"}.get(row, row[1:].lstrip("0") or "0"),
        )
        for row, sealed in found.items()
    }
    assert opened == {"first": b"secret", "new": b"new"} | {f"r{n:03}": b"%d" % n for n in range(250)}


def test_what_somebody_changes_meanwhile_stays(database: Database) -> None:
    sealer = Sealer(Keys([(KEY, 0.0), (NEW, 1.0)]))
    put(database, "a", "usr_1", Sealer(KEY).seal(b"before", "totps.secret:usr_1"))
    meanwhile = sealer.seal(b"after", "totps.secret:usr_1")

    def place(row: sa.Row[tuple[str, bytes, str]]) -> str:  # asked between reading and writing
        with database.write() as connection:
            connection.execute(sa.update(table).values(secret=meanwhile))
        return f"totps.secret:{row.account}"

    column = SealedColumn(table.c.secret, table.c.id, place, (table.c.account,))
    assert list(reseal(database, column, sealer)) == [0]
    assert stored(database) == {"a": meanwhile}


def test_a_value_that_does_not_open_is_named_and_stays(database: Database) -> None:
    sealer = Sealer(Keys([(KEY, 0.0), (NEW, 1.0)]))
    bad = bytearray(Sealer(KEY).seal(b"secret", "totps.secret:usr_1"))
    bad[-1] ^= 1
    put(database, "a", "usr_1", bytes(bad))
    with pytest.raises(VlproError, match=r"totps\.secret:usr_1"):
        list(reseal(database, COLUMN, sealer))
    assert stored(database) == {"a": bytes(bad)}


def test_every_column_of_bytes_is_known_here() -> None:
    """A new one is either sealed, and goes along with a rotation, or is named here as something else."""
    others = {  # hashes, public keys, signatures; and what a data key seals
        "audit_archives.data",
        "audit_archives.signature",
        "audit_archives.sm2",
        "audit_checkpoints.data",
        "audit_checkpoints.roots",
        "audit_checkpoints.signature",
        "audit_checkpoints.sm2",
        "audit_records.data",
        "audit_records.hash",
        "batch_lines.answer",
        "batch_lines.source",
        "batches.head",
        "conversations.head",
        "deliveries.once",
        "extraction_marks.mark",
        "extraction_pages.data",
        "extractions.data",
        "failures.subject",
        "file_parts.data",
        "files.head",
        "golden_templates.data",
        "golden_templates.picture",
        "inspections.data",
        "inspections.picture",
        "kept_pictures.data",
        "keys.token",
        "knowledge_bases.data",
        "knowledge_documents.data",
        "knowledge_documents.name",
        "knowledge_pages.content",
        "knowledge_pages.vectors",
        "knowledge_parts.data",
        "knowledge_pictures.data",
        "messages.data",
        "passkeys.credential",
        "passkeys.public_key",
        "recovery_codes.code",
        "report_pictures.data",
        "reports.data",
        "sessions.challenge",
        "sessions.token",
        "setups.secret",
        "sign_ins.challenge",
        "sign_ins.token",
    }
    found = {
        str(column)
        for tables in (metadata, audit_metadata)
        for each in tables.tables.values()
        for column in each.columns
        if isinstance(column.type, sa.LargeBinary)
    }
    sealed = {column.name for column in (*MAIN, *AUDIT)}
    assert found - others == sealed

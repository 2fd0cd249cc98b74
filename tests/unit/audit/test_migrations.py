from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from tests.unit.audit.victim import Victim
from vlpro.audit.service import MIGRATIONS
from vlpro.audit.tables import metadata
from vlpro.db import Database


def test_the_migrations_make_what_the_software_expects(database_url: str) -> None:
    database = Database(database_url)
    database.migrate(folder=MIGRATIONS)
    with database.read() as connection:
        options = {"compare_type": True, "compare_server_default": True, "version_table": "audit_version"}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    database.close()


def test_a_log_of_the_first_version_is_verified_and_goes_on(database_url: str) -> None:
    database = Database(database_url)
    database.migrate("0001", folder=MIGRATIONS)
    database.close()
    victim = Victim(database_url)
    victim.fill(12)
    assert victim.verify(copies=True).last == 13
    victim.database.close()

"""What Alembic runs: one migration, in the transaction that is given to it."""

from alembic import context

given = context.config.attributes
context.configure(
    connection=given["connection"], version_table=given["version_table"], transactional_ddl=True
)
context.run_migrations()

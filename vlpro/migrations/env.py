"""What Alembic runs: one migration, in the transaction that is given to it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()

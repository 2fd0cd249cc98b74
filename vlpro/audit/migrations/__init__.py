"""Changes of the audit's schema, in order (Alembic)."""

"""The audit: a record of everything that happens, which cannot be altered unseen."""

"""Watches the record while it grows, and tells people within a minute of what should not go on."""

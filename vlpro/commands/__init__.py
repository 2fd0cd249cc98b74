"""The command ``vlpro``: one module a noun, each of which imports what it needs only when its command runs."""

"""Runs a local engine in a process of its own: a crash, an out-of-memory or an unload never touches the gateway."""

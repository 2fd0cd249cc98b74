"""Results on their way to other systems: an outbox that survives a restart."""

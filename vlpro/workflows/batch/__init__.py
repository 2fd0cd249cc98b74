"""Many questions at once: files that are stored for them, batches of lines, and their results."""

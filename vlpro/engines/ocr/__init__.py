"""The embedded engine: reads text and codes, and answers from what it read. It needs no weights of its own."""

"""Key fields of bills by rules: each value with the text that proves it."""

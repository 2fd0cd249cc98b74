"""Pictures: bytes in, clean pixels in memory out."""

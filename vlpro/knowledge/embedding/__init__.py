"""Text, and pages as pictures, as vectors."""

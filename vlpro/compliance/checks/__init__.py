"""What is tried against each promise; a file has one subject."""

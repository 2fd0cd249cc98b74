"""Where the vectors of passages lie, and who finds the nearest of them."""

"""Many pictures and an instruction become one inspection report."""

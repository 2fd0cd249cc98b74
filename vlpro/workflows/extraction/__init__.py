"""Documents become typed, checked fields with the place that proves each."""

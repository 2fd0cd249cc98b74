"""Documents as pages and passages, found by sense and by exact codes, answered with page and place."""

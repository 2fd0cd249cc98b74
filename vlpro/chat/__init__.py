"""Questions and answers: what happens between a request that was understood and an engine that answers it."""

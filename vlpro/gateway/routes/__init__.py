"""Routes translate: they authorise, call one service, and map the result."""

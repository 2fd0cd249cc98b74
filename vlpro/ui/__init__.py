"""The page: a client of the API that imports the client, the schema and the errors only."""

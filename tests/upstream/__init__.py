"""A real OpenAI-compatible server with a small model that sees: llama.cpp, in an environment of its own."""

# Everything a developer does, by name. `make` alone lists it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help dev upstream lint format test bench pins

help:  ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/pytest: requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement requirements-dev.txt
	touch $@

dev: $(BIN)/pytest  ## Make the environment in .venv

.venv-upstream/bin/gguf-dump: requirements-upstream.txt
	$(PYTHON) -m venv .venv-upstream
	.venv-upstream/bin/pip install --quiet --requirement requirements-upstream.txt
	touch $@

upstream: .venv-upstream/bin/gguf-dump  ## Make .venv-upstream: a real OpenAI-compatible server for tests (llama.cpp)

lint: dev  ## Style, types and the arrows between packages
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: dev  ## Format the source
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

test: dev  ## All tests; Chromium and ../shared are used where they are there
	$(BIN)/pytest

bench: dev  ## All benchmarks that need no other software, one table each
	$(BIN)/python bench/imaging.py
	$(BIN)/python bench/ocr_speed.py
	$(BIN)/python bench/accuracy.py
	$(BIN)/python bench/gateway.py

pins: dev  ## Bring all pinned versions up to date, within pyproject.toml's bounds
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --no-annotate --generate-hashes \
		--custom-compile-command "make pins" pyproject.toml --output-file requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --no-annotate --generate-hashes \
		--custom-compile-command "make pins" --extra dev --constraint requirements.txt \
		pyproject.toml --output-file requirements-dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --no-annotate --generate-hashes \
		--custom-compile-command "make pins" --group upstream --output-file requirements-upstream.txt

# Everything a developer does, by name. `make` alone lists it.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OLD ?= .venv-oldest
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help dev qwen ldap oldest upstream lint format test bench pins

help:  ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(BIN)/pytest: requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement requirements-dev.txt
	touch $@

dev: $(BIN)/pytest  ## Make the environment in .venv

qwen: dev  ## Add what the engine transformers needs; torch may be there already, in a build for the machine's card
	$(BIN)/python -c "import torch" 2>/dev/null || $(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --requirement requirements-qwen.txt

ldap: dev  ## Add the LDAP client, which is compiled: Debian's libldap2-dev, libsasl2-dev, gcc and python3-dev
	$(BIN)/pip install --quiet --requirement requirements-ldap.txt

$(OLD)/bin/python: requirements-qwen.txt
	$(PYTHON) -m venv $(OLD)
	$(OLD)/bin/pip install --quiet --no-deps transformers==4.57.* tokenizers==0.22.* huggingface-hub==0.36.*
	echo "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" > \
		"$$($(OLD)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/others.pth"
	touch $@

oldest: qwen $(OLD)/bin/python  ## The engine transformers with the oldest transformers that it supports
	$(OLD)/bin/python -m pytest -n $(WORKERS) --dist loadfile -k "not openvino and not packed" tests/unit/engines/qwen \
		tests/unit/engines/transformers tests/unit/engines/test_networks.py tests/unit/engines/test_qwen.py \
		tests/unit/engines/test_sight.py

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
	$(BIN)/pytest -n $(WORKERS) --dist loadfile

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
		--custom-compile-command "make pins" --extra qwen --constraint requirements-dev.txt \
		--override requirements-torch-override.txt pyproject.toml --output-file requirements-qwen.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --no-annotate --generate-hashes \
		--custom-compile-command "make pins" --extra ldap --constraint requirements-dev.txt \
		pyproject.toml --output-file requirements-ldap.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --no-annotate --generate-hashes \
		--custom-compile-command "make pins" --group upstream --output-file requirements-upstream.txt

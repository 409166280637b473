# make check: everything that continuous integration checks, in the environment of PYTHON.
PYTHON ?= .venv/bin/python
BIN = $(dir $(PYTHON))

check: test checks

test:
	$(PYTHON) -m pytest

checks: lint types imports

lint:
	$(BIN)ruff check .
	$(BIN)ruff format --check .

types:
	$(BIN)basedpyright --project pyproject.toml

imports:
	$(BIN)lint-imports

.PHONY: check test checks lint types imports

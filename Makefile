# make check: everything that continuous integration checks, in the environment of PYTHON.
PYTHON ?= .venv/bin/python
BIN = $(dir $(PYTHON))

check: test checks docs

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

# The site, in build/site: what its pages' code draws first, where that has changed since tests or an earlier run drew it.
docs: drawn
	PYTHONPATH=website $(BIN)zensical build --clean --strict

docs-serve: drawn
	PYTHONPATH=website $(BIN)zensical serve

drawn:
	$(PYTHON) website/prepare.py

# The native core's tests under the address, undefined-behaviour and thread sanitizers of GCC, each in an environment of
# its own. Threads are switched between at more points than a plain run has, so the thread run takes the fewest examples.
sanitize: sanitize-address,undefined sanitize-thread

sanitize-%:
	python3 -m venv .venv-$(subst $(comma),-,$*)
	.venv-$(subst $(comma),-,$*)/bin/pip install --quiet --constraint constraints.txt \
		--config-settings 'cmake.define.THROUGHTIME_SANITIZE=$*' --config-settings 'build-dir=build/$*' '.[test]'
	LD_PRELOAD="$(foreach part,$(subst $(comma), ,$*),$(shell gcc -print-file-name=lib$(runtime_$(part)).so))" \
		ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		.venv-$(subst $(comma),-,$*)/bin/python -m pytest -n 0 tests/recurrence/test_fused.py tests/recurrence/test_fused_precision.py \
		tests/recurrence/test_filters.py tests/nn/test_convolutional.py

comma = ,
runtime_address = asan
runtime_undefined = ubsan
runtime_thread = tsan

.PHONY: check test checks lint types imports docs docs-serve drawn sanitize

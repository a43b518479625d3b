# Two commands for a newcomer: `make demo` and `make test`. Each sets itself up.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
ENGINES := .venv/.engines

.PHONY: setup demo test lint types layers unit calibrate soak bench clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Prompt Arena needs Python 3.11 or newer; name one with: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 2; }
	@echo "Setting up .venv (once; about a minute) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(ENGINES): $(READY)
	@command -v java >/dev/null || { echo "Spark's engine needs a Java (17 or newer)."; exit 2; }
	@echo "Setting up ClickHouse's and Spark's engines (once; half a gigabyte) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[engines]'
	@touch $@

demo: $(READY)
	@$(BIN)/arena demo --recorded

test: lint types layers unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports

unit: $(READY)
	$(BIN)/pytest -q -n 2 -m 'not slow'

calibrate: $(READY)  ## error rates and coverage by simulation; writes docs/calibration.md (slow)
	$(BIN)/pytest -q -n 2 -m 'slow and not soak' --calibrate tests
	$(BIN)/python -m tests.calibration

soak: $(ENGINES)  ## kill -9 of whatever writes, long stories, other engines (slow)
	$(BIN)/pytest -q -m soak tests

bench: $(READY)  ## every speed claim, as a ratio to a floor or a peer in the same run (slow)
	$(BIN)/python -m bench

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

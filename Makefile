# `make demo` and `make test` need Python 3.11 or newer and make; the rest is made on the way.

PYTHON ?= $(shell command -v python3 || command -v python3.13 || command -v python3.12 || \
            command -v python3.11 || command -v python3.14)
NO_PYTHON = Python 3.11 or newer is needed: install the packages python3 and python3-venv

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint types imports unit bench build clean venv

help: ## list the targets
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

demo: venv ## open the practice brain in napari
	@.venv/bin/napari-stria demo $(ARGS)

test: lint types imports unit ## run all checks and tests, up to the first that fails
	@echo "== all passed"

lint: venv ## check style and formatting (ruff)
	@echo "== ruff check"
	@.venv/bin/ruff check
	@echo "== ruff format"
	@.venv/bin/ruff format --check

types: venv ## check types (mypy)
	@echo "== mypy"
	@.venv/bin/mypy

imports: venv ## check who imports whom (import-linter)
	@echo "== lint-imports"
	@.venv/bin/lint-imports

# These compare times, so nothing else may run beside them. Exit code 5: ARGS picked none there.
# A crash ends the run: xdist may wait for ever for the rest of a crashed worker's file.
TIMED = tests/viewer/test_responsiveness.py tests/viewer/test_sections_time.py
unit: venv ## run the tests; ARGS='-k atlas' picks some
	@echo "== pytest: all but the timed ones, two at a time"
	@.venv/bin/pytest -n 2 --dist loadfile --max-worker-restart=0 $(TIMED:%=--ignore=%) $(ARGS) || [ $$? -eq 5 ]
	@echo "== pytest: the timed ones"
	@.venv/bin/pytest $(TIMED) $(ARGS) || [ $$? -eq 5 ]

bench: venv ## measure speed and memory; ARGS=atlas, planes or allensdk: one part
	@.venv/bin/python -m benchmarks.run $(ARGS)

build: venv ## build sdist and wheel into dist/
	@.venv/bin/python -m build

clean: ## remove .venv and all that was made
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The script sees for itself whether there is anything to do; that takes a tenth of a second.
venv: ## install system libraries and .venv, nothing else
	@$(or $(PYTHON),$(error $(NO_PYTHON))) scripts/bootstrap.py

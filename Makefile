# Everything that is done in this house, the same at home and in CI.
#   PYTHON=python3.12 make setup     another interpreter (3.11 or newer)
#   WENFANG_DATA=DIR make test       runs the tests that need the research data, too

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2

.PHONY: help setup demo check test bench docs clean
.DEFAULT_GOAL := help

help:  ## what can be made
	@grep -E '^[a-z]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:[^#]*## */\t/' | expand -t 10

setup:  ## a virtual environment with everything in it; nothing to do is done at once
	@PYTHON="$(PYTHON)" VENV="$(VENV)" bash tools/setup.sh

demo: setup  ## set up, then make a poem and its film in out/spring-river
	$(BIN)/wenfang create examples/spring-river-film.json -o out/spring-river

check: setup  ## style, types, floors, documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/reference.py --check
	$(BIN)/zensical build --strict --clean

test: setup  ## all tests; those that need the research data skip unless WENFANG_DATA is set
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -n $(WORKERS)

bench: setup  ## speed, cost of the seal, kills, fuzz; with WENFANG_DATA rates of checks and watermarks too
	$(BIN)/python benchmarks/speed.py
	$(BIN)/python benchmarks/seal_cost.py
	$(BIN)/python benchmarks/kill.py
	$(BIN)/python benchmarks/fuzz.py
	@if [ -n "$$WENFANG_DATA" ]; then \
	  $(BIN)/python benchmarks/rhyme_checker.py --data "$$WENFANG_DATA" && \
	  $(BIN)/python benchmarks/checks.py && \
	  $(BIN)/python benchmarks/watermark.py --data "$$WENFANG_DATA"; \
	else echo "the rest skipped: set WENFANG_DATA to the root of the research data"; fi

docs: setup  ## the documentation, into site/
	$(BIN)/python tools/reference.py
	$(BIN)/zensical build --strict --clean

clean:  ## remove what was built; the environment and your own work stay
	rm -rf build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .cache
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

# Two commands on a fresh machine: make demo, make test. They need Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-all lint env docs bench calibrate
.DEFAULT_GOAL := demo

env: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

demo: env
	$(COMPILED)
	$(BIN)/brainalign demo

# a study is many short jobs: where Python is told to write no bytecode, each would compile the pipeline again
COMPILED := $(BIN)/python -m compileall -q pipeline

# every core has a worker: threads of the linear algebra inside each would only wait for each other
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

test: lint
	$(COMPILED)
	$(ONE_THREAD) $(BIN)/python -m pytest -n auto --dist loadgroup -m "not slow"

test-all: lint
	$(COMPILED)
	$(ONE_THREAD) $(BIN)/python -m pytest -n auto --dist loadgroup

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/lint-imports

# simulations with known truth: every estimator and test, at most 15 minutes on two cores; writes docs/calibration.md
calibrate: env
	$(COMPILED)
	$(ONE_THREAD) $(BIN)/python -m calibration

bench: env
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,bench]"
	$(BIN)/python benchmarks/run.py

docs: env
	$(BIN)/python -m pipeline schema > configs/schema.json

# `make demo` and `make test` work in a fresh clone: all they need is Python 3.11+ and make.

VENV := .venv
BIN := $(VENV)/bin
# Touched after an installation; older than what it was made from, it is made again.
INSTALLED := $(VENV)/installed
PYTHONS := python3 python3.14 python3.13 python3.12 python3.11 python

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test check bench clean

help:
	@echo "make setup   create $(VENV) and install EQGAN with what its tests need"
	@echo "make demo    solve games from rock/paper/scissors to GANs; pictures and numbers in out/"
	@echo "make test    run the tests"
	@echo "make check   check style and types"
	@echo "make bench   measure speed beside other implementations"
	@echo "make clean   remove $(VENV) and everything that was built"

setup: $(INSTALLED)

$(BIN)/python:
	@for python in $(PYTHONS); do \
	  if $$python -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "creating $(VENV) with $$($$python --version)"; exec $$python -m venv $(VENV); \
	  fi; \
	done; \
	echo "EQGAN needs Python 3.11 or newer, with its venv module; none of $(PYTHONS) is." >&2; exit 1

$(INSTALLED): pyproject.toml tests/constraints.txt | $(BIN)/python
	@echo "installing EQGAN and its dependencies into $(VENV); torch alone is hundreds of megabytes"
	@$(BIN)/python -m pip install --quiet --constraint tests/constraints.txt --editable '.[dev,data]'
	@touch $@

demo: setup
	$(BIN)/eqgan demo --out out

test: setup
	$(BIN)/python -m pytest --quiet --numprocesses 2

check: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Benchmarks run without the peers too: they say which they skip.
$(VENV)/peers: $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --constraint tests/constraints.txt --editable '.[peers]' \
	  && touch $@ || echo "some peers could not be installed; their comparisons are skipped"

bench: setup $(VENV)/peers
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest --quiet --capture=no tests/benchmarks/bench_*.py

clean:
	rm -rf $(VENV) build out *.egg-info .*_cache .hypothesis .benchmarks
	find eqgan solvers examples tests -name __pycache__ -type d -prune -exec rm -rf {} +

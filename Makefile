# textmill: two commands. `make demo` installs and runs the demo pipeline, `make test` installs and runs the tests.
#
#   make demo                      a private .venv, then: textmill run demo
#   make demo TORCH=cuda           the same with the PyTorch build that pip picks by itself (CUDA on Linux)
#   make demo TORCH_INDEX=<url>    the PyTorch build of one of PyTorch's own package indexes (its "Get started" page
#                                  lists them: cpu, cu130, rocm ...)
#   make demo PYTHON=python3.12    another Python than python3
#   make bench-data                the data side beside its rivals, in one run; the numbers land in .bench/data.json
#   make bench-eval                multiple choice beside lm-eval's own loop: .bench/eval.json
#   make bench-serve               the server beside transformers and llama.cpp's own: .bench/serve.json
#   make docs                      the documentation as a site: build/docs/index.html
#   make test WORKERS=8            the tests in so many processes (2; 0 = in one, in which a debugger works)
#   make test | test-all | lint | format | clean

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# The build that is installed already stays the default, so that `make test` after `make demo TORCH=cuda` keeps it.
TORCH  ?= $(shell cat $(VENV)/.torch-build 2>/dev/null || echo cpu)
TORCH_INDEX ?=
WORKERS ?= 2
TORCH_VERSION := $(shell sed -n 's/^torch==//p' constraints.txt)
PIP    := $(BIN)/python -m pip --disable-pip-version-check
# A stamp is written after the last step of an installation, so one that was interrupted is taken up again.
INSTALLED := $(VENV)/.installed-$(TORCH)
TESTABLE  := $(VENV)/.testable-$(TORCH)
BENCHABLE := $(VENV)/.benchable-$(TORCH)
READABLE  := $(VENV)/.readable-$(TORCH)
BROWSABLE := $(VENV)/.browsable-$(TORCH)
# The measurements of the data side, in the order of the pipeline.
BENCH_DATA := $(wildcard $(patsubst %,tests/benchmarks/test_%.py,crawl sources extraction filters dedup decontaminate tokens growth))

# An environment knows its own absolute path and its Python: one that was moved, or whose Python went away, is made anew.
ifneq ($(wildcard $(VENV)/.home),)
$(shell test "$$(cat $(VENV)/.home)" = "$(CURDIR)" && $(BIN)/python -c "" 2>/dev/null || rm -rf $(VENV))
endif

# Measured: an environment of the CPU build takes 2.3 GB, one of the CUDA build 8 GB; the demo's lake takes 0.3 GB.
define CHECK_MACHINE
import os, shutil, sys
python, build = sys.argv[1:3]
if sys.version_info < (3, 11):
    sys.exit("textmill needs Python 3.11 or newer, but %s is Python %d.%d: install a newer one and name it, as in "
             "'make demo PYTHON=python3.12'." % (python, sys.version_info[0], sys.version_info[1]))
try:
    import ensurepip, venv
except ImportError:
    sys.exit("The venv module of %s is missing, and textmill installs into a virtual environment: on Debian or Ubuntu "
             "run 'apt install python%d.%d-venv', then make again." % ((python,) + sys.version_info[:2]))
need = 4 if build == "cpu" else 12
free = shutil.disk_usage(".").free / 1e9
if not os.path.exists(".venv/.installed-" + build) and free < need:
    sys.exit("The installation needs %d GB of free disk space, but %s has %.1f GB: free some, or move this folder to "
             "another disk." % (need, os.getcwd(), free))
endef
export CHECK_MACHINE

.PHONY: help demo test test-all bench-data bench-eval bench-serve docs lint format clean install

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

demo: $(INSTALLED)
	@$(BIN)/textmill run demo

# The other core compiles numba's kernels while mypy reads: else each process of the tests would compile them.
test: $(TESTABLE)
	@$(BIN)/python -m tests.kernels & $(MAKE) --no-print-directory lint; wait
	@$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not e2e and not gpu and not benchmark"

test-all: lint $(BROWSABLE)
	@$(BIN)/python -m pytest --hypothesis-profile=search -m "not benchmark"

# One after the other, as they are timed. The table is printed also where a goal was missed, and make then fails.
bench-data: $(BENCHABLE)
	@rm -f .bench/data.json; status=0; $(BIN)/python -m pytest -m benchmark -q --timeout 900 $(BENCH_DATA) || status=$$?; \
	    $(BIN)/python -m tests.benchmarks.board data; exit $$status

bench-eval: $(TESTABLE)
	@rm -f .bench/eval.json; status=0; $(BIN)/python -m pytest -m benchmark -q --timeout 3600 tests/benchmarks/test_evaluate.py \
	    || status=$$?; $(BIN)/python -m tests.benchmarks.board eval; exit $$status

bench-serve: $(TESTABLE)
	@rm -f .bench/serve.json; status=0; $(BIN)/python -m pytest -m benchmark -q --timeout 3600 tests/benchmarks/test_serving.py \
	    || status=$$?; $(BIN)/python -m tests.benchmarks.board serve; exit $$status

# -W: a link that leads nowhere is an error. -E: from scratch, in seconds.
docs: $(READABLE)
	@$(BIN)/python -m sphinx -E -W -q -b html docs build/docs
	@echo "build/docs/index.html"

lint: $(TESTABLE)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(TESTABLE)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# The lake (.textmill) stays: it is the user's data.
clean:
	@rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

install: $(INSTALLED)

# pip takes "==V" for "==V+cpu" too and prefers it, but only an explicit +cpu keeps it from taking the CUDA build of an
# index that has both. Where no index offers +cpu (macOS, ARM), the plain build is the CPU build.
$(INSTALLED): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed: on Debian or Ubuntu run 'apt install python3 python3-venv', then make again." >&2; exit 1; }
	@$(PYTHON) -c "$$CHECK_MACHINE" $(PYTHON) $(TORCH)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "Creating $(VENV)"; $(PYTHON) -m venv --clear $(VENV); }
	@if [ "$$(cat $(VENV)/.torch-build 2>/dev/null || echo $(TORCH))" != "$(TORCH)" ]; then $(PIP) uninstall -qq -y torch; rm -f $(VENV)/.installed-* $(VENV)/.testable-* $(VENV)/.benchable-* $(VENV)/.readable-*; fi
	@echo "$(TORCH)" > $(VENV)/.torch-build; echo "$(CURDIR)" > $(VENV)/.home
	@echo "Installing PyTorch $(TORCH_VERSION) ($(TORCH) build)"
	@if [ -n "$(TORCH_INDEX)" ]; then \
	    $(PIP) install -qq --no-compile --index-url "$(TORCH_INDEX)" "torch==$(TORCH_VERSION)"; \
	elif [ "$(TORCH)" = cpu ] && $(PIP) install -qq --no-compile -c constraints.txt "torch==$(TORCH_VERSION)+cpu" 2>/dev/null; then :; \
	else $(PIP) install -qq --no-compile -c constraints.txt "torch==$(TORCH_VERSION)"; fi || { $(INSTALL_FAILED); }
	@echo "Installing textmill and what constraints.txt pins"
	@$(PIP) install -qq --no-compile -c constraints.txt -e . || { $(INSTALL_FAILED); }
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib >/dev/null 2>&1 || true  # on all cores; pip would take one
	@touch $@

$(TESTABLE): $(INSTALLED)
	@echo "Installing the test tools"
	@$(PIP) install -qq -c constraints.txt -e '.[test,harness]' || { $(INSTALL_FAILED); }
	@$(PIP) install -qq -c constraints.txt --no-deps lm_eval || { $(INSTALL_FAILED); }
	@touch $@

$(BENCHABLE): $(TESTABLE)
	@echo "Installing the rivals"
	@$(PIP) install -qq -c constraints.txt -e '.[test,bench]' || { $(INSTALL_FAILED); }
	@touch $@

$(BROWSABLE): $(TESTABLE)
	@$(PIP) install -qq -c constraints.txt -e '.[browser]' || { $(INSTALL_FAILED); }
	@touch $@

$(READABLE): $(INSTALLED)
	@echo "Installing the documentation tools"
	@$(PIP) install -qq -c constraints.txt -e '.[docs]' || { $(INSTALL_FAILED); }
	@touch $@

INSTALL_FAILED = status=$$?; echo "pip could not finish the installation (its last lines above say why): check the network and the free disk space, then make again; what is installed already is kept." >&2; exit $$status

# make demo    the web page, on http://127.0.0.1:7860
# make test    lint, type check and all tests that don't take long
# make slow    those that do: the page in a browser, installed copies, trainings, all files' marks
# make fuzz    20,000 hostile inputs (INPUTS=… for another number), and as many right structures
# make audit   versions against the lock files and, with pip-audit, against known weaknesses
# make load    many visitors at once and many orders in a row; wants the machine for itself
# make bench   speed and memory
# make lock    requirements*.lock anew: the newest versions that requirements*.txt admit
# Needs Python 3.10, 3.11 or 3.12. Everything is installed into .venv the first time and again only
# when the lock files change; after that no command needs the network. They name every package's
# version and the hashes of its files, and pip takes no other files.
#
# make test PYTEST_FLAGS="-k lips"            the tests of one thing alone
# make demo PIP_FLAGS="--extra-index-url ..." to take packages from another index as well, for
#                                             example a build of PyTorch without CUDA. The lock can't
#                                             know its files, so requirements*.txt are installed
# make lock WHEELS=folder                     to admit builds of PyTorch without CUDA that are there

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# Tests start many programs, which would all be compiled anew.
unexport PYTHONDONTWRITEBYTECODE
.DELETE_ON_ERROR:

VENV := .venv
RUN := $(VENV)/bin/python
PIP_FLAGS ?=
PYTEST_FLAGS ?=
SPREAD := -n 2 --dist loadfile --no-loadscope-reorder --durations 10
WHEELS ?=
INPUTS ?= 20000

.PHONY: help demo test slow load fuzz audit lint bench lock install install-dev clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed '/^$$/q'

demo: install
	$(RUN) app.py

test: lint
	$(RUN) -m pytest -m "not slow" $(SPREAD) $(PYTEST_FLAGS)

slow: install-dev
	$(RUN) -m pytest -m "slow and not load" $(SPREAD) $(PYTEST_FLAGS)

load: install-dev
	$(RUN) -m pytest -m load -s

fuzz: install-dev
	$(RUN) -m tests.fuzz $(INPUTS)
	TALKING_FACE_EXAMPLES=$$(( $(INPUTS) / 10 )) $(RUN) -m pytest tests/test_structures.py

audit: install-dev
	$(RUN) tools/audit.py

lint: install-dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

bench: install
	$(RUN) -m talking_face.bench

lock: $(VENV)/requirements-dev.lock
	$(RUN) tools/lock.py $(WHEELS)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache

install: $(VENV)/requirements.lock
install-dev: install $(VENV)/requirements-dev.lock $(VENV)/browser

# PYTHON=... on the command line wins; else the first of these that runs, is recent enough and can
# make environments.
$(RUN):
	@for candidate in $(PYTHON) python3 python3.12 python3.11 python3.10 python; do \
	    if $$candidate -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then \
	        echo "Making $(VENV) with $$($$candidate --version)"; \
	        exec $$candidate -m venv $(VENV); \
	    fi; \
	done; \
	echo "No Python 3.10, 3.11 or 3.12 with venv was found. Install one (on Debian and Ubuntu:" \
	     "python3 and python3-venv) or say which: make PYTHON=/path/to/python3.12" >&2; \
	exit 1

# What $(1).lock lists, or with PIP_FLAGS what $(1).txt asks for.
locked = $(RUN) -m pip install --require-hashes --no-deps -r $(1).lock
fetch = $(if $(PIP_FLAGS),$(RUN) -m pip install $(PIP_FLAGS) -r $(1).txt,$(call locked,$(1)))
LOCKS := requirements.lock requirements-torch.lock requirements-torch-cpu.lock

# The environment keeps a copy of what it was made from: a checkout that only changes the file's
# date doesn't ask the network again. Where pip knows a build of PyTorch without CUDA, it is that.
$(VENV)/requirements.lock: $(LOCKS) packages.txt | $(RUN)
	@cat $(LOCKS) | cmp -s - $@ || { $(call fetch,requirements); \
	    $(if $(PIP_FLAGS),,$(call locked,requirements-torch-cpu) &>/dev/null \
	        || $(call locked,requirements-torch);) }
	@$(RUN) -c 'import cv2' 2>/dev/null \
	    || { [ "$$(id -u)" = 0 ] && apt-get update && xargs apt-get install -y < packages.txt; } \
	    || { echo "OpenCV can't start: install the system packages in packages.txt." >&2; exit 1; }
	@cat $(LOCKS) > $@

$(VENV)/requirements-dev.lock: requirements-dev.lock | $(VENV)/requirements.lock
	@cmp -s $< $@ || $(call fetch,requirements-dev)
	@cp $< $@

# Debian's browser and its driver, for the tests marked "browser". Tried once; without it those
# tests are skipped and say so.
$(VENV)/browser: | $(RUN)
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null \
	    || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update \
	         && apt-get install -y --no-install-recommends chromium chromium-driver; } \
	    || echo "chromium isn't installed: the browser tests will be skipped."
	@touch $@

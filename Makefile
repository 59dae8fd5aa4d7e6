# `make help` lists the targets. The environment is .venv; a second run of a target that has
# nothing to do takes less than a second.

SHELL := /bin/bash
BIN := .venv/bin
# The checks use a data folder of their own, never that of an installation.
CHECK := PSALTERY_DATA=$(CURDIR)/.data/check PSALTERY_LOG_LEVEL=WARNING

.DEFAULT_GOAL := help
.PHONY: help setup demo test check types layers installation bench lint format assets

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: .venv/.installed assets ## Make the environment and build the assets

.venv/.installed: requirements-dev.txt pyproject.toml scripts/environment
	@scripts/environment

assets: .venv/.installed
	@$(BIN)/python -m psaltery.web.assets build

demo: setup ## Run Psaltery against sandboxes with a demo MSP; Ctrl-C stops all of it
	@exec $(BIN)/psaltery demo

test: setup ## Run the tests (PYTEST="-k word" passes options on)
	@scripts/browser
	@$(BIN)/pytest -q -n auto --dist loadfile $(PYTEST)

check: lint types layers installation ## Check style, types, layers, migrations and the installation

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports

installation: setup
	$(CHECK) $(BIN)/psaltery migrate
	$(CHECK) $(BIN)/psaltery django makemigrations --check --dry-run
	$(CHECK) $(BIN)/psaltery check

lint: setup ## Check style
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: setup ## Put style right
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: setup ## Measure, peers side by side; see docs/benchmarks.md
	@$(BIN)/python -m bench

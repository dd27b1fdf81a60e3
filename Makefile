# Tickstream. `make` alone lists the targets.
#
# PYTHON   the Python 3.11 that makes the virtual environment (found by itself where it can be)
# PART     one part for `make logs`: kafka, registry, cassandra, jobmanager, taskmanager, jobs, producer, api
# FILE     recordings for `make replay` and `make demo`, separated by commas; SPEED as REPLAY_SPEED
# FORMAT   of the recordings of `make replay`, as REPLAY_FORMAT
# WITH     what goes on beside a demo: simulator, none
# SYMBOL, FROM, TO (ISO 8601), SOURCE of `make backfill`: polygon, binance, coinbase (trades), yahoo, alpha_vantage (bars)
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(firstword $(shell command -v python3.11 || command -v python3 || command -v python))
CONSTRAINTS := docker/constraints.txt
# .env, where there is one; what is set in the environment wins. `dotenv run` becomes the command, so that
# Ctrl-C and SIGTERM reach it.
ENV := $(if $(wildcard .env),$(BIN)/dotenv run --no-override --)
LOCAL := $(ENV) $(BIN)/python -m docker.local
CODE := schemas producer jobs api docker tests $(wildcard grafana)
TESTS := tests/unit tests/property tests/contract tests/pipeline tests/e2e tests/faults

.PHONY: help run demo down up status logs clean clean-all install dev test test-unit test-integration test-faults \
	test-live bench bench-quick bench-reads bench-clients browser lint format check smoke topics cassandra-init producer job api api-key replay backfill

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

# --- the whole system on this machine

run: $(VENV)/runtime ## start everything here, stay until Ctrl-C, then stop everything in order
	@$(LOCAL) run

down: $(VENV)/runtime ## stop everything, also what docker compose runs
	@$(LOCAL) down
	@if [ -n "$$(docker compose ps -q 2>/dev/null)" ]; then docker compose down; fi

status: $(VENV)/runtime ## what runs, where, since when
	@$(LOCAL) status

logs: $(VENV)/runtime ## the logs; PART=producer for one part
	@$(LOCAL) logs $(PART)

replay: $(VENV)/runtime ## recordings through jobs of their own: FILE=a.csv.gz[,b.csv] [SPEED=10] [FORMAT=auto]
	@test -n "$(FILE)" || { echo "which recording? make replay FILE=trades.csv.gz" >&2; exit 2; }
	@$(if $(SPEED),REPLAY_SPEED='$(SPEED)') $(if $(FORMAT),REPLAY_FORMAT='$(FORMAT)') $(LOCAL) replay '$(FILE)'

backfill: $(VENV)/runtime ## a provider's history into gaps: SYMBOL=AAPL FROM=2026-01-05T14:31 TO=.. SOURCE=polygon
	@test -n "$(SYMBOL)" -a -n "$(FROM)" -a -n "$(TO)" -a -n "$(SOURCE)" || { echo "what of which time from whom? make backfill SYMBOL=AAPL FROM=2026-01-05T14:31 TO=2026-01-05T14:33 SOURCE=polygon" >&2; exit 2; }
	@SOURCE= $(ENV) $(BIN)/python -m producer backfill '$(SYMBOL)' '$(FROM)' '$(TO)' --source '$(SOURCE)'

demo: $(VENV)/runtime ## run, playing a recording as if it were of now: [FILE=..] [SPEED=10] [WITH=simulator|none]
	@$(LOCAL) demo '$(FILE)' --speed '$(or $(SPEED),1)' --with '$(or $(WITH),simulator)'

smoke: $(VENV)/runtime ## check the running system end to end, and say what is wrong
	@$(LOCAL) smoke

clean: $(VENV)/runtime ## delete all stored data, state and logs; the programs stay
	@$(LOCAL) clean

clean-all: ## delete the programs and the virtual environment, too
	@if [ -x $(BIN)/python ]; then $(LOCAL) clean --all; fi
	rm -rf $(VENV)

# --- the same in containers

up: ## start everything with docker compose, return when it is ready
	docker compose up --detach --build --wait --wait-timeout 600

# --- one part at a time, against servers that run elsewhere (KAFKA_BOOTSTRAP_SERVERS, CASSANDRA_HOSTS, ...)

topics: $(VENV)/runtime ## create the topics and register their schemas
	@$(ENV) $(BIN)/python -m schemas topics

cassandra-init: $(VENV)/runtime ## create the keyspace and the tables
	@$(ENV) $(BIN)/python -m schemas cassandra-init

producer: $(VENV)/runtime ## run the producer
	@$(ENV) $(BIN)/python -m producer

job: $(VENV)/runtime ## run both Flink jobs on the cluster at FLINK_REST_URL
	@$(LOCAL) fetch
	@$(ENV) $(BIN)/python -m jobs run

api: $(VENV)/runtime ## run the API
	@$(ENV) $(BIN)/python -m api

api-key: $(VENV)/runtime ## an API key, shown once: NAME=alice [SCOPES=read,alerts]; see `python -m api keys -h`
	@test -n "$(NAME)" || { echo "who is it for? make api-key NAME=alice SCOPES=read,alerts" >&2; exit 2; }
	@$(ENV) $(BIN)/python -m api keys create '$(NAME)' --scopes '$(or $(SCOPES),read)'

# --- development

install: $(VENV)/runtime ## the virtual environment and the servers' programs
	@$(LOCAL) fetch

dev: $(VENV)/dev ## install, with the development tools and the pre-commit hooks
	@$(LOCAL) fetch
	@if [ -e .git ]; then $(BIN)/pre-commit install; fi

test: $(VENV)/dev browser ## all tests: unit, property, contract, pipeline, end to end, faults, on the real servers
	@$(LOCAL) fetch
	@$(BIN)/pytest $(TESTS) -m 'not exhaustive' -n 2 --durations=40 --cov --cov-report=term

test-unit: $(VENV)/dev browser ## the fast tests, which need no server
	@$(BIN)/pytest tests/unit tests/property

test-integration: $(VENV)/dev browser ## the tests on the real servers
	@$(BIN)/pytest tests/contract tests/pipeline tests/e2e

test-faults: $(VENV)/dev ## kill, pause and stop every part under load, compare everything; 20 minutes
	@FAULTS_TRADES_PER_SECOND=$(or $(RATE),1000) $(BIN)/pytest tests/faults -v

bench: $(VENV)/dev ## measure the whole system at fixed rates, 80 minutes; ONLY=part of a scene's name
	@$(LOCAL) fetch
	@$(BIN)/python -m tests.benchmarks.bench $(if $(ONLY),--only '$(ONLY)')

bench-quick: $(VENV)/dev ## some minutes of it, and which figures are worse than the kept ones; KEEP=1 keeps these
	@$(LOCAL) fetch
	@$(BIN)/python -m tests.benchmarks.bench --quick $(if $(KEEP),--keep)

bench-reads: $(VENV)/dev ## read from the running system at 200 requests/s: percentiles, hit ratio; RATE, SECONDS
	@$(ENV) $(BIN)/python -m tests.benchmarks.reads $(if $(RATE),--rate $(RATE)) $(if $(SECONDS),--seconds $(SECONDS))

bench-clients: $(VENV)/dev ## 1,000 WebSocket clients of the running system: trade to client; CLIENTS, SECONDS
	@$(ENV) $(BIN)/python -m tests.benchmarks.clients $(if $(CLIENTS),--clients $(CLIENTS)) $(if $(SECONDS),--seconds $(SECONDS))

test-live: $(VENV)/dev ## the real providers whose keys are set; LIVE=binance,coinbase,yahoo: those without keys, too
	@$(ENV) env LIVE='$(LIVE)' $(BIN)/pytest tests/live -v

browser: ## Chromium, in which the live page is tested: installed where it is missing and apt-get can
	@for name in "$$CHROMIUM" chromium chromium-browser google-chrome-stable google-chrome; do \
		if [ -n "$$name" ] && command -v "$$name" >/dev/null; then exit 0; fi; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium, for the tests of the live page (once) ..."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else \
		echo "the tests of the live page need Chromium or Chrome: install it (Debian: apt-get install chromium; macOS: brew install --cask chromium), or name it: CHROMIUM=/path/to/it" >&2; exit 1; fi

check: lint ## lint, format and types
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/mypy

lint: $(VENV)/dev ## ruff
	@$(BIN)/ruff check $(CODE)

format: $(VENV)/dev ## format the code, sort the imports
	@$(BIN)/ruff check --select I --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

# --- the virtual environment; made again when what it is made from changes

$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null || { echo "Python 3.11 is needed: install it (Debian, Ubuntu: python3.11 and python3.11-venv; macOS: brew install python@3.11), or: make $(or $(MAKECMDGOALS),run) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed, $(PYTHON) is $$("$(PYTHON)" -V 2>&1): install 3.11, or: make $(or $(MAKECMDGOALS),run) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Making the virtual environment in $(VENV) (once) ..."
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); echo "the venv module does not work: on Debian and Ubuntu install python3.11-venv" >&2; exit 1; }

$(VENV)/runtime: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "Installing the Python packages (a minute, once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --prefer-binary -c $(CONSTRAINTS) -e '.[jobs]'
	@touch $@

$(VENV)/dev: pyproject.toml $(CONSTRAINTS) | $(BIN)/python
	@echo "Installing the Python packages and development tools (a minute, once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --prefer-binary -c $(CONSTRAINTS) -e '.[jobs,dev]'
	@touch $@ $(VENV)/runtime

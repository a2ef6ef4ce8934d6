# Every target sets up what it needs, into the checkout, and only when the lock or the pom has changed.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3
SEEDS ?= 10000
FIRST ?= 0
VENV := .venv
BIN := $(VENV)/bin
LOCK := infra/requirements.lock
POM := infra/kafka/pom.xml
VENV_STAMP := $(VENV)/.stamp-$(firstword $(shell cksum < $(LOCK)))
NODE_SDK := tests/sdk_node
NODE_STAMP := $(NODE_SDK)/node_modules/.stamp-$(firstword $(shell cksum < $(NODE_SDK)/package-lock.json))
RIVALS_LOCK := tests/bench/requirements.lock
RIVALS_STAMP := $(VENV)/rivals/.stamp-$(firstword $(shell cksum < $(RIVALS_LOCK)))
STREAMS := tests/bench/kafka_streams
STREAMS_SOURCES := $(STREAMS)/pom.xml $(wildcard $(STREAMS)/src/main/java/*.java)
STREAMS_STAMP := $(STREAMS)/target/.stamp-$(firstword $(shell cat $(STREAMS_SOURCES) | cksum))
KAFKA_STAMP := .kafka/libs/.stamp-$(firstword $(shell cksum < $(POM)))

.PHONY: help setup run demo bench test lint types tests simulate chaos audit format schemas lock clean
.DEFAULT_GOAL := help

help: ## show the targets
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: $(VENV_STAMP) $(KAFKA_STAMP) ## install what is needed into .venv and .kafka
	@:

run: setup ## run the whole stack in the foreground until Ctrl-C
	@exec $(BIN)/python -m infra.stack run

demo: setup ## run a campaign of 200 customers and watch it end
	@exec $(BIN)/python -m infra.stack demo

bench: setup $(RIVALS_STAMP) $(STREAMS_STAMP) ## measure Ringfold beside its rivals, in ten minutes; SHORT=1: a look at it, in two
	@exec $(BIN)/python -W 'ignore:XDG_RUNTIME_DIR is not set' -m tests.bench $(if $(filter 1,$(SHORT)),--short)

test: lint types tests ## lint, types and all tests

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: setup
	@$(BIN)/mypy

# Files in their order, as those of few tests, which would come last, take the longest.
tests: setup $(NODE_STAMP)
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

simulate: setup ## run the services on SEEDS simulated worlds that fail, or again on that of SEED
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --first $(FIRST))

chaos: setup ## faults of every kind on the real thing, 200 rounds in half an hour; ROUNDS=n, SEED=n; SHORT=1: a look at it, in two minutes
	@exec $(BIN)/python -W ignore -m tests.chaos --rounds $(or $(ROUNDS),200) $(if $(SEED),--seed $(SEED)) $(if $(filter 1,$(SHORT)),--short)

audit: setup ## ask an advisory source, where one answers, about every version in the lock
	@$(BIN)/python -m infra.audit

format: setup ## bring the code into the house's form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

schemas: setup ## write the OpenAPI, AsyncAPI and JSON Schema documents anew
	@$(BIN)/python -m infra.schemas

lock: ## make the lock anew from pyproject.toml; needs uv
	@uv pip compile pyproject.toml --extra dev --generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header --no-annotate -q -o $(LOCK)
	@uv pip compile tests/bench/requirements.in --generate-hashes --python-version 3.11 --no-emit-index-url --no-header --no-annotate -q -o $(RIVALS_LOCK)

clean: ## remove all that setup and runs have made
	@rm -rf .venv .kafka .data $(NODE_SDK)/node_modules $(STREAMS)/target .hypothesis .mypy_cache .ruff_cache

$(VENV_STAMP): $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 or later is needed as '$(PYTHON)': install it, or run 'make PYTHON=/path/to/python3.11 ...'" >&2; exit 1; }
	@echo "setting up $(VENV) ..."
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) || { echo "python3 can not make a virtual environment: install its venv module (Debian: python3-venv)" >&2; exit 1; }
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r $(LOCK)
	@touch $@

$(RIVALS_STAMP): $(RIVALS_LOCK) | $(VENV_STAMP)
	@echo "setting up $(VENV)/rivals ..."
	@rm -rf $(VENV)/rivals
	@$(PYTHON) -m venv $(VENV)/rivals
	@$(VENV)/rivals/bin/python -m pip install -q --disable-pip-version-check --only-binary :all: --no-deps --require-hashes -r $(RIVALS_LOCK)
	@touch $@

$(STREAMS_STAMP): $(STREAMS_SOURCES)
	@command -v mvn >/dev/null || { echo "Maven and a JDK are needed to compile the Kafka Streams contestant: install them" >&2; exit 1; }
	@echo "compiling the Kafka Streams contestant into $(STREAMS)/target ..."
	@rm -rf $(STREAMS)/target; mkdir -p $(STREAMS)/target
	@mvn -q -B -f $(STREAMS)/pom.xml compile dependency:copy-dependencies -DoutputDirectory=target/libs >$(STREAMS)/target/maven.log 2>&1 || \
		{ echo "Maven could not compile the Kafka Streams contestant: $$(grep -m1 ERROR $(STREAMS)/target/maven.log || echo see $(STREAMS)/target/maven.log)" >&2; exit 1; }
	@touch $@

$(NODE_STAMP): $(NODE_SDK)/package-lock.json
	@command -v npm >/dev/null || { echo "Node.js 20 or later with npm is needed for the tests, which drive the Node SDK too: install it" >&2; exit 1; }
	@echo "fetching the Node SDK into $(NODE_SDK)/node_modules ..."
	@cd $(NODE_SDK) && { npm ci --ignore-scripts --loglevel=error >npm.log 2>&1 || { echo "npm could not fetch the Node SDK:" >&2; tail -5 npm.log >&2; exit 1; }; rm -f npm.log; }
	@touch $@

$(KAFKA_STAMP): $(POM)
	@if [ -z "$${KAFKA_BOOTSTRAP_SERVERS:-}" ]; then \
		command -v java >/dev/null || [ -x "$${JAVA_HOME:-}/bin/java" ] || { echo "Java 17 or later is needed for the local Kafka: install it, or set KAFKA_BOOTSTRAP_SERVERS to a cluster of yours" >&2; exit 1; }; \
		command -v mvn >/dev/null || { echo "Maven is needed to fetch the local Kafka: install it, or set KAFKA_BOOTSTRAP_SERVERS to a cluster of yours" >&2; exit 1; }; \
		echo "fetching Apache Kafka into .kafka/libs ..."; \
		rm -rf .kafka/fetched; mkdir -p .kafka/fetched; \
		mvn -q -B -f $(POM) dependency:copy-dependencies -DoutputDirectory="$(CURDIR)/.kafka/fetched" >.kafka/maven.log 2>&1 || \
			{ echo "Maven could not fetch the local Kafka: $$(grep -m1 ERROR .kafka/maven.log || echo see .kafka/maven.log)" >&2; exit 1; }; \
		rm -rf .kafka/libs; mv .kafka/fetched .kafka/libs; \
		touch $@; \
	fi

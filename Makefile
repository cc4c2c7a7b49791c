# GigAPI. `make run` and `make test` are all that is needed; the rest is convenience.

SHELL := /bin/bash
CARGO ?= cargo
export CARGO_TARGET_DIR ?= $(CURDIR)/target
BIN = $(CARGO_TARGET_DIR)/debug/gigapi
RELEASE_BIN = $(CARGO_TARGET_DIR)/release/gigapi

.PHONY: help run test check fmt lint unit integration soak bench demo doc clean-tools

help: ## Show what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: ## Build and start the server on ./data
	$(CARGO) build --locked --release -p gigapi
	$(RELEASE_BIN) serve

test: fmt lint unit integration ## Everything that decides a landing

fmt: ## Is the code formatted?
	$(CARGO) fmt --all --check

lint: ## Clippy with warnings denied, and the docs' links
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet

unit: ## Unit, property and documentation tests
	$(CARGO) test --locked --workspace --exclude integration-tests

integration: .tools/venv ## Real processes, real files, independent answers
	$(CARGO) build --locked -p gigapi --features crash-points
	GIGAPI_BIN=$(BIN) GIGAPI_PYTHON=$(CURDIR)/.tools/venv/bin/python $(CARGO) test --locked -p integration-tests

soak: .tools/venv ## The long versions: 200 kill cycles
	$(CARGO) build --locked -p gigapi --features crash-points
	GIGAPI_BIN=$(BIN) GIGAPI_KILL_CYCLES=200 GIGAPI_PYTHON=$(CURDIR)/.tools/venv/bin/python $(CARGO) test --locked -p integration-tests -- kill

bench: ## Figures with their units, release build
	$(CARGO) build --locked --release -p gigapi -p integration-tests
	GIGAPI_BIN=$(RELEASE_BIN) $(CARGO_TARGET_DIR)/release/bench $(RUNS)

demo: .tools/vega-datasets ## Real observations in, five questions answered
	$(CARGO) build --locked --release -p gigapi
	GIGAPI_BIN=$(RELEASE_BIN) VEGA_DATA=$(CURDIR)/.tools/vega-datasets/data bash deploy/demo.sh

doc: ## The crates' documentation
	$(CARGO) doc --locked --workspace --no-deps

.tools/venv: integration-tests/requirements.txt
	bash integration-tests/install-tools.sh
	touch $@

.tools/vega-datasets:
	bash integration-tests/install-tools.sh vega
	touch $@

clean-tools: ## Remove what the tests installed
	rm -rf .tools

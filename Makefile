# GigAPI. `make run` and `make test` are all that is needed; the rest is convenience.

SHELL := /bin/bash
CARGO ?= cargo
export CARGO_TARGET_DIR ?= $(CURDIR)/target
BIN = $(CARGO_TARGET_DIR)/debug/gigapi
RELEASE_BIN = $(CARGO_TARGET_DIR)/release/gigapi

.PHONY: help run test fmt lint tests soak bench bench-queries demo doc clean-tools

help: ## Show what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

run: ## Build and start the server on ./data
	GIGAPI_COMMIT=$$(git rev-parse --short HEAD 2>/dev/null || echo unknown) $(CARGO) build --locked --release --workspace --bins
	$(RELEASE_BIN) serve

# One selection of crates and features for every build, so that nothing is compiled twice.
ALL = --locked --workspace --features gigapi/crash-points
TOOLS = GIGAPI_BIN=$(BIN) GIGAPI_PYTHON=$(CURDIR)/.tools/venv/bin/python GIGAPI_CLIENTS=$(CURDIR)/.tools/clients VEGA_DATA=$(CURDIR)/.tools/vega-datasets/data

test: fmt lint tests ## Everything that decides a landing

fmt: ## Is the code formatted?
	$(CARGO) fmt --all --check

lint: ## Clippy with warnings denied, and the docs' links
	$(CARGO) clippy $(ALL) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(ALL) --no-deps --quiet

tests: .tools/venv ## Unit, property, documentation and integration tests
	$(CARGO) build $(ALL) --all-targets
	$(TOOLS) $(CARGO) test $(ALL)

soak: .tools/venv ## The long versions: 200 kill cycles, a million figures while files merge, in each of two deployments, 20,000 cases of every property, 100,000 histories of the model
	$(CARGO) build $(ALL) --all-targets
	$(TOOLS) PROPTEST_CASES=20000 $(CARGO) test $(ALL) --lib --bins
	GIGAPI_MODEL_HISTORIES=100000 $(CARGO) test $(ALL) --test protocol
	$(TOOLS) GIGAPI_KILL_CYCLES=200 $(CARGO) test $(ALL) -p integration-tests -- kill
	$(TOOLS) GIGAPI_MERGE_FIGURES=1000000 $(CARGO) test $(ALL) -p integration-tests -- totals

bench: ## Figures with their units, release build
	$(CARGO) build --locked --release --workspace --bins
	GIGAPI_BIN=$(RELEASE_BIN) $(CARGO_TARGET_DIR)/release/bench $(RUNS)

bench-queries: .tools/bench-venv ## Eleven questions over ten million rows, beside DuckDB and ClickHouse over the same files
	$(CARGO) build --locked --release --workspace --bins
	GIGAPI_BIN=$(RELEASE_BIN) GIGAPI_BENCH_PYTHON=$(CURDIR)/.tools/bench-venv/bin/python $(CARGO_TARGET_DIR)/release/bench queries

demo: .tools/vega-datasets ## Real observations in, five questions answered
	$(CARGO) build --locked --release --workspace --bins
	GIGAPI_BIN=$(RELEASE_BIN) VEGA_DATA=$(CURDIR)/.tools/vega-datasets/data bash deploy/demo.sh

doc: ## The crates' documentation
	$(CARGO) doc --locked --workspace --no-deps

.tools/venv: integration-tests/requirements.txt integration-tests/install-tools.sh
	bash integration-tests/install-tools.sh
	touch $@

.tools/bench-venv: integration-tests/requirements-bench.txt integration-tests/install-tools.sh
	bash integration-tests/install-tools.sh bench
	touch $@

.tools/vega-datasets:
	bash integration-tests/install-tools.sh vega
	touch $@

clean-tools: ## Remove what the tests installed
	rm -rf .tools

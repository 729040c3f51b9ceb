# What people and machines type. `make run` and `make test` are all that most need; README.md explains them.
SHELL := /bin/bash
CARGO ?= cargo
CANDOR := target/release/candor
FUZZ_SECONDS ?= 60

.PHONY: help run web build test test-neon test-slow check bench soak fuzz fixtures screenshots clean

run: build          ## build everything, get the default model, serve on 127.0.0.1:8080
	@$(CANDOR) serve $(ARGS)

web:                ## build the chat page, where its sources are newer than what was built
	@scripts/build_page.sh

build: web          ## build the program with the page in it
	@$(CARGO) build --release --locked --workspace

test:               ## everything: crates, page, clients, browser; installs what it needs
	@python3 scripts/test.py

test-neon:          ## kernels and hashes of models on 64-bit ARM, in emulation elsewhere; part of `make test`
	@python3 scripts/test.py --only neon

test-slow:          ## what takes long or much to install: evaluation harness, more clients, another server
	@python3 scripts/test.py --slow

check:              ## formatting, lints, documentation, dependencies
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --locked --workspace --no-deps --document-private-items
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check; else echo "cargo-deny is not installed: dependencies were not checked (cargo install cargo-deny)"; fi

bench: build        ## tokens per second beside llama.cpp, which is built in target/ the first time
	@python3 runs/bench_beside_llama_cpp.py --venv target/bench-venv $(ARGS)

soak: build         ## a server under a mixed load, five minutes; ARGS="--minutes 30" for longer
	@python3 runs/load/soak.py $(ARGS)

fuzz:               ## every fuzz target, FUZZ_SECONDS each; needs cargo-fuzz
	@cd fuzz && for target in fuzz_targets/*.rs; do RUSTC_BOOTSTRAP=1 cargo fuzz run "$$(basename "$$target" .rs)" -- -max_total_time=$(FUZZ_SECONDS) || exit 1; done

fixtures:           ## make the test models and reference values anew; needs the Python packages that each script names
	@for script in crates/*/fixtures/make_*.py; do echo "$$script"; python3 "$$script" || exit 1; done

screenshots: build  ## take the pictures in docs/images
	@cd web && npm run --silent screenshots

help:               ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1	/p' Makefile | awk -F'\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

clean:              ## remove what was built
	$(CARGO) clean
	rm -rf web/dist web/node_modules

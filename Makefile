# Holdfast: `make build` leaves one binary, `make demo` shows what it is for, `make test` tries everything.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build
.PHONY: help build site demo clean-demo check test test-e2e test-faults fuzz figures bench screenshots clean

native := -p holdfast -p holdfast-model -p holdfast-vault -p holdfast-engine -p holdfast-app
# Tools that .ci/install put into the tree come before the machine's own.
export PATH := $(CURDIR)/target/tools/bin:$(PATH)

help: ## say what there is to make
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

build: ## one self-contained release binary: target/release/holdfast
	@.ci/install build
	@$(MAKE) --no-print-directory site
	cargo build --release --locked -p holdfast
	@ls -lh target/release/holdfast | awk '{print "target/release/holdfast", $$5}'

site: ## wasm, style sheets and assets, compressed, below target/site
	@.ci/site

demo: ## a shop with real data, checkpointed, proven, and a dashboard to look at it; SSO=1: behind a Keycloak
	@.ci/install build run $(if $(SSO),sso)
	@$(MAKE) --no-print-directory build
	@SSO=$(SSO) end2end/demo/tour

clean-demo: ## stop the demo and remove all that it made
	@end2end/demo/down --remove

check: ## format, lints and unit tests; under three minutes when warm
	cargo fmt --all --check
	cargo clippy --locked $(native) --all-targets -- -D warnings
	cargo clippy --locked -p holdfast-frontend --target wasm32-unknown-unknown -- -D warnings
	cargo test --locked $(native) --lib --bins

test: ## everything: lints, all tests, the built binary in a real browser, stock restic
	@.ci/install
	@.ci/test

test-e2e: ## only the tests of the release binary; names select: make test-e2e only="restore browser"
	@.ci/install
	@.ci/test e2e $(only)

test-faults: ## the vault's fault suite in its long form, about 15 minutes; its figures: server/vault/FAULTS.md
	@.ci/install
	rm -rf target/tmp/faults
	HOLDFAST_FAULTS=full cargo test --locked -p holdfast-vault --test prune_faults --test faults
	HOLDFAST_FAULTS=full cargo test --locked -p holdfast-vault --test s3 faults
	HOLDFAST_FAULTS=full cargo test --locked -p holdfast --test cli stopped
	HOLDFAST_FAULTS=report cargo test --locked -p holdfast-vault --test faults -- --exact figures

fuzz: ## bytes that nobody would write, on all that reads a vault, 10 min a target: make fuzz TIME=60 only="tree key"
	@.ci/install fuzz
	@.ci/fuzz $(or $(TIME),600) $(only)
	$(if $(only),,HOLDFAST_FAULTS=fuzz cargo test --locked -p holdfast-vault --test faults -- --exact figures)

figures: ## measure: checkpoints of the demo and of a 1 GB tree, beside stock restic
	@.ci/install
	@$(MAKE) --no-print-directory build
	@end2end/figures.mjs

bench: ## the vault beside restic, kopia, borg …: make bench SCALE=10 only="first unchanged"; whole: server/vault/BENCHMARKS.md
	@.ci/install build run bench
	@$(MAKE) --no-print-directory build
	cargo build --release --locked -p holdfast-vault --example vault --example link
	@end2end/bench/main.mjs --scale=$(or $(SCALE),100) --rounds=$(or $(ROUNDS),3) $(only)

screenshots: ## take the README's pictures again
	@HOLDFAST_SCREENSHOTS=end2end/screenshots .ci/test e2e browser friday

clean: ## remove what was built, but not the tools
	rm -rf target/site target/site.stamp
	cargo clean

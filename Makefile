# Every target installs what it needs first and is quick when all is there.
# The tool chain (Node 24) is the system's if new enough, else the one in .toolchain.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
export PATH := $(CURDIR)/.toolchain/bin:$(PATH)

# Debian packages for tests and benchmarks only.
TEST_PACKAGES := ffmpeg systemd gir1.2-gst-rtsp-server-1.0 python3-gi strace openssl bsdutils procps gpiod faketime
BENCH_PACKAGES := mosquitto libmosquitto-dev

# What has a long version, the longest first.
TORTURE_TESTS := $(wildcard test/torture/*.test.ts) \
  $(addprefix test/e2e/,rollout-fleet.test.ts link.test.ts power-cut.test.ts server-faults.test.ts ingest-faults.test.ts time.test.ts) \
  $(addprefix test/agent/,spool/faults.test.ts spool/damage.test.ts spool/flash.test.ts spool/flash-large.test.ts) \
  $(addprefix test/agent/,motion/detector.test.ts config/desired-file.test.ts consent/grant-file-faults.test.ts journal/journal.test.ts capture/ending.test.ts capture/encoder-choice.test.ts identity/crash-claim.test.ts identity/crash-change.test.ts) \
  $(addprefix test/broker/,store/faults.test.ts fleet/claim-faults.test.ts)

SECONDS ?=
SOURCE ?=
DATA ?=
EXPORT ?=
CREDENTIALS ?=

.PHONY: help install run test check torture bench soak proto format clean

help: ## List the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

install: ## Install what is missing: Debian packages, Node 24, npm packages
	@.ci/bootstrap

run: ## Show the main job; SECONDS=20 SOURCE=/dev/video0|rtsp://…|FILE CREDENTIALS=FILE DATA=DIR EXPORT=FILE.mp4
	@.ci/bootstrap
	exec node test/demo/main.ts $(if $(SECONDS),--seconds "$(SECONDS)") $(if $(SOURCE),--source '$(SOURCE)') $(if $(DATA),--data '$(DATA)') $(if $(EXPORT),--export '$(EXPORT)') $(if $(CREDENTIALS),--credentials '$(CREDENTIALS)')

test: ## Run all checks and tests; ends on "N passed, N failed"
	@.ci/bootstrap $(TEST_PACKAGES)
	exec node test/run.ts

check: ## Lint and types only
	@.ci/bootstrap
	exec node test/run.ts --check

bench: ## Measure the figures against their baselines (installs Mosquitto)
	@.ci/bootstrap $(BENCH_PACKAGES)
	exec node test/bench/main.ts

torture: ## Hours of faults: kills, outages, full and failing disks, withdrawals, bad links, wrong clocks
	@.ci/bootstrap $(TEST_PACKAGES)
	exec env TORTURE=1 node test/run.ts $(TORTURE_TESTS)

soak: ## Ten minutes of recording: memory has to stay flat
	@.ci/bootstrap $(BENCH_PACKAGES)
	exec node test/bench/main.ts --soak

proto: ## Generate the code of proto/lenscap.proto anew
	@touch proto/lenscap.proto
	.ci/bootstrap

format: ## Format the sources
	@.ci/bootstrap
	exec node_modules/.bin/biome check --write .

clean: ## Remove what was installed and generated here
	@rm -rf node_modules .toolchain .tap proto/generated test/bench/build test/bench/results.json demo-data

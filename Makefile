# SPDX-License-Identifier: Apache-2.0
# The front door; the build itself is Meson's. `make help` lists the targets.
BUILD ?= build
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
# Debian's own python3 sees Debian's pytest, whatever else is first in the PATH.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3) python3)
MESON_FLAGS ?=
PYTEST_FLAGS ?=
# What `test` runs before and after its own targets, and when it is ended.
FIRST ?=
LAST ?=
MINUTES ?= 28
T ?= all
S ?= 60
export BUILD

prefix := $(abspath $(patsubst ~/%,$(HOME)/%,$(PREFIX)))
sanitized = BUILD=build-$(1) MESON_FLAGS='-Db_sanitize=$(2) -Db_lundef=false -Dc_args=-fno-sanitize-recover=all'
comma := ,
asan = $(call sanitized,asan,address$(comma)undefined)
# What clang-format lays out: not the tables, whose rows stay rows.
sources = $(shell git ls-files '*.c' '*.h' ':!src/tbl' ':!tools/banned.h')

.DEFAULT_GOAL := build
.PHONY: help demo test build install check integ conformance asan asan-check asan-integ tsan \
	fuzz bench bench-limit tidy fmt fmt-check layers headers source tables docs ci prove screenshot clean tsan-check

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: ## install what is missing, build, and print the capacity plan of the reference system
	tools/bootstrap demo
	$(MAKE) --no-print-directory build
	$(BUILD)/plimsoll plan examples/plan.yaml

test: ## install what is missing, build, run all tests; ends with 'N passed, N failed'
	tools/bootstrap test
	$(MAKE) --no-print-directory build
	$(PYTHON) tools/suite.py --minutes $(MINUTES) $(FIRST) check integ conformance $(LAST)

# A layer that came into being is seen when Meson looks again.
$(BUILD)/build.ninja: $(wildcard src/*/meson.build)
	@tools/bootstrap --check build
	if [ -e $@ ]; then meson setup --reconfigure $(BUILD); \
		else meson setup $(BUILD) --prefix=$(prefix) $(MESON_FLAGS); fi
	@touch $@

build: $(BUILD)/build.ninja ## the program and the reference services
	ninja -C $(BUILD) -j $(JOBS)

install: build ## into PREFIX (make install PREFIX=~/.local)
	meson configure $(BUILD) --prefix=$(prefix)
	meson install -C $(BUILD)

check: build ## unit tests and simulations
	meson test -C $(BUILD) --num-processes $(JOBS) --print-errorlogs --no-suite bench
	@tools/layers.py

integ: build ## tests of the whole program
	@mkdir -p $(BUILD)/results
	$(PYTHON) -m pytest -q -p no:cacheprovider --junitxml=$(BUILD)/results/integ.xml $(PYTEST_FLAGS) tests/integ

conformance: build ## k6's behaviour, case by case
	@mkdir -p $(BUILD)/results
	$(PYTHON) tests/conformance/run.py $(BUILD)/plimsoll --results $(BUILD)/results/conformance.json

asan: asan-check asan-integ ## all of check and integ under ASan, UBSan and LSan

# Leaks count in every process that the tests start, not only in the unit tests.
asan-check asan-integ: export ASAN_OPTIONS ?= detect_leaks=1:detect_stack_use_after_return=0
asan-check asan-integ: export LSAN_OPTIONS ?= suppressions=$(CURDIR)/tools/lsan.supp:print_suppressions=0
asan-check asan-integ: export UBSAN_OPTIONS ?= print_stacktrace=1
asan-check:
	$(MAKE) --no-print-directory $(asan) check

asan-integ:
	$(MAKE) --no-print-directory $(asan) integ PYTEST_FLAGS='-m "not slow"'

tsan: ## the threaded layers under TSan
	$(MAKE) --no-print-directory $(call sanitized,tsan,thread) tsan-check

tsan-check: build
	meson test -C $(BUILD) --num-processes $(JOBS) --print-errorlogs \
		$(foreach layer,rt metric load,$(addprefix $(layer)/,$(notdir $(basename $(subst test_,,$(wildcard tests/unit/$(layer)/test_*.c))))))

fuzz: ## libFuzzer: make fuzz T=url S=60; T=all is every target
	@tools/bootstrap --check dev
	$(PYTHON) tools/fuzz.py --seconds $(S) $(T)

bench: build ## what the program costs, beside wrk; the limit search on simulated servers
	@tools/bootstrap --check test
	@mkdir -p $(BUILD)/results
	$(PYTHON) tests/bench/bench.py --build $(BUILD) --json $(BUILD)/results/bench.json \
		--page docs/reference/performance.md
	$(BUILD)/tests/sim/bench-limit 30

bench-limit: build ## how accurate the limit search is: docs/reference/limit-accuracy.md
	$(BUILD)/tests/sim/bench-limit 60 > $(BUILD)/limit-accuracy.md
	mv $(BUILD)/limit-accuracy.md docs/reference/limit-accuracy.md

tidy: $(BUILD)/build.ninja ## clang-tidy on all of src, or on FILES
	@tools/bootstrap --check dev
	run-clang-tidy -quiet -p $(BUILD) -j $(JOBS) $(or $(FILES),'/src/')

fmt: ## lay out the sources
	clang-format -i $(sources)

fmt-check: ## fail when a source is not laid out
	@files=$$(clang-format --dry-run -Werror $(sources) 2>&1 | sed -n 's/:[0-9]*:[0-9]*: error:.*//p' | sort -u); \
		if [ -n "$$files" ]; then printf '%s: not laid out: make fmt\n' $$files; exit 1; fi; echo 'fmt: ok'

layers: ## who may include whom
	@tools/layers.py

headers: build ## each header compiles alone
	@$(PYTHON) tools/check-headers.py

source: ## licence headers, banned functions, sizes, words, paths in the documents
	@$(PYTHON) tools/check-source.py

tables: ## the tables of src/tbl are sound and docs/reference is made from them
	@$(PYTHON) tools/gen-docs.py --check

docs: ## docs/reference and the manual page from the tables
	$(PYTHON) tools/gen-docs.py

ci: export BUILD := build-ci
ci: ## what .ci/run runs: `test`, and what else a change must pass
	tools/bootstrap dev
	$(MAKE) --no-print-directory test MESON_FLAGS=-Dwerror=true MINUTES=43 \
		FIRST='layers source tables fmt-check headers' LAST='asan-check tsan'

screenshot: build ## docs/demo.svg, the picture of the README: the end of the demo
	tools/bootstrap demo
	tools/screenshot.py --title 'make demo' --from SERVICE docs/demo.svg \
		$(BUILD)/plimsoll plan examples/plan.yaml

prove: ## demo and test in a fresh Debian root
	tools/prove-fresh-root.sh demo test

clean: ## remove what was built
	rm -rf build build-ci build-asan build-tsan build-fuzz

# SPDX-License-Identifier: Apache-2.0
# The front door; the build itself is Meson's. `make help` lists the targets.
BUILD ?= build
JOBS ?= 2
PREFIX ?= /usr/local

.DEFAULT_GOAL := build
.PHONY: help build check

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(BUILD)/build.ninja:
	meson setup $(BUILD) --prefix=$(abspath $(PREFIX))

build: $(BUILD)/build.ninja ## the program and the reference services
	ninja -C $(BUILD) -j $(JOBS)

check: build ## unit tests and simulations
	meson test -C $(BUILD) --num-processes $(JOBS) --print-errorlogs
	tools/layers.py

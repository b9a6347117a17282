# Each target is one call of a script; `make run` and `make test` need nothing but git, make and Python 3.11 beforehand.
SHELL := /bin/bash
.PHONY: run test test-long check fmt bench screenshots locks
.DEFAULT_GOAL := help
.PHONY: help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile | expand -t 22

run: ## start everything on this machine, print and charge one document (ONCE=1: then end)
	@scripts/run $(if $(ONCE),--once) $(ARGS)

test: ## install what tests need, then run them all (ARGS="-k name": some of them)
	@scripts/test $(ARGS)

test-long: ## the slow fault campaigns
	@scripts/test -m long $(ARGS)

check: ## style, types, and who may import whom
	@scripts/check

fmt: ## lay the code out
	@scripts/fmt

bench: ## measure, each line beside its peer
	@scripts/bench/run $(ARGS)

screenshots: ## draw the console's pictures for the README
	@scripts/screenshots $(ARGS)

locks: ## write locks/*.txt anew (ARGS=--upgrade: newest versions)
	@scripts/lock $(ARGS)

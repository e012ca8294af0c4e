# The commands of a newcomer and of every day; `make help` lists them.
PYTHON ?=
export PYTHON
BIN := .venv/bin
QUICK := not slow and not systemd

# A test that hangs is ended by its own limit.
PYTEST := $(BIN)/python -m pytest
# Files of tests run at once in one process more than there are processors, since most tests wait for half of their time.
# AT_ONCE=0 runs them one after the other and shows the output as it comes.
AT_ONCE ?= $(shell expr $$(nproc) + 1)
TOGETHER = -n $(AT_ONCE) --dist loadfile --no-loadscope-reorder

# The tests start hundreds of programs: to compile jobd for each of them would take half of their time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run test test-all check oracle golden machine soak planted bench tools man deb wheel clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## make or refresh .venv (the others do it by themselves)
	@packaging/setup-venv

run: setup ## run jobd in the foreground with the jobs of examples/jobs.d
	@exec packaging/run-local

test: setup $(if $(filter true,$(CI)),tools) ## run the quick tests; with CI=true all of them
	$(PYTEST) $(TOGETHER) $(if $(filter true,$(CI)),,-m "$(QUICK)") $(ARGS)

test-all: setup ## run all tests, slow ones and those in a real systemd too
	$(PYTEST) $(TOGETHER) $(ARGS)

check: setup ## look at the code: ruff, mypy strict, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST) -q tests/test_layers.py

oracle: setup ## 50,000 schedules around each change of each zone in 60 years; hours: stop it and go on as it says
	$(BIN)/python -m tests.core.sweep $(ARGS)

golden: setup ## write tests/core/golden.txt anew, when schedules were meant to change
	$(BIN)/python -m tests.core.golden

machine: setup ## hold the queue against its model for 20,000 lives of 100 steps, each time others; MACHINE=300x60 for fewer
	JOBD_MACHINE=$(or $(MACHINE),20000x100) $(PYTEST) -q --timeout=0 tests/supervisor/test_queue_machine.py -k many_lives

soak: setup ## a million runs through a daemon of its own, each counted; ARGS=200000 for fewer
	$(BIN)/python -m tests.e2e.soak $(ARGS)

planted: setup ## plant bugs in a copy of jobd, one at a time: the tests have to notice each
	$(BIN)/python -m tests.planted

bench: setup ## measure; see bench/
	@test -x bench/run || { echo "bench: bench/run is not there" >&2; exit 1; }
	bench/run $(ARGS)

tools:
	@packaging/setup-tools

man: setup ## write man/ and docs/reference anew from the help, the schemas and the routes
	$(BIN)/python packaging/man/write.py

deb: setup ## build a Debian package with everything inside, in dist/
	packaging/build-deb

wheel: setup ## build an sdist and a wheel, in dist/
	packaging/build-dist

clean: ## remove .venv, the state of `make run`, and caches
	rm -rf .venv .jobd build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

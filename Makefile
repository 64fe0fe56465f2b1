# Everything runs inside .venv, which is made from requirements.lock when that has changed: what the pipeline and the
# command need. What else is needed comes into the same place from a lock of its own, when a target first asks for it:
# requirements-test.lock (tests and linters), requirements-app.lock (page and API), and requirements-all.lock (both, and
# the tests on real servers and in a browser). All are of the same versions.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_TEST := $(VENV)/.ready-test
READY_APP := $(VENV)/.ready-app
READY_ALL := $(VENV)/.ready-all
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1

.DEFAULT_GOAL := help
.PHONY: help repro test-quick test test-all fuzz lint format bench app serve gpu release push pull remote-check sweep verify-bits verify-lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v[:2] <= (3, 13) or sys.exit("error: Python 3.11, 3.12 or 3.13 is needed, received %d.%d; name one with make PYTHON=..." % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(READY_TEST) $(READY_APP) $(READY_ALL) $(VENV)/.ready-gpu: $(VENV)/.ready-%: requirements-%.lock $(READY)
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r $<
	@touch $@

repro: $(READY) ## make the environment and run the pipeline (PRESET=name DATA=folder: a published run; docs/running.md)
	@$(if $(PRESET),brainmri preset "$(PRESET)" $(if $(DATA),--data "$(DATA)"),:)
	dvc repro
	@brainmri summary

# What failed last time goes first, and the first failure ends it.
test-quick: $(READY_TEST) ## run the tests that take under two seconds each, between two edits (two minutes in all)
	pytest -q -x --failed-first -m "not slow and not pipeline and not servers and not browser"

test: $(READY_TEST) ## run the tests, the whole pipeline on a tiny phantom among them
	pytest -m "not servers and not browser"

test-all: $(READY_ALL) ## those, and the tests on real servers and in a real browser
	pytest

# Ends well only where nothing broke the rule; what did lies in the working folder.
SECONDS ?= 60
fuzz: $(READY_TEST) ## change outside files at random for SECONDS=60 a kind, and read them (docs/hostile.md)
	PYTHONPATH=tests python -m fuzz $(SECONDS)

lint: $(READY_TEST) $(READY_APP) ## check style and types, of the app too
	ruff check
	ruff format --check
	mypy

format: $(READY_TEST) ## mend what a formatter can
	ruff check --fix
	ruff format

bench: $(READY) ## write benchmarks/RESULTS.md (BENCH="--raw data/raw --torch-python ..." for more)
	python -m benchmarks $(BENCH)

app: $(READY_APP) ## open the page on http://127.0.0.1:8501 (docs/app.md)
	python -m streamlit run app/main.py

serve: $(READY_APP) ## serve the HTTP API on http://127.0.0.1:8000 (docs/app.md)
	python -m uvicorn app.api:api --host 127.0.0.1 --port 8000 --no-server-header

release: $(READY) ## write an archive of the trained models for others, with their card (docs/sharing.md)
	@brainmri release

gpu: $(VENV)/.ready-gpu ## add the CUDA libraries, for an NVIDIA GPU (docs/gpu.md)

push: $(READY) ## send what colleagues need to DVC's remote (REMOTE=name for another than the default)
	brainmri push $(addprefix --remote ,$(REMOTE))

pull: $(READY) ## get what this commit and these params lead to, and run nothing heavy (REMOTE=name)
	brainmri pull $(addprefix --remote ,$(REMOTE))

remote-check: $(READY) ## say whether the remote can be read and written (REMOTE=name)
	@brainmri remote-check $(addprefix --remote ,$(REMOTE))

sweep: $(READY) ## run a grid of params as experiments (GRID="train.dropout=0,0.2 train.epochs=20,30"; docs/comparing.md)
	@brainmri sweep "$(GRID)"

verify-bits: $(READY) ## run the pipeline in two clean clones, and compare every byte (BITS=--small: minutes)
	brainmri verify-bits $(BITS)

verify-lock: $(READY) ## check that dvc.yaml and dvc.lock are true to the code and params
	brainmri verify-lock

clean: ## remove the environment and checkpoints (DVC's cache stays)
	rm -rf $(VENV) .resume

# `make demo` and `make test` set up all they need: Python 3.11, make and git are enough.
.PHONY: demo test lint types unit browser whole clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed-from-constraints
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1

demo: $(INSTALLED)  ## the main job: corpora to tables, at the scale that params.yaml names
	python -m pipeline.scale
	dvc repro
	python -m pipeline.summary

test: $(INSTALLED) lint types unit browser whole  ## everything that CI checks

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt "torch"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

lint: $(INSTALLED)
	ruff check .
	ruff format --check .

types: $(INSTALLED)
	mypy

unit: $(INSTALLED)  ## in two processes, each file in one of them
	pytest -n 2 --dist loadfile

browser: $(INSTALLED)  ## pages in a real browser, where there is one
	pytest -m browser

whole: $(INSTALLED)  ## a `dvc repro` at the tiny scale in a clone; beside it processes that are killed: Ray, torchrun, stages
	pytest -m "(e2e or cluster) and not slow" -n 2 --dist loadfile

clean:
	rm -rf $(VENV) .synctalk .pytest_cache .mypy_cache .ruff_cache build *.egg-info

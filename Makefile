# `make quickstart` and `make test` on a fresh machine; both set up .venv first.
PYTHON ?= python3
VENV := .venv
LATEST := .venv-latest
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt

export TOKENIZERS_PARALLELISM := false
# The models here are tiny: a second thread costs more than it brings, and one thread gives the same numbers everywhere.
quickstart unit slow bench test-latest: export OMP_NUM_THREADS := 1
unit slow test-latest: export HF_HUB_OFFLINE := 1

.PHONY: quickstart install test lint unit slow test-latest bench docs clean

quickstart: install
	$(BIN)/w2s-rm run recipes/quickstart.yaml

install: $(VENV)/.installed

test: lint unit slow

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(VENV)/.installed-test
	$(BIN)/pytest -q -n 2 --dist worksteal -m "not slow" --durations=10

slow: $(VENV)/.installed-test
	$(BIN)/pytest -q -n 2 --dist loadfile -m slow -v --durations=10

# The unit tests on the newest trl 1.x, in an environment of its own.
test-latest: $(LATEST)/.installed
	$(LATEST)/bin/python -c 'from importlib.metadata import version as v; print("unit tests on trl", v("trl"))'
	$(LATEST)/bin/pytest -q -n 2 --dist worksteal -m "not slow"

bench: install
	$(BIN)/python -m benchmarks.train_step
	$(BIN)/python -m benchmarks.throughput

# Guides and reference as a site in dist/site; any warning ends it.
docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) $(LATEST) runs

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e .
	touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[test]'
	# Where there is none for the machine, the tests that need it are skipped.
	-$(PIP) --no-deps --upgrade --target $(VENV)/quantising bitsandbytes
	touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[docs]'
	touch $@ $(VENV)/.installed

$(LATEST)/.installed: pyproject.toml constraints-latest.txt
	$(PYTHON) -m venv $(LATEST)
	$(LATEST)/bin/python -m pip install -q --disable-pip-version-check -U -c constraints-latest.txt -e '.[test]'
	touch $@

# Two commands are all a newcomer needs: `make demo` and `make test`.

# The newest of the supported Pythons that runs here; `make PYTHON=...` names another.
SUPPORTED := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c '$(SUPPORTED)' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
INSTALLED := .venv/.installed
READY := .venv/.ready
DOCS := .venv/.docs

.PHONY: demo test quick floors newest lint tests format docs wheel release bench torture clean

demo: $(INSTALLED)  ## Train, evaluate and compare five methods on the embedded digits
	rm -rf runs/demo
	$(BIN)/elbax compare --data digits --model small --epochs 40 --monitor-every 2 --out runs/demo

test: lint tests  ## Lint, types, layers and the default tests

QUICK := -n 2 --dist loadfile -m "not slow and not gpu and not data" \
	tests/unit/test_*.py tests/unit/data \
	--deselect tests/unit/test_api.py --deselect tests/unit/test_door.py \
	--deselect tests/unit/test_docs.py --deselect tests/unit/test_wheel.py \
	--deselect tests/unit/test_torture.py

quick: $(READY)  ## The tests of the inner loop, about a minute on two cores
	$(BIN)/pytest $(QUICK)

floors:  ## The tests on the oldest releases that are allowed, in an environment of its own
	$(PYTHON) -m venv --clear .venv-floors
	.venv-floors/bin/pip install --quiet $$($(PYTHON) tools/floors.py) --editable ".[dev]"
	.venv-floors/bin/pip check
	.venv-floors/bin/pytest -W default::DeprecationWarning -W default::PendingDeprecationWarning \
		-n 2 --dist loadfile -m "not slow and not gpu" $(FLOORS)

newest:  ## And on the newest, where a deprecated call is an error
	$(PYTHON) -m venv --clear .venv-newest
	.venv-newest/bin/pip install --quiet --upgrade --editable ".[dev]"
	.venv-newest/bin/pip check
	.venv-newest/bin/pytest -n 2 --dist loadfile -m "not slow and not gpu" $(NEWEST)

lint: $(READY)
	$(BIN)/pip check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

tests: $(READY)
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow and not gpu"

format: $(READY)  ## Put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DOCS)  ## The site, in docs/_build/html; runs its notebooks
	$(BIN)/sphinx-build --fail-on-warning --keep-going --fresh-env -b html docs docs/_build/html

wheel: $(READY)  ## Build the wheel and try it in an empty environment
	$(BIN)/pytest -m slow tests/unit/test_wheel.py

release: $(DOCS)  ## make release VERSION=0.2.0: check, build, tag; uploads nothing
	BIN=$(BIN) tools/release.sh "$(VERSION)"

bench: $(READY)  ## Ratios within one run, as runs/bench.json; peers that are installed take part
	$(BIN)/python benchmarks/bench.py

torture: $(READY)  ## Damaged files of every kind, kills and faults in every command; hours
	$(BIN)/python benchmarks/torture.py
	$(BIN)/python benchmarks/kills.py

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "elbax needs Python 3.11, 3.12 or 3.13 and found none that runs;" \
		"install one, or name it: make PYTHON=/path/to/python"; exit 2; }
	@echo "Installing elbax into .venv with $$($(PYTHON) --version) ($(PYTHON))"
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(READY): $(INSTALLED)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[oracles]" \
		|| echo "The oracles could not be installed; their tests will be skipped."
	touch $@

$(DOCS): $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@

clean:
	rm -rf docs/_build .venv .venv-floors .venv-newest .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# Two commands are all a newcomer needs: `make demo` and `make test`.
PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test lint tests format benchmark clean

demo: $(READY)  ## Train, evaluate and compare five methods on the embedded digits
	rm -rf runs/demo
	$(BIN)/elbax compare --data digits --model small --epochs 40 --monitor-every 2 --out runs/demo

test: lint tests  ## Lint, types, layers and the default tests

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

tests: $(READY)
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow and not gpu"

format: $(READY)  ## Put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: $(READY)  ## Ratios within one run; needs PyTorch for the comparison with it
	$(BIN)/python benchmarks/step.py

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[oracles]" \
		|| echo "The oracles could not be installed; their tests will be skipped."
	touch $@

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache

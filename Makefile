# Two commands do everything on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM := false
export ANONYMIZED_TELEMETRY := False

.PHONY: run test check install clean

# PyTorch first and alone: a CPU build present on the machine is used, and nothing pulls CUDA packages in.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else f"Paddock needs Python 3.11 to 3.13; {sys.executable} is {v.major}.{v.minor}. Set PYTHON=…")'
	@echo 'Installing Paddock into $(VENV): about two minutes the first time, silent meanwhile.'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)

install: $(STAMP)

run: $(STAMP)
	$(BIN)/lf server start --example handbook

# The services-free part runs in parallel; the end-to-end part starts the whole system and has the machine to itself.
test: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadgroup -m "not e2e"
	$(BIN)/pytest -m e2e

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) .venv-clients .mypy_cache .ruff_cache .pytest_cache build *.egg-info

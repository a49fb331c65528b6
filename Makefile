# What a developer does, on Linux and macOS; CONTRIBUTING.md says how on Windows. `make` alone lists the targets.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help install test lint format types cover krita docs studio zip wheel lock findings clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -m venv .venv

install: $(BIN)/python  ## an editable installation with every tool, at the versions that CI uses
	$(BIN)/pip install -c requirements-dev.lock -e '.[dev]'

test:  ## all tests but those in Krita; make test ARGS='tests/engine -k masks' for some
	$(BIN)/pytest $(ARGS)

lint:  ## style, without changing anything
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format:  ## mend what of the style can be mended by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types:  ## pyright over the package, the assembled plugin and the tests
	$(BIN)/python .ci/check_types.py

cover:  ## the tests once more, with the branches they reach
	$(BIN)/pytest --cov --cov-report= $(ARGS)
	$(BIN)/python .ci/coverage_gate.py

krita:  ## the tests inside a real Krita; needs krita, xvfb-run and ImageMagick
	$(BIN)/pytest -m krita

docs:  ## write the pages that the code makes, check the links of all
	$(BIN)/python -m layerfusion.engine.options.docs_page >docs/fusion-settings.md
	$(BIN)/python tests/support/model_cases.py
	$(BIN)/pytest tests/test_repository.py

studio:  ## the script of the studio from its sources, and the types of its messages; needs node
	cd server/net/studio && npm ci --ignore-scripts --no-audit --no-fund
	$(BIN)/python -m layerfusion.server.protocol.json_schema | (cd server/net/studio && node make_types.mjs)
	cd server/net/studio && npm run build

zip:  ## the Krita plugin, as Krita's importer takes it
	$(BIN)/layerfusion plugin build --out dist

wheel:  ## the wheel, and a look at what is in it
	rm -rf build/lib build/bdist.*  # setuptools would pack what an earlier build left there
	$(BIN)/python -m build --wheel --outdir dist .
	$(BIN)/python .ci/check_wheel.py dist/layerfusion-*.whl

lock: $(BIN)/python  ## requirements-dev.lock anew, from the newest versions that fit
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/pip install --quiet '.[dev]'
	build/lock/bin/python .ci/lock.py

findings:  ## surprises about other people's software: are they still there? Needs the network
	@for script in findings/*.sh; do echo "== $$script"; bash "$$script" || exit 1; done

clean:  ## everything that can be made again, the environment excepted
	rm -rf build dist *.egg-info .coverage .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

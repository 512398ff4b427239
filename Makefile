# `make demo` and `make test` set themselves up: a virtual environment in .venv, everything installed into it.
PYTHON ?= python3
PYTHON313 ?= python3.13
BIN := .venv/bin

.PHONY: demo test test-colab lint docs notebooks tpu clean

demo: .venv/installed
	$(BIN)/fer-tl cv --config quickstart --run-dir runs/demo

test: .venv/installed
	$(BIN)/python -m pytest -q --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
	KERAS_BACKEND=jax $(BIN)/python -m pytest -q --numprocesses auto --maxprocesses 4 --dist loadfile -m engines \
	  tests/engines tests/devices tests/estimator tests/inference

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site, in site/: pages of docs/, and a reference made of the code. .ci/run leaves it out: the tests check its source.
docs: .venv/docs-installed
	$(BIN)/python docs/hooks/assemble.py build/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "the site: site/index.html"

# The notebooks of colab/, twice each, with the versions of a Colab runtime.
notebooks: .venv-colab/installed
	.venv-colab/bin/python colab/run_notebooks.py

# The engine's tests on JAX with the versions of a Colab runtime, the oldest that is supported; `make test` has the newest.
test-colab: .venv-colab/installed
	.venv-colab/bin/python -m pip install --quiet --disable-pip-version-check --editable . pytest pytest-xdist \
	  -c colab/requirements-colab.txt
	KERAS_BACKEND=jax .venv-colab/bin/python -m pytest -q --numprocesses auto --maxprocesses 4 --dist loadfile -m engines \
	  tests/engines tests/devices

# What a TPU would run, compiled for three of them without one: libtpu, 700 MB, and an hour on two cores. In an environment of
# its own, since fer-tl takes a machine with libtpu for one with a TPU.
TPU_BACKBONES ?= facevgg shallow_cnn mobilenetv2 efficientnetb0 resnet50 vgg16
tpu: .venv-tpu/installed
	.venv-tpu/bin/python benchmarks/tpu_compile.py --backbones $(TPU_BACKBONES)

.venv-tpu/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv-tpu
	.venv-tpu/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[jax-tpu]'
	@touch $@

.venv-colab/installed: colab/requirements-colab.txt
	@$(PYTHON313) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null || \
	  { echo "make notebooks needs Python 3.13, as Colab has. Try: make notebooks PYTHON313=/path/to/python3.13"; exit 2; }
	$(PYTHON313) -m venv .venv-colab
	.venv-colab/bin/python -m pip install --quiet --disable-pip-version-check -r colab/requirements-colab.txt
	@touch $@

.venv/installed: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "fer-tl needs Python 3.11 to 3.13; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cpu,jax,vision,serve,onnx,dev]'
	@touch $@

.venv/docs-installed: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

clean:
	rm -rf .venv .venv-colab .venv-tpu build site *.egg-info .pytest_cache .ruff_cache .mypy_cache

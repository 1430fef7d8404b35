# Every target sets up what it needs. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := build/installed
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow corpus-test fault-test soak-test cluster-test container-test coverage audit lint types contracts doctests bench bench-recovery bench-people bench-calibration bench-ablations bench-scale clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

$(VENV)/.ready: setup.cfg constraints.txt
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

demo: $(VENV)/.ready  ## simulate a small study, fit a model to it, run the main job on two participants, say where the reports are
	$(BIN)/scaae-simulate demo/data --preset demo
	$(BIN)/scaae-bids demo/data demo/out train --work-dir demo/work --nprocs $(JOBS)
	$(BIN)/scaae-bids demo/data demo/out participant --participant-label 01 02 --work-dir demo/work --nprocs $(JOBS)
	@echo "Reports: $$(ls demo/out/sub-*.html | tr '\n' ' ')"

test: lint types contracts doctests  ## everything CI checks, about 10 minutes on 2 cores
	$(BIN)/pytest -n $(JOBS) --dist loadgroup -m 'not slow'

coverage: $(VENV)/.ready  ## branch coverage of the product by the same tests; fails below 90 %
	$(BIN)/coverage erase
	$(BIN)/pytest -n $(JOBS) --dist loadgroup -m 'not slow' --cov --cov-report=term

test-slow: $(VENV)/.ready  ## the tests that take longer
	$(BIN)/pytest -m slow

cluster-test: $(VENV)/.ready  ## the chain of jobs on a real Slurm of this machine (Debian, root), under 30 minutes
	$(BIN)/python -m tools.one_machine_slurm $(BIN)/pytest -q -m slow --durations=0 --durations-min=1 \
		tests/bids_app/cluster tests/bids_app/engine/test_slurm_nodes.py tests/bids_app/job/test_slurm_job.py \
		"tests/model/training/test_training_under_slurm.py::test_a_requeued_job_goes_on_to_the_same_weights[stopped]"

container-test: $(VENV)/.ready  ## build the image and run it read-only and offline (Debian, root: podman, buildah, runc, bubblewrap)
	$(BIN)/pytest -q -s -m slow tests/test_container_image.py

fault-test: $(VENV)/.ready  ## kill calls 60 times and more, and compare what is resumed with what nobody disturbed
	$(BIN)/python -m benchmarks.faults

soak-test: $(VENV)/.ready  ## 500 small runs in one process: memory, descriptors and files stay as they were (SOAK_RUNS=200: fewer)
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -s -m slow tests/interfaces/test_soak.py

corpus-test: $(VENV)/.ready  ## all malformed inputs, in one job beside a healthy participant (SECURITY.md)
	$(BIN)/pytest tests/test_corpus.py

audit: $(VENV)/.ready  ## known vulnerabilities of the pinned dependencies (asks the network)
	$(BIN)/python -m pip install --quiet pip-audit
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip

lint: $(VENV)/.ready  ## style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The import package joins three top-level folders, which only an installed copy shows as one tree.
$(INSTALLED)/.ready: $(VENV)/.ready $(shell find scaae_nipype workflows bids_app -type f -not -name '*.pyc') setup.cfg
	rm -rf build
	$(BIN)/python -m pip install --quiet --no-deps --target $(INSTALLED) .
	rm -rf build/lib build/bdist.*
	touch $@

types: $(INSTALLED)/.ready  ## mypy
	cd build && MYPYPATH=installed ../$(BIN)/mypy --config-file ../pyproject.toml -p scaae_nipype

contracts: $(INSTALLED)/.ready  ## arrows between rooms point one way
	cd build && PYTHONPATH=installed ../$(BIN)/lint-imports --config ../pyproject.toml --no-cache

doctests: $(INSTALLED)/.ready  ## examples in docstrings
	cd build && PYTHONPATH=installed ../$(BIN)/pytest -q --doctest-modules -c ../pyproject.toml --rootdir installed installed/scaae_nipype

bench: $(VENV)/.ready  ## time and memory against the published layout (docs/benchmarks.md)
	$(BIN)/python -m benchmarks.engine

bench-recovery: $(VENV)/.ready  ## planted networks: rivals in classes, beside bounds and chance (docs/judge.md); goes on where it stopped
	$(BIN)/python -m benchmarks.judge quick --jobs $(JOBS)

bench-people: $(VENV)/.ready  ## the same on real people, ten splits (needs the reference material); goes on where it stopped
	$(BIN)/python -m benchmarks.judge people

bench-calibration: $(VENV)/.ready  ## false positives and power of the tests (docs/calibration.md); goes on where it stopped
	$(BIN)/python -m benchmarks.calibration temporal
	$(BIN)/python -m benchmarks.calibration spatial
	$(BIN)/python -m benchmarks.calibration noise
	$(BIN)/python -m benchmarks.calibration lag
	$(BIN)/python -m benchmarks.calibration group
	$(BIN)/python -m benchmarks.calibration report

bench-ablations: $(VENV)/.ready  ## networks with one part left out (docs/ablations.md); goes on where it stopped
	$(BIN)/python -m benchmarks.ablations

bench-scale: $(VENV)/.ready  ## a tree of 1,000 participants planned, runs measured, groups of 1,000 and 4,000 (docs/scale.md)
	$(BIN)/python -m benchmarks.scale

clean:  ## remove what the targets made
	rm -rf build demo $(VENV) .mypy_cache .ruff_cache .pytest_cache .coverage .coverage.*

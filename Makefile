# Every target works from a bare clone: it makes .venv and installs what is missing, under the pins of constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
PLUGINS := $(wildcard plugins/*)
SOURCES := pyproject.toml constraints.txt kernels/pyproject.toml $(PLUGINS:%=%/pyproject.toml)

.PHONY: quickstart test test-cluster torture check perf gpu docs clean

quickstart: .venv/.installed  ## install, run the quickstart benchmark, print its leaderboard
	$(BIN)/mlbench run quickstart

test: .venv/.installed-dev  ## all tests and doctests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

check: .venv/.installed-dev  ## style, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy mlbench kernels/mlbench_kernels
	$(BIN)/lint-imports --no-cache

test-cluster: .venv/.installed-dev  ## Ray and SLURM's stand-in, with workers, nodes and the head killed; installs both; minutes
	$(PIP) --editable '.[ray,slurm]'
	$(BIN)/python -m pytest tests/e2e/on_ray.py tests/e2e/on_slurm.py --verbose --durations=0

torture: .venv/.installed-dev  ## a study under 200 kills, full disks and wrong clocks; half an hour, less on an idle machine
	$(BIN)/python tests/e2e/torture/torture.py --write

perf: .venv/.installed-dev  ## end-to-end figures beside their peers', into leaderboards/performance; an idle machine, half an hour
	$(PIP) --editable '.[peers]'
	OMP_NUM_THREADS=1 MLBENCH_BENCH_FIGURES=leaderboards/performance $(BIN)/python -m pytest -s \
		$(wildcard $(foreach name,execution loader losses retrieval step,tests/perf/bench_$(name).py))

gpu:  ## kernels checked and timed on a CUDA GPU, under eight minutes; installs nothing: needs torch and Triton
	PYTHONPATH=$(CURDIR)/kernels$(PYTHONPATH:%=:%) $(or $(wildcard $(BIN)/python),$(PYTHON)) -m mlbench_kernels.bench \
		--folder $(or $(OUT),leaderboards/kernels)

docs: .venv/.installed  ## put committed measurements and the literature's tables into the pages that show them
	$(BIN)/python -m mlbench_kernels.bench.readme kernels/README.md $(sort $(wildcard leaderboards/kernels/*/bench.json))
	$(BIN)/python -m mlbench.leaderboard.pages leaderboards/published

.venv/.installed: $(SOURCES)
	@echo "installing the pinned packages into .venv: some minutes the first time"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable kernels --editable .
	touch $@

.venv/.installed-dev: .venv/.installed
	$(PIP) --editable '.[dev]' $(PLUGINS:%=--editable %)
	touch $@

clean:
	rm -rf .venv

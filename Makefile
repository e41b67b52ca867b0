# Nothing needs doing before `make demo` or `make test` beyond Python (3.11 or newer) and make.
# Everything is installed into .venv; PYTHON=python3.12 picks the Python, VENV=... another place.

VENV ?= .venv
OUT ?= out/demo
# torch for the tests of training: auto (where the index has a CPU build), yes, no
TORCH ?= auto
TORCH_VERSION ?= 2.13.0
# TensorRT for RTX for the tests that build engines: auto (where the index has it), no
TENSORRT_RTX ?= auto
TENSORRT_RTX_VERSION ?= 1.7.1.116
PYTEST ?=
ALL_PYTHONS ?= 3.11 3.12 3.13

PETS ?= $(or $(REID_TRACKER_SHARED),../shared)/data/tracking/PETS09-S2L1

# A GPU machine without network: GPU_PYTHON=python3 names a Python that has torch, onnx and pytest. No environment is made
# then; what that Python lacks is taken from build/gpu-wheels, which `make gpu-wheels` fills where there is network.
GPU_PYTHON ?=
GPU_WHEELS ?= build/gpu-wheels
GPU_WHEELS_PYTHON ?= 3.12

BIN := $(VENV)/bin
CODE := reid_tracker tests tools benchmarks demos engines
SETTINGS := setup.cfg pyproject.toml tools/environment.sh

export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: train-gpu train-gpu-piece gpu-wheels help demo test test-fast test-gpu test-all-pythons lint format types licences docs bench bench-gpu wheel clean

help:  ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

$(VENV)/.installed: $(SETTINGS)
	@tools/environment.sh $(VENV)
	@touch $@

$(VENV)/.installed-dev: $(SETTINGS) tools/torch_if_cheap.sh tools/tensorrt_if_there.sh
	@tools/environment.sh $(VENV) dev
	@tools/torch_if_cheap.sh $(VENV) $(TORCH) $(TORCH_VERSION)
	@tools/tensorrt_if_there.sh $(VENV) $(TENSORRT_RTX) $(TENSORRT_RTX_VERSION)
	@touch $@ $(VENV)/.installed

# On a GPU torch is wanted whatever it weighs, and TensorRT where its vendor has it for this system.
$(VENV)/.installed-gpu: $(VENV)/.installed-dev
	@tools/torch_if_cheap.sh $(VENV) yes $(TORCH_VERSION)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --editable '.[tensorrt]' || \
		echo "What needs TensorRT will be left out: it is not to be had for this system"
	@touch $@

GPU_SITE := $(CURDIR)/build/gpu-site
GPU_SITE_READY := $(if $(wildcard $(GPU_WHEELS)/*.whl),$(GPU_SITE)/.installed)
WITH_GPU_SITE := PYTHONPATH=$(GPU_SITE)$(if $(PYTHONPATH),:$(PYTHONPATH))
ifdef GPU_PYTHON
GPU_READY := $(GPU_SITE_READY)
RUN_ON_GPU := $(WITH_GPU_SITE) $(GPU_PYTHON)
else
GPU_READY := $(VENV)/.installed-gpu
RUN_ON_GPU := $(BIN)/python
endif

$(GPU_SITE)/.installed: $(wildcard $(GPU_WHEELS)/*.whl)
	@$(TRAIN_PYTHON) -m pip install --quiet --disable-pip-version-check --no-index --no-deps --upgrade \
		--target $(GPU_SITE) $^
	@touch $@

# Their needs without numpy, which comes with torch and must stay the one that torch was built for.
gpu-wheels:  ## build/gpu-wheels: what a GPU machine without network lacks (GPU_WHEELS_PYTHON=3.12)
	@rm -f $(GPU_WHEELS)/*.whl
	@for packages in pydantic "--no-deps lap"; do \
		$(TRAIN_PYTHON) -m pip download --quiet --disable-pip-version-check --only-binary=:all: \
			--implementation cp --python-version $(GPU_WHEELS_PYTHON) --dest $(GPU_WHEELS) \
			$(foreach tag,2_28 2_27 2_24 2_17,--platform manylinux_$(tag)_x86_64) --platform manylinux2014_x86_64 \
			$$packages || exit 1; \
	done

demo: $(VENV)/.installed  ## follow people through the two-camera clip; results in out/demo
	@$(BIN)/reid-tracker demo --out $(OUT)
	@echo
	@echo "Open $(OUT)/report.html in a browser: one row per person, with pictures, times and the reasons for each link."

test: lint types licences docs  ## everything the project tests; sets up by itself
	$(BIN)/python -m pytest $(PYTEST)

test-fast: lint types  ## the tests that take seconds, under two minutes together
	$(BIN)/python -m pytest -m "not slow" $(PYTEST)

test-gpu: $(GPU_READY)  ## what needs an NVIDIA GPU, a few minutes; fails where there is none
	REQUIRE_GPU=1 $(RUN_ON_GPU) -m pytest tests/engines tests/gpu $(PYTEST)

test-all-pythons:  ## make test-fast under each supported Python
	@for version in $(ALL_PYTHONS); do \
		$(MAKE) test-fast VENV=$(VENV)-$$version PYTHON=python$$version TORCH=no || exit 1; \
	done

lint: $(VENV)/.installed-dev  ## ruff: rules and format
	$(BIN)/ruff check $(wildcard $(CODE))
	$(BIN)/ruff format --check $(wildcard $(CODE))

format: $(VENV)/.installed-dev  ## let ruff format the code
	$(BIN)/ruff format $(wildcard $(CODE))
	$(BIN)/ruff check --fix $(wildcard $(CODE))

types: $(VENV)/.installed-dev  ## mypy, strict
	$(BIN)/mypy $(shell $(BIN)/python -c 'import torch' 2>/dev/null || echo "--exclude 'reid_tracker/(training|gpu)/' --follow-imports silent")

licences: $(VENV)/.installed-dev  ## no GPL or AGPL in what is installed by default
	$(BIN)/python tools/check_licences.py reid_tracker

docs: $(VENV)/.installed-dev  ## links between the documents hold
	$(BIN)/python tools/check_links.py

# Training on an accelerator: RECIPE=alignedreid_large_gpu|alignedreid_small_gpu, REID_DATA, START, TEACHER; docs/training.md.
RECIPE ?= alignedreid_large_gpu
PACK ?= build/$(RECIPE).pack
RUN ?= out/training/$(RECIPE)
MINUTES ?= 9
TRAIN_PYTHON ?= $(or $(GPU_PYTHON),python3)
TRAIN_OPTIONS ?=

$(PACK):
	$(TRAIN_PYTHON) -m tools.pack_training --recipe reid_tracker/training/recipes/$(RECIPE).toml --data "$(REID_DATA)" \
		$(if $(START),--start "$(START)") $(if $(TEACHER),--teacher "$(TEACHER)") --out $@

# One piece: goes on from the checkpoint in $(RUN), else from its small state, else begins; ends after MINUTES.
train-gpu-piece: $(PACK) $(GPU_SITE_READY)  ## at most MINUTES (9) of it; the next call goes on from there
	$(WITH_GPU_SITE) $(TRAIN_PYTHON) -m reid_tracker.cli -v train --recipe reid_tracker/training/recipes/$(RECIPE).toml --pack $(PACK) \
		--out $(RUN) --minutes $(MINUTES) --keep-state $(RUN)/state.fp16.pt \
		$(if $(wildcard $(RUN)/state.fp16.pt),--resume $(RUN)/state.fp16.pt) $(TRAIN_OPTIONS)

train-gpu:  ## the whole recipe on an accelerator, in pieces of MINUTES (9), each resuming from the last
	@until grep -qs '"finished": true' $(RUN)/progress.json; do \
		$(MAKE) --no-print-directory train-gpu-piece || exit 1; \
	done

# A benchmark whose material is absent says so, and the next one runs.
bench: $(VENV)/.installed-dev  ## the figures that the README quotes; benchmarks/README.md says what each needs
	-$(BIN)/python -m benchmarks.engines
	-$(BIN)/python -m benchmarks.detection
	-$(BIN)/python -m benchmarks.pipeline speed --video $(PETS)/vtest.avi
	-$(BIN)/python -m benchmarks.pipeline memory --video $(PETS)/vtest.avi --detections $(PETS)/det/det.txt
	-$(BIN)/python -m benchmarks.tracking.pets
	-$(BIN)/python -m benchmarks.tracking.public_detections
	-$(BIN)/python -m benchmarks.association.pets
	-$(BIN)/python -m benchmarks.association.market_replay
	-$(BIN)/python -m benchmarks.association.all --quick
	-$(BIN)/python -m benchmarks.aligned_distance
	-$(BIN)/python -m benchmarks.reid_market --model engines/alignedreid_small

bench-gpu: $(GPU_READY)  ## speeds on a GPU, some eight minutes; with VIDEO=... also of 1 to 8 cameras
	$(RUN_ON_GPU) -m benchmarks.gpu
	$(if $(VIDEO),$(RUN_ON_GPU) -m benchmarks.pipeline cameras --video $(VIDEO))

wheel: $(VENV)/.installed  ## dist/*.whl
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

clean:  ## remove what was built and installed here
	rm -rf $(VENV) $(foreach version,$(ALL_PYTHONS),$(VENV)-$(version)) build dist out *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(wildcard $(CODE)) -name __pycache__ -type d -prune -exec rm -rf {} +

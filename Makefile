SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

PYTHON ?= python3
REPOSITORY ?= model_repository
ARGS ?=
EXTRAS ?=
WORKERS ?= 3
SPEECH_DATA ?= ../shared/data
PEERS_FOLDER := .peers
TRITON_IMAGE ?= nvcr.io/nvidia/tritonserver:24.10-py3
GPUS ?= all
PORTS ?= 8000-8002

RUNTIME := .venv/bin/python
EXPORT := .venv-export/bin/python
PIP := -m pip install --quiet --disable-pip-version-check
WHEEL = $(RUNTIME) -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist
KENLM_VERSION := $(shell sed -n 's/^set(KENLM_VERSION \(.*\))/\1/p' client/native/kenlm.cmake)
# What the compiled search is made of.
NATIVE := $(addprefix client/native/,pyproject.toml CMakeLists.txt kenlm.cmake) \
    $(wildcard client/native/src/* client/native/nemo_ctc_search/*)
CHECK_PYTHON := $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
    { echo "Python 3.11 or 3.12 is needed: run make with PYTHON=python3.11" >&2; exit 1; }
# Tests that need NeMo; the others run in .venv.
EXPORT_TESTS := tests/export tests/integration/test_parity.py
# What the extra test-serving holds; the commands of the docs, which tests run, install nothing more.
TEST_EXTRAS := benchmark docs pyctcdecode ray tokenizer tune
# A file's tests share servers, so each file goes to one worker whole; tests/conftest.py orders them.
PARALLEL = --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder

# Before anything is installed for a command that cannot run.
ifneq ($(filter export verify peers,$(MAKECMDGOALS)),)
$(foreach variable,CHECKPOINT NAME,$(if $($(variable)),,$(error \
    $(variable) is missing: make $(MAKECMDGOALS) CHECKPOINT=model.nemo NAME=english)))
endif

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-15s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: setup $(REPOSITORY)/demo/config.pbtxt ## Set up, export the demo checkpoint, serve it, transcribe, print a table
	@$(RUNTIME) -m demo --repository $(REPOSITORY)

.PHONY: export
export: setup ## Export CHECKPOINT=file.nemo as NAME=model into model_repository/, and verify it
	$(EXPORT) -m export build --checkpoint "$(CHECKPOINT)" --name "$(NAME)" --repository $(REPOSITORY) $(ARGS)

.PHONY: verify
verify: setup ## Compare the model NAME=… with its CHECKPOINT=…, in ONNX Runtime and through Triton
	$(EXPORT) -m export verify --checkpoint "$(CHECKPOINT)" --name "$(NAME)" --repository $(REPOSITORY) $(ARGS)

.PHONY: verification
verification: setup ## Verify every family at full size and write docs/verification.md (an hour on a CPU)
	$(EXPORT) -m export.verification --manifest $(SPEECH_DATA)/an4/test_manifest.json \
	    --calibration-manifest $(SPEECH_DATA)/an4/train_manifest.json $(ARGS)

.PHONY: serve
serve: .venv/.installed ## Serve model_repository/ on this machine's CPU
	$(RUNTIME) -m server --repository $(REPOSITORY) $(ARGS)

.PHONY: serve-gpu
serve-gpu: ## Serve model_repository/ on this machine's GPUs, in NVIDIA's container
	docker run --rm --gpus "$(GPUS)" --user 1000:1000 --read-only --tmpfs /tmp --shm-size 1g \
	    --cap-drop ALL --security-opt no-new-privileges --stop-timeout 45 \
	    --publish 127.0.0.1:$(PORTS):8000-8002 --volume "$(abspath $(REPOSITORY)):/models:ro" \
	    $(TRITON_IMAGE) tritonserver --model-repository=/models --disable-auto-complete-config \
	    --exit-timeout-secs=30 --metrics-config=summary_latencies=true $(ARGS)

.PHONY: test
test: test-packages setup .venv/.with-test-serving .venv-export/.with-test setup-peers kenlm-tools .cache/kubectl $(REPOSITORY)/demo/config.pbtxt ## Run all tests
	@status=0; \
	$(EXPORT) -m pytest $(EXPORT_TESTS) $(ARGS) > .cache/export-tests.log 2>&1 & \
	$(RUNTIME) -m pytest $(PARALLEL) tests $(addprefix --ignore=,$(EXPORT_TESTS)) $(ARGS) || status=1; \
	wait $$! || status=1; \
	cat .cache/export-tests.log; exit $$status

.PHONY: test-packages
test-packages:
	@PYTHON=$(PYTHON) constraints/system-packages.sh build kenlm test

.cache/kubectl: tests/deploy/fetch_kubectl.py | .venv/.with-test-serving
	$(RUNTIME) $< $@

.PHONY: docs
docs: .venv/.with-docs ## Make the documentation as a site that needs no network
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet
	@echo "open .cache/site/index.html; for its search: .venv/bin/mkdocs serve" >&2

.PHONY: lint
lint: .venv/.with-lint ## Check style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

.PHONY: format
format: .venv/.with-lint ## Mend style where a tool can
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

.PHONY: setup
setup: .venv/.installed .venv-export/.installed ## Make both Python environments

.venv/.installed: pyproject.toml constraints/runtime.txt dist/.search
	@echo "installing .venv: client and server" >&2
	$(RUNTIME) $(PIP) -c constraints/runtime.txt -e '.[demo]'
	$(RUNTIME) $(PIP) --no-deps --force-reinstall dist/nemo_ctc_search-*.whl
	@touch $@

# pip builds in build/, where modules that were deleted since would stay and be shipped.
.PHONY: wheel
wheel: dist/.search ## Build dist/: the client's wheel, and its search's, which installs without a compiler
	rm -rf build
	$(WHEEL) .

dist/.search: $(NATIVE) | .venv/bin/python
	@PYTHON=$(PYTHON) constraints/system-packages.sh build
	@echo "compiling the search, a minute" >&2
	rm -f dist/nemo_ctc_search-*.whl
	$(WHEEL) ./client/native
	@touch $@

.venv/bin/python:
	@PYTHON=$(PYTHON) constraints/system-packages.sh build
	@$(CHECK_PYTHON)
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.PHONY: extras
extras: $(EXTRAS:%=.venv/.with-%) ## Add EXTRAS="tune ray tokenizer" to .venv, for the commands and options that need them

.venv/.with-%: .venv/.installed
	@echo "installing into .venv: $*" >&2
	$(RUNTIME) $(PIP) -c constraints/runtime.txt -e '.[$*]'
	@touch $@ $(if $(filter test-serving,$*),$(TEST_EXTRAS:%=.venv/.with-%))

.venv-export/.installed: pyproject.toml constraints/export.txt
	@PYTHON=$(PYTHON) constraints/system-packages.sh build
	@echo "installing .venv-export: NeMo, torch, ONNX (about 2 GB)" >&2
	@$(CHECK_PYTHON)
	$(PYTHON) -m venv .venv-export
	$(EXPORT) $(PIP) -c constraints/export.txt -e '.[export]'
	@touch $@

.venv-export/.with-test: .venv-export/.installed
	@echo "installing into .venv-export: test" >&2
	$(EXPORT) $(PIP) -c constraints/export.txt -e '.[test-export]'
	@touch $@

$(REPOSITORY)/demo/config.pbtxt: demo/demo.nemo client/wire/contract.py $(wildcard export/*.py export/*/*.py) | setup
	$(EXPORT) -m export build --checkpoint demo/demo.nemo --name demo --repository $(REPOSITORY)

.PHONY: bench
bench: setup .venv/.with-benchmark .cache/bench/demo/config.pbtxt ## Put the demo model under load, and make a table, plots and a page of it
	$(RUNTIME) -m benchmarks serve --repository .cache/bench --model demo --lengths uniform:1:10 \
	    --concurrency 1 16 64 --rate 20 --seconds 8 --repeats 2 --output .cache/bench.json $(ARGS)
	@echo "open .cache/bench.html" >&2

.PHONY: bench-gpu
bench-gpu: $(if $(PARTS),.cache/bench-gpu/.installed,.venv/.with-benchmark) ## On a CUDA machine: measure the bundle in PARTS=folder, or NAME=model of model_repository/
ifdef PARTS
	status=0; for model in $$(ls $(<D)/models); do for parts in "parity speed" triton compiled; do \
	    $(<D)/environment/bin/python -m benchmarks.gpu run --bundle $(<D) --model $$model --parts $$parts \
	    --results $(<D)-results $(ARGS) || status=1; done; done; \
	$(<D)/environment/bin/python -m benchmarks.gpu report --results $(<D)-results; exit $$status
else
	@mkdir -p .cache
	$(RUNTIME) -m benchmarks serve --repository $(REPOSITORY) --gpu --model $(or $(NAME),demo) \
	    --concurrency 1 64 256 --repeats 2 --output .cache/bench-gpu.json $(ARGS)
endif

# From the bundle's wheels: nothing is fetched.
.cache/bench-gpu/.installed: $(PARTS)/SHA256SUMS
	rm -rf $(@D)
	mkdir -p $(@D)
	(cd "$(PARTS)" && sha256sum --check --quiet SHA256SUMS >&2 && cat part-*) | tar -xz -C $(@D)
	$(PYTHON) -m benchmarks.gpu install --bundle $(@D)
	@touch $@

.cache/bench/demo/config.pbtxt: demo/demo.nemo client/wire/contract.py $(wildcard export/*.py export/*/*.py) | setup
	$(EXPORT) -m export build --checkpoint demo/demo.nemo --name demo --repository .cache/bench --serving cpu --without-triton

.PHONY: setup-peers
setup-peers: .venv-peers/.installed ## Install onnx-asr and sherpa-onnx, which we compare with

.venv-peers/.installed: pyproject.toml constraints/peers.txt
	@echo "installing .venv-peers: onnx-asr, sherpa-onnx" >&2
	@$(CHECK_PYTHON)
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python $(PIP) -c constraints/peers.txt -e '.[peers]'
	@touch $@

.PHONY: peers
peers: setup .venv/.with-benchmark setup-peers $(filter $(PEERS_FOLDER)/checkpoints/%.nemo,$(CHECKPOINT)) ## Compare CHECKPOINT=file.nemo with NeMo, onnx-asr and sherpa-onnx, as NAME=model
	$(EXPORT) -m export build --checkpoint "$(CHECKPOINT)" --name "$(NAME)" --repository $(PEERS_FOLDER)/repository \
	    --without-triton --serving cpu --cores 2 --precision fp32
	$(EXPORT) -m benchmarks.peers.prepare --checkpoint "$(CHECKPOINT)" --name "$(NAME)" --folder $(PEERS_FOLDER)
	$(RUNTIME) -m benchmarks peers "$(NAME)" --folder $(PEERS_FOLDER) \
	    --speech $(SPEECH_DATA)/an4/train_manifest.json $(ARGS)

# Random weights at full size: fastconformer, quartznet.
$(PEERS_FOLDER)/checkpoints/%.nemo: | setup
	$(EXPORT) -m benchmarks.peers.checkpoints $* --folder $(PEERS_FOLDER)

.PHONY: freeze
freeze: setup .venv-export/.with-test .venv/.with-test-serving .venv/.with-lint setup-peers ## Write the versions installed now to constraints/
	for pair in .venv:runtime .venv-export:export .venv-peers:peers; do \
	    file=constraints/$${pair#*:}.txt; \
	    { head -1 $$file; $${pair%:*}/bin/pip freeze --exclude-editable --exclude nemo-ctc-search | sed 's/+cpu$$//'; } > $$file.new; \
	    mv $$file.new $$file; \
	done

.PHONY: train-demo
train-demo: setup .venv/.with-tune kenlm-tools ## Make the demo's data, checkpoint, language model and clips anew (hours on a CPU)
	@constraints/system-packages.sh speech
	$(EXPORT) -m demo.prepare
	$(EXPORT) -m demo.train
	$(EXPORT) -m demo.language_model
	$(EXPORT) -m demo.clips
	$(EXPORT) -m export build --checkpoint demo/demo.nemo --name demo --repository $(REPOSITORY)
	$(RUNTIME) -m demo.choose_weights --repository $(REPOSITORY)  # writes demo/beam.json

.PHONY: train-subwords
train-subwords: setup ## Train the subword variant of the demo that tests use (up to 43 minutes on a CPU)
	@constraints/system-packages.sh speech
	test -f demo/data/train.jsonl || $(EXPORT) -m demo.prepare
	$(EXPORT) -m demo.train --subwords 96 --start-from demo/demo.nemo --steps 1000 \
	    --output tests/assets/subwords.nemo

.PHONY: kenlm-tools
kenlm-tools: .kenlm/bin/lmplz ## Compile KenLM's lmplz and build_binary

.kenlm/bin/lmplz: | .venv/.installed
	@constraints/system-packages.sh kenlm
	$(RUNTIME) -m pip download --quiet --no-deps --no-binary kenlm --dest .kenlm kenlm==$(KENLM_VERSION)
	tar -xzf .kenlm/kenlm-$(KENLM_VERSION).tar.gz -C .kenlm
	@echo "compiling KenLM, half a minute" >&2
	@{ cmake -S .kenlm/kenlm-$(KENLM_VERSION) -B .kenlm -DCMAKE_BUILD_TYPE=Release && \
	    cmake --build .kenlm --target lmplz build_binary --parallel 2; } > .kenlm/build.log 2>&1 || \
	    { cat .kenlm/build.log >&2; exit 1; }

.PHONY: clean
clean: ## Remove environments and caches; exported models stay
	rm -rf .venv .venv-export .venv-peers .kenlm build dist client/native/build .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Every target makes .venv with what it needs and runs there, so each works as the first command on a fresh machine.
# pip is used as the user has configured it.

PYTHON ?= python3
BOARD ?= ulx3s-85f
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check

# gcc links artifacts, and g++ builds simulations; musl-gcc makes edge-run independent of the device's libc; the rest
# builds artifacts for 64-bit Arm and for Arm microcontrollers, runs them here, and deploys them over ssh;
# chromium opens the pages that searches write; the compiler for RISC-V makes the firmware of the accelerator's system;
# llvm-19 predicts cycles of loops.
SYSTEM_PACKAGES := gcc g++ libc6-dev musl-tools gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static \
  gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm openssh-server openssh-client chromium \
  gcc-riscv64-unknown-elf llvm-19
SYSTEM_TOOLS := gcc g++ musl-gcc aarch64-linux-gnu-gcc qemu-aarch64-static arm-none-eabi-gcc qemu-system-arm ssh sshd chromium \
  riscv64-unknown-elf-gcc llvm-mca-19
# Where sshd is, and only root looks.
export PATH := $(PATH):/usr/sbin

# Two test processes on two cores: more threads inside each would only wait for one another.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test test-all accept-random accept-random-arm accept-pulse accept-ecg accept-mininet accept-wave accept-hw accept-bitstream bitstream accept-gates formal lint wheel build/lint-site system-packages advise-system-packages clean accept-search

help:
	@echo "make demo      simulate, train, compile and verify a pulse extractor, and show what came out"
	@echo "make test      the fast tests (minutes); those whose tool is missing are skipped and named"
	@echo "make test-all  all tests, after installing the system packages they need (root or sudo)"
	@echo "make accept-random  20,000 random graphs on every instruction set (hours; goes on where it was stopped)"
	@echo "make accept-random-arm  5,000 of them on 64-bit Arm, under qemu (hours)"
	@echo "make accept-pulse   whole trainings against their goals (minutes; goes on where it was stopped)"
	@echo "make accept-ecg     three seeds of the ECG network beside convolutions (an hour; goes on where it was stopped)"
	@echo "make accept-mininet a whole training of depth against its goals (half an hour; goes on where it was stopped)"
	@echo "make accept-wave    a one-way wave network and its dense twin, likewise"
	@echo "make accept-hw      random layers, networks and 2,000 pulses on the simulated accelerator (minutes)"
	@echo "make formal         proves the arithmetic of the accelerator's RTL, and that the proofs find faults (minutes)"
	@echo "make bitstream      a bitstream for the ULX3S board, with open tools (half an hour, once); BOARD=ecp5-25f: a smaller one"
	@echo "make accept-bitstream  places and routes the boards and looks at their clocks (an hour or two)"
	@echo "make accept-gates   simulates the netlist that synthesis makes of the array (minutes)"
	@echo "make accept-search  a search that is killed twenty times; predictors against evolution (minutes)"
	@echo "make lint      ruff and mypy, on the sources and on the installed wheel"
	@echo "make wheel     the wheel, in dist/"
	@echo "make clean     remove .venv and everything built"

demo: $(VENV)/.stamp-demo advise-system-packages
	$(BIN)/edgeconv demo

test: $(VENV)/.stamp-test advise-system-packages
	$(PYTEST) -m "not slow and not accept"

test-all: system-packages $(VENV)/.stamp-test
	EDGECONV_REQUIRE_TOOLS=1 $(PYTEST) -m "not accept"

accept-pulse: $(VENV)/.stamp-test
	OMP_NUM_THREADS=1 nice $(BIN)/python -m pytest -s -m accept tests/models/pulse

accept-ecg: $(VENV)/.stamp-test
	OMP_NUM_THREADS=1 nice $(BIN)/python -m pytest -s -m accept tests/models/ecg_mamba

accept-mininet: $(VENV)/.stamp-test
	OMP_NUM_THREADS=1 nice $(BIN)/python -m pytest -s -m accept tests/models/mininet

accept-wave: $(VENV)/.stamp-test
	OMP_NUM_THREADS=1 nice $(BIN)/python -m pytest -s -m accept tests/models/oneway_wave

accept-hw: $(VENV)/.stamp-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -s -m accept tests/hw --ignore tests/hw/boards --ignore tests/hw/formal

formal: $(VENV)/.stamp-formal
	$(BIN)/python -m edgeconv.hw.formal
	$(BIN)/python -m pytest -m accept -k 'not for_all_operands' tests/hw/formal

bitstream: $(VENV)/.stamp-hw
	$(BIN)/python -m edgeconv.hw.boards $(BOARD)

accept-bitstream: $(VENV)/.stamp-hw
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -s -m accept tests/hw/boards

accept-gates: $(VENV)/.stamp-hw
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -s -m accept tests/hw/boards/test_gates.py

accept-search: $(VENV)/.stamp-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m accept -s tests/search

accept-random: $(VENV)/.stamp-test
	OMP_NUM_THREADS=1 nice $(BIN)/python scripts/random_graphs.py --processes 2

accept-random-arm: $(VENV)/.stamp-test
	OMP_NUM_THREADS=1 nice $(BIN)/python scripts/random_graphs.py --machine arm --graphs 5000 --processes 2

lint: build/lint-site
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@# Below its installed names the package is complete: models, targets and hw have moved in.
	cd build/lint-site && ../../$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../mypy-cache -p edgeconv

wheel: $(VENV)/.stamp-test
	@# Left-overs of an earlier build would be packed again, files deleted since among them.
	rm -rf build/lib build/bdist.* dist
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

build/lint-site: wheel
	rm -rf $@
	$(PIP_INSTALL) --no-deps --no-compile --target $@ dist/edgeconv-*.whl

# --- what the targets above stand on -----------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "edgeconv needs Python 3.11 or later; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# setup.py and pyproject.toml are all that an editable installation depends on.
INSTALL_INPUTS := pyproject.toml setup.py | $(BIN)/python

$(VENV)/.stamp-test: $(INSTALL_INPUTS)
	@echo "installing what the tests need into $(VENV) (minutes, once)"
	$(PIP_INSTALL) --editable '.[dev,train,report,search-cluster,cuda,cuda-nvrtc]'
	@touch $@ $(VENV)/.stamp-demo

$(VENV)/.stamp-hw: $(VENV)/.stamp-test
	@echo "installing yosys and nextpnr into $(VENV) (minutes, once)"
	$(PIP_INSTALL) --editable '.[hw]'
	@touch $@

$(VENV)/.stamp-formal: $(VENV)/.stamp-test
	@echo "installing yosys and a solver into $(VENV) (minutes, once)"
	$(PIP_INSTALL) --editable '.[formal]'
	@touch $@

$(VENV)/.stamp-demo: $(INSTALL_INPUTS)
	@echo "installing what training needs into $(VENV) (minutes, once)"
	$(PIP_INSTALL) --editable '.[train,report]'
	@touch $@

advise-system-packages:
	@for tool in $(SYSTEM_TOOLS); do \
	  command -v $$tool >/dev/null || echo "note: $$tool is not here; to have it: apt-get install $(SYSTEM_PACKAGES)"; \
	done

system-packages:
	@missing=; for tool in $(SYSTEM_TOOLS); do command -v $$tool >/dev/null || missing=1; done; \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" = 0 ]; then as_root=; elif command -v sudo >/dev/null; then as_root=sudo; \
	  else echo "as root: apt-get install $(SYSTEM_PACKAGES)"; exit 1; fi; \
	  $$as_root apt-get update -qq && \
	  $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(SYSTEM_PACKAGES); \
	fi

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

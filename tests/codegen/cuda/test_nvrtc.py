"""NVRTC, the second way to compile for GPUs: the same instructions as from nvcc, in an image for each architecture."""

from __future__ import annotations

import pytest

from edgeconv.codegen.cuda import nvcc, nvrtc
from edgeconv.codegen.cuda.compilers import find_cuda_compiler
from edgeconv.codegen.cuda.nvrtc import Nvrtc, find_nvrtc
from edgeconv.errors import ToolError
from tests.codegen.cuda.test_source import generated

_ELF_OF_CUDA = 190  # EM_CUDA


def _found() -> Nvrtc:
    found = find_nvrtc()
    assert found is not None
    return found


@pytest.mark.needs_nvrtc
@pytest.mark.parametrize("whole", [True, False])
def test_machine_code_and_ptx_of_every_architecture_asked_for(whole: bool) -> None:
    turing, hopper, later = _found().images(generated(whole=whole)[1].source, ("sm_75", "sm_90", "compute_90"))
    assert [(image.capability, image.ptx) for image in (turing, hopper, later)] == [
        (75, False),
        (90, False),
        (90, True),
    ]
    for image in (turing, hopper):
        assert image.data[:4] == b"\x7fELF"
        assert int.from_bytes(image.data[18:20], "little") == _ELF_OF_CUDA
    assert later.data[-1:] == b"\0"
    ptx = later.data.decode()
    for instruction in ("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32", "dp4a.u32.s32", "fma.rn.f32", "fma.rn.f64"):
        assert instruction in ptx
    assert ".ftz" not in ptx


@pytest.mark.needs_nvrtc
def test_a_product_and_a_sum_are_not_contracted() -> None:
    source = 'extern "C" __global__ void k(float* x) { x[0] = x[1] * x[2] + x[3] / x[4]; }'
    ptx = _found().images(source, ("compute_90",))[0].data.decode()
    assert "fma." not in ptx
    assert "div.rn.f32" in ptx


@pytest.mark.needs_nvrtc
def test_nvrtcs_own_message_is_shown() -> None:
    with pytest.raises(ToolError, match=r"(?s)for sm_90.*identifier") as caught:
        _found().images('extern "C" __global__ void k() { unknown(); }', ("sm_90",))
    assert caught.value.exit_code == 4
    with pytest.raises(ToolError, match="may not know the architecture"):
        _found().images("", ("sm_13",))


@pytest.mark.needs_nvrtc
def test_nvrtc_serves_where_there_is_no_nvcc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvcc, "_candidates", lambda: iter(()))
    assert find_cuda_compiler().name == "nvrtc"


def test_without_either_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvcc, "_candidates", lambda: iter(()))
    monkeypatch.setattr(nvrtc, "_candidates", lambda: iter(("/nowhere/libnvrtc.so",)))
    find_nvrtc.cache_clear()
    with pytest.raises(ToolError, match=r"pip install 'edgeconv\[cuda\]'") as caught:
        find_cuda_compiler()
    find_nvrtc.cache_clear()
    assert caught.value.exit_code == 4

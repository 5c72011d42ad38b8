"""A runner takes and gives numpy arrays, and says clearly what does not fit."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

import edgeconv
from edgeconv import reference
from edgeconv.errors import ArtifactError, DeviceError, InputError, UsageError
from edgeconv.runtime import library
from edgeconv.runtime.runner import Runner
from tests.artifact.double import built, copied, copy_program, golden, quantize_program

pytestmark = pytest.mark.needs_gcc

X = golden(quantize_program())["x"]
Y = reference.run(quantize_program(), {"x": X})["y"]


@pytest.fixture(params=["fast", "general"])
def runner(request: pytest.FixtureRequest) -> Runner:
    """The same behaviour is asked of the short way and of the general one."""
    loaded = edgeconv.load(built())
    if request.param == "general":
        loaded._fast = lambda *_: None
    else:
        assert loaded._fast(X[0]) is not None, "the short way is open on this interpreter"
    return loaded


@pytest.mark.parametrize("shape", [(1, 1, 8), (6, 1, 8), (6, 1, 1, 8), (1, 1, 1, 8), (0, 1, 8)])
def test_shapes_of_one_and_of_many_samples(runner: Runner, shape: tuple[int, ...]) -> None:
    count = int(np.prod(shape)) // 8
    result = runner(X[:count].reshape(shape))
    assert result.shape == shape
    assert result.dtype == np.float32
    assert result.tobytes() == Y[:count].tobytes()


def test_out_is_filled_and_returned(runner: Runner) -> None:
    for x, y in ((X[0], Y[0]), (X, Y)):
        out = np.full(y.shape, 99, np.float32)
        assert runner(x, out=out) is out
        assert out.tobytes() == y.tobytes()


def test_results_are_arrays_of_their_own(runner: Runner) -> None:
    first = runner(X[0])
    runner(X[1])
    assert first.tobytes() == Y[0].tobytes()


def test_a_mapping_of_the_single_input(runner: Runner) -> None:
    assert runner({"x": X}).tobytes() == Y.tobytes()


def test_any_alignment_and_read_only_memory(runner: Runner) -> None:
    raw = np.zeros(X[0].nbytes + 1, np.uint8)
    odd = raw[1:].view(np.float32).reshape(1, 1, 8)
    odd[...] = X[0]
    odd.flags.writeable = False
    assert runner(odd).tobytes() == Y[0].tobytes()


def test_nan_gives_the_zero_point(runner: Runner) -> None:
    assert runner(np.full((1, 1, 8), np.nan, np.float32)).tolist() == [[[0.0] * 8]]


@pytest.mark.parametrize(
    ("x", "problem"),
    [
        (X[0].astype(np.float64), r"input 'x' has dtype float64\n  expected: float32\n  try: x.astype"),
        (X[0].astype(">f4"), "has dtype >f4"),
        (X[0][..., :4].copy(), r"\(1, 1, 4\)\n.*\(1, 1, 8\) for one sample, \(N, 1, 8\) or \(N, 1, 1, 8\) for N"),
        (X[:, ::-1][..., ::-1], r"not C-contiguous .*\n  try: numpy.ascontiguousarray"),
        (X[0].tolist(), "input 'x' is of type list\n  expected: a numpy array of float32"),
        ({"z": X}, "inputs named z\n  expected: exactly x"),
        ({}, r"inputs named \(none\)"),
        (None, "of type NoneType"),
    ],
)
def test_what_does_not_fit_is_named(runner: Runner, x: object, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        runner(x)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("out", "problem"),
    [
        (np.empty((1, 8), np.float32), r"out for 'y' is float32 of shape \(1, 8\)\n  expected: float32 of shape"),
        (np.empty((1, 1, 8), np.float64), "out for 'y' is float64"),
        (np.empty((1, 1, 16), np.float32)[..., ::2], "not C-contiguous"),
        ({"z": np.empty((1, 1, 8), np.float32)}, "out has the names z"),
        ("text", "out for 'y' is of type str"),
    ],
)
def test_an_out_that_does_not_fit_is_named(runner: Runner, out: object, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        runner(X[0], out=out)


def test_out_may_not_share_memory_with_the_input(runner: Runner) -> None:
    x = X[0].copy()
    with pytest.raises(InputError, match="out shares memory with input 'x'"):
        runner(x, out=x)
    assert x.tobytes() == X[0].tobytes()
    locked = np.empty((1, 1, 8), np.float32)
    locked.flags.writeable = False
    with pytest.raises(InputError, match="not C-contiguous and writable"):
        runner(x, out=locked)


def test_several_inputs_and_outputs_are_dicts() -> None:
    arrays = golden(copy_program())
    runner = edgeconv.load(built("copy"))
    result = runner(arrays)
    assert list(result) == ["wide", "thin"]
    assert result["wide"].tobytes() == arrays["adc"].tobytes()
    assert result["thin"].shape == (6, 1, 3, 1)
    one = runner({name: array[0] for name, array in arrays.items()})
    assert (one["wide"].shape, one["thin"].shape) == ((1, 2, 2), (1, 3, 1))
    out = {"wide": np.zeros((6, 1, 2, 2), np.int16), "thin": np.zeros((6, 1, 3, 1), np.uint8)}
    assert runner(arrays, out=out) is out
    assert out["thin"].tobytes() == arrays["gain"].tobytes()
    with pytest.raises(InputError, match="one array for 2 inputs"):
        runner(arrays["adc"])
    with pytest.raises(InputError, match="different numbers of samples: 6 of 'adc', 5 of 'gain'"):
        runner({"adc": arrays["adc"], "gain": arrays["gain"][:5]})


@pytest.mark.parametrize("value", [2048, -2049])
def test_integers_outside_a_narrow_type_are_refused(value: int) -> None:
    arrays = golden(copy_program())
    arrays["adc"][2, 0, 1] = value
    with pytest.raises(InputError, match=rf"input 'adc' holds .*{abs(value)}.*\n  expected: -2048…2047 \(i12\)"):
        edgeconv.load(built("copy"))(arrays)


def test_run_has_the_interface_of_the_reference() -> None:
    arrays = golden(copy_program())
    found, expected = edgeconv.load(built("copy")).run(arrays), reference.run(copy_program(), arrays)
    assert {name: (a.shape, a.tobytes()) for name, a in found.items()} == {
        name: (a.shape, a.tobytes()) for name, a in expected.items()
    }
    with pytest.raises(InputError, match=r"expected: \(N, 1, 4\)"):
        edgeconv.load(built("copy")).run({name: array[0] for name, array in arrays.items()})


def test_many_threads_at_once(runner: Runner) -> None:
    many = np.tile(X, (2000, 1, 1, 1))
    expected, wrong = np.tile(Y, (2000, 1, 1, 1)).tobytes(), []

    def work() -> None:
        for index in range(30):
            if runner(many).tobytes() != expected or runner(X[index % 6]).tobytes() != Y[index % 6].tobytes():
                wrong.append(index)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_instruction_set_can_be_chosen() -> None:
    assert edgeconv.load(built()).isa == "avx2"
    chosen = edgeconv.load(built(), isa="generic")
    assert chosen.isa == "generic"
    assert chosen(X).tobytes() == Y.tobytes()
    with pytest.raises(
        UsageError, match="does not carry the instruction set 'avx512vnni'\n  expected: generic or avx2"
    ):
        edgeconv.load(built(), isa="avx512vnni")


def test_a_cpu_without_the_features_is_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "missing_features", lambda name: ("avx2", "fma"))
    with pytest.raises(DeviceError, match="generic needs avx2, fma; avx2 needs avx2, fma") as caught:
        edgeconv.load(built())
    assert caught.value.exit_code == 4


def test_an_altered_artifact_does_not_load(tmp_path: Path) -> None:
    artifact = copied(tmp_path)
    with (artifact / "weights.npz").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ArtifactError, match=r"weights\.npz was altered"):
        edgeconv.load(artifact)


def test_errors_do_not_leak_references(runner: Runner) -> None:
    import sys

    x = X[0].copy()
    before = sys.getrefcount(x), sys.getrefcount(None)
    for _ in range(1000):
        runner(x)
        runner._fast(x, x)
        runner._fast("text")
    assert sys.getrefcount(x) == before[0]
    assert abs(sys.getrefcount(None) - before[1]) < 500

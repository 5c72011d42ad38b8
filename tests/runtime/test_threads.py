"""Threads share a call, and nothing else changes: not a bit, whoever comes first, however many there are."""

from __future__ import annotations

import gc
import os
import subprocess
import threading
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import edgeconv
from edgeconv import reference
from edgeconv.api import compile_program
from edgeconv.artifact import build
from edgeconv.errors import UsageError
from edgeconv.runtime.cpu_features import supported_isas
from edgeconv.runtime.runner import Runner
from tests.artifact.double import built, golden, quantize_program
from tests.generate import Case, Choices, random_case

pytestmark = pytest.mark.needs_gcc

SEED = 26  # convolutions and their requants, a concat, a cast
X = golden(quantize_program())["x"]
Y = reference.run(quantize_program(), {"x": X})["y"]


@cache
def case() -> Case:
    return random_case(Choices.seeded(SEED), size=3, first="conv", repeat=2)


@pytest.fixture(scope="module", params=["generic", "avx2"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact whose code threads share, though it is small."""
    if request.param not in supported_isas():
        pytest.skip(f"this CPU does not run {request.param}")
    target = {"generic": "generic", "avx2": "x86-64-avx2"}[request.param]
    before, build.SHARED_MACS = build.SHARED_MACS, 0
    try:
        return compile_program(case().program, tmp_path_factory.mktemp("shared") / "shared.edge", target).path
    finally:
        build.SHARED_MACS = before


def samples(count: int) -> dict[str, np.ndarray]:
    return {name: np.resize(array, (count, *array.shape[1:])) for name, array in case().inputs.items()}


def different(runner: Runner, inputs: dict[str, np.ndarray]) -> list[str]:
    """Names of the outputs whose bytes differ from the reference's."""
    found, expected = runner.run(inputs), reference.run(case().program, inputs)
    return [name for name, array in expected.items() if found[name].tobytes() != array.tobytes()]


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_any_number_of_threads_gives_the_same_bits(shared: Path, threads: int) -> None:
    runner = edgeconv.load(shared, threads=threads)
    wrong = {count: different(runner, samples(count)) for count in (1, 2, 3, 4, 5, 9)}
    assert not any(wrong.values()), wrong


def test_thousands_of_calls_with_more_threads_than_cores(shared: Path) -> None:
    runner = edgeconv.load(shared, threads=4)
    inputs = samples(1)
    expected = {name: array.tobytes() for name, array in reference.run(case().program, inputs).items()}
    for _ in range(1500):
        assert {name: array.tobytes() for name, array in runner.run(inputs).items()} == expected


def test_two_callers_at_once_share_no_helper(shared: Path) -> None:
    runner = edgeconv.load(shared, threads=2)
    expected = reference.run(case().program, samples(3))
    wrong: list[str] = []

    def call() -> None:
        for _ in range(200):
            found = runner.run(samples(3))
            wrong.extend(name for name, array in expected.items() if found[name].tobytes() != array.tobytes())

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert wrong == []


@pytest.mark.parametrize("threads", [1, 2, 4, 16])
def test_small_models_are_shared_sample_by_sample(threads: int) -> None:
    runner = edgeconv.load(built(), threads=threads)
    for count in (1, 2, 3, 6, 50, 1000):
        x = np.resize(X, (count, *X.shape[1:]))
        assert runner(x).tobytes() == np.resize(Y, x.shape).tobytes()


def test_helpers_end_with_the_runner() -> None:
    def helpers() -> int:
        return sum(thread.name == "edgeconv" for thread in threading.enumerate())

    gc.collect()
    before = helpers()
    runner = edgeconv.load(built(), threads=3)
    assert helpers() == before + 2
    del runner
    gc.collect()
    assert helpers() == before


def test_a_forked_child_goes_on_without_helpers() -> None:
    runner = edgeconv.load(built(), threads=2)
    runner(X)
    child = os.fork()
    if child == 0:
        os._exit(0 if runner(X).tobytes() == Y.tobytes() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert runner(X).tobytes() == Y.tobytes()


def test_numbers_of_threads_that_cannot_be() -> None:
    for threads in (0, 65):
        with pytest.raises(UsageError, match="1 to 64"):
            edgeconv.load(built(), threads=threads)


def test_edge_run_and_its_self_test(shared: Path) -> None:
    one, four = (
        subprocess.run([shared / "edge-run", "--self-test", shared / "golden", "--threads", n], capture_output=True)
        for n in ("1", "4")
    )
    assert (one.returncode, one.stdout) == (0, four.stdout)
    command = [built() / "edge-run", "--format", "raw", "--threads", "3"]
    assert subprocess.run(command, input=X.tobytes(), capture_output=True, check=True).stdout == Y.tobytes()
    stream = [built() / "edge-run", "--stream", "--hop", "1", "--format", "raw"]
    outputs = [
        subprocess.run([*stream, "--threads", n], input=X.tobytes(), capture_output=True, check=True).stdout
        for n in ("1", "2")
    ]
    assert outputs[0] == outputs[1] != b""

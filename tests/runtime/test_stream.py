"""Streams of points through real pipes: `edge-run --stream` and `edgeconv run --stream` give the same records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeconv import reference
from edgeconv.artifact import read
from edgeconv.artifact.stream import STREAM_DTYPES
from tests.artifact.double import PROGRAMS, built, narrow_program, write_double

pytestmark = pytest.mark.needs_gcc

ENTRY = [sys.executable, "-c", "import sys; from edgeconv.cli import main; sys.exit(main(sys.argv[1:]))"]
WAYS = ("edge-run", "edgeconv")


def command(way: str, *options: object, model: str = "quantize", folder: Path | None = None) -> list[str]:
    artifact = folder or built(model)
    start = [str(artifact / "edge-run")] if way == "edge-run" else [*ENTRY, "run", str(artifact)]
    words = [str(option) for option in options]
    if way == "edgeconv":
        words = ["--record" if word == "--format" else word for word in words]
    return [*start, "--stream", *words]


def run(way: str, *options: object, stdin: bytes, model: str = "quantize") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command(way, *options, model=model), input=stdin, capture_output=True, check=False)


def windows(points: NDArray[Any], window: int, hop: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """First points, and samples (n, channels, window), of all whole windows of points (n, channels)."""
    starts = np.arange(0, len(points) - window + 1, hop)
    samples = [points[start : start + window].T for start in starts]
    return starts, np.array(samples).reshape(-1, points.shape[1], window)


def expected(model: str, points: NDArray[Any], window: int, hop: int) -> bytes:
    """The raw records that the reference gives."""
    program = PROGRAMS[model][0]()
    ((name, type_),) = program.inputs.items()
    starts, samples = windows(points, window, hop)
    x = samples.astype(type_.dtype.container).reshape(-1, *type_.shape)
    (results,) = reference.run(program, {name: x}).values()
    records = zip(starts, results.reshape(len(results), -1), strict=True)
    return b"".join(int(start).to_bytes(8, "little") + row.tobytes() for start, row in records)


def random_points(dtype: str, count: int, channels: int, seed: int = 0) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    low = 0 if dtype[0] == "u" else -100
    values = rng.integers(low, 100, (count, channels))
    return (values / 8 if dtype[0] == "f" else values).astype(STREAM_DTYPES[dtype])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("hop", [1, 3, 4, 7], ids=lambda hop: f"hop{hop}")
def test_overlapping_windows_equal_the_reference(way: str, hop: int) -> None:
    points = random_points("f32", 30_011, 2, seed=hop)
    done = run(way, "--channels", 2, "--hop", hop, "--format", "raw", stdin=points.tobytes())
    assert done.returncode == 0, done.stderr
    assert done.stdout == expected("quantize", points, 4, hop)


# A process of Python costs half a second, and numpy knows its dtypes: three of them are enough.
IN_PYTHON = [("edgeconv", "i16", "big"), ("edgeconv", "u8", "little"), ("edgeconv", "f64", "big")]
IN_C = [("edge-run", dtype, order) for dtype in STREAM_DTYPES for order in ("little", "big")]


@pytest.mark.parametrize(("way", "dtype", "order"), IN_C + IN_PYTHON)
def test_every_dtype_in_both_byte_orders(way: str, dtype: str, order: str) -> None:
    points = random_points(dtype, 203, 1)
    sent = points.astype(points.dtype.newbyteorder(order)).tobytes()
    options = ["--dtype", dtype, "--byte-order", order, "--hop", 5, "--format", "raw"]
    assert run(way, *options, stdin=sent).stdout == expected("quantize", points, 8, 5)


@pytest.mark.parametrize("way", WAYS)
def test_integers_become_the_narrow_type_of_the_input(way: str) -> None:
    options = ["--dtype", "i32", "--hop", 2, "--format", "raw"]
    points = random_points("i32", 5_000, 2) * 20
    whole = expected("narrow", points, 4, 2)
    assert run(way, *options, stdin=points.astype("<i4").tobytes(), model="narrow").stdout == whole
    points[4_321, 1] = 2048
    done = run(way, *options, stdin=points.astype("<i4").tobytes(), model="narrow")
    assert done.returncode == 2
    assert b"point 4321, channel 1: 2048" in done.stderr
    assert whole.startswith(done.stdout), "records before it are right"


@pytest.mark.parametrize("way", WAYS)
def test_text_records_and_the_end_of_the_stream(way: str) -> None:
    points = np.arange(19, dtype="<f4").reshape(19, 1)
    done = run(way, "--hop", 5, stdin=points.tobytes())
    rows = [[int(line.split()[0]), *map(float, line.split()[1:])] for line in done.stdout.decode().splitlines()]
    assert rows == [[start, *range(start, start + 8)] for start in (0, 5, 10)]
    assert b"1 points after the last whole window are dropped" in done.stderr
    done = run(way, "--hop", 5, "--index", "no", "--partial", "zero", stdin=points.tobytes())
    assert done.stdout.decode().splitlines()[-1] == "15 16 17 18 0 0 0 0"
    done = run(way, "--hop", 5, "--partial", "error", stdin=points.tobytes())
    assert (done.returncode, b"1 points after the last whole window" in done.stderr) == (2, True)
    done = run(way, stdin=points.tobytes()[:-1])
    assert (done.returncode, b"ends inside point 18, after 3 of 4 bytes" in done.stderr) == (2, True)
    assert run(way, stdin=b"").stdout == b""


@pytest.mark.parametrize("way", WAYS)
def test_points_between_windows_are_passed_over_unread(way: str) -> None:
    points = random_points("f32", 70_000, 1)
    points[100:30_000] = np.nan
    done = run(way, "--hop", 30_000, "--format", "raw", stdin=points.tobytes())
    assert done.returncode == 0
    assert done.stderr == b""
    assert done.stdout == expected("quantize", points, 8, 30_000)


@pytest.mark.parametrize("way", WAYS)
def test_nan_is_refused_unless_told_otherwise(way: str) -> None:
    points = random_points("f32", 16, 1)
    points[11] = np.nan
    done = run(way, stdin=points.tobytes())
    assert (done.returncode, b"--allow-nan" in done.stderr) == (2, True)
    done = run(way, "--allow-nan", stdin=points.tobytes())
    assert done.stdout.decode().splitlines()[1].split()[4] == "0"


def _pipe(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


@pytest.mark.parametrize("way", WAYS)
def test_a_record_comes_as_soon_as_its_window_is_whole(way: str) -> None:
    points = random_points("f32", 14, 1)
    with subprocess.Popen(command(way, "--hop", 3), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        stdin, stdout = _pipe(process)
        for start, end in ((0, 33), (33, 44), (44, 56)):  # bytes: cut inside points
            stdin.write(points.tobytes()[start:end])
            stdin.flush()
            if start < 44:
                assert stdout.readline().split()[0] == str(start // 11).encode(), "before more is sent"
        stdin.close()
        assert stdout.read().count(b"\n") == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_slow_reader_loses_nothing(way: str) -> None:
    points = random_points("f32", 60_000, 1)
    options = command(way, "--hop", 4, "--format", "raw")
    read_end, write_end = os.pipe()
    with subprocess.Popen(options, stdin=read_end, stdout=subprocess.PIPE) as process:
        os.close(read_end)
        child = os.fork()
        if child == 0:
            os.write(write_end, b"")
            with os.fdopen(write_end, "wb") as sink:
                sink.write(points.tobytes())
            os._exit(0)
        os.close(write_end)
        assert process.stdout is not None
        found = b""
        while piece := os.read(process.stdout.fileno(), 50_000):
            found += piece
            time.sleep(0.005)
        os.waitpid(child, 0)
    assert found == expected("quantize", points, 8, 4)


@pytest.mark.parametrize("way", WAYS)
def test_a_closed_pipe_is_reported(way: str) -> None:
    options = command(way, "--hop", 1)
    with subprocess.Popen(options, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        stdin, stdout = _pipe(process)
        stdin.write(bytes(400))
        stdin.flush()
        stdout.readline()
        stdout.close()
        try:
            stdin.write(bytes(40_000))
            stdin.close()
        except BrokenPipeError:
            pass
        assert process.stderr is not None
        assert b"standard output was closed by its reader after" in process.stderr.read()
    assert process.returncode == 2


_LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (6 << 20, 6 << 20))
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.needs_musl
def test_memory_stays_fixed_and_the_summary_counts(tmp_path: Path) -> None:
    points = random_points("i16", 500_000, 1)
    path = tmp_path / "points"
    points.tofile(path)
    for hop in (8, 1):
        options = ["--dtype", "i16", "--hop", hop, "--format", "raw", "--summary", "-i", path, "-o", tmp_path / "y"]
        words = [sys.executable, "-c", _LIMITED, *command("edge-run", *options)]
        done = subprocess.run(words, capture_output=True, check=True)
        summary = json.loads(done.stderr)
        assert (summary["points"], summary["windows"]) == (500_000, (500_000 - 8) // hop + 1)
        assert (tmp_path / "y").stat().st_size == 40 * summary["windows"]


def test_wrong_settings_say_what_would_fit() -> None:
    for way in WAYS:
        found = {
            "window": run(way, "--window", 3, stdin=b""),
            "hop": run(way, "--hop", 0, stdin=b""),
            "dtype": run(way, "--dtype", "f32", stdin=b"", model="narrow"),
            "inputs": run(way, stdin=b"", model="copy"),
        }
        assert {name: done.returncode for name, done in found.items()} == dict.fromkeys(found, 2)
        assert b" = 8, the values of input 'x'" in found["window"].stderr
        assert b"expected: an integer dtype" in found["dtype"].stderr
        assert b"expected: a model with one input" in found["inputs"].stderr
    plain = subprocess.run([built() / "edge-run", "--hop", "3"], input=b"", capture_output=True, check=False)
    assert b"an option of --stream without --stream" in plain.stderr


def test_the_manifest_holds_the_defaults(tmp_path: Path) -> None:
    stream = read(built("narrow")).manifest.stream
    assert stream is not None
    assert (stream.dtype, stream.byte_order, stream.channels, stream.window, stream.hop) == ("i16", "little", 2, 4, 4)
    assert read(built("copy")).manifest.stream is None
    changed = {"dtype": "i16", "byte_order": "big", "hop": 2, "record": "raw", "index": False}
    artifact = write_double(tmp_path / "changed.edge", narrow_program(), stream=changed)
    points = random_points("i16", 400, 2)
    whole = np.frombuffer(expected("narrow", points, 4, 2), np.uint8).reshape(-1, 24)
    for way in WAYS:
        done = subprocess.run(
            command(way, folder=artifact.path), input=points.astype(">i2").tobytes(), capture_output=True, check=True
        )
        assert done.stdout == whole[:, 8:].tobytes()

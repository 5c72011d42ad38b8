"""A bad line: whatever is damaged, lost or doubled, nothing hangs and no wrong result is taken for a right one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeconv.errors import DeviceError
from edgeconv.hw.compiler import ArrayRun, CompiledNetwork
from edgeconv.hw.host import Board
from edgeconv.hw.host.frames import Frame, frame_from_bytes
from edgeconv.hw.soc.spec import IDENT, MOST_PAYLOAD, REPLY, Operation, Reason
from edgeconv.ir import Program
from tests.hw.running import compile_for_array
from tests.hw.soc.faults import FaultyLine, run_until
from tests.hw.soc.firmware_double import GoldenDouble, HostFirmware, build
from tests.hw.test_refusals import conv, half, program

FAULTS, FAULTS_IN_SIMULATION = 10_000, 120
RATE = 0.25


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("firmware"))


@pytest.fixture
def line(firmware: Path) -> Iterator[HostFirmware]:
    with HostFirmware(firmware) as opened:
        yield opened


def convolution() -> Program:
    """A network of some hundred bus writes."""
    operator, w = conv(outputs=20)
    return program(operator, half(), shape=(1, 4, 40), w=w)


def network() -> CompiledNetwork:
    """The same for the array."""
    return compile_for_array(convolution())


def samples(rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    """Random inputs of the network."""
    return {"x": rng.integers(0, 256, (count, 1, 4, 40)).astype(np.uint8)}


def same(found: ArrayRun, expected: ArrayRun) -> bool:
    """Every result and every count of cycles."""
    return (found.cycles == expected.cycles).all() and all(
        (found.outputs[name] == array).all() for name, array in expected.outputs.items()
    )


@pytest.mark.slow
@pytest.mark.needs_gcc
def test_ten_thousand_faults_never_give_a_wrong_result_and_never_a_hang(line: HostFirmware) -> None:
    rng = np.random.default_rng(21)
    image = network().image
    golden = GoldenDouble(image)
    faulty = FaultyLine(line, rng, RATE)
    board = Board(faulty, attempts=12)
    loaded = right = given_up = 0
    while sum(faulty.faults.values()) < FAULTS:
        try:
            if not loaded or rng.random() < 0.02:
                loaded, board = 0, Board(faulty, attempts=12)  # a host that starts again in the middle of anything
                board.request(Operation.BEGIN, begin_other_network())
                board.load(image)
                loaded = 1
            inputs = samples(rng, 2)
            found = board.run(inputs)
            assert same(found, golden.run(inputs)), "a wrong result was taken for a right one"
            right += 2
        except DeviceError:
            given_up += 1
            loaded = 0
    assert min(faulty.faults.values()) > FAULTS / 20
    assert right > 1000
    assert given_up < right / 100
    faulty.rate = 0.0
    board.load(image)
    inputs = samples(rng, 3)
    assert same(board.run(inputs), golden.run(inputs)), "the line is right again, the results are not"


def begin_other_network() -> bytes:
    """The payload of a BEGIN of some network of which nothing follows."""
    return np.array([77, 5, 1, 10, 0], "<u4").tobytes()


@pytest.mark.slow
@pytest.mark.needs_gcc
def test_requests_at_random_are_answered_and_touch_nothing_they_must_not(line: HostFirmware) -> None:
    """Right checksums around anything; the double ends at any access that no firmware may make."""
    rng = np.random.default_rng(22)
    reasons = set()
    for request in range(1, 8000):
        operation = int(rng.integers(1, 15))
        size = 4 * int(rng.integers(0, 40)) if rng.random() < 0.9 else int(rng.integers(0, MOST_PAYLOAD + 1))
        words = rng.choice([0, 1, 2, 3, 5, 8, 40, 1024, 2**15, 2**31, 2**32 - 1, int(rng.integers(2**32))], 260)
        version = 1 if rng.random() < 0.98 else 2
        line.write(Frame(operation, request, words.astype("<u4").tobytes()[:size], version).to_bytes())
        replies = [frame_from_bytes(piece) for piece in line.read(0).split(b"\0") if piece]
        assert len(replies) == 1
        assert replies[0] is not None
        if size % 4:
            assert replies[0].request == 0
        else:
            assert replies[0].request == request
            assert replies[0].operation in (operation | REPLY, Operation.REFUSED | REPLY)
        if replies[0].operation == Operation.REFUSED | REPLY:
            reasons.add(int.from_bytes(replies[0].payload[:4], "little"))
    assert reasons == {*(Reason.CHECKSUM, Reason.VERSION, Reason.LENGTH, Reason.OPERATION, Reason.STATE, Reason.RANGE)}
    assert Board(line).facts().cpu_hz == 1_000_000


@pytest.mark.needs_gcc
@pytest.mark.parametrize(
    ("garbage", "reason"),
    [
        (b"\0" * 50, None),
        (b"\x05abc\0", Reason.CHECKSUM),
        (b"\xff" * 3000 + b"\0", Reason.TOO_LONG),
        (Frame(1, 5, b"").to_bytes()[:-4], Reason.INTERRUPTED),
        (Frame(1, 5, b"").to_bytes()[:-4] + b"\0", Reason.CHECKSUM),
    ],
    ids=["zeros", "no frame", "too long", "interrupted", "cut off"],
)
def test_after_garbage_the_next_frame_is_understood(line: HostFirmware, garbage: bytes, reason: Reason | None) -> None:
    line.write(garbage)
    said = [frame_from_bytes(piece) for piece in line.read(0).split(b"\0") if piece]
    expected = [] if reason is None else [Frame(Operation.REFUSED | REPLY, 0, reason.to_bytes(4, "little") + bytes(4))]
    assert said == expected
    line.write(Frame(Operation.HELLO, 9, b"").to_bytes())
    answer = frame_from_bytes(line.read(0).strip(b"\0"))
    assert answer is not None
    assert (answer.request, answer.payload[:4]) == (9, IDENT.to_bytes(4, "little"))


@pytest.mark.needs_gcc
def test_a_request_that_comes_twice_is_done_once(line: HostFirmware) -> None:
    board = Board(line)
    image = network().image
    board.load(image)
    inputs = samples(np.random.default_rng(3), 1)
    row = image.input_words(inputs)[1][0]
    request = Frame(Operation.RUN, 1000, bytes(4) + row.tobytes()).to_bytes()
    answers = []
    for _ in range(3):
        line.write(request)
        answers.append(line.read(0))
        line.write(b"\x09garbage\0")  # is refused, and the answer kept
        line.read(0)
    assert answers[0] == answers[1] == answers[2]
    again = Frame(Operation.RUN, 1001, (0).to_bytes(4, "little")).to_bytes()
    line.write(again)
    refused = frame_from_bytes(line.read(0).strip(b"\0"))
    assert refused is not None
    assert refused.payload[:4] == Reason.STATE.to_bytes(4, "little"), "a sample is not run twice"


def test_a_board_that_never_answers_is_given_up() -> None:
    class Silence:
        name = "silence"
        written = 0

        def write(self, data: bytes) -> None:
            self.written += 1

        def read(self, seconds: float) -> bytes:
            return b""

        def close(self) -> None:
            pass

    silence = Silence()
    with pytest.raises(DeviceError, match="silence does not answer: HELLO was sent 5 times"):
        Board(silence, attempts=5).facts()
    assert silence.written == 5


def test_a_line_that_never_falls_silent_is_given_up() -> None:
    class Noise:
        name = "noise"

        def write(self, data: bytes) -> None:
            pass

        def read(self, seconds: float) -> bytes:
            return b"\x01noise"

        def close(self) -> None:
            pass

    with pytest.raises(DeviceError, match="noise does not answer"):
        Board(Noise(), seconds=0.01, attempts=2).facts()


@pytest.mark.slow
@pytest.mark.needs_verilator
@pytest.mark.needs_riscv
def test_faults_on_the_line_of_the_simulated_system() -> None:
    board, line, done = run_until(FAULTS_IN_SIMULATION, seed=23, rate=RATE, batch=2, attempts=20)
    assert done >= 10
    line.rate = 0.0
    assert board.facts().restarts == 0

"""The serial port, on pseudo terminals."""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import termios
import threading
from collections.abc import Iterator

import pytest

from edgeconv.errors import DeviceError, UsageError
from edgeconv.hw.host.serial_port import SerialPort

TIOCGEXCL = 0x80045440


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    master, slave = os.openpty()
    yield master, os.ttyname(slave)
    os.close(slave)
    os.close(master)


def test_every_byte_goes_through_as_it_is(terminal: tuple[int, str]) -> None:
    master, path = terminal
    port = SerialPort(path, 1_000_000)
    every = bytes(range(256))
    port.write(every)
    assert os.read(master, 1000) == every
    os.write(master, every)
    found = b""
    while len(found) < len(every):
        found += port.read(1.0)
    assert found == every
    assert termios.tcgetattr(master)[4] == termios.B1000000
    port.close()


def test_silence_gives_nothing_in_time(terminal: tuple[int, str]) -> None:
    assert SerialPort(terminal[1]).read(0.01) == b""


def test_more_than_the_line_holds_waits_for_the_reader(terminal: tuple[int, str]) -> None:
    master, path = terminal
    port = SerialPort(path)
    data = os.urandom(50_000)
    writer = threading.Thread(target=port.write, args=(data,))
    writer.start()
    found = b""
    while len(found) < len(data):
        found += os.read(master, 4096)
    writer.join()
    assert found == data


def test_what_is_plugged_out_has_gone() -> None:
    master, slave = os.openpty()
    port = SerialPort(os.ttyname(slave))
    os.close(slave)
    os.close(master)
    with pytest.raises(DeviceError, match="plugged in"):
        port.read(1.0)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "/dev/no-such-port",
            "/dev/no-such-port cannot be opened: No such file or directory\n  try: plug the board in",
        ),
        ("/dev/null", "/dev/null cannot be opened: .*\n  try: name a serial port: this is none"),
    ],
)
def test_what_is_no_port_is_refused(path: str, text: str) -> None:
    with pytest.raises(DeviceError, match=text):
        SerialPort(path)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_a_port_belongs_to_one_program(terminal: tuple[int, str]) -> None:
    port = SerialPort(terminal[1])
    again = os.open(terminal[1], os.O_RDWR | os.O_NOCTTY) if os.geteuid() == 0 else None
    if again is None:
        with pytest.raises(DeviceError, match="close the other program"):
            SerialPort(terminal[1])
    else:  # root opens what belongs to others, and can ask
        assert struct.unpack("i", fcntl.ioctl(again, TIOCGEXCL, bytes(4))) == (1,)
        os.close(again)
    port.close()


def test_a_rate_that_does_not_exist_is_refused(terminal: tuple[int, str]) -> None:
    with pytest.raises(
        UsageError, match=r"17 bits a second\n  expected: .*115200|17 bits a second\n  expected: .*3000000"
    ):
        SerialPort(terminal[1], 17)

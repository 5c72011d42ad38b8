"""A board behind a serial port: POSIX terminals through the standard library, so that nothing has to be installed."""

from __future__ import annotations

import errno
import os
import select
from typing import Any

from edgeconv.errors import DeviceError, UsageError

__all__ = ["DEFAULT_BAUD", "SerialPort"]

DEFAULT_BAUD = 115_200
_PIECE = 4096
_STUCK = 5.0
"""Seconds after which a port that takes no byte is given up."""


class SerialPort:
    """8N1 without flow control; a `Transport`.

    Args:
        path: of the port, such as /dev/ttyUSB0.
        baud: bits a second; the ones that this system's terminals know.

    Raises:
        DeviceError: it cannot be opened, is no serial port, or belongs to another program.
        UsageError: there is no such rate.
    """

    def __init__(self, path: str, baud: int = DEFAULT_BAUD) -> None:
        self.name = path
        self._port = -1
        # Only here: Windows has no terminals, and says so when one is asked for.
        try:
            import fcntl
            import termios
        except ImportError as error:
            raise DeviceError("serial ports need a POSIX system", advice="WSL2 with usbipd") from error
        rate = getattr(termios, f"B{baud}", None)
        if rate is None:
            rates = sorted(int(name[1:]) for name in vars(termios) if name[0] == "B" and name[1:].isdigit())
            raise UsageError(f"{baud} bits a second", expected=", ".join(map(str, rates[-12:])))
        try:
            self._port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            fcntl.ioctl(self._port, termios.TIOCEXCL)
            termios.tcsetattr(self._port, termios.TCSANOW, _settings(termios, rate))
            termios.tcflush(self._port, termios.TCIOFLUSH)
        except termios.error as error:
            self.close()
            raise DeviceError(f"{path} cannot be set up: {error.args[1]}") from error
        except OSError as error:
            self.close()
            raise _open_error(path, error) from error

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            DeviceError: the port is gone, or takes nothing.
        """
        left = memoryview(data)
        while left:
            if not select.select([], [self._port], [], _STUCK)[1]:
                raise DeviceError(f"{self.name} takes no bytes", advice="unplug the board and plug it in again")
            try:
                left = left[os.write(self._port, left) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise DeviceError(f"{self.name}: {error.strerror}", advice="is the board plugged in?") from error

    def read(self, seconds: float) -> bytes:
        """What has come; empty where nothing came in that time.

        Raises:
            DeviceError: the port is gone.
        """
        if not select.select([self._port], [], [], seconds)[0]:
            return b""
        try:
            data = os.read(self._port, _PIECE)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise DeviceError(f"{self.name}: {error.strerror}", advice="is the board plugged in?") from error
        if not data:
            raise DeviceError(f"{self.name} has gone", advice="is the board plugged in?")
        return data

    def close(self) -> None:
        """Let go of the port."""
        if self._port >= 0:
            os.close(self._port)
            self._port = -1


def _settings(termios: Any, rate: int) -> list[Any]:
    """Raw bytes: input, output, control and local flags, speeds, special characters."""
    control = termios.CS8 | termios.CREAD | termios.CLOCAL
    characters: list[bytes | int] = [b"\0"] * termios.NCCS
    characters[termios.VMIN], characters[termios.VTIME] = 0, 0
    return [0, 0, control, 0, rate, rate, characters]


def _open_error(path: str, error: OSError) -> DeviceError:
    advice = {
        errno.ENOENT: "plug the board in; `ls /dev/ttyUSB* /dev/ttyACM*` shows what there is",
        errno.EACCES: "become a member of the port's group (often dialout), and log in again",
        errno.EBUSY: "close the other program that has it open",
        errno.ENOTTY: "name a serial port: this is none",
    }
    return DeviceError(f"{path} cannot be opened: {error.strerror}", advice=advice.get(error.errno or 0))

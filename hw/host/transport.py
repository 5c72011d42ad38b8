"""What a board is reached through: bytes out, bytes in, either of which may get lost."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Transport"]


class Transport(Protocol):
    """A line of bytes. `name` is what errors call it."""

    name: str

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            DeviceError: the line is gone.
        """

    def read(self, seconds: float) -> bytes:
        """What has come, at once where there is something; empty where nothing came in that time.

        Raises:
            DeviceError: the line is gone.
        """

    def close(self) -> None:
        """Let go of the line."""

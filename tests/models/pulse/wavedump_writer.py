"""WaveDump files written byte by byte, as its manual describes them."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray


def wavedump_binary(codes: NDArray[np.generic], sample: str = "H", headers: bool = True) -> bytes:
    data = b""
    for event, row in enumerate(codes.tolist()):
        body = struct.pack(f"<{len(row)}{sample}", *row)
        head = struct.pack("<6I", 24 + len(body), 31, 0, 2, 100 + event, 0x80000000 + 1000 * event)
        data += (head if headers else b"") + body
    return data


def wavedump_text(codes: NDArray[np.uint16]) -> str:
    lines = []
    for event, row in enumerate(codes.tolist()):
        lines += [f"Record Length: {len(row)}", "BoardID: 31", "Channel: 2", f"Event Number: {100 + event}"]
        lines += ["Pattern: 0x0000", f"Trigger Time Stamp: {7000 + event}", "DC offset (DAC): 0x1999", "Start Index: 3"]
        lines += [str(value) for value in row]
    return "\n".join(lines) + "\n"

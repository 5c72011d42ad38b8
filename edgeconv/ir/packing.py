"""Packing of integers narrower than 8 bits into bytes, least significant bits first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import ProgramError
from edgeconv.ir.types import DType


def pack_bits(values: NDArray[np.generic], dtype: DType) -> NDArray[np.uint8]:
    """The values, `dtype.bits` each, one after the other in a byte array (two's complement for signed types)."""
    flat = values.reshape(-1).astype(np.int64) & ((1 << dtype.bits) - 1)
    bits = (flat[:, None] >> np.arange(dtype.bits)) & 1
    return np.packbits(bits.astype(np.uint8).reshape(-1), bitorder="little")


def unpack_bits(packed: NDArray[np.generic], dtype: DType, shape: tuple[int, ...]) -> NDArray[np.generic]:
    """The inverse of `pack_bits`.

    Raises:
        ProgramError: the byte array is not as long as `shape` needs.
    """
    count = int(np.prod(shape, dtype=np.int64))
    if packed.dtype != np.uint8 or packed.size != (count * dtype.bits + 7) // 8:
        raise ProgramError(f"{packed.size} packed bytes for {dtype}{list(shape)}")
    bits = np.unpackbits(packed.astype(np.uint8), bitorder="little")[: count * dtype.bits].reshape(count, dtype.bits)
    values = (bits.astype(np.int64) << np.arange(dtype.bits)).sum(1)
    if dtype.signed:
        values -= (values >> (dtype.bits - 1)) << dtype.bits
    return np.asarray(values.astype(dtype.container).reshape(shape))

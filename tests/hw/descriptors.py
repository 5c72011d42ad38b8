"""Descriptors of a network's image, changed where tests want something that no compiler makes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgeconv.hw.compiler.image import NetworkImage
from edgeconv.hw.spec import DESCRIPTOR, DESCRIPTOR_WORDS, SELECT


def with_field(image: NetworkImage, layer: int, name: str, value: int) -> NetworkImage:
    """The image with another value in one field of the descriptor of a layer; -1 is the last one."""
    word, bit, bits = next(
        (number, sum(field.bits for field in fields[:at]), field.bits)
        for number, fields in enumerate(DESCRIPTOR)
        for at, field in enumerate(fields)
        if field.name == name
    )
    writes = image.writes.copy()
    own = np.flatnonzero((writes["select"] == SELECT["descriptors"]) & (writes["address"] % DESCRIPTOR_WORDS == word))
    place = own[np.argsort(writes["address"][own])[layer]]
    mask = (1 << bits) - 1
    writes["data"][place] = (int(writes["data"][place]) & ~(mask << bit)) | (value & mask) << bit
    return replace(image, writes=writes)

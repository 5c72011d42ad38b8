"""What is loaded into the accelerator for a network: memories as bus writes, places of inputs and results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import ArtifactError
from edgeconv.hw.spec import LANES, ArrayConfig

__all__ = ["BUS_WRITE", "ArrayRun", "InputPlace", "LayerCycles", "NetworkImage", "OutputPlace", "image_from_bytes"]

BUS_WRITE = np.dtype([("select", "<u4"), ("address", "<u4"), ("data", "<u8")])
_MAGIC = b"edgeconv-array-1\n"


@dataclass(frozen=True)
class ArrayRun:
    """Results of samples, from whichever array.

    Attributes:
        outputs: arrays (n, *shape) by name.
        cycles: of each sample, as the array's own counter shows them.
    """

    outputs: dict[str, NDArray[Any]]
    cycles: NDArray[np.uint32]


@dataclass(frozen=True)
class InputPlace:
    """Where an input lies.

    Attributes:
        base: first byte, at a whole word; channels of a position stand together.
        planes: 1, or 2 where high and low bytes stand apart, `plane_bytes` from one another.
        offset: added to the integers to make them unsigned.
    """

    name: str
    base: int
    planes: int
    plane_bytes: int
    offset: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class OutputPlace:
    """Where a result lies: element (channel c, position p) at base + p·stride + c of the result memory, in results.

    Attributes:
        channel_axis: axis of the shape along which channels count.
    """

    name: str
    base: int
    stride: int
    channel_axis: int
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class LayerCycles:
    """What a layer takes.

    Attributes:
        start, cycles: first cycle after the start of the network, and how many it issues words.
        macs: useful multiply-accumulates.
        descriptors: that it is made of.
        weight_words: words of the weight memories that it reads first; shared ones count where they are read first.
        wait: cycles before it in which nothing is issued.
    """

    output: str
    operator: str
    origin: str
    start: int
    cycles: int
    wait: int
    macs: int
    descriptors: int
    weight_words: int


@dataclass(frozen=True, eq=False)
class NetworkImage:
    """A network for the array.

    Attributes:
        config: the configuration it is made for.
        writes: bus writes of type BUS_WRITE that load it.
        layers: what each layer takes.
        cycles: of one sample, from the start to the last result.
        memory: what is used of each memory, by its name.
    """

    config: ArrayConfig
    writes: NDArray[np.void]
    inputs: tuple[InputPlace, ...]
    outputs: tuple[OutputPlace, ...]
    layers: tuple[LayerCycles, ...]
    cycles: int
    result_words: int
    memory: Mapping[str, tuple[int, int]]

    def input_words(self, arrays: Mapping[str, NDArray[Any]]) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]:
        """Integers (n, *shape) by name as bus data: places of the words, and the words (n, words)."""
        places: list[NDArray[np.uint32]] = []
        columns: list[NDArray[np.uint8]] = []
        for place in self.inputs:
            values = arrays[place.name].astype(np.int64) + place.offset
            samples = len(values)
            moved = np.moveaxis(values, 2, -1) if len(place.shape) > 2 else values
            flat = moved.reshape(samples, -1)
            for plane in range(place.planes):
                shift = 8 * (place.planes - 1 - plane)
                padded = np.zeros((samples, place.plane_bytes), np.uint8)
                padded[:, : flat.shape[1]] = (flat >> shift) & 255
                columns.append(padded)
                first = place.base + plane * place.plane_bytes
                places.append(np.arange(first, first + place.plane_bytes, LANES, dtype=np.uint32))
        return np.concatenate(places), np.ascontiguousarray(np.concatenate(columns, axis=1)).view("<u8")

    def output_arrays(self, results: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
        """The outputs (n, *shape) from the result memory (n, results)."""
        found = {}
        for place in self.outputs:
            channels = place.shape[place.channel_axis]
            positions = int(np.prod(place.shape)) // channels
            index = place.base + np.arange(positions)[:, None] * place.stride + np.arange(channels)
            rest = [extent for axis, extent in enumerate(place.shape) if axis != place.channel_axis]
            values = results[:, index].reshape(len(results), *rest, channels)
            values = np.moveaxis(values, -1, 1 + place.channel_axis)
            found[place.name] = np.ascontiguousarray(values.astype(place.dtype))
        return found

    def to_bytes(self) -> bytes:
        """The image as one file: a line of JSON behind a magic line, then the bus writes."""
        header = {
            "config": asdict(self.config),
            "inputs": [asdict(place) for place in self.inputs],
            "outputs": [asdict(place) for place in self.outputs],
            "layers": [asdict(layer) for layer in self.layers],
            "cycles": self.cycles,
            "result_words": self.result_words,
            "memory": self.memory,
            "writes": len(self.writes),
        }
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")) + "\n"
        return _MAGIC + text.encode() + self.writes.tobytes()


def image_from_bytes(data: bytes, name: str) -> NetworkImage:
    """Read what `to_bytes` gave.

    Raises:
        ArtifactError: something else.
    """
    try:
        if not data.startswith(_MAGIC):
            raise ValueError("not an image of the accelerator")
        text, rest = data[len(_MAGIC) :].split(b"\n", 1)
        header = json.loads(text)
        writes = np.frombuffer(rest, BUS_WRITE)
        if len(writes) != header["writes"]:
            raise ValueError(f"{len(writes)} bus writes, {header['writes']} expected")
        return NetworkImage(
            ArrayConfig(**header["config"]),
            writes,
            tuple(InputPlace(**_tupled(place)) for place in header["inputs"]),
            tuple(OutputPlace(**_tupled(place)) for place in header["outputs"]),
            tuple(LayerCycles(**layer) for layer in header["layers"]),
            header["cycles"],
            header["result_words"],
            {key: (used, size) for key, (used, size) in header["memory"].items()},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{name}: {error}", advice="compile the model again") from error


def _tupled(place: dict[str, Any]) -> dict[str, Any]:
    return place | {"shape": tuple(place["shape"])}


def bus_writes(rows: Iterable[tuple[int, int, int]]) -> NDArray[np.void]:
    """Rows of (select, address, data) as an array."""
    return np.array(list(rows), BUS_WRITE)


def split_words(value: int, count: int) -> Iterator[int]:
    """A long integer as 64-bit words, the lowest first."""
    for _ in range(count):
        yield value & ((1 << 64) - 1)
        value >>= 64

"""The whole way from a program with its proved forms to an image for the accelerator."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from edgeconv.hw.compiler.assemble import Memories, descriptors, require
from edgeconv.hw.compiler.image import InputPlace, LayerCycles, NetworkImage, OutputPlace
from edgeconv.hw.compiler.lower import Lowered, lower
from edgeconv.hw.compiler.memory import Buffer, place
from edgeconv.hw.compiler.schedule import Schedule, make_schedule
from edgeconv.hw.ends import Ends, split_ends
from edgeconv.hw.spec import LANES, ArrayConfig
from edgeconv.ir import Program
from edgeconv.ir.forms import ProvedForms

__all__ = ["CompiledNetwork", "compile_network"]


@dataclass(frozen=True)
class CompiledNetwork:
    """An image, and the host's parts of the program."""

    image: NetworkImage
    ends: Ends


def compile_network(
    program: Program,
    forms: Mapping[str, ProvedForms],
    config: ArrayConfig | None = None,
    hosted: Collection[str] = (),
) -> CompiledNetwork:
    """Compile a program for a configuration of the accelerator.

    Args:
        forms: by output, of the policy `array`.
        hosted: outputs whose last operator is the host's, as `split_ends` takes them.

    Raises:
        UnsupportedModelError: something does not fit; names the layer or the memory, and the limit.
    """
    sizes = config or ArrayConfig()
    ends = split_ends(program, hosted)
    core = ends.core
    work = lower(core, forms, sizes)
    passes = work.passes
    for number, each in enumerate(passes):
        _use(each.reads.buffer, number)
        if each.reads.second is not None:
            _use(each.reads.second, number)
        if each.writes.buffer is not None:
            _use(each.writes.buffer, number)
    used = [buffer for buffer in work.buffers if buffer.last >= 0 or buffer.first < 0]
    memory = {"activations": (place(used), sizes.activation_bytes)}
    require(*memory["activations"], "activation memory", "bytes")
    memory["descriptors"] = (len(passes), sizes.descriptors)
    require(*memory["descriptors"], "descriptors", "descriptors")
    memory["results"] = (work.result_words, sizes.result_words)
    require(*memory["results"], "result memory", "words of 8 results")
    schedule = make_schedule(passes, sizes)
    memories = Memories(sizes)
    weight_words = [0] * len(work.layers)
    for each in passes:
        before = memories.weight_words
        memories.add_weights(each.weights)
        weight_words[each.layer] += memories.weight_words - before
    described = descriptors(passes, schedule, memories)
    memory["weights"] = (memories.weight_words, sizes.weight_words)
    require(*memory["weights"], "weight memory", "words of each processing element")
    memory["parameters"] = (memories.parameter_words, sizes.parameter_words)
    require(*memory["parameters"], "parameter memory", f"words of {sizes.beat} channels")
    memory["tables"] = (len(memories.tables), sizes.tables)
    require(*memory["tables"], "table memory", "tables")
    image = NetworkImage(
        sizes,
        memories.writes(described),
        tuple(_input(work, name, core) for name in core.inputs),
        tuple(_output(work, name, core) for name in core.outputs),
        _layers(work, schedule, weight_words),
        schedule.cycles,
        work.result_words,
        memory,
    )
    return CompiledNetwork(image, ends)


def _use(buffer: Buffer, number: int) -> None:
    buffer.first = min(buffer.first, number)
    buffer.last = max(buffer.last, number)


def _input(work: Lowered, name: str, program: Program) -> InputPlace:
    view = work.inputs[name]
    bytes_ = view.buffer.size if view.planes == 1 else view.plane_stride
    padded = -(-bytes_ // LANES) * LANES
    return InputPlace(name, view.buffer.base, view.planes, padded, view.offset, program.types[name].shape)


def _output(work: Lowered, name: str, program: Program) -> OutputPlace:
    index, type_ = work.results[name], program.types[name]
    # The channel axis is the one along which places are neighbours.
    axis = 1 if len(type_.shape) < 2 or _neighbours(index, 1) else len(type_.shape) - 1
    channels = type_.shape[axis]
    return OutputPlace(
        name, int(index.min()), -(-channels // LANES) * LANES, axis, type_.shape, str(type_.dtype.container)
    )


def _neighbours(index: np.ndarray, axis: int) -> bool:
    if index.shape[axis] > 1:
        return bool((np.diff(index, axis=axis) == 1).all())
    others = [a for a in range(index.ndim) if a != axis and index.shape[a] > 1]
    return all(int(np.diff(index, axis=a).min()) >= LANES for a in others)


def _layers(work: Lowered, schedule: Schedule, weight_words: list[int]) -> tuple[LayerCycles, ...]:
    found = []
    for number, layer in enumerate(work.layers):
        mine = [k for k, each in enumerate(work.passes) if each.layer == number]
        ends = {k: schedule.starts[k] + work.passes[k].issue_cycles for k in range(len(work.passes))}
        waits = [schedule.starts[k] - (ends[k - 1] if k else 0) for k in mine]
        found.append(
            LayerCycles(
                layer.output,
                layer.keyword,
                layer.origin,
                schedule.starts[mine[0]],
                sum(work.passes[k].issue_cycles for k in mine),
                sum(waits),
                layer.macs,
                len(mine),
                weight_words[number],
            )
        )
    return tuple(found)

"""Target hls beside hls4ml on the same QONNX files: what each accepts, and how many outputs each gets exact.

    python scripts/compare_hls4ml.py -o build/hls4ml            # three networks, 1,000 inputs each; minutes
    python scripts/compare_hls4ml.py -o build/hls4ml --inputs 100 --network dense

Both are C simulations by g++; the exact outputs are those of edgeconv's reference. hls4ml (extra `bench`) is used as
its documentation says for QONNX: cleaned up, channels last, Gemm as MatMul, configured by name, streams, with
fixed-point numbers of 48 bits, 16 of them integer, where the file has no quantizer. An output counts as different
where it lies nearer to another step of the output's quantizer: scales themselves are not exact in fixed point.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Outcome:
    """What a tool made of a network.

    Attributes:
        accepted: "yes", or what it says.
        values, different: outputs that were compared, and those on another step of the output's quantizer.
        largest: the largest difference, in steps.
    """

    network: str
    tool: str
    accepted: str
    values: int = 0
    different: int = 0
    largest: int = 0


def _layers(scale: str) -> tuple[Callable[..., nn.Module], Callable[..., nn.Module], dict[str, Any], dict[str, Any]]:
    import brevitas.nn as qnn
    from brevitas import quant

    power = scale == "power of two"
    weight = quant.Int8WeightPerTensorFixedPoint if power else quant.Int8WeightPerTensorFloat
    signed = quant.Int8ActPerTensorFixedPoint if power else quant.Int8ActPerTensorFloat
    unsigned = quant.Uint8ActPerTensorFixedPoint if power else quant.Uint8ActPerTensorFloat
    return qnn.QuantIdentity, qnn.QuantReLU, {"weight_quant": weight}, {"signed": signed, "unsigned": unsigned}


def _network(name: str, scale: str) -> tuple[nn.Module, tuple[int, ...]]:
    """An untrained brevitas network with the usual layers of its kind, and the shape of a sample."""
    import brevitas.nn as qnn

    identity, relu, weights, acts = _layers(scale)

    def entry() -> nn.Module:
        return identity(act_quant=acts["signed"], return_quant_tensor=True)

    def rectified() -> nn.Module:
        return relu(act_quant=acts["unsigned"], return_quant_tensor=True)

    def last() -> nn.Module:
        return identity(act_quant=acts["signed"], return_quant_tensor=False)

    if name == "dense":
        sizes, layers = (16, 64, 32, 32), [entry()]
        for one, two in itertools.pairwise(sizes):
            layers += [qnn.QuantLinear(one, two, bias=False, **weights), rectified()]
        return nn.Sequential(*layers, qnn.QuantLinear(32, 5, bias=False, **weights), last()), (16,)
    if name == "pulse":
        channels, layers = (1, 8, 16, 16), [entry()]
        for one, two in itertools.pairwise(channels):
            layers += [qnn.QuantConv1d(one, two, 5, stride=2, padding=2, bias=False, **weights), rectified()]
        head = [nn.Flatten(), qnn.QuantLinear(128, 2, bias=False, **weights), last()]
        return nn.Sequential(*layers, *head), (1, 64)
    layers = [entry()]
    for one, two in ((3, 8), (8, 16)):
        layers += [qnn.QuantConv2d(one, two, 3, padding=1, bias=False, **weights), rectified(), nn.MaxPool2d(2)]
    # The last convolution covers the whole image: no flattening of images, which the tools order differently.
    return nn.Sequential(*layers, qnn.QuantConv2d(16, 10, 4, bias=False, **weights), last()), (3, 16, 16)


def _export(name: str, scale: str, folder: Path, seed: int) -> Path:
    """The network's QONNX file; scales settle on random inputs."""
    from edgeconv.quantize.export import export_qonnx

    torch.manual_seed(seed)
    network, shape = _network(name, scale)
    network.train()
    with torch.no_grad():
        for _ in range(40):
            network(torch.randn(32, *shape))
    network.eval()
    path = folder / f"{name}-{scale.split()[0]}.onnx"
    return export_qonnx(network, torch.randn(1, *shape), path, input_name="x", output_name="y")


def _exact(path: Path, x: Floats) -> tuple[Floats, float]:
    """The reference's outputs, and the step of the output's quantizer."""
    from edgeconv import reference
    from edgeconv.importer import read_onnx
    from edgeconv.integer import lower

    program = lower(read_onnx(path, {}))
    (name,), (output,) = program.inputs, program.outputs
    expected = reference.run(program, {name: x.reshape(len(x), *program.inputs[name].shape)})[output]
    found = np.unique(expected)
    return expected.reshape(len(x), -1), float(np.diff(found).min())


def _edgeconv(path: Path, folder: Path, x: Floats) -> Floats:
    import edgeconv

    artifact = edgeconv.compile(path, target="hls", output=folder / f"{path.stem}.edge").path
    runner = edgeconv.load(artifact)
    (tensor,) = runner.inputs
    return np.asarray(runner.run({tensor.name: x.reshape(len(x), *tensor.shape)})[runner.outputs[0].name]).reshape(
        len(x), -1
    )


def _hls4ml(path: Path, folder: Path, x: Floats) -> Floats:
    onnx.IR_VERSION = 10  # qonnx 1.0 compares with it
    import hls4ml
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
    from qonnx.transformation.gemm_to_matmul import GemmToMatMul
    from qonnx.util.cleanup import cleanup_model

    model = cleanup_model(ModelWrapper(str(path)))
    model = cleanup_model(
        model.transform(ConvertToChannelsLastAndClean(make_input_channels_last=True)).transform(GemmToMatMul())
    )
    settings = hls4ml.utils.config.config_from_onnx_model(
        model, granularity="name", backend="Vitis", default_precision="fixed<48,16>"
    )
    built = hls4ml.converters.convert_from_onnx_model(
        model,
        output_dir=str(folder / f"{path.stem}-hls4ml"),
        io_type="io_stream",
        backend="Vitis",
        hls_config=settings,
    )
    built.compile()
    channels_last = np.moveaxis(x, 1, -1) if x.ndim > 2 else x
    return np.asarray(built.predict(np.ascontiguousarray(channels_last))).reshape(len(x), -1)


def _outcome(network: str, tool: str, path: Path, folder: Path, x: Floats) -> Outcome:
    expected, step = _exact(path, x)
    run = {"edgeconv": _edgeconv, "hls4ml": _hls4ml}[tool]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            found = run(path, folder, x)
    except Exception as error:  # whatever a tool says is its answer
        return Outcome(network, tool, f"{type(error).__name__}: {str(error).splitlines()[0][:90]}")
    steps = np.abs(np.rint((found - expected) / step))
    return Outcome(network, tool, "yes", expected.size, int((steps != 0).sum()), int(steps.max()))


def main() -> int:
    """Compare and print a table; the figures go to compare.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for all files")
    parser.add_argument("--inputs", type=int, default=1000, help="random inputs of each network (default: 1000)")
    parser.add_argument("--network", action="append", choices=("dense", "pulse", "image"), help="one of the three")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = options.output.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for name in options.network or ("dense", "pulse", "image"):
        for scale in ("power of two", "float"):
            path = _export(name, scale, folder, options.seed)
            shape = _network(name, scale)[1]
            x = np.random.default_rng(options.seed).normal(size=(options.inputs, *shape)).astype(np.float32)
            for tool in ("edgeconv", "hls4ml"):
                outcome = _outcome(f"{name}, {scale} scales", tool, path, folder, x)
                print(outcome, file=sys.stderr, flush=True)
                outcomes.append(outcome)
    (folder / "compare.json").write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n")
    from edgeconv.cli.console import format_table

    rows = [
        (o.network, o.tool, o.accepted, *((f"{o.different} of {o.values}", str(o.largest)) if o.values else ("", "")))
        for o in outcomes
    ]
    print(format_table(rows, header=("network", "tool", "accepted", "outputs that differ", "largest, in steps")))
    return 0


if __name__ == "__main__":
    sys.exit(main())

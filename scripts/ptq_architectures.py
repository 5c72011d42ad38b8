"""Post-training quantization of six architectures: train, quantize, compile, compare, measure.

    python scripts/ptq_architectures.py                     # the table, on standard output
    python scripts/ptq_architectures.py --write docs/quantize.md --keep FOLDER

Trained weights stay in FOLDER and are used again. Every artifact is compared with the reference, bit for bit, and its
outputs are measured as those of the float network. With --write the table of the page is put between its comment lines.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

import edgeconv
from edgeconv import reference
from edgeconv.artifact import read
from edgeconv.quantize.policy import QuantPolicy
from scripts.ptq.tasks import TASKS, Split, Task, train

BEGIN, END = "<!-- table of scripts/ptq_architectures.py -->", "<!-- end of table -->"
_CALIBRATED, _COMPARED = 256, 64
_COMPARED_MACS = 1_500_000_000  # the reference takes seconds for so many


@dataclass(frozen=True)
class Outcome:
    """One network, float and quantized.

    Attributes:
        measures: of the float network, and of the artifact by policy.
        different: values of the artifact that are not the reference's, over all policies; of `compared`.
    """

    task: Task
    parameters: int
    float_measure: float
    measures: dict[str, float]
    decibel: dict[str, float]
    different: int
    compared: int
    train_seconds: float
    quantize_seconds: float


POLICIES = {
    "int8": QuantPolicy(calibration="minmax"),
    "int4 weights": QuantPolicy(calibration="mse", weight_bits=4),
}


def run(task: Task, folder: Path, *, small: bool, policies: dict[str, QuantPolicy], seed: int = 0) -> Outcome:
    """Train one network, quantize it by each policy, compile it for this machine and compare."""
    data = task.data(seed, small)
    start = perf_counter()
    network = _trained(task, data, folder / f"{task.architecture.replace(' ', '-')}.pt", small=small, seed=seed)
    trained = perf_counter() - start
    with torch.no_grad():
        outputs = [network(part).numpy() for part in torch.from_numpy(data.test_x).split(64)]
    exact = np.concatenate(outputs)
    measures, decibel, seconds, different, compared = {}, {}, 0.0, 0, 0
    for name, policy in policies.items():
        stem = f"{task.architecture}.{name}".replace(" ", "-")
        start = perf_counter()
        report = edgeconv.quantize(
            network, torch.from_numpy(data.x[:2]), folder / f"{stem}.q.onnx", calibration=data.x[:_CALIBRATED],
            policy=policy,
        )  # fmt: skip
        seconds += perf_counter() - start
        edge = edgeconv.compile(report.path, output=folder / f"{stem}.edge").path
        found = edgeconv.load(edge)(data.test_x)
        measures[name] = task.measure(found, data.test_y)
        decibel[name] = 10 * float(np.log10((exact**2).sum() / ((exact - found) ** 2).sum()))
        wrong, total = _compare(edge, data)
        different, compared = different + wrong, compared + total
    parameters = sum(parameter.numel() for parameter in network.parameters())
    before = task.measure(exact, data.test_y)
    return Outcome(
        task, parameters, before, measures, decibel, different, compared, trained, seconds / len(policies)
    )  # fmt: skip


def _trained(task: Task, data: Split, saved: Path, *, small: bool, seed: int) -> torch.nn.Module:
    """The network of an earlier run in the same folder, or a newly trained one."""
    if saved.exists():
        network = task.make(small)
        network.load_state_dict(torch.load(saved))
        return network.eval()
    network = train(task, data, small=small, seed=seed)
    torch.save(network.state_dict(), saved)
    return network


def _compare(edge: Path, data: Split) -> tuple[int, int]:
    """Values in which the artifact differs from the reference, and how many there are, over all instruction sets."""
    artifact = read(edge)
    program = artifact.program()
    (name,) = program.inputs
    x = data.test_x[: min(_COMPARED, max(4, _COMPARED_MACS // artifact.manifest.macs)), None]
    (expected,) = reference.run(program, {name: x}).values()
    wrong = total = 0
    for isa in artifact.manifest.isas:
        found = edgeconv.load(edge, isa.name)(x)
        wrong += int(np.count_nonzero(found.view(np.int32) != expected.view(np.int32)))
        total += expected.size
    return wrong, total


def table(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as a Markdown table."""
    names = list(POLICIES)
    header = ["network", "parameters", "task", "measure", "float", *names, *(f"SQNR, {name}" for name in names),
              "artifact ≠ reference"]  # fmt: skip
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for one in outcomes:
        cells = [
            one.task.architecture,
            f"{one.parameters:,}",
            one.task.task,
            one.task.name,
            _figure(one.float_measure, one.task.unit),
            *(_figure(one.measures[name], one.task.unit) for name in names),
            *(f"{one.decibel[name]:.1f} dB" for name in names),
            f"{one.different} of {one.compared:,}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _figure(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}" if unit else f"{value:.4f}"


def main() -> None:
    """Run the architectures named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("only", nargs="*", help="architectures; all by default")
    parser.add_argument("--small", action="store_true", help="the sizes of the tests")
    parser.add_argument("--keep", type=Path, help="folder for models and artifacts; a temporary one by default")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this Markdown page")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        outcomes = []
        for task in TASKS:
            if arguments.only and task.architecture not in arguments.only:
                continue
            one = run(task, folder, small=arguments.small, policies=POLICIES)
            outcomes.append(one)
            seconds = f"trained {one.train_seconds:.0f} s, quantized {one.quantize_seconds:.1f} s"
            print(f"{task.architecture}: {seconds}, float {one.float_measure:.4g}, {one.measures}", flush=True)
    text = table(outcomes)
    print(text)
    if arguments.write:
        page = arguments.write.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        arguments.write.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Six architectures of other people's papers: trained, quantized, compiled, the same bits, nearly the same measure."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from scripts.ptq.tasks import TASKS, Task  # noqa: E402
from scripts.ptq_architectures import BEGIN, END, POLICIES, run, table  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.needs_gcc, pytest.mark.needs_torch]

# What the small float network must reach for its measure to mean something, and what 8 bits may cost.
BOUNDS = {
    "ResNet-18": (85, -2.0),
    "MobileNetV2": (85, -2.0),
    "U-Net": (70, -1.5),
    "TCN": (0.3, 0.02),
    "DS-CNN": (80, -2.0),
    "ECG ResNet": (65, -2.5),
}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.architecture)
def test_quantized_after_training(task: Task, tmp_path: Path) -> None:
    outcome = run(task, tmp_path, small=True, policies={"int8": POLICIES["int8"]})
    needed, cost = BOUNDS[task.architecture]
    found, before = outcome.measures["int8"], outcome.float_measure
    if task.unit:
        assert before > needed
        assert found > before + cost
    else:  # an error: less is better
        assert before < needed
        assert found < before + cost
    assert outcome.decibel["int8"] > 24
    assert (outcome.different, outcome.compared > 0) == (0, True)


def test_the_page_shows_the_table_of_the_script() -> None:
    page = (Path(__file__).parents[2] / "docs" / "quantize.md").read_text(encoding="utf-8")
    shown = page[page.index(BEGIN) + len(BEGIN) : page.index(END)].strip().splitlines()
    header = table([]).splitlines()
    assert shown[:2] == header
    assert [line.split("|")[1].strip() for line in shown[2:]] == [task.architecture for task in TASKS]
    assert all("| 0 of " in line for line in shown[2:])

"""Small tasks with a measure that means something, one for each of the six architectures.

Handwritten digits come with scikit-learn; everything else is generated from a seed. A task is trained in minutes on one
core; `small=True` takes seconds and is what the tests run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from scripts.ptq import networks

__all__ = ["TASKS", "Split", "Task", "train"]

Floats = NDArray[np.float32]
Loss = Callable[[Tensor, Tensor], Tensor]
Measure = Callable[[NDArray[np.generic], NDArray[np.generic]], float]


@dataclass(frozen=True)
class Split:
    """Training and test data: x of shape (n, channels, …), y as the loss takes it."""

    x: Floats
    y: NDArray[np.generic]
    test_x: Floats
    test_y: NDArray[np.generic]


@dataclass(frozen=True)
class Task:
    """A network, its data and how well it does.

    Attributes:
        make: the network, of full size or small.
        data: from (seed, small).
        measure: from outputs and targets; `name` says what it is and `unit` of what.
        epochs: passes over the training data, of full size and small.
    """

    architecture: str
    task: str
    name: str
    unit: str
    make: Callable[[bool], nn.Module]
    data: Callable[[int, bool], Split]
    loss: Loss
    measure: Measure
    epochs: tuple[int, int]


def train(task: Task, data: Split, *, small: bool, seed: int = 0, batch: int = 64) -> nn.Module:
    """The task's network after training, in evaluation mode (Adam, one cycle of the learning rate)."""
    torch.manual_seed(seed)
    network = task.make(small)
    network.train()
    x, y = torch.from_numpy(data.x), torch.from_numpy(data.y)
    steps = task.epochs[small] * -(-len(x) // batch)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(task.epochs[small]):
        for part in torch.randperm(len(x)).split(batch):
            if len(part) == 1:
                continue  # batch normalization has nothing to normalize over
            loss = task.loss(network(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def _split(x: NDArray[np.generic], y: NDArray[np.generic], held_out: int) -> Split:
    x = np.ascontiguousarray(x, np.float32)
    return Split(x[:-held_out], y[:-held_out], x[-held_out:], y[-held_out:])


def _accuracy(outputs: NDArray[np.generic], targets: NDArray[np.generic]) -> float:
    return 100 * float((outputs.argmax(1) == targets).mean())


def digits(seed: int, small: bool) -> Split:
    """scikit-learn's 1797 digits of 8 by 8 pixels, each four times as large, with random order."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(seed).permutation(len(found.target))[: 900 if small else None]
    images = found.images[order].astype(np.float32) / 16
    if not small:
        images = images.repeat(2, axis=1).repeat(2, axis=2)
    return _split(images[:, None], found.target[order].astype(np.int64), 300)


def blobs(seed: int, small: bool) -> Split:
    """Ellipses of random brightness in noise and a gradient of light: which pixels belong to one?"""
    rng, count, side = np.random.default_rng(seed), 260 if small else 1400, 32
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    x, y = np.zeros((count, 1, side, side), np.float32), np.zeros((count, 1, side, side), np.float32)
    for image, mask in zip(x[:, 0], y[:, 0], strict=True):
        slope = rng.uniform(-1, 1, 2)
        image += slope[0] * rows / side + slope[1] * columns / side + rng.normal(0, 0.35, image.shape)
        for _ in range(rng.integers(1, 4)):
            (r, c), (a, b), angle = rng.uniform(4, side - 4, 2), rng.uniform(2.5, 7, 2), rng.uniform(0, np.pi)
            along = (rows - r) * np.cos(angle) + (columns - c) * np.sin(angle)
            across = (columns - c) * np.cos(angle) - (rows - r) * np.sin(angle)
            inside = (along / a) ** 2 + (across / b) ** 2 <= 1
            image[inside] += rng.uniform(0.6, 1.4)
            mask[inside] = 1
    return _split(x, y, 60 if small else 200)


def _overlap(outputs: NDArray[np.generic], targets: NDArray[np.generic]) -> float:
    """Intersection over union of all pixels."""
    found, true = outputs > 0, targets > 0.5
    return 100 * float((found & true).sum() / (found | true).sum())


def marked_sums(seed: int, small: bool) -> Split:
    """The adding problem (Hochreiter and Schmidhuber 1997): the sum of two marked numbers of a sequence."""
    rng, count, length = np.random.default_rng(seed), 2000 if small else 6000, 32 if small else 120
    x = np.zeros((count, 2, length), np.float32)
    x[:, 0] = rng.uniform(0, 1, (count, length))
    first, second = rng.integers(0, length // 2, count), rng.integers(length // 2, length, count)
    every = np.arange(count)
    x[every, 1, first] = x[every, 1, second] = 1
    total = x[every, 0, first] + x[every, 0, second]
    return _split(x, total[:, None], 400)


def _root_mean_square(outputs: NDArray[np.generic], targets: NDArray[np.generic]) -> float:
    return float(np.sqrt(((outputs.astype(np.float64) - targets) ** 2).mean()))


_WORDS = ("ae", "ai", "ei", "ia", "oa", "ou", "ua", "eo")
_FORMANTS = {"a": (730, 1090), "e": (530, 1840), "i": (270, 2290), "o": (570, 840), "u": (300, 870)}


def words(seed: int, small: bool) -> Split:
    """Eight diphthongs by a glottal pulse train through two gliding formants, in noise: 49 log spectra of 10 bands."""
    rng, count, rate = np.random.default_rng(seed), 700 if small else 2400, 8000
    labels = rng.integers(0, len(_WORDS), count)
    bands, noise = _band_matrix(rate), 0.25 if small else 2.5
    time = np.arange(rate) / rate
    x = np.zeros((count, 1, 49, 10), np.float32)
    for spectra, label in zip(x[:, 0], labels, strict=True):
        start, end = (np.array(_FORMANTS[vowel]) * rng.uniform(0.88, 1.12) for vowel in _WORDS[label])
        onset, length = rng.uniform(0.05, 0.3), rng.uniform(0.35, 0.6)
        share = np.clip((time - onset) / length, 0, 1)
        formants = start[:, None] * (1 - share) + end[:, None] * share
        pitch = rng.uniform(90, 220) * (1 + 0.05 * np.sin(2 * np.pi * rng.uniform(2, 6) * time))
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        harmonics = np.arange(1, 30)[:, None]
        gain = sum(1 / (1 + ((harmonics * pitch - formant) / 110) ** 2) for formant in formants)
        voice = (gain * np.sin(harmonics * phase) * (harmonics * pitch < rate / 2)).sum(0)
        envelope = np.clip(np.minimum(time - onset, onset + length - time) / 0.03, 0, 1)
        sound = voice * envelope * rng.uniform(0.5, 1.5) + rng.normal(0, noise, rate)
        frames = np.lib.stride_tricks.sliding_window_view(sound, 320)[::157][:49] * np.hanning(320)
        spectra[:] = np.log(np.abs(np.fft.rfft(frames, 512)) ** 2 @ bands + 1e-2)
    x = (x - x.mean()) / x.std()
    return _split(x, labels, 200 if small else 400)


def _band_matrix(rate: int) -> NDArray[np.float64]:
    """Ten triangular bands, evenly spaced in mel from 100 Hz to 3800 Hz, over the 257 bins of a transform of 512."""
    mel = np.linspace(*(2595 * np.log10(1 + np.array([100, 3800]) / 700)), 12)
    edges = 700 * (10 ** (mel / 2595) - 1)
    frequency = np.fft.rfftfreq(512, 1 / rate)[:, None]
    rising = (frequency - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency) / (edges[2:] - edges[1:-1])
    return np.clip(np.minimum(rising, falling), 0, None)


_FINDINGS = ("AF", "IAVB", "LBBB", "RBBB")


def heartbeats(seed: int, small: bool) -> Split:
    """Generated 12-lead records (docs/models-ecg.md), a window each at 62.5 Hz, and four of their diagnoses."""
    from edgeconv.models import ecg_mamba as ecg
    from edgeconv.models.ecg_mamba.labels import SCORED
    from edgeconv.models.ecg_mamba.population import simulate_records

    data = ecg.EcgDataset.build(one.record for one in simulate_records(160 if small else 800, seed))
    millivolt = data.inputs.astype(np.float32) * np.float32(data.lsb_mv)
    x = millivolt.reshape(*millivolt.shape[:2], -1, 4).mean(3)
    y = data.window_labels[:, [SCORED.index(name) for name in _FINDINGS]].astype(np.float32)
    # Records come patient by patient: the last windows are of other people than the first.
    return _split(x, y, len(x) // 5)


def _mean_auroc(outputs: NDArray[np.generic], targets: NDArray[np.generic]) -> float:
    from edgeconv.models.ecg_mamba.metrics import auroc

    return 100 * float(np.nanmean(auroc(targets > 0.5, outputs.astype(np.float64))))


TASKS: tuple[Task, ...] = (
    Task(
        "ResNet-18", "digits", "accuracy", "%", lambda small: networks.ResNet18(width=8 if small else 64), digits,
        F.cross_entropy, _accuracy, (6, 6),
    ),
    Task(
        "MobileNetV2", "digits", "accuracy", "%",
        lambda small: networks.MobileNetV2(width=8 if small else 16, repeats=1 if small else 2), digits,
        F.cross_entropy, _accuracy, (12, 12),
    ),
    Task(
        "U-Net", "segmentation of ellipses", "intersection over union", "%",
        lambda small: networks.UNet(width=4 if small else 16), blobs,
        F.binary_cross_entropy_with_logits, _overlap, (6, 15),
    ),
    Task(
        "TCN", "adding problem", "root mean square error", "",
        lambda small: networks.TCN(width=12 if small else 24, levels=4 if small else 6, size=5), marked_sums,
        F.mse_loss, _root_mean_square, (25, 15),
    ),
    Task(
        "DS-CNN", "generated words", "accuracy", "%", lambda small: networks.DSCNN(width=16 if small else 64), words,
        F.cross_entropy, _accuracy, (8, 8),
    ),
    Task(
        "ECG ResNet", "generated 12-lead records", "mean AUROC", "%",
        lambda small: networks.EcgResNet(width=8 if small else 32), heartbeats,
        F.binary_cross_entropy, _mean_auroc, (8, 12),
    ),
)  # fmt: skip

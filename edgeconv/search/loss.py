"""The loss that supernets, networks taken out of them and their last layers are trained by."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["HUBER", "weighted_loss"]

HUBER = 3.0
"""Beyond so many units errors count linearly: early steps are then no explosion."""


def weighted_loss(error: Tensor, weight: Tensor) -> Tensor:
    """Mean Huber loss of errors times their weights, both (samples, outputs)."""
    scaled = error * weight
    return F.huber_loss(scaled, torch.zeros_like(scaled), delta=HUBER)

"""Pictures beside their depth, true and found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.mininet.metrics import CAP, judged_pixels
from edgeconv.models.mininet.triplets import Known
from edgeconv.quantize.figures import new_figure

__all__ = ["plot_depths"]


def plot_depths(
    data: Known, depths: Mapping[str, NDArray[np.float32]], path: str | Path, *, most: int = 6, dpi: int = 100
) -> Path:
    """Draw a row a picture: itself, its true depth, and the depth that each estimator found, scaled to its median.

    Args:
        depths: (N, H, W) by name of estimator.

    Raises:
        ToolError: matplotlib is not installed.
    """
    chosen = np.linspace(0, len(data.pictures) - 1, min(most, len(data.pictures))).astype(int)
    height, width = data.depth.shape[1:]
    columns = 2 + len(depths)
    figure = new_figure(
        figsize=(3.2 * columns, 3.2 * height / width * len(chosen) + 0.5), dpi=dpi, layout="constrained"
    )
    from matplotlib.colors import LogNorm

    colours, shown = LogNorm(2, CAP), None
    for axes, index in zip(figure.subplots(len(chosen), columns, squeeze=False), chosen, strict=True):
        true = data.depth[index]
        judged = judged_pixels(true)
        axes[0].imshow(data.pictures[index].transpose(1, 2, 0))
        axes[1].imshow(np.ma.masked_array(true, true == 0), norm=colours, cmap="magma_r")
        for place, found in zip(axes[2:], depths.values(), strict=True):
            factor = np.median(true[judged]) / np.median(found[index][judged])
            shown = place.imshow(found[index] * factor, norm=colours, cmap="magma_r")
        for place, name in zip(axes, ("picture", "true depth", *depths), strict=True):
            place.set(xticks=[], yticks=[])
            if index == chosen[0]:
                place.set_title(name)
    if shown is not None:
        figure.colorbar(shown, ax=figure.axes, label="metres", shrink=0.8)
    figure.savefig(path)
    return Path(path)

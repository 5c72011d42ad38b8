"""Figures for plots."""

from __future__ import annotations

from typing import Any

from edgeconv.errors import ToolError

__all__ = ["new_figure"]


def new_figure(**options: Any) -> Any:
    """A matplotlib figure without pyplot, so that no display or global state is touched.

    Args:
        options: of `matplotlib.figure.Figure`.

    Raises:
        ToolError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ToolError(
            "the Python package 'matplotlib' is not installed", advice="pip install 'edgeconv[report]'"
        ) from None
    figure = Figure(**options)
    FigureCanvasAgg(figure)
    return figure

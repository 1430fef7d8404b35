"""How the report's figures look, and how they become part of a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ..words import one_line

__all__ = ["COLOURS", "DROPPED", "MARKERS", "WIDTH", "data_uri", "empty", "shorten", "styled"]

P = ParamSpec("P")

COLOURS = {"fbn1": "#0072B2", "fbn2": "#D55E00", "volume": "#333333", "volume_negated": "#999999"}
"""Okabe and Ito's colours, which colour-blind readers tell apart, and greys for what needs no network."""

MARKERS = {"fbn1": "o", "fbn2": "s", "volume": "D", "volume_negated": "v"}
"""The same distinction for readers who see no colour, or print in grey."""

DROPPED = "#DDDDDD"
"""Volumes that were not used."""

WIDTH = 11.0
"""Of figures of lines and letters, in inches."""

_STYLE: dict[Any, Any] = {
    # the user's backend stays: rc_context would not bring it back
    **{key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")},
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.edgecolor": "#444444",
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "scaae",
    "text.parse_math": False,  # a template may be called $x$
    "image.interpolation": "nearest",
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the report's style whatever the user's matplotlibrc says, and leave that untouched."""

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context(_STYLE):
            return draw(*args, **kwargs)

    return wrapper


def data_uri(figure: Figure, *, vector: bool = True) -> str:
    """Turn a figure into a ``data:`` address: SVG for lines and letters, PNG for brains.

    The same figure always gives the same address (no date, no random identifiers).

    >>> data_uri(Figure(), vector=False)[:22]
    'data:image/png;base64,'
    """
    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE):  # the canvas draws once, savefig twice: for the layout, and for the file
        if vector:
            FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
        else:
            figure.set_dpi(120)
            FigureCanvasAgg(figure).print_png(buffer)
    kind = "svg+xml" if vector else "png"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


@styled
def empty(text: str, size: tuple[float, float] = (WIDTH, 0.8)) -> Figure:
    """Give a figure that says why there is nothing to see."""
    figure = Figure(figsize=size)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color="#444444", transform=axes.transAxes)
    return figure


def shorten(label: object, length: int = 26) -> str:
    """Shorten a label for an axis.

    >>> shorten("Default mode network, posterior part", 20)
    'Default mode networ…'
    """
    text = one_line(label)
    return text if len(text) <= length else text[: length - 1] + "…"

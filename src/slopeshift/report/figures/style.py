"""The style that all figures share: palette, panels and legends.

Colours are those of Okabe and Ito (jfly.uni-koeln.de/color); nothing is shown by colour alone, so every figure also
reads in black and white. Text stays text, drawn by the reader's browser. The same input gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from slopeshift.report.words.numbers import arrows

Floats = NDArray[np.float64]

RUST = "#a33b00"
"""Vermillion, dark enough for text."""

INK, GREY, BLUE, VERMILLION, GREEN, PURPLE = "#1a1a1a", "#767676", "#0072b2", "#d55e00", "#009e73", "#aa4488"

PANEL, CARD = 3.35, 1.6
"""Widths in inches: a panel fills a telephone or half of a printed page, a card is one of four beside each other there.

Figures are drawn in the size in which they are printed, so that their text keeps its size.
"""

SIZE, SMALL = 9, 8
"""Sizes of text in points; journals ask for 8 at least."""

TALLEST = 8.0
"""Inches that rows of axes have together, however many there are: with its axis, a figure fits on a printed page."""

ROWS = 40
"""Rows of patients or analyses that one figure holds; of more, there are several figures."""

LABEL_LENGTH = 14

LOOKS = list(
    zip((BLUE, VERMILLION, GREEN, PURPLE), ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1.5, 1.5, 1.5))), strict=True)
)


styled = style.context(
    [
        "default",
        {
            "font.size": SIZE,
            "text.color": INK,
            "text.parse_math": False,  # a dollar in a patient's name is a dollar
            "axes.edgecolor": GREY,
            "axes.labelcolor": INK,
            "axes.titlesize": SIZE,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "xtick.color": INK,
            "ytick.color": INK,
            "legend.frameon": False,
            "lines.linewidth": 1.6,
            "svg.fonttype": "none",
            "svg.hashsalt": "slopeshift",
        },
    ]
)


def panel(height: float, width: float = PANEL) -> tuple[Figure, Axes]:
    """Make a figure of one panel, `height` and `width` in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def panels(n: int, height: float, *, sharex: bool = False, sharey: bool = False) -> tuple[Figure, Sequence[Axes]]:
    """Make a figure of `n` panels under each other, together `height` inches high."""
    figure = Figure(figsize=(PANEL, height), layout="constrained")
    return figure, list(figure.subplots(n, sharex=sharex, sharey=sharey, squeeze=False)[:, 0])


def rows_of_axes(names: Sequence[str], height: float) -> tuple[Figure, Sequence[Axes]]:
    """Lay one row of axes per injection out, named on the left, with a common horizontal axis."""
    height = min(height, TALLEST / len(names))
    figure, rows = panels(len(names), height * len(names) + 1.0, sharex=True, sharey=True)
    for ax, name in zip(rows, names, strict=True):
        ax.set_ylabel(title(name), rotation=0, ha="right", va="center")
        ax.spines["left"].set_visible(False)
        ax.set_yticks([])
    return figure, rows


def change_label(unit: str, sign: float) -> str:
    """Label an axis of changes of slope in `unit`; `sign` is that of the outcome."""
    return f"Change of slope, {unit}\n{arrows(sign)}"


def beyond(ax: Axes, lower: float, upper: float, y: float, span: tuple[float, float], colour: str) -> None:
    """Mark with an arrowhead where an interval leaves the axis, which a few wide ones are not to rule."""
    for end, edge, marker in ((lower, span[0], "<"), (upper, span[1], ">")):
        if (end < edge) if marker == "<" else (end > edge):
            ax.plot(edge, y, marker, color=colour, markersize=4, clip_on=False)


def held(lower: Floats, upper: Floats, middle: Floats) -> tuple[float, float]:
    """Choose an axis for intervals: all estimates, zero, and the intervals but for the farthest twentieth on a side.

    `lower`, `upper` and `middle` are (interval,). An interval that leaves the axis is marked by `beyond`.
    """
    low = min(0.0, float(middle.min()), float(np.quantile(lower, 0.05)))
    high = max(0.0, float(middle.max()), float(np.quantile(upper, 0.95)))
    margin = 0.04 * (high - low)
    return low - margin, high + margin


def note(words: str) -> Figure:
    """Make a figure of words alone, where there is nothing to draw."""
    figure = Figure(figsize=(PANEL, 1))
    figure.text(0.5, 0.5, words, ha="center", va="center", color=GREY)
    return figure


def legend(figure: Figure, ax: Axes, columns: int = 3) -> None:
    """Put the legend of some axes above the figure."""
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper left", ncols=columns, fontsize=SMALL, handlelength=1.6, columnspacing=1.0
    )


def look(injection: str) -> tuple[str, object]:
    """Give an injection the same colour and dash in every figure; the mean over injections is black and solid."""
    return LOOKS[(int(injection) - 1) % len(LOOKS)] if injection.isdigit() else (INK, "-")


def title(injection: str) -> str:
    """Name an injection, or all of them, in print."""
    return f"injection {injection}" if injection[0].isdigit() else injection


def short(text: str, most: int = LABEL_LENGTH) -> str:
    """Cut a text to what fits: a patient's name beside an axis, or as many letters; the tables have it in full."""
    return text if len(text) <= most else text[: most - 1] + "…"


def span_of(ranges: Sequence[Floats]) -> tuple[float, float]:
    """Cover all ranges, and zero."""
    low, high = min(0.0, *(r[0] for r in ranges)), max(0.0, *(r[1] for r in ranges))
    margin = 0.04 * (high - low)
    return float(low - margin), float(high + margin)

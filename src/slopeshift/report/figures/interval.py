"""Figure of the response against the interval: the patients' changes as points, the fitted lines with their bands."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from slopeshift.answers.quantities import BETWEEN, WITHIN
from slopeshift.report.figures.style import BLUE, GREY, INK, VERMILLION, panels, styled

_LOOKS = {
    WITHIN: (BLUE, "-", "Line: within a patient"),
    BETWEEN: (VERMILLION, (0, (5, 1.5)), "Line: between patients"),
}


@styled
def response_against_interval(changes: pd.DataFrame, curve: pd.DataFrame, unit: str) -> Figure:
    """Draw every closed cycle's change with its 95 % interval against its length, and the fitted lines with bands.

    The points are estimates of the same model, drawn towards its lines: how well these fit is not to be seen from them.

    `changes` has columns months, mean, lower, upper (`unit`), a row per cycle; `curve` has quantity, months, mean,
    lower, upper: a panel for each quantity, with the same points. Without a line the points stand alone.
    """
    lines = list(curve.groupby("quantity", sort=False)) or [("", curve)]
    figure, stack = panels(len(lines), 2.6 * len(lines) + 0.6, sharex=True, sharey=True)
    for ax, (quantity, line) in zip(stack, lines, strict=True):
        _points(ax, changes)
        if not line.empty:
            colour, dash, words = _LOOKS[quantity]
            ax.fill_between(line["months"], line["lower"], line["upper"], color=colour, alpha=0.25, linewidth=0)
            ax.plot(line["months"], line["mean"], color=colour, linestyle=dash)
            ax.set_title(words)
        ax.axhline(0, color=GREY, linewidth=0.8, zorder=0)
        ax.set_ylabel(f"Change of slope,\n{unit}")
    stack[-1].set_xlabel("Months to the next injection")
    return figure


def _points(ax: Axes, changes: pd.DataFrame) -> None:
    if changes.empty:
        ax.text(0.5, 0.5, "no cycle was closed by a next injection", transform=ax.transAxes, ha="center", color=GREY)
    ax.vlines(changes["months"], changes["lower"], changes["upper"], color=GREY, linewidth=0.8, alpha=0.7)
    ax.plot(changes["months"], changes["mean"], "o", color=INK, markersize=3.5)

"""Figures of patients' courses: tidy inputs in, a Matplotlib figure out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from slopeshift.report.figures.courses import Ending
from slopeshift.report.figures.style import BLUE, CARD, GREY, INK, RUST, SMALL, VERMILLION, panel, styled

APART = 0.17
"""Least distance between the numbers of two injections, as a share of the axis."""

_END_MARKERS = {"death": ("X", INK), "withdrawal": ("s", "white"), "lost": ("D", "white")}


@styled
def trajectory(
    values: pd.DataFrame,
    line: pd.DataFrame,
    injections: Sequence[float],
    ending: Ending | None,
    limits: tuple[tuple[float, float], tuple[float, float]],
    labels: tuple[str, str] | None = None,
) -> Figure:
    """Draw one patient: recorded values, injections, posterior median and 95 % band of the mean, how follow-up ended.

    `values` has columns month and value; `line` (none where the model may not be shown) month, median, lower and upper.
    `limits` and `labels` are those of the time and the value axis, shared by all patients; without labels, a figure is
    one of many, whose axes the page names once for all.
    Of injections too near each other, not every one has its number.
    """
    if labels:
        figure, ax = panel(2.4)
        ax.set(xlabel=labels[0], ylabel=labels[1])
    else:
        figure = Figure(figsize=(CARD, 1.3))
        ax = figure.add_axes((0.2, 0.16, 0.77, 0.69))
    if not line.empty:
        ax.fill_between(line["month"], line["lower"], line["upper"], color=BLUE, alpha=0.25, linewidth=0)
        ax.plot(line["month"], line["median"], color=BLUE, linewidth=1.2)
    ax.plot(values["month"], values["value"], "o", color=INK, markersize=2.2)
    room, last = APART * (limits[0][1] - limits[0][0]), -np.inf
    for number, month in enumerate(injections, 1):
        ax.axvline(month, color=VERMILLION, linewidth=0.8, linestyle=(0, (3, 2)), zorder=0)
        if month - last >= room:
            of_axis = ax.get_xaxis_transform()
            ax.text(month, 1.02, str(number), transform=of_axis, ha="center", fontsize=SMALL, color=RUST)
            last = month
    if values.empty:
        ax.text(0.5, 0.5, "no value recorded", transform=ax.transAxes, ha="center", fontsize=SMALL, color=GREY)
    if ending is not None and ending.reason in _END_MARKERS:
        marker, face = _END_MARKERS[ending.reason]
        ax.plot(
            ending.month,
            0.05,
            marker,
            transform=ax.get_xaxis_transform(),
            color=INK,
            markerfacecolor=face,
            markeredgewidth=0.5 if face == INK else 1.0,
            clip_on=False,
        )
    ax.set(xlim=limits[0], ylim=limits[1])
    ax.tick_params(labelsize=SMALL, pad=1.5, length=2.5)
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    return figure

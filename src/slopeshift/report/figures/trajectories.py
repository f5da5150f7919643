"""Figures of patients' courses: tidy inputs in, a Matplotlib figure out."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from slopeshift.report.figures.courses import Ending
from slopeshift.report.figures.style import BLUE, CARD, GREY, INK, RUST, VERMILLION, styled

_END_MARKERS = {"death": ("X", INK), "withdrawal": ("s", "white"), "lost": ("D", "white")}


@styled
def trajectory(
    values: pd.DataFrame,
    line: pd.DataFrame,
    injections: Sequence[float],
    ending: Ending | None,
    limits: tuple[tuple[float, float], tuple[float, float]],
    labels: tuple[str, str],
) -> Figure:
    """Draw one patient: recorded values, injections, posterior median and 95 % band of the mean, how follow-up ended.

    `values` has columns month and value; `line` (none where the model may not be shown) month, median, lower and upper.
    `limits` and `labels` are those of the time and the value axis, shared by all patients.
    """
    figure = Figure(figsize=(CARD, 2.1))
    ax = figure.add_axes((0.17, 0.2, 0.8, 0.7))
    if not line.empty:
        ax.fill_between(line["month"], line["lower"], line["upper"], color=BLUE, alpha=0.25, linewidth=0)
        ax.plot(line["month"], line["median"], color=BLUE)
    ax.plot(values["month"], values["value"], "o", color=INK, markersize=3)
    for number, month in enumerate(injections, 1):
        ax.axvline(month, color=VERMILLION, linewidth=1, linestyle=(0, (3, 2)), zorder=0)
        ax.text(month, 1.02, str(number), transform=ax.get_xaxis_transform(), ha="center", fontsize=9, color=RUST)
    if values.empty:
        ax.text(0.5, 0.5, "no value recorded", transform=ax.transAxes, ha="center", fontsize=9, color=GREY)
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
    ax.set_xlabel(labels[0], fontsize=9, labelpad=2)
    ax.set_ylabel(labels[1], fontsize=9, labelpad=2)
    ax.tick_params(labelsize=9)
    return figure

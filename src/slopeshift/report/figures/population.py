"""Figures of an average patient: tidy inputs in, a Matplotlib figure out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from slopeshift.report.figures.style import (
    BLUE,
    GREY,
    INK,
    change_label,
    legend,
    look,
    note,
    panel,
    rows_of_axes,
    span_of,
    styled,
    title,
)
from slopeshift.report.words.numbers import course

MOST_NAMED = 6
"""Injections that a legend has room for; of more, the first and the last are named."""

Floats = NDArray[np.float64]


@styled
def densities(posterior: Mapping[str, Floats], prior: Mapping[str, Floats], unit: str, sign: float = 1) -> Figure:
    """Draw the posterior density of the change after every injection, the prior's behind it.

    `posterior` and `prior` hold draws (draw,) by injection, in `unit`; `sign` is that of the outcome.
    """
    from scipy.stats import gaussian_kde

    if not posterior:
        return note("No injection, no change")
    figure, rows = rows_of_axes(list(posterior), 0.6)
    x = np.linspace(*span_of([np.quantile(draws, (0.001, 0.999)) for draws in posterior.values()]), 121)
    for ax, (injection, draws) in zip(rows, posterior.items(), strict=True):
        colour, _ = look(injection)
        ax.fill_between(x, gaussian_kde(draws)(x), color=colour, alpha=0.45, linewidth=0, label="posterior")
        ax.plot(x, gaussian_kde(prior[injection])(x), color=INK, linestyle=(0, (4, 2)), linewidth=1, label="prior")
        lower, upper = np.quantile(draws, (0.025, 0.975))
        ax.plot(
            [lower, upper],
            [0, 0],
            color=colour,
            linewidth=4,
            solid_capstyle="butt",
            label="95 % interval",
            clip_on=False,
        )
        ax.axvline(0, color=GREY, linewidth=0.8)
    rows[-1].set_ylim(0)
    rows[-1].set_xlabel(change_label(unit, sign))
    legend(figure, rows[0])
    return figure


@styled
def exceedance(curve: pd.DataFrame, unit: str, sign: float = 1) -> Figure:
    """Draw Pr(change > x) for every injection; `curve` has columns injection, x (`unit`) and probability."""
    if curve.empty:
        return note("No injection, no change")
    figure, ax = panel(2.8)
    lines = {str(injection): line for injection, line in curve.groupby("injection", sort=False)}
    numbers = [injection for injection in lines if injection.isdigit()]
    between = numbers[1:-1] if len(numbers) > MOST_NAMED else []
    for injection, line in lines.items():
        colour, dash = (GREY, "-") if injection in between else look(injection)
        width = 0.6 if injection in between else 1.6 if injection.isdigit() else 2.4
        name = title(injection)
        if between:
            name = {between[0]: f"{between[0]} to {between[-1]}"}.get(injection, "" if injection in between else name)
        ax.plot(line["x"], line["probability"], color=colour, linestyle=dash, linewidth=width, label=name or None)
    ax.axvline(0, color=GREY, linewidth=0.8)
    for level in (0.5, 0.95):
        ax.axhline(level, color=GREY, linewidth=0.6, linestyle=":")
    side = "above 0" if sign > 0 else "below 0"
    ax.set(ylim=(0, 1.02), xlabel=f"x, {unit}\n({side}: slower {course(sign)})", ylabel="Pr(change of slope > x)")
    ax.set_yticks([0, 0.25, 0.5, 0.75, 0.95], ["0", "0.25", "0.5", "0.75", "0.95"])
    legend(figure, ax, columns=2)
    return figure


@styled
def arms(courses: pd.DataFrame, values: pd.DataFrame, names: Mapping[bool, str], unit: str) -> Figure:
    """Draw the course that each arm is expected to take, with its 95 % band, over what was recorded.

    `courses` is `answers.arms.courses`; `values` has a row for each value: treated, patient, month and value (`unit`).
    """
    figure, ax = panel(3.1)
    for treated, colour in ((False, GREY), (True, BLUE)):
        for _, one in values[values["treated"] == treated].groupby("patient"):
            ax.plot(one["month"], one["value"], color=colour, linewidth=0.4, alpha=0.35, zorder=1)
        line = courses[courses["treated"] == treated]
        ax.fill_between(line["month"], line["lower"], line["upper"], color=colour, alpha=0.25, linewidth=0, zorder=2)
        ax.plot(line["month"], line["median"], color=colour, linewidth=2.2, zorder=3, label=names[treated])
    ax.axvline(0, color=INK, linewidth=0.8, linestyle=":")
    ax.set(
        xlim=(courses["month"].min(), courses["month"].max()), xlabel="months since the first injection", ylabel=unit
    )
    legend(figure, ax, columns=2)
    return figure

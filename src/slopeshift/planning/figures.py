"""Figures of a plan: power over effects, and power over the number of patients and the months of lead-in."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.report.figures.style import BLUE, GREY, INK, LOOKS, PURPLE, VERMILLION, legend, panel, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
"""Powers at which a contour is drawn."""


WRAPPED = 18
"""Characters of a scenario's name on a line."""


@styled
def power_curves(curves: pd.DataFrame, wanted: float, unit: str, simulated: pd.DataFrame | None = None) -> Figure:
    """Draw the share of claims over the true effect, a line for every number of patients.

    `curves` is that of `tables.by_design`; `simulated` has effect, claims and mc_error of trials that were
    refitted, drawn with two standard errors either way. A line marks the power that is wanted.
    """
    figure, ax = panel(3.2)
    for (patients, of), (colour, dash) in zip(curves.groupby("patients"), LOOKS * 10, strict=False):
        ax.plot(of["effect"], of["claims"], color=colour, linestyle=dash, label=f"{patients} patients")
    if simulated is not None and len(simulated):
        ax.errorbar(
            simulated["effect"],
            simulated["claims"],
            yerr=2 * simulated["mc_error"],
            fmt="o",
            color=INK,
            markersize=4,
            capsize=2,
            label="simulated",
        )
    ax.axhline(wanted, color=GREY, linewidth=0.8)
    ax.set_ylim(0, 1)
    ax.set_xlabel(f"True change of slope, {unit}")
    ax.set_ylabel("Share of trials that claim")
    legend(figure, ax)
    return figure


@styled
def contour(scenarios: pd.DataFrame, wanted: float) -> Figure:
    """Draw the share of claims over patients and lead-in: rows of one scenario with patients, lead_in and claims."""
    figure, ax = panel(3.2)
    grid = scenarios.pivot_table(index="lead_in", columns="patients", values="claims")
    lines = ax.contour(grid.columns, grid.index, grid.to_numpy(), levels=LEVELS, colors=BLUE, linewidths=1.2)
    ax.clabel(lines, fmt=lambda level: f"{100 * level:.0f} %", fontsize=8)
    if np.nanmin(grid) < wanted < np.nanmax(grid):
        ax.contour(grid.columns, grid.index, grid.to_numpy(), levels=[wanted], colors=VERMILLION, linewidths=2.0)
    patients, months = np.meshgrid(grid.columns, grid.index)
    ax.plot(patients.ravel(), months.ravel(), "o", markersize=3, color=GREY)
    ax.set_xlabel("Patients")
    ax.set_ylabel("Months of lead-in")
    return figure


@styled
def stopping(looks: pd.DataFrame) -> Figure:
    """Draw what each scenario ends in at every look: shares of trials by look, with a claim or without."""
    names = list(dict.fromkeys(looks["scenario"]))
    figure, ax = panel(0.6 * len(names) + 1.4)
    for row, name in enumerate(names):
        of, left = looks[looks["scenario"] == name], 0.0
        for place, look in enumerate(of.itertuples()):
            shares = (look.claim, BLUE, ""), (look.without, PURPLE, "//")
            for share, colour, hatch in shares:
                ax.barh(row, share, left=left, color=colour, alpha=1 - 0.2 * place, hatch=hatch, edgecolor="white")
                left += share
    ax.set_yticks(range(len(names)), [fill(name, WRAPPED) for name in names], fontsize=8)
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    ax.set_xlabel("Share of trials")
    return figure

"""Figures of the checks of a model's fit, in the style of `plots`: tidy inputs, a Matplotlib figure out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from slopeshift.report.plots import BLUE, GREY, INK, PANEL, VERMILLION, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from slopeshift.checks import Quantity

    Floats = NDArray[np.float64]

ENVELOPE, SIMULATIONS, SEED = 0.95, 1000, 1
LONGEST_LABEL = 24


@styled
def uniform(pit: Floats) -> Figure:
    """Draw how the leave-one-out probabilities (visit,) depart from uniform ones, with a simultaneous 95 % envelope.

    The vertical axis is the share of probabilities up to a value less that value. The envelope is ArviZ's for
    independent probabilities (Säilynoja, Bürkner and Vehtari 2022, doi 10.1007/s11222-022-10090-6).
    """
    from arviz_stats.ecdf_utils import ecdf_pit

    figure, ax = _panel(2.9)
    rng = np.random.default_rng(SEED)
    x, share, lower, upper = ecdf_pit(pit, ENVELOPE, SIMULATIONS, rng=rng)  # type: ignore[no-untyped-call]
    ax.fill_between(x, lower - x, upper - x, color=BLUE, alpha=0.3, linewidth=0, step="mid", label="95 % envelope")
    ax.plot(x, share - x, color=INK, drawstyle="steps-mid", label="this model")
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set(xlim=(0, 1), xlabel="Probability of a lower value, given all others", ylabel="Share so far, minus uniform")
    _legend(figure, ax)
    return figure


@styled
def binned(rows: pd.DataFrame, parts: Sequence[str], unit: str) -> Figure:
    """Draw quantities of the residuals by bin: recorded as dots, what is predicted as bars (95 %).

    `rows` has the columns of `checks.predictive.COLUMNS`; `parts` are the checks, a panel each, with the same bins.
    """
    groups = [rows[rows["check"] == part] for part in parts]
    number = len(groups[0])
    figure = Figure(figsize=(PANEL, 0.5 + len(parts) * (0.75 + 0.28 * number)), layout="constrained")
    axes = figure.subplots(len(parts), 1, squeeze=False)[:, 0]
    for ax, group in zip(axes, groups, strict=True):
        y = np.arange(len(group))
        ax.hlines(y, group["predicted_lower"], group["predicted_upper"], color=BLUE, alpha=0.4, linewidth=7)
        ax.plot([], [], color=BLUE, alpha=0.4, linewidth=7, label="predicted (95 %)")
        ax.plot(group["observed"], y, "o", color=INK, markersize=4.5, label="recorded")
        ax.set_yticks(y, [_wrapped(label) for label in group["where"]], fontsize=8)
        name = str(group["quantity"].iloc[0])
        ax.set(ylim=(len(group) - 0.5, -0.5), xlabel=f"{name[0].upper()}{name[1:]}, {unit}")
        if name.startswith("mean"):
            ax.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    _legend(figure, axes[0])
    return figure


@styled
def counts(found: Sequence[Quantity]) -> Figure:
    """Draw the trial's own count of improved patients: in predicted trials (bars) and in this one (line), by period."""
    figure = Figure(figsize=(PANEL, 0.7 + 0.95 * len(found)), layout="constrained")
    axes = figure.subplots(len(found), 1, sharex=True, squeeze=False)[:, 0]
    for ax, quantity in zip(axes, found, strict=True):
        number = np.arange(quantity.n_values + 1)
        share = np.bincount(quantity.predicted.astype(int), minlength=len(number)) / len(quantity.predicted)
        ax.bar(number, share, width=0.85, color=BLUE, alpha=0.45, label="predicted trials")
        ax.axvline(quantity.observed, color=VERMILLION, linestyle=(0, (5, 2)), label="this trial")
        ax.set_title(f"{quantity.where.capitalize()} (of {quantity.n_values})", fontsize=9)
        ax.set(yticks=[], ylim=0)
        ax.spines["left"].set_visible(False)
    axes[-1].set_xlabel("Number of patients improved by more than 25 %")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(figure, axes[0])
    return figure


@styled
def pareto(by_visit: Floats, by_patient: Floats | None, limit: float) -> Figure:
    """Draw the Pareto k of every value, and of every patient, that was left out, against the limit of reliability."""
    figure, ax = _panel(2.9)
    rows = [("values", by_visit, "o")] + ([] if by_patient is None else [("patients", by_patient, "D")])
    for place, (name, k, marker) in enumerate(rows):
        spread = place + np.linspace(-0.32, 0.32, len(k))
        good = k <= limit
        ax.plot(k[good], spread[good], marker, color=BLUE, markersize=3, alpha=0.6, label=f"{name}: reliable")
        if not good.all():
            ax.plot(k[~good], spread[~good], "X", color=VERMILLION, markersize=6, label=f"{name}: not reliable")
    ax.axvline(limit, color=INK, linestyle=(0, (5, 2)), linewidth=1, label=f"limit {limit:.2f}")
    ax.set_yticks(range(len(rows)), [f"{name}\nleft out" for name, _, _ in rows])
    ax.set(ylim=(len(rows) - 0.5, -0.5), xlabel="Pareto k")
    _legend(figure, ax)
    return figure


def _panel(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(PANEL, height), layout="constrained")
    return figure, figure.subplots()


def _legend(figure: Figure, ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, fontsize=9, handlelength=1.8, columnspacing=1.2)


def _wrapped(label: str) -> str:
    """Break the label of bins that were put together at its dash."""
    return label.replace(" – ", " –\n") if len(label) > LONGEST_LABEL else label

"""Figures of the checks: residuals, predictions and leave-one-out in, a Matplotlib figure out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from slopeshift.report.figures.style import BLUE, GREY, INK, SMALL, VERMILLION, legend, panel, panels, styled

Floats = NDArray[np.float64]


@styled
def predictive(observed: Floats, prior: Floats, posterior: Floats, label: str) -> Figure:
    """Draw the recorded values' distribution against those the model predicts.

    `observed` (visit,); `prior` and `posterior` predictions (draw, visit). The band holds the share of values in a bin
    in 95 % of posterior predictions; the dashed line is what the prior predicts on average.
    """
    figure, ax = panel(3.1)
    edges = _bins(observed, *np.quantile(prior, (0.01, 0.99)))
    middle = (edges[:-1] + edges[1:]) / 2
    shares = np.array([np.histogram(draw, edges)[0] for draw in posterior]) / observed.size
    lower, upper = np.quantile(shares, (0.025, 0.975), axis=0)
    before = np.histogram(prior, edges)[0] / prior.size
    ax.stairs(upper, edges, baseline=lower, fill=True, color=BLUE, alpha=0.35, label="posterior prediction (95 %)")
    ax.plot(middle, before, color=INK, linestyle=(0, (4, 2)), linewidth=1, label="prior prediction")
    ax.plot(middle, np.histogram(observed, edges)[0] / observed.size, "o", color=INK, markersize=4, label="recorded")
    ax.set(xlabel=label, ylabel="Share of values", ylim=0)
    legend(figure, ax, columns=2)
    return figure


@styled
def residuals(month: Floats, residual: Floats, sd: float, unit: str) -> Figure:
    """Draw recorded minus expected values (`unit`) against months since the first injection; `sd`: residual SD."""
    figure, ax = panel(3.1)
    ax.plot(month, residual, "o", color=BLUE, markersize=3, alpha=0.5, label="recorded minus expected", zorder=1)
    edges = np.unique(np.quantile(month, np.linspace(0, 1, 9)))
    place = np.clip(np.searchsorted(edges, month, side="right") - 1, 0, max(len(edges) - 2, 0))
    groups = [place == i for i in np.unique(place)]
    centre, mean = ([values[group].mean() for group in groups] for values in (month, residual))
    ax.plot(centre, mean, "-s", color=INK, markersize=4, label="mean of neighbours")
    ax.axhline(0, color=GREY, linewidth=0.8)
    for bound in (-2 * sd, 2 * sd):
        ax.axhline(bound, color=GREY, linewidth=0.8, linestyle=":")
    ax.set(xlabel="Months since first injection", ylabel=f"Residual, {unit}")
    legend(figure, ax)
    return figure


def _bins(observed: Floats, low: float, high: float) -> Floats:
    """Cut the range of all values into about twenty bins; of whole numbers, each bin gets as many."""
    low, high = min(low, observed.min()), max(high, observed.max())
    if np.any(observed % 1):
        return np.linspace(low, high, 22)
    width = max(1.0, np.ceil((high - low) / 21))
    return np.arange(np.floor(low) - 0.5, high + width, width)


ENVELOPE, SIMULATIONS, SEED = 0.95, 1000, 1

LONGEST_LABEL = 24


@styled
def uniform(pit: Floats) -> Figure:
    """Draw how the leave-one-out probabilities (visit,) depart from uniform ones, with a simultaneous 95 % envelope.

    The vertical axis is the share of probabilities up to a value less that value. The envelope is ArviZ's for
    independent probabilities (Säilynoja, Bürkner and Vehtari 2022, doi 10.1007/s11222-022-10090-6).
    """
    from slopeshift.answers.arviz_stats import ecdf_pit

    figure, ax = panel(2.9)
    rng = np.random.default_rng(SEED)
    x, share, lower, upper = ecdf_pit(pit, ENVELOPE, SIMULATIONS, rng=rng)  # type: ignore[no-untyped-call]
    ax.fill_between(x, lower - x, upper - x, color=BLUE, alpha=0.3, linewidth=0, step="mid", label="95 % envelope")
    ax.plot(x, share - x, color=INK, drawstyle="steps-mid", label="this model")
    ax.axhline(0, color=GREY, linewidth=0.8)
    ax.set(xlim=(0, 1), xlabel="Pr(a lower value), given all others", ylabel="Share so far, minus uniform")
    legend(figure, ax)
    return figure


@styled
def binned(rows: pd.DataFrame, parts: Sequence[str], unit: str) -> Figure:
    """Draw quantities of the residuals by bin: recorded as dots, what is predicted as bars (95 %).

    `rows` has the columns of `checks.predictive.COLUMNS`; `parts` are the checks, a panel each, with the same bins.
    """
    groups = [rows[rows["check"] == part] for part in parts]
    number = len(groups[0])
    figure, axes = panels(len(parts), 0.5 + len(parts) * (0.75 + 0.28 * number))
    for ax, group in zip(axes, groups, strict=True):
        y = np.arange(len(group))
        ax.hlines(y, group["predicted_lower"], group["predicted_upper"], color=BLUE, alpha=0.4, linewidth=7)
        ax.plot([], [], color=BLUE, alpha=0.4, linewidth=7, label="predicted (95 %)")
        ax.plot(group["observed"], y, "o", color=INK, markersize=4.5, label="recorded")
        ax.set_yticks(y, [_wrapped(label) for label in group["where"]], fontsize=SMALL)
        name = str(group["quantity"].iloc[0])
        ax.set(ylim=(len(group) - 0.5, -0.5), xlabel=f"{name[0].upper()}{name[1:]}, {unit}")
        if name.startswith("mean"):
            ax.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    legend(figure, axes[0])
    return figure


@styled
def counts(table: pd.DataFrame) -> Figure:
    """Draw the trial's own count of improved patients: in predicted trials (bars) and in this one (line), by period.

    `table` has columns period, of, observed, count and share, a row for every count that is possible.
    """
    found = list(table.groupby("period", sort=False))
    figure, axes = panels(len(found), 0.7 + 0.95 * len(found), sharex=True)
    for ax, (period, rows) in zip(axes, found, strict=True):
        ax.bar(rows["count"], rows["share"], width=0.85, color=BLUE, alpha=0.45, label="predicted trials")
        ax.axvline(rows["observed"].iloc[0], color=VERMILLION, linestyle=(0, (5, 2)), label="this trial")
        ax.set_title(f"{str(period).capitalize()} (of {rows['of'].iloc[0]})", fontsize=SMALL)
        ax.set(yticks=[], ylim=0)
        ax.spines["left"].set_visible(False)
    axes[-1].set_xlabel("Number of patients improved by more than 25 %")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(figure, axes[0])
    return figure


@styled
def pareto(by_visit: Floats, by_patient: Floats | None, limit: float) -> Figure:
    """Draw the Pareto k of every value, and of every patient, that was left out, against the limit of reliability."""
    figure, ax = panel(2.9)
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
    legend(figure, ax)
    return figure


def _wrapped(label: str) -> str:
    """Break the label of bins that were put together at its dash."""
    return label.replace(" – ", " –\n") if len(label) > LONGEST_LABEL else label

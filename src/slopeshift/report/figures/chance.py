"""Figures of the null reference, in the style of `plots`: tidy tables in, a Matplotlib figure out.

What was observed is marked in each null distribution; where it lies is no proof of an effect, only of how readily this
kind of chance gives as much.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from slopeshift.report.figures.style import BLUE, GREY, INK, VERMILLION, note, panel, panels, styled

LABELS = {
    "improved": "Number of patients improved",
    "improved_of_defined": "Share improved, of those with a percentage",
    "improved_of_all": "Share improved, of all",
    "mean_percent": "Mean improvement (%)",
    "median_percent": "Median improvement (%)",
    "mean_change": "Mean change of slope",
    "sd_change": "SD of the changes of slope",
    "wilcoxon_p": "p of the signed-rank test",
    "rose": "Number of patients whose value rose",
    "largest_rise": "Largest rise",
    "smallest_rise": "Smallest rise",
    "interval_correlation": "Rank correlation of change and interval",
    "undefined_percent": "Number of patients without a percentage",
    "falling_lead_in": "Number of patients with a falling lead-in",
}
"""Statistics that are worth a figure, with the name of their axis; the others are numbers of patients by design."""


@styled
def null_distribution(distribution: pd.DataFrame, observed: pd.DataFrame, statistic: str, unit: str = "") -> Figure:
    """Draw the null distribution of one statistic after every injection, the observed value marked in each.

    `distribution` and `observed` are the rows of `null_distribution` and `null_reference` of one outcome, source and
    entry rule; `unit` is that of the outcome, for a change of slope. Raises KeyError for a statistic not in LABELS.
    """
    label = LABELS[statistic] + (f" ({unit}/month)" if unit and statistic.endswith("_change") else "")
    binned = distribution[distribution["statistic"] == statistic]
    found = observed[observed["statistic"] == statistic].set_index("injection")
    periods = [period for period in found.index if (binned["injection"] == period).any()]
    if not periods:
        return note(f"{label}: not defined")
    figure, axes = panels(len(periods), 0.55 + 0.95 * len(periods), sharex=True)
    for ax, period in zip(axes, periods, strict=True):
        _histogram(ax, binned[binned["injection"] == period])
        _mark(ax, found.loc[period])
        ax.set_title(_period(period), fontsize=9)
        ax.set(yticks=[], ylim=0)
        ax.spines["left"].set_visible(False)
    axes[-1].set_xlabel(label)
    axes[-1].xaxis.set_major_locator(MaxNLocator(6))
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=9)
    return figure


@styled
def published_claim(table: pd.DataFrame, period: str) -> Figure:
    """Draw the null ranges of one published count over all lead-ins, entry rules and natural histories.

    `table` is `published_claim`; a row per entry rule and rule for the lead-in slope, a bar for each natural history
    and lead-in from 2.5 to 97.5 %, the mean a dot, and the published count a line.
    """
    groups = list(table.groupby(["entry", "lead_in"], sort=False))
    figure, ax = panel(0.9 + 0.42 * len(groups))
    for place, (_, group) in enumerate(groups):
        y = place + np.linspace(-0.35, 0.35, len(group))
        gap = np.full(len(group), np.nan)
        ranges = np.column_stack([group[f"lower_{period}"], group[f"upper_{period}"], gap]).ravel()
        ax.plot(ranges, np.column_stack([y, y, gap]).ravel(), color=GREY, linewidth=0.6, alpha=0.7)
        ax.plot(group[f"mean_{period}"], y, ".", color=BLUE, markersize=3, label="null mean" if place == 0 else None)
    published, of = (int(table[f"{name}_{period}"].iloc[0]) for name in ("published", "of"))
    ax.axvline(published, color=VERMILLION, linestyle=(0, (5, 2)), label=f"published: {published} of {of}")
    ax.set_yticks(range(len(groups)), [f"{entry}\n{rule.replace('_', ' ')}" for (entry, rule), _ in groups], fontsize=8)
    ax.invert_yaxis()
    ax.set(xlim=(-0.5, of + 0.5), xlabel="Patients improved by more than 25 %")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure


@styled
def pseudo_changes(moves: pd.DataFrame, unit: str) -> Figure:
    """Draw the population change after every set of pseudo-injections, with its 95 % interval, in order.

    `moves` has the rows of `pseudo_moves` of one model; those that failed the gate's bounds are left out.
    """
    good = moves[moves["passed"].astype(bool)].sort_values("mean")
    figure, ax = panel(2.4)
    place = np.arange(len(good))
    ax.vlines(place, good["lower"], good["upper"], color=GREY, linewidth=0.8, label="95 % interval")
    ax.plot(place, good["mean"], ".", color=BLUE, markersize=4, label="mean")
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.set(xticks=[], xlabel=f"{len(good)} sets of pseudo-injections", ylabel=f"Change ({unit}/month)")
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure


def _histogram(ax: Axes, bins: pd.DataFrame) -> None:
    """Draw the bins of a null distribution: a bar for each value of a count, steps for what has bins."""
    left, right, share = (bins[name].to_numpy() for name in ("left", "right", "share"))
    if (left == right).all():
        gap = np.diff(left).min() if len(left) > 1 else 1.0
        ax.bar(left, share, width=0.85 * gap, color=BLUE, alpha=0.45, label="null trials")
    else:
        ax.stairs(share, np.append(left, right[-1]), fill=True, color=BLUE, alpha=0.45, label="null trials")


def _mark(ax: Axes, row: pd.Series) -> None:
    """Mark the observed value, and write the share of null trials at or above it; nothing where it is undefined."""
    if np.isnan(row["observed"]):
        ax.text(0.99, 0.9, "not defined in this trial", transform=ax.transAxes, ha="right", va="top", fontsize=9)
        return
    ax.axvline(row["observed"], color=VERMILLION, linestyle=(0, (5, 2)), label="this trial")
    text = f"{100 * row['share_at_or_above']:.0f} % at or above"
    ax.text(0.99, 0.9, text, transform=ax.transAxes, ha="right", va="top", fontsize=9)


def _period(period: str) -> str:
    return {"overall": "Overall", "whole": "First to last injection"}.get(period, f"After injection {period}")

"""Figures of the null reference, in the style of `plots`: tidy tables in, a Matplotlib figure out.

What was observed is marked in each null distribution; where it lies is no proof of an effect, only of how readily this
kind of chance gives as much.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from slopeshift.report.figures.style import BLUE, GREY, INK, SMALL, VERMILLION, note, panel, panels, styled

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

TAIL = 0.025
"""Share of null trials on either side that may be left out of a figure, where a few of them would rule its axis."""

RULED = 0.5
"""Tails are left out where without them the axis is shorter than this part of the whole."""

FARTHER_OUT = "◂ ▸ null trials farther out, not drawn"


@styled
def null_distribution(
    distribution: pd.DataFrame,
    observed: pd.DataFrame,
    statistic: str,
    unit: str = "",
    periods: Collection[str] | None = None,
) -> Figure:
    """Draw the null distribution of one statistic after every injection, the observed value marked in each.

    `periods` chooses some of the injections, `overall` and `whole`; without it, all are drawn.

    `distribution` and `observed` are the rows of `null_distribution` and `null_reference` of one outcome, source and
    entry rule; `unit` is that of the outcome, for a change of slope. Where a few null trials would rule the axis, tails
    of up to TAIL are not drawn in any panel, and their share is written at its end; what was observed always is drawn.
    Raises KeyError for a statistic not in LABELS.
    """
    label = LABELS[statistic] + (f" ({unit}/month)" if unit and statistic.endswith("_change") else "")
    binned = distribution[distribution["statistic"] == statistic]
    found = observed[observed["statistic"] == statistic].set_index("injection")
    found = found if periods is None else found[found.index.isin(periods)]
    shown = [period for period in found.index if (binned["injection"] == period).any()]
    if not shown:
        return note(f"{label}: not defined")
    figure, axes = panels(len(shown), 0.8 + 0.8 * len(shown), sharex=True)
    low, high = _reach([binned[binned["injection"] == period] for period in shown], found["observed"])
    for ax, period in zip(axes, shown, strict=True):
        bins = _few(binned[binned["injection"] == period])
        below, above = bins["left"] < low, bins["right"] > high
        _histogram(ax, bins[~below & ~above])
        _farther_out(ax, bins.loc[below, "share"].sum(), bins.loc[above, "share"].sum())
        _mark(ax, found.loc[period])
        ax.set_title(_period(period), fontsize=SMALL)
        ax.set(yticks=[], ylim=0)
        ax.spines["left"].set_visible(False)
    if np.isfinite(low):
        margin = 0.12 * (high - low)  # room for the shares, where nothing else is drawn
        axes[-1].set_xlim(low - margin, high + margin)
    axes[-1].set_xlabel(f"{label}\n{FARTHER_OUT}" if np.isfinite(low) else label)
    axes[-1].xaxis.set_major_locator(MaxNLocator(6))
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=SMALL)
    return figure


@styled
def published_claim(table: pd.DataFrame, period: str) -> Figure:
    """Draw the null ranges of one published count over all lead-ins, entry rules and natural histories.

    `table` is `published_claim`; a row per entry rule and rule for the lead-in slope, a bar for each natural history
    and lead-in from 2.5 to 97.5 %, the mean a dot, and the published count a line.
    """
    groups = list(table.groupby(["entry", "lead_in"], sort=False))
    figure, ax = panel(0.9 + 0.4 * len(groups))
    for place, (_, group) in enumerate(groups):
        y = place + np.linspace(-0.35, 0.35, len(group))
        gap = np.full(len(group), np.nan)
        ranges = np.column_stack([group[f"lower_{period}"], group[f"upper_{period}"], gap]).ravel()
        ax.plot(ranges, np.column_stack([y, y, gap]).ravel(), color=GREY, linewidth=0.6, alpha=0.7)
        ax.plot(group[f"mean_{period}"], y, ".", color=BLUE, markersize=3, label="null mean" if place == 0 else None)
    published, of = (int(table[f"{name}_{period}"].iloc[0]) for name in ("published", "of"))
    ax.axvline(published, color=VERMILLION, linestyle=(0, (5, 2)), label=f"published: {published} of {of}")
    ax.set_yticks(
        range(len(groups)), [f"{entry}\n{rule.replace('_', ' ')}" for (entry, rule), _ in groups], fontsize=SMALL
    )
    ax.invert_yaxis()
    ax.set(xlim=(-0.5, of + 0.5), xlabel="Patients improved by more than 25 %")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside lower center", ncols=2, fontsize=SMALL)
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
    figure.legend(loc="outside lower center", ncols=2, fontsize=SMALL)
    return figure


def _reach(periods: Sequence[pd.DataFrame], observed: pd.Series) -> tuple[float, float]:
    """Find from where to where bins are drawn: without the tails if these rule the axis, otherwise without limits."""
    if all((bins["left"] == bins["right"]).all() for bins in periods):
        return -np.inf, np.inf  # a bar for each value: a count
    held = [_without_tails(bins) for bins in periods]
    values = observed.dropna()
    inner, outer = (
        (min(ends["left"].min(), values.min()), max(ends["right"].max(), values.max()))
        for ends in (pd.concat(held), pd.concat(periods))
    )
    return inner if inner[1] - inner[0] < RULED * (outer[1] - outer[0]) else (-np.inf, np.inf)


def _without_tails(bins: pd.DataFrame) -> pd.DataFrame:
    """Leave out the outermost bins that together hold no more than TAIL of the null trials on their side."""
    upwards, downwards = bins["share"].cumsum(), bins["share"][::-1].cumsum()[::-1]
    return bins[(upwards > TAIL) & (downwards > TAIL)]


def _farther_out(ax: Axes, below: float, above: float) -> None:
    """Write the shares of null trials that are not drawn at the ends of the axis."""
    for part, words, x, side in ((below, "◂ {}", 0.0, "left"), (above, "{} ▸", 1.0, "right")):
        if part > 0:
            percent = f"{100 * part:.0f} %" if part >= 0.01 else "< 1 %"
            ax.text(x, 0.08, words.format(percent), transform=ax.transAxes, ha=side, fontsize=SMALL)


MOST_BARS = 60
"""Bars of a count that a figure can hold: more would be hairlines."""


def _few(bins: pd.DataFrame) -> pd.DataFrame:
    """Put values that are too near each other for a bar each into bins of equal width; leave others as they are."""
    left = bins["left"].to_numpy()
    if len(left) < 2 or (left != bins["right"].to_numpy()).any():
        return bins
    if np.ptp(left) <= MOST_BARS * np.diff(left).min():
        return bins
    edges = np.linspace(left[0], left[-1], 21)
    share, _ = np.histogram(left, edges, weights=bins["share"])
    return pd.DataFrame({"left": edges[:-1], "right": edges[1:], "share": share})


def _histogram(ax: Axes, bins: pd.DataFrame) -> None:
    """Draw the bins of a null distribution: a bar for each value of a count, steps for what has bins."""
    left, right, share = (bins[name].to_numpy() for name in ("left", "right", "share"))
    if (left == right).all():
        gap = np.diff(left).min() if len(left) > 1 else 1.0
        ax.bar(left, share, width=0.85 * gap, color=BLUE, alpha=0.45, label="null trials")
    else:
        ax.stairs(share, np.append(left, right[-1]), fill=True, color=BLUE, alpha=0.45, label="null trials")


def _mark(ax: Axes, row: pd.Series) -> None:
    """Mark the observed value, and write the share at or above it over the axes, where it hides no bar."""
    if np.isnan(row["observed"]):
        ax.set_title("not defined in this trial", loc="right", fontsize=SMALL)
        return
    ax.axvline(row["observed"], color=VERMILLION, linestyle=(0, (5, 2)), label="this trial")
    ax.set_title(f"{100 * row['share_at_or_above']:.0f} % at or above", loc="right", fontsize=SMALL)


def _period(period: str) -> str:
    return {"overall": "Overall", "whole": "First to last injection"}.get(period, f"After injection {period}")

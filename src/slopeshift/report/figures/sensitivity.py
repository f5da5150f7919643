"""Figures of the sensitivity analyses, in the style of `plots`: rows of their tables in, a Matplotlib figure out."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

from slopeshift.report.figures.style import (
    BLUE,
    GREY,
    INK,
    ROWS,
    SMALL,
    TALLEST,
    VERMILLION,
    beyond,
    held,
    panel,
    short,
    styled,
)
from slopeshift.report.words.numbers import arrows, slower_where
from slopeshift.report.words.sensitivity import OTHER_MODEL
from slopeshift.sensitivity.curves import HEADLINE
from slopeshift.sensitivity.rows import MAIN

LONGEST = 46
"""Letters of a row's name; the table has it in full."""


@styled
def forest(rows: pd.DataFrame, ranges: Collection[str], unit: str, sign: float = 1) -> Figure:
    """Draw the change of every analysis with its interval, the main one's as a band behind all.

    `rows` are those of the sensitivity table of one outcome, overall. Of an analysis in `ranges`, one bar spans the
    means; a row without a number is named and left empty.
    """
    shown = list(_shown(rows, ranges))
    figure, ax = panel(min(0.7 + 0.22 * len(shown), TALLEST))
    _band(ax, rows[rows["analysis"] == MAIN].iloc[0], vertical=True)
    ends = np.array([[lower, upper, middle] for _, middle, lower, upper, _ in shown if middle == middle])
    span = held(*ends.T)
    for y, (name, middle, lower, upper, spans) in enumerate(shown):
        words = f"{name}: no number, see the table" if np.isnan(middle) else name
        ax.text(0.01, y - 0.38, words, transform=ax.get_yaxis_transform(), va="center", fontsize=SMALL)
        if np.isnan(middle):
            continue
        ax.plot([lower, upper], [y, y], color=INK if spans else BLUE, linewidth=3.5 if spans else 1.2)
        beyond(ax, lower, upper, y, span, INK if spans else BLUE)
        if not spans:
            ax.plot(middle, y, "o", color=BLUE, markersize=4.5)
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.set(xlim=span, ylim=(len(shown) - 0.5, -0.8), xlabel=f"Change of slope overall, {unit}\n{arrows(sign)}")
    return figure


def _shown(rows: pd.DataFrame, ranges: Collection[str]) -> Iterator[tuple[str, float, float, float, bool]]:
    """Yield name, mean, lower, upper and whether it is a span of means."""
    for analysis, group in rows.groupby("analysis", sort=False):
        known = group.dropna(subset="mean")
        if analysis in ranges and len(known) > 1:
            low, high = known["mean"].min(), known["mean"].max()
            yield f"{analysis} ({len(known)})", (low + high) / 2, low, high, True
            continue
        for row in group.itertuples():
            yield _name(row, len(group)), row.mean, row.lower, row.upper, False


def _name(row: Any, number: int) -> str:
    """Name a model by its file, any other row by its analysis; where there are several of the name, by its detail."""
    if row.analysis == OTHER_MODEL:
        text = f"model {row.model}"
    else:
        text = str(row.analysis if row.analysis == MAIN or number == 1 else row.detail)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


@styled
def left_out(rows: pd.DataFrame, main: pd.Series, unit: str) -> Figure:
    """Draw the change without each patient in turn, from lowest to highest; the main analysis as line and band."""
    ordered = rows.sort_values("mean")
    figure, ax = panel(min(0.7 + 0.155 * len(ordered), TALLEST + 1))
    _band(ax, main, vertical=True)
    place = np.arange(len(ordered))
    span = held(*(ordered[name].to_numpy(dtype=float) for name in ("lower", "upper", "mean")))
    ax.hlines(place, ordered["lower"], ordered["upper"], color=BLUE, linewidth=1.2)
    for y, row in enumerate(ordered.itertuples()):
        beyond(ax, row.lower, row.upper, y, span, BLUE)
    ax.plot(ordered["mean"], place, "o", color=BLUE, markersize=4)
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    named = place[:: 1 + len(ordered) // (2 * ROWS)]
    ax.set_yticks(named, [short(str(ordered["detail"].iloc[i])) for i in named], fontsize=SMALL)
    ax.tick_params(axis="y", length=0)
    ax.set(xlim=span, ylim=(len(ordered) - 0.4, -0.6), xlabel=f"Change overall without the patient,\n{unit}")
    return figure


@styled
def curve(line: pd.DataFrame, at: float, label: str, *, logarithmic: bool = False, sign: float = 1) -> Figure:
    """Draw the probability of a slower decline against what is assumed, x; `at` is where the main analysis stands.

    `line` has columns x and prob_better (NaN where it cannot be told, which leaves a gap).
    """
    figure, ax = panel(1.9)
    ax.plot(line["x"], line["prob_better"], color=BLUE)
    known = line.dropna(subset="prob_better").sort_values("x")
    ax.plot(at, np.interp(at, known["x"], known["prob_better"]), "o", color=INK, markersize=6)
    ax.axhline(HEADLINE, color=VERMILLION, linestyle=(0, (5, 2)), linewidth=1)
    if logarithmic:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(ScalarFormatter())
        ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set(ylim=(0, 1.02), xlabel=label, ylabel=slower_where(sign))
    ax.set_yticks([0, 0.25, 0.5, 0.8, 1])
    return figure


def _band(ax: Axes, main: pd.Series, *, vertical: bool) -> None:
    """Lay the main analysis behind: its interval as a band, its mean as a line."""
    fill, line = (ax.axvspan, ax.axvline) if vertical else (ax.axhspan, ax.axhline)
    fill(main["lower"], main["upper"], color=GREY, alpha=0.15, linewidth=0, zorder=0)
    line(main["mean"], color=GREY, linewidth=1, linestyle=(0, (4, 2)), zorder=0)

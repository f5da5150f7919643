"""Figures of the report: one function a figure, tidy inputs in, a Matplotlib figure out.

Colours are those of Okabe and Ito (jfly.uni-koeln.de/color); nothing is told by colour alone, so every figure also
reads in black and white. Text stays text, drawn by the reader's browser. The same input gives the same bytes.
"""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from slopeshift.report.wording import arrows, course

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RUST = "#a33b00"
"""Vermillion, dark enough for text."""

INK, GREY, BLUE, VERMILLION, GREEN, PURPLE = "#1a1a1a", "#767676", "#0072b2", "#d55e00", "#009e73", "#aa4488"
PANEL, CARD = 4.1, 2.9
"""Widths in inches: a panel fills a telephone, a card is one of many small multiples."""

LABEL_LENGTH = 14
_LOOKS = list(
    zip((BLUE, VERMILLION, GREEN, PURPLE), ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1.5, 1.5, 1.5))), strict=True)
)
_END_MARKERS = {"death": ("X", INK), "withdrawal": ("s", "white"), "lost": ("D", "white")}

styled = style.context(
    [
        "default",
        {
            "font.size": 10,
            "text.color": INK,
            "text.parse_math": False,  # a dollar in a patient's name is a dollar
            "axes.edgecolor": GREY,
            "axes.labelcolor": INK,
            "axes.titlesize": 10,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "xtick.color": INK,
            "ytick.color": INK,
            "legend.frameon": False,
            "lines.linewidth": 1.6,
            "svg.fonttype": "none",
            "svg.hashsalt": "slopeshift",
        },
    ]
)


class Ending(NamedTuple):
    """When and why a patient's follow-up ended; `reason` is one of the trial's end reasons."""

    month: float
    reason: str


@styled
def densities(posterior: Mapping[str, Floats], prior: Mapping[str, Floats], unit: str, sign: float = 1) -> Figure:
    """Draw the posterior density of the change after every injection, the prior's behind it.

    `posterior` and `prior` hold draws (draw,) by injection, in `unit`; `sign` is that of the outcome.
    """
    from scipy.stats import gaussian_kde

    if not posterior:
        return _note("No injection, no change")
    figure, rows = _rows(list(posterior), 0.72)
    x = np.linspace(*_span([np.quantile(draws, (0.001, 0.999)) for draws in posterior.values()]), 121)
    for ax, (injection, draws) in zip(rows, posterior.items(), strict=True):
        colour, _ = _look(injection)
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
    rows[-1].set_xlabel(_change(unit, sign))
    _legend(figure, rows[0])
    return figure


@styled
def exceedance(curve: pd.DataFrame, unit: str, sign: float = 1) -> Figure:
    """Draw Pr(change > x) for every injection; `curve` has columns injection, x (`unit`) and probability."""
    if curve.empty:
        return _note("No injection, no change")
    figure, ax = _panel(3.1)
    for injection, line in curve.groupby("injection", sort=False):
        colour, dash = _look(str(injection))
        width = 1.6 if str(injection).isdigit() else 2.4
        ax.plot(
            line["x"], line["probability"], color=colour, linestyle=dash, linewidth=width, label=_title(str(injection))
        )
    ax.axvline(0, color=GREY, linewidth=0.8)
    for level in (0.5, 0.95):
        ax.axhline(level, color=GREY, linewidth=0.6, linestyle=":")
    side = "above 0" if sign > 0 else "below 0"
    ax.set(ylim=(0, 1.02), xlabel=f"x, {unit} ({side}: slower {course(sign)})", ylabel="Pr(change of slope > x)")
    ax.set_yticks([0, 0.25, 0.5, 0.75, 0.95], ["0", "0.25", "0.5", "0.75", "0.95"])
    _legend(figure, ax, columns=2)
    return figure


@styled
def forest(
    rows: pd.DataFrame,
    patients: Sequence[str],
    missing: Mapping[str, str],
    span: tuple[float, float],
    unit: str,
    average: float | None = None,
    sign: float = 1,
) -> Figure:
    """Draw the change of every patient after one injection, in the order of `patients`.

    `rows` has columns patient, mean, lower, upper (`unit`) and called (bool, drawn filled). A patient without a row
    gets the words of `missing` in its place. `span` is the common range of the horizontal axis, `average` the change of
    an average patient, drawn as a dashed line.
    """
    figure, ax = _panel(0.9 + 0.2 * max(len(patients), 1))
    place = {patient: i for i, patient in enumerate(patients)}
    for row in rows.itertuples():
        y = place[row.patient]
        ax.plot([row.lower, row.upper], [y, y], color=BLUE, linewidth=1.4)
        ax.plot(row.mean, y, "o", color=BLUE, markersize=5.5, markerfacecolor=BLUE if row.called else "white")
    for patient, words in missing.items():
        ax.text(0, place[patient], f" {words}", va="center", color=GREY, fontsize=9, fontstyle="italic")
    ax.axvline(0, color=GREY, linewidth=0.8, zorder=0)
    if average is not None:
        ax.axvline(average, color=INK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=0)
    ax.set_yticks(range(len(patients)), [_short(patient) for patient in patients])
    ax.tick_params(axis="y", length=0)
    ax.set(xlim=span, ylim=(len(patients) - 0.4, -0.6), xlabel=_change(unit, sign))
    return figure


@styled
def counts(
    posterior: Mapping[str, NDArray[np.intp]], prior: Mapping[str, NDArray[np.intp]], patients: Mapping[str, int]
) -> Figure:
    """Draw the distribution of the number of slowed patients per injection, what the prior alone expects beside it.

    `posterior` and `prior` hold counts (draw,) by injection; `patients` says of how many.
    """
    if not posterior:
        return _note("No injection, no change")
    figure, rows = _rows([f"{injection} (of {patients[injection]})" for injection in posterior], 0.72)
    number = np.arange(max(patients.values()) + 1)
    for ax, injection in zip(rows, posterior, strict=True):
        share, before = (
            np.bincount(draws[injection], minlength=len(number)) / len(draws[injection]) for draws in (posterior, prior)
        )
        ax.bar(number, share, color=_look(injection)[0], alpha=0.55, width=0.85, label="posterior")
        reached = patients[injection] + 1
        ax.plot(
            number[:reached], before[:reached], color=INK, linewidth=1, marker=".", linestyle=(0, (4, 2)), label="prior"
        )
    rows[-1].set_ylim(0)
    rows[-1].set_xlabel("Number of slowed patients")
    rows[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    _legend(figure, rows[0])
    return figure


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


@styled
def ranks(draws: Floats) -> Figure:
    """Draw how the ranks of each chain's draws spread over all draws; `draws` is (chain, draw). Flat is well mixed."""
    figure = Figure(figsize=(CARD, 1.5), layout="constrained")
    ax = figure.subplots()
    order = draws.ravel().argsort().argsort().reshape(draws.shape)
    bins = min(20, max(draws.shape[1] // 20, 2))
    expected = draws.shape[1] / bins
    for chain, (colour, dash) in zip(order, cycle(_LOOKS), strict=False):
        height, edges = np.histogram(chain, bins=bins, range=(0, draws.size))
        ax.stairs(height / expected, edges, baseline=None, color=colour, linestyle=dash, linewidth=1.2)
    ax.axhline(1, color=INK, linewidth=0.8)
    ax.set(ylim=(0, 2), xticks=[], yticks=[0, 1, 2])
    ax.set_xlabel("rank among all draws", fontsize=9)
    return figure


@styled
def predictive(observed: Floats, prior: Floats, posterior: Floats, label: str) -> Figure:
    """Draw the recorded values' distribution against those the model predicts.

    `observed` (visit,); `prior` and `posterior` predictions (draw, visit). The band holds the share of values in a bin
    in 95 % of posterior predictions; the dashed line is what the prior predicts on average.
    """
    figure, ax = _panel(3.1)
    edges = _bins(observed, *np.quantile(prior, (0.01, 0.99)))
    middle = (edges[:-1] + edges[1:]) / 2
    shares = np.array([np.histogram(draw, edges)[0] for draw in posterior]) / observed.size
    lower, upper = np.quantile(shares, (0.025, 0.975), axis=0)
    before = np.histogram(prior, edges)[0] / prior.size
    ax.stairs(upper, edges, baseline=lower, fill=True, color=BLUE, alpha=0.35, label="posterior prediction (95 %)")
    ax.plot(middle, before, color=INK, linestyle=(0, (4, 2)), linewidth=1, label="prior prediction")
    ax.plot(middle, np.histogram(observed, edges)[0] / observed.size, "o", color=INK, markersize=4, label="recorded")
    ax.set(xlabel=label, ylabel="Share of values", ylim=0)
    _legend(figure, ax, columns=2)
    return figure


@styled
def residuals(month: Floats, residual: Floats, sd: float, unit: str) -> Figure:
    """Draw recorded minus expected values (`unit`) against months since the first injection; `sd`: residual SD."""
    figure, ax = _panel(3.1)
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
    _legend(figure, ax)
    return figure


def _panel(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(PANEL, height), layout="constrained")
    return figure, figure.subplots()


def _rows(names: Sequence[str], height: float) -> tuple[Figure, Sequence[Axes]]:
    """Lay one row of axes per injection out, named on the left, with a common horizontal axis."""
    figure = Figure(figsize=(PANEL, height * len(names) + 1.0), layout="constrained")
    rows = figure.subplots(len(names), sharex=True, sharey=True, squeeze=False)[:, 0]
    for ax, name in zip(rows, names, strict=True):
        ax.set_ylabel(_title(name), rotation=0, ha="right", va="center")
        ax.spines["left"].set_visible(False)
        ax.set_yticks([])
    return figure, list(rows)


def _change(unit: str, sign: float) -> str:
    return f"Change of slope, {unit}\n{arrows(sign)}"


def _note(words: str) -> Figure:
    figure = Figure(figsize=(PANEL, 1))
    figure.text(0.5, 0.5, words, ha="center", va="center", color=GREY)
    return figure


def _legend(figure: Figure, ax: Axes, columns: int = 3) -> None:
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper left", ncols=columns, fontsize=9, handlelength=1.8, columnspacing=1.2
    )


def _look(injection: str) -> tuple[str, object]:
    """Give an injection the same colour and dash in every figure; the mean over injections is black and solid."""
    return _LOOKS[(int(injection) - 1) % len(_LOOKS)] if injection.isdigit() else (INK, "-")


def _title(injection: str) -> str:
    return f"injection {injection}" if injection[0].isdigit() else injection


def _short(text: str) -> str:
    """Cut a patient's name to what fits beside an axis; the tables have it in full."""
    return text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 1] + "…"


def _span(ranges: Sequence[Floats]) -> tuple[float, float]:
    """Cover all ranges, and zero."""
    low, high = min(0.0, *(r[0] for r in ranges)), max(0.0, *(r[1] for r in ranges))
    margin = 0.04 * (high - low)
    return float(low - margin), float(high + margin)


def _bins(observed: Floats, low: float, high: float) -> Floats:
    """Cut the range of all values into about twenty bins; of whole numbers, each bin gets as many."""
    low, high = min(low, observed.min()), max(high, observed.max())
    if np.any(observed % 1):
        return np.linspace(low, high, 22)
    width = max(1.0, np.ceil((high - low) / 21))
    return np.arange(np.floor(low) - 0.5, high + width, width)

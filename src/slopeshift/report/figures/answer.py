"""The figure of the first screen: the change after every injection beside what chance alone gives."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from slopeshift.design.cycles import OVERALL
from slopeshift.report.figures.style import BLUE, GREY, INK, SIZE, TALLEST, panel, styled
from slopeshift.report.words.numbers import after, arrows, probability

LOWEST_LINE = 0.15
"""Inches a line of the figure's text needs, however many injections there are."""


@styled
def changes(rows: pd.DataFrame, unit: str, sign: float = 1, what: str = "change of slope") -> Figure:
    """Draw a row per injection, in the order of `rows`: estimate, 50 % and 95 % interval, and the range chance gives.

    `rows` has columns injection, mean, lower, inner_lower, inner_upper, upper, null_lower and null_upper (`unit`; NaN
    where no null trial is known) and probability, that patients worsen more slowly; `sign` is the outcome's, and `what`
    names the axis.
    """
    lines = max(len(rows), 1)
    figure, ax = panel(0.78 + min(0.2 * lines, max(TALLEST / 2, LOWEST_LINE * lines)))
    for place, row in enumerate(rows.itertuples()):
        whole = row.injection == OVERALL
        if row.null_lower == row.null_lower:
            ax.barh(
                place,
                row.null_upper - row.null_lower,
                left=row.null_lower,
                height=0.72,
                color="#e4e4e4",
                edgecolor="#9a9a9a",
                linewidth=0.5,
                hatch="////",
            )
        ax.plot([row.lower, row.upper], [place, place], color=BLUE, linewidth=1.6)
        ax.plot([row.inner_lower, row.inner_upper], [place, place], color=BLUE, linewidth=4)
        ax.plot(row.mean, place, "D" if whole else "o", color=INK, markersize=5.5, markeredgecolor="white")
        ax.annotate(
            probability(row.probability),
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=SIZE,
        )
    ax.annotate("Pr(slower)", (1.02, -0.62), xycoords=("axes fraction", "data"), va="bottom", fontsize=SIZE, color=INK)
    ax.axvline(0, color=INK, linewidth=0.9)
    ax.set_yticks(range(len(rows)), [after(k) for k in rows["injection"]])
    ax.set_ylim(len(rows) - 0.45, -0.55)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=SIZE)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(f"{what.capitalize()}, {unit}\n{arrows(sign)}", labelpad=2)
    ax.spines["bottom"].set_color(GREY)
    return figure

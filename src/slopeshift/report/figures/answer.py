"""The figure of the first screen: the change after every injection beside what chance alone gives."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from slopeshift.design.cycles import OVERALL
from slopeshift.report.figures.style import BLUE, GREY, INK, panel, styled
from slopeshift.report.words.numbers import after, probability


@styled
def changes(rows: pd.DataFrame, unit: str, sign: float = 1, what: str = "change of slope") -> Figure:
    """Draw a row per injection, in the order of `rows`: estimate, 50 % and 95 % interval, and the range chance gives.

    `rows` has columns injection, mean, lower, inner_lower, inner_upper, upper, null_lower and null_upper (`unit`; NaN
    where no null trial is known) and probability, that patients worsen more slowly; `sign` is the outcome's, and `what`
    names the axis.
    """
    figure, ax = panel(0.58 + 0.22 * max(len(rows), 1))
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
        ax.plot([row.inner_lower, row.inner_upper], [place, place], color=BLUE, linewidth=4.5)
        ax.plot(row.mean, place, "D" if whole else "o", color=INK, markersize=6, markeredgecolor="white")
        ax.annotate(
            probability(row.probability),
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=9,
        )
    ax.annotate("Pr(slower)", (1.02, -0.62), xycoords=("axes fraction", "data"), va="bottom", fontsize=8, color=INK)
    ax.axvline(0, color=INK, linewidth=0.9)
    ax.set_yticks(range(len(rows)), [after(k) for k in rows["injection"]])
    ax.set_ylim(len(rows) - 0.45, -0.55)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=9)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(f"{what.lower()}, {unit}", fontsize=9, labelpad=2)
    left, right = ("← faster", "slower →") if sign > 0 else ("← slower", "faster →")
    ax.annotate(left, (0, -0.62), xycoords=("axes fraction", "data"), va="bottom", fontsize=8, color=INK)
    ax.annotate(right, (1, -0.62), xycoords=("axes fraction", "data"), va="bottom", ha="right", fontsize=8, color=INK)
    ax.spines["bottom"].set_color(GREY)
    return figure

"""The flow of patients as a picture: how many came how far, and why the others did not."""

from __future__ import annotations

from matplotlib.figure import Figure

from slopeshift.report.figures.style import BLUE, GREY, INK, panel, styled


@styled
def bars(rows: list[tuple[str, int, str]]) -> Figure:
    """Draw a bar per stage: name, number of patients, and in words how it ended for those who went no further."""
    figure, ax = panel(0.35 + 0.3 * len(rows), 6.2)
    most = max(n for _, n, _ in rows)
    for place, (_, n, words) in enumerate(rows):
        ax.barh(place, n, height=0.6, color=BLUE, alpha=0.3, edgecolor=BLUE, linewidth=0.8)
        ax.text(n, place, f" {n}", va="center", color=INK, fontweight="bold")
        ax.text(1.12 * most, place, words and f"no further: {words}", va="center", fontsize=9, color=INK)
    ax.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    ax.set(ylim=(len(rows) - 0.5, -0.5), xlim=(0, 2.6 * most), xticks=[])
    ax.tick_params(axis="y", length=0)
    ax.spines["bottom"].set_visible(False)
    ax.spines["left"].set_color(GREY)
    return figure

"""The flow of patients as a picture: how many came how far, and why the others did not."""

from __future__ import annotations

from textwrap import fill

from matplotlib.figure import Figure

from slopeshift.report.figures.style import BLUE, GREY, INK, SMALL, TALLEST, panel, styled

LETTERS = 38
"""Letters that fit beside each other below a bar."""

TOLD = 8
"""Stages whose words there is room for; of more, the table of stages has them."""


@styled
def bars(rows: list[tuple[str, int, str]]) -> Figure:
    """Draw a bar per stage: name, number of patients, and in words how it ended for those who went no further."""
    told = len(rows) <= TOLD
    said = [fill(f"no further: {words}", LETTERS) if words and told else "" for _, _, words in rows]
    deepest = max(words.count("\n") + 1 for words in said)
    figure, ax = panel(min(0.25 + (0.24 + 0.14 * deepest) * len(rows), TALLEST + 1))
    most = max(n for _, n, _ in rows)
    for place, ((_, n, _), words) in enumerate(zip(rows, said, strict=True)):
        ax.barh(place, n, height=0.42, color=BLUE, alpha=0.3, edgecolor=BLUE, linewidth=0.8)
        ax.text(n, place, f" {n}", va="center", color=INK, fontweight="bold")
        ax.text(0.02 * most, place + 0.25, words, va="top", fontsize=SMALL, color=INK)
    ax.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    ax.set(ylim=(len(rows) - 0.3, -0.4), xlim=(0, 1.12 * most), xticks=[])
    ax.tick_params(axis="y", length=0)
    ax.spines["bottom"].set_visible(False)
    ax.spines["left"].set_color(GREY)
    return figure

"""The figure of a model's calibration: how far the ranks of each quantity are from uniform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from slopeshift.calibration.uniformity import INSIDE, OUTSIDE
from slopeshift.report.figures.style import BLUE, GREY, INK, VERMILLION, styled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

    from slopeshift.calibration.uniformity import Difference

COLUMNS, WIDTH, HEIGHT = 4, 2.1, 1.35


@styled
def rank_figure(found: Mapping[str, Difference]) -> Figure:
    """Draw, for every quantity, the share of ranks below each point less what is expected, in its two bands.

    The name of a quantity outside its own band is followed by the verdict.
    """
    rows = -(-len(found) // COLUMNS)
    figure = Figure(figsize=(COLUMNS * WIDTH, rows * HEIGHT + 0.3), layout="constrained")
    grid = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False)
    for ax, (name, difference) in zip(grid.flat, found.items(), strict=False):
        _panel(ax, name, difference)
    for ax in grid.flat[len(found) :]:
        ax.set_axis_off()
    figure.supxlabel("rank of the true value among draws, as a share", fontsize=9)
    figure.supylabel("share of ranks below, less expected", fontsize=9)
    return figure


def _panel(ax: Axes, name: str, difference: Difference) -> None:
    points, third = difference.points, slice(None, None, 3)
    for band, shade in ((difference.wide, "#e9eef2"), (difference.band, "#ccd9e3")):
        lower, upper = (band - points)[:, third]
        ax.fill_between(points[third], lower, upper, color=shade, linewidth=0)
    verdict = difference.verdict
    ax.axhline(0, color=GREY, linewidth=0.6)
    colour = VERMILLION if verdict == OUTSIDE else BLUE
    ax.plot(points, difference.share - points, color=colour, linewidth=1.1)
    ax.set_title(name if verdict == INSIDE else f"{name}: {verdict}", fontsize=8, color=INK)
    ax.set_xticks([0, 0.5, 1])
    ax.tick_params(labelsize=7)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as SVG: the same figure gives the same bytes."""
    import matplotlib as mpl

    from slopeshift.keep.atomic import replacing

    # Without a salt of its own Matplotlib draws the ids of a file at random.
    with replacing(path) as target, mpl.rc_context({"svg.hashsalt": "slopeshift"}):
        figure.savefig(target, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))

"""Figures of one fit with the words that belong to them: inputs for `plots`, captions, descriptions read aloud."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.figure import Figure

from slopeshift.report.figures.vector import svg


@dataclass(frozen=True)
class Picture:
    """A figure as it stands in the page. `name` is unique there; `figure` is what `element` was drawn from."""

    element: Markup
    caption: str
    name: str
    figure: Figure


def picture(figure: Figure, name: str, caption: str, description: str) -> Picture:
    """Make a picture of a figure; `name` is unique in the page, `description` is read aloud."""
    return Picture(svg(figure, name, description), caption, name, figure)

"""The models: equations and source of each, as they were when they were fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slopeshift.report.words.glossary import SPREAD, definitions, link

if TYPE_CHECKING:
    from slopeshift.report.analysis import Report


def context(report: Report) -> dict[str, Any]:
    """Name the parameters, and give the equations and the source of every model."""
    keys = ("level", "lead_in_slope", "change", *SPREAD)
    return {"parameters": [(link(key), definitions()[key].label) for key in keys]}

"""An average patient by the models that stand beside those that answer the question."""

from __future__ import annotations

from typing import Any

from slopeshift.report.analysis import Report
from slopeshift.report.sections.population import population
from slopeshift.report.words.numbers import pieces


def context(report: Report) -> dict[str, Any]:
    """Show the quantities of an average patient by every other model that passed its gate."""
    return {"beside": report.of_each(report.others, lambda a: {"tables": pieces(population(a))})}

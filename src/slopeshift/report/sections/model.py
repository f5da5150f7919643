"""The models: equations and source of each, as they were when they were fitted."""

from __future__ import annotations

from typing import Any

from slopeshift.model.described import text
from slopeshift.report.analysis import Report
from slopeshift.report.words.glossary import POPULATION, SPREAD, definitions, link


def context(report: Report) -> dict[str, Any]:
    """Name the parameters, and print every model as `slopeshift show` does."""
    return {
        "parameters": [(link(key), definitions()[key].label) for key in (*POPULATION, *SPREAD)],
        "texts": {a.anchor: text(a.record) for a in report.analyses},
    }

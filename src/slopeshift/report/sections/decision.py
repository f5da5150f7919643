"""The decision: none, where no threshold was fixed before the data were seen."""

from __future__ import annotations

from typing import Any

from slopeshift.report.analysis import Report


def context(report: Report) -> dict[str, Any]:
    """Say whether the false alarms of the models' own rules are known."""
    return {"refitted": "null_refits" in report.study}

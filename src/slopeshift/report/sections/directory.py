"""The models of the report, and where everything of each stands."""

from __future__ import annotations

from typing import Any

from slopeshift.report.analysis import Report


def context(report: Report) -> dict[str, Any]:
    """Say that the page is by model: everything that the template needs, every template knows."""
    return {"checked": {a.anchor for a in report.primary if a.passed}}

"""The definitions of every quantity of the page, each with the sections that show it."""

from __future__ import annotations

from typing import Any

from slopeshift.report.analysis import Around, Report
from slopeshift.report.words.glossary import definitions


def context(report: Report, page: Around) -> dict[str, Any]:
    """List every definition with the sections of this page that show what it defines: id and title of each."""
    return {
        "definitions": [
            (entry, [(id, page.titles[id]) for id in entry.shown if id in page.titles])
            for entry in definitions().values()
        ]
    }

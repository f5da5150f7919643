"""The definitions of every quantity that a page links to, each with the sections that show it."""

from __future__ import annotations

from typing import Any

from slopeshift.report.analysis import Around, Report
from slopeshift.report.words.glossary import definitions


def context(report: Report, page: Around) -> dict[str, Any]:
    """List what this page has to define with the sections that show it: id and title of each."""
    return {
        "technical": page.technical,
        "definitions": [
            (entry, [(id, page.titles[id]) for id in page.links.get(entry.anchor, ()) if id in page.titles])
            for entry in definitions().values()
            if entry.anchor in page.mine
        ],
    }

"""The priors that a fit was made with, as it records them, and what they imply before any data."""

from __future__ import annotations

from slopeshift.model.described import distribution
from slopeshift.report.analysis import Analysis
from slopeshift.report.words.numbers import Table


def stated(analysis: Analysis) -> Table:
    """Print every prior that the fit records: what it is of, its numbers, unit, reason and class of justification."""
    rows = [
        [row["name"], row["label"], distribution(row), row["unit"], row["why"], row["basis"], row["source"]]
        for row in analysis.record["priors"]
    ]
    columns = ["Parameter", "Of", "Prior", "Unit", "Why", "Class of justification", "Source"]
    return Table("Priors, as stated in the model file", "lllllll", columns, rows)

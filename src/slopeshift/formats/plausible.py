"""Numbers that could be right one by one and cannot be right together: another unit than the one they are taken for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.formats.reading import numbers
from slopeshift.trial.columns import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slopeshift.formats.reading import Reading

LOWEST_FVC = (
    10.0  # % of predicted: of a whole trial, the highest value must be above it; litres and fractions never are
)
LONGEST_MONTHS = 180.0  # of one patient's visits; a year and a half of days is more


def implausible(reading: Reading) -> Iterator[Problem]:
    """Yield what looks like litres or fractions of FVC, and like days in the place of months."""
    visits = reading.tables["visits"]
    if "fvc" in visits and len(values := numbers(visits["fvc"]).dropna()) and values.max() < LOWEST_FVC:
        found = f"values from {values.min():g} to {values.max():g} only"
        remedy = "give % of predicted (85), not litres (3.1) or a fraction (0.85)"
        yield _first(reading, values, "fvc", found, remedy)
    if "month" in visits and len(months := numbers(visits["month"]).dropna()):
        # By place, as one row of a wide table is several visits.
        pairs = pd.DataFrame({"patient": visits["patient"].to_numpy(), "month": numbers(visits["month"]).to_numpy()})
        spans = pairs.groupby("patient")["month"].agg(lambda month: month.max() - month.min())
        if spans.max() > LONGEST_MONTHS:
            found = f"{spans.max():g} months between the visits of one patient"
            yield _first(reading, months, "month", found, "give months; where the column counts days, map it as `day`")


def _first(reading: Reading, values: pd.Series[float], column: str, found: str, remedy: str) -> Problem:
    file = values.index[0][0]
    return Problem(str(file), None, reading.named.get(("visits", column), column), found, remedy)

"""The answer of a trial's fits in the terminal: a line an injection, or rows for a script."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from slopeshift.trial import Trial

    Stored = tuple[Mapping[str, Any], Mapping[str, pd.DataFrame]]

KEYS = (
    *("model", "outcome", "quantity", "injection", "unit", "mean", "sd", "lower", "upper", "prob_positive"),
    *("rhat", "ess_bulk", "ess_tail", "mcse"),
)
"""Keys of a row in JSON, in their order."""


def as_json(tables: Sequence[pd.DataFrame]) -> str:
    """Write population tables as one JSON list of rows with KEYS; a number that is not known is null."""
    rows = [row for table in tables for row in table[list(KEYS)].astype(object).to_dict("records")]
    known = [{key: None if value != value else value for key, value in row.items()} for row in rows]
    return json.dumps(known, indent=1, ensure_ascii=False, allow_nan=False)


def in_words(trial: Trial, found: Sequence[Stored]) -> str:
    """Write the answer of every model, and in one line what the design cannot show: at most 100 columns.

    `found` are records of fits with their tables, as `answers.stored` makes them.
    """
    from slopeshift.report.words.people import cannot_show_in_short

    lines = [line for record, tables in found for line in (*_model(trial, record, tables), "")]
    return "\n".join([*lines, *((cannot_show_in_short(trial),) if found else ())])


def _model(trial: Trial, record: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> list[str]:
    from slopeshift.notebook.shown import shown

    found = shown(trial, record, tables)
    beside = [f"  {line}" for line in found.after]
    return [found.head, *(f"  {line}" for line in found.before), *(_aligned(found.rows) if found.rows else ()), *beside]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Set rows under each other, the first column to the left and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(["", row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]

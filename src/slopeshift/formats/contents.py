"""A trial to be exported: its tables as they are written, and its times in whole days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.trial.columns import DAYS_PER_MONTH
from slopeshift.trial.door import from_folder, inspect

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Contents:
    """A trial to be exported: its tables as text, and every time in whole days on the trial's clock.

    Days are ordinals of dates where the trial counts in dates, else days from its month 0. `days` has the columns
    `day` (and `onset`, `end`) beside the table's rows.
    """

    clock: str
    tables: Mapping[str, pd.DataFrame]
    days: Mapping[str, pd.DataFrame]
    origin: pd.Series[float]


def contents_of(trial: Path) -> Contents:
    """Read a trial that passes the door."""
    delivery = from_folder(trial)
    records, _, _ = inspect(delivery)
    clock = records.clock
    scale = 1.0 if clock == "date" else DAYS_PER_MONTH
    days = {}
    for name, table in records.tables.items():
        times = {"day": clock, "onset": f"onset_{clock}", "end": f"end_{clock}"}
        days[name] = pd.DataFrame({day: (table[time] * scale).round() for day, time in times.items() if time in table})
    empty = pd.DataFrame({"patient": []}, dtype="str")
    tables = {name: delivery.tables.get(name, empty) for name in records.tables}
    return Contents(clock, tables, days, records.origin.fillna(0.0) * scale)

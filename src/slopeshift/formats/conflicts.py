"""Records that contradict each other or cannot be placed: which are taken, and why the others are not.

Records are frames with `file`, `row`, `patient`, `time` (a day number) and a value. Nothing is averaged or guessed:
equal records count once, and where values of one day differ none is taken.
"""

from __future__ import annotations

import pandas as pd

from slopeshift.formats.ledger import LEFT_OUT, marked

KEYS = ["patient", "time"]
RECORD = ["file", "row", "patient", "time"]
NO_RECORDS = pd.DataFrame(
    {"file": pd.Series(dtype="str"), "row": pd.Series(dtype="int64"), "patient": pd.Series(dtype="str"),
     "time": pd.Series(dtype="float64"), "value": pd.Series(dtype="float64")}
)  # fmt: skip


def once_a_time(records: pd.DataFrame, value: str, label: str) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Keep one record a patient and time: the first of equal ones, none of those whose values differ."""
    if records.empty:
        return records, []
    groups = records.groupby(KEYS, sort=False)
    differ = groups[value].transform("nunique") > 1
    first = groups["row"].transform("first").astype("int64").astype("str")
    again = records.duplicated(KEYS) & ~differ
    reason = f"another {label} on the same day differs"
    fates = [
        marked(records[differ], LEFT_OUT, reason),
        marked(records[again], LEFT_OUT, f"the same {label} on the same day as in row " + first[again]),
    ]
    return records[~differ & ~again], fates


def not_after(records: pd.DataFrame, ends: pd.Series[float], what: str) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Keep the records that are not after their patient's end (day numbers, by patient; none: kept)."""
    late = records["time"] > records["patient"].map(ends).astype("float64")
    return records[~late], [marked(records[late], LEFT_OUT, f"after the patient's {what}")]


def agreed(records: pd.DataFrame, value: str, label: str) -> tuple[pd.Series[str], list[pd.DataFrame]]:
    """Return what the records say of each patient, by patient; left out where they say different things."""
    if records.empty:
        return pd.Series(dtype="str"), []
    differ = records.groupby("patient", sort=False)[value].transform("nunique") > 1
    told = records[~differ].drop_duplicates("patient").set_index("patient")[value]
    return told, [marked(records[differ], LEFT_OUT, f"the patient has another {label} elsewhere")]


def in_range(
    records: pd.DataFrame, value: str, low: float, high: float, *, whole: bool, label: str
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Keep the records whose value the scale allows."""
    wrong = ~records[value].between(low, high) | (whole & (records[value] % 1 > 0))
    reason = f"{label} is not a {'whole ' if whole else ''}number from {low:g} to {high:g}"
    return records[~wrong], [marked(records[wrong], LEFT_OUT, reason)]

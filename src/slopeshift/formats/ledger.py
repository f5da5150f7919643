"""The ledger of an import: what became of every row of every source file.

A reader marks rows as it takes them; `balanced` makes of the marks one line a row. A row that nothing was made of has
a reason; a row that nobody spoke of is an error of the reader, not a matter of the user's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable

    from slopeshift.formats.source import Source

USED, LEFT_OUT = "used", "left out"
COLUMNS = ["file", "row", "fate", "reason"]


def marks(file: str, rows: Iterable[int], fate: str, reason: str | pd.Series[str]) -> pd.DataFrame:
    """Mark rows of a file as used or left out: columns file, row, fate, reason; `reason` may differ by row."""
    index = pd.Index(list(rows), dtype="int64")
    reasons = reason.to_numpy() if isinstance(reason, pd.Series) else reason
    return pd.DataFrame({"file": file, "row": index.to_numpy(), "fate": fate, "reason": reasons}, columns=COLUMNS)


def marked(records: pd.DataFrame, fate: str, reason: str | pd.Series[str]) -> pd.DataFrame:
    """Mark records that carry their file and row as columns."""
    return records[["file", "row"]].assign(fate=fate, reason=reason)


def balanced(sources: Iterable[Source], fates: Iterable[pd.DataFrame], unread: dict[str, str]) -> pd.DataFrame:
    """Return the ledger: one line a source row, and one without a row for each file left alone and each note.

    A row marked more than once is used if any mark says so, with the distinct reasons in their order; what of it was
    not used is said in brackets. Raises AssertionError where the marks miss a row or name one that is not there.
    """
    every = list(sources)
    every_mark = pd.concat([pd.DataFrame(columns=COLUMNS), *fates], ignore_index=True).drop_duplicates()
    again = every_mark.duplicated(["file", "row"], keep=False)
    lines = pd.concat([every_mark[~again], _joined(every_mark[again]), *map(_empty, every)], ignore_index=True)
    lines = lines.astype({"row": "int64"}).sort_values(["file", "row"], kind="stable", ignore_index=True)
    for source in every:
        found = lines.loc[lines["file"] == source.file, "row"].tolist()
        if found != sorted([*source.table.index, *source.empty]):
            raise AssertionError(f"{source.file}: the ledger has {len(found)} of {source.rows} rows")
    notes = [(source.file, None, "note", note) for source in every for note in source.notes]
    whole = [(file, None, LEFT_OUT, reason) for file, reason in unread.items()]
    heads = pd.DataFrame(sorted([*notes, *whole]), columns=COLUMNS)
    return pd.concat([heads, lines.astype({"row": "object"})], ignore_index=True).astype({"row": "Int64"})


def _joined(every_mark: pd.DataFrame) -> pd.DataFrame:
    """Make one mark of the several marks of a row."""
    key, is_used = ["file", "row"], every_mark["fate"] == USED
    used = every_mark[is_used].groupby(key, sort=False)["reason"].agg(", ".join)
    not_used = every_mark[~is_used].groupby(key, sort=False)["reason"].agg("; ".join)
    both = pd.concat([used.rename("used"), not_used.rename("not_used")], axis=1).astype("object")
    aside = (" (not used: " + both["not_used"] + ")").fillna("")
    reason = (both["used"] + aside).fillna(both["not_used"])
    fate = both["used"].isna().map({True: LEFT_OUT, False: USED})
    return pd.DataFrame({"fate": fate, "reason": reason}).rename_axis(key).reset_index()[COLUMNS]


def _empty(source: Source) -> pd.DataFrame:
    return marks(source.file, source.empty, LEFT_OUT, "an empty row")

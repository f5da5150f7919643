"""The ledger of an import: what became of every row of every source file.

A reader marks rows as it takes them; `balanced` makes of the marks one line a row. A row that nothing was made of has
a reason; a row that nobody spoke of is an error of the reader, not a matter of the user's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from slopeshift.formats.source import Source

USED, LEFT_OUT = "used", "left out"
REASONS_SHOWN, PATIENTS_NAMED = 12, 8
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


def reasons(lines: pd.DataFrame, unread: Mapping[str, str], who: Mapping[tuple[str, int], str]) -> tuple[str, ...]:
    """Say in words what nothing, or not all, was made of: rows by reason, most first, with patients; then files.

    `lines` has file, row, fate and reason; `who` names the patient of a row, by file and row.
    """
    rows = lines.dropna(subset="row")
    partly = rows["reason"].str.extract(r"\(not used: (.*)\)$")[0].where(rows["fate"] == USED)
    what = ("left out: " + rows["reason"]).where(rows["fate"] != USED, "used in part, without " + partly)
    named = rows.assign(what=what).dropna(subset="what")
    groups = sorted(named.groupby("what", sort=False), key=lambda group: -len(group[1]))
    said = [f"{len(group)} {text}{_of_whom(group, who)}" for text, group in groups[:REASONS_SHOWN]]
    if more := groups[REASONS_SHOWN:]:
        said.append(f"{sum(len(group) for _, group in more)} for {len(more)} other reasons")
    files = [f"{file}: left alone, {reason}" for file, reason in sorted(unread.items())]
    return (*said, *files[:REASONS_SHOWN])


def _of_whom(group: pd.DataFrame, who: Mapping[tuple[str, int], str]) -> str:
    """Name the patients of rows, where they are not too many to read."""
    places = zip(group["file"], group["row"], strict=True)
    patients = list(dict.fromkeys(name for file, row in places if (name := who.get((file, int(row)), ""))))
    if not patients:
        return ""
    return f" ({', '.join(patients)})" if len(patients) <= PATIENTS_NAMED else f" ({len(patients)} patients)"


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

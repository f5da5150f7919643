"""A phase column, as multiple-baseline data have one: a patient is treated from the first row in which it changes.

Everybody starts in the same phase, the baseline. Each later phase begins with an injection, at the time of its first
row. A phase that comes back is refused: what is injected cannot be taken away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.formats.reading import filled, numbers
from slopeshift.trial.columns import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

PHASE = "phase"


def begun(file: str, column: str, table: pd.DataFrame, clock: str) -> tuple[pd.DataFrame, list[Problem]]:
    """Return the rows in which a patient's `phase` changes, and what is wrong with phases.

    `table` has patient, phase and the time of every row, index: row of the source; `clock` is its column of times,
    `date` or `month`. Where there are several phases after the baseline, `agent` names that which begins.
    """
    rows = table.assign(at=_order(table, clock), plain=table[PHASE].str.casefold())
    timeless = rows["at"].isna() & filled(rows[PHASE])
    problems = [
        Problem(file, int(row), column, repr(cell), "give the row a time: a phase begins at one")
        for row, cell in rows.loc[timeless, PHASE].items()
    ]
    ordered = rows[~rows["at"].isna()].sort_values("at", kind="stable")
    known = ordered[filled(ordered[PHASE])]
    problems += _other_baselines(file, column, known.drop_duplicates("patient"))
    before = known.groupby("patient", sort=False)["plain"].shift()
    changed = known[before.notna() & (known["plain"] != before)]
    # A patient with one change, no empty cell and one row a time is clear.
    doubtful = {
        *changed.loc[changed.duplicated("patient"), "patient"],
        *ordered.loc[~filled(ordered[PHASE]), "patient"],
    }
    doubtful |= {*ordered.loc[ordered.duplicated(["patient", "at"]), "patient"]}
    for _, of in ordered[ordered["patient"].isin(doubtful)].groupby("patient", sort=False):
        problems += _unclear(file, column, of)
    kept = rows.loc[sorted(changed.index)]
    if len(set(kept["plain"])) > 1:
        kept = kept.assign(agent=kept[PHASE])
    return kept.drop(columns=[PHASE, "at", "plain"]), problems


def _order(table: pd.DataFrame, clock: str) -> pd.Series:
    """Return times that can be put in order; NaN where there is none."""
    return numbers(table[clock]) if clock == "month" else table[clock].where(filled(table[clock]))


def _other_baselines(file: str, column: str, firsts: pd.DataFrame) -> Iterator[Problem]:
    """Report patients who start in another phase than most: their baseline was not seen."""
    if firsts.empty:
        return
    usual = firsts["plain"].value_counts().index[0]
    shown = firsts.loc[firsts["plain"] == usual, PHASE].iloc[0]
    remedy = "name the times of injections instead of phases, or leave the patient out: when it changed is not known"
    for row, first in firsts.loc[firsts["plain"] != usual, PHASE].items():
        yield Problem(file, int(row), column, f"{first!r} from the start, where others start with {shown!r}", remedy)


def _unclear(file: str, column: str, of: pd.DataFrame) -> Iterator[Problem]:
    """Report where it is not clear when a patient's phase changes: empty cells between, two at a time, one again."""
    known = of[filled(of[PHASE])]
    before = known.shift()
    changed = known["plain"].ne(before["plain"]) & before["plain"].notna()
    for row in known.index[changed]:
        earlier = known.loc[:row].iloc[:-1]
        if known["plain"][row] in set(earlier["plain"]):
            found = f"{known[PHASE][row]!r} again, after {earlier[PHASE].iloc[-1]!r}"
            remedy = "end the patient's rows before it, or name the times of injections instead of phases"
            yield Problem(file, int(row), column, found, remedy)
        elif known["at"][row] == earlier["at"].iloc[-1]:
            found = f"{known[PHASE][row]!r} and {earlier[PHASE].iloc[-1]!r} at one time"
            yield Problem(file, int(row), column, found, "correct one of the two")
        between = of.loc[earlier.index[-1] : row].iloc[1:-1]
        for empty in between.index:
            found = f"an empty cell between {earlier[PHASE].iloc[-1]!r} and {known[PHASE][row]!r}"
            yield Problem(file, int(empty), column, found, "fill in the phase: it may have changed here")

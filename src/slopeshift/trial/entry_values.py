"""Entry rules held against the values of a trial: who lacks a value that a rule needs, and who breaks a rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slopeshift.trial.columns import EXEMPT, ITEMS, Problem, Records
from slopeshift.trial.entry import COLUMN, SAME, quantity, used
from slopeshift.trial.entry_settings import section
from slopeshift.trial.keys import FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from slopeshift.trial.entry import EntryRule, Used
    from slopeshift.trial.roles import Outcome

    Floats = NDArray[np.float64]

_DEVIATED = f"or write yes under {EXEMPT}: entered against the rule"


def value_problems(
    rules: Mapping[int, EntryRule], records: Records, given: pd.Index, outcomes: Mapping[str, Outcome]
) -> Iterator[Problem]:
    """Yield what contradicts the rules, by their place, in the records; `given` has the columns of patients.csv."""
    patients, visits = _in_months(records, rules)
    if len(patients) and (patients[EXEMPT] == "yes").all() and rules:
        yield Problem(
            "patients.csv", None, EXEMPT, "yes of every patient", "leave it empty for those who met the rules"
        )
    for place, rule in rules.items():
        missing = list(_missing_columns(place, rule, records, given, visits))
        yield from missing
        yield from _screened(place, rule, len(patients))
        if not missing:
            yield from _of_patients(place, rule, patients, visits, outcomes[rule.outcome])


def _in_months(records: Records, rules: Mapping[int, EntryRule]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count every time that rules use in months from injection 1; a patient's second row is left out."""
    patients, visits = records.tables["patients"], records.tables["visits"]
    patients = patients.dropna(subset=["patient"]).drop_duplicates("patient")
    names = ["onset", *(name for rule in rules.values() for name in rule.columns)]
    times = {f"{name}_month": records.months(patients, f"{name}_{records.clock}") for name in names}
    total = visits["alsfrsr"].fillna(visits[list(ITEMS)].sum(axis=1, skipna=False))
    return patients.assign(**times), visits.assign(month=records.months(visits, records.clock), alsfrsr=total)


def _missing_columns(
    place: int, rule: EntryRule, records: Records, given: pd.Index, visits: pd.DataFrame
) -> Iterator[Problem]:
    if visits[rule.outcome].isna().all():
        remedy = f"add the column {rule.outcome} to visits.csv, or delete the block"
        yield Problem(FILE, None, f"{section(place)}.outcome", f"no value of {rule.outcome!r} in visits.csv", remedy)
    needed = [column for name in rule.columns for column in (name, f"{name}_{records.clock}")]
    if rule.quantity == "slope_from_onset":
        needed.append(f"onset_{records.clock}")
    for column in needed:
        if column not in given:
            where = next((f"from = {COLUMN}" for name in rule.columns if column.startswith(name)), "slope_from_onset")
            found = f"no column {column!r} in patients.csv"
            remedy = f"add it, or state the rule without {where}: it needs this value of every patient"
            yield Problem(FILE, None, section(place), found, remedy)


def _screened(place: int, rule: EntryRule, enrolled: int) -> Iterator[Problem]:
    if rule.screened is not None and rule.screened < enrolled + (rule.refused or 0):
        found = f"screened = {rule.screened}, but {enrolled} are enrolled and {rule.refused} were refused"
        remedy = f"give at least {enrolled + (rule.refused or 0)}, or correct `refused`"
        yield Problem(FILE, None, f"{section(place)}.screened", found, remedy)


def _of_patients(
    place: int, rule: EntryRule, patients: pd.DataFrame, visits: pd.DataFrame, outcome: Outcome
) -> Iterator[Problem]:
    """Yield the patients whose values are missing, out of order, or break a rule that was applied to the letter."""
    values, onset = used(rule, patients, visits), patients["onset_month"].to_numpy(dtype=float)
    found = quantity(rule, values, outcome, onset)
    broken = np.zeros(len(found), dtype=bool) if rule.spread else ~rule.meets(found)
    for row, patient in enumerate(patients["patient"]):
        if patients[EXEMPT].iloc[row] == "yes":
            continue
        if fault := _unusable(rule, values, onset, row) or (_broken(rule, values, found, row) if broken[row] else None):
            what, remedy = fault
            found_of = f"{section(place)}, {patient}: {what}"
            yield Problem("patients.csv", int(patients.index[row]), EXEMPT, found_of, f"{remedy}, {_DEVIATED}")


def _unusable(rule: EntryRule, values: Used, onset: Floats, row: int) -> tuple[str, str] | None:
    """Say why a patient's quantity cannot be computed, and what to do: None where it can."""
    for occasion, month, value in zip(rule.occasions, values.month[row], values.value[row], strict=True):
        where = "patients.csv" if occasion.startswith(COLUMN) else "visits.csv"
        if np.isnan(value) or np.isnan(month):
            remedy = f"fill it in, with its time, in {where}, or name another occasion in the rule"
            return f"no {rule.outcome} at {occasion!r}", remedy
        if month > SAME:
            return (
                f"{occasion!r} {month:.2f} months after injection 1",
                "correct its time: a rule comes before treatment",
            )
    if not values.complete[row]:
        return f"{rule.end!r} no later than {rule.start!r}", f"add the {rule.outcome} that is missing in between"
    if rule.quantity == "slope_from_onset" and not values.month[row, 0] > onset[row]:
        return "no onset before the value", "fill in the onset, or correct it"
    return None


def _broken(rule: EntryRule, values: Used, found: Floats, row: int) -> tuple[str, str]:
    seen = ", then ".join(f"{value:g}" for value in values.value[row])
    what = f"{rule.quantity} {found[row]:.3g} ({seen}), not {rule.limits_in_words()}"
    return what, "correct the values or the rule"

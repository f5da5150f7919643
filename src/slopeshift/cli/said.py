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
    from slopeshift.answers.convergence import failures
    from slopeshift.design.visits import visits_of
    from slopeshift.report.words.arms import p_value
    from slopeshift.report.words.numbers import counted
    from slopeshift.report.words.people import lacking

    outcome = trial.outcomes[record["outcome"]]
    head = f"{outcome.label}, {outcome.unit}/month, model {record['model']}"
    if failed := failures(tables["diagnostics"]):
        more = counted(len(failed), "limit")
        return [head, f"  No result: this fit failed its diagnostics gate ({more} missed). No effect is shown."]
    rows, compared = _rows(tables["population"]), _compared(tables["population"])
    found = _aligned([_heads(outcome.sign), *rows]) if rows else _slope(tables["population"])
    if compared and trial.arms is not None:
        said = "randomised" if trial.arms.randomised else "not randomised: an association"
        found = [*_aligned([_heads_of_arms(outcome.sign), *compared]), f"  Compared with {trial.arms.control}, {said}."]
        found += [
            f"  Permutation test within the randomisation: {p_value(row.p)}."
            for row in tables["permutation"].itertuples()
        ]
    wanting = lacking(visits_of(trial, record["outcome"]))
    return [head, *([f"  {wanting}"] if wanting else ()), *found, *_where_nothing_changed(tables)]


def _where_nothing_changed(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Say how often this design shows as much where nothing changed, and how probable it is that anything did."""
    from slopeshift.answers.operating import COURSES
    from slopeshift.design.cycles import OVERALL
    from slopeshift.report.analysis import rows_of
    from slopeshift.report.words.chance import of_hundred
    from slopeshift.report.words.numbers import probability

    rows = rows_of(tables, "operating", injection=OVERALL)
    if rows.empty:
        return []
    straight, bent = (of_hundred(rows.loc[rows["course"] == kind, "prob_at_least"].iloc[0]) for kind in COURSES)
    compared = "difference" in set(tables["population"]["quantity"])
    nothing = "the arms did not differ" if compared else "nothing changed"
    lines = [f"  If {nothing}, {straight} of 100 such trials would show as much ({bent} if courses bend)."]
    changed = rows_of(tables, "any_change", prior_probability=0.5)["probability"]
    if changed.notna().all():
        after = probability(changed.iloc[len(changed) // 2])
        what = "the arms differ at all" if compared else "anything changed at all"
        lines.append(f"  Probability that {what}, from even odds: {after}.")
    return lines


def _heads(sign: float) -> tuple[str, ...]:
    """Head the columns of `_rows`, for an outcome of this sign."""
    from slopeshift.report.words.numbers import course

    side = ">" if sign > 0 else "<"
    return ("After", "Change of slope (95 % interval)", f"Pr(change {side} 0)", f"Slowing of the {course(sign)} (95 %)")


def _rows(population: pd.DataFrame) -> list[tuple[str, ...]]:
    """Say of every injection, the mean over them last, how the slope changed: the columns of `_heads`."""
    from slopeshift.design.cycles import OVERALL
    from slopeshift.report.words.numbers import between, number, point, probability

    slowing = {row.injection: row for row in population[population["quantity"] == "percent_slowing"].itertuples()}
    rows = []
    for row in population[population["quantity"] == "change"].itertuples():
        percent = slowing.get(row.injection)
        change = f"{number(row.mean, sign=True)} ({between(row.lower, row.upper, row.unit, sign=True)})"
        slower = (
            "–" if percent is None else f"{number(point(percent), 0)} % ({between(percent.lower, percent.upper, '%')})"
        )
        after = "all injections" if row.injection == OVERALL else f"injection {row.injection}"
        rows.append((after, change, probability(row.prob_better), slower))
    return sorted(rows, key=lambda row: row[0] == "all injections")


def _heads_of_arms(sign: float) -> tuple[str, ...]:
    """Head the columns of `_compared`, for an outcome of this sign."""
    side = ">" if sign > 0 else "<"
    return ("After", "Difference of the arms (95 % interval)", f"Pr(difference {side} 0)", "Pr(25 % slower)")


def _compared(population: pd.DataFrame) -> list[tuple[str, ...]]:
    """Say of every injection, the mean over them last, how the arms differ: empty where none are compared."""
    from slopeshift.design.cycles import OVERALL
    from slopeshift.report.words.numbers import between, number, probability

    slower = population[population["quantity"] == "prob_slowing_25_of_control"].set_index("injection")["mean"]
    rows = []
    for row in population[population["quantity"] == "difference"].itertuples():
        difference = f"{number(row.mean, sign=True)} ({between(row.lower, row.upper, row.unit, sign=True)})"
        after = "all injections" if row.injection == OVERALL else f"injection {row.injection}"
        rows.append((after, difference, probability(row.prob_better), probability(slower[row.injection])))
    return sorted(rows, key=lambda row: row[0] == "all injections")


def _slope(population: pd.DataFrame) -> list[str]:
    """Say how fast patients declined, where no injection was followed by a value."""
    from slopeshift.report.words.numbers import between, number

    return [
        f"  Slope {number(row.mean, sign=True)} ({between(row.lower, row.upper, row.unit, sign=True)}) {row.unit}"
        for row in population[population["quantity"] == "lead_in_slope"].itertuples()
    ]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Set rows under each other, the first column to the left and numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(["", row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]

"""The answer of one fit in words and rows: aligned in the terminal, as a table in a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from slopeshift.trial import Trial

    Tables = Mapping[str, pd.DataFrame]
    Row = tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """The answer of one fit: its head, sentences, rows under their heads or none, and sentences after these."""

    head: str
    before: Sequence[str] = ()
    rows: Sequence[Row] = ()
    after: Sequence[str] = ()


def shown(trial: Trial, record: Mapping[str, Any], tables: Tables) -> Shown:
    """Say what a fit answers, from its record and its tables as `answers.stored` makes them.

    Of a fit that failed its gate, nothing but this is said.
    """
    from slopeshift.answers.convergence import failures
    from slopeshift.design.visits import visits_of
    from slopeshift.report.words.numbers import counted
    from slopeshift.report.words.people import lacking

    outcome = trial.outcomes[record["outcome"]]
    head = f"{outcome.label}, {outcome.unit}/month, model {record['model']}"
    if failed := failures(tables["diagnostics"]):
        more = counted(len(failed), "limit")
        return Shown(head, [f"No result: this fit failed its diagnostics gate ({more} missed). No effect is shown."])
    wanting = lacking(visits_of(trial, record["outcome"]))
    before, after = [wanting] if wanting else [], _where_nothing_changed(tables)
    if trial.arms is not None and (compared := _compared(tables["population"])):
        after = [*_comparison(trial, tables), *after]
        return Shown(head, before, [_heads_of_arms(outcome.sign), *compared], after)
    if rows := _rows(tables["population"]):
        return Shown(head, before, [_heads(outcome.sign), *rows], after)
    return Shown(head, [*before, *_slope(tables["population"])], [], after)


def html(trial: Trial, found: Shown, notes: Sequence[str]) -> str:
    """Write an answer as HTML for a notebook, `notes` below it: texts are escaped, and synthetic data are called so."""
    from markupsafe import Markup

    mark = " SYNTHETIC DATA." if trial.synthetic else ""
    parts = [Markup("<p><b>{}</b>, trial {}.{}</p>").format(found.head, trial.name, mark)]
    parts += [Markup("<p>{}</p>").format(line) for line in found.before]
    if found.rows:
        heads, *rows = found.rows
        lines = [Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row) for row in rows]
        parts.append(
            Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(
                Markup("").join(Markup('<th scope="col">{}</th>').format(head) for head in heads),
                Markup("").join(Markup("<tr>{}</tr>").format(line) for line in lines),
            )
        )
    parts += [Markup("<p>{}</p>").format(line) for line in (*found.after, *notes)]
    return str(Markup("<div>{}</div>").format(Markup("").join(parts)))


def _where_nothing_changed(tables: Tables) -> list[str]:
    """Say how often this design shows as much where nothing changed, and how probable it is that anything did."""
    from slopeshift.answers.operating import COURSES
    from slopeshift.design.cycles import OVERALL
    from slopeshift.report.analysis import rows_of
    from slopeshift.report.words.chance import no_contradiction, of_hundred
    from slopeshift.report.words.numbers import probability

    rows = rows_of(tables, "operating", injection=OVERALL)
    if rows.empty:
        return []
    straight, bent = (of_hundred(rows.loc[rows["course"] == kind, "prob_at_least"].iloc[0]) for kind in COURSES)
    compared = "difference" in set(tables["population"]["quantity"])
    nothing = "the arms did not differ" if compared else "nothing changed"
    lines = [f"If {nothing}, {straight} of 100 such trials would show as much ({bent} if courses bend)."]
    changed = rows_of(tables, "any_change", prior_probability=0.5)["probability"]
    if changed.notna().all():
        after = probability(changed.iloc[len(changed) // 2])
        what = "the arms differ at all" if compared else "anything changed at all"
        lines.append(f"Probability that {what}, from even odds: {after}.{no_contradiction(tables)}")
    return lines


def _heads(sign: float) -> Row:
    """Head the columns of `_rows`, for an outcome of this sign."""
    from slopeshift.report.words.numbers import course

    side = ">" if sign > 0 else "<"
    return ("After", "Change of slope (95 % interval)", f"Pr(change {side} 0)", f"Slowing of the {course(sign)} (95 %)")


def _rows(population: pd.DataFrame) -> list[Row]:
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


def _heads_of_arms(sign: float) -> Row:
    """Head the columns of `_compared`, for an outcome of this sign."""
    side = ">" if sign > 0 else "<"
    return ("After", "Difference of the arms (95 % interval)", f"Pr(difference {side} 0)", "Pr(25 % slower)")


def _compared(population: pd.DataFrame) -> list[Row]:
    """Say of every injection, the mean over them last, how the arms differ: empty where none are compared."""
    from slopeshift.answers.quantities import DIFFERENCE, SLOWED
    from slopeshift.design.cycles import OVERALL
    from slopeshift.report.words.numbers import between, number, probability

    slower = population[population["quantity"] == SLOWED[DIFFERENCE]].set_index("injection")["mean"]
    rows = []
    for row in population[population["quantity"] == "difference"].itertuples():
        difference = f"{number(row.mean, sign=True)} ({between(row.lower, row.upper, row.unit, sign=True)})"
        after = "all injections" if row.injection == OVERALL else f"injection {row.injection}"
        rows.append((after, difference, probability(row.prob_better), probability(slower[row.injection])))
    return sorted(rows, key=lambda row: row[0] == "all injections")


def _comparison(trial: Trial, tables: Tables) -> list[str]:
    """Say what was compared with what, and what the test of the randomisation gives."""
    from slopeshift.report.words.arms import p_value

    assert trial.arms is not None
    said = "randomised" if trial.arms.randomised else "not randomised: an association"
    tests = [
        f"Permutation test within the randomisation: {p_value(row.p)}." for row in tables["permutation"].itertuples()
    ]
    return [f"Compared with {trial.arms.control}, {said}.", *tests]


def _slope(population: pd.DataFrame) -> list[str]:
    """Say how fast patients declined, where no injection was followed by a value."""
    from slopeshift.report.words.numbers import between, number

    return [
        f"Slope {number(row.mean, sign=True)} ({between(row.lower, row.upper, row.unit, sign=True)}) {row.unit}"
        for row in population[population["quantity"] == "lead_in_slope"].itertuples()
    ]

"""All models beside each other: what each changes, what it finds, and how well it predicts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from slopeshift.answers.quantities import SLOWED
from slopeshift.report.analysis import Analysis, Report
from slopeshift.report.sections.sensitivity import meaning
from slopeshift.report.words.checks import missed_by
from slopeshift.report.words.numbers import estimate, listed, number, probability
from slopeshift.report.words.truth import overall


class Line(NamedTuple):
    """A model: its short name on the pages, its name and title, whether it answers, and its numbers as printed."""

    anchor: str
    model: str
    title: str
    answers: bool
    cells: list[str]


def unfitted(report: Report) -> list[tuple[str, str]]:
    """Group the models that were not fitted by the reason: reason, names."""
    names: dict[str, list[str]] = {}
    for record in report.skipped:
        names.setdefault(record["reason"], []).append(record["model"])
    return [(reason, listed(models)) for reason, models in names.items()]


def lines(report: Report, outcome: str) -> list[Line]:
    """Print a line for each model of an outcome, those that answer first."""
    mine = [a for a in report.analyses if a.record["outcome"] == outcome]
    leads = {part for a in mine if a in report.primary for part in meaning(a).split("; ")}
    return [Line(a.anchor, a.record["model"], _title(a, leads), a in report.primary, _cells(report, a)) for a in mine]


def _title(a: Analysis, leads: Collection[str]) -> str:
    """Say what a model is, and what its change means where that is another thing than `leads`, of those that answer."""
    own = [part for part in meaning(a).split("; ") if part and part not in leads]
    return "; ".join([str(a.record["title"]), *own])


def _cells(report: Report, a: Analysis) -> list[str]:
    """Print estimate, two probabilities, the loss of predictive density, and the number of checks that fired."""
    if not a.passed:
        return ["withheld: failed its gate", "", "", "", ""]
    found = overall(a)
    if found.empty:
        return ["no change", "", "", "", ""]
    row = next(found.itertuples())
    population = a.results.population
    slowing = population[
        (population["quantity"] == SLOWED[a.results.claimed]) & (population["injection"] == row.injection)
    ]["mean"]
    fired = "–" if a.tables is None else str(len(missed_by(a.tables["rules"])))
    return [
        estimate(row),
        probability(float(row.prob_better)),
        probability(float(slowing.iloc[0])) if len(slowing) else "–",
        _loss(report, a),
        fired,
    ]


def _loss(report: Report, a: Analysis) -> str:
    """Print how much worse than the best a model predicts values that were left out, with its standard error."""
    mine = report.compared[report.compared["model"] == a.record["model"]]
    if mine.empty or mine["left_out_because"].iloc[0]:
        return "–"
    lost, error = mine["difference_from_best"].iloc[0], mine["standard_error_of_difference"].iloc[0]
    return "best" if lost == 0 else f"{number(lost, 1)} ± {number(error, 1)}"


def context(report: Report) -> dict[str, Any]:
    """Show the models of every outcome that more than one model has."""
    shown = [(a, lines(report, a.record["outcome"])) for a in report.primary]
    several = [(a.visits.outcome.label, a.rate, found) for a, found in shown if len(found) > 1]
    return {"shown": several, "unfitted": unfitted(report)}

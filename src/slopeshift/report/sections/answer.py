"""The first screen: what the data support of each outcome beside what chance alone gives, and what they cannot show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from slopeshift.answers.quantities import CHANGE, DIFFERENCE
from slopeshift.design.cycles import OVERALL
from slopeshift.report.analysis import Analysis, Report, rows_of
from slopeshift.report.figures import answer as answer_figures
from slopeshift.report.figures.picture import Picture, picture
from slopeshift.report.sections.beside import unfitted
from slopeshift.report.sections.chance import headline
from slopeshift.report.words.arms import delayed_start, tested_by_permutation, usual_analyses
from slopeshift.report.words.borrowed import sentence
from slopeshift.report.words.chance import by_chance, by_design, changed_at_all, named_by_chance, named_if_unchanged
from slopeshift.report.words.checks import UNCHECKED, alarm
from slopeshift.report.words.entry import question
from slopeshift.report.words.findings import Finding, baseline, findings, named_patients, slowed_patients
from slopeshift.report.words.numbers import VERBAL_SCALE, after, between, course, listed, number
from slopeshift.report.words.people import cannot_show, cannot_show_in_short, has_control_group, lacking

_READING = "Thick, thin line: 50 %, 95 % interval."

WHAT = {CHANGE: "Change of slope", DIFFERENCE: "Difference of slopes"}
"""What is claimed, at the beginning of a sentence: of two arms, treated less control."""

MOST_FINDINGS = 6
"""Injections that have a sentence each; of more, the figure shows them and a table has them."""

_CHANCE = " Hatched: chance alone."


def beside_chance(finding: Finding, mean: float, chance: pd.DataFrame, unit: str) -> str:
    """Write what chance gives, and on which side of it the estimate over all injections lies; empty if not known."""
    found = chance[chance["injection"] == finding.injection]
    if found.empty or found[["lower", "upper"]].isna().any(axis=None):
        return ""
    low, high = found["lower"].iloc[0], found["upper"].iloc[0]
    if finding.injection != OVERALL:
        return f"by chance {between(low, high, unit, sign=True)}"
    where = "above" if mean > high else "below" if mean < low else "within"
    return f"{where} what chance gives ({between(low, high, unit, sign=True)})"


def mean_change(analysis: Analysis, injection: str) -> float:
    """Take the estimate of what is claimed after an injection out of the table, in units a month."""
    table = analysis.results.population
    claimed = table["quantity"] == analysis.results.claimed
    return float(table.loc[claimed & (table["injection"] == injection), "mean"].iloc[0])


def figure(analysis: Analysis, chance: pd.DataFrame) -> Picture:
    """Show the change after every injection with its intervals, and what chance alone gives behind each."""
    given = chance[["injection", "lower", "upper"]].rename(columns={"lower": "null_lower", "upper": "null_upper"})
    rows = analysis.answered.tables["intervals"].merge(given, on="injection", how="left")
    rows = rows.sort_values("injection", key=lambda k: k != OVERALL, kind="stable")
    said = "; ".join(
        f"{after(row.injection)} "
        f"{number(row.mean, sign=True)} ({between(row.lower, row.upper, analysis.rate, sign=True)})"
        for row in rows.itertuples()
    )
    return picture(
        answer_figures.changes(rows, analysis.rate, analysis.sign, WHAT[analysis.results.claimed]),
        f"{analysis.anchor}-answer",
        _READING + (_CHANCE if rows["null_lower"].notna().any() else ""),
        f"{WHAT[analysis.results.claimed]} of {analysis.visits.outcome.label} in {analysis.rate} with 95 % intervals: "
        f"{said}.",
    )


def sides(analyses: Sequence[Analysis]) -> str:
    """Say on which side of 0 patients worsen more slowly, and of which outcomes it is the other."""
    lower = [a.visits.outcome.label for a in analyses if a.sign < 0]
    if len(lower) == len(analyses) > 0:
        return "Below 0: slower rise."
    return f"Above 0: slower decline{f'; of {listed(lower)}, below 0: slower rise' if lower else ''}."


def in_short(report: Report) -> list[str]:
    """Say in a sentence for each outcome what was found and how sure that is, and then what cannot be concluded.

    Empty where no injection was given or no fit that answers passed its gate.
    """
    said = []
    for a in report.primary:
        found = findings(a.results) if a.passed and report.treated else []
        if found and not lacking(a.visits):
            said.append(
                f"{a.visits.outcome.label}: {found[0].verdict} (probability of slower {course(a.sign)} "
                f"{found[0].probability})."
            )
    return [*said, cannot_show_in_short(report.trial)] if said else []


def context(report: Report) -> dict[str, Any]:
    """Show what the data support of each outcome, beside what chance gives and what the design cannot show."""
    return {
        "controlled": has_control_group(report.trial),
        "arms": report.trial.arms if report.trial.compares else None,
        "shown": report.of_each(report.primary, lambda a: _card(report, a)),
        "short": in_short(report),
        "cannot": cannot_show(report.trial),
        "sides": sides(report.primary),
        "scale": VERBAL_SCALE,
        "beside": report.others,
        "unfitted": () if report.analyses else unfitted(report),
    }


def _borrowed(report: Report, a: Analysis) -> str:
    if report.trial.control is None or "borrowed" not in a.answered.tables:
        return ""
    varied = rows_of(report.varied, "borrowing", model=a.record["model"])
    return sentence(a.answered.tables["borrowed"], report.trial.control.source, a.sign, varied)


def _card(report: Report, a: Analysis) -> dict[str, Any]:
    card: dict[str, Any] = {"baseline": baseline(a.results), "findings": [], "lacking": lacking(a.visits)}
    found = findings(a.results)
    if not report.treated or not found:
        return card
    compared = a.results.claimed == DIFFERENCE
    chance = by_chance(report.study, a.record["model"])
    beside = [beside_chance(f, mean_change(a, f.injection), chance, a.rate) for f in found]
    return card | {
        "figure": figure(a, chance),
        "alarm": UNCHECKED if a.tables is None else alarm(a.tables["rules"]),
        "question": "" if a.tables is None else question(report.trial, a.visits.outcome, a.tables),
        "findings": list(zip(found, beside, strict=True))[: None if len(found) <= MOST_FINDINGS + 1 else 1],
        "more": len(found) - 1 if len(found) > MOST_FINDINGS + 1 else 0,
        "many": "" if compared else slowed_patients(a.results, a.answered.number("prior_expected_slowed")),
        "named": named_patients(a.results),
        "compared": compared,
        "borrowed": _borrowed(report, a),
        "tested": tested_by_permutation(a.answered.tables),
        "usual": usual_analyses(a.answered.tables),
        "late": delayed_start(a.answered.tables),
        "named_by_chance": named_by_chance(chance),
        "named_if_unchanged": named_if_unchanged(a.answered.tables),
        "by_design": by_design(a.answered.tables, OVERALL, a.rate),
        "changed": changed_at_all(a.answered.tables),
        "counted": headline(report.study, a.record["outcome"]),
    }

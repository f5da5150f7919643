"""The patient view: what the page carries of every patient, and the script that shows one of them at a time.

Only models that answer the question are in it, and of these only fits that passed their gate. Every number is one of
the tables and figures of the page, put into words by Python; the script draws, and computes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from slopeshift.answers.quantities import INTERVAL
from slopeshift.design.cycles import OVERALL
from slopeshift.report.analysis import Analysis, Report, primary
from slopeshift.report.figures.courses import Course, courses, ended, months_range, padded
from slopeshift.report.sections.patients import missing_cycles
from slopeshift.report.words.numbers import between, certainty, counted, in_unit, listed, number, probability

Rows = Mapping[tuple[str, str], Any]
Words = Mapping[tuple[str, str], str]

MOST = 300
"""Patients that the page carries: about 3 kB each and outcome. Of a larger cohort the first are taken."""

_NOTHING = {
    "no injection": "No injection was given, so nothing is said of a change.",
    "not informed": "No value was recorded after an injection, so nothing is said of a change.",
}

_FLAGS = {
    "percent undefined": "Percent undefined: the slope without injections may be near zero, and a percentage of it "
    "means little, although the patient still counts among those who may have slowed.",
    "short lead-in": "Short lead-in: fewer than two values up to the first injection, so that the slope before "
    "treatment is mostly that of other patients.",
}

_ESCAPED = str.maketrans({"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"})


def view(analyses: Sequence[Analysis]) -> dict[str, Any]:
    """Gather what the script is to show: the patients, and of each outcome what it says of each of them."""
    shown = [a for a in primary(analyses) if a.passed]
    everyone = shown[0].visits.patients if shown else ()
    return {
        "patients": list(everyone[:MOST]),
        "left_out": len(everyone[MOST:]),
        "outcomes": [_outcome(a) for a in shown],
    }


def embedded(content: Mapping[str, Any]) -> Markup:
    """Write content as JSON that can stand in an HTML script element whatever texts are in it."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_ESCAPED))


def script() -> Markup:
    """Read the script, as it stands in the page: of this view, and of the thresholds of changes."""
    folder = resources.files("slopeshift.report").joinpath("templates")
    return Markup("".join(folder.joinpath(f"{name}.js").read_text("utf-8") for name in ("patient_view", "threshold")))


def _outcome(analysis: Analysis) -> dict[str, Any]:
    outcome = analysis.visits.outcome
    results = {(row.patient, row.injection): row for row in analysis.results.patients.itertuples()}
    missing = {(row.patient, row.injection): row.words for row in missing_cycles(analysis).itertuples()}
    return {
        "label": outcome.label,
        "unit": outcome.unit,
        "model": analysis.record["model"],
        "clock": "months since the first injection" if analysis.visits.injections else "months",
        "months": _short(months_range(analysis)),
        "values": _short(padded(analysis.visits.value)),
        "align": "lrrrrrrl",
        "heads": [
            "Injection",
            "Values",
            f"Change, {analysis.rate}",
            "95 % interval",
            "Pr(slower)",
            "Pr(slowing ≥ 25 %)",
            "Before the data",
            "Flag",
        ],
        "patients": [_patient(course, results, missing, analysis) for course in courses(analysis, MOST)],
    }


def _patient(course: Course, results: Rows, missing: Words, analysis: Analysis) -> dict[str, Any]:
    cycles = [str(k) for k in analysis.visits.injections]
    mine = {k: results.get((course.patient, k)) for k in [*cycles, OVERALL]} if cycles else {}
    words = {k: missing.get((course.patient, k), "") for k in mine}
    return {
        "month": _short(course.month),
        "value": _short(course.value, 6),
        "injections": _short(course.injections),
        "ending": _ending(course),
        "line": _band(course.line),
        "without": _band(course.without),
        "rows": [_row(k, row, words[k], analysis.rate) for k, row in mine.items()],
        "said": [*_record(course, analysis), *_change(mine.get(OVERALL), words, analysis), *_gap(course, analysis)],
    }


def _ending(course: Course) -> list[float | str] | None:
    """Say when follow-up ended, why, and how to say so; nothing where it is not known."""
    if course.ending is None:
        return None
    return [*_short([course.ending.month]), course.ending.reason, ended(course.ending).removeprefix(", ")]


def _row(injection: str, row: Any, words: str, rate: str) -> list[str]:
    """Print one line of the table; a cycle that is no result says why, and has no number."""
    name = "all" if injection == OVERALL else injection
    if row is None:
        return [name, words]
    return [
        name,
        number(row.n_visits, 0),
        in_unit(row.mean, rate, sign=True),
        between(row.lower, row.upper, rate, sign=True),
        probability(row.prob_better),
        probability(row.prob_slowing_25),
        probability(row.prior_prob_slowing_25),
        row.flag,
    ]


def _record(course: Course, analysis: Analysis) -> list[str]:
    values, injections = counted(course.value.size, "value"), counted(course.injections.size, "injection")
    label = analysis.visits.outcome.label
    return [f"{label} of patient {course.patient}: {values}, {injections}{ended(course.ending)}."]


def _change(overall: Any, words: Mapping[str, str], analysis: Analysis) -> list[str]:
    """Say how the slope changed over all cycles, which cycles are no result, and what to know before the numbers."""
    said = []
    if overall is not None:
        flags = overall.flag.split("; ") if overall.flag else []
        said.append(
            f"Over all cycles: {certainty(overall.prob_better, 'percent undefined' not in flags, analysis.sign)}. "
            f"Change of slope "
            f"{number(overall.mean, sign=True)} {analysis.rate} (95 % interval "
            f"{between(overall.lower, overall.upper, analysis.rate, sign=True)}); probability of slowing by 25 % or "
            f"more {probability(overall.prob_slowing_25)}, before the data "
            f"{probability(overall.prior_prob_slowing_25)}."
        )
        said += [_FLAGS[flag] for flag in flags]
    elif words:
        said.append(_NOTHING[words[OVERALL]])
    for reason in ("not reached", "not informed"):
        cycles = [k for k, why in words.items() if why == reason and k != OVERALL]
        if cycles and overall is not None:
            said.append(f"{reason.capitalize()}: injection {listed(cycles)}.")
    return said


def _gap(course: Course, analysis: Analysis) -> list[str]:
    """Say how far, at the last value, the fitted line is from the course before treatment, continued."""
    if not course.gap.size:
        return []
    unit, gap = analysis.visits.outcome.unit, float(np.median(course.gap))
    lower, upper = np.quantile(course.gap, INTERVAL)
    return [
        f"At the last value, in month {course.month.max():.1f}, the fitted line is {in_unit(abs(gap), unit)} {unit} "
        f"{'above' if gap >= 0 else 'below'} the course before treatment, continued (95 % interval of the difference "
        f"{between(lower, upper, unit, sign=True)})."
    ]


def _band(line: pd.DataFrame) -> list[list[float]]:
    return [_short(line[name]) for name in ("month", "median", "lower", "upper")]


def _short(values: Iterable[float], digits: int = 4) -> list[float]:
    """Keep what a drawing needs."""
    rounded = (float(f"{value:.{digits}g}") for value in values)
    return [int(value) if value.is_integer() else value for value in rounded]


def context(report: Report) -> dict[str, Any]:
    """Gather the patients that can be chosen, and the script that shows one of them."""
    held = view(report.analyses)
    return {"held": held, "data": embedded(held), "script": script()}

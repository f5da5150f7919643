"""Every patient's course, as recorded, with the line that the model draws through it."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from slopeshift.report.analysis import Analysis, Report
from slopeshift.report.figures import courses as courses_figures
from slopeshift.report.figures import trajectories as trajectories_figures
from slopeshift.report.figures.courses import Course
from slopeshift.report.figures.picture import Picture, picture
from slopeshift.report.words.numbers import counted

ALL, FIRST = 20, 8
"""Up to ALL courses stand in the shorter page; of more, those of the FIRST patients, the others in the longer one."""


def in_short(patients: int) -> int:
    """Count the patients of a trial whose courses stand in the shorter page."""
    return patients if patients <= ALL else FIRST


def trajectories(analysis: Analysis, first: int = 0, last: int | None = None) -> list[Picture]:
    """Show the records of patients, with the fitted line up to the last value where the gate was passed.

    `first` and `last` cut the patients, in the order of the trial, as a slice does.
    """
    label, pictures = analysis.visits.outcome.label, []
    for i, course in islice(enumerate(courses_figures.courses(analysis, last)), first, last):
        words = f"{counted(len(course.value), 'value')}, {counted(len(course.injections), 'injection')}"
        description = f"{label} of patient {course.patient}: {words}{courses_figures.ended(course.ending)}."
        name = f"{analysis.anchor}-patient-{i}"
        pictures.append(picture(figure(analysis, course, alone=False), name, course.patient, description))
    return pictures


def figure(analysis: Analysis, course: Course, *, alone: bool = True) -> Figure:
    """Draw one patient's course, on axes that all patients share; `alone` names them in the figure."""
    values = pd.DataFrame({"month": course.month, "value": course.value})
    limits = (courses_figures.months_range(analysis), courses_figures.padded(analysis.visits.value))
    labels = ("Months since the first injection", analysis.visits.outcome.unit) if alone else None
    return trajectories_figures.trajectory(values, course.line, list(course.injections), course.ending, limits, labels)


def context(report: Report) -> dict[str, Any]:
    """Show the first patients' courses for each outcome, with the fitted line where the gate was passed."""
    first = in_short(len(report.trial.patients))
    shown = report.of_each(report.primary, lambda a: {"drawn": trajectories(a, last=first)}, failed=True)
    return {"shown": shown, "first": first, "more": len(report.trial.patients) - first}


def details(report: Report) -> dict[str, Any]:
    """Show the courses of the patients that the shorter page has no room for."""
    first = in_short(len(report.trial.patients))
    more = len(report.trial.patients) > first
    of = report.primary if more else []
    return {"shown": report.of_each(of, lambda a: {"drawn": trajectories(a, first)}, failed=True), "more": more}

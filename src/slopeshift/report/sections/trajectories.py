"""Every patient's course, as recorded, with the line that the model draws through it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from slopeshift.report.analysis import Analysis, Report
from slopeshift.report.figures import courses as courses_figures
from slopeshift.report.figures import trajectories as trajectories_figures
from slopeshift.report.figures.picture import Picture, picture
from slopeshift.report.words.numbers import counted


def trajectories(analysis: Analysis) -> list[Picture]:
    """Show every patient's record, with the fitted line up to the last value where the gate was passed."""
    outcome = analysis.visits.outcome
    limits = (courses_figures.months_range(analysis), courses_figures.padded(analysis.visits.value))
    labels = ("months", outcome.unit)
    pictures = []
    for i, course in enumerate(courses_figures.courses(analysis)):
        values = pd.DataFrame({"month": course.month, "value": course.value})
        injections = list(course.injections)
        figure = trajectories_figures.trajectory(values, course.line, injections, course.ending, limits, labels)
        words = f"{counted(len(values), 'value')}, {counted(len(injections), 'injection')}"
        description = f"{outcome.label} of patient {course.patient}: {words}{courses_figures.ended(course.ending)}."
        pictures.append(picture(figure, f"{analysis.anchor}-patient-{i}", course.patient, description))
    return pictures


def context(report: Report) -> dict[str, Any]:
    """Show every patient's course for each outcome, with the fitted line where the gate was passed."""
    return {"shown": report.of_each(report.primary, lambda a: {"drawn": trajectories(a)}, failed=True)}

"""Is it true? Every doubt that a reader should have of the answer, and what this report has to say to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from slopeshift.report.analysis import Analysis, Report
from slopeshift.report.words import truth as words
from slopeshift.report.words.truth import Said


class Doubt(NamedTuple):
    """A question, the id of where its answer is worked out, and what is said of every outcome."""

    asked: str
    place: str
    said: list[Said]


def doubts(report: Report) -> list[Doubt]:
    """Answer every question for every model that answers: what rests on a fit that failed its gate is withheld."""
    return [
        Doubt(asked, place, [_said(say, a, always=place == "diagnostics") for a in report.primary])
        for asked, place, say in _questions(report)
    ]


Question = tuple[str, str, Callable[[Analysis], Said]]


def _questions(report: Report) -> Iterator[Question]:
    yield "Can the draws be trusted?", "diagnostics", words.sampled
    yield "Does the model fit these data?", "checks", words.fits
    if report.treated:
        yield "Would chance alone show as much?", "chance", words.chance
        yield "Could it come from who was let in?", "limitations", lambda a: words.entry(report, a)
        yield "Could courses bend by themselves?", "limitations", lambda a: words.bends(report, a)
        yield "Do other models agree?", "beside", lambda a: words.other_models(report, a)
        yield "Does the prior decide it?", "priors", words.prior
        yield "Does one patient decide it?", "sensitivity", lambda a: words.one_patient(report, a)
        yield "Could it come from who left?", "missing", words.leaving


def _said(say: Callable[[Analysis], Said], a: Analysis, *, always: bool) -> Said:
    return say(a) if a.passed or always else Said("Withheld: the fit failed its diagnostics gate.", True)


def context(report: Report) -> dict[str, Any]:
    """Show the doubts, a row each, and what is said to them of each outcome."""
    return {"doubts": doubts(report)}

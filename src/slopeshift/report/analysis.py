"""What a page is written from: of every model the stored answers and checks, and the tables of trial and studies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import pandas as pd

from slopeshift.answers.stored import Answered
from slopeshift.answers.tables import Results
from slopeshift.design.visits import Visits
from slopeshift.fit.posterior import Posterior
from slopeshift.model.files import leading
from slopeshift.trial import Trial

Tables = Mapping[str, pd.DataFrame]

NEAR_END_SHARE = 0.05
"""A bounded model is preferable where more than this share of values is near an end of the scale."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """One model of the page: `anchor` is its short name there, `tables` are its checks, None where there are none."""

    anchor: str
    answered: Answered
    tables: Tables | None = None

    @property
    def record(self) -> Mapping[str, Any]:
        """The record of the fit's making."""
        return self.answered.record

    @property
    def results(self) -> Results:
        """The tables of the fit that are published."""
        return self.answered.results

    @property
    def passed(self) -> bool:
        """Whether anything but diagnostics may be shown."""
        return self.results.passed

    @property
    def posterior(self) -> Posterior:
        """The posterior, for figures."""
        return self.answered.posterior

    @property
    def trial(self) -> Trial:
        """The trial."""
        return self.posterior.trial

    @property
    def visits(self) -> Visits:
        """The values of the outcome, on the model's own shape."""
        return self.posterior.visits

    @property
    def sign(self) -> int:
        """What changes are multiplied by so that above 0 is better: the sign of the outcome."""
        return self.visits.outcome.sign

    @property
    def rate(self) -> str:
        """Unit of slopes."""
        return self.posterior.rate

    @property
    def checks(self) -> Tables:
        """The tables of the checks. Raises LookupError where there are none of this fit."""
        if self.tables is None:
            raise LookupError(
                f"there are no checks of this fit of {self.record['model']}: make them with `slopeshift checks`"
            )
        return self.tables


@dataclass(frozen=True, eq=False)
class Report:
    """Everything that a page is written from.

    `analyses` are the fits that were sampled, those that answer the question first. `skipped` are the records of models
    without a fit: model, and the reason. `own` are the tables of the trial that need no fit, `compared` the models of
    each outcome side by side, `study` and `varied` the tables of the null study and of the sensitivity study,
    `second_stage` the rows of the two-stage regression on the interval, and `claim` what a published count is worth
    beside chance, in words. `say` tells the console what is not shown.
    """

    trial: Trial
    analyses: Sequence[Analysis]
    skipped: Sequence[Mapping[str, Any]] = ()
    own: Tables = field(default_factory=dict)
    compared: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["outcome", "model"]))
    study: Tables = field(default_factory=dict)
    varied: Tables = field(default_factory=dict)
    second_stage: pd.DataFrame | None = None
    claim: str = ""
    say: Callable[[str], object] = print

    @property
    def treated(self) -> bool:
        """Whether anybody had an injection."""
        return not self.trial.injections.empty

    @cached_property
    def primary(self) -> list[Analysis]:
        """The analyses that answer the question (`model.files.leading`); the others stand beside them."""
        return primary(self.analyses)

    @property
    def others(self) -> list[Analysis]:
        """The analyses that stand beside those that answer the question."""
        return [a for a in self.analyses if a not in self.primary]

    def of_each(
        self, analyses: Sequence[Analysis], make: Callable[[Analysis], dict[str, Any]], *, failed: bool = False
    ) -> list[dict[str, Any]]:
        """Make what a section shows of each model that passed its gate; where that fails, say why in its place.

        `failed` asks for those that failed their gate too. Every entry has `a`, the analysis, and `wrong`, a text
        that is empty where nothing is wrong.
        """
        found = []
        for a in analyses:
            entry: dict[str, Any] = {"a": a, "wrong": ""}
            try:
                found.append(entry | (make(a) if failed or a.passed else {}))
            except Exception as error:  # one model that has nothing to say never takes the page with it
                self.say(f"{a.record['model']}: not shown: {reason(error)}")
                found.append(entry | {"wrong": reason(error)})
        return found


class Around(NamedTuple):
    """What the last sections of a page look back at.

    `ids` and `titles` (of sections, by id) are those of both long pages, `tables` the published ones. `links` names for
    every target the sections that link to it, and `mine` holds the targets that this page has to define; `technical`
    says that it is the page of everything else.
    """

    ids: frozenset[str]
    titles: Mapping[str, str]
    tables: Tables
    links: Mapping[str, Sequence[str]]
    mine: frozenset[str]
    technical: bool


def reason(error: Exception) -> str:
    """Say what went wrong: the text of an error that was written for people, or its kind besides."""
    text = str(error.args[0]) if error.args else ""
    return text if " " in text and isinstance(error, LookupError) else f"{type(error).__name__}: {text}"


def analyses_of(found: Sequence[Answered], checked: Mapping[str, Tables] | None = None) -> list[Analysis]:
    """Order answered fits, those that answer the question first, with their checks by model."""
    first = leading({each.record["model"]: each.record["outcome"] for each in found})
    ordered = sorted(found, key=lambda each: each.record["model"] not in first)
    return [
        Analysis(f"m{number}", each, (checked or {}).get(each.record["model"]))
        for number, each in enumerate(ordered, 1)
    ]


def primary(analyses: Sequence[Analysis]) -> list[Analysis]:
    """Choose the analyses that answer the question; the others stand beside them."""
    chosen = leading({a.record["model"]: a.record["outcome"] for a in analyses})
    return [a for a in analyses if a.record["model"] in chosen]


def rows_of(tables: Tables, name: str, **values: object) -> pd.DataFrame:
    """Take the rows of a table that have these values in columns of these names: none where there is no such table."""
    table = tables.get(name, pd.DataFrame(columns=list(values)))
    for column, value in values.items():
        table = table[table[column] == value]
    return table

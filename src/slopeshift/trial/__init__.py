"""A trial: its patients, visits, injections and events, checked once at the door and frozen afterwards.

`read_trial` takes a folder of CSV tables, `trial_from_tables` takes data frames. Both go through the same door, which
reports everything that is wrong at once and changes nothing silently. `data/README.md` describes the tables for users.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.trial.arms import ARM, INJECTION, Arms, arms_notes, arms_of
from slopeshift.trial.columns import DAYS_PER_MONTH, ITEMS, Problem, Records, as_frame
from slopeshift.trial.decision import Decision, decision_of
from slopeshift.trial.door import Delivery, from_folder, from_frames, inspect, of_patient
from slopeshift.trial.keys import FILE as SETTINGS
from slopeshift.trial.notes import notes_of
from slopeshift.trial.roles import CovariateRole, Outcome
from slopeshift.trial.settings import covariates_of, entry_rules_of, settings_notes, settings_problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from slopeshift.trial.entry import EntryRule

__all__ = ["DAYS_PER_MONTH", "Arms", "Control", "Outcome", "Trial", "TrialError", "read_trial", "trial_from_tables"]

# The columns every table of a trial has, in this order, and first in it; events are sorted by all of theirs.
_ALWAYS = {
    "patients": ["patient"],
    "visits": ["patient", "month"],
    "injections": ["patient", "injection", "month"],
    "events": ["patient", "month", "term", "serious"],
}
_LISTED = 100
NOT_STATED = "not stated"
FEWEST_PATIENTS = 10  # of a control, with two values each: fewer say little of a mean slope
VALUES_OF_A_BEND, MONTHS_OF_A_BEND = 4, 6.0  # of a patient: fewer, or in less time, say nothing of a curvature
_WIDEST = {"file": 32, "row": 8, "patient": 24, "column": 24, "found": 110, "remedy": 160}


class TrialError(ValueError):
    """Everything that is wrong with a trial: `problems` holds file, row (header: 1), patient, column, found, remedy."""

    def __init__(self, name: str, problems: pd.DataFrame) -> None:
        super().__init__(name, problems)
        self.name = name
        self.problems = problems

    def __str__(self) -> str:
        """Return a summary line, then the problems as an aligned table."""
        count = len(self.problems)
        size = f"{_counted(count, 'problem')} in {_counted(self.problems['file'].nunique(), 'file')}"
        return f"trial {self.name!r}: {size}; nothing was taken in\n\n{as_table(self.problems)}"


@dataclass(frozen=True)
class Control:
    """A natural history that a trial names in its settings: where from, and how far studies differ.

    `between_study_sd` holds, by outcome, the standard deviation of mean slopes between studies, in units a month, and
    `between_study_sd_curvature` that of mean curvatures, in those per month.
    """

    source: str
    between_study_sd: Mapping[str, float]
    trial: Trial = field(repr=False)
    between_study_sd_curvature: Mapping[str, float] = field(default_factory=dict)

    def spreads(self, of: str) -> Mapping[str, float]:
        """Take the standard deviations between studies, by outcome, of "slope" or "curvature"."""
        return {"slope": self.between_study_sd, "curvature": self.between_study_sd_curvature}[of]


@dataclass(frozen=True, eq=False)
class Trial:
    """A trial that passed the door. What it hands out are copies: changing them leaves the trial as it is.

    Every month is counted from the patient's first injection; for a patient without one, from month 0 of the tables,
    or, where they give dates, from the first visit. `synthetic` tells generated data from real data; `source` says
    where they are from. `control` is another trial that this one names as its natural history, and `entry` states the
    rules by which its patients entered. `arms` says what is compared in a controlled trial, None in others;
    `decision` is the rule that was fixed beforehand, None where there is none.
    """

    name: str
    title: str
    synthetic: bool
    source: str
    _outcomes: tuple[Outcome, ...] = field(repr=False)
    _files: tuple[tuple[str, str], ...] = field(repr=False)
    _tables: Mapping[str, pd.DataFrame] = field(repr=False)
    _covariates: tuple[CovariateRole, ...] = field(default=(), repr=False)
    control: Control | None = field(default=None, repr=False)
    entry: tuple[EntryRule, ...] = field(default=(), repr=False)
    arms: Arms | None = field(default=None, repr=False)
    decision: Decision | None = field(default=None, repr=False)
    _notes: tuple[Problem, ...] = field(default=(), repr=False)
    _items: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["patient", "month", *ITEMS]), repr=False)

    @property
    def notes(self) -> pd.DataFrame:
        """What is allowed and worth a look, by file, row, patient and column: what was found, and what to do."""
        return as_frame(self._notes)

    @property
    def patients(self) -> pd.DataFrame:
        """One row a patient, P2 before P10: `patient`, as given age, sex, arm, onset, end, covariates (text)."""
        return self._tables["patients"].copy(deep=False)

    @property
    def visits(self) -> pd.DataFrame:
        """One row a visit, by patient and month: `patient`, `month`, a column for each outcome recorded (NaN: none)."""
        return self._tables["visits"].copy(deep=False)

    @property
    def injections(self) -> pd.DataFrame:
        """One row an injection: `patient`, `injection` (1..K), `month`, as given agent, dose, route, planned_month."""
        return self._tables["injections"].copy(deep=False)

    @property
    def events(self) -> pd.DataFrame:
        """One row an event: `patient`, `month`, `term`, `serious`, and as given grade, related; may be empty.

        `month` is NaN where the time is not known; `earliest_month` and `latest_month` may then bound it.
        """
        return self._tables["events"].copy(deep=False)

    @property
    def items(self) -> pd.DataFrame:
        """One row a visit with an item of the ALSFRS-R: `patient`, `month`, `alsfrsr_1` to `alsfrsr_12` (0 to 4)."""
        return self._items.copy(deep=False)

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """The outcomes with at least one value, by name: the built-in ones first."""
        return {outcome.name: outcome for outcome in self._outcomes}

    @property
    def compares(self) -> bool:
        """Whether there are two arms that are injected, or two agents, to compare.

        Patients of an arm that is never injected show the natural history, like untreated patients of any trial.
        """
        if self.arms is None or self.arms.unit == INJECTION:
            return self.arms is not None
        control = self._tables["patients"].loc[self._tables["patients"][ARM] == self.arms.control, "patient"]
        injected = self._tables["injections"]["patient"]
        return bool(injected.isin(control).any() and (~injected.isin(control)).any())

    @property
    def covariates(self) -> Mapping[str, CovariateRole]:
        """What the settings say of columns of `patients` as covariates, by name."""
        return {role.name: role for role in self._covariates}

    @property
    def files(self) -> Mapping[str, str]:
        """SHA-256 of the bytes of each file read; empty for a trial made in memory."""
        return dict(self._files)

    def natural_history(self, outcome: str) -> pd.DataFrame:
        """Return `patient`, `month` and an outcome's values up to the first injection; all, where there is none."""
        treated = self._tables["visits"]["patient"].isin(self._tables["injections"]["patient"])
        before = self._tables["visits"][~treated | (self._tables["visits"]["month"] <= 0)]
        return before[["patient", "month", outcome]].dropna(subset=outcome)


def read_trial(directory: Path) -> Trial:
    """Read a trial from a folder of patients.csv, visits.csv, injections.csv, trial.toml and optionally events.csv.

    The control that trial.toml may name is read with it, by the same rules. Raises TrialError with everything that is
    wrong in any of the files.
    """
    delivery = from_folder(directory)
    control, problems = _control(directory, delivery.settings or {})
    trial = _admitted(replace(delivery, problems=(*delivery.problems, *problems)))
    if control is None:
        return trial
    files = {f"control/{name}": digest for name, digest in control.trial.files.items()}
    return replace(trial, control=control, _files=(*trial.files.items(), *files.items()))


def trial_from_tables(name: str, tables: Mapping[str, pd.DataFrame], settings: Mapping[str, Any]) -> Trial:
    """Make a trial of frames (patients, visits, injections, optional events) and of what trial.toml would say.

    Raises TrialError with everything that is wrong; rows are counted from 2, as in a file.
    """
    delivery = from_frames(name, tables, settings)
    if "control" in settings:
        remedy = "write the trial to a folder and read it from there"
        found = Problem(SETTINGS, None, "control", "a control of a trial made in memory", remedy)
        delivery = replace(delivery, problems=(*delivery.problems, found))
    return _admitted(delivery)


def _control(directory: Path, settings: Mapping[str, Any]) -> tuple[Control | None, list[Problem]]:
    """Read the control that the settings name; return it, or what is wrong with it."""
    given = settings.get("control")
    if given is None or any(str(problem.column).startswith("control") for problem in settings_problems(settings)):
        return None, []
    folder = directory / given["source"]
    if folder.resolve() == directory.resolve():
        return None, [_of_control("source", "the trial itself", "name the folder of another trial")]
    delivery = from_folder(folder)
    if delivery.settings and "control" in delivery.settings:
        return None, [_of_control("source", "a control with a control of its own", "name a trial without [control]")]
    try:
        trial = _admitted(delivery)
    except TrialError as error:
        found = f"{_counted(len(error.problems), 'problem')} in {given['source']}"
        return None, [_of_control("source", found, f"run `slopeshift check {folder}`")]
    slopes, bends = dict(given["between_study_sd"]), dict(given.get("between_study_sd_curvature", {}))
    problems = list(_unusable(trial, slopes, bends, settings))
    return Control(given["source"], slopes, trial, bends), problems


def _unusable(
    trial: Trial, slopes: Mapping[str, float], bends: Mapping[str, float], settings: Mapping[str, Any]
) -> Iterator[Problem]:
    if trial.synthetic and settings.get("synthetic") is False:
        yield _of_control("source", "a synthetic control for real data", "name a trial of real patients")
    for key, outcome in (*(("", each) for each in slopes), *(("_curvature", each) for each in bends)):
        where = f"between_study_sd{key}.{outcome}"
        if outcome not in trial.outcomes:
            remedy = f"delete it; the control records {', '.join(trial.outcomes)}"
            yield _of_control(where, f"no value of {outcome!r} in the control", remedy)
        elif key and outcome not in slopes:
            yield _of_control(where, "no between-study SD of the slope beside it", f"give between_study_sd.{outcome}")
        elif key:
            yield from _too_short(trial, outcome, where)
        else:
            yield from _too_few(trial, outcome)


def _too_few(trial: Trial, outcome: str) -> Iterator[Problem]:
    count = int((trial.natural_history(outcome).groupby("patient")["month"].nunique() >= 2).sum())
    if count < FEWEST_PATIENTS:
        found = f"{_counted(count, 'patient')} with two values of {outcome} before an injection"
        yield _of_control("source", found, f"name a trial with at least {FEWEST_PATIENTS}")


def _too_short(trial: Trial, outcome: str, where: str) -> Iterator[Problem]:
    """Say where too few patients were seen for so long that a bend shows."""
    months = trial.natural_history(outcome).groupby("patient")["month"]
    long_enough = (months.nunique() >= VALUES_OF_A_BEND) & (months.max() - months.min() >= MONTHS_OF_A_BEND)
    if (count := int(long_enough.sum())) < FEWEST_PATIENTS:
        needed = f"{VALUES_OF_A_BEND} values of {outcome} over {MONTHS_OF_A_BEND:g} months before an injection"
        remedy = f"delete it, or name a trial with at least {FEWEST_PATIENTS}: fewer do not show how courses bend"
        yield _of_control(where, f"{_counted(count, 'patient')} with {needed}", remedy)


def _of_control(key: str, found: str, remedy: str) -> Problem:
    return Problem(SETTINGS, None, f"control.{key}", found, remedy)


def _admitted(delivery: Delivery) -> Trial:
    records, outcomes, problems = inspect(delivery)
    settings = delivery.settings
    if problems or settings is None:
        raise TrialError(delivery.name, as_frame(problems))
    visits = _with_totals(records.tables["visits"])
    recorded = tuple(outcome for outcome in outcomes.values() if visits[outcome.name].notna().any())
    tables = dict(records.tables) | {"visits": visits}
    seen = replace(records, tables=tables)
    given = {name: list(table.columns) for name, table in delivery.tables.items()}
    arms = arms_of(settings)
    notes = [*settings_notes(settings), *notes_of(seen, {outcome.name: outcome for outcome in recorded})]
    notes += arms_notes(arms, records, given)
    given["visits"] = [outcome.name for outcome in recorded]
    return Trial(
        name=delivery.name,
        title=settings["title"].strip(),
        synthetic=settings["synthetic"],
        source=settings.get("source", NOT_STATED).strip(),
        _outcomes=recorded,
        _files=tuple(delivery.files.items()),
        _covariates=tuple(covariates_of(settings).values()),
        entry=tuple(entry_rules_of(settings).values()),
        arms=arms,
        decision=decision_of(settings),
        _notes=tuple(of_patient(note, delivery.tables) for note in notes),
        _items=_finished(records, "visits", seen.tables["visits"].dropna(subset=list(ITEMS), how="all"), ITEMS),
        _tables={name: _finished(records, name, table, given.get(name, [])) for name, table in tables.items()},
    )


def _with_totals(visits: pd.DataFrame) -> pd.DataFrame:
    sums = visits[list(ITEMS)].sum(axis=1, skipna=False)
    return visits.assign(alsfrsr=visits["alsfrsr"].fillna(sums))


def _finished(records: Records, name: str, table: pd.DataFrame, given: Iterable[str]) -> pd.DataFrame:
    """Count the times of a table from the first injection; keep the columns given; put columns and rows in order."""
    clock = records.clock
    times = {time: f"{time.removesuffix(clock)}month" for time in records.times if time in table}
    moved = table.assign(**{time: records.months(table, time) for time in times}).rename(columns=times)
    others = {times.get(column, column) for column in given}
    columns = [*_ALWAYS[name], *(column for column in moved if column in others and column not in _ALWAYS[name])]
    rank = {patient: place for place, patient in enumerate(sorted(records.tables["patients"]["patient"], key=_natural))}
    ordered = moved[columns].sort_values(
        columns, key=lambda cells: cells.map(rank) if cells.name == "patient" else cells, ignore_index=True
    )
    return ordered.astype({"injection": "int64"} if "injection" in columns else {})


def _natural(patient: str) -> tuple[list[str | int], str]:
    parts = re.split(r"([0-9]+)", patient)
    return [int(part) if place % 2 else part for place, part in enumerate(parts)], patient


def as_table(problems: pd.DataFrame) -> str:
    """Write problems or notes under each other, the first hundred of them."""
    rows = problems[:_LISTED].astype(object).fillna("").values.tolist()
    unlisted = [f"... and {len(problems) - _LISTED} more"] if len(problems) > _LISTED else []
    return "\n".join([*_aligned([list(problems.columns), *rows]), *unlisted])


def _aligned(rows: list[list[Any]]) -> list[str]:
    cells = [[_clipped(str(cell), width) for cell, width in zip(row, _WIDEST.values(), strict=True)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _clipped(text: str, width: int) -> str:
    printable = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return printable if len(printable) <= width else printable[: width - 1] + "…"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"

"""A reading becomes the folder of a trial: all of it, once it has passed the door, or nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.formats.ledger import LEFT_OUT, balanced, reasons
from slopeshift.formats.mapping import hinted
from slopeshift.formats.reading import filled, in_order, write_csv
from slopeshift.formats.traced import Trace
from slopeshift.keep.atomic import replacing_folder
from slopeshift.trial import Trial, TrialError, read_trial
from slopeshift.trial.columns import Problem, as_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from slopeshift.formats.reading import Reading
    from slopeshift.formats.source import Source

LOG = "import.log"
WRITTEN = ("patients.csv", "visits.csv", "injections.csv", "events.csv", "trial.toml", LOG)


@dataclass(frozen=True)
class Imported:
    """A trial that was imported, and its ledger: file, row, fate, reason.

    `reasons` says in words, with patients, what nothing was made of; `notes` lists what the user should look at.
    """

    trial: Trial
    ledger: pd.DataFrame
    reasons: tuple[str, ...] = ()
    notes: pd.DataFrame = field(default_factory=lambda: as_frame([]))


class RefusedError(TrialError):
    """Everything that keeps a source from being imported; `reasons` says what nothing had been made of so far."""

    def __init__(self, name: str, problems: pd.DataFrame, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(name, problems)
        self.reasons = reasons

    def __str__(self) -> str:
        """Return the problems as a table, and the reasons of rows and files that were left out."""
        said = "\n".join(["", "", "Left out so far:", *(f"  {reason}" for reason in self.reasons)])
        return super().__str__() + (said if self.reasons else "")


def refusal(name: str, problems: Iterable[Problem], reasons: tuple[str, ...] = ()) -> RefusedError:
    """Return the error that lists problems of an import, in the order of files and rows."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.row or 0))
    return RefusedError(name, as_frame(ordered), reasons)


def refuse_destination(destination: Path, *, replace: bool) -> None:
    """Raise TrialError where the destination holds something, unless it is an earlier import to be replaced."""
    if destination.resolve() in (here := destination.absolute().cwd(), *here.parents):
        found, remedy = "the folder that you are in", "give the name of a folder that is not there yet"
    elif not destination.exists() and not destination.is_symlink():
        return
    elif destination.is_symlink() or not destination.is_dir():
        found, remedy = "a file or a link of this name", "give the name of a folder that is not there yet"
    elif not (held := sorted(path.name for path in destination.iterdir())) or (
        replace and LOG in held and set(held) <= set(WRITTEN)
    ):
        return
    elif replace:
        found = f"{', '.join(sorted(set(held) - set(WRITTEN)) or ['no ' + LOG])} in it"
        remedy = "only what an import wrote is replaced: move the folder away, or choose another name"
    else:
        found, remedy = "a folder that is not empty", "choose another name, or replace an earlier import with --replace"
    raise refusal(destination.name, [Problem(str(destination), None, None, found, remedy)])


def write(
    reading: Reading,
    sources: Sequence[Source],
    unread: Mapping[str, str],
    settings: Mapping[str, Any],
    destination: Path,
) -> Imported:
    """Write tables, trial.toml and import.log, hold them to the door, and move them into place.

    The same reading gives the same bytes. Raises RefusedError with all problems of the reading and, of the door, all
    that it adds, with source files and rows; then nothing has been written.
    """
    tables = in_order(reading.tables)
    trace, name = Trace(reading, tables, sources), destination.resolve().name
    with replacing_folder(destination) as folder:
        for table_name, table in tables.items():
            if table_name != "events" or len(table):
                write_csv(folder / f"{table_name}.csv", table)
        text = toml(settings, reading.outcomes) + arms_to_state(tables)
        (folder / "trial.toml").write_bytes(text.encode())
        trial, problems = _at_the_door(folder, trace)
        if problems := _all(reading.problems, problems):
            hints = map(hinted, problems) if reading.mapped else problems
            raise refusal(name, hints, reasons(_fates(reading), unread, reading.who))
        assert trial is not None
        ledger = _with_heads(balanced(sources, reading.fates, dict(unread)), reading)
        write_csv(folder / LOG, ledger)
    notes = [*reading.notes, *(trace.back(Problem(**note)) for note in trial.notes.to_dict("records"))]
    return Imported(trial, ledger, reasons(ledger, unread, reading.who), as_frame(dict.fromkeys(notes)))


def _at_the_door(folder: Path, trace: Trace) -> tuple[Trial | None, list[Problem]]:
    try:
        return read_trial(folder), []
    except TrialError as error:
        return None, [trace.back(Problem(**problem)) for problem in error.problems.to_dict("records")]


def _all(own: Sequence[Problem], at_the_door: Sequence[Problem]) -> list[Problem]:
    """Join the problems of a reading and of its tables: of a cell, or of a whole table that lacks it, the first."""
    cells = {(problem.file, problem.row, problem.column) for problem in own}
    added = (
        problem
        for problem in at_the_door
        if not own or (problem.row is not None and (problem.file, problem.row, problem.column) not in cells)
    )
    return [*own, *added]


def _fates(reading: Reading) -> pd.DataFrame:
    fates = pd.concat([*reading.fates, pd.DataFrame(columns=["file", "row", "fate", "reason"])])
    return fates[fates["fate"] == LEFT_OUT].drop_duplicates()


def _with_heads(ledger: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    if not reading.heads:
        return ledger
    heads = pd.DataFrame([(file, None, fate, reason) for file, fate, reason in reading.heads], columns=ledger.columns)
    return pd.concat([heads.astype({"row": "Int64"}), ledger], ignore_index=True)


def arms_to_state(tables: Mapping[str, pd.DataFrame]) -> str:
    """Write, as a comment of trial.toml, what is to be stated of arms or agents, with the levels found; else nothing.

    Which level is the control, and whether anything was randomised, a source does not say and is left open.
    """
    found = (("patients", "arm", "patient"), ("injections", "agent", "injection"))
    for name, column, unit in found:
        cells = tables[name].get(column, pd.Series(dtype="str"))
        counts = cells[filled(cells)].value_counts().sort_index()
        if len(counts) > 1:
            levels = ", ".join(f"{json.dumps(level, ensure_ascii=False)} ({n})" for level, n in counts.items())
            return f"""
# Arms are not compared until this is stated. Levels of {column} found, with the number of {unit}s: {levels}
# [arms]
# control = ""        # the level that the other is compared with
# randomised = true   # false: a difference is an association
# unit = "{unit}"
# strata = []         # columns of patients.csv within which was randomised
"""
    return ""


def toml(settings: Mapping[str, Any], outcomes: Mapping[str, Mapping[str, Any]]) -> str:
    """Write trial.toml: texts in quotes, then a section for each outcome that is not built in."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
    for name, outcome in outcomes.items():
        lines += ["", f"[outcomes.{name}]"]
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in outcome.items()]
    return "\n".join(lines) + "\n"

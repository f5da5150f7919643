"""A reading becomes the folder of a trial: all of it, once it has passed the door, or nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.formats.ledger import balanced
from slopeshift.formats.reading import in_order, write_csv
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
    """A trial that was imported, and its ledger: file, row, fate, reason."""

    trial: Trial
    ledger: pd.DataFrame


def refusal(name: str, problems: Iterable[Problem]) -> TrialError:
    """Return the error that lists problems of an import, in the order of files and rows."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: (problem.file, problem.row or 0))
    return TrialError(name, as_frame(ordered))


def refuse_destination(destination: Path, *, replace: bool) -> None:
    """Raise TrialError where the destination holds something, unless it is an earlier import to be replaced."""
    if not destination.exists() and not destination.is_symlink():
        return
    if destination.is_symlink() or not destination.is_dir():
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

    The same reading gives the same bytes. Raises TrialError, with source files and rows, where the door refuses; then
    nothing has been written.
    """
    ledger = balanced(sources, reading.fates, dict(unread))
    if reading.heads:
        heads = pd.DataFrame(
            [(file, None, fate, reason) for file, fate, reason in reading.heads], columns=ledger.columns
        )
        ledger = pd.concat([heads.astype({"row": "Int64"}), ledger], ignore_index=True)
    tables = in_order(reading.tables)
    with replacing_folder(destination) as folder:
        for name, table in tables.items():
            if name != "events" or len(table):
                write_csv(folder / f"{name}.csv", table)
        (folder / "trial.toml").write_bytes(toml(settings, reading.outcomes).encode())
        write_csv(folder / LOG, ledger)
        try:
            trial = read_trial(folder)
        except TrialError as error:
            problems = [_traced(Problem(**row), reading, tables) for row in error.problems.to_dict("records")]
            raise refusal(destination.name, problems) from None
    return Imported(trial, ledger)


def toml(settings: Mapping[str, Any], outcomes: Mapping[str, Mapping[str, Any]]) -> str:
    """Write trial.toml: texts in quotes, then a section for each outcome that is not built in."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
    for name, outcome in outcomes.items():
        lines += ["", f"[outcomes.{name}]"]
        lines += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in outcome.items()]
    return "\n".join(lines) + "\n"


def _traced(problem: Problem, reading: Reading, tables: Mapping[str, pd.DataFrame]) -> Problem:
    """Say where in the source a problem of a table comes from."""
    name = problem.file.removesuffix(".csv")
    column = reading.named.get((name, str(problem.column)), problem.column)
    row = None if problem.row is None or pd.isna(problem.row) else int(problem.row)
    if name in tables and row is not None and 2 <= row <= len(tables[name]) + 1:
        file, origin = tables[name].index[row - 2]
        return problem._replace(file=str(file), row=int(origin), column=column)
    return problem._replace(row=row, column=column)

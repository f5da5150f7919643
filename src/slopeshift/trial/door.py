"""The door: a folder or a set of frames comes in, its records go out, with everything that is wrong with them.

Tables come in as text, as written but for the white space around a cell. Only a row without a single filled cell is
passed over; whatever else cannot be used is a problem.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import tomllib
from dataclasses import dataclass
from datetime import datetime, time
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slopeshift.trial.arms import arms_of, arms_problems
from slopeshift.trial.cells import MISSING, has_control_character, is_missing
from slopeshift.trial.columns import (
    ITEMS,
    TIMED,
    Problem,
    Records,
    cell_problems,
    clock_of,
    column_problems,
    layout,
    values,
)
from slopeshift.trial.entry_values import value_problems
from slopeshift.trial.keys import FILE as SETTINGS
from slopeshift.trial.roles import fault_of
from slopeshift.trial.rules import RULES
from slopeshift.trial.settings import BUILT_IN, covariates_of, entry_rules_of, outcomes_of, settings_problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from slopeshift.trial.roles import Outcome

TABLES = ("patients", "visits", "injections", "events")
FILES = (*(f"{table}.csv" for table in TABLES), SETTINGS)

_MAY_BE_ABSENT = ("events.csv",)
_MAY_HAVE_NO_ROWS = ("injections.csv", "events.csv")


@dataclass(frozen=True)
class Delivery:
    """What was brought to the door: tables of text by name (index: row in the file), settings, and problems so far.

    A table or the settings are absent where they could not be read. `files` holds the SHA-256 of each file's bytes.
    """

    name: str
    tables: Mapping[str, pd.DataFrame]
    settings: Mapping[str, Any] | None
    files: Mapping[str, str]
    problems: tuple[Problem, ...]


def from_folder(directory: Path) -> Delivery:
    """Read the files of a trial as text."""
    name = directory.resolve().name
    if not directory.is_dir():
        found = "a file, not a folder" if directory.exists() else "no such folder"
        remedy = "give the folder that holds patients.csv, visits.csv, injections.csv and trial.toml"
        return Delivery(name, {}, None, {}, (Problem(str(directory), None, None, found, remedy),))
    contents, problems = _contents(directory)
    tables = {}
    for file in [file for file in contents if file != SETTINGS]:
        table, found_in_file = _read_csv(file, contents[file])
        problems += found_in_file
        if table is not None:
            tables[file.removesuffix(".csv")] = table
    settings, found_in_file = _read_toml(contents[SETTINGS]) if SETTINGS in contents else (None, [])
    hashes = {file: hashlib.sha256(data).hexdigest() for file, data in contents.items()}
    return Delivery(name, tables, settings, hashes, (*problems, *found_in_file))


def from_frames(name: str, frames: Mapping[str, pd.DataFrame], settings: Mapping[str, Any]) -> Delivery:
    """Write frames as the text their files would hold: numbers keep all their digits, booleans become yes and no."""
    problems = [
        Problem(f"{table}.csv", None, None, f"unknown table {table!r}", f"known are {', '.join(TABLES)}")
        for table in frames
        if table not in TABLES
    ]
    tables = {}
    for file in FILES[:-1]:
        if (frame := frames.get(file.removesuffix(".csv"))) is not None:
            table, found_in_frame = _table(file, _written_rows(frame))
            problems += found_in_frame
            if table is not None:
                tables[file.removesuffix(".csv")] = table
        elif file not in _MAY_BE_ABSENT:
            problems.append(_absent(file))
    return Delivery(name, tables, settings, {}, tuple(problems))


def inspect(delivery: Delivery) -> tuple[Records, dict[str, Outcome], list[Problem]]:
    """Hold a delivery to every rule; return its values, the outcomes visits may record, and all problems by file."""
    outcomes = outcomes_of(delivery.settings)
    clock = clock_of(delivery.tables[name] for name in TIMED if name in delivery.tables)
    rules = entry_rules_of(delivery.settings)
    screening = {name: outcomes[rule.outcome] for rule in rules.values() for name in rule.columns}
    kinds = layout(clock, outcomes, screening)
    problems = [*delivery.problems, *_whole_trial(delivery, outcomes)]
    for name, table in delivery.tables.items():
        problems += column_problems(name, table, kinds[name], clock, declared=delivery.settings is not None)
    usable = {name: _usable(delivery.tables.get(name)) for name in TABLES}
    in_cells = [problem for name in TABLES for problem in cell_problems(name, usable[name], kinds[name])]
    records = Records(clock, {name: values(usable[name], kinds[name]) for name in TABLES}, tuple(screening))
    known = {problem[:3] for problem in in_cells}
    for rule in RULES if len(usable["patients"]) else ():
        problems += (problem for problem in rule(records) if problem[:3] not in known)
    problems += _covariates(records, delivery.settings or {})
    if arms := arms_of(delivery.settings):
        problems += arms_problems(arms, records, {name: usable[name].columns for name in TABLES}, outcomes)
    problems += value_problems(rules, records, usable["patients"].columns, outcomes)
    found = [of_patient(problem, usable) for problem in (*problems, *in_cells)]
    return records, outcomes, sorted(found, key=_place)


def of_patient(problem: Problem, tables: Mapping[str, pd.DataFrame]) -> Problem:
    """Name the patient of a problem's row, where that names one: whom a query about the data is about."""
    table = tables.get(problem.file.removesuffix(".csv"))
    if table is None or "patient" not in table or problem.row not in table.index:
        return problem
    patient = table.loc[problem.row, "patient"]
    return problem if pd.isna(patient) or patient in MISSING else problem._replace(patient=str(patient))


def _usable(table: pd.DataFrame | None) -> pd.DataFrame:
    """Leave out what was reported and would only cause more reports: the second of two columns, a part of the items."""
    if table is None:
        return pd.DataFrame(index=pd.Index([], dtype="int64"))
    items = [] if set(ITEMS) <= set(table.columns) else list(ITEMS)
    return table.loc[:, ~table.columns.duplicated() & ~table.columns.isin(items)]


def _whole_trial(delivery: Delivery, outcomes: Mapping[str, Outcome]) -> Iterator[Problem]:
    if delivery.name in ("", ".", "..") or re.search(r"[/\\]", delivery.name) or has_control_character(delivery.name):
        yield Problem("(trial)", None, "name", repr(delivery.name), "give a name that can be the name of a folder")
    if delivery.settings is not None:
        yield from settings_problems(delivery.settings)
    if "visits" in delivery.tables:
        visits = delivery.tables["visits"]
        scores = visits.loc[:, [column in outcomes or column in ITEMS for column in visits.columns]]
        if not visits.empty and scores.map(is_missing).all(axis=None):
            remedy = "fill in alsfrsr, its twelve items or fvc, or declare another outcome in trial.toml"
            yield Problem("visits.csv", None, None, "no value of any outcome", remedy)
        for name in outcomes:
            if name not in BUILT_IN and name not in visits.columns:
                remedy = f"add the column {name} to visits.csv, or delete this section"
                yield Problem(SETTINGS, None, f"outcomes.{name}", f"no column {name!r} in visits.csv", remedy)


def _covariates(records: Records, settings: Mapping[str, Any]) -> Iterator[Problem]:
    """Compare what the settings say of covariates with their columns, as far as they say what is in them."""
    patients = records.tables["patients"].rename(columns={f"onset_{records.clock}": "onset_month"})
    for name, role in covariates_of(settings).items():
        declared = role.reference or role.unit or role.centre is not None or role.per is not None
        if (declared or name not in patients) and (fault := fault_of(role, patients)):
            yield Problem(SETTINGS, None, f"covariates.{name}", *fault)


def _place(problem: Problem) -> tuple[int, int]:
    return FILES.index(problem.file) if problem.file in FILES else -1, problem.row or 0


# Files ---------------------------------------------------------------------------------------------------


def _contents(directory: Path) -> tuple[dict[str, bytes], list[Problem]]:
    contents, problems = {}, []
    others = {path.name.casefold(): path.name for path in directory.iterdir() if path.name not in FILES}
    for file in FILES:
        meant = get_close_matches(file, others, n=1, cutoff=0.9)
        try:
            contents[file] = (directory / file).read_bytes()
        except FileNotFoundError:
            if meant:
                found = f"no file of this name, but {others[meant[0]]!r}"
                problems.append(Problem(file, None, None, found, f"rename it {file}, or move it out of the folder"))
            elif file not in _MAY_BE_ABSENT:
                problems.append(_absent(file))
        except OSError as error:
            found = f"cannot be read: {error.strerror}"
            problems.append(Problem(file, None, None, found, "put a readable file in its place"))
    return contents, problems


def _absent(file: str) -> Problem:
    remedy = "add it; the header alone will do where nobody was injected" if file == "injections.csv" else "add it"
    return Problem(file, None, None, "missing", remedy)


def _encoding_problem(file: str, data: bytes) -> Problem | None:
    remedy = "save it in UTF-8" + (" (in a spreadsheet: CSV UTF-8, comma delimited)" if file != SETTINGS else "")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        return Problem(file, row, None, f"a byte that is not UTF-8: 0x{data[error.start]:02x}", remedy)
    return Problem(file, None, None, "zero bytes: not text in UTF-8", remedy) if b"\0" in data else None


def _read_toml(data: bytes) -> tuple[dict[str, Any] | None, list[Problem]]:
    if fault := _encoding_problem(SETTINGS, data):
        return None, [fault]
    text = data.decode("utf-8-sig")
    try:
        return tomllib.loads(text), []
    except (ValueError, RecursionError) as error:
        line = re.search(r"at line (\d+)", str(error))
        row = int(line[1]) if line else text.count("\n") + 1
        remedy = 'write key = value; texts in quotes: title = "..."'
        return None, [Problem(SETTINGS, row, None, f"not TOML: {error}", remedy)]


def _read_csv(file: str, data: bytes) -> tuple[pd.DataFrame | None, list[Problem]]:
    if fault := _encoding_problem(file, data):
        return None, [fault]
    rows: list[list[str]] = []
    problems = []
    try:
        for row in csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True):
            rows.append([cell.strip() for cell in row])
    except csv.Error as error:
        remedy = 'close every quotation mark, and double those inside a cell: "say ""aah"""'
        problems.append(Problem(file, len(rows) + 1, None, f"not CSV: {error}", remedy))
    table, found_in_rows = _table(file, rows)
    return table, [*problems, *found_in_rows]


# Rows ----------------------------------------------------------------------------------------------------


def _table(file: str, rows: list[list[str]]) -> tuple[pd.DataFrame | None, list[Problem]]:
    header = rows[0] if rows else []
    if not any(header):
        found = "nothing in the first row" if rows else "an empty file"
        return None, [Problem(file, None, None, found, "put the names of the columns in the first row")]
    if len(header) == 1 and (mark := re.search(r"[;\t]", header[0])):
        found = "cells separated by " + ("semicolons" if mark[0] == ";" else "tabs")
        return None, [Problem(file, 1, None, found, "separate cells by commas, and write decimals with a point")]
    filled = {number: row for number, row in enumerate(rows[1:], start=2) if any(row)}
    problems = [_ragged(file, number, row, header) for number, row in filled.items() if len(row) != len(header)]
    if not filled and file not in _MAY_HAVE_NO_ROWS:
        problems.append(Problem(file, None, None, "a header and no rows", "add the rows"))
    whole = {number: row for number, row in filled.items() if len(row) == len(header)}
    index = pd.Index(list(whole), dtype="int64")
    return pd.DataFrame(list(whole.values()), columns=header, index=index, dtype="str"), problems


def _ragged(file: str, number: int, row: list[str], header: list[str]) -> Problem:
    remedy = "give every row as many cells as the header; quote a cell that holds a comma"
    return Problem(file, number, None, f"{len(row)} cells under {len(header)} columns", remedy)


def _written_rows(frame: pd.DataFrame) -> list[list[str]]:
    columns = [[_written(value) for value in frame.iloc[:, place].tolist()] for place in range(frame.shape[1])]
    return [[str(column).strip() for column in frame.columns], *map(list, zip(*columns, strict=True))]


def _written(value: Any) -> str:
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    return str(value).strip()

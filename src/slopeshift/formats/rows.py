"""Rows of a mapped table become the tables of a trial: what a mapping says of a spreadsheet or a database export.

A row is a visit where it holds a value of an outcome, an injection or an event where it holds something of these, and
it may be several at once. What is said of a patient must be the same in all of the patient's rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.formats import notation, phases
from slopeshift.formats.ledger import LEFT_OUT, USED, marks
from slopeshift.formats.mapping import SECTIONS, is_time
from slopeshift.formats.reading import (
    Reading,
    as_text,
    blank_missing,
    cell_problems,
    filled,
    months_of_days,
    numbered,
    numbers,
    placed,
    stacked,
)
from slopeshift.trial.columns import ITEMS, Problem
from slopeshift.trial.settings import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slopeshift.formats.mapping import ColumnMap
    from slopeshift.formats.notation import Notation
    from slopeshift.formats.reading import Choices
    from slopeshift.formats.source import Source

INSTRUMENT = "redcap_repeat_instrument"
SINGULAR = {"patients": "patient", "visits": "visit", "injections": "injection", "events": "event"}


def noted(source: Source, choices: Choices) -> Notation:
    """Return how a source is written: its day numbers count from the day 0 that it states."""
    return replace(choices.notation, zero=source.zero) if source.zero else choices.notation


@dataclass(frozen=True)
class _Part:
    """The rows of one kind, under the names of a trial's columns; index: row of the source.

    `fates` marks the rows that are not among them because the source states that their time is missing.
    """

    name: str
    table: pd.DataFrame
    problems: tuple[Problem, ...] = ()
    fates: tuple[pd.DataFrame, ...] = ()


def read_rows(source: Source, mapping: ColumnMap, how: Notation) -> Reading:
    """Return the tables of a trial that a mapped source holds, the fate of its rows, and what is wrong in it."""
    written = source.table
    source = replace(source, table=written.mask(written.isin(mapping.missing), ""))
    parts = [_part(source, mapping, how, name, written) for name in SECTIONS]
    parts += [
        _wide(source, mapping, how, name, entry, written) for name, entries in mapping.wide.items() for entry in entries
    ]
    problems = [problem for part in parts for problem in part.problems]
    taken = {name: [part.table for part in parts if part.name == name and len(part.table)] for name in SECTIONS}
    patients, found = _one_a_patient(source, mapping, taken["patients"])
    tables = {"patients": patients}
    for name in ("visits", "injections", "events"):
        located = [table.set_axis(placed(source.file, table.index)) for table in taken[name]]
        tables[name] = stacked(name, mapping.clock, located)
    tables["visits"] = _joined(tables["visits"], mapping)
    if "injection" not in mapping.columns["injections"]:
        tables["injections"] = numbered(tables["injections"], mapping.clock)
    untimed = [fate for part in parts for fate in part.fates]
    fates, nameless = _fates(source, mapping, taken, untimed)
    return Reading(
        tables, fates, _unmapped(source, mapping), mapping.outcomes, _named(mapping), (*problems, *found, *nameless)
    )


def _part(source: Source, mapping: ColumnMap, how: Notation, name: str, written: pd.DataFrame) -> _Part:
    columns = mapping.columns[name]
    if not columns and name != "patients":
        return _Part(name, pd.DataFrame({"patient": []}, dtype="str"))
    rows = _of_instrument(source.table, mapping, name)
    phased = phases.PHASE in columns
    marking = list(columns.values()) if phased else _marking(mapping, name)
    if name == "patients":
        chosen = rows[filled(rows[mapping.patient])]
    else:
        held = [filled(rows[column]) for column in marking]
        chosen = rows[pd.concat(held, axis=1).any(axis=1)] if held else rows.iloc[:0]
    cells = {key: chosen[column] for key, column in columns.items()}
    table = pd.DataFrame({"patient": chosen[mapping.patient], **cells}, index=chosen.index)
    table, problems = _converted(source, table, columns, mapping, how)
    if phased:
        table, found = phases.begun(source.file, columns[phases.PHASE], table, mapping.clock)
        problems += found
    if name in ("patients", "events"):
        table, problems = _in_part(source, name, table, columns, problems)
    if (time := next(filter(is_time, columns), None)) is None or name not in ("visits", "injections"):
        return _Part(name, table, tuple(problems))
    if name == "visits":
        stated = _stated_missing(written, table, mapping.clock, columns[time], problems)
        return _Part(name, table.drop(index=stated.index), tuple(problems), _without_time(source, "values", stated))
    codes = written.loc[rows.index.difference(chosen.index), columns[time]]
    stated = codes[codes.isin(mapping.missing)]
    return _Part(name, table, tuple(problems), _without_time(source, "an injection", stated))


def _stated_missing(
    written: pd.DataFrame, table: pd.DataFrame, clock: str, column: str, problems: list[Problem]
) -> pd.Series[str]:
    """Return the cells of times that say, in a code of the mapping, that the time is missing; by row."""
    cells = written.loc[table.index, column]
    wrong = {problem.row for problem in problems if problem.column == column}
    return cells[filled(cells) & ~filled(table[clock]) & ~cells.index.isin(list(wrong))]


def _without_time(source: Source, what: str, codes: pd.Series[str]) -> tuple[pd.DataFrame, ...]:
    """Mark rows as left out, by the codes that stand for the missing time of what they hold."""
    return (marks(source.file, codes.index, LEFT_OUT, f"{what} at a missing time: {codes.name} " + codes),)


def _in_part(
    source: Source, name: str, table: pd.DataFrame, columns: Mapping[str, str], problems: list[Problem]
) -> tuple[pd.DataFrame, list[Problem]]:
    """Keep an event whose date lacks its day, or month, between bounds, and such an end at a time that is not known."""
    key = "end_date" if name == "patients" else "date"
    if key not in columns or (name == "patients" and "end_reason" not in table):
        return table, problems
    first, last = notation.bounds(source.table.loc[table.index, columns[key]])
    known = first.notna() & (table[key] == "")
    if name == "patients":
        known &= filled(table["end_reason"])
    else:
        texts = [bound.where(known).map(notation.iso, na_action="ignore") for bound in (first, last)]
        table = table.assign(earliest_date=as_text(texts[0]), latest_date=as_text(texts[1]))
    kept = set(table.index[known])
    return table, [each for each in problems if each.column != columns[key] or each.row not in kept]


def _of_instrument(table: pd.DataFrame, mapping: ColumnMap, name: str) -> pd.DataFrame:
    if name in mapping.instruments:
        return table[table[INSTRUMENT] == mapping.instruments[name]]
    return table[~filled(table[INSTRUMENT])] if INSTRUMENT in table and name != "patients" else table


def _marking(mapping: ColumnMap, name: str) -> list[str]:
    """Return the columns of which one filled cell makes a row one of this kind: times only where they are its own."""
    columns = mapping.columns[name]
    if name == "visits":
        return [column for key, column in columns.items() if not is_time(key)]
    alone = name in mapping.instruments
    others = {c for other, cs in mapping.columns.items() if other != name for c in cs.values()}
    return [column for key, column in columns.items() if alone or not is_time(key) or column not in others]


def _converted(
    source: Source, table: pd.DataFrame, columns: Mapping[str, str], mapping: ColumnMap, how: Notation
) -> tuple[pd.DataFrame, list[Problem]]:
    """Translate coded cells, and write numbers and times as a trial does."""
    table, problems, renamed = blank_missing(table), [], {}
    for key, column in columns.items():
        cells, clock = table[key], is_time(key)
        wrong = pd.Series("", index=cells.index, dtype="str")
        if key in mapping.codes:
            cells, wrong = _decoded(cells, mapping.codes[key])
        if clock == "date":
            cells, wrong = notation.days(cells, how)
        elif clock or _is_numeric(key, mapping):
            cells, wrong = notation.points(cells, how)
        if clock == "day":
            cells, wrong = _months(cells, wrong)
            renamed[key] = key.removesuffix("day") + "month"
        problems += cell_problems(source.file, column, table[key], wrong)
        table[key] = cells
    return table.rename(columns=renamed), problems


def _is_numeric(key: str, mapping: ColumnMap) -> bool:
    return key in (*BUILT_IN, *ITEMS, *mapping.outcomes, "age", "dose", "injection")


def _decoded(cells: pd.Series[str], codes: Mapping[str, str]) -> tuple[pd.Series[str], pd.Series[str]]:
    wrong = pd.Series("", index=cells.index, dtype="str")
    known = f"add the code to the mapping under codes, or correct it; known are {', '.join(codes)}"
    wrong[filled(cells) & ~cells.isin([*codes, *codes.values()])] = known
    return cells.map(lambda cell: codes.get(cell, cell)).astype("str"), wrong


def _months(cells: pd.Series[str], wrong: pd.Series[str]) -> tuple[pd.Series[str], pd.Series[str]]:
    read = numbers(cells)
    wrong = wrong.mask(filled(cells) & read.isna() & (wrong == ""), "write days as a number")
    return months_of_days(read), wrong


def _wide(
    source: Source, mapping: ColumnMap, how: Notation, name: str, entry: Mapping[str, str], written: pd.DataFrame
) -> _Part:
    """Return the visits or injections that one column of a wide table holds."""
    clock, fates = mapping.clock, ()
    rows = source.table[filled(source.table[entry["column"]])]
    table = pd.DataFrame({"patient": rows[mapping.patient], "value": rows[entry["column"]]}, index=rows.index)
    if name == "injections":
        key = entry["holds"]
        moved, problems = _converted(source, table.rename(columns={"value": key}), {key: entry["column"]}, mapping, how)
        codes = written[entry["column"]]
        stated = codes[codes.isin(mapping.missing)]
        return _Part(name, moved, tuple(problems), _without_time(source, "an injection", stated))
    table = table.rename(columns={"value": entry["outcome"]})
    columns = {entry["outcome"]: entry["column"]}
    if "date_column" in entry:
        table["date"], columns = rows[entry["date_column"]], columns | {"date": entry["date_column"]}
    moved, problems = _converted(source, table, columns, mapping, how)
    if "date_column" in entry:
        stated = _stated_missing(written, moved, "date", columns["date"], problems)
        moved, fates = moved.drop(index=stated.index), _without_time(source, entry["column"], stated)
        untimed = moved.index[~filled(moved["date"])].difference([problem.row for problem in problems])
        remedy = f"fill in the date of {entry['column']}, or empty that"
        problems += [Problem(source.file, int(row), columns["date"], "an empty cell", remedy) for row in untimed]
        moved = moved.drop(index=untimed)
    if clock == "month":
        month = entry.get("month") or months_of_days(pd.Series([float(entry["day"])]))[0]
        moved["month"] = month
    return _Part(name, moved, tuple(problems), fates)


def _joined(visits: pd.DataFrame, mapping: ColumnMap) -> pd.DataFrame:
    """Join what a wide table says of one patient's one time; rows of a long table stay as they are."""
    if not mapping.wide.get("visits"):
        return visits
    keys = ["patient", mapping.clock]
    values = [column for column in visits if column not in keys]
    first = visits.mask(visits == "").groupby(keys, sort=False, dropna=False)[values].first()
    told_once = visits.mask(visits == "").groupby(keys, sort=False, dropna=False)[values].count().le(1).all(axis=None)
    if not told_once:
        return visits
    where = visits.reset_index().groupby(keys, sort=False, dropna=False)[["file", "row"]].first()
    joined = first.reset_index().set_axis(pd.MultiIndex.from_frame(where))
    return joined.fillna("").astype("str")


def _one_a_patient(source: Source, mapping: ColumnMap, taken: list[pd.DataFrame]) -> tuple[pd.DataFrame, list[Problem]]:
    if not taken:
        return stacked("patients", mapping.clock, []), []
    rows, problems = taken[0].mask(taken[0] == ""), []
    grouped = rows.groupby("patient", sort=False)
    for key in [column for column in rows.columns if column != "patient"]:
        first, where = grouped[key].transform("first"), rows[key].notna()
        told = rows.index.to_series().where(where).groupby(rows["patient"]).transform("first")
        column = _named(mapping).get(("patients", key), key)
        for row in rows.index[where & (rows[key] != first)]:
            remedy = f"row {told[row]:.0f} of the same patient says {first[row]!r}: correct one of them"
            problems.append(Problem(source.file, int(row), column, repr(rows[key][row]), remedy))
    index = rows.drop_duplicates("patient").index
    patients = grouped.first().reset_index().set_axis(placed(source.file, index))
    return stacked("patients", mapping.clock, [patients]), problems


def _fates(
    source: Source, mapping: ColumnMap, taken: Mapping[str, list[pd.DataFrame]], untimed: list[pd.DataFrame]
) -> tuple[tuple[pd.DataFrame, ...], list[Problem]]:
    file, table, fates = source.file, source.table, [*untimed]
    used: set[int] = set()
    for name in ("visits", "injections", "events"):
        rows = pd.Index([row for part in taken[name] for row in part.index]).unique()
        used |= set(rows)
        fates.append(marks(file, rows, USED, SINGULAR[name]))
    says = list(mapping.columns["patients"].values())
    told = table[filled(table[says]).any(axis=1)] if says else table.iloc[:0]
    told = told[filled(told[mapping.patient])]
    alone = table.index[filled(table[mapping.patient])].difference(used)
    first = table.index.isin(table[~table.duplicated(mapping.patient)].index)
    alone = alone.intersection(table.index[first]).union(told.index)
    fates.append(marks(file, alone, USED, "patient"))
    told_of = {row for fate in untimed for row in fate["row"]}
    rest = table.loc[table.index.difference(pd.Index([*used, *alone, *told_of], dtype="int64"))]
    fates.append(marks(file, rest.index, LEFT_OUT, _unused(rest, mapping)))
    nameless = table.index[~filled(table[mapping.patient])]
    holding = used | set(table.index[filled(table[says]).any(axis=1)] if says else [])
    remedy = "name the patient in every row that holds a value"
    problems = [Problem(file, int(row), mapping.patient, "an empty cell", remedy) for row in nameless if row in holding]
    return tuple(fates), problems


def _unused(rest: pd.DataFrame, mapping: ColumnMap) -> pd.Series[str]:
    reason = pd.Series("no cell that the mapping names is filled", index=rest.index, dtype="str")
    times = {column for columns in mapping.columns.values() for key, column in columns.items() if is_time(key)}
    reason = reason.mask(filled(rest[sorted(times)]).any(axis=1), "a time, and no value that the mapping names")
    if phase := mapping.columns["injections"].get(phases.PHASE):
        reason = reason.mask(filled(rest[phase]), "a phase that goes on, and no value that the mapping names")
    if INSTRUMENT in rest:
        unknown = filled(rest[INSTRUMENT]) & ~rest[INSTRUMENT].isin([*mapping.instruments.values()])
        reason = reason.mask(unknown, "instrument " + rest[INSTRUMENT] + ": the mapping does not name it")
    return reason


def _unmapped(source: Source, mapping: ColumnMap) -> tuple[tuple[str, str, str], ...]:
    known = {mapping.patient, INSTRUMENT, *(c for columns in mapping.columns.values() for c in columns.values())}
    known |= {
        entry[key]
        for part in mapping.wide.values()
        for entry in part
        for key in ("column", "date_column")
        if key in entry
    }
    rest = [column for column in source.table.columns if column not in known]
    return tuple((source.file, LEFT_OUT, f"column {column}: the mapping does not name it") for column in rest)


def _named(mapping: ColumnMap) -> dict[tuple[str, str], str]:
    named = {(name, "patient"): mapping.patient for name in SECTIONS}
    for name, columns in mapping.columns.items():
        named |= {(name, _native(key)): column for key, column in columns.items()}
    return _named_wide(mapping) | named


def _named_wide(mapping: ColumnMap) -> dict[tuple[str, str], str]:
    """Name the source columns of a column that is spread over several: which of them, a row does not tell."""
    spread: dict[tuple[str, str], list[str]] = {}
    for name, entries in mapping.wide.items():
        for entry in entries:
            key = entry["outcome"] if name == "visits" else _native(entry["holds"])
            spread.setdefault((name, key), []).append(entry["column"])
            if "date_column" in entry:
                spread.setdefault((name, "date"), []).append(entry["date_column"])
    return {place: " or ".join(dict.fromkeys(columns)) for place, columns in spread.items()}


def _native(key: str) -> str:
    return key.removesuffix("day") + "month" if is_time(key) == "day" else key

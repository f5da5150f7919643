"""Mapping files: which column of a spreadsheet or database export holds what, written in YAML and read strictly."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from math import isnan
from typing import TYPE_CHECKING, Any

from slopeshift.formats.notation import finite
from slopeshift.formats.source import doubled_problem
from slopeshift.trial.columns import ITEMS, Problem
from slopeshift.trial.settings import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from slopeshift.formats.source import Source

CLOCKS = ("date", "month", "day")
SECTIONS = {
    "patients": ("age", "sex", "onset", "onset_site", "end", "end_reason"),
    "visits": ("time", *BUILT_IN, *ITEMS),
    "injections": ("injection", "time", "agent", "dose", "route", "planned", "phase"),
    "events": ("time", "term", "serious", "grade", "related", "earliest", "latest"),
}
TIMES = {
    "patients": ("onset", "end"),
    "visits": ("",),
    "injections": ("", "planned"),
    "events": ("", "earliest", "latest"),
}
_PREFIXES = {prefix for prefixes in TIMES.values() for prefix in prefixes}
NEEDED = {"injections": ("time",), "events": ("time", "term", "serious")}
WIDE_TIMES = ("month", "day", "date_column")
_MISSING_CODE = re.compile(r"'(?:-\d+(?:\.\d+)?|(?:1900|9999)-\d\d-\d\d|\d*(?:99|88|77)\d*|[A-Za-z][A-Za-z ._/-]*)'")
_KEYS = ("patient", *SECTIONS, "wide", "codes", "missing", "outcomes")


@dataclass(frozen=True)
class ColumnMap:
    """A mapping file that was understood: the source column of every column of a trial, by table.

    Times are named by their clock (`date`, `month`, `day`), as `end_date`. `instrument` names, by table, the repeating
    instrument its rows are of; `wide` lists columns that hold one visit or injection each; `codes` translates cells,
    and `missing` lists cells that stand for a missing value, in any column.
    """

    patient: str
    columns: Mapping[str, Mapping[str, str]]
    instruments: Mapping[str, str] = field(default_factory=dict)
    wide: Mapping[str, tuple[Mapping[str, str], ...]] = field(default_factory=dict)
    codes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    outcomes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def clock(self) -> str:
        """Return `date` where the mapping names a date, else `month`: days are turned into months."""
        return "date" if any(clock == "date" for _, clock in self.times()) else "month"

    def times(self) -> Iterator[tuple[str, str]]:
        """Yield where the mapping names a time, and the clock of that time."""
        for name, columns in self.columns.items():
            for key in columns:
                if (clock := is_time(key)) and key.removesuffix(clock).rstrip("_") in TIMES[name]:
                    yield f"{name}.{key}", clock
        for name, entries in self.wide.items():
            for entry in entries:
                clocks = [entry["holds"]] if "holds" in entry else [key for key in WIDE_TIMES if key in entry]
                yield from ((f"wide.{name}", clock.removesuffix("_column")) for clock in clocks)


def hinted(problem: Problem) -> Problem:
    """Add to the remedy of a cell that looks like a code for a missing value how the mapping says so."""
    if problem.row is None or not _MISSING_CODE.fullmatch(problem.found):
        return problem
    hint = f"; where it stands for a missing value, write `missing: [{problem.found[1:-1]}]` in the mapping"
    return problem._replace(remedy=problem.remedy + hint)


def is_time(key: str) -> str | None:
    """Return the clock that a key such as `end_date` names, or None."""
    last = key.rpartition("_")[2]
    return last if last in CLOCKS and key.removesuffix(last).rstrip("_") in _PREFIXES else None


def read_yaml(path: Path) -> tuple[dict[str, Any], list[Problem]]:
    """Read a YAML file whose every value is a text; a key given twice is a problem."""
    import yaml

    class Loader(yaml.BaseLoader):  # type: ignore[misc]
        pass

    def once(loader: Any, node: Any) -> dict[str, Any]:
        keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
        for place, key in enumerate(keys):
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key that is not a text", node.value[place][0].start_mark
                )
            if key in keys[:place]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} twice", node.value[place][0].start_mark
                )
        return {
            key: loader.construct_object(value, deep=True) for key, (_, value) in zip(keys, node.value, strict=True)
        }

    Loader.add_constructor("tag:yaml.org,2002:map", once)
    remedy = "write `key: value`, one a line, indented by spaces"
    try:
        content = yaml.load(path.read_text(encoding="utf-8-sig"), Loader)  # BaseLoader makes texts only
    except OSError as error:
        return {}, [Problem(path.name, None, None, f"cannot be read: {error.strerror}", "give a file that can be read")]
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        said = getattr(error, "problem", None) or str(error)
        return {}, [Problem(path.name, mark.line + 1 if mark else None, None, f"not YAML: {said}", remedy)]
    if not isinstance(content, dict):
        return {}, [Problem(path.name, None, None, "no keys at its top", remedy)]
    return content, []


def understood(
    file: str, document: Mapping[str, Any], source: Source, *, repeating: bool
) -> tuple[ColumnMap | None, list[Problem]]:
    """Hold a mapping document to the columns of its source; return the mapping, or everything wrong with it."""
    problems = list(_shape_problems(file, document, repeating))
    if problems:
        return None, problems
    wide = {name: tuple(entries) for name, entries in document.get("wide", {}).items()}
    sections = {name: dict(document.get(name, {})) for name in SECTIONS}
    instruments = {name: section.pop("instrument") for name, section in sections.items() if "instrument" in section}
    mapping = ColumnMap(
        document["patient"],
        sections,
        instruments,
        wide,
        document.get("codes", {}),
        _outcomes(document.get("outcomes", {})),
        tuple(document.get("missing", ())),
    )
    problems = [*_key_problems(file, mapping), *_column_problems(file, mapping, source)]
    return (None if problems else mapping), problems


def _shape_problems(file: str, document: Mapping[str, Any], repeating: bool) -> Iterator[Problem]:
    for key in document:
        if key not in _KEYS:
            yield Problem(file, None, key, f"unknown key {key!r}", f"delete it; known are {', '.join(_KEYS)}")
    if not isinstance(document.get("patient"), str) or not document["patient"]:
        yield Problem(file, None, "patient", "no such key", "name the column with the patient: `patient: COLUMN`")
    for name in SECTIONS:
        section = document.get(name, {})
        if not isinstance(section, dict) or not all(isinstance(value, str) for value in section.values()):
            yield Problem(file, None, name, "not a list of `key: COLUMN`", "write `key: COLUMN`, one a line, indented")
        elif "instrument" in section and not repeating:
            remedy = "delete it: a spreadsheet has no repeating instruments"
            yield Problem(file, None, f"{name}.instrument", "an instrument", remedy)
    wide = document.get("wide", {})
    entries = [entry for part in wide.values() for entry in part] if _is_lists(wide) else None
    if entries is None or not set(wide) <= {"visits", "injections"}:
        remedy = "under `wide:` write `visits:` and `injections:`, each a list of `- {column: ..., ...}`"
        yield Problem(file, None, "wide", "not lists of columns", remedy)
    missing = document.get("missing", [])
    if not isinstance(missing, list) or not all(isinstance(code, str) for code in missing):
        yield Problem(file, None, "missing", "not a list of codes", "write them in brackets: `missing: [-99, UNK]`")
    for part in ("codes", "outcomes"):
        given = document.get(part, {})
        if not isinstance(given, dict) or not all(_is_texts(value) for value in given.values()):
            yield Problem(
                file, None, part, "not a section for each name", f"under `{part}:` write `NAME:`, then `key: value`"
            )


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(part, str) for part in value.values())


def _is_lists(wide: Any) -> bool:
    return isinstance(wide, dict) and all(
        isinstance(entries, list) and all(map(_is_texts, entries)) for entries in wide.values()
    )


def _outcomes(given: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Any]]:
    """Give texts of the mapping the types that trial.toml has; what cannot stays text, for the door to refuse."""
    return {name: {key: _typed(key, value) for key, value in outcome.items()} for name, outcome in given.items()}


def _typed(key: str, value: str) -> Any:
    if key == "integer":
        return {"true": True, "false": False}.get(value.casefold(), value)
    try:
        return float(value) if key in ("min", "max") else value
    except ValueError:
        return value


def _key_problems(file: str, mapping: ColumnMap) -> Iterator[Problem]:
    for name, columns in mapping.columns.items():
        own = mapping.outcomes if name == "visits" else ()
        for key in columns:
            clock = is_time(key)
            ours = clock and key.removesuffix(clock).rstrip("_") in TIMES[name]
            if key == "patient":
                remedy = "name that column once, as `patient: COLUMN` at the top"
                yield Problem(file, None, f"{name}.patient", "the patient again", remedy)
            elif not ours and (clock or (key not in SECTIONS[name] and key not in own and name != "patients")):
                known = ", ".join(SECTIONS[name]).replace("time", "date (or month, or day)")
                hint = "; declare an outcome of your own under `outcomes:`" if name == "visits" else ""
                yield Problem(file, None, f"{name}.{key}", f"unknown key {key!r}", f"known are {known}{hint}")
        given = {"time" if is_time(key) in (key,) else key for key in columns}
        needed = NEEDED.get(name, ()) if columns else ()
        needed = ("time",) if name == "visits" and columns else needed
        for key in set(needed) - given:
            what = "date, month or day" if key == "time" else key
            yield Problem(
                file, None, name, f"no {what}", f"name the column with it: `{key.replace('time', 'date')}: COLUMN`"
            )
    if beside := [key for key in ("injection", "agent", "instrument") if _is_phased(mapping) and _says(mapping, key)]:
        remedy = "name the phase, or injections: a phase is an injection where it changes"
        yield Problem(file, None, "injections.phase", f"a phase beside {', '.join(beside)}", remedy)
    clocks = {"date" if clock == "date" else "month": place for place, clock in mapping.times()}
    if len(clocks) > 1:
        found = f"dates ({clocks['date']}) beside months or days ({clocks['month']})"
        yield Problem(file, None, None, found, "a trial counts in dates or in months: choose one")
    named = {key for columns in mapping.columns.values() for key in columns}
    named |= {entry["outcome"] for entry in mapping.wide.get("visits", ()) if "outcome" in entry}
    for key in mapping.codes:
        if key not in named:
            yield Problem(
                file, None, f"codes.{key}", "codes of no column", f"choose one of: {', '.join(sorted(named))}"
            )
    if not (mapping.columns["visits"] or mapping.wide.get("visits")):
        yield Problem(file, None, "visits", "no column of a visit", "name the columns under `visits:` or `wide:`")
    yield from _wide_problems(file, mapping)


def _is_phased(mapping: ColumnMap) -> bool:
    return "phase" in mapping.columns["injections"]


def _says(mapping: ColumnMap, key: str) -> bool:
    return key in mapping.columns["injections"] or (key == "instrument" and "injections" in mapping.instruments)


def _wide_problems(file: str, mapping: ColumnMap) -> Iterator[Problem]:
    outcomes = {*BUILT_IN, *ITEMS, *mapping.outcomes}
    for name, entries in mapping.wide.items():
        for entry in entries:
            place = f"wide.{name}"
            whens = [key for key in entry if key in WIDE_TIMES]
            if name == "visits" and (
                entry.get("outcome") not in outcomes or len(whens) != 1 or "column" not in entry or len(entry) != 3
            ):
                remedy = "write {column: ..., outcome: alsfrsr or fvc, and one of month: or day: or date_column: ...}"
                yield Problem(file, None, place, str(dict(entry)), remedy)
            elif name == "visits" and whens != ["date_column"] and isnan(finite(entry[whens[0]])):
                yield Problem(file, None, place, f"{whens[0]}: {entry[whens[0]]}", "write a number")
            elif name == "injections" and (set(entry) != {"column", "holds"} or entry["holds"] not in CLOCKS):
                yield Problem(file, None, place, str(dict(entry)), "write {column: ..., holds: date, or month, or day}")


def _column_problems(file: str, mapping: ColumnMap, source: Source) -> Iterator[Problem]:
    header = list(source.table.columns)
    wanted = {"patient": mapping.patient}
    for name, columns in mapping.columns.items():
        wanted |= {f"{name}.{key}": column for key, column in columns.items()}
    for name, entries in mapping.wide.items():
        for entry in entries:
            wanted |= {f"wide.{name}: {entry[key]}": entry[key] for key in ("column", "date_column") if key in entry}
    for place, column in wanted.items():
        if column in source.doubled:
            yield doubled_problem(source, column)
        elif column not in header:
            yield Problem(
                file, None, place, f"no column {column!r} in the source", f"choose one of: {', '.join(header)}"
            )

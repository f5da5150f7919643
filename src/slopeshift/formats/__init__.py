"""The formats people have: tables of PRO-ACT, CDISC, REDCap or a spreadsheet become a trial's own tables, and back.

A format is a module with `collect` (its files as text), `native` (the tables found in them) and, where the names of
columns are the user's, `guessed` (a mapping to confirm). Everything else is common: identifiers are refused, every
source row gets a line in the ledger, and what passes the door is moved into place.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from slopeshift.formats import adam, guess, proact, redcap, sdtm, table
from slopeshift.formats.mapping import read_yaml
from slopeshift.formats.notation import Notation
from slopeshift.formats.privacy import pseudonymised, read_key, without_identifiers
from slopeshift.formats.reading import Choices, Reading, all_problems, find_column
from slopeshift.formats.write import Imported, refusal, refuse_destination, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import ModuleType

    from slopeshift.formats.source import Source
    from slopeshift.trial.columns import Problem

__all__ = ["FORMATS", "Imported", "Notation", "Request", "UnconfirmedError", "import_trial"]

FORMATS: Mapping[str, ModuleType] = {"proact": proact, "sdtm": sdtm, "adam": adam, "redcap": redcap, "table": table}


class UnconfirmedError(Exception):
    """The mapping was guessed and waits for the user's word: `text` is the mapping file to confirm."""

    def __init__(self, text: str) -> None:
        super().__init__("the mapping was guessed: confirm it")
        self.text = text


@dataclass(frozen=True)
class Request:
    """What to import and how: see `slopeshift import --help`."""

    format: str
    source: Path
    destination: Path
    notation: Notation = field(default_factory=Notation)
    document: Path | None = None
    accept: bool = False
    sheet: str | None = None
    title: str | None = None
    synthetic: bool = False
    drop_identifiers: bool = False
    key: Path | None = None
    replace: bool = False


class _Taken(NamedTuple):
    sources: list[Source]
    unread: Mapping[str, str]
    heads: list[tuple[str, str, str]]


def import_trial(request: Request) -> Imported:
    """Import a source as the folder of a trial; the same request gives the same bytes.

    Raises TrialError with everything that is wrong, having written nothing; UnconfirmedError where a mapping is needed
    and none was given or accepted; KeyError for an unknown format.
    """
    form = FORMATS[request.format]
    name = request.destination.resolve().name
    refuse_destination(request.destination, replace=request.replace)
    key, in_key = read_key(request.key, request.destination) if request.key else (b"", [])
    document, in_document = read_yaml(request.document) if request.document else ({}, [])
    taken, in_sources = _taken(form, request)
    if problems := all_problems([in_key, in_document, in_sources]):
        raise refusal(name, problems)
    if form.MAPPED and request.document is None:
        document = form.guessed(taken.sources)
        if not request.accept:
            raise UnconfirmedError(guess.as_yaml(document, taken.sources[0]))
    file = request.document.name if request.document else "the guessed mapping"
    reading = form.native(taken.sources, Choices(request.notation, document, file))
    reading = _with_patients(reading, taken.sources)
    if not reading.tables:
        raise refusal(name, reading.problems)
    if key:
        reading = pseudonymised(reading, key)
    return _written(request, reading, taken)


def _with_patients(reading: Reading, sources: Sequence[Source]) -> Reading:
    """Name the patient of every row, and of every problem that has one."""
    of_rows = {
        (source.file, int(row)): patient
        for source in sources
        if (column := find_column(source.table, reading.subject))
        for row, patient in source.table[column].items()
    }
    problems = tuple(
        problem._replace(patient=problem.patient or of_rows.get((problem.file, problem.row or 0)) or None)
        for problem in reading.problems
    )
    return replace(reading, who=of_rows, problems=problems)


def _taken(form: ModuleType, request: Request) -> tuple[_Taken, list[Problem]]:
    collected = form.collect(request.source, request.sheet)
    sources, heads, identified = without_identifiers(collected.sources, drop=request.drop_identifiers)
    return _Taken(sources, collected.unread, heads), [*collected.problems, *identified]


def _written(request: Request, reading: Reading, taken: _Taken) -> Imported:
    files = ", ".join(source.file for source in taken.sources)
    settings: dict[str, Any] = {
        "title": request.title or request.destination.resolve().name,
        "synthetic": request.synthetic,
        "source": f"{FORMATS[request.format].TITLE} ({files}), imported by slopeshift"
        + (", patients' names replaced by pseudonyms" if request.key else ""),
    }
    full = replace(reading, heads=(*taken.heads, *reading.heads))
    return write(full, taken.sources, taken.unread, settings, request.destination)

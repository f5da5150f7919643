"""One spreadsheet, long (a row a visit) or wide (a row a patient): CSV, TSV or XLSX."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from slopeshift.formats.folder import Collected
from slopeshift.formats.guess import guess
from slopeshift.formats.mapping import understood
from slopeshift.formats.reading import Choices, Reading
from slopeshift.formats.rows import noted, read_rows
from slopeshift.formats.source import Source, read_source
from slopeshift.trial.columns import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TITLE = "a spreadsheet"
MAPPED = True


def collect(path: Path, sheet: str | None) -> Collected:
    """Read the one file of the source."""
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        return Collected((), problems=(Problem(str(path), None, None, found, "give one file: .csv, .tsv or .xlsx"),))
    source, problems = read_source(path, sheet)
    return Collected((source,) if source else (), problems=tuple(problems))


def guessed(sources: Sequence[Source]) -> dict[str, Any]:
    """Guess the mapping document of the source."""
    return guess(sources[0])


def native(sources: Sequence[Source], choices: Choices) -> Reading:
    """Return the tables that the mapping finds in the source."""
    (source,) = sources
    mapping, problems = understood(choices.document_file, choices.document, source, repeating=False)
    if mapping is None:
        return Reading({}, problems=tuple(problems))
    return replace(read_rows(source, mapping, noted(source, choices)), subject=mapping.patient, mapped=True)

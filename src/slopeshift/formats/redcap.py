"""A flat export of REDCap: rows of one record by event, repeating instrument and instance, in one file.

A cell outside its row's instrument is empty. Rows without a repeating instrument are of the record and its events.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from slopeshift.formats import table
from slopeshift.formats.guess import guess
from slopeshift.formats.mapping import understood
from slopeshift.formats.reading import Choices, Reading, filled, find_column
from slopeshift.formats.rows import INSTRUMENT, noted, read_rows
from slopeshift.trial.columns import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slopeshift.formats.folder import Collected
    from slopeshift.formats.source import Source

TITLE = "a REDCap export"
MAPPED = True
# In an export of raw values, and in one of labels.
_OWN = {
    "redcap_event_name": "Event Name",
    INSTRUMENT: "Repeat Instrument",
    "redcap_repeat_instance": "Repeat Instance",
    "redcap_data_access_group": "Data Access Group",
}


def collect(path: Path, sheet: str | None) -> Collected:
    """Read the export, and call REDCap's own columns what they are called in an export of raw values."""
    collected = table.collect(path, sheet)
    return replace(collected, sources=tuple(map(_renamed, collected.sources)))


def _renamed(source: Source) -> Source:
    found = {find_column(source.table, *names): names[0] for names in _OWN.items()}
    return replace(
        source, table=source.table.rename(columns={column: name for column, name in found.items() if column})
    )


def guessed(sources: Sequence[Source]) -> dict[str, Any]:
    """Guess the mapping document: the record is the first column, as REDCap writes it."""
    source = sources[0]
    used = source.table.get(INSTRUMENT)
    instruments = [] if used is None else sorted({*used[filled(used)]})
    return guess(source, instruments, patient=source.table.columns[0])


def native(sources: Sequence[Source], choices: Choices) -> Reading:
    """Return the tables that the mapping finds in the export."""
    (source,) = sources
    mapping, problems = understood(choices.document_file, choices.document, source, repeating=True)
    if mapping is None:
        return Reading({}, problems=tuple(problems))
    problems = [
        *_missing_instruments(source, mapping.instruments.items(), choices),
        *_double_entry(source, mapping.patient),
    ]
    if INSTRUMENT not in source.table and mapping.instruments:
        return Reading({}, problems=tuple(problems))
    reading = read_rows(source, mapping, noted(source, choices))
    return replace(reading, problems=(*problems, *reading.problems), subject=mapping.patient, mapped=True)


def _missing_instruments(source: Source, named: Any, choices: Choices) -> list[Problem]:
    if INSTRUMENT not in source.table:
        remedy = "export with repeating instruments, or take `instrument` out of the mapping"
        return [Problem(source.file, 1, INSTRUMENT, "no such column", remedy) for _ in list(named)[:1]]
    there = sorted({*source.table[INSTRUMENT][filled(source.table[INSTRUMENT])]})
    file, remedy = choices.document_file, f"choose one of: {', '.join(there)}"
    return [
        Problem(file, None, f"{name}.instrument", f"no row of {instrument!r}", remedy)
        for name, instrument in named
        if instrument not in there
    ]


def _double_entry(source: Source, patient: str) -> list[Problem]:
    """Refuse both entries of a record that was entered twice, which REDCap names RECORD--1 and RECORD--2."""
    records = source.table[patient]
    known = {*records}
    twice = records[records.str.endswith("--2") & records.str.replace(r"--2$", "--1", regex=True).isin(known)]
    remedy = "merge the two entries in REDCap, and export the merged record"
    return [
        Problem(source.file, int(row), patient, f"{record!r} beside {record[:-1]}1", remedy)
        for row, record in twice.drop_duplicates().items()
    ]

"""Source files as text: what a table of somebody else's says, before anything is made of it.

Text files may be in UTF-8, UTF-16 or Windows-1252, with commas, semicolons or tabs; spreadsheets, SAS files and
Dataset-JSON are read to the same: cells of text under named columns, and the row each stands in. Nothing that a cell
says is followed or run.
"""

from __future__ import annotations

import csv
import io
import math
import re
import warnings
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.formats.notation import EXCEL_ZERO, MAC_ZERO, SAS_ZERO
from slopeshift.trial.columns import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TEXT_ENDINGS = (".csv", ".tsv", ".txt")
SHEET_ENDINGS = (".xlsx", ".xlsm")
ENDINGS = (*TEXT_ENDINGS, *SHEET_ENDINGS, ".xpt", ".sas7bdat", ".json")

_PER_CENT = re.compile(r"^(?:[^\"\\%]|\"[^\"]*\"|\\.)*%")  # a % that is neither quoted nor escaped
_SAS_DATE = re.compile(
    r"(DATE|DDMMYY|MMDDYY|YYMMDD|[BE]8601D[AN]|IS8601D[AN]|WEEKDAT|WORDDAT|JULIAN|NLDATE)[A-Z]*\d*\.?\d*"
)
_SAS_DATETIME = re.compile(r"(DATETIME|DATEAMPM|[BE]8601DT|IS8601DT|NLDATM|DTDATE|MDYAMPM)[A-Z]*\d*\.?\d*")
_LARGEST_BYTES = 4 * 1024**3  # of a spreadsheet, unpacked
_REMEDIES = {
    ".xls": "save it as .xlsx or .csv",
    ".ods": "save it as .xlsx or .csv",
    ".rds": "write it as .csv",
    ".rdata": "write it as .csv",
}


@dataclass(frozen=True)
class Source:
    """One table as text, white space around cells removed; index: row in the file, the header being row 1.

    `empty` lists the rows without a filled cell, which the table leaves out; `notes` say how the file was read.
    `doubled` counts columns of one name, which it leaves out too. `dataset` is what a folder's file is in its format,
    and `zero` the day 0 of day numbers, where the file states one.
    """

    file: str
    table: pd.DataFrame
    empty: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    doubled: Mapping[str, int] = field(default_factory=dict)
    dataset: str = ""
    zero: date | None = None

    @property
    def rows(self) -> int:
        """Rows of the file below its header."""
        return len(self.table) + len(self.empty)


Outcome = tuple[Source | None, list[Problem]]


def read_source(path: Path, sheet: str | None = None) -> Outcome:
    """Read one file of a known ending; return its table, or the problems that keep it from being read."""
    file, ending = path.name, path.suffix.casefold()
    if ending not in ENDINGS:
        remedy = _REMEDIES.get(ending, f"give a file that ends in {', '.join(ENDINGS)}")
        return None, [Problem(file, None, None, f"a file of an unknown kind ({ending or 'no ending'})", remedy)]
    try:
        data = path.read_bytes()
    except OSError as error:
        return None, [Problem(file, None, None, f"cannot be read: {error.strerror}", "give a file that can be read")]
    if not data:
        return None, [Problem(file, None, None, "an empty file", "export it again")]
    if ending in TEXT_ENDINGS:
        return _text(file, data)
    try:
        if ending in SHEET_ENDINGS:
            return _spreadsheet(file, data, sheet)
        return _dataset_json(file, data) if ending == ".json" else _sas(path)
    except Exception as error:  # whatever a damaged file makes a reader raise, it is the file that is to be named
        found = f"not a readable {ending[1:]} file: {_one_line(error)}"
        return None, [Problem(file, None, None, found, "export it again, or save it as .csv")]


def _one_line(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error) or type(error).__name__)[:200]


def doubled_problem(source: Source, column: str) -> Problem:
    """Say that a column which is needed is there more than once."""
    found = f"{source.doubled[column]} columns of this name"
    return Problem(source.file, 1, column, found, "keep one of them, or rename the others")


def first_record(path: Path) -> tuple[str, dict[str, str]]:
    """Return what a file calls its table, if it does, and its first row by column; nothing where it cannot be read."""
    ending = path.suffix.casefold()
    try:
        if ending in TEXT_ENDINGS:
            text, _ = _decoded(path.read_bytes())
            mark = _mark(text or "")
            rows = csv.reader(io.StringIO(text or "", newline=""), delimiter=mark)
            return "", dict(zip(*[[cell.strip() for cell in next(rows, [])] for _ in range(2)], strict=False))
        if ending in (".xpt", ".sas7bdat"):
            return _first_of_sas(path)
        source, _ = read_source(path)
        first = {} if source is None or source.table.empty else source.table.iloc[0].to_dict()
        return (source.dataset if source else ""), {str(name): str(cell) for name, cell in first.items()}
    except Exception:  # a file that nothing may be made of must not stop the others
        return "", {}


def _first_of_sas(path: Path) -> tuple[str, dict[str, str]]:
    import pyreadstat

    read = pyreadstat.read_xport if path.suffix.casefold() == ".xpt" else pyreadstat.read_sas7bdat
    frame, about = read(str(path), row_limit=1, encoding="WINDOWS-1252")
    cells = {str(name): cell_text(frame[name].iloc[0]) if len(frame) else "" for name in frame.columns}
    return str(about.table_name or "").upper(), cells


# Text ------------------------------------------------------------------------------------------------------


def _text(file: str, data: bytes) -> Outcome:
    text, encoding = _decoded(data)
    if text is None:
        remedy = "save it in UTF-8 (in a spreadsheet: CSV UTF-8, comma delimited)"
        return None, [Problem(file, None, None, "not text in UTF-8, UTF-16 or Windows-1252", remedy)]
    mark = _mark(text)
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True):
            rows.append([cell.strip() for cell in row])
    except csv.Error as error:
        remedy = 'close every quotation mark, and double those inside a cell: "say ""aah"""'
        return None, [Problem(file, len(rows) + 1, None, f"not CSV: {error}", remedy)]
    notes = () if encoding.startswith("UTF-8") else (f"read as {encoding}",)
    return _table(file, rows, notes)


def _decoded(data: bytes) -> tuple[str | None, str]:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        tries = [("utf-16", "UTF-16")]
    elif b"\0" in data:
        tries = [("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", "UTF-16")]
    else:
        tries = [("utf-8-sig", "UTF-8"), ("cp1252", "Windows-1252")]
    for codec, name in tries:
        try:
            text = data.decode(codec)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, name
    return None, ""


def _mark(text: str) -> str:
    """Return what separates the cells of a text: what the first row has most of."""
    return max(",;\t", key=lambda mark: len(_first_record(text, mark)))


def _first_record(text: str, mark: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=mark), [])
    except csv.Error:
        return []


# Spreadsheets ----------------------------------------------------------------------------------------------


def _spreadsheet(file: str, data: bytes, sheet: str | None) -> Outcome:
    import zipfile

    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        if sum(part.file_size for part in packed.infolist()) > _LARGEST_BYTES:
            return None, [Problem(file, None, None, "larger than 4 GiB unpacked", "save it as .csv")]
    sheets, zero = _sheets(data, formulas=False)
    filled = [name for name, rows in sheets.items() if any(any(row) for row in rows)]
    if sheet is not None and sheet not in sheets:
        return None, [Problem(file, None, None, f"no sheet {sheet!r}", f"choose one of: {', '.join(sheets)}")]
    if sheet is None and len(filled) != 1:
        found = f"{len(filled)} sheets with rows: {', '.join(filled)}" if filled else "no sheet with rows"
        return None, [Problem(file, None, None, found, "choose one with --sheet")]
    chosen = sheet or filled[0]
    rows = sheets[chosen]
    problems = []
    for number, written in enumerate(_sheets(data, formulas=True)[0][chosen], start=1):
        for place, cell in enumerate(written):
            if cell.startswith("=") and not (
                number <= len(rows) and place < len(rows[number - 1]) and rows[number - 1][place]
            ):
                remedy = "open the file in a spreadsheet and save it, so that results are stored; or write the value"
                problems.append(Problem(file, number, _named(rows, place), "a formula without a stored result", remedy))
    table, found_in_rows = _table(file, rows, (f"sheet {chosen}",) if len(sheets) > 1 else ())
    if problems or table is None:
        return None, [*problems, *found_in_rows]
    return replace(table, zero=zero), found_in_rows


def _named(rows: list[list[str]], place: int) -> str | None:
    return rows[0][place] if rows and place < len(rows[0]) else None


def _sheets(data: bytes, *, formulas: bool) -> tuple[dict[str, list[list[str]]], date]:
    """Return the rows of every sheet as text, and the day 0 that the workbook counts its days from."""
    import openpyxl
    from openpyxl.utils.datetime import CALENDAR_MAC_1904

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # styles and extensions that openpyxl does not know change no value
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=not formulas, keep_links=False)
        sheets = {}
        for sheet in book.worksheets:
            sheet.reset_dimensions()
            rows = [[_shown(cell) for cell in row] for row in sheet.iter_rows()]
            width = max((place + 1 for row in rows for place, cell in enumerate(row) if cell), default=0)
            sheets[sheet.title] = [(row + [""] * width)[:width] for row in rows]
        zero = MAC_ZERO if book.epoch == CALENDAR_MAC_1904 else EXCEL_ZERO
        book.close()
    return sheets, zero


def _shown(cell: Any) -> str:
    """Write a cell as text, in per cent where its format says so: a fraction is stored there, and 86 % shown."""
    value = cell.value
    if isinstance(value, int | float) and not isinstance(value, bool) and _PER_CENT.search(cell.number_format or ""):
        return f"{100 * value:.10g}"
    return cell_text(value)


def cell_text(value: Any) -> str:
    """Write a typed cell as text: whole numbers without a point, days as ISO dates, nothing for a missing value."""
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NaT:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(timespec="seconds")
    return value.isoformat() if isinstance(value, date) else str(value).strip()


# SAS and Dataset-JSON --------------------------------------------------------------------------------------


def _sas(path: Path) -> Outcome:
    import pyreadstat

    read = pyreadstat.read_xport if path.suffix.casefold() == ".xpt" else pyreadstat.read_sas7bdat
    try:
        frame, _ = read(str(path))
        notes: tuple[str, ...] = ()
    except (UnicodeDecodeError, pyreadstat.ReadstatError):
        frame, _ = read(str(path), encoding="WINDOWS-1252")
        notes = ("read as Windows-1252",)
    cells = [[cell_text(value) for value in frame.iloc[:, place].tolist()] for place in range(frame.shape[1])]
    return _table(path.name, [list(frame.columns), *map(list, zip(*cells, strict=True))], notes)


def _dataset_json(file: str, data: bytes) -> Outcome:
    """Read CDISC Dataset-JSON 1.0 (`itemGroupData`) or 1.1 (`columns`, `rows`)."""
    import json

    content = json.loads(data.decode("utf-8-sig"))
    if not isinstance(content, dict):
        raise ValueError("no object at its top")
    groups = (content.get("clinicalData") or content.get("referenceData") or {}).get("itemGroupData")
    if groups:
        if len(groups) != 1:
            return None, [Problem(file, None, None, f"{len(groups)} datasets in one file", "give one file a dataset")]
        (group,) = groups.values()
        columns, records = group["items"], group["itemData"]
    elif "columns" in content and "rows" in content:
        group, columns, records = content, content["columns"], content["rows"]
    else:
        raise ValueError("neither `columns` and `rows` (1.1) nor `itemGroupData` (1.0) in it")
    formats = [str(item.get("displayFormat") or "").upper() for item in columns]
    rows = [[_formatted(cell, shown) for cell, shown in zip(row, formats, strict=True)] for row in records]
    table, problems = _table(file, [[str(item["name"]) for item in columns], *rows], ())
    return (table and replace(table, dataset=str(group.get("name") or "").upper())), problems


def _formatted(value: Any, shown: str) -> str:
    """Write a cell as text: a number that its display format calls a date counts days, or seconds, from 1960."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        if _SAS_DATETIME.fullmatch(shown):
            return (datetime.combine(SAS_ZERO, time()) + timedelta(seconds=value)).isoformat(timespec="seconds")
        if _SAS_DATE.fullmatch(shown):
            return (SAS_ZERO + timedelta(days=int(value))).isoformat()
    return cell_text(value)


# Rows ------------------------------------------------------------------------------------------------------


def _table(file: str, rows: list[list[str]], notes: Sequence[str]) -> Outcome:
    header = rows[0] if rows else []
    if not any(header):
        found = "nothing in the first row"
        return None, [Problem(file, 1, None, found, "put the names of the columns in the first row")]
    filled = {number: row for number, row in enumerate(rows[1:], start=2) if any(row)}
    problems = [*_bad_header(file, header, filled)]
    for number, row in filled.items():
        if len(row) != len(header):
            remedy = "give every row as many cells as the header; quote a cell that holds the separator"
            problems.append(Problem(file, number, None, f"{len(row)} cells under {len(header)} columns", remedy))
    if problems:
        return None, problems
    index = pd.Index(list(filled), dtype="int64", name="row")
    table = pd.DataFrame(list(filled.values()), columns=header, index=index, dtype="str")
    empty = tuple(number for number in range(2, len(rows) + 1) if number not in filled)
    doubled = {name: header.count(name) for name in header if name and header.count(name) > 1}
    said = [f"column {name}: {count} of this name, none of them read" for name, count in doubled.items()]
    once = table.loc[:, [bool(name) and name not in doubled for name in header]]
    return Source(file, once, empty, (*notes, *said), doubled), []


def _bad_header(file: str, header: list[str], filled: dict[int, list[str]]) -> list[Problem]:
    problems = []
    nameless = [place for place, name in enumerate(header) if not name]
    if any(row[place] for row in filled.values() for place in nameless if place < len(row)):
        found = "a column without a name"
        problems.append(Problem(file, 1, None, found, "give the column a name in the first row, or delete it"))
    return problems

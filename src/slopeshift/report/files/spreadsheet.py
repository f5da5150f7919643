"""Tables as files that a spreadsheet opens: CSV, and one workbook of all of them, in which no text is ever run.

The text of a cell that a spreadsheet would take for a formula gets an apostrophe in front, the same in both kinds of
file, so that their cells agree and a workbook saved as CSV is as harmless. In the workbook such a cell is, besides, of
the type text. The same input gives the same bytes: a workbook carries no time of its making.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Mapping, Sequence

import pandas as pd
from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from slopeshift.trial import Trial

MOST_ROWS = 1_048_575
"""Rows that a sheet can hold below its head."""

SYNTHETIC = "SYNTHETIC DATA: no patient is real. Numbers in this file say nothing about any treatment."

NARROWEST, WIDEST, MEASURED = 8, 44, 500
"""Least and greatest width of a column in characters, and the rows of which the width is taken."""

_FORMULA = re.compile(r"[=+\-@\t\r]")

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

_TIME = re.compile(rb"<dcterms:(created|modified)[^>]*>[^<]*</dcterms:\1>")

_TOO_LONG = f" Longer than a sheet can be ({MOST_ROWS} rows): only in the CSV file."

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip archive can say


def csv(frame: pd.DataFrame) -> str:
    """Write a table as CSV, six significant digits; text that a spreadsheet would run gets an apostrophe in front."""
    safe = frame.assign(**{name: frame[name].map(inert) for name in frame.select_dtypes(["object", "string"])})
    return str(safe.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def inert(cell: object) -> object:
    """Put an apostrophe in front of a text that a spreadsheet would take for a formula; a number is left alone."""
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return "'" + cell
    return cell


def workbook(trial: Trial, tables: Mapping[str, pd.DataFrame], about: Mapping[str, str]) -> bytes:
    """Write tables as one XLSX file, a sheet each, with all digits; `about` says what each table is.

    The first sheet lists the others. A table that is too long for a sheet is only listed.
    """
    from openpyxl import Workbook

    book = Workbook()
    book.properties.creator, book.properties.title = "slopeshift", _text(trial.title)
    _contents(book, trial, tables, about)
    for name, table in tables.items():
        if len(table) <= MOST_ROWS:
            _sheet(book, name, table, trial)
    written = io.BytesIO()
    book.save(written)
    return _timeless(written.getvalue())


def _contents(book: Workbook, trial: Trial, tables: Mapping[str, pd.DataFrame], about: Mapping[str, str]) -> None:
    from openpyxl.styles import Font, PatternFill
    from openpyxl.worksheet.hyperlink import Hyperlink

    sheet = book.active
    sheet.title = "Contents"
    mark = [SYNTHETIC] if trial.synthetic else []
    for text in (trial.title, *mark, f"Trial {trial.name}. {trial.source}"):
        sheet.append([None])
        _put(sheet, sheet.max_row, 1, text)
    sheet["A1"].font = Font(bold=True, size=14)
    if trial.synthetic:
        sheet["A2"].font, sheet["A2"].fill = Font(bold=True), PatternFill("solid", fgColor="F0E442")
    head = sheet.max_row + 2
    for column, text in enumerate(("Sheet", "Rows", "What it is"), 1):
        _put(sheet, head, column, text)
        sheet.cell(head, column).font = Font(bold=True)
    for row, (name, table) in enumerate(tables.items(), head + 1):
        _put(sheet, row, 1, name)
        _put(sheet, row, 2, len(table))
        _put(sheet, row, 3, about.get(name, "") + (_TOO_LONG if len(table) > MOST_ROWS else ""))
        if len(table) <= MOST_ROWS:
            sheet.cell(row, 1).hyperlink = Hyperlink(ref=f"A{row}", location=f"'{_title(name)}'!A1")
            sheet.cell(row, 1).style = "Hyperlink"
    sheet.column_dimensions["A"].width, sheet.column_dimensions["C"].width = 24, 110


def _sheet(book: Workbook, name: str, table: pd.DataFrame, trial: Trial) -> None:
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    sheet = book.create_sheet(_title(name))
    for column, head in enumerate(table.columns, 1):
        _put(sheet, 1, column, str(head))
        sheet.cell(1, column).font = Font(bold=True)
        sheet.cell(1, column).alignment = Alignment(wrap_text=True, vertical="top")
        _column(sheet, column, table[head])
        sheet.column_dimensions[get_column_letter(column)].width = _width(str(head), table[head])
    sheet.freeze_panes = "A2"
    sheet.auto_filter.ref = sheet.dimensions
    sheet.print_title_rows, sheet.page_setup.orientation = "1:1", "landscape"
    sheet.sheet_properties.pageSetUpPr.fitToPage, sheet.page_setup.fitToHeight = True, 0
    mark = "SYNTHETIC DATA, " if trial.synthetic else ""
    sheet.oddHeader.center.text = f"{mark}{trial.name}: {name}".replace("&", "&&")


def _column(sheet: Worksheet, column: int, values: pd.Series[object]) -> None:
    shown = _number_format(values)
    for row, value in enumerate(values.tolist(), 2):
        _put(sheet, row, column, value, shown)


def _put(sheet: Worksheet, row: int, column: int, value: object, shown: str = "General") -> None:
    """Fill a cell, text as text; a value that is missing leaves it empty."""
    if value is None or value is pd.NA or value == "" or (isinstance(value, float) and math.isnan(value)):
        return
    cell = sheet.cell(row, column)
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        cell.value, cell.number_format = value, shown
        return
    cell.value = _text(str(value))
    cell.data_type = "s"  # else the library makes a formula of "=1" and an error of "#N/A"


def _text(text: str) -> str:
    return str(inert(_NOT_IN_XML.sub("\ufffd", text)))


def _number_format(values: pd.Series[object]) -> str:
    """Show about four significant digits of the largest number of a column; all of them are in the cells."""
    if not pd.api.types.is_float_dtype(values):
        return "General"
    size = values.abs()
    largest = size[size < math.inf].max()
    if not largest > 0:
        return "0"
    return "0." + "0" * decimals if (decimals := min(max(3 - math.floor(math.log10(largest)), 0), 8)) else "0"


def _width(head: str, values: pd.Series[object]) -> int:
    """Fit a column to its texts and to words of its head, which may wrap."""
    texts: Sequence[str] = [] if pd.api.types.is_numeric_dtype(values) else [str(v) for v in values.head(MEASURED)]
    longest = max([len(text) for text in texts], default=0)
    return min(max(NARROWEST, longest + 2, min(len(head) + 4, 18)), WIDEST)


def _title(name: str) -> str:
    """Name a sheet: spreadsheets allow 31 characters, and not all of them."""
    return re.sub(r"[\[\]:*?/\\']", "-", name)[:31]


def _timeless(data: bytes) -> bytes:
    """Take out of a workbook when it was made, so that the same input gives the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            content = old.read(part)
            if part == "docProps/core.xml":
                content = _TIME.sub(b"", content)
            new.writestr(zipfile.ZipInfo(part, _FIRST_DAY), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()

"""The files beside the page: the workbook and the figures."""

import io
import re
import struct
import zipfile
from dataclasses import replace
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_reports import SKIPPED, made_fit, made_report, made_trial, written

from slopeshift.report import files
from slopeshift.report import page as pages
from slopeshift.report.files import spreadsheet

NAMES = (
    "<script>alert(1)</script>",
    '=HYPERLINK("http://x","y")',
    "../../x",
    "x" * 80,
    "مرحبا",
    "😀 & co",
    "@SUM(A1)",
    "#N/A",
    "-5",
)
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def trial():
    return made_trial(NAMES, k=1)


@pytest.fixture(scope="module")
def fits(trial):
    return [made_fit(trial), made_fit(trial, "broken", broken=True), SKIPPED]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def page(folder, trial, fits):
    return written(folder, trial, fits, figures=True)


@pytest.fixture(scope="module")
def book(page, folder):
    return openpyxl.load_workbook(folder / files.WORKBOOK)


def everything(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def one_table(frame, title="t", synthetic=False):
    trial = made_trial(synthetic=synthetic)
    return openpyxl.load_workbook(io.BytesIO(spreadsheet.workbook(trial, {title: frame}, {title: "what it is"})))


# ---- the workbook ----


def test_every_table_is_a_sheet_with_the_cells_of_its_csv_file(book, folder):
    tables = sorted((folder / "tables").glob("*.csv"))
    assert {path.stem for path in tables} == set(book.sheetnames[1:])
    for path in tables:
        expected = pd.read_csv(path, dtype=str, keep_default_na=False)
        sheet = book[path.stem]
        rows = list(sheet.iter_rows(values_only=True))
        assert list(rows[0]) == list(expected.columns)
        assert len(rows) - 1 == len(expected)
        for cells, texts in zip(rows[1:], expected.itertuples(index=False), strict=True):
            for cell, text in zip(cells, texts, strict=True):
                if isinstance(cell, float):
                    assert cell == pytest.approx(float(text), rel=1e-5)
                else:
                    assert ("" if cell is None else str(cell)) == text


def test_no_cell_of_any_sheet_is_a_formula_or_an_error(book):
    kinds = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}
    assert kinds <= {"s", "n", "b"}
    assert "s" in kinds


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_text_in_the_workbook_whatever_it_says(book, name):
    column = next(zip(*book["patients"].iter_rows(min_col=3, max_col=3), strict=True))
    cells = [cell for cell in column[1:] if cell.value == spreadsheet.inert(name)]
    assert cells
    assert all(cell.data_type == "s" for cell in cells)
    assert not any(cell.value.startswith(("=", "@")) for cell in cells)


@pytest.mark.parametrize("text", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\tx", "#REF!", "#N/A", "=", "a\x00b\ufffe"])
def test_a_text_is_stored_as_text_and_with_the_apostrophe_of_the_csv_file(text):
    frame = pd.DataFrame({text: [text]})
    cell = one_table(frame)["t"]["A2"]
    assert cell.data_type == "s"
    visible = re.sub("[\x00\ufffe]", "\ufffd", text)
    assert cell.value == spreadsheet.inert(visible)
    assert spreadsheet.csv(pd.DataFrame({"x": [visible]})).splitlines()[1].strip('"') == cell.value
    assert one_table(frame)["t"]["A1"].data_type == "s"


@settings(max_examples=10, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=1))
def test_no_text_whatever_becomes_a_formula(texts):
    sheet = one_table(pd.DataFrame({"x": pd.Series(["text", *texts], dtype=object)}))["t"]
    cells = [cell for (cell,) in sheet.iter_rows(min_row=3)]
    for cell, text in zip(cells, texts, strict=False):
        assert cell.data_type == ("s" if text else "n")
        assert not text or not re.match(r"[=@\t\r]|[+-]\D", cell.value)


@pytest.mark.parametrize(
    ("value", "read", "kind"),
    [
        (1 / 3, pytest.approx(1 / 3, rel=1e-15), "n"),
        (np.float64(-1.5), -1.5, "n"),
        (np.nan, None, "n"),
        (None, None, "n"),
        (np.inf, "inf", "s"),
        (-np.inf, "'-inf", "s"),
        (7, 7, "n"),
        (True, True, "b"),
    ],
)
def test_a_number_keeps_all_its_digits_and_a_missing_one_leaves_the_cell_empty(value, read, kind):
    cell = one_table(pd.DataFrame({"x": [value]}))["t"]["A2"]
    assert (cell.value, cell.data_type) == (read, kind)


@pytest.mark.parametrize(
    ("values", "shown"),
    [([0.1234, 0.002], "0.0000"), ([12.3, 1.0], "0.00"), ([12345.6], "0"), ([0.0, 0.0], "0"), ([1, 2], "General")],
)
def test_numbers_are_shown_with_the_digits_that_the_largest_can_carry(values, shown):
    assert one_table(pd.DataFrame({"x": values}))["t"]["A2"].number_format == shown


def test_a_sheet_stands_still_under_its_head_and_prints_on_pages_that_say_what_they_are(book):
    for sheet in book.worksheets[1:]:
        assert sheet.freeze_panes == "A2"
        assert "SYNTHETIC DATA" in sheet.oddHeader.center.text
        widths = [sheet.column_dimensions[cell.column_letter].width for cell in sheet[1]]
        assert all(spreadsheet.NARROWEST <= width <= spreadsheet.WIDEST for width in widths)


def test_the_first_sheet_says_what_is_in_the_others(book, folder):
    sheet = book["Contents"]
    texts = [cell.value for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert texts[:2] == ["A made-up trial", spreadsheet.SYNTHETIC]
    listed = {row[0].value: row for row in sheet.iter_rows() if row[0].value in book.sheetnames}
    assert set(listed) == set(book.sheetnames[1:])
    for name, row in listed.items():
        assert row[0].hyperlink.location == f"'{name}'!A1"
        assert row[1].value == book[name].max_row - 1
        assert row[2].value == files.ABOUT[name], "every table is described in files.ABOUT"


def test_real_data_carry_no_mark():
    book = one_table(pd.DataFrame({"x": [1]}))
    assert "SYNTHETIC" not in str([cell.value for row in book["Contents"].iter_rows() for cell in row])
    assert "SYNTHETIC" not in book["t"].oddHeader.center.text


def test_a_table_longer_than_a_sheet_is_listed_and_left_to_the_csv_file(monkeypatch):
    monkeypatch.setattr(spreadsheet, "MOST_ROWS", 2)
    book = one_table(pd.DataFrame({"x": [1, 2, 3]}))
    assert book.sheetnames == ["Contents"]
    rows = [[cell.value for cell in row] for row in book["Contents"].iter_rows()]
    assert any(row[:2] == ["t", 3] and "only in the CSV file" in row[2] for row in rows)


def test_the_workbook_says_nothing_of_when_it_was_made(folder, page):
    with zipfile.ZipFile(folder / files.WORKBOOK) as archive:
        assert {part.date_time for part in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert b"dcterms:" not in re.sub(rb'xmlns:dcterms="[^"]*"', b"", archive.read("docProps/core.xml"))


# ---- the figures ----


def test_every_figure_of_the_page_is_a_file_of_both_kinds(page, folder):
    listed = pd.read_csv(folder / "tables" / "figures.csv")
    assert len(listed) == page.html.count("<figure><svg") > 20
    expected = {f"{name}.{kind}" for name in listed["file"] for kind in ("svg", "png")}
    assert {path.name for path in (folder / "figures").iterdir()} == expected


def test_an_svg_file_is_the_figure_of_the_page(page, folder):
    """The very same element, so that no number in it can differ."""
    for path in (folder / "figures").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        root = ElementTree.fromstring(text)
        assert root.tag == f"{SVG}svg"
        assert root.find(f"{SVG}title").text
        assert text.partition("SYNTHETIC DATA</text>")[2].strip() in page.html.replace("\u00a0", " ")
        assert not root.findall(f".//{SVG}script")


def test_a_png_file_is_sharp_in_print(page, folder):
    for path in (folder / "figures").glob("*.png"):
        data = path.read_bytes()
        width, _ = struct.unpack(">II", data[16:24])
        assert width >= 480, path
        assert round(int.from_bytes(data[data.index(b"pHYs") + 4 :][:4]) * 0.0254) == files.PRINT_DPI


def test_files_are_named_after_what_is_shown_and_never_after_a_patient(page, folder):
    every = [path.relative_to(folder) for path in folder.rglob("*")]
    assert all(re.fullmatch(r"[a-z0-9_.-]+(/[a-z0-9_.-]+)?", path.as_posix()) for path in every)
    assert not any(".." in path.as_posix() for path in every)
    pages = {"index.html", "summary.html", "technical.html"}
    assert {path.name for path in folder.iterdir()} == {"figures", "tables", "tables.xlsx"} | pages
    assert (folder / "figures" / "alsfrsr-density.png").exists()


def test_a_model_with_an_odd_name_gets_a_plain_file_and_two_figures_never_share_one():
    names = ("m1-density", "m1-Density", "flow", "../../x", "m1-density", "مرحبا", "m1-" + 300 * "w")
    pictures = [SimpleNamespace(name=name, caption=f"caption {i}") for i, name in enumerate(names)]
    found = files.figure_table(pictures, {"m1": "../Mödel <1>"})
    assert list(found["file"])[:6] == [
        *("m-del-1-density", "m-del-1-density-2", "flow", "x", "m-del-1-density-3", "figure"),
    ]
    assert len(found["file"][6]) == 80
    assert list(found["caption"]) == [picture.caption for picture in pictures]


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """A fit of real data that failed its gate, reported where an earlier report and something else are."""
    folder = tmp_path_factory.mktemp("failed")
    for name in (
        "figures/alsfrsr-density.svg",
        "figures/alsfrsr-density.png",
        "tables/null_reference.csv",
        "notes.txt",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("of an earlier day")
    trial = made_trial(("A1", "A2"), k=1, synthetic=False)
    assert "GATE FAILED" in written(folder, trial, [made_fit(trial, broken=True)], figures=True).words
    return folder


def test_a_failed_fit_has_only_its_diagnostics_among_the_figures(failed):
    """Figures of an earlier report of it are cleared away, too."""
    shown = {re.sub(r"-?\d+$", "", path.stem) for path in (failed / "figures").iterdir()}
    assert shown == {"alsfrsr-energy", "alsfrsr-ess", "alsfrsr-rank", "alsfrsr-patient", "flow"}


def test_a_report_clears_away_tables_of_an_earlier_one_and_nothing_that_it_did_not_make(failed):
    assert not (failed / "tables" / "null_reference.csv").exists()
    assert (failed / "notes.txt").exists()


def test_figures_of_real_data_carry_no_mark(failed):
    assert not any("SYNTHETIC" in path.read_text() for path in (failed / "figures").glob("*.svg"))


def test_the_same_input_gives_the_same_bytes(folder, page, trial, fits, tmp_path):
    pages.write(made_report(trial, fits), tmp_path)
    assert everything(folder) == everything(tmp_path)


def test_sub_scores_are_a_table_of_a_trial_that_records_items(trial):
    report = made_report(trial, [made_fit(trial)])
    assert "subscores" not in pages.published(report)
    scores = pd.DataFrame({"patient": ["P1"], "month": [0.0], "bulbar": [9.0]})
    found = pages.published(replace(report, own=report.own | {"subscores": scores}))
    assert found["subscores"] is scores
    assert "subscores" in files.ABOUT

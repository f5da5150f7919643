"""What is refused, in words: every kind of broken source, with its file, row, column and remedy."""

import json
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
import yaml
from sources import datasets_as_csv, edit_yaml, exported, refused, small_trial, with_dates

CSV = "table.csv"


@dataclass(frozen=True)
class Case:
    """One way to break a source: what is done to it, and what the refusal says."""

    form: str
    name: str
    breaks: Any
    file: str
    row: int | None
    column: str | None
    found: str
    remedy: str


def swap(file, old, new, count=1):
    """Replace a text in a file that has it."""

    def change(folder):
        text = (folder / file).read_text()
        assert old in text, f"{old!r} is not in {text}"
        (folder / file).write_text(text.replace(old, new, count))

    return change


def put(file, data):
    """Write a file anew."""
    return lambda folder: (folder / file).write_bytes(data if isinstance(data, bytes) else data.encode())


def without(file):
    return lambda folder: (folder / file).unlink()


def mapped(change):
    return lambda folder: edit_yaml(folder / "mapping.yaml", change)


def cell(file, row, column, value):
    """Write one cell of a CSV file; rows are counted as in the messages."""

    def change(folder):
        table = pd.read_csv(folder / file, dtype="str", keep_default_na=False)
        table.loc[row - 2, column] = value
        table.to_csv(folder / file, index=False)

    return change


def rename(file, old, new):
    def change(folder):
        table = pd.read_csv(folder / file, dtype="str", keep_default_na=False)
        table.rename(columns={old: new}).to_csv(folder / file, index=False)

    return change


def added(file, column, value):
    def change(folder):
        table = pd.read_csv(folder / file, dtype="str", keep_default_na=False)
        table.assign(**{column: value}).to_csv(folder / file, index=False)

    return change


def again(file, row, **cells):
    """Repeat a row with some cells changed, at the end."""

    def change(folder):
        table = pd.read_csv(folder / file, dtype="str", keep_default_na=False)
        more = table.iloc[[row - 2]].assign(**cells)
        pd.concat([table, more]).to_csv(folder / file, index=False)

    return change


def codes(document):
    return put("codes.yaml", yaml.safe_dump(document))


def book(*sheets):
    """Write table.xlsx with sheets of rows, and take the place of table.csv."""

    def change(folder):
        workbook = openpyxl.Workbook()
        workbook.remove(workbook.active)
        for place, rows in enumerate(sheets):
            sheet = workbook.create_sheet(f"S{place + 1}")
            for row in rows:
                sheet.append(row)
        workbook.save(folder / "table.xlsx")
        (folder / CSV).unlink()

    return change


XLSX = [["patient", "month", "alsfrsr"], ["A1", 0, 40]]

# The rows of table.csv: 2-4 patients, 5-10 visits, 11-13 injections, 14-15 events.
CASES = [
    # ---- files ----
    Case("table", "no file", without(CSV), "*", None, None, "no such file", "give one file"),
    Case("table", "nothing in it", put(CSV, b""), CSV, None, None, "an empty file", "export it again"),
    Case("table", "blank first row", put(CSV, "\n\nA1,0\n"), CSV, 1, None, "nothing in the first row", "names of the columns"),
    Case("table", "zero bytes", put(CSV, b"patient\0\0\0month"), CSV, None, None, "not text in UTF-8", "save it in UTF-8"),
    Case("table", "no encoding", put(CSV, b"patient,month\nA\x81,\xff0"), CSV, None, None, "not text in UTF-8", "save it in"),
    Case("table", "ragged row", swap(CSV, "A1,61", "A1,61,9,9"), CSV, 2, None, "cells under", "as many cells as the header"),
    Case("table", "open quote", swap(CSV, "A3,48", '"A3,48'), CSV, 4, None, "not CSV", "close every quotation mark"),
    Case("table", "two of a name", swap(CSV, "age", "sex"), CSV, 1, "sex", "2 columns of this name", "rename the others"),
    Case("table", "nameless column", swap(CSV, "age", ""), CSV, 1, None, "a column without a name", "in the first row"),
    Case("table", "broken workbook", lambda f: (f / CSV).rename(f / "table.xlsx"), "table.xlsx", None, None,
         "not a readable xlsx file", "save it as .csv"),
    Case("table", "damaged zip", lambda f: _zip(f), "table.xlsx", None, None, "not a readable xlsx", "export it again"),
    Case("table", "several sheets", book(XLSX, XLSX), "table.xlsx", None, None, "2 sheets with rows: S1, S2", "--sheet"),
    Case("table", "no sheet filled", book([], []), "table.xlsx", None, None, "no sheet with rows", "--sheet"),
    Case("table", "formula", book([XLSX[0], ["A1", 0, "=1+2"]]), "table.xlsx", 2, "alsfrsr", "a formula without", "save it"),
    Case("table", "error cell", book([*XLSX, ["A1", 1, "#REF!"]]), "table.xlsx", 3, "alsfrsr", "'#REF!'", "digits"),
    Case("table", "old workbook", lambda f: (f / CSV).rename(f / "table.xls"), "table.xls", None, None, ".xls", "save it as"),
    Case("table", "unknown kind", lambda f: (f / CSV).rename(f / "table.pdf"), "table.pdf", None, None, ".pdf", "ends in"),
    Case("table", "no ending", lambda f: (f / CSV).rename(f / "table"), "table", None, None, "no ending", "ends in"),
    # ---- identifiers ----
    Case("table", "names", added(CSV, "patient_name", "x"), CSV, 1, "patient_name", "a name", "--drop-identifiers"),
    Case("table", "births", added(CSV, "DateOfBirth", "x"), CSV, 1, "DateOfBirth", "'birth'", "remove the column"),
    Case("table", "phones", added(CSV, "Phone (home)", "1"), CSV, 1, "Phone (home)", "'phone'", "remove the column"),
    Case("table", "addresses", added(CSV, "home_address", "x"), CSV, 1, "home_address", "'address'", "remove the column"),
    Case("table", "mail addresses", added(CSV, "note", "a@b.org"), CSV, 1, "note", "e-mail addresses", "remove the column"),
    Case("redcap", "hospital numbers", added("redcap.csv", "mrn", "1"), "redcap.csv", 1, "mrn", "'mrn'", "remove the column"),
    Case("sdtm", "births of DM", added("dm.csv", "BRTHDTC", "1960"), "dm.csv", 1, "BRTHDTC", "'brthdtc'", "remove the column"),
    # ---- the mapping ----
    Case("table", "no YAML", put("mapping.yaml", "a: [1"), "mapping.yaml", 1, None, "not YAML", "`key: value`"),
    Case("table", "a list", put("mapping.yaml", "- a"), "mapping.yaml", None, None, "no keys at its top", "`key: value`"),
    Case("table", "a key twice", put("mapping.yaml", "patient: a\npatient: b"), "mapping.yaml", 2, None, "twice", "`key"),
    Case("table", "a key that is a list", put("mapping.yaml", "? [a]\n: b"), "mapping.yaml", 1, None, "not a text", "`key"),
    Case("table", "unknown key", mapped(lambda d: d.update(visit="x")), "mapping.yaml", None, "visit", "unknown key", "known are"),
    Case("table", "no patient", mapped(lambda d: d.pop("patient")), "mapping.yaml", None, "patient", "no such key", "patient: C"),
    Case("table", "not a section", mapped(lambda d: d.update(visits="x")), "mapping.yaml", None, "visits", "not a list", "`key"),
    Case("table", "missing column", mapped(lambda d: d["visits"].update(fvc="FVC%")), "mapping.yaml", None, "visits.fvc",
         "no column 'FVC%'", "choose one of: patient"),
    Case("table", "unknown outcome", mapped(lambda d: d["visits"].update(grip="fvc")), "mapping.yaml", None, "visits.grip",
         "unknown key 'grip'", "under `outcomes:`"),
    Case("table", "no time", mapped(lambda d: d["visits"].pop("month")), "mapping.yaml", None, "visits", "no date, month or day",
         "name the column with it"),
    Case("table", "no seriousness", mapped(lambda d: d["events"].pop("serious")), "mapping.yaml", None, "events", "no serious",
         "name the column with it"),
    Case("table", "two clocks", mapped(lambda d: d["events"].update(date=d["events"].pop("month"))), "mapping.yaml", None, None,
         "dates (events.date) beside months", "choose one"),
    Case("table", "instrument", mapped(lambda d: d["events"].update(instrument="x")), "mapping.yaml", None, "events.instrument",
         "an instrument", "no repeating instruments"),
    Case("table", "no visits", mapped(lambda d: d.pop("visits")), "mapping.yaml", None, "visits", "no column of a visit", "`visits:`"),
    Case("table", "wide is no list", mapped(lambda d: d.update(wide={"visits": "x"})), "mapping.yaml", None, "wide", "not lists",
         "each a list"),
    Case("table", "wide without time", mapped(lambda d: d.update(wide={"visits": [{"column": "fvc", "outcome": "fvc"}]})),
         "mapping.yaml", None, "wide.visits", "fvc", "one of month:"),
    Case("table", "wide month in words",
         mapped(lambda d: d.update(wide={"visits": [{"column": "fvc", "outcome": "fvc", "month": "six"}]})),
         "mapping.yaml", None, "wide.visits", "month: six", "write a number"),
    Case("table", "wide injection", mapped(lambda d: d.update(wide={"injections": [{"column": "fvc", "holds": "week"}]})),
         "mapping.yaml", None, "wide.injections", "week", "holds: date, or month, or day"),
    Case("table", "codes", mapped(lambda d: d.update(codes="x")), "mapping.yaml", None, "codes", "not a section", "`NAME:`"),
    Case("table", "faulty outcome", mapped(lambda d: (d["visits"].update(grip="age"), d.update(outcomes={"grip": {"min": "0"}}))),
         "trial.toml", None, "outcomes.grip.unit", "no such key", "one line of text"),
    Case("table", "patient twice", mapped(lambda d: d["visits"].update(patient="age")), "mapping.yaml", None, "visits.patient",
         "the patient again", "once, as `patient: COLUMN`"),
    Case("table", "codes of nothing", mapped(lambda d: d.update(codes={"seks": {"1": "male"}})), "mapping.yaml", None, "codes.seks",
         "codes of no column", "choose one of: age"),
    # ---- cells of a mapped table ----
    Case("table", "score too high", cell(CSV, 5, "alsfrsr", "49"), CSV, 5, "alsfrsr", "'49'", "highest possible value is 48"),
    Case("table", "score in words", cell(CSV, 5, "alsfrsr", "n/a"), CSV, 5, "alsfrsr", "'n/a'", "empty cell or NA"),
    Case("table", "no patient", cell(CSV, 6, "patient", ""), CSV, 6, "patient", "an empty cell", "name the patient in every row"),
    Case("table", "no time", cell(CSV, 6, "month", ""), CSV, 6, "month", "an empty cell", "fill in this cell"),
    Case("table", "another age", cell(CSV, 6, "age", "62"), CSV, 6, "age", "'62'", "row 2 of the same patient says '61'"),
    Case("table", "visit twice", again(CSV, 5, fvc="1"), CSV, 16, "month", "-3 again, as in row", "give one visit a time"),
    Case("table", "visit after the end", cell(CSV, 7, "month", "8"), CSV, 7, "month", "after the patient's end", "correct it"),
    Case("table", "comma or thousands", cell(CSV, 5, "fvc", "1,234"), CSV, 5, "fvc", "'1,234'", "--decimal"),
    Case("table", "injection number", cell(CSV, 12, "inj_injection", "3"), CSV, 12, "inj_injection", "3", "here 2 was expected"),
    Case("table", "dose below zero", cell(CSV, 11, "inj_dose", "-1"), CSV, 11, "inj_dose", "'-1'", "above zero"),
    Case("table", "end in words", cell(CSV, 2, "end_reason", "moved"), CSV, 2, "end_reason", "'moved'", "completed, death"),
    Case("table", "seriousness in words", cell(CSV, 14, "ae_serious", "mild"), CSV, 14, "ae_serious", "'mild'", "yes, no"),
    Case("table", "unknown code", lambda f: (mapped(lambda d: d.update(codes={"sex": {"F": "female"}}))(f)), CSV, 3, "sex", "'M'",
         "add the code to the mapping"),
    Case("table", "day in words",
         lambda f: (mapped(lambda d: d["visits"].update(day=d["visits"].pop("month")))(f), cell(CSV, 5, "month", "day 3")(f)),
         CSV, 5, "month", "'day 3'", "write days as a number"),
    Case("table", "control character", cell(CSV, 2, "onset_site", "li\x07mb"), CSV, 2, "onset_site", "x07", "control characters"),
    Case("table", "no score at all", lambda f: _blanked(f, "alsfrsr", "fvc"), "visits.csv", None, None, "a header and no rows", "add"),
    Case("table", "litres", lambda f: _scaled(f, "fvc", 0.03), CSV, 5, "fvc", "values from", "not litres (3.1) or a fraction"),
    Case("redcap", "fractions", lambda f: _scaled(f, "fvc", 0.01, "redcap.csv"), "redcap.csv", 5, "fvc", "values from",
         "give % of predicted"),
    Case("table", "days for months", lambda f: _scaled(f, "month", 30), CSV, 5, "month", "210 months between the visits",
         "map it as `day`"),
    # ---- dates ----
    Case("dated", "day or month first", cell(CSV, 5, "date", "03/04/2021"), CSV, 5, "date", "'03/04/2021'", "--dates dmy or --dates mdy"),
    Case("dated", "two-digit year", cell(CSV, 5, "date", "03/04/21"), CSV, 5, "date", "'03/04/21'", "year in four digits"),
    Case("dated", "serial number", cell(CSV, 5, "date", "44290"), CSV, 5, "date", "'44290'", "--dates excel"),
    Case("dated", "no such day", cell(CSV, 5, "date", "2021-02-30"), CSV, 5, "date", "'2021-02-30'", "no such day"),
    Case("dated", "part of a date", cell(CSV, 5, "date", "2021-02"), CSV, 5, "date", "'2021-02'", "complete the date"),
    Case("dated", "a word", cell(CSV, 5, "date", "baseline"), CSV, 5, "date", "'baseline'", "year-month-day"),
    Case("dated", "another century", cell(CSV, 5, "date", "1921-02-03"), CSV, 5, "date", "'1921-02-03'", "check the year"),
    # ---- REDCap ----
    Case("redcap", "no instruments", rename("redcap.csv", "redcap_repeat_instrument", "x"), "redcap.csv", 1,
         "redcap_repeat_instrument", "no such column", "export with repeating instruments"),
    Case("redcap", "other instrument", mapped(lambda d: d["events"].update(instrument="sae")), "mapping.yaml", None,
         "events.instrument", "no row of 'sae'", "choose one of: adverse_event, injection"),
    Case("redcap", "entered twice", lambda f: (cell("redcap.csv", 2, "record_id", "7--1")(f), cell("redcap.csv", 3, "record_id", "7--2")(f)),
         "redcap.csv", 3, "record_id", "'7--2' beside 7--1", "merge the two entries"),
    Case("redcap", "coded answer", cell("redcap.csv", 14, "ae_serious", "2"), "redcap.csv", 14, "ae_serious", "'2'", "under codes"),
    Case("redcap", "injection without a date", cell("redcap.csv", 11, "inj_month", ""), "redcap.csv", 11, "inj_month",
         "an empty cell", "fill in"),
    Case("redcap", "a folder", lambda f: ((f / "redcap.csv").unlink(), (f / "redcap.csv").mkdir()), "*", None, None, "a folder",
         "give one file"),
]  # fmt: skip


def _zip(folder):
    with zipfile.ZipFile(folder / "table.xlsx", "w") as packed:
        packed.writestr("xl/workbook.xml", "<not/>")
    (folder / CSV).unlink()


def _scaled(folder, column, factor, file=CSV):
    table = pd.read_csv(folder / file, dtype="str", keep_default_na=False)
    table[column] = [str(round(float(cell) * factor, 3)) if cell else "" for cell in table[column]]
    if column == "month":  # the ends too, which are counted in the same unit
        table["end_month"] = [str(round(float(cell) * factor, 3)) if cell else "" for cell in table["end_month"]]
    table.to_csv(folder / file, index=False)


def _blanked(folder, *columns):
    table = pd.read_csv(folder / CSV, dtype="str", keep_default_na=False)
    table.assign(**dict.fromkeys(columns, "")).to_csv(folder / CSV, index=False)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """Every format once, as text that can be edited."""
    base = tmp_path_factory.mktemp("originals")
    small = small_trial(base / "small")
    dated = with_dates(small, base / "small-dated")
    for form in ("table", "redcap", "sdtm", "adam", "proact"):
        exported(form, small, base / form)
    exported("table", dated, base / "dated")
    exported("sdtm", dated, base / "sdtm-dated")
    exported("adam", dated, base / "adam-dated")
    for form in ("sdtm", "adam", "sdtm-dated", "adam-dated"):
        datasets_as_csv(base / form)
    return base


def broken(case, originals, tmp_path):
    """Break a copy of a source; return the problems it is refused with."""
    folder = shutil.copytree(originals / case.form, tmp_path / "in")
    case.breaks(folder)
    form = {"dated": "table"}.get(case.form, case.form.partition("-")[0])
    options: dict[str, Any] = {}
    source: Path = folder
    if form in ("table", "redcap"):
        names = [path for path in folder.iterdir() if path.stem == form]
        source = names[0] if names else folder / f"{form}.csv"
        options["document"] = folder / "mapping.yaml"
        if case.name in ("formula", "error cell"):
            options["document"] = None
            options["accept"] = True
    elif (folder / "codes.yaml").exists():
        options["document"] = folder / "codes.yaml"
    return refused(form, source, tmp_path / "out", **options)


def said(case, problems):
    """Return the problems that say what the case is to say."""
    rows = problems.astype(object).where(problems.notna(), None).to_dict("records")
    return [
        row
        for row in rows
        if (case.file in ("*", row["file"]) and case.row == row["row"] and case.column == row["column"])
        and case.found in row["found"]
        and case.remedy in row["remedy"]
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.form}: {case.name}")
def test_a_broken_table_is_refused_with_its_place_and_remedy(case, originals, tmp_path):
    problems = broken(case, originals, tmp_path)
    assert said(case, problems), problems.to_string()


def test_everything_wrong_is_said_at_once(originals, tmp_path):
    folder = shutil.copytree(originals / "table", tmp_path / "in")
    cell(CSV, 5, "alsfrsr", "49")(folder)
    cell(CSV, 9, "fvc", "x")(folder)
    cell(CSV, 14, "ae_serious", "mild")(folder)
    problems = refused("table", folder / CSV, tmp_path / "out", document=folder / "mapping.yaml")
    assert problems["row"].tolist() == [5, 9, 14]


def test_json_that_is_no_dataset_is_refused(originals, tmp_path):
    for content, words in (({"a": 1}, "neither `columns`"), ([1], "no object at its top")):
        folder = shutil.copytree(originals / "sdtm", tmp_path / words[:2].strip() / "in")
        (folder / "qs.csv").unlink()
        (folder / "qs.json").write_text(json.dumps(content))
        problems = refused("sdtm", folder, tmp_path / "out")
        assert problems[["file"]].to_numpy().tolist() == [["qs.json"]]
        assert words in problems["found"][0]

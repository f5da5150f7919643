"""Spreadsheets and REDCap exports: the guess, the mapping, wide tables, notation, and where an import goes."""

import os
import re
import socket

import openpyxl
import pandas as pd
import pytest
import yaml
from packages import ended
from sources import edit_yaml, exported, refused, small_trial, take
from trials import ROOT

from slopeshift.formats import Request, UnconfirmedError, import_trial
from slopeshift.formats.notation import Notation
from slopeshift.trial import TrialError

LONG = """Subject;Age;Visit date;ALSFRS-R total;FVC %;Injection no;Dose;Site
1;61;12.03.2024;40;81,5;;;x
1;61;01.04.2024;39;80,1;1;60;x
;;;;;;;
2;;01.04.2024;41;;;;
"""


def written(tmp_path, text, name="long.csv"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def guessed(form, path):
    with pytest.raises(UnconfirmedError) as waiting:
        import_trial(Request(form, path, path.parent / "nowhere"))
    assert not (path.parent / "nowhere").exists()
    return waiting.value.text


# ---- the guess ----


def test_the_first_run_guesses_the_mapping_and_writes_nothing(tmp_path):
    text = guessed("table", written(tmp_path, LONG))
    assert text.startswith("# Which column of long.csv holds what.")
    assert "# Not named, and left out: Site\n" in text
    assert yaml.load(text, yaml.BaseLoader) == {
        "patient": "Subject",
        "patients": {"age": "Age"},
        "visits": {"date": "Visit date", "alsfrsr": "ALSFRS-R total", "fvc": "FVC %"},
        "injections": {"date": "Visit date", "injection": "Injection no", "dose": "Dose"},
    }


@pytest.mark.parametrize("form", ["table", "redcap"])
def test_the_guess_at_an_export_of_ours_is_its_mapping(form, tmp_path):
    source = exported(form, small_trial(tmp_path / "small"), tmp_path / "out")
    guess = yaml.load(guessed(form, source["source"]), yaml.BaseLoader)
    mapping = yaml.load(source["document"].read_text(), yaml.BaseLoader)
    assert guess["visits"] == mapping["visits"]
    assert guess["patients"] == mapping["patients"]
    if form == "redcap":
        assert guess["injections"] == mapping["injections"]
        assert guess["events"] == mapping["events"]
        assert guess["codes"] == mapping["codes"]


def test_an_accepted_guess_imports_what_the_same_mapping_does(tmp_path):
    path = written(tmp_path, LONG)
    (tmp_path / "mapping.yaml").write_text(guessed("table", path))
    one = take("table", path, tmp_path / "one", dates="dmy", accept=True).trial
    other = take("table", path, tmp_path / "other", dates="dmy", document=tmp_path / "mapping.yaml").trial
    pd.testing.assert_frame_equal(one.visits, other.visits)
    assert one.visits["alsfrsr"].tolist() == [40, 39, 41]
    assert one.visits["fvc"].dropna().tolist() == [81.5, 80.1]
    assert one.injections["dose"].tolist() == [60]


def test_the_scale_without_the_r_and_litres_are_not_guessed(tmp_path):
    text = guessed("table", written(tmp_path, "id,month,ALSFRS,FVC (L)\n1,0,40,3.1\n"))
    assert "visits" not in yaml.load(text, yaml.BaseLoader)


# ---- rows ----


def test_a_row_that_holds_nothing_that_is_mapped_is_listed(tmp_path):
    path = written(tmp_path, LONG + "2;;;;;;;y\n")
    ledger = take("table", path, tmp_path / "out", dates="dmy", accept=True).ledger.set_index("row")
    assert ledger.loc[6, "reason"] == "no cell that the mapping names is filled"
    assert ledger.loc[4, "reason"] == "an empty row"
    assert ledger.loc[3, "reason"] == "visit, injection, patient"
    assert ledger[ledger.index.isna()]["reason"].tolist() == ["column Site: the mapping does not name it"]


def test_a_visit_without_a_value_is_listed_as_one(tmp_path):
    path = written(tmp_path, LONG + "2;;02.04.2024;;;;;y\n2;;;;;;;y\n")
    ledger = take("table", path, tmp_path / "out", dates="dmy", accept=True).ledger.set_index("row")
    assert ledger.loc[6, "reason"] == "a time, and no value that the mapping names"
    assert ledger.loc[7, "reason"] == "no cell that the mapping names is filled"


def test_a_wide_table_has_a_visit_a_column(tmp_path):
    path = written(
        tmp_path,
        "id,sex,ALSFRSR M0,ALSFRSR M3,FVC M3,Injection 1 month,Injection 2 month\n1,F,40,38,80,0,3\n2,M,41,,,,\n",
    )
    document = yaml.load(guessed("table", path), yaml.BaseLoader)
    assert document["wide"]["visits"][0] == {"column": "ALSFRSR M0", "outcome": "alsfrsr", "month": "0"}
    trial = take("table", path, tmp_path / "out", accept=True).trial
    assert trial.visits.fillna(-1).to_numpy().tolist() == [["1", 0, 40, -1], ["1", 3, 38, 80], ["2", 0, 41, -1]]
    assert trial.injections[["injection", "month"]].to_numpy().tolist() == [[1, 0], [2, 3]]


def test_a_wide_table_may_have_a_column_of_dates_for_each_visit(tmp_path):
    path = written(tmp_path, "id,d1,s1,d2,s2\n1,2024-01-01,40,2024-03-01,39\n")
    entries = [{"column": f"s{i}", "outcome": "alsfrsr", "date_column": f"d{i}"} for i in (1, 2)]
    (tmp_path / "m.yaml").write_text(yaml.safe_dump({"patient": "id", "wide": {"visits": entries}}))
    trial = take("table", path, tmp_path / "out", document=tmp_path / "m.yaml").trial
    assert trial.visits["month"].tolist() == pytest.approx([0, 60 / 30.4375])


def test_days_and_codes_and_outcomes_of_ones_own_are_mapped(tmp_path):
    path = written(tmp_path, "id,sex,day,grip\n1,1,0,20\n1,,61,18.5\n")
    document = {
        "patient": "id",
        "patients": {"sex": "sex"},
        "visits": {"day": "day", "grip": "grip"},
        "codes": {"sex": {"1": "male"}},
        "outcomes": {"grip": {"unit": "kg", "min": "0", "integer": "false"}},
    }
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(document))
    trial = take("table", path, tmp_path / "out", document=tmp_path / "m.yaml").trial
    assert trial.visits["month"].tolist() == pytest.approx([0, 61 / 30.4375], abs=1e-6)
    assert trial.patients["sex"].tolist() == ["male"]
    assert trial.outcomes["grip"].unit == "kg"


def test_rows_of_an_instrument_that_is_not_mapped_are_listed(tmp_path):
    source = exported("redcap", small_trial(tmp_path / "small"), tmp_path / "out")
    edit_yaml(source["document"], lambda document: (document.pop("events"), document.pop("codes")))
    ledger = take("redcap", destination=tmp_path / "back", **source).ledger
    assert (ledger["reason"] == "instrument adverse_event: the mapping does not name it").sum() == 2


def test_an_export_of_labels_is_read_as_one_of_raw_values(tmp_path):
    source = exported("redcap", small_trial(tmp_path / "small"), tmp_path / "out")
    text = source["source"].read_text()
    labels = {"redcap_event_name": "Event Name", "redcap_repeat_instrument": "Repeat Instrument"}
    for raw, label in labels.items():
        text = text.replace(raw, label)
    source["source"].write_text(text)
    assert len(take("redcap", destination=tmp_path / "back", **source).trial.injections) == 3


def test_a_sheet_is_chosen_by_name(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["x"])
    for row in (["id", "month", "alsfrsr"], ["1", 0, 40], [None, None, None], ["1", 1.5, 39]):
        (book["Visits"] if "Visits" in book.sheetnames else book.create_sheet("Visits")).append(row)
    book.save(tmp_path / "two.xlsx")
    done = take("table", tmp_path / "two.xlsx", tmp_path / "out", accept=True, sheet="Visits")
    assert done.trial.visits["month"].tolist() == [0, 1.5]
    assert "sheet Visits" in set(done.ledger["reason"])
    assert "choose one of: Sheet, Visits" in str(
        refused("table", tmp_path / "two.xlsx", tmp_path / "no", accept=True, sheet="visits")["remedy"][0]
    )


# ---- notation ----


@pytest.mark.parametrize(
    ("order", "written_as"),
    [("dmy", "03.04.2024"), ("dmy", "3/4/2024"), ("mdy", "04/03/2024"), ("excel", "45385"), ("iso", "2024-04-03 09:30"),
     ("iso", "3-Apr-2024"), ("iso", "03APR2024"), ("excel", "45385.0")],
)  # fmt: skip
def test_the_same_day_in_every_notation(order, written_as, tmp_path):
    path = written(tmp_path, f"id,date,alsfrsr\n1,{written_as},40\n1,2024-05-03,39\n")
    take("table", path, tmp_path / "out", dates=order, accept=True)
    assert (tmp_path / "out" / "visits.csv").read_text().splitlines()[1] == "1,2024-04-03,40"


def test_points_beside_commas_are_refused_until_the_user_says_which(tmp_path):
    path = written(tmp_path, "id;month;fvc\n1;0;80,5\n1;1;79.5\n")
    problems = refused("table", path, tmp_path / "out", accept=True)
    assert problems["remedy"].tolist() == [
        "say with --decimal comma or --decimal point which of the two marks decimals"
    ]
    problems = refused("table", path, tmp_path / "out", accept=True, decimal="comma")
    assert "as --decimal comma says" in problems["remedy"][0]
    assert "decimal comma" in refused("table", path, tmp_path / "out", accept=True, decimal="point")["remedy"][0]


def test_three_digits_behind_a_comma_are_decimals_where_the_user_says_so(tmp_path):
    path = written(tmp_path, "id;month;fvc\n1;0;80,125\n")
    assert take("table", path, tmp_path / "out", accept=True, decimal="comma").trial.visits["fvc"].tolist() == [80.125]


@pytest.mark.parametrize(("field", "value"), [("dates", "us"), ("decimal", "dot")])
def test_an_unknown_notation_is_refused(field, value):
    with pytest.raises(ValueError, match=f"--{field} {value}: choose one of"):
        Notation(**{field: value})


# ---- where it goes ----


def test_what_is_there_is_not_overwritten(tmp_path):
    path, out = written(tmp_path, LONG), tmp_path / "out"
    out.mkdir()
    take("table", path, out, dates="dmy", accept=True)
    before = (out / "visits.csv").read_bytes()
    with pytest.raises(TrialError, match="a folder that is not empty"):
        take("table", path, out, dates="dmy", accept=True)
    take("table", path, out, dates="dmy", accept=True, replace=True)
    assert (out / "visits.csv").read_bytes() == before
    (out / "thesis.docx").touch()
    with pytest.raises(TrialError, match=r"thesis\.docx in it"):
        take("table", path, out, dates="dmy", accept=True, replace=True)


def test_what_a_killed_import_left_behind_is_swept_up(tmp_path):
    path = written(tmp_path, LONG)
    dead, living = (re.sub(r"\W", "_", socket.gethostname()) + f"-{process}-0" for process in (ended(), os.getpid()))
    for left in (f".out.{dead}", f".outer.{dead}", f".out.{living}"):
        (tmp_path / left / "out").mkdir(parents=True)
    take("table", path, tmp_path / "out", dates="dmy", accept=True)
    assert {left.name for left in tmp_path.glob(".*")} == {f".outer.{dead}", f".out.{living}"}


def test_a_file_or_link_in_the_place_of_the_folder_is_refused(tmp_path):
    path = written(tmp_path, LONG)
    (tmp_path / "link").symlink_to(ROOT / "data")
    for name in ("long.csv", "link"):
        with pytest.raises(TrialError, match="a file or a link of this name"):
            take("table", path, tmp_path / name, dates="dmy", accept=True, replace=True)


def test_title_and_kind_of_data_are_what_the_user_says(tmp_path):
    path = written(tmp_path, LONG)
    trial = take("table", path, tmp_path / "out", dates="dmy", accept=True, title='A "trial"', synthetic=True).trial
    assert (trial.title, trial.synthetic, trial.source) == (
        'A "trial"',
        True,
        "a spreadsheet (long.csv), imported by slopeshift",
    )
    assert not take("table", path, tmp_path / "real", dates="dmy", accept=True).trial.synthetic

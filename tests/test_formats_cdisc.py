"""SDTM and ADaM: codes, study days, ends, injections; what is left out and what is refused."""

import shutil

import pandas as pd
import pytest
import yaml
from sources import datasets_as_csv, exported, refused, small_trial, take, with_dates

from slopeshift.formats import codemap
from slopeshift.formats.sdtm import CODEMAP as SDTM


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    base = tmp_path_factory.mktemp("cdisc")
    small = small_trial(base / "small")
    dated = with_dates(small, base / "small-dates")
    for form in ("sdtm", "adam"):
        exported(form, small, base / form)
        exported(form, dated, base / f"{form}-dates")
        datasets_as_csv(base / form)
        datasets_as_csv(base / f"{form}-dates")
    return base


@pytest.fixture
def copy(originals, tmp_path):
    return lambda name: shutil.copytree(originals / name, tmp_path / "in")


def edited(folder, file, change):
    table = pd.read_csv(folder / file, dtype="str", keep_default_na=False)
    changed = change(table)
    (table if changed is None else changed).to_csv(folder / file, index=False)


def cells(file, row, **values):
    """Write cells of one row, counted as in the messages."""

    def change(table):
        for column, value in values.items():
            if column not in table:
                table[column] = ""
            table.loc[row - 2, column] = value

    return lambda folder: edited(folder, file, change)


def fate(ledger, file, row):
    line = ledger[(ledger["file"] == file) & (ledger["row"] == row)]
    return line["fate"].item(), line["reason"].item()


def code_file(folder, **sections):
    path = folder.parent / "codes.yaml"
    path.write_text(yaml.safe_dump(sections))
    return path


# ---- the code map ----


@pytest.mark.parametrize("form", ["sdtm", "adam"])
def test_the_shipped_code_map_keeps_its_own_rules(form):
    assert list(codemap.codemap_problems("x", codemap.default(form))) == []


def test_codes_of_ones_own_replace_those_of_a_section(copy, tmp_path):
    folder = copy("sdtm")
    edited(folder, "qs.csv", lambda t: t.replace("ALSFRSR", "XYZ99"))
    document = code_file(folder, alsfrsr={"total": ["XYZ99"]})
    assert len(take("sdtm", folder, tmp_path / "out", document=document).trial.visits) == 6


@pytest.mark.parametrize(
    ("sections", "column", "found", "remedy"),
    [
        ({"alsfrs": {}}, "alsfrs", "unknown key", "known are alsfrsr"),
        ({"fvc": "FVCPP"}, "fvc", "not a section", "`key: value`"),
        ({"fvc": {"code": ["A"]}}, "fvc.code", "unknown key", "known are codes"),
        ({"fvc": {"codes": "FVCPP"}}, "fvc.codes", "not the right shape", "in brackets: [A, B]"),
        ({"ends": {"COMPLETED": ["x"]}}, "ends", "not a text", "`KEY: VALUE`"),
        ({"ends": {"COMPLETED": "done"}}, "ends.COMPLETED", "'done'", "completed, death"),
        ({"injections": {"dose_units": {"mL": "0"}}}, "injections.dose_units.mL", "'0'", "a number above zero"),
        ({"injections": {"dose_units": {"mL": "few"}}}, "injections.dose_units.mL", "'few'", "a number above zero"),
        ({"alsfrsr": {"items": {1: ["A"]}}}, "alsfrsr.items", "items 1", "all twelve items"),
        ({"alsfrsr": {"total": ["A"]}, "fvc": {"codes": ["A"]}}, "alsfrsr", "'A' for two things", "one meaning"),
    ],
)
def test_a_broken_code_map_is_refused(sections, column, found, remedy, copy, tmp_path):
    folder = copy("sdtm")
    problems = refused("sdtm", folder, tmp_path / "out", document=code_file(folder, **sections))
    assert problems["file"].tolist() == ["codes.yaml"]
    assert problems["column"].tolist() == [column]
    assert found in problems["found"][0]
    assert remedy in problems["remedy"][0]


# ---- what is taken ----


def test_there_is_no_study_day_0(copy, tmp_path):
    trial = take("sdtm", copy("sdtm"), tmp_path / "out").trial
    first = trial.visits[trial.visits["patient"] == "A1"]["month"].tolist()
    assert first == pytest.approx([-91 / 30.4375, 0, 122 / 30.4375], abs=1e-6)


def test_time_of_day_is_left_away(copy, tmp_path):
    folder = copy("sdtm-dates")
    edited(folder, "qs.csv", lambda t: t.assign(QSDTC=t["QSDTC"] + "T09:30"))
    assert len(take("sdtm", folder, tmp_path / "out").trial.visits) == 6


def test_unformatted_numbers_of_a_sas_file_are_its_days(originals, tmp_path):
    folder = tmp_path / "xpt"
    exported("adam", originals / "small-dates", folder)
    import pyreadstat

    frame, _ = pyreadstat.read_xport(str(folder / "adqs.xpt"), disable_datetime_conversion=True)
    pyreadstat.write_xport(frame, str(folder / "adqs.xpt"), table_name="ADQS")
    plain = take("adam", folder, tmp_path / "out").trial.visits
    pd.testing.assert_frame_equal(plain, take("adam", originals / "adam-dates", tmp_path / "other").trial.visits)


@pytest.mark.parametrize(
    ("form", "file", "change", "words"),
    [
        ("sdtm", "qs.csv", {"QSTESTCD": "MMSE"}, "QSTESTCD is not in the code map: MMSE"),
        ("sdtm", "qs.csv", {"QSSTAT": "NOT DONE"}, "QSSTAT is NOT DONE"),
        ("sdtm", "qs.csv", {"QSSTRESN": ""}, "no QSSTRESN"),
        ("sdtm", "qs.csv", {"QSSTRESN": "49"}, "alsfrsr is not a whole number from 0 to 48"),
        ("sdtm", "qs.csv", {"QSTESTCD": "ALSFRS01", "QSSTRESN": "3"}, "not all twelve items"),
        ("sdtm", "qs.csv", {"QSDY": ""}, "no QSDY"),
        ("sdtm", "qs.csv", {"USUBJID": ""}, "no USUBJID"),
        ("sdtm", "qs.csv", {"QSDY": "900"}, "after the patient's end"),
        ("sdtm-dates", "qs.csv", {"QSDTC": "2021-02"}, "QSDTC is not a full date"),
        ("adam", "adqs.csv", {"PARAMCD": "MMSE"}, "PARAMCD is not in the code map: MMSE"),
        ("adam", "adqs.csv", {"DTYPE": "LOCF"}, "an imputed or derived value: DTYPE LOCF"),
        ("adam", "adqs.csv", {"AVAL": ""}, "no AVAL"),
        ("adam", "adqs.csv", {"ADY": ""}, "no ADY"),
    ],
)
def test_a_score_that_cannot_be_used_is_listed_with_its_reason(form, file, change, words, copy, tmp_path):
    folder = copy(form)
    cells(file, 2, **change)(folder)
    done = take(form.partition("-")[0], folder, tmp_path / "out")
    assert done.trial.visits["alsfrsr"].count() == 5
    kind, reason = fate(done.ledger, file, 2)
    assert kind == "left out"
    assert words in reason


@pytest.mark.parametrize(
    ("file", "row", "change", "words"),
    [
        ("ex.csv", 3, {"EXDOSE": "0"}, "a dose of 0: a placebo"),
        ("ex.csv", 3, {"EXOCCUR": "N"}, "EXOCCUR is N: not given"),
        ("ae.csv", 2, {"AESER": ""}, "AESER is empty"),
        ("ae.csv", 3, {"AESTDY": "400"}, "after the patient's death"),
        ("ds.csv", 2, {"DSDECOD": "RANDOMIZED"}, "DSDECOD is no end in the code map: RANDOMIZED"),
        ("suppdm.csv", 2, {"QNAM": "RACEOTH"}, "QNAM is not in the code map"),
    ],
)
def test_other_records_that_are_not_used_are_listed_too(file, row, change, words, copy, tmp_path):
    folder = copy("sdtm")
    cells(file, row, **change)(folder)
    kind, reason = fate(take("sdtm", folder, tmp_path / "out").ledger, file, row)
    assert kind == "left out"
    assert words in reason


@pytest.mark.parametrize(
    ("form", "file", "row", "change", "words"),
    [
        ("adam", "adsl.csv", 2, {"EOSDY": ""}, "not used: the time of an end, because of: no EOSDY"),
        ("adam-dates", "adsl.csv", 3, {"DTHDT": "2021"}, "the time of a death, because of: DTHDT is not a full date"),
        (
            "adam-dates",
            "adsl.csv",
            2,
            {"ONSETDT": "2019-11"},
            "not used: an onset, because of: ONSETDT is not a full date",
        ),
        ("adam-dates", "adsl.csv", 2, {"ONSETDY": "-4"}, "not used: ONSETDY, in a trial that counts in dates"),
        ("sdtm", "dm.csv", 2, {"DTHFL": "Y"}, "not used: the time of a death, because of: no DTHDY"),
        ("sdtm-dates", "suppdm.csv", 2, {"QVAL": "2019"}, "not used: the onset is not a full date"),
    ],
)
def test_what_is_not_used_of_a_row_that_is_used_is_listed(form, file, row, change, words, copy, tmp_path):
    folder = copy(form)
    cells(file, row, **change)(folder)
    kind, reason = fate(take(form.partition("-")[0], folder, tmp_path / "out").ledger, file, row)
    assert kind == "used"
    assert words in reason


def test_of_several_ends_death_is_taken_and_otherwise_the_latest(copy, tmp_path):
    folder = copy("sdtm")
    more = pd.DataFrame(
        {"USUBJID": ["A1", "A2"], "DSDECOD": ["LOST TO FOLLOW-UP", "COMPLETED"], "DSSTDY": ["250", "300"]}
    )
    edited(folder, "ds.csv", lambda t: pd.concat([t, more]).fillna(""))
    done = take("sdtm", folder, tmp_path / "out")
    assert done.trial.patients["end_reason"].fillna("").tolist() == ["lost", "death", ""]
    assert "another end" in fate(done.ledger, "ds.csv", 2)[1]
    assert "another end" in fate(done.ledger, "ds.csv", 5)[1]


def test_a_death_of_dm_counts_without_ds(copy, tmp_path):
    folder = copy("sdtm-dates")
    (folder / "ds.csv").unlink()
    cells("dm.csv", 3, DTHFL="Y", DTHDTC="2022-01-01")(folder)
    assert take("sdtm", folder, tmp_path / "out").trial.patients["end_reason"].fillna("").tolist() == ["", "death", ""]


def test_doses_are_counted_in_millions_of_cells(copy, tmp_path):
    folder = copy("sdtm")
    cells("ex.csv", 3, EXDOSE="0.12", EXDOSU="10^9 Therapeutic Cells")(folder)
    assert take("sdtm", folder, tmp_path / "out").trial.injections["dose"].tolist() == [60, 120, 60]


def test_procedures_are_injections_where_the_code_map_names_them(copy, tmp_path):
    folder = copy("sdtm")
    edited(folder, "ex.csv", lambda t: t.rename(columns=lambda name: name.replace("EX", "PR", 1)))
    (folder / "ex.csv").rename(folder / "pr.csv")
    document = code_file(folder, injections={"treatments": ["CELLS"], "dose_units": {"10^6 Therapeutic Cells": 1}})
    assert len(take("sdtm", folder, tmp_path / "out", document=document).trial.injections) == 3


def test_starts_of_periods_are_injections_where_the_code_map_says_so(copy, tmp_path):
    folder = copy("adam-dates")
    (folder / "adex.csv").unlink()
    edited(folder, "adsl.csv", lambda t: t.assign(AP01SDT=["2021-01-15", "", ""], AP02SDT=["2021-05-17", "", ""]))
    document = code_file(folder, injections={"periods": "yes"})
    trial = take("adam", folder, tmp_path / "out", document=document).trial
    assert trial.injections["injection"].tolist() == [1, 2]


# ---- what is refused ----


def procedures(folder):
    """Turn the exposures into procedures."""
    edited(folder, "ex.csv", lambda t: t.rename(columns=lambda name: name.replace("EX", "PR", 1)).assign(DOMAIN="PR"))
    (folder / "ex.csv").rename(folder / "pr.csv")


@pytest.mark.parametrize(
    ("form", "change", "file", "row", "column", "found", "remedy"),
    [
        ("sdtm", lambda f: (f / "dm.csv").unlink(), "in", None, None, "no dataset DM", "add dm.xpt"),
        ("adam", lambda f: (f / "adsl.csv").unlink(), "in", None, None, "no dataset ADSL", "add adsl.xpt"),
        ("sdtm", lambda f: shutil.rmtree(f), "in", None, None, "no such folder", "the folder with the datasets"),
        ("sdtm", lambda f: shutil.copy(f / "qs.csv", f / "QS.tsv"), "qs.csv", None, None, "the same dataset as QS.tsv", "keep one"),
        ("sdtm", lambda f: edited(f, "qs.csv", lambda t: t.rename(columns={"USUBJID": "ID"})), "qs.csv", 1, "USUBJID",
         "no such column", "USUBJID"),
        ("sdtm", lambda f: edited(f, "qs.csv", lambda t: t.drop(columns="QSSTRESN")), "qs.csv", 1, "QSSTRESN",
         "no such column", "with QSSTRESN"),
        ("sdtm", cells("qs.csv", 2, QSSTRESN="forty"), "qs.csv", 2, "QSSTRESN", "'forty'", "write a number"),
        ("sdtm", cells("qs.csv", 2, USUBJID="Z9"), "qs.csv", 2, "USUBJID", "'Z9', not in patients.csv", "correct the name"),
        ("sdtm", cells("ex.csv", 2, EXSTDY=""), "ex.csv", 2, "EXSTDY", "no EXSTDY", "an injection must not be lost"),
        ("sdtm-dates", cells("ex.csv", 2, EXSTDTC="2021"), "ex.csv", 2, "EXSTDTC", "not a full date", "must not be lost"),
        ("sdtm", cells("ex.csv", 2, EXDOSU="mg"), "ex.csv", 2, "EXDOSU", "'mg'", "add the unit to injections: dose_units"),
        ("sdtm", cells("ex.csv", 2, EXTRT="RILUZOLE"), "ex.csv", None, "EXTRT", "CELLS, RILUZOLE", "treatments: or routes:"),
        ("sdtm", lambda f: procedures(f), "pr.csv", None, "PRTRT", "procedures, and no EX", "treatments:"),
        ("sdtm", cells("ex.csv", 3, EXSTDY="1"), "ex.csv", 3, "EXSTDY", "1 again, as in row 2", "`same_day: add` under injections:"),
        ("sdtm", cells("ex.csv", 3, EXSTDY="300"), "ex.csv", 3, "EXSTDY", "300, after the patient's end", "DSSTDY"),
        ("sdtm", cells("dm.csv", 2, AGEU="MONTHS"), "dm.csv", 2, "AGEU", "'MONTHS'", "in YEARS"),
        ("sdtm", cells("dm.csv", 2, AGE="sixty"), "dm.csv", 2, "age", "'sixty'", "in digits"),
        ("sdtm", cells("dm.csv", 3, USUBJID="a1"), "dm.csv", 3, "USUBJID", "'a1', nearly the same as 'A1'", "spell it"),
        ("adam", cells("adex.csv", 2, ADY=""), "adex.csv", 2, "ADY", "no ADY", "an injection must not be lost"),
        ("adam", cells("adsl.csv", 2, EOSSTT="GONE"), "adsl.csv", 2, "EOSSTT", "'GONE'", "add it under ends:"),
        ("adam", cells("adqs.csv", 2, AVAL="forty"), "adqs.csv", 2, "AVAL", "'forty'", "write a number"),
    ],
)  # fmt: skip
def test_broken_datasets_are_refused(form, change, file, row, column, found, remedy, copy, tmp_path):
    change(copy(form))
    problems = refused(form.partition("-")[0], tmp_path / "in", tmp_path / "out").astype(object)
    rows = problems.where(problems.notna(), None).to_dict("records")
    assert any(
        line["file"].endswith(file)
        and (line["row"], line["column"]) == (row, column)
        and found in line["found"]
        and remedy in line["remedy"]
        for line in rows
    ), problems.to_string()


def test_a_damaged_transport_file_is_refused(originals, tmp_path):
    folder = shutil.copytree(originals / SDTM, tmp_path / "in")
    (folder / "qs.csv").unlink()
    (folder / "qs.xpt").write_bytes(b"HEADER RECORD" + b"\0" * 300)
    problems = refused("sdtm", folder, tmp_path / "out")
    assert problems["file"].tolist() == ["qs.xpt"]
    assert "not a readable xpt file" in problems["found"][0]

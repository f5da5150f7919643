"""Kinds of sources that people have and that went wrong: facts without a full date, ends of treatment, units, flags."""

import json
import re

import openpyxl
import pandas as pd
import pytest
import yaml
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from sources import refused, take

from slopeshift.formats.notation import Notation, days
from slopeshift.formats.write import RefusedError

DM = {"USUBJID": ["S1", "S2"], "DOMAIN": "DM", "AGE": "60", "DTHFL": "", "DTHDTC": ""}
DS = {
    "USUBJID": ["S1", "S2"], "DOMAIN": "DS", "DSDECOD": "COMPLETED", "DSCAT": "DISPOSITION EVENT",
    "DSSCAT": "STUDY PARTICIPATION", "DSSTDTC": "2023-09-01",
}  # fmt: skip
EX = {
    "USUBJID": ["S1", "S1", "S2"], "DOMAIN": "EX", "EXTRT": "CELLS", "EXDOSE": "60",
    "EXDOSU": "10^6 Therapeutic Cells", "EXSTDTC": ["2023-03-01", "2023-06-01", "2023-03-01"],
}  # fmt: skip
SEEN = ["2023-01-01", "2023-03-01", "2023-05-01", "2023-07-01"]
QS = {
    "USUBJID": ["S1"] * 4 + ["S2"] * 4, "DOMAIN": "QS", "QSTESTCD": "ALSFRSR",
    "QSSTRESN": ["42", "41", "40", "39"] * 2, "QSDTC": SEEN * 2,
}  # fmt: skip
ADSL = {"USUBJID": ["S1", "S2"], "AGE": "60", "EOSSTT": "COMPLETED", "EOSDT": "2023-09-01", "DCSREAS": "", "DTHFL": ""}
ADQS = {"USUBJID": QS["USUBJID"], "PARAMCD": "ALSFRSR", "AVAL": QS["QSSTRESN"], "ADT": QS["QSDTC"]}
ADEX = {"USUBJID": EX["USUBJID"], "PARAMCD": "INJDOSE", "AVAL": "60", "ADT": EX["EXSTDTC"]}


def datasets(folder, **tables):
    folder.mkdir()
    for name, columns in tables.items():
        pd.DataFrame(columns).to_csv(folder / f"{name}.csv", index=False)
    return folder


def sdtm(tmp_path, **changed):
    """A trial of two patients in SDTM; a dataset that is changed to None is away."""
    tables = {"dm": DM, "ds": DS, "ex": EX, "qs": QS} | changed
    return datasets(tmp_path / "in", **{name: table for name, table in tables.items() if table is not None})


def adam(tmp_path, **changed):
    return datasets(tmp_path / "in", **({"adsl": ADSL, "adqs": ADQS, "adex": ADEX} | changed))


def row(table, **cells):
    """Change cells of the first row of a dataset."""
    frame = pd.DataFrame(table)
    for column, value in cells.items():
        if column not in frame:
            frame[column] = ""
        frame[column] = [value, *frame[column].astype(object).tolist()[1:]]
    return frame


def added(table, **cells):
    frame = pd.DataFrame(table)
    return pd.concat([frame, frame.iloc[[0]].assign(**cells)], ignore_index=True)


def end_of(done, patient="S1"):
    found = done.trial.patients.set_index("patient").loc[patient]
    return found["end_reason"], found.get("end_month")


def said(done):
    return "\n".join([*done.reasons, *map(" ".join, done.notes.fillna("").astype(str).to_numpy())])


# ---- facts without a full date ----

FATAL = {"USUBJID": ["S1"], "DOMAIN": "AE", "AETERM": "Failure", "AESER": "Y", "AESTDTC": "2023-08-03"}


@pytest.mark.parametrize(
    "changed",
    [
        {"dm": row(DM, DTHFL="Y", DTHDTC="2023-09")},
        {"dm": row(DM, DTHFL="Y", DTHDTC="2023")},
        {"dm": row(DM, DTHFL="Y", DTHDTC="")},
        {"dm": row(DM, DTHDTC="2023-09")},
        {"dm": row(DM, DTHFL="Y", DTHDTC="2023---15"), "ds": None},
        {"ds": row(DS, DSDECOD="DEATH", DSSTDTC="")},
        {"ds": row(DS, DSDECOD="Death", DSSTDTC="2023-09")},
        {"ds": added(DS, DSDECOD="DEATH", DSSTDTC="2023", DSSCAT="STUDY TREATMENT")},
        {"dd": {"USUBJID": ["S1"], "DOMAIN": "DD", "DDTESTCD": "PRCDTH", "DDORRES": "ALS"}},
        {"ae": FATAL | {"AEOUT": "FATAL"}},
        {"ae": FATAL | {"AESDTH": "Y", "AEENDTC": "2023-09"}},
        {"ae": FATAL | {"AESER": "", "AETOXGR": "5"}},
        {"ae": FATAL | {"AETOXGR": "Grade 5", "AEENDTC": "2023"}},
    ],
)
def test_a_death_without_a_full_date_is_a_death_at_an_unknown_time(changed, tmp_path):
    done = take("sdtm", sdtm(tmp_path, **changed), tmp_path / "out")
    reason, month = end_of(done)
    assert reason == "death"
    assert pd.isna(month)
    assert end_of(done, "S2")[0] != "death"
    assert "S1" in said(done)


@pytest.mark.parametrize(
    "changed",
    [
        row(ADSL, DTHFL="Y"),
        row(ADSL, DTHFL="Y", DTHDTC="2023-09"),
        row(ADSL, EOSSTT="DISCONTINUED", DCSREAS="DEATH", EOSDT=""),
        row(ADSL, EOTSTT="DISCONTINUED", DCTREAS="Death"),
    ],
)
def test_a_death_of_adsl_without_a_full_date_is_a_death_at_an_unknown_time(changed, tmp_path):
    done = take("adam", adam(tmp_path, adsl=changed), tmp_path / "out")
    assert end_of(done)[0] == "death"
    assert pd.isna(end_of(done)[1])
    assert "S1" in said(done)


def test_a_full_date_of_any_source_is_the_time_of_a_death(tmp_path):
    changed = {"dm": row(DM, DTHFL="Y", DTHDTC="2023-09"), "ds": row(DS, DSDECOD="DEATH", DSSTDTC="2023-09-12")}
    done = take("sdtm", sdtm(tmp_path, **changed), tmp_path / "out")
    assert end_of(done)[1] == pytest.approx(195 / 30.4375, abs=1e-6)
    assert done.notes.empty


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"dm": row(DM, DTHFL="Y", DTHDTC="2023-09-02")}, "ds.csv: completed, 2023-09-01: death is taken"),
        ({"dm": row(DM, DTHFL="Y", DTHDTC="2023-09-02"), "ds": row(DS, DSDECOD="DEATH", DSSTDTC="2023-09-05")},
         "dm.csv: death, 2023-09-02: death is taken"),
        ({"dm": row(DM, DTHFL="Y", DTHDTC="2023-08"), "ds": row(DS, DSDECOD="DEATH", DSSTDTC="2023-09-05")},
         "dm.csv: death, 2023-08: death is taken"),
        ({"dm": row(DM, DTHFL="N", DTHDTC="2023-09-02"), "ds": None}, "N, beside a date of death: taken as a death"),
        ({"ds": row(DS, DSSTDTC="2023-06-15")}, "1 records after the patient's end: left out"),
        ({"dm": row(DM, DTHFL="Y", DTHDTC="2023-04")}, "2 records after the patient's end: left out"),
    ],
)  # fmt: skip
def test_contradictions_between_sources_are_said_with_the_patient(changed, words, tmp_path):
    done = take("sdtm", sdtm(tmp_path, ex=pd.DataFrame(EX).drop(index=1), **changed), tmp_path / "out")
    found = done.notes[done.notes["found"].str.contains(words, regex=False)]
    assert found["patient"].tolist() == ["S1"], said(done)


@pytest.mark.parametrize(
    ("form", "cells", "bounds"),
    [
        ("sdtm", {"AESTDTC": "2023-03"}, ["2023-03-01", "2023-03-31"]),
        ("sdtm", {"AESTDTC": "2023"}, ["2023-01-01", "2023-12-31"]),
        ("sdtm", {"AESTDTC": ""}, ["", ""]),
        ("sdtm", {"AESTDTC": "2024-02", "AESER": "N"}, ["2024-02-01", "2024-02-29"]),
        ("sdtm", {"AESTDTC": "2023-03", "AESER": "", "AESHOSP": "Y"}, ["2023-03-01", "2023-03-31"]),
        ("sdtm", {"AESTDTC": "2023-03", "AETERM": ""}, ["2023-03-01", "2023-03-31"]),
        ("adam", {"ASTDT": "", "AESTDTC": "2023-04"}, ["2023-04-01", "2023-04-30"]),
        ("adam", {"ASTDT": ""}, ["", ""]),
    ],
)
def test_an_event_without_a_full_date_is_kept_between_the_bounds_that_are_known(form, cells, bounds, tmp_path):
    events = row({"USUBJID": ["S1"], "DOMAIN": "AE", "AETERM": "Meningitis", "AESER": "Y"}, **cells)
    folder = sdtm(tmp_path, ae=events) if form == "sdtm" else adam(tmp_path, adae=events)
    done = take(form, folder, tmp_path / "out")
    assert done.trial.events["serious"].tolist() == [cells.get("AESER", "Y") != "N"]
    assert done.trial.events["month"].isna().all()
    written = pd.read_csv(tmp_path / "out" / "events.csv", dtype="str", keep_default_na=False).iloc[0]
    assert [written.get("earliest_date", ""), written.get("latest_date", "")] == bounds
    assert "S1" in said(done)


def test_what_is_lost_of_a_row_that_is_used_is_said_with_the_patient(tmp_path):
    done = take("sdtm", sdtm(tmp_path, dm=row(DM, DTHFL="Y", DTHDTC="2023-09")), tmp_path / "out")
    assert any(re.match(r"1 used in part, without the time of a death.*DTHDTC.*\(S1\)$", line) for line in done.reasons)


@pytest.mark.parametrize("days_", ["", "NA", "40000"])
def test_a_death_of_proact_without_a_possible_day_is_a_death(days_, tmp_path):
    scores = "subject_id,ALSFRS_Delta,ALSFRS_R_Total\n1,0,40\n1,60,38\n2,0,41\n"
    deaths = f"subject_id,Subject_Died,Death_Days\n1,Yes,{days_}\n2,No,\n"
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "ALSFRS.csv").write_text(scores)
    (folder / "DEATHDATA.csv").write_text(deaths)
    done = take("proact", folder, tmp_path / "out")
    assert done.trial.patients["end_reason"].fillna("").tolist() == ["death", ""]
    assert "Death_Days" in said(done)


def test_two_days_of_death_in_proact_are_a_death_at_an_unknown_time(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "ALSFRS.csv").write_text("subject_id,ALSFRS_Delta,ALSFRS_R_Total\n1,0,40\n")
    (folder / "DEATHDATA.csv").write_text("subject_id,Subject_Died,Death_Days\n1,Yes,100\n1,Yes,200\n")
    done = take("proact", folder, tmp_path / "out")
    assert done.trial.patients["end_reason"].tolist() == ["death"]
    assert "another day of death" in said(done)


TABLE = """Subject,Visit,Score,Fvc,End,Why,Event,Began,Ser
S1,2023-01-10,42,88,2023-09,death,,,
S1,2023-02-10,41,86,,,,,
S1,,,,,,Fall,2023-02,yes
S1,,,,,,Fever,,no
"""
MAPPING = {
    "patient": "Subject",
    "patients": {"end_date": "End", "end_reason": "Why"},
    "visits": {"date": "Visit", "alsfrsr": "Score", "fvc": "Fvc"},
    "events": {"date": "Began", "term": "Event", "serious": "Ser"},
}


def mapped(tmp_path, text=TABLE, file="t.csv", **more):
    (tmp_path / file).write_text(text)
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(MAPPING | more))
    return {"source": tmp_path / file, "destination": tmp_path / "out", "document": tmp_path / "m.yaml"}


def test_partial_dates_of_ends_and_events_in_a_spreadsheet_are_kept_for_what_they_say(tmp_path):
    done = take("table", **mapped(tmp_path))
    assert done.trial.patients["end_reason"].tolist() == ["death"]
    assert done.trial.events["month"].isna().tolist() == [True, True]
    written = pd.read_csv(tmp_path / "out" / "events.csv", dtype="str", keep_default_na=False)
    assert written[["earliest_date", "latest_date"]].to_numpy().tolist() == [["2023-02-01", "2023-02-28"], ["", ""]]


# ---- the end of a treatment ----


@pytest.mark.parametrize(
    ("cells", "codes"),
    [
        ({"DSSCAT": "STUDY TREATMENT"}, None),
        ({"DSSCAT": "Study Drug"}, None),
        ({"DSSCAT": "", "DSCAT": "TREATMENT DISPOSITION"}, None),
        ({"DSSCAT": "END OF STUDY MEDICATION"}, None),
        ({"DSSCAT": "INVESTIGATIONAL PRODUCT", "DSDECOD": "SPONSOR DECISION"}, None),
        ({"DSSCAT": "PART A"}, {"dispositions": {"PART A": "treatment"}}),
        ({"DSSCAT": "", "DSCAT": "PROTOCOL MILESTONE", "DSDECOD": "COMPLETED"}, None),
        ({"DSSCAT": "", "EPOCH": "SCREENING", "DSDECOD": "COMPLETED"}, None),
    ],
)
def test_the_end_of_a_treatment_is_not_the_end_of_a_patient(cells, codes, tmp_path):
    ds = row(DS, **({"DSDECOD": "ADVERSE EVENT", "DSSTDTC": "2023-04-10"} | cells))
    document = tmp_path / "codes.yaml"
    document.write_text(yaml.safe_dump(codes or {}))
    done = take("sdtm", sdtm(tmp_path, ds=ds), tmp_path / "out", document=document if codes else None)
    assert len(done.trial.visits) == 8
    assert done.trial.patients["end_reason"].fillna("").tolist() == ["", "completed"]
    assert re.search(r"1 left out: .*\(S1\)", said(done))


@pytest.mark.parametrize("subcategory", ["STUDY PARTICIPATION", "", "END OF STUDY", "STUDY COMPLETION"])
def test_the_end_of_participation_is(subcategory, tmp_path):
    ds = row(DS, DSDECOD="ADVERSE EVENT", DSSTDTC="2023-07-10", DSSCAT=subcategory)
    assert end_of(take("sdtm", sdtm(tmp_path, ds=ds), tmp_path / "out"))[0] == "withdrawal"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"EOTSTT": "DISCONTINUED", "DCTREAS": "ADVERSE EVENT"}, "completed"),
        ({"EOTSTT": "DISCONTINUED", "EOSSTT": "ONGOING", "EOSDT": ""}, "ongoing"),
        ({"EOTSTT": "DISCONTINUED", "EOSSTT": "", "EOSDT": ""}, ""),
    ],
)
def test_eotstt_is_not_eosstt(cells, reason, tmp_path):
    done = take("adam", adam(tmp_path, adsl=row(ADSL, **cells)), tmp_path / "out")
    assert done.trial.patients["end_reason"].fillna("").tolist()[0] == reason
    assert len(done.trial.visits) == 8


@pytest.mark.parametrize("code", ["DIED", "Subject deceased", "FATAL OUTCOME", "SPONSOR DECISION"])
def test_a_code_that_may_be_an_end_is_refused_and_the_remedy_works(code, tmp_path):
    folder = sdtm(tmp_path, ds=row(DS, DSDECOD=code))
    problems = refused("sdtm", folder, tmp_path / "out")
    assert problems[["file", "row", "patient", "column"]].values.tolist() == [["ds.csv", 2, "S1", "DSDECOD"]]
    assert f"add it under ends: in a code map: {code}:" in problems["remedy"][0]
    document = tmp_path / "codes.yaml"
    document.write_text(yaml.safe_dump({"ends": {code: "death", "COMPLETED": "completed"}}))
    assert end_of(take("sdtm", folder, tmp_path / "out", document=document))[0] == "death"


# ---- what a file states ----


def book(path, rows, formats=(), epoch=None):
    workbook = openpyxl.Workbook()
    if epoch:
        workbook.epoch = epoch
    for line in rows:
        workbook.active.append(line)
    for place, text in formats:
        workbook.active[place].number_format = text
    workbook.save(path)
    return path


HEAD = ["Subject", "Visit", "Score", "Fvc"]
ROWS = {"patient": "Subject", "visits": {"date": "Visit", "alsfrsr": "Score", "fvc": "Fvc"}}


def in_book(tmp_path, rows, dates="iso", **how):
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(ROWS))
    source = book(tmp_path / "t.xlsx", [HEAD, *rows], **how)
    return take("table", source, tmp_path / "out", document=tmp_path / "m.yaml", dates=dates).trial.visits


@pytest.mark.parametrize("text", ["0%", "0.0 %", "#,##0.00%;[Red]-0.00%", '0" of predicted "%'])
def test_cells_in_a_format_of_per_cent_are_read_as_they_are_shown(text, tmp_path):
    rows = [["S1", "2023-01-10", 42, 88], ["S1", "2023-02-10", 41, 0.865], ["S1", "2023-03-10", 40, 0.57]]
    visits = in_book(tmp_path, rows, formats=[("D3", text), ("D4", text)])
    assert visits["fvc"].tolist() == [88, 86.5, 57]


@pytest.mark.parametrize("text", ['0.0"%"', "0.0\\%", "General"])
def test_a_per_cent_sign_that_is_only_text_changes_nothing(text, tmp_path):
    assert in_book(tmp_path, [["S1", "2023-01-10", 42, 88]], formats=[("D2", text)])["fvc"].tolist() == [88]


@pytest.mark.parametrize(
    ("epoch", "numbers"),
    [(CALENDAR_MAC_1904, [43474, 43505]), (None, [44936, 44967]), (CALENDAR_MAC_1904, ["43474", 43505])],
)
def test_day_numbers_count_from_where_the_workbook_says(epoch, numbers, tmp_path):
    rows = [["S1", number, 42 - place, None] for place, number in enumerate(numbers)]
    assert in_book(tmp_path, rows, dates="excel", epoch=epoch)["month"].tolist() == pytest.approx([0, 31 / 30.4375])
    assert (tmp_path / "out" / "visits.csv").read_text().splitlines()[1].startswith("S1,2023-01-10")


def as_json(folder, shown, kind=int, zero="1960-01-01"):
    """Turn the datasets of a folder into Dataset-JSON with numbers for their dates."""
    for path in folder.glob("*.csv"):
        table = pd.read_csv(path, dtype="str", keep_default_na=False)
        dated = [name for name in table if name.endswith("DT")]
        for name in dated:
            numbers = (pd.to_datetime(table[name]) - pd.Timestamp(zero)).dt.days
            table[name] = [None if pd.isna(number) else kind(number) for number in numbers]
        columns = [
            {"name": name, "itemOID": name} | ({"displayFormat": shown} if shown and name in dated else {})
            for name in table
        ]
        rows = table.astype(object).to_numpy().tolist()
        path.with_suffix(".json").write_text(json.dumps({"name": path.stem.upper(), "columns": columns, "rows": rows}))
        path.unlink()
    return folder


@pytest.mark.parametrize(
    ("shown", "kind"),
    [
        ("DATE9.", int),
        ("E8601DA10.", int),
        ("yymmdd10.", int),
        ("DDMMYY8", float),
        ("DATETIME20.", lambda day: day * 86400),
    ],
)
def test_numbers_of_dataset_json_are_dates_where_their_format_says_so(shown, kind, tmp_path):
    done = take("adam", as_json(adam(tmp_path), shown, kind), tmp_path / "out")
    assert end_of(done)[1] == pytest.approx(184 / 30.4375)
    assert (tmp_path / "out" / "visits.csv").read_text().splitlines()[1].startswith("S1,2023-01-01,42")


def test_the_remedy_for_numbers_without_a_format_works_and_the_wrong_one_is_refused(tmp_path):
    folder = as_json(adam(tmp_path), None)
    problems = refused("adam", folder, tmp_path / "out")
    assert "--dates sas (1960)" in problems["found"].str.cat()
    wrong = refused("adam", folder, tmp_path / "out", dates="excel")
    assert "say --dates sas" in wrong["remedy"].str.cat() + wrong["found"].str.cat()
    assert len(take("adam", folder, tmp_path / "out", dates="sas").trial.visits) == 8


@pytest.mark.parametrize(
    ("cell", "how", "day"),
    [
        ("45000", Notation("excel"), "2023-03-15"),
        ("23084", Notation("sas"), "2023-03-15"),
        ("23084", Notation("excel"), ""),
        ("45000", Notation("sas"), ""),
        ("45000", Notation(), ""),
    ],
)
def test_day_numbers_need_their_day_0(cell, how, day):
    read, wrong = days(pd.Series([cell]), how)
    assert read[0] == day
    assert (wrong[0] == "") == (day != "")


# ---- datasets, flags, doses ----


@pytest.mark.parametrize(
    "parts",
    [
        {"qsals": QS},
        {"qsa": pd.DataFrame(QS)[:4], "qsb": pd.DataFrame(QS)[4:]},
        {"questionnaires": QS},
        {"als_export": pd.DataFrame(QS).drop(columns="DOMAIN")},
        {"ft": pd.DataFrame(QS).assign(DOMAIN="qs")},
        {"haven": pd.DataFrame(QS).rename(columns=str.lower)},
    ],
)
def test_datasets_are_known_by_their_domain_and_joined(parts, tmp_path):
    assert len(take("sdtm", sdtm(tmp_path, qs=None, **parts), tmp_path / "out").trial.visits) == 8


def test_a_folder_beside_the_datasets_is_named_where_they_do_not_suffice(tmp_path):
    source = sdtm(tmp_path)
    (source / "more").mkdir()
    (source / "qs.csv").rename(source / "more" / "qs.csv")
    with pytest.raises(RefusedError, match="more/: left alone, a folder"):
        take("sdtm", source, tmp_path / "out")


def test_supplementary_qualifiers_that_are_not_read_are_named(tmp_path):
    qualifiers = {"USUBJID": ["S1"], "RDOMAIN": "QS", "QNAM": "X", "QVAL": "1"}
    done = take("sdtm", sdtm(tmp_path, extra=qualifiers), tmp_path / "out")
    assert "extra.csv: left alone, SUPPQS: supplementary qualifiers" in said(done)


@pytest.mark.parametrize("flag", ["ANL01FL", "ANL02FL"])
def test_the_record_that_the_sponsor_chose_is_taken(flag, tmp_path):
    scores = added(pd.DataFrame(ADQS).assign(**{flag: "Y"}), AVAL="30", **{flag: ""})
    done = take("adam", adam(tmp_path, adqs=scores), tmp_path / "out")
    assert done.trial.visits["alsfrsr"].tolist() == [42, 41, 40, 39] * 2
    assert f"1 left out: another record of the same day is chosen by {flag} (S1)" in said(done)


def test_a_flag_decides_between_records_of_one_day_alone(tmp_path):
    scores = pd.DataFrame(ADQS).assign(ANL01FL=["Y", "", "Y", ""] * 2)
    assert len(take("adam", adam(tmp_path, adqs=scores), tmp_path / "out").trial.visits) == 8


def test_two_records_that_are_both_chosen_and_differ_are_left_out_with_the_patient(tmp_path):
    scores = added(pd.DataFrame(ADQS).assign(ANL01FL="Y"), AVAL="30")
    done = take("adam", adam(tmp_path, adqs=scores), tmp_path / "out")
    assert "2 left out: another alsfrsr on the same day differs (S1)" in said(done)


@pytest.mark.parametrize("form", ["sdtm", "adam"])
@pytest.mark.parametrize(("more", "dose"), [("60", 120), ("40", 100), ("", float("nan"))])
def test_doses_of_one_day_are_refused_and_added_up_as_the_remedy_says(form, more, dose, tmp_path):
    if form == "sdtm":
        folder = sdtm(tmp_path, ex=added(EX, EXDOSE=more))
    else:
        folder = adam(tmp_path, adex=added(ADEX, AVAL=more))
    problems = refused(form, folder, tmp_path / "out")
    assert problems["patient"].tolist() == ["S1"]
    assert "as in row 2" in problems["found"][0]
    assert "`same_day: add` under injections:" in problems["remedy"][0]
    document = tmp_path / "codes.yaml"
    shared = {"dose_units": {"10^6 Therapeutic Cells": 1}} if form == "sdtm" else {"codes": ["INJDOSE"]}
    document.write_text(yaml.safe_dump({"injections": shared | {"same_day": "add"}}))
    trial = take(form, folder, tmp_path / "out", document=document).trial
    assert len(trial.injections) == 3
    assert trial.injections["dose"].tolist() == pytest.approx([dose, 60, 60], nan_ok=True)


# ---- what is said when an import fails ----


def test_a_failed_import_prints_what_was_left_out_with_its_count(tmp_path):
    folder = sdtm(
        tmp_path, qs=pd.DataFrame(QS).assign(QSTESTCD="ALSX"), suppae={"USUBJID": ["S1"], "RDOMAIN": "AE", "QNAM": "X"}
    )
    with pytest.raises(ValueError, match="a header and no rows") as raised:
        take("sdtm", folder, tmp_path / "out")
    text = str(raised.value)
    assert "8 left out: QSTESTCD is not in the code map: ALSX (S1, S2)" in text
    assert "suppae.csv: left alone, SUPPAE" in text


EXPORT = """record_id,redcap_repeat_instrument,redcap_repeat_instance,sex,visit_day,score,inj_day,reason,end
7,,,1,,,,3,400
7,visit,1,,10,42,,,
7,visit,2,,40,41,,,
7,visit,3,,40,40,,,
7,visit,4,,500,40,,,
7,injection,1,,,,41,,
7,injection,2,,,,41,,
"""
REDCAP = {
    "patient": "record_id",
    "patients": {"sex": "sex", "end_reason": "reason", "end_day": "end"},
    "visits": {"instrument": "visit", "day": "visit_day", "alsfrsr": "score"},
    "injections": {"instrument": "injection", "day": "inj_day"},
    "codes": {"end_reason": {"3": "death"}},
}


def test_rows_columns_and_values_of_messages_are_those_of_the_source(tmp_path):
    (tmp_path / "e.csv").write_text(EXPORT)
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(REDCAP))
    problems = refused("redcap", tmp_path / "e.csv", tmp_path / "out", document=tmp_path / "m.yaml")
    lines = problems[["file", "row", "patient", "column", "found"]].astype(object).to_numpy().tolist()
    assert lines == [
        ["e.csv", 5, "7", "visit_day", "40 again, as in row 4"],
        ["e.csv", 6, "7", "visit_day", "500, after the patient's end (death)"],
        ["e.csv", 8, "7", "inj_day", "41 again, as in row 7"],
    ]
    assert "end 400 in row 2 of e.csv" in problems["remedy"][1]
    assert "delete" not in problems["remedy"].str.cat()


CODED = """record_id,date,score,fvc,inj
1,2023-01-10,42,88,
1,2023-02-10,41,-99,2023-02-11
2,2023-01-12,38,80,
2,2023-02-12,NASK,78,2023-02-13
2,UNK,36,77,
3,2023-02-12,999,78,
"""
CODES = {
    "patient": "record_id",
    "visits": {"date": "date", "alsfrsr": "score", "fvc": "fvc"},
    "injections": {"date": "inj"},
}


def test_codes_for_missing_values_are_refused_at_once_and_the_remedy_works(tmp_path):
    (tmp_path / "c.csv").write_text(CODED)
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(CODES))
    problems = refused("table", tmp_path / "c.csv", tmp_path / "out", document=tmp_path / "m.yaml")
    assert problems[["row", "patient"]].values.tolist() == [[3, "1"], [5, "2"], [6, "2"], [7, "3"]]
    for code in ("-99", "NASK", "UNK", "999"):
        assert f"`missing: [{code}]`" in problems["remedy"].str.cat()
    text = CODED.replace("2,UNK,36,77", "2,2023-03-12,UNK,77")
    (tmp_path / "c.csv").write_text(text)
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(CODES | {"missing": ["-99", "NASK", "UNK", "999"]}))
    visits = take("table", tmp_path / "c.csv", tmp_path / "out", document=tmp_path / "m.yaml").trial.visits
    assert visits[["alsfrsr", "fvc"]].isna().sum().tolist() == [3, 1]


BEFORE = "1,2023-01-10,42,88,\n1,2023-02-10,41,86,2023-02-11\n1,2023-03-10,40,85,\n"


@pytest.mark.parametrize(
    ("line", "more", "seen", "injected", "said"),
    [
        ("1,UNK,36,77,", {"missing": ["UNK"]}, 3, 1, "1 left out: values at a missing time: date UNK (1)"),
        ("1,UNK,36,77,", {"codes": {"date": {"UNK": ""}}}, 3, 1, "1 left out: values at a missing time: date UNK (1)"),
        ("1,9999-12-31,36,,", {"missing": ["9999-12-31"]}, 3, 1, "values at a missing time: date 9999-12-31 (1)"),
        ("1,2023-04-10,36,77,UNK", {"missing": ["UNK"]}, 4, 1, "part, without an injection at a missing time: inj UNK"),
    ],
)
def test_what_has_a_code_in_place_of_its_time_is_left_out_and_said(line, more, seen, injected, said, tmp_path):
    (tmp_path / "c.csv").write_text(f"record_id,date,score,fvc,inj\n{BEFORE}{line}\n")
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(CODES | more))
    done = take("table", tmp_path / "c.csv", tmp_path / "out", document=tmp_path / "m.yaml")
    assert (len(done.trial.visits), len(done.trial.injections)) == (seen, injected)
    assert said in "\n".join(done.reasons)


def test_a_form_whose_date_is_a_code_is_left_out_and_an_empty_date_refused(tmp_path):
    forms = [{"column": name, "outcome": outcome, "date_column": f"{name}_date"}
             for name, outcome in (("als", "alsfrsr"), ("fvc", "fvc"))]  # fmt: skip
    mapping = {"patient": "id", "wide": {"visits": forms}, "missing": ["UNK"], "injections": {"date": "inj"}}
    (tmp_path / "m.yaml").write_text(yaml.safe_dump(mapping))
    head = "id,als,als_date,fvc,fvc_date,inj\n1,40,2023-01-10,88,2023-01-10,2023-02-01\n"
    (tmp_path / "c.csv").write_text(head + "1,39,2023-03-10,86,UNK,\n")
    done = take("table", tmp_path / "c.csv", tmp_path / "out", document=tmp_path / "m.yaml")
    assert done.trial.visits["fvc"].isna().tolist() == [False, True]
    assert "without fvc at a missing time: fvc_date UNK (1)" in "\n".join(done.reasons)
    (tmp_path / "c.csv").write_text(head + "1,39,2023-03-10,86,,\n")
    problems = refused("table", tmp_path / "c.csv", tmp_path / "out2", document=tmp_path / "m.yaml")
    assert problems[["row", "column"]].values.tolist() == [[3, "fvc_date"]]


@pytest.mark.parametrize("column", ["Complete?", "Comments", "Date entered"])
def test_a_column_that_is_there_twice_is_refused_only_where_it_is_needed(column, tmp_path):
    text = f"Subject,Visit,Score,{column},Fvc,{column}\nS1,2023-01-10,42,x,88,y\nS1,2023-02-10,41,x,86,y\n"
    more = mapped(tmp_path, text, patients={}, events={})
    done = take("table", **more)
    assert done.trial.visits["fvc"].tolist() == [88, 86]
    assert f"column {column}: 2 of this name, none of them read" in "".join(done.ledger["reason"])
    problems = refused("table", tmp_path / "t.csv", tmp_path / "out2",
                       document=mapped(tmp_path, text, patients={"note": column}, events={})["document"])  # fmt: skip
    assert problems["found"].tolist() == ["2 columns of this name"]


def test_an_import_into_the_folder_that_one_is_in_is_refused(tmp_path, monkeypatch):
    folder = sdtm(tmp_path)
    monkeypatch.chdir(folder)
    with pytest.raises(ValueError, match="the folder that you are in"):
        take("sdtm", folder, folder.parent.__class__("."))

"""PRO-ACT: what its traps are turned into, and what of it is refused."""

import pandas as pd
import pytest
from sources import refused, take

from slopeshift.formats.export_proact import ITEM_COLUMNS

ALSFRS = [
    "subject_id",
    "ALSFRS_Delta",
    *ITEM_COLUMNS[:5],
    "Q5b_Cutting_with_Gastrostomy",
    *ITEM_COLUMNS[5:9],
    "Q10_Respiratory",
    *ITEM_COLUMNS[9:],
    "ALSFRS_Total",
    "ALSFRS_R_Total",
]
FULL = dict.fromkeys(ITEM_COLUMNS, "4")
FVC = [
    "subject_id",
    "Forced_Vital_Capacity_Delta",
    *(f"Subject_Liters_Trial_{i}" for i in (1, 2, 3)),
    *(f"pct_of_Normal_Trial_{i}" for i in (1, 2, 3)),
    "subject_normal",
]


def folder_of(folder, **tables):
    """Write tables, each a list of rows by column, under their names of the release of 2022."""
    folder.mkdir()
    for name, rows in tables.items():
        columns = {"ALSFRS": ALSFRS, "FVC": FVC}.get(name) or list(rows[0])
        table = pd.DataFrame(rows, columns=columns, dtype="str").fillna("")
        table.to_csv(folder / f"PROACT_{name}.csv", index=False)
    return folder


def score(day=0, total="40", subject="1", **cells):
    return {"subject_id": subject, "ALSFRS_Delta": str(day), "ALSFRS_R_Total": total, **cells}


def imported(tmp_path, **tables):
    done = take("proact", folder_of(tmp_path / "in", **tables), tmp_path / "out")
    return done.trial, done.ledger.set_index(["file", "row"])


def fate(ledger, table, row):
    return ledger.loc[(f"PROACT_{table}.csv", row), "reason"]


def test_days_become_months_of_30_4375_days(tmp_path):
    trial, _ = imported(tmp_path, ALSFRS=[score(0), score(365), score(-30)])
    assert trial.visits["month"].tolist() == pytest.approx([-30 / 30.4375, 0, 365 / 30.4375], abs=1e-6)
    assert trial.injections.empty


def test_a_record_of_the_older_scale_is_no_alsfrsr(tmp_path):
    old = dict.fromkeys(ITEM_COLUMNS[:9], "4") | {"Q10_Respiratory": "4", "ALSFRS_Total": "40"}
    trial, ledger = imported(tmp_path, ALSFRS=[score(0), score(30, total="", **old)])
    assert len(trial.visits) == 1
    assert "original ALSFRS" in fate(ledger, "ALSFRS", 3)


def test_items_make_the_total_where_it_is_missing_and_q10_is_not_one_of_them(tmp_path):
    trial, _ = imported(tmp_path, ALSFRS=[score(0, total="", **FULL, Q10_Respiratory="1")])
    assert trial.visits["alsfrsr"].tolist() == [48]


@pytest.mark.parametrize(
    ("total", "without", "with_tube", "kept"),
    [
        ("", "", "2", 46),
        ("", "2", "2", 46),
        ("46", "4", "2", 46),
        ("48", "4", "2", 48),
        ("", "4", "2", None),
        ("47", "4", "2", None),
    ],
)
def test_cutting_is_scored_with_or_without_a_tube_but_never_guessed(total, without, with_tube, kept, tmp_path):
    cells = FULL | {"Q5a_Cutting_without_Gastrostomy": without, "Q5b_Cutting_with_Gastrostomy": with_tube}
    trial, ledger = imported(tmp_path, ALSFRS=[score(0), score(30, total=total, **cells)])
    later = trial.visits.loc[trial.visits["month"] > 0, "alsfrsr"].tolist()
    assert later == ([] if kept is None else [kept])
    if kept is None:
        words = "sum of its items" if total else "Q5a and Q5b are both filled and differ"
        assert words in fate(ledger, "ALSFRS", 3)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"total": "41", **FULL}, "ALSFRS_R_Total is not the sum of its items"),
        ({"total": "49"}, "not a whole number from 0 to 48"),
        ({"total": "38.5"}, "not a whole number from 0 to 48"),
        ({"total": "44", **FULL, "Q1_Speech": "5"}, "an item is not a number from 0 to 4"),
        ({"total": "", **FULL, "Q8_Walking": ""}, "no ALSFRS_R_Total, and not all of its twelve items"),
        ({"day": ""}, "no ALSFRS_Delta"),
        ({"day": "20000"}, "more than 50 years"),
        ({"subject": ""}, "no subject_id"),
    ],
)
def test_a_record_that_cannot_be_used_is_listed_with_its_reason(cells, words, tmp_path):
    trial, ledger = imported(tmp_path, ALSFRS=[score(0), score(**({"day": 30} | cells))])
    assert len(trial.visits) == 1
    assert words in fate(ledger, "ALSFRS", 3)
    assert ledger.loc[("PROACT_ALSFRS.csv", 3), "fate"] == "left out"


def test_equal_records_of_a_day_count_once_and_different_ones_not_at_all(tmp_path):
    rows = [score(0), score(30, "39"), score(30, "39"), score(60, "38"), score(60, "37")]
    trial, ledger = imported(tmp_path, ALSFRS=rows)
    assert trial.visits["alsfrsr"].tolist() == [40, 39]
    assert fate(ledger, "ALSFRS", 4) == "the same ALSFRS-R on the same day as in row 3"
    assert fate(ledger, "ALSFRS", 5) == fate(ledger, "ALSFRS", 6) == "another ALSFRS-R on the same day differs"


def test_fvc_is_the_best_trial_and_comes_from_litres_where_no_per_cent_is_given(tmp_path):
    key = {"subject_id": "1", "Subject_Liters_Trial_1": "3", "Subject_Liters_Trial_2": "3.1", "subject_normal": "4"}
    delta = "Forced_Vital_Capacity_Delta"
    rows = [
        {**key, delta: "0", "pct_of_Normal_Trial_1": "70", "pct_of_Normal_Trial_3": "72.5"},
        {**key, delta: "30"},
        {**key, delta: "60", "subject_normal": "0"},
        {**key, delta: "90", "pct_of_Normal_Trial_1": "250"},
    ]
    trial, ledger = imported(tmp_path, FVC=rows)
    assert trial.visits["fvc"].tolist() == [72.5, 77.5]
    assert fate(ledger, "FVC", 4) == "no FVC in per cent, nor litres with subject_normal"
    assert fate(ledger, "FVC", 5) == "FVC in per cent is not a number from 0 to 200"


def test_both_scores_of_a_day_are_one_visit(tmp_path):
    fvc = {"subject_id": "1", "Forced_Vital_Capacity_Delta": "0", "pct_of_Normal_Trial_1": "80"}
    trial, _ = imported(tmp_path, ALSFRS=[score(0), score(30)], FVC=[fvc])
    assert trial.visits["alsfrsr"].tolist() == [40, 40]
    assert trial.visits["fvc"].count() == 1


def test_a_death_ends_the_course(tmp_path):
    deaths = [
        {"subject_id": "1", "Subject_Died": "Yes", "Death_Days": "45"},
        {"subject_id": "2", "Subject_Died": "Yes", "Death_Days": ""},
        {"subject_id": "3", "Subject_Died": "No", "Death_Days": ""},
    ]
    scores = [score(day, subject=subject) for subject in "123" for day in (0, 60)]
    trial, ledger = imported(tmp_path, ALSFRS=scores, DEATHDATA=deaths)
    assert trial.patients["end_reason"].fillna("").tolist() == ["death", "death", ""]
    assert trial.patients["end_month"].isna().tolist() == [False, True, True]
    assert fate(ledger, "ALSFRS", 3) == "after the patient's death"
    assert fate(ledger, "DEATHDATA", 3) == "patient (not used: no Death_Days)"
    assert "is not Yes" in fate(ledger, "DEATHDATA", 4)
    assert trial.patients["end_month"][0] == pytest.approx(45 / 30.4375, abs=1e-6)


def test_history_is_taken_where_it_does_not_contradict_itself(tmp_path):
    onset = [
        {"subject_id": "1", "Onset_Delta": "-300", "Site_of_Onset": "Onset: Bulbar", "Symptom": ""},
        {"subject_id": "1", "Onset_Delta": "", "Site_of_Onset": "", "Symptom": "WEAKNESS"},
        {"subject_id": "2", "Onset_Delta": "-300", "Site_of_Onset": "", "Symptom": ""},
        {"subject_id": "2", "Onset_Delta": "-200", "Site_of_Onset": "", "Symptom": ""},
        {"subject_id": "3", "Onset_Delta": "9", "Site_of_Onset": "", "Symptom": ""},
    ]
    people = [{"subject_id": "1", "Age": "61.5", "Sex": "Female"}, {"subject_id": "2", "Age": "999", "Sex": "Male"}]
    scores = [score(subject=subject) for subject in "123"]
    trial, ledger = imported(tmp_path, ALSFRS=scores, ALSHISTORY=onset, DEMOGRAPHICS=people)
    assert trial.patients["onset_month"].notna().tolist() == [True, False, False]
    assert trial.patients["onset_site"][0] == "Bulbar"
    assert trial.patients["age"][0] == 61.5
    assert fate(ledger, "DEMOGRAPHICS", 3) == "patient (not used: Age is not from 0 to 130)"
    assert "another Onset_Delta elsewhere" in fate(ledger, "ALSHISTORY", 4)
    assert fate(ledger, "ALSHISTORY", 6) == "Onset_Delta is after the first visit"
    assert "nothing in it" in fate(ledger, "ALSHISTORY", 3)


def test_the_site_of_onset_is_read_from_its_flags_too(tmp_path):
    history = [{"subject_id": "1", "Site_of_Onset___Limb": "1", "Site_of_Onset___Bulbar": ""}]
    trial, _ = imported(tmp_path, ALSFRS=[score()], ALSHISTORY=history)
    assert trial.patients["onset_site"].tolist() == ["Limb"]


@pytest.mark.parametrize(
    "name", ["PROACT_ALSFRS.csv", "alsfrs.csv", "F_PROACT_ALSFRS.csv", "proact_alsfrs.csv", "Alsfrs.tsv"]
)
def test_the_tables_are_known_by_the_names_of_every_release(name, tmp_path):
    folder = folder_of(tmp_path / "in", ALSFRS=[score()])
    (folder / "PROACT_ALSFRS.csv").rename(folder / name)
    if name.endswith("tsv"):
        (folder / name).write_text((folder / name).read_text().replace(",", "\t"))
    assert len(take("proact", folder, tmp_path / "out").trial.visits) == 1


def test_files_that_are_not_used_are_listed(tmp_path):
    folder = folder_of(tmp_path / "in", ALSFRS=[score()])
    for name in ("PROACT_SVC.csv", "PROACT_LABS.csv", "PROACT_ADVERSEEVENTS.csv", "notes.pdf"):
        (folder / name).write_text("subject_id\n1\n")
    ledger = take("proact", folder, tmp_path / "out").ledger
    whole = ledger[ledger["row"].isna()].set_index("file")["reason"]
    assert "another measurement than FVC" in whole["PROACT_SVC.csv"]
    assert "whether they were serious" in whole["PROACT_ADVERSEEVENTS.csv"]
    assert {"PROACT_LABS.csv", "notes.pdf"} < set(whole.index)


@pytest.mark.parametrize(
    ("broken", "file", "row", "column", "found", "remedy"),
    [
        ("no folder", "in", None, None, "no such folder", "give the folder with the tables"),
        ("no table", "in", None, None, "neither a table ALSFRS nor a table FVC", "PROACT_ALSFRS.csv"),
        ("two of a table", "alsfrs.csv", None, None, "the same table as PROACT_ALSFRS.csv", "keep one of them"),
        ("no subjects", "PROACT_ALSFRS.csv", 1, "subject_id", "no such column", "subject_id"),
        ("no days", "PROACT_ALSFRS.csv", 1, "ALSFRS_Delta", "no such column", "add the column ALSFRS_Delta"),
        ("a total in words", "PROACT_ALSFRS.csv", 2, "ALSFRS_R_Total", "'forty'", "write a number"),
        ("a day in words", "PROACT_ALSFRS.csv", 2, "ALSFRS_Delta", "'week 3'", "write a number"),
        ("nothing usable", "visits.csv", None, None, "a header and no rows", "add the rows"),
        ("a date of birth", "PROACT_DEMOGRAPHICS.csv", 1, "Date_of_Birth", "'birth'", "--drop-identifiers"),
    ],
)
def test_a_broken_release_is_refused(broken, file, row, column, found, remedy, tmp_path):
    folder = folder_of(tmp_path / "in", ALSFRS=[score()])
    table = folder / "PROACT_ALSFRS.csv"
    match broken:
        case "no folder":
            table.unlink()
            folder.rmdir()
        case "no table":
            table.unlink()
        case "two of a table":
            (folder / "alsfrs.csv").write_text(table.read_text())
        case "no subjects":
            table.write_text(table.read_text().replace("subject_id", "who"))
        case "no days":
            table.write_text(table.read_text().replace("ALSFRS_Delta", "visit"))
        case "a total in words":
            table.write_text(table.read_text().replace("40", "forty"))
        case "a day in words":
            table.write_text(table.read_text().replace("1,0,", "1,week 3,"))
        case "nothing usable":
            table.write_text(table.read_text().replace("40", "99"))
        case _:
            (folder / "PROACT_DEMOGRAPHICS.csv").write_text("subject_id,Date_of_Birth\n1,1950\n")
    problems = refused("proact", folder, tmp_path / "out").astype(object)
    first = problems.where(problems.notna(), None).to_dict("records")[0]
    assert first["file"].endswith(file)
    assert (first["row"], first["column"]) == (row, column)
    assert found in first["found"]
    assert remedy in first["remedy"]


def test_a_subject_of_two_arms_is_refused_by_name(tmp_path):
    arms = [{"subject_id": s, "Study_Arm": arm} for s, arm in (("1", "Active"), ("2", "Placebo"), ("1", "Placebo"))]
    folder = folder_of(tmp_path / "in", ALSFRS=[score(), score(subject="2")], TREATMENT=arms)
    problems = refused("proact", folder, tmp_path / "out")
    assert problems[["file", "row", "patient", "column", "found"]].to_numpy().tolist() == [
        ["PROACT_TREATMENT.csv", 2, "1", "Study_Arm", "'Active' and 'Placebo' of one patient"]
    ]


def test_percent_in_the_columns_of_litres_is_percent_where_the_unit_says_so(tmp_path):
    rows = [
        {"Subject_Liters_Trial_1": "81", "Forced_Vital_Capacity_Units": "Percent Predicted", "subject_normal": "4"},
        {"Subject_Liters_Trial_1": "3", "Forced_Vital_Capacity_Units": "Liters", "subject_normal": "4"},
        {"Subject_Liters_Trial_1": "3", "Forced_Vital_Capacity_Units": "", "subject_normal": "4"},
        {"Subject_Liters_Trial_1": "81", "Forced_Vital_Capacity_Units": "", "subject_normal": "4"},
    ]
    days = [{"subject_id": "1", "Forced_Vital_Capacity_Delta": str(30 * place)} for place in range(len(rows))]
    folder = folder_of(tmp_path / "in", ALSFRS=[score()])
    pd.DataFrame([day | row for day, row in zip(days, rows, strict=True)]).to_csv(
        folder / "PROACT_FVC.csv", index=False
    )
    done = take("proact", folder, tmp_path / "out")
    assert done.trial.visits["fvc"].tolist() == [81, 75, 75]
    assert "FVC in per cent is not a number from 0 to 200 (1)" in "".join(done.reasons)


@pytest.mark.parametrize("births", [["-21915", "-20454"], ["21915", ""], ["", ""]])
def test_days_of_birth_identify_nobody(births, tmp_path):
    people = [{"subject_id": str(i), "Age": "60", "Date_of_Birth": day} for i, day in enumerate(births, start=1)]
    trial, _ = imported(tmp_path, ALSFRS=[score(), score(subject="2")], DEMOGRAPHICS=people)
    assert trial.patients["age"].tolist() == [60, 60]


def test_items_are_kept_beside_the_total(tmp_path):
    items = FULL | {ITEM_COLUMNS[4]: "3", "Q5b_Cutting_with_Gastrostomy": "1"}
    rows = [score(0, "48", **FULL), score(30, "45", **items), score(60, "40")]
    trial, _ = imported(tmp_path, ALSFRS=rows)
    written = pd.read_csv(tmp_path / "out" / "visits.csv")
    assert written["alsfrsr_5"].fillna(-1).tolist() == [4, 1, -1]
    assert trial.visits["alsfrsr"].tolist() == [48, 45, 40]

"""CDISC sources as sponsors write them: flags in other cases, imputed dates, statuses, units, ends of epochs."""

import pandas as pd
import pytest
import yaml
from sources import refused, take
from test_formats_kinds import ADEX, ADQS, ADSL, DM, DS, EX, QS, SEEN, adam, added, end_of, row, said, sdtm

STATUS = {
    "USUBJID": ["S1", "S2"],
    "DOMAIN": "SS",
    "SSTESTCD": "SURVSTAT",
    "SSSTRESC": ["DEAD", "ALIVE"],
    "SSDTC": "2023-09-20",
}
SEPSIS = {"USUBJID": ["S1"], "AETERM": "Sepsis", "AESER": "Y"}


@pytest.mark.parametrize(
    ("form", "changed"),
    [
        ("sdtm", {"dm": row(DM, DTHFL="y")}),
        ("sdtm", {"dm": row(DM, DTHFL="Yes", DTHDTC="2023-09")}),
        ("sdtm", {"dm": row(DM, DTHDTC="2023-09-UN")}),
        ("sdtm", {"dm": row(DM, DTHDTC="UNK")}),
        ("sdtm", {"ss": STATUS}),
        ("sdtm", {"ds": row(DS, DSDECOD="", DSTERM="DEATH", DSSTDTC="2023-09")}),
        ("sdtm", {"ae": SEPSIS | {"DOMAIN": "AE", "AESDTH": "yes", "AESTDTC": "2023-08-01"}}),
        ("adam", {"adsl": row(ADSL, DTHFL="Y", DTHDT="2023-09-15", DTHDTF="D")}),
        ("adam", {"adsl": row(ADSL, DTHDT="2023-07-01", DTHDTF="M")}),
        ("adam", {"adsl": row(ADSL, DTHCAUS="RESPIRATORY FAILURE")}),
    ],
)
def test_a_death_is_kept_however_it_is_written(form, changed, tmp_path):
    folder = sdtm(tmp_path, **changed) if form == "sdtm" else adam(tmp_path, **changed)
    done = take(form, folder, tmp_path / "out")
    assert end_of(done)[0] == "death"
    assert pd.isna(end_of(done)[1])
    assert end_of(done, "S2")[0] != "death"
    assert "S1" in said(done)


def test_a_flag_that_is_neither_yes_nor_no_is_refused(tmp_path):
    problems = refused("sdtm", sdtm(tmp_path, dm=row(DM, DTHFL="U")), tmp_path / "out")
    assert problems[["file", "row", "patient", "column", "found"]].to_numpy().tolist() == [
        ["dm.csv", 2, "S1", "DTHFL", "'U'"]
    ]


def test_a_death_in_words_beside_another_code_is_said(tmp_path):
    done = take("sdtm", sdtm(tmp_path, ds=row(DS, DSTERM="Died at home")), tmp_path / "out")
    assert "'Died at home', beside DSDECOD 'COMPLETED'" in said(done)


@pytest.mark.parametrize("flag", ["Y", "y", "Yes", "1"])
def test_a_serious_event_is_serious_however_it_is_written(flag, tmp_path):
    events = SEPSIS | {"DOMAIN": "AE", "AESER": flag, "AESTDTC": "2023-03"}
    assert take("sdtm", sdtm(tmp_path, ae=events), tmp_path / "out").trial.events["serious"].tolist() == [True]


@pytest.mark.parametrize(
    ("level", "bounds"), [("D", ["2023-04-01", "2023-04-30"]), ("M", ["2023-01-01", "2023-12-31"]), ("Y", ["", ""])]
)
def test_an_imputed_date_is_no_date(level, bounds, tmp_path):
    folder = adam(tmp_path, adae=SEPSIS | {"ASTDT": "2023-04-01", "ASTDTF": level})
    take("adam", folder, tmp_path / "out")
    written = pd.read_csv(tmp_path / "out" / "events.csv", dtype="str", keep_default_na=False).iloc[0]
    assert [written["date"], written.get("earliest_date", ""), written.get("latest_date", "")] == ["", *bounds]


def test_a_score_of_an_imputed_date_is_left_out_and_such_an_injection_refused(tmp_path):
    done = take("adam", adam(tmp_path, adqs=row(ADQS, ADTF="D")), tmp_path / "out")
    assert "1 left out: ADT was imputed (ADTF D) (S1)" in done.reasons
    (tmp_path / "again").mkdir()
    problems = refused("adam", adam(tmp_path / "again", adex=row(ADEX, ADTF="D")), tmp_path / "out2")
    assert problems["found"].tolist() == ["ADT was imputed (ADTF D)"]


@pytest.mark.parametrize("code", ["ADVERSE EVENT", "WITHDRAWAL BY SUBJECT", "COMPLETED"])
def test_the_end_of_an_epoch_before_later_scores_is_not_the_end_of_a_patient(code, tmp_path):
    ds = row(DS, DSDECOD=code, DSSCAT="", EPOCH="TREATMENT", DSSTDTC="2023-04-10")
    done = take("sdtm", sdtm(tmp_path, ds=ds), tmp_path / "out")
    assert pd.isna(end_of(done)[0])
    assert len(done.trial.visits) == 8
    assert "1 left out: the end of an epoch, not of the patient: EPOCH TREATMENT (S1)" in done.reasons


def test_the_end_of_the_last_epoch_is(tmp_path):
    ds = row(DS, DSDECOD="ADVERSE EVENT", DSSCAT="", EPOCH="TREATMENT", DSSTDTC="2023-07-10")
    assert end_of(take("sdtm", sdtm(tmp_path, ds=ds), tmp_path / "out"))[0] == "withdrawal"


@pytest.mark.parametrize(("scope", "kept"), [("treatment", 8), ("study", 6)])
def test_an_end_of_something_unknown_is_refused_and_the_remedy_works(scope, kept, tmp_path):
    ds, ex = row(DS, DSDECOD="ADVERSE EVENT", DSSCAT="MSC-NTF", DSSTDTC="2023-04-10"), pd.DataFrame(EX).drop(index=1)
    folder = sdtm(tmp_path, ds=ds, ex=ex)
    problems = refused("sdtm", folder, tmp_path / "out")
    assert problems[["file", "row", "patient", "column"]].to_numpy().tolist() == [["ds.csv", 2, "S1", "DSSCAT"]]
    assert "`MSC-NTF: study` or `treatment`" in problems["remedy"][0]
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"dispositions": {"MSC-NTF": scope}}))
    done = take("sdtm", folder, tmp_path / "out", document=tmp_path / "c.yaml")
    assert len(done.trial.visits) == kept


def test_what_is_after_an_end_names_the_record_of_the_end(tmp_path):
    ds = pd.DataFrame(DS).iloc[::-1].assign(DSDECOD="ADVERSE EVENT", DSSTDTC=["2023-09-01", "2023-04-10"])
    problems = refused("sdtm", sdtm(tmp_path, ds=ds), tmp_path / "out")
    assert "DSSTDTC 2023-04-10 in row 3 of ds.csv" in problems["remedy"].str.cat()


LITRES = {
    "USUBJID": ["S1"] * 3,
    "DOMAIN": "RE",
    "RETESTCD": "FVCPP",
    "RESTRESN": ["8.5", "84", "82"],
    "REDTC": SEEN[:3],
}
SHARE = {"USUBJID": ["S1"] * 3, "PARAMCD": "FVCPP", "AVAL": ["9", "84", "82"], "ADT": SEEN[:3]}


@pytest.mark.parametrize(
    ("form", "changed", "place"),
    [
        ("sdtm", {"re": LITRES | {"RESTRESU": ["L", "%", "%"]}}, ["re.csv", 2, "S1", "RESTRESU"]),
        ("adam", {"adpft": SHARE | {"AVALU": ["mL", "% predicted", "PERCENT"]}}, ["adpft.csv", 2, "S1", "AVALU"]),
        (
            "adam",
            {"adpft": SHARE | {"PARAM": ["FVC (L)", "FVC (%)", "FVC, % of predicted"]}},
            ["adpft.csv", 2, "S1", "PARAM"],
        ),
    ],
)
def test_a_unit_that_is_stated_and_is_not_per_cent_is_refused(form, changed, place, tmp_path):
    folder = sdtm(tmp_path, **changed) if form == "sdtm" else adam(tmp_path, **changed)
    problems = refused(form, folder, tmp_path / "out")
    assert problems[["file", "row", "patient", "column"]].to_numpy().tolist() == [place]


EMPTY = {"ds": DS, "ex": EX, "ae": SEPSIS | {"DOMAIN": "AE", "AEOUT": "", "AESTDTC": ""}, "ss": STATUS, "re": LITRES}


@pytest.mark.parametrize("name", list(EMPTY))
def test_a_dataset_of_a_header_alone_says_nothing(name, tmp_path):
    folder = sdtm(tmp_path, **{name: pd.DataFrame(EMPTY[name]).iloc[:0]})
    assert len(take("sdtm", folder, tmp_path / "out").trial.visits) == len(QS["QSDTC"])


def test_two_deaths_of_one_patient_are_one_and_said(tmp_path):
    ds = added(row(DS, DSDECOD="DEATH", DSSTDTC="2023-09-12"), DSSTDTC="2023-09-20")
    done = take("sdtm", sdtm(tmp_path, ds=ds), tmp_path / "out")
    assert end_of(done)[0] == "death"
    assert "ds.csv: death, 2023-09-12; ds.csv: death, 2023-09-20" in said(done)

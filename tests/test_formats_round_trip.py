"""Export, then import: the same trial, for every format, in months and in dates."""

import pandas as pd
import pytest
from sources import FORMATS, SYNTHETIC, exported, small_trial, take, with_dates
from trials import ROOT

from slopeshift.formats.export import export_trial
from slopeshift.formats.source import read_source
from slopeshift.trial import TrialError, read_trial

HALF_A_DAY = 0.5 / 30.4375 + 1e-6
TABLES = ("patients", "visits", "injections", "events")
NOT_CARRIED = {
    "proact": {
        "patients": {"end_month", "end_reason"},
        "injections": {"patient", "injection", "month", "dose", "route", "planned_month"},
        "events": {"patient", "month", "term", "serious", "grade", "related"},
    },
    "sdtm": {"injections": {"planned_month"}},
    "adam": {"injections": {"planned_month"}},
    "redcap": {},
    "table": {},
}


@pytest.fixture(params=["months", "dates"], scope="module")
def trial(request, tmp_path_factory):
    if request.param == "months":
        return SYNTHETIC
    return with_dates(SYNTHETIC, tmp_path_factory.mktemp("dates") / "trial")


@pytest.mark.parametrize("form", FORMATS)
def test_a_trial_comes_back_as_it_went(form, trial, tmp_path):
    before, tolerance = read_trial(trial), 1e-6  # months of days are written to a millionth
    if form in ("proact", "sdtm", "adam") and "date" not in (trial / "visits.csv").read_text().partition("\n")[0]:
        tolerance = HALF_A_DAY  # these formats count whole days
    after = take(form, destination=tmp_path / "back", **exported(form, trial, tmp_path / "out")).trial
    for name in TABLES:
        gone = NOT_CARRIED[form].get(name, set())
        left, right = getattr(before, name).drop(columns=list(gone)), getattr(after, name)
        if left.columns.empty:
            assert right.empty
            continue
        assert set(left.columns) == set(right.columns) - gone
        pd.testing.assert_frame_equal(left, right[list(left.columns)], check_exact=False, rtol=0, atol=tolerance)


@pytest.mark.parametrize("form", FORMATS)
def test_what_a_format_has_no_place_for_is_named(form, tmp_path):
    expected = {f"{table}.{column}" for table, gone in NOT_CARRIED[form].items() for column in gone}
    assert set(export_trial(form, SYNTHETIC, tmp_path / "out")) == expected


@pytest.mark.parametrize("form", FORMATS)
def test_importing_twice_gives_the_same_bytes(form, tmp_path):
    source = exported(form, small_trial(tmp_path / "small"), tmp_path / "out")
    take(form, destination=tmp_path / "a" / "same", **source)
    take(form, destination=tmp_path / "b" / "same", **source)
    first = {path.name: path.read_bytes() for path in (tmp_path / "a" / "same").iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "b" / "same").iterdir()}
    assert set(first) >= {"patients.csv", "visits.csv", "injections.csv", "trial.toml", "import.log"}


@pytest.mark.parametrize("form", FORMATS)
def test_every_source_row_is_in_the_ledger_once(form, tmp_path):
    source = exported(form, small_trial(tmp_path / "small"), tmp_path / "out")
    ledger = take(form, destination=tmp_path / "back", **source).ledger
    rows = ledger.dropna(subset="row")
    assert not rows.duplicated(["file", "row"]).any()
    for file, lines in rows.groupby("file"):
        path = source["source"] if source["source"].is_file() else source["source"] / file
        read, _ = read_source(path)
        assert sorted(lines["row"]) == list(range(2, read.rows + 2))
    assert (rows["reason"] != "").all()
    assert set(rows["fate"]) <= {"used", "left out"}


def test_two_visits_of_one_day_are_not_written_in_a_format_of_whole_days(tmp_path):
    trial = small_trial(tmp_path / "small")
    (trial / "visits.csv").write_text("patient,month,alsfrsr\nA1,0.00,40\nA1,0.01,41\n")
    with pytest.raises(TrialError, match="two records on one whole day"):
        export_trial("sdtm", trial, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_export_does_not_overwrite(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(TrialError, match="a folder that is not empty"):
        export_trial("table", SYNTHETIC, tmp_path / "out")


@pytest.mark.parametrize("form", ["sdtm", "adam", "redcap", "table"])
def test_arms_and_what_was_injected_come_back(form, tmp_path):
    controlled = ROOT / "data/synthetic-rct-als"
    before = read_trial(controlled)
    after = take(form, destination=tmp_path / "back", **exported(form, controlled, tmp_path / "out")).trial
    assert after.patients["arm"].tolist() == before.patients["arm"].tolist()
    assert after.injections["agent"].tolist() == before.injections["agent"].tolist()
    assert after.injections["dose"].isna().tolist() == (before.injections["agent"] == "placebo").tolist()
    assert after.arms is None  # which arm is the control, and whether anything was randomised, no source says

"""Whole sources, changed as people's exports differ, from the import to the report: an answer, or a refusal in words.

What happened to patients is known here, so that nothing of it can be lost without a word: deaths, serious events,
injections and scores are in the trial that is made, or the console says what was left out and of whom.
"""

import importlib
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sources import datasets_as_csv, exported, take, with_dates
from trials import ROOT, line_trial
from typer.testing import CliRunner

from slopeshift.cli import app
from slopeshift.trial import TrialError, read_trial

FORMS = ("sdtm", "adam", "redcap", "table")
DAY = re.compile(r"\d{4}-\d\d-\d\d")
ENCODINGS = ("utf-8-sig", "utf-16", "cp1252")
DIED, SERIOUS = {"P2"}, {("P1", "Pneumonie à frigore"), ("P3", "Sepsis")}
QUICK = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """One trial of six patients in every form, as CSV: with a death, serious events, and FVC in per cent."""
    base = tmp_path_factory.mktemp("whole")
    trial, native = line_trial(patients=6), base / "native"
    native.mkdir()
    visits = trial.visits.assign(month=trial.visits["month"].map("{:g}".format))
    visits.assign(fvc=(visits["alsfrsr"] + 45).map("{:g}".format)).to_csv(native / "visits.csv", index=False)
    trial.injections.to_csv(native / "injections.csv", index=False)
    ends = pd.DataFrame({"patient": trial.patients["patient"], "end_month": "", "end_reason": ""})
    ends.loc[ends["patient"] == "P2", ["end_month", "end_reason"]] = ["9", "death"]
    ends.to_csv(native / "patients.csv", index=False)
    events = [(patient, "1", term, "yes") for patient, term in sorted(SERIOUS)] + [("P4", "2", "Headache", "no")]
    pd.DataFrame(events, columns=["patient", "month", "term", "serious"]).to_csv(native / "events.csv", index=False)
    (native / "trial.toml").write_text('title = "Whole"\nsynthetic = true\nsource = "made up"\n')
    dated = with_dates(native, base / "dated")
    for form in FORMS:
        exported(form, dated, base / form)
        datasets_as_csv(base / form)
    return base, read_trial(dated)


@pytest.fixture(scope="module")
def sampler():
    """Load what samples beforehand: PyMC raises the recursion limit, which hypothesis takes amiss in a test."""
    return importlib.import_module("pymc")


def changed(data, path):
    """Change one file of a source in one way, and write it."""
    table = pd.read_csv(path, dtype="str", keep_default_na=False)
    kind = data.draw(st.sampled_from(["dates", "units", "column", "split", "encoding", "order"]))
    encoding = "utf-8"
    match kind:
        case "dates":
            column = data.draw(st.sampled_from(list(table.columns)))
            rows = data.draw(st.lists(st.integers(0, len(table) - 1), min_size=1, max_size=3))
            length = data.draw(st.sampled_from([0, 4, 7]))
            cells = [
                cell[:length] if place in rows and DAY.fullmatch(cell) else cell
                for place, cell in enumerate(table[column])
            ]
            table[column] = cells
        case "units":
            table = table.map(lambda cell: cell)
            subject = data.draw(st.sampled_from([f"P{i}" for i in range(1, 7)]))
            mine = (table == subject).any(axis=1)
            for column in [name for name in table if name.casefold() in ("fvc", "aval", "restresn")]:
                fvc = mine & ((table.get("PARAMCD", "FVCPP") == "FVCPP") if column == "AVAL" else True)
                table.loc[fvc, column] = [f"{float(cell) / 25:.2f}" if cell else "" for cell in table.loc[fvc, column]]
        case "column":
            name = data.draw(st.sampled_from(list(table.columns)))
            table = pd.concat([table, table[[name]]], axis=1)
        case "split" if path.stem in ("qs", "ae", "ex", "ds", "adqs"):
            half = len(table) // 2
            table.iloc[half:].to_csv(path.with_name(f"{path.stem}b.csv"), index=False)
            table = table.iloc[:half]
        case "encoding":
            encoding = data.draw(st.sampled_from(ENCODINGS))
        case _:
            table = table.iloc[::-1]
    table.to_csv(path, index=False, encoding=encoding)


def source_of(data, originals, form, place):
    """Copy a source and change it; return it with its mapping, if it has one."""
    folder = Path(shutil.copytree(originals[0] / form, Path(place) / "in"))
    files = sorted(folder.glob("*.csv"))
    for path in dict.fromkeys(data.draw(st.sampled_from(files)) for _ in range(data.draw(st.integers(1, 2)))):
        changed(data, path)
    single = form in ("redcap", "table")
    return (folder / f"{form}.csv" if single else folder), (folder / "mapping.yaml" if single else None)


def nothing_is_lost(done, truth):
    """Compare what was imported with what happened; what is not there has to be said."""
    trial, said = done.trial, "\n".join(done.reasons)
    dead = set(trial.patients.loc[trial.patients.get("end_reason") == "death", "patient"])
    assert dead == DIED
    serious = trial.events[trial.events["serious"]]
    assert set(zip(serious["patient"], serious["term"], strict=True)) == SERIOUS
    keys = ["patient", "injection"]
    pd.testing.assert_frame_equal(trial.injections[keys], truth.injections[keys])
    for outcome in ("alsfrsr", "fvc"):
        before, after = truth.visits, trial.visits
        counts = before.groupby("patient")[outcome].count().sub(after.groupby("patient")[outcome].count(), fill_value=0)
        for patient in counts.index[counts != 0]:
            assert re.search(rf"left out: .*\b{patient}\b", said), (outcome, patient, said)
        if counts.eq(0).all():
            assert sorted(after[outcome]) == sorted(before[outcome])


def in_words(problems):
    assert len(problems)
    assert problems[["found", "remedy"]].map(lambda text: len(text) > 2).all(axis=None)


def imported(data, originals, form, place):
    """Import a changed source and compare it with the truth; None where it is refused with reasons."""
    source, document = source_of(data, originals, form, place)
    try:
        done = take(form, source, Path(place) / "out", document=document)
    except TrialError as error:
        in_words(error.problems)
        return None
    nothing_is_lost(done, originals[1])
    return Path(place) / "out"


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=5, **QUICK)
@given(data=st.data())
def test_a_changed_source_is_refused_in_words_or_loses_nothing_without_a_word(form, originals, data):
    with TemporaryDirectory() as place:
        imported(data, originals, form, place)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=100, **QUICK)
@given(data=st.data())
def test_no_change_of_many_loses_anything_without_a_word(form, originals, data):
    with TemporaryDirectory() as place:
        imported(data, originals, form, place)


def run(*arguments):
    """Run a command; it ends in a status of its own, in words, and never in a traceback."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code in (0, 1, 3), (done.exit_code, done.stderr)
    assert "Traceback" not in done.output
    return done


def reported(trial, place):
    """Check, fit and report a trial with one model and few draws; the report is there where the status says so."""
    models = Path(place) / "models"
    models.mkdir()
    shutil.copy(ROOT / "models" / "alsfrsr.py", models)
    assert run("check", trial).exit_code == 0
    where = ("--models", models, "--fits", Path(place) / "fits")
    fitted = run("fit", trial, *where, "--draws", 100, "--tune", 100, "--chains", 2, "--seed", 1)
    done = run("report", trial, *where, "--out", Path(place) / "report")
    # So few draws may fail their gate: the report is written all the same, without an effect.
    assert done.exit_code == fitted.exit_code != 1, (fitted.output, done.output)
    page = (Path(place) / "report" / "index.html").read_text()
    assert len(page) > 10_000


@settings(max_examples=1, **QUICK)
@given(data=st.data())
def test_a_changed_source_becomes_a_report_or_is_refused(originals, sampler, data):
    with TemporaryDirectory() as place:
        if trial := imported(data, originals, "sdtm", place):
            reported(trial, place)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=8, **QUICK)
@given(data=st.data())
def test_every_changed_source_becomes_a_report_or_is_refused(form, originals, sampler, data):
    with TemporaryDirectory() as place:
        if trial := imported(data, originals, form, place):
            reported(trial, place)

"""A control: read and refused at the door, its mean slope, and the prior that is made of it."""

import math
import shutil

import numpy as np
import pandas as pd
import pytest
from trials import ROOT, line_trial

from slopeshift.answers.control import control_table
from slopeshift.model import control
from slopeshift.model.control import from_control, means
from slopeshift.model.files import load_model
from slopeshift.model.priors import Normal
from slopeshift.model.stated import statement
from slopeshift.report.sections.limitations import of_trial
from slopeshift.trial import TrialError, read_trial, trial_from_tables

SETTINGS = 'title = "T"\nsynthetic = {synthetic}\nsource = "made up"\n'
THERE, ONE = '[control]\nsource = "../history"\n', "between_study_sd = { alsfrsr = 1 }\n"
CONTROL = '[control]\nsource = "../history"\nbetween_study_sd = {{ {spread} }}\n'


def folder_of(tables, path, extra="", synthetic="true"):
    path.mkdir()
    for name, table in tables.items():
        table.to_csv(path / f"{name}.csv", index=False)
    (path / "trial.toml").write_text(SETTINGS.format(synthetic=synthetic) + extra)
    return path


def tables_of(trial):
    return {name: getattr(trial, name) for name in ("patients", "visits", "injections")}


@pytest.fixture
def pair(tmp_path):
    """A treated trial beside a natural history; returns a function that writes the first with its settings."""
    folder_of(tables_of(line_trial(patients=40, injections=0, seed=3)), tmp_path / "history")

    def write(spread="alsfrsr = 0.15", extra=None, synthetic="true"):
        control = CONTROL.format(spread=spread) if extra is None else extra
        return folder_of(tables_of(line_trial(seed=1)), tmp_path / "mine", control, synthetic)

    return write


# ---- the estimate ----


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_mean_slope_is_that_of_a_mixed_model_by_restricted_likelihood(seed):
    trial = line_trial(patients=60, injections=0, seed=seed)
    rows = trial.natural_history("alsfrsr")
    rows = rows[np.random.default_rng(seed).random(len(rows)) < 0.8]
    uneven = trial_from_tables(
        "uneven", tables_of(trial) | {"visits": rows}, {"title": "T", "synthetic": True, "source": "test"}
    )
    import statsmodels.formula.api as smf

    theirs = smf.mixedlm("alsfrsr ~ month", rows, groups=rows["patient"], re_formula="~month").fit(
        reml=True, method="powell"
    )
    ours = means(uneven, "alsfrsr")["slope"]
    assert ours.mean == pytest.approx(theirs.fe_params["month"], abs=2e-4)
    assert ours.standard_error == pytest.approx(theirs.bse_fe["month"], rel=5e-3)
    assert (ours.patients, ours.values) == (rows["patient"].nunique(), len(rows))


def test_only_values_before_an_injection_are_natural_history():
    trial = line_trial(patients=6, injections=2)
    rows = trial.natural_history("alsfrsr")
    treated = rows["patient"] != "P6"
    assert (rows.loc[treated, "month"] <= 0).all()
    assert len(rows[~treated]) == (trial.visits["patient"] == "P6").sum()


def test_patients_without_spread_are_no_obstacle():
    visits = [(f"P{i}", month, 40.0 - month + (i + month) % 2) for i in range(12) for month in range(4)]
    tables = {
        "patients": pd.DataFrame({"patient": [f"P{i}" for i in range(12)]}),
        "visits": pd.DataFrame(visits, columns=["patient", "month", "alsfrsr"]),
        "injections": pd.DataFrame(columns=["patient", "injection", "month"]),
    }
    trial = trial_from_tables("same", tables, {"title": "T", "synthetic": True, "source": "test"})
    assert means(trial, "alsfrsr")["slope"].mean == pytest.approx(-1, abs=0.3)


@pytest.mark.parametrize("search", ["_SEARCH", "_POLISH"])
def test_an_estimate_that_did_not_converge_is_refused(monkeypatch, search):
    """Both searches stopped early; or the second alone, far from where the first should have led it."""
    monkeypatch.setattr(control, "_POLISH", control._POLISH | {"maxiter": 1})
    monkeypatch.setattr(control, search, getattr(control, search) | {"maxiter": 1})
    with pytest.raises(ValueError, match=r"12 patients and \d+ values did not converge .*; give a control with more"):
        means(line_trial(patients=12, injections=0, seed=3), "alsfrsr")["slope"]


# ---- the prior ----


def test_without_a_control_the_prior_is_that_of_the_model():
    assert from_control(line_trial(), "alsfrsr", Normal(-1, 0.4)) == Normal(-1, 0.4)


def test_the_prior_adds_what_studies_differ_by(pair):
    trial = read_trial(pair())
    slope = means(trial.control.trial, "alsfrsr")["slope"]
    prior = from_control(trial, "alsfrsr", Normal(5, 5))
    assert prior.mean == slope.mean
    assert prior.sd == pytest.approx(math.sqrt(slope.standard_error**2 + 0.15**2))
    assert from_control(trial, "fvc", Normal(5, 5)) == Normal(5, 5)


def test_a_prior_says_that_it_comes_from_the_control_only_where_it_does(pair):
    trial, own = read_trial(pair()), Normal(5, 5, unit="points/month", why="a guess", basis="weak")
    taken, kept = from_control(trial, "alsfrsr", own), from_control(trial, "fvc", own)
    assert (kept.why, kept.basis, kept.source) == ("a guess", "weak", "model file")
    assert (taken.unit, taken.basis, taken.source) == ("points/month", "historical", "the trial's control")
    assert "40 patients of ../history" in taken.why
    rows = statement(load_model(ROOT / "models" / "alsfrsr.py").build(trial)).priors
    (slope,) = [row for row in rows if row["name"] == "slope"]
    assert slope["numbers"] == {"mean": taken.mean, "sd": taken.sd}
    assert "40 patients of ../history" in slope["why"]


def test_the_model_takes_its_slope_from_the_control(pair):
    model = load_model(ROOT / "models" / "alsfrsr.py")
    trial = read_trial(pair("alsfrsr = 0.001"))
    alone = trial_from_tables("alone", tables_of(trial), {"title": "T", "synthetic": True, "source": "test"})
    density = {name: float(model.build(each).compile_logp()(model.build(each).initial_point()))
               for name, each in (("control", trial), ("alone", alone))}  # fmt: skip
    assert density["control"] != pytest.approx(density["alone"])


def test_the_report_states_every_number_of_the_prior(pair):
    trial = read_trial(pair())
    slope, prior = means(trial.control.trial, "alsfrsr")["slope"], from_control(trial, "alsfrsr", Normal(0, 1))
    (said,) = [text for text in of_trial(trial, control_table(trial)) if "slope before treatment" in text]
    for part in (
        "../history",
        "40 patients",
        f"{slope.mean:.2f}",
        f"{slope.standard_error:.2f}",
        "0.15",
        f"{prior.sd:.2f}",
    ):
        assert part in said
    assert "chosen, not estimated" in said


def test_a_fit_depends_on_the_files_of_the_control(pair, tmp_path):
    folder = pair()
    before = read_trial(folder).files
    visits = tmp_path / "history" / "visits.csv"
    visits.write_text(visits.read_text() + "\n")
    after = read_trial(folder).files
    assert {name for name in before if before[name] != after[name]} == {"control/visits.csv"}


# ---- the door ----


@pytest.mark.parametrize(
    ("extra", "column", "found", "remedy"),
    [
        ("control = 3\n", "control", "3", "a section [control]"),
        (f"[control]\n{ONE}", "control.source", "no such key", "folder of another trial"),
        ('[control]\nsource = "../history"\n', "control.between_study_sd", "no such key", "an SD above 0"),
        (f"{THERE}between_study_sd = 0.15\n", "control.between_study_sd", "0.15", "an SD above 0"),
        (
            f"{THERE}between_study_sd = {{ alsfrsr = 0 }}\n",
            "control.between_study_sd",
            "{'alsfrsr': 0}",
            "an SD above 0",
        ),
        (
            f"{THERE}between_study_sd = {{ fvc = 1 }}\n",
            "control.between_study_sd.fvc",
            "no value of 'fvc'",
            "records alsfrsr",
        ),
        (f"{THERE}{ONE}weight = 1\n", "control.weight", "unknown key", "source, between_study_sd"),
        (f'[control]\nsource = "."\n{ONE}', "control.source", "the trial itself", "another trial"),
        (f'[control]\nsource = "../nowhere"\n{ONE}', "control.source", "1 problem in", "slopeshift check"),
    ],
)
def test_a_control_that_cannot_serve_is_refused(extra, column, found, remedy, pair):
    with pytest.raises(TrialError) as raised:
        read_trial(pair(extra=extra))
    problems = raised.value.problems
    assert problems[["file", "column"]].to_numpy().tolist() == [["trial.toml", column]]
    assert found in problems["found"][0]
    assert remedy in problems["remedy"][0]


def refusal(folder):
    with pytest.raises(TrialError) as raised:
        read_trial(folder)
    return raised.value.problems["found"].tolist()


def test_a_synthetic_control_for_real_data_is_refused(pair):
    assert refusal(pair(synthetic="false")) == ["a synthetic control for real data"]


def test_a_control_of_a_control_is_refused_even_in_a_circle(pair, tmp_path):
    settings = tmp_path / "history" / "trial.toml"
    settings.write_text(settings.read_text() + CONTROL.replace("history", "mine").format(spread="alsfrsr = 1"))
    assert refusal(pair()) == ["a control with a control of its own"]


def test_a_control_of_few_patients_is_refused(pair, tmp_path):
    shutil.rmtree(tmp_path / "history")
    folder_of(tables_of(line_trial(patients=9, injections=0)), tmp_path / "history")
    assert refusal(pair()) == ["9 patients with two values of alsfrsr before an injection"]


def test_a_trial_made_in_memory_has_no_control():
    with pytest.raises(TrialError, match="a control of a trial made in memory"):
        line_trial(control={"source": "x", "between_study_sd": {"alsfrsr": 1}})


# ---- trials made from a trial ----


def test_pseudo_injections_and_refits_keep_the_control(pair):
    from slopeshift.fit.compiled import trial_content
    from slopeshift.null.pseudo import before_treatment, moved

    trial = read_trial(pair())
    again = moved(before_treatment(trial, "alsfrsr"), "alsfrsr", np.random.default_rng(1))
    assert from_control(again, "alsfrsr", Normal(5, 5)) == from_control(trial, "alsfrsr", Normal(5, 5))
    alone = trial_from_tables("mine", tables_of(trial), {"title": "T", "synthetic": True, "source": "test"})
    assert trial_content(trial) != trial_content(alone)

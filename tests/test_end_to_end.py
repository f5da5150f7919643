"""`make report` on a small trial, for real: from tables to the page, and what happens on the second run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from trials import ROOT, line_trial

import slopeshift as ss

GROUPS = (
    "posterior sample_stats prior prior_predictive posterior_predictive log_likelihood log_likelihood_of_patient "
    "log_prior observed_data constant_data"
)
POPULATION = (
    "model,outcome,quantity,injection,unit,mean,sd,lower,upper,prob_positive,prob_better,"
    "rhat,ess_bulk,ess_tail,mcse,median"
)
PATIENTS = (
    "model,outcome,patient,injection,n_visits,mean,sd,lower,upper,prob_positive,prob_better,prob_slowing_25,"
    "prior_prob_slowing_25,contraction,flag"
)
RESPONDERS = "model,outcome,injection,n_patients,threshold,expected,lower,upper,expected_false_claims,n_called"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A checkout with one small trial, one model that applies and one that does not, using this environment."""
    root = tmp_path_factory.mktemp("workspace")
    for name in ("Makefile", "src"):
        (root / name).symlink_to(ROOT / name)
    (root / "models").mkdir()
    for name in ("alsfrsr", "fvc"):
        shutil.copy(ROOT / "models" / f"{name}.py", root / "models")
    trial = line_trial(patients=12)
    folder = root / "data" / "small"
    folder.mkdir(parents=True)
    for table in ("patients", "visits", "injections"):
        getattr(trial, table).to_csv(folder / f"{table}.csv", index=False)
    (folder / "trial.toml").write_text('title = "Small"\nsynthetic = true\nsource = "straight lines"\n')
    return root


def make(workspace, *targets):
    slopeshift = Path(sys.executable).with_name("slopeshift")
    command = ["make", *targets, "TRIAL=data/small", f"SLOPESHIFT={slopeshift}", "READY=", "DRAWS=1500", "TUNE=1000"]
    # Not as a part of the make that runs the tests, which would have this one announce its folder.
    environment = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    return subprocess.run(command, cwd=workspace, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def first(workspace):
    return make(workspace, "fit", "report")


def open_fit(workspace):
    trial, model = ss.read_trial(workspace / "data" / "small"), ss.load_model(workspace / "models" / "alsfrsr.py")
    return ss.open_fit(workspace / "fits" / "small", model, trial)


@pytest.fixture(scope="module")
def tables(workspace, first):
    folder = workspace / "reports" / "small" / "tables"
    return {path.stem: pd.read_csv(path) for path in folder.glob("*.csv")}


def test_it_succeeds_and_says_what_it_did(first):
    assert first.returncode == 0, first.stderr
    assert "alsfrsr: sampling 4 chains of 1000 + 1500 draws" in first.stdout
    assert "fvc: skipped, the trial records no fvc" in first.stdout


def test_a_healthy_run_prints_no_warning(first):
    assert first.stderr.strip() == ""


def test_the_second_run_does_nothing(workspace, first):
    again = make(workspace, "fit")
    assert again.returncode == 0
    assert again.stdout.startswith("alsfrsr: up to date\nALSFRS-R, points/month, model alsfrsr\n")
    assert again.stdout.endswith("fvc: up to date\nfvc: skipped, the trial records no fvc\n")
    assert "sampling" not in again.stdout


def test_the_answer_comes_before_the_models_that_do_not_answer(workspace, first):
    sampled, _, rest = first.stdout.partition("ALSFRS-R, points/month, model alsfrsr\n")
    assert re.search(
        r"alsfrsr: done in \d+ s .*sampling\)\n$", sampled
    )  # a model that is not for the trial is none left
    answer, _, others = rest.partition("fvc: skipped, the trial records no fvc")
    assert "  all injections " in answer
    assert "\nAssociation, not effect: " in answer
    once, _, _ = others.partition("alsfrsr: up to date")  # the report then asks for the fits again
    assert "model alsfrsr" not in once, "it is given once"


def test_the_answer_is_what_the_command_answer_prints(workspace, first):
    printed = make(workspace, "answer")
    assert printed.returncode == 0
    assert printed.stdout in first.stdout


def test_the_tree_holds_every_group_with_named_dims(workspace, first):
    tree = open_fit(workspace).datatree()
    assert set(tree.children) == set(GROUPS.split())
    assert tree["posterior"]["coefficients"].dims == ("chain", "draw", "patient", "coefficient")
    assert tree["log_likelihood"]["alsfrsr"].dims == ("chain", "draw", "visit")
    assert tree["posterior_predictive"]["alsfrsr"].sizes["draw"] == 1500
    assert np.isfinite(tree["log_likelihood"]["alsfrsr"]).all()


def test_a_stored_fit_is_small(workspace, first):
    """8 MB at 4 x 2500 draws are promised: here are 4 x 1500, of 12 patients."""
    assert (workspace / "fits" / "small" / "alsfrsr.nc").stat().st_size < 0.6 * 8e6


def test_tables_have_their_columns(tables):
    expected = {"population": POPULATION, "patients": PATIENTS, "responders": RESPONDERS}
    for name, columns in expected.items():
        assert ",".join(tables[name].columns) == columns
    assert tables["diagnostics"]["ok"].all()


def test_every_reported_quantity_carries_its_diagnostics(tables):
    continuous = tables["population"][~tables["population"]["quantity"].str.startswith("prob_")]
    assert (continuous["rhat"] <= 1.01).all()
    assert (continuous[["ess_bulk", "ess_tail"]] >= 400).all(axis=None)
    assert continuous["mcse"].gt(0).all()


def test_a_probability_has_a_mean_and_its_error_and_no_interval(tables):
    """Its draws are 0 or 1: the interval of these would be read as that of the probability."""
    rows = tables["population"].query("quantity == 'prob_slowing_25'")
    assert rows["mean"].between(0, 1).all()
    assert rows[["sd", "lower", "upper", "prob_positive", "median"]].isna().all(axis=None)


def test_a_cycle_not_reached_is_nobodys_result(tables):
    assert "P12" not in set(tables["patients"]["patient"]), "P12 had no injection"
    assert set(tables["patients"]["injection"]) == {"1", "2", "overall"}


def test_straight_lines_show_no_change(tables):
    change = tables["population"].query("quantity == 'change'")
    assert ((change["lower"] < 0) & (change["upper"] > 0)).all()


def test_the_page_is_there(workspace, first):
    page = (workspace / "reports" / "small" / "index.html").read_text()
    assert "SYNTHETIC DATA" in page
    assert "the trial records no fvc" in page

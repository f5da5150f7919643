"""Simulated trials of a plan: conducted as planned, true as stated, the same whoever does them, and refitted."""

import json
import os
from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest
from plans import DESIGN, STATED, model, settings
from trials import ROOT

from slopeshift.design.visits import visits_of
from slopeshift.keep.replicates import replicates
from slopeshift.model.files import load_model
from slopeshift.planning import spreads
from slopeshift.planning.closed_form import expected
from slopeshift.planning.examples import written
from slopeshift.planning.plan import CLAIM, NONE, PlanError, Rule, Scenario, Simulation
from slopeshift.planning.prepared import prepared
from slopeshift.planning.reading import plan_of
from slopeshift.planning.schedule import layout
from slopeshift.planning.simulated import jobs, summary
from slopeshift.planning.spreads import Spreads
from slopeshift.planning.trials import PlanJob
from slopeshift.trial.settings import BUILT_IN


def job_of(name="alsfrsr_straight", design=DESIGN, scenario=None, simulation=None, **given):
    chosen, file = model(name), load_model(ROOT / "models" / f"{name}.py")
    of = spreads.stated(STATED | given, chosen.line)
    population = json.dumps({each.name: getattr(of, each.name).tolist() for each in fields(Spreads)})
    scenario = scenario or Scenario("effect", CLAIM, effect=0.6)
    return PlanJob(name, file.source, "alsfrsr", design, scenario, simulation or Simulation(5), population, 3)


@pytest.mark.parametrize(
    ("design", "name"),
    [
        (DESIGN, "alsfrsr_straight"),
        (replace(DESIGN, patients=30, control_share=1 / 3, lead_in=6.0, lead_in_visits=5), "alsfrsr_arms"),
        (replace(DESIGN, visit_spacing=2.0, reach=(1.0,), follow_up=7.0), "alsfrsr_straight"),
    ],
)
def test_a_simulated_trial_is_conducted_as_the_closed_form_plans_it(design, name):
    """Every patient has the visits and injections of a group, and every group as many patients as planned."""
    job = job_of(name, design)
    seen = visits_of(job.trial(2), "alsfrsr")
    planned = layout(design, BUILT_IN["alsfrsr"])

    def timetable(visits, row):
        month = tuple(np.sort(visits.month[visits.patient_index == row]))
        return month, tuple(np.nan_to_num(visits.injection_month[row], nan=-1))

    found = pd.Series([timetable(seen, row) for row in range(len(seen.patients))]).value_counts()
    wanted = pd.Series(
        [timetable(planned.visits, row) for row, n in enumerate(planned.number) for _ in range(int(n))]
    ).value_counts()
    pd.testing.assert_series_equal(found.sort_index(), wanted.sort_index())


def test_randomised_intervals_are_those_listed():
    seen = visits_of(job_of(design=replace(DESIGN, interval=(3.0, 6.0), reach=(1.0, 1.0, 1.0))).trial(0), "alsfrsr")
    between = np.diff(seen.injection_month, axis=1).ravel()
    assert set(np.round(between * 2) / 2) == {3.0, 6.0}
    assert 0.25 < (between < 4).mean() < 0.75


def test_what_is_true_is_as_stated():
    """Moments of many simulated patients: course, spread, effect of the treated alone, and what bends."""
    design = replace(DESIGN, patients=3000, control_share=0.5, reach=(1.0, 1.0, 1.0))
    scenario = Scenario("x", CLAIM, effect=0.6, bend=0.03, mismatch=0.2)
    job = job_of("alsfrsr_arms", design, scenario, curvature_by_slope=-0.05, sd_curvature=0.03)
    patients = pd.DataFrame(job.simulated(0)[0].truth["patients"])
    found = pd.json_normalize(patients["alsfrsr"]).assign(arm=patients["arm"])
    change = np.array(found["change"].tolist())
    treated = (found["arm"] == "cells").to_numpy()
    assert treated.sum() == 1500
    assert change[treated].mean() == pytest.approx(0.6, abs=0.02)
    assert change[~treated].mean() == pytest.approx(0.0, abs=0.02)
    assert found["slope"][~treated].mean() == pytest.approx(-1.03, abs=0.06)
    assert found["slope"][treated].mean() == pytest.approx(-0.83, abs=0.06)
    assert found["curvature"].mean() == pytest.approx(0.03, abs=0.004)
    slope = found["slope"] - np.where(treated, -0.83, -1.03)
    assert np.polyfit(slope, found["curvature"], 1)[0] == pytest.approx(-0.05, abs=0.005)
    assert found["level"].std() == pytest.approx(6.0, abs=0.25)
    assert np.corrcoef(found["level"], slope)[0, 1] == pytest.approx(0.3, abs=0.05)


def test_the_residual_has_the_stated_sd_with_rounding():
    design = replace(DESIGN, patients=400, reach=(1.0,))
    job = job_of(design=design, scenario=Scenario("x", NONE), sigma=0.6, sd_response=0.0, sd_cycle=0.0)
    simulated, _ = job.simulated(0)
    apart = simulated.tables["visits"]["alsfrsr"] - simulated.latent["alsfrsr"]
    inside = simulated.latent["alsfrsr"].between(3, 45)
    assert apart[inside].std() == pytest.approx(0.6, rel=0.05)


def test_an_entry_rule_is_told_to_the_trial_and_met():
    job = job_of(simulation=Simulation(5, minimum_loss=3.0))
    trial = job.trial(0)
    assert len(trial.entry) == 1
    first = trial.visits.sort_values("month").groupby("patient")["alsfrsr"].first()
    at = trial.visits[trial.visits["month"] == 0].set_index("patient")["alsfrsr"]
    assert ((first - at) >= 3).all()


def test_patients_leave_where_a_hazard_says_so():
    left = job_of(simulation=Simulation(5, dropout=0.2)).trial(0)
    assert len(left.visits) < len(job_of().trial(0).visits)


def test_draws_of_the_spreads_are_taken_in_turn():
    chosen = model("alsfrsr")
    of = spreads.from_prior(chosen.line, 3, 1)
    population = json.dumps({each.name: getattr(of, each.name).tolist() for each in fields(Spreads)})
    job = replace(job_of("alsfrsr"), population=population)
    assert [job.spreads(replicate).sigma[0] for replicate in range(4)] == [*of.sigma, of.sigma[0]]


def test_bends_that_differ_between_trials_are_those_of_their_patients():
    """What is learnt is of the trial's own bend, so that its average over trials has their spread in it."""
    scenario = Scenario("x", NONE, bend=0.02, bend_sd=0.05)
    job = job_of(design=replace(DESIGN, patients=500, reach=(1.0,)), scenario=scenario)
    bends = np.array([job.bend(replicate) for replicate in range(2000)])
    assert bends.mean() == pytest.approx(0.02, abs=0.005)
    assert bends.std() == pytest.approx(0.05, rel=0.06)
    curvature = [each["alsfrsr"]["curvature"] for each in job.simulated(4)[0].truth["patients"]]
    assert np.mean(curvature) == pytest.approx(bends[4], abs=1e-3)


def test_a_job_is_known_by_what_decides_its_trials_and_not_by_how_many_are_wanted():
    job = job_of()
    assert replace(job, simulation=Simulation(500, scenarios=("effect",))).key == job.key
    for other in (
        replace(job, seed=4),
        replace(job, scenario=Scenario("effect", CLAIM, effect=0.5)),
        replace(job, design=replace(DESIGN, patients=21)),
        replace(job, simulation=Simulation(5, dropout=0.1)),
        replace(job, source=job.source.replace("Shape(curved=False)", "Shape(curved=True)")),
    ):
        assert other.key != job.key


def test_jobs_are_those_that_the_plan_names():
    plan = plan_of(settings(simulation={"replicates": 5, "designs": [2, 1], "scenarios": ["an effect"]}), "plan.toml")
    study, files = prepared(plan, ROOT / "models", ROOT)
    found = jobs(study, files)
    assert [(place, job.scenario.name) for place, job in found] == [(2, "an effect"), (1, "an effect")]


def test_a_summary_counts_by_quantiles_or_by_a_normal_posterior():
    job, rule = job_of(), Rule(0.975)
    of = expected(DESIGN, model("alsfrsr_straight"), job.spreads(0))
    rows = pd.DataFrame(
        {"mean": [0.6, 0.2, 0.5, 0.1], "sd": 0.15, "above 0.025": [0.3, -0.1, 0.2, -0.2], "learnt": 0.8}
    )
    found = summary(1, job, rule, of, rows)
    assert (found["claims"], found["trials"]) == (0.5, 4)
    assert found["bias"] == pytest.approx(0.35 - 0.6)
    assert found["coverage"] == 0.5
    assert found["closed_form"] == of.estimates(job.scenario).claims(1.959963984540054)
    assert summary(1, job, Rule(0.93), of, rows)["claims"] == 0.5
    left = replace(job, simulation=Simulation(5, dropout=0.1))
    assert np.isnan(summary(1, left, rule, of, rows)["closed_form"])


def test_an_example_is_a_trial_that_every_command_can_read(tmp_path):
    job = job_of("alsfrsr_arms", replace(DESIGN, patients=24, control_share=0.5))
    trial = written(job, 0, tmp_path)
    assert trial.synthetic
    assert trial.compares
    assert "SYNTHETIC" in trial.title
    assert list(trial.outcomes) == ["alsfrsr"]
    again = written(job, 0, tmp_path / "again")
    assert again.files == trial.files


def test_refits_are_the_same_whoever_does_them_and_after_what_was_lost(tmp_path):
    job = job_of()
    whole = replicates(job, 6, tmp_path / "one", processes=1)
    assert json.dumps(replicates(job, 6, tmp_path / "two", processes=2)) == json.dumps(whole)
    lost = sorted((tmp_path / "two" / job.key).iterdir())[0]
    lost.unlink()
    assert json.dumps(replicates(job, 6, tmp_path / "two", processes=2)) == json.dumps(whole)
    table = pd.DataFrame(whole)
    assert (table["above 0.025"] < table["mean"]).all()
    assert table["learnt"].between(0.5, 1).all()


@pytest.mark.slow
def test_a_cluster_refits_a_plan_to_the_same_numbers(tmp_path, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")]))
    job = job_of("alsfrsr_arms", replace(DESIGN, patients=20, control_share=0.5))
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        found = replicates(job, 6, tmp_path / "cluster", scheduler=cluster.scheduler_address)
    assert json.dumps(found) == json.dumps(replicates(job, 6, tmp_path / "here", processes=1))


def test_what_is_decided_by_the_alsfrsr_is_refused_of_another_outcome():
    more = {"replicates": 5, "minimum_loss": 3, "interval_on_response": 2}
    plan = plan_of(settings(model=["fvc"], simulation=more), "plan.toml")
    with pytest.raises(PlanError, match="minimum_loss and interval_on_response"):
        prepared(plan, ROOT / "models", ROOT)


def test_deaths_in_a_plan_of_another_outcome_have_the_stated_hazard():
    """They depend on the ALSFRS-R, which then stays where the hazard is stated."""
    given = {"level": 80.0, "slope": -2.4, "sd_level": 18.0, "sd_slope": 1.9, "sigma": 5.9}
    job = replace(
        job_of("alsfrsr_straight", replace(DESIGN, patients=2000, reach=(1.0,), follow_up=10.0), **given),
        outcome="fvc",
        simulation=Simulation(5, death=0.05),
    )
    ends = job.simulated(0)[0].tables["patients"]
    assert (ends["end_reason"] == "death").mean() == pytest.approx(1 - np.exp(-0.5), abs=0.03)

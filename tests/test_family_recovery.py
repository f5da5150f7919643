"""Families and shapes against truths that the plain model does not know, over many simulated trials."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from trials import ROOT

from slopeshift.answers.tables import population_changes, results_of
from slopeshift.design.shape import PLAIN, Shape
from slopeshift.design.visits import visits_of
from slopeshift.fit.compiled import Sampling, compile_once
from slopeshift.fit.posterior import Posterior, posterior_of
from slopeshift.fit.sample import sample
from slopeshift.fit.store import Settings
from slopeshift.model.files import load_model, loaded, source_of
from slopeshift.trial import read_trial, trial_from_tables

pytestmark = pytest.mark.slow

MODELS = ROOT / "models"
SETTINGS = {"title": "Simulated", "synthetic": True, "source": "test"}
SAMPLING = Sampling(draws=400, tune=400)


def design(patients=20, injections=2, before=3, cycle=4):
    """Monthly visits from `before` months before the first of injections that are `cycle` months apart."""
    names = [f"P{i}" for i in range(1, patients + 1)]
    visits = [(name, float(m)) for name in names for m in range(-before, cycle * injections + 1)]
    given = [(name, k + 1, float(cycle * k)) for name in names for k in range(injections)]
    tables = {
        "patients": pd.DataFrame({"patient": names}),
        "visits": pd.DataFrame(visits, columns=["patient", "month"]).assign(alsfrsr=24),
        "injections": pd.DataFrame(given, columns=["patient", "injection", "month"]),
    }
    return trial_from_tables("simulated", tables, SETTINGS)


def scores(trial, rng, shape=PLAIN, level=(35, 5), change=0.0, curvature=(0.0, 0.0)):
    """Scores of patients drawn by hand, with one change of the population for all injections."""
    visits = visits_of(trial, "alsfrsr", Shape(shape.window, shape.lag, shape.half_life, curved=True))
    n, k = len(visits.patients), len(visits.injections)
    theta = np.column_stack(
        [
            rng.normal(*level, n),
            rng.normal(-1.1, 0.5, n),
            rng.normal(*curvature, n),
            change + rng.normal(0, 0.15, n)[:, None] + rng.normal(0, 0.08, (n, k)),
        ]
    )
    mean = (visits.basis * theta[visits.patient_index]).sum(axis=1)
    return np.clip(np.round(mean + rng.normal(0, 2, len(mean))), 0, 48)


def written_out(name, trial, edit=lambda text: text):
    """Compile a model that samples its coefficients, to be fitted to other values of the same trial."""
    import nutpie

    compiled = nutpie.compile_pymc_model(_build(name, trial, edit))

    def fit(visits, seed):
        tree = nutpie.sample(
            compiled.with_data(recorded=visits.value),
            draws=SAMPLING.draws,
            tune=SAMPLING.tune,
            chains=2,
            seed=seed,
            target_accept=SAMPLING.target_accept,
            save_warmup=False,
            progress_bar=False,
        )
        draws = tree["posterior"].to_dataset()
        return Posterior(trial, visits, visits.dataset(), draws, name)

    return fit


def _build(name, trial, edit):
    return loaded(name, edit(source_of(MODELS / f"{name}.py"))).build(trial)


def overall(posterior):
    return population_changes(posterior).set_index("injection").loc["overall"]


NUMBER = 12


@pytest.mark.parametrize("change", [0.0, -0.3])
def test_near_the_floor_the_bounded_model_finds_the_change_that_the_normal_one_misses(change, record_property):
    """At levels of 8 a line that goes on reaches the floor of the scale, where scores cannot fall any further."""
    trial = design(patients=12, injections=3)
    visits = visits_of(trial, "alsfrsr")
    normal = compile_once("alsfrsr", low((MODELS / "alsfrsr.py").read_text()), trial, SAMPLING)
    bounded = written_out("alsfrsr_bounded", trial, low)
    found = []
    for seed in range(NUMBER):
        values = scores(trial, np.random.default_rng([seed, 7]), level=(8, 3), change=change)
        drawn = replace(visits, value=values)
        fits = {"normal": normal.fit(trial, drawn, seed), "bounded": bounded(drawn, seed)}
        found += [overall(posterior).to_dict() | {"model": name} for name, posterior in fits.items()]
    table = pd.DataFrame(found).assign(missed=lambda t: (t["lower"] > change) | (t["upper"] < change))
    by_model = table.groupby("model").agg(mean=("mean", "mean"), missed=("missed", "sum"))
    record_property("found", by_model.to_dict())
    assert by_model.loc["normal", "mean"] - change > 0.2
    assert by_model.loc["normal", "missed"] > NUMBER / 2
    assert abs(by_model.loc["bounded", "mean"] - change) < 0.15
    assert by_model.loc["bounded", "missed"] <= 2


def low(text):
    """The text of a model whose patients start near the floor, as a trial of such patients would state it."""
    assert "\n        35, 4," in text
    return text.replace("\n        35, 4,", "\n        8, 4,")


def refitted(name, trial, values, shape):
    """The population change overall, by a model compiled once, in each of the simulated trials."""
    visits = visits_of(trial, "alsfrsr", shape)
    compiled = compile_once(name, source_of(MODELS / f"{name}.py"), trial, SAMPLING)
    found = [compiled.fit(trial, replace(visits, value=each), seed) for seed, each in enumerate(values)]
    return pd.DataFrame([overall(each) for each in found])


def test_a_course_that_bends_by_itself_is_not_taken_for_a_change_by_the_curved_model():
    trial = design(patients=30, injections=3)
    bent = [scores(trial, np.random.default_rng([s, 8]), curvature=(0.04, 0.01)) for s in range(20)]
    plain, curved = (refitted(*of) for of in (
        ("alsfrsr_straight", trial, bent, Shape()), ("alsfrsr", trial, bent, Shape(curved=True))
    ))  # fmt: skip
    # What a bend and changes share, the priors divide: the curved model claims little rather than finding nothing.
    assert plain["mean"].mean() > 0.2
    assert curved["mean"].mean() < 0.7 * plain["mean"].mean()
    assert (plain["lower"] > 0).mean() >= 0.3
    assert (curved["lower"] > 0).mean() <= 0.15


def test_a_change_that_sets_in_late_and_wears_off_is_found_by_the_model_of_its_shape():
    trial, shape = design(patients=30, injections=3), load_model(MODELS / "alsfrsr_waning.py").shape
    waned = [scores(trial, np.random.default_rng([s, 9]), shape=shape, change=0.6) for s in range(12)]
    plain, waning = (refitted(*of) for of in (
        ("alsfrsr", trial, waned, Shape(curved=True)), ("alsfrsr_waning", trial, waned, shape)
    ))  # fmt: skip
    assert abs(waning["mean"].mean() - 0.6) < abs(plain["mean"].mean() - 0.6)
    assert ((waning["lower"] < 0.6) & (waning["upper"] > 0.6)).mean() >= 0.8


def test_on_the_default_trial_families_pass_the_gate_and_the_bounded_one_agrees_with_the_normal():
    trial = read_trial(ROOT / "data" / "synthetic-msc-als")
    names = ("alsfrsr", "alsfrsr_bounded", "alsfrsr_student", "alsfrsr_autocorrelated")
    fits = {n: sample(load_model(MODELS / f"{n}.py"), trial, Settings(), progress=False) for n in names}
    fits = {n: results_of(posterior_of(trial, fit)) for n, fit in fits.items()}
    assert {n: found.failures for n, found in fits.items() if not found.passed} == {}
    changes = {n: f.population[f.population["quantity"] == "change"].set_index("injection") for n, f in fits.items()}
    away = (changes["alsfrsr_bounded"]["mean"] - changes["alsfrsr"]["mean"]) / changes["alsfrsr"]["sd"]
    assert abs(away).max() < 0.25

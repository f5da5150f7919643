"""The rats: a trial that our simulator did not make, on the same path as the ALS models, against published posteriors.

`rats/reference.json` holds a long Stan posterior of the same model with the same priors (brms 2.18), and the published
MultiBUGS posterior of the correlated model under other, vague priors.
"""

import json

import numpy as np
import pytest
from trials import ROOT

from slopeshift.answers import quantities
from slopeshift.answers.tables import results_of
from slopeshift.fit.posterior import posterior_of
from slopeshift.fit.sample import sample
from slopeshift.fit.store import Settings
from slopeshift.model.files import load_model
from slopeshift.trial import read_trial

RATS = ROOT / "tests" / "rats"
REFERENCE = json.loads((RATS / "reference.json").read_text())
STANDARD_ERRORS = 4.5  # two-sided 7e-6 per comparison, over some 130 comparisons


@pytest.fixture(scope="module")
def fit():
    return sample(load_model(RATS / "weight.py"), read_trial(RATS), Settings(seed=3), progress=False)


@pytest.fixture(scope="module")
def population(fit):
    return results_of(posterior_of(read_trial(RATS), fit)).population.set_index("quantity")


def agrees(ours, theirs):
    error = np.hypot(ours["mcse"], theirs["mcse_mean"])
    return abs(ours["mean"] - theirs["mean"]) < STANDARD_ERRORS * error


def test_the_gate_lets_a_cohort_without_injections_through(fit):
    assert results_of(posterior_of(read_trial(RATS), fit)).failures == []


@pytest.mark.parametrize(
    ("quantity", "name"),
    [
        ("level", "level"),
        ("lead_in_slope", "slope"),
        ("sd_level", "sd_level"),
        ("sd_slope", "sd_slope"),
        ("sigma", "sigma"),
        ("correlation_level_slope", "cor_level_slope"),
    ],
)
def test_population_posterior_equals_stan(population, quantity, name):
    ours, theirs = population.loc[quantity], REFERENCE["parameters"][name]
    assert agrees(ours, theirs)
    assert ours["sd"] == pytest.approx(theirs["sd"], rel=0.06)
    width = theirs["q97_5"] - theirs["q2_5"]
    assert ours["lower"] == pytest.approx(theirs["q2_5"], abs=0.06 * width)
    assert ours["upper"] == pytest.approx(theirs["q97_5"], abs=0.06 * width)


@pytest.mark.parametrize("coefficient", ["level", "slope"])
def test_every_rat_equals_stan(fit, coefficient):
    draws = (
        fit.tree["posterior"]["coefficients"]
        .sel(coefficient=coefficient)
        .rename(patient="row")
        .drop_vars("coefficient")
    )
    table = quantities.summarise(draws).set_index("row")
    assert len(table) == 30
    wrong = [rat for rat, row in table.iterrows() if not agrees(row, REFERENCE["patients"][rat][coefficient])]
    assert wrong == []


def test_weight_at_the_middle_age_equals_stan(fit):
    population = fit.tree["posterior"]["population"]
    at_22 = population.sel(coefficient="level") + 22 * population.sel(coefficient="slope")
    ours = quantities.summarise(
        at_22.expand_dims(row=["at 22"], axis=2).drop_vars("coefficient", errors="ignore")
    ).iloc[0]
    assert agrees(ours, REFERENCE["parameters"]["weight_at_age_22"])


@pytest.mark.parametrize(("quantity", "name"), [("level", "level"), ("lead_in_slope", "slope"), ("sigma", "sigma")])
def test_published_posterior_under_vague_priors_is_near(population, quantity, name):
    """Other priors, so near is within a quarter of a posterior standard deviation."""
    theirs = REFERENCE["published"]["birats"][name]
    assert population.loc[quantity, "mean"] == pytest.approx(theirs["mean"], abs=0.25 * theirs["sd"])

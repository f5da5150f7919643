"""Those who met the rules of entry: their mean coefficients, and their share of those screened."""

import numpy as np
import pytest
import xarray as xr
from test_entry_likelihood import screened_trial
from trials import ROOT

from slopeshift.answers import enrolled, quantities
from slopeshift.answers.natural import natural_slope
from slopeshift.engine import admitted
from slopeshift.engine.draws import flat
from slopeshift.fit.compiled import Sampling, compile_once
from slopeshift.model.files import load_model

FILE = load_model(ROOT / "models/alsfrsr.py")


@pytest.fixture(scope="module")
def fitted():
    trial = screened_trial(patients=12, seed=3)
    program = compile_once("alsfrsr", FILE.source, trial, Sampling(chains=2, draws=100, tune=300))
    return program.fit(trial, FILE.visits(trial), 1)


def drawn(posterior, number=40_000, at=0):
    """Draw patients of one posterior draw who met the rules: coefficients (number, patient, coefficient)."""
    rng = np.random.default_rng(5)
    loading, mean, sigma = (flat(posterior.draws[name])[at] for name in ("loading", "population", "sigma"))
    n = len(posterior.visits.patients)
    centre = np.tile(mean, (number, n, 1))
    theta = centre + rng.standard_normal((number, n, loading.shape[1])) @ loading.T
    rules = admitted.rules_from(posterior.design)
    admitted.admit(
        rules, posterior.visits, theta, centre, np.tile(loading, (number, 1, 1)), np.full(number, sigma), rng
    )
    return theta


def test_the_mean_of_those_who_met_the_rules_is_that_of_patients_drawn(fitted):
    theta = drawn(fitted)
    weight = np.eye(len(fitted.visits.patients))
    found = enrolled.added(fitted, weight).isel(chain=0, draw=0) + fitted.draws["population"].isel(chain=0, draw=0)
    error = theta.std(axis=0) / np.sqrt(len(theta))
    difference = (found.transpose("mean", "coefficient").to_numpy() - theta.mean(axis=0)) / error
    assert abs(difference).max() < 4.5
    assert (found.sel(coefficient="slope") < fitted.draws["population"].isel(chain=0, draw=0)[1]).all()


def test_changes_are_those_of_the_enrolled_and_the_lead_in_is_of_both(fitted):
    rows = quantities.population(fitted)
    found = {
        (str(q), str(k)): rows.isel(row=i).to_numpy()
        for i, (q, k) in enumerate(zip(rows["quantity"].to_numpy(), rows["injection"].to_numpy(), strict=True))
    }
    population, design = fitted.draws["population"], fitted.design
    informed = (design["visits_in_cycle"] > 0).sel(injection=1).to_numpy()
    more = enrolled.added(fitted, (informed / informed.sum())[None]).isel(mean=0)
    np.testing.assert_allclose(found["change", "1"], (population + more).sel(coefficient="change 1"))
    assert abs(found["change", "1"] - population.sel(coefficient="change 1").to_numpy()).max() > 1e-3
    month = float(design["middle_of_cycle"].sel(injection=1).where(xr.DataArray(informed, dims="patient")).mean())
    np.testing.assert_allclose(found["natural_slope", "1"], natural_slope(population + more, month))
    np.testing.assert_array_equal(found["lead_in_slope", ""], population.sel(coefficient="slope"))
    assert (found["lead_in_slope_of_enrolled", ""] < found["lead_in_slope", ""]).all(), "who lost points falls faster"


def test_the_share_who_meet_the_rules_is_that_of_patients_drawn(fitted):
    draws = fitted.draws
    rng, met = np.random.default_rng(2), []
    rules = admitted.rules_from(fitted.design)
    rows, grams = rules.by_patient(fitted.visits)
    for loading, mean, sigma in zip(*(flat(draws[n]) for n in ("loading", "population", "sigma")), strict=True):
        theta = mean + rng.standard_normal((400, loading.shape[1])) @ loading.T
        asked = theta @ rows[:, 0].T + sigma * np.sqrt(grams[:, 0, 0]) * rng.standard_normal((400, len(rows)))
        met.append((asked >= rules.lower[:, 0]).mean())
    assert enrolled.share(fitted) == pytest.approx(np.mean(met), abs=0.01)
    assert 0.1 < enrolled.share(fitted) < 0.95


def test_without_rules_the_enrolled_are_the_screened(fitted):
    plain = quantities.population(fitted)
    assert "level_of_enrolled" in plain["quantity"]
    unruled = fitted.design.drop_vars([name for name in fitted.design if str(name).startswith("entry_")])
    from dataclasses import replace

    other = replace(fitted, design=unruled)
    assert enrolled.added(other, np.ones((1, 12))) is None
    assert enrolled.share(other) is None
    assert "level_of_enrolled" not in quantities.population(other)["quantity"]

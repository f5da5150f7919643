"""The diagnostics gate: fails on what must fail, and a value that cannot be computed never passes."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from slopeshift.answers import convergence, quantities

DIMS = ("chain", "draw", "row")
NO_PATIENTS = pd.DataFrame(columns=["patient", "injection", "rhat", "ess_bulk", "ess_tail"])


def draws(values):
    return xr.DataArray(values, dims=DIMS, coords={"quantity": ("row", ["change"]), "injection": ("row", ["1"])})


def stats(diverging=0, energy=None, chains=4, n=1000):
    rng = np.random.default_rng(0)
    diverged = np.zeros((chains, n), bool)
    diverged.ravel()[:diverging] = True
    energy = rng.normal(size=(chains, n)) if energy is None else energy
    return xr.Dataset({"diverging": (DIMS[:2], diverged), "energy": (DIMS[:2], energy)})


def verdict(values, sample_stats=None):
    population = quantities.summarise(draws(values))
    return convergence.failures(
        convergence.diagnose(stats() if sample_stats is None else sample_stats, population, NO_PATIENTS)
    )


@pytest.fixture
def good():
    return np.random.default_rng(1).normal(size=(4, 1000, 1))


def test_independent_draws_pass(good):
    assert verdict(good) == []


def test_a_chain_elsewhere_fails_by_rhat_and_is_named(good):
    good[0] += 3
    assert any(text.startswith("rhat of change [1] is") for text in verdict(good))


def test_sticky_chains_fail_by_effective_sample_size(good):
    walk = np.cumsum(good, axis=1) * 0.01
    assert any(text.startswith("ess_bulk of change [1]") for text in verdict(walk))


def test_draws_that_never_move_fail(good):
    assert verdict(np.ones_like(good)) != []


def test_nan_draws_fail(good):
    good[2, 5] = np.nan
    assert verdict(good) != []


@pytest.mark.parametrize(("diverging", "fails"), [(0, False), (4, False), (5, True)])
def test_more_than_one_divergence_in_a_thousand_draws_fails(good, diverging, fails):
    assert any("share_diverging" in text for text in verdict(good, stats(diverging))) == fails


def test_low_energy_fraction_fails(good):
    energy = np.cumsum(np.random.default_rng(2).normal(size=(4, 1000)), axis=1)
    assert any(text.startswith("bfmi of chain 0") for text in verdict(good, stats(energy=energy)))


def test_indicators_are_judged_through_what_they_are_derived_from(good):
    rare = draws(np.zeros_like(good)).assign_coords(quantity=("row", ["prob_slowing_25"]))
    table = convergence.diagnose(stats(), quantities.summarise(rare), NO_PATIENTS)
    assert not table["quantity"].str.startswith("prob_").any()

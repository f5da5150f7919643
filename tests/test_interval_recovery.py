"""The regression on the interval at scale: its effect comes out as it was put in, and the control finds its reversal.

Every trial has the same number of patients and injections, so that one compiled model serves them all.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from trials import ROOT, line_trial, written_out

from slopeshift.answers import quantities
from slopeshift.answers.tables import results_of
from slopeshift.design.cycles import cycle_lengths
from slopeshift.engine import exact as marginal
from slopeshift.engine.terms import terms_of
from slopeshift.fit.posterior import posterior_of
from slopeshift.fit.sample import sample
from slopeshift.fit.store import Settings
from slopeshift.model.files import load_model
from slopeshift.simulate import DEFAULT_DESIGN, DEFAULT_TRUTH, IntervalEffect, simulate
from slopeshift.trial import trial_from_tables

pytestmark = pytest.mark.slow
TRIALS = 60
MODELS = ("interval", "interval_fixed_window", "interval_negative_control")


def simulated(design, seed, effect=None):
    tables = simulate(design, DEFAULT_TRUTH, seed, effect).tables
    return trial_from_tables("t", tables, {"title": "t", "synthetic": True, "source": "t"})


class Sampler:
    """Draws of one model on trial after trial: compiled once, with the data of each trial put in."""

    def __init__(self, name, data):
        self.file, self.data, self.compiled = load_model(ROOT / "models" / f"{name}.py"), data, None

    def __call__(self, trial, seed):
        import nutpie

        model = self.file.build(trial)
        if self.compiled is None:
            self.compiled = nutpie.compile_pymc_model(model)
        compiled = self.compiled.with_data(**{name: model[name].get_value() for name in self.data})
        settings = {"draws": 500, "tune": 500, "chains": 2, "target_accept": 0.9, "save_warmup": False}
        return model, nutpie.sample(compiled, seed=seed, progress_bar=False, **settings)["posterior"].to_dataset()


def test_an_effect_of_the_interval_is_recovered_without_bias_and_covered():
    """Effects drawn from their prior: then 95 % intervals cover 95 %, and the posterior mean is right on average."""
    design = replace(DEFAULT_DESIGN, patients_per_cycle=(20, 20, 20))
    sampler, rng, rows = Sampler("interval", ["statistics"]), np.random.default_rng(1), []
    for seed in range(TRIALS):
        truth = dict(zip(("interval_within", "interval_between"), rng.normal(0, 0.1, 2), strict=True))
        trial = simulated(design, seed, IntervalEffect(*truth.values()))
        model, draws = sampler(trial, seed)
        visits = sampler.file.visits(trial)
        found = marginal.with_posterior_coefficients(draws, visits, terms_of(model), seed)[0]["regression"]
        for name, true in truth.items():
            values = found.sel(covariate=name)
            low, high = values.quantile((0.025, 0.975))
            rows.append((name, float(values.mean()) - true, float(values.std()), bool(low <= true <= high)))
    table = pd.DataFrame(rows, columns=["quantity", "error", "sd", "covered"]).groupby("quantity")
    bias = table["error"].mean() / (table["error"].std() / np.sqrt(TRIALS))
    print(f"\n{table[['error', 'sd', 'covered']].mean()}\nbias in standard errors:\n{bias}")
    assert (bias.abs() < 3.5).all()
    # At 95 %, chance covers fewer than 51 of 60 once in 1,000.
    assert (table["covered"].mean() >= 51 / 60).all()


def fires(dependence, trials=20):
    """Share of trials of the default design in which the 95 % interval of the negative control leaves out 0."""
    sampler = Sampler("interval_negative_control", ["statistics", "seen_change", "interval", "seen_patient"])
    design, out = replace(DEFAULT_DESIGN, interval_on_response=dependence), 0
    for seed in range(500, 500 + trials):
        _, draws = sampler(simulated(design, seed), seed)
        low, high = draws["interval_control"].quantile((0.025, 0.975))
        out += bool(low > 0 or high < 0)
    return out / trials


def test_the_negative_control_finds_intervals_chosen_from_the_response_in_most_trials_and_seldom_without():
    """22 closed cycles of 12 patients do: 82 % of 60 trials at strong dependence, 52 % at moderate, none without."""
    assert fires(2.0) >= 0.5
    assert fires(0.0) <= 0.1


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("injections", [0, 1, 3])
def test_a_trial_that_cannot_inform_the_interval_passes_its_gate(name, injections):
    trial = line_trial(patients=12, injections=injections)
    assert set(cycle_lengths(trial)["months"]) <= {4.0}
    fit = sample(load_model(ROOT / "models" / f"{name}.py"), trial, Settings(seed=1, draws=1500), progress=False)
    assert results_of(posterior_of(trial, fit)).failures == []


@pytest.mark.parametrize("name", ["interval", "interval_fixed_window"])
def test_integrating_out_and_writing_out_give_the_same(name):
    """Regression, population and totals, within 4.5 Monte Carlo standard errors (two-sided 7e-6)."""
    trial = simulated(replace(DEFAULT_DESIGN, enrolled=10, patients_per_cycle=(10, 9, 7)), 3)
    settings = Settings(seed=2, draws=3000, tune=1500)
    files = load_model(ROOT / "models" / f"{name}.py"), written_out(name)
    fits = [sample(file, trial, settings, progress=False) for file in files]
    for group in ("posterior", "prior"):
        for key in ("regression", "population", "coefficients", "correlation", "sd_cycle", "sigma"):
            exact, written = (fit.tree[group][key] for fit in fits)
            assert exact.dims == written.dims
            tables = [quantities.summarise(flat(values)) for values in (exact, written)]
            off = (tables[0]["mean"] - tables[1]["mean"]).abs() / np.hypot(*(table["mcse"] for table in tables))
            assert off.max() < 4.5, (group, key)
            np.testing.assert_allclose(tables[0]["sd"], tables[1]["sd"], rtol=0.15)


def flat(values):
    """Lay everything but chain and draw out as rows."""
    array = values.transpose("chain", "draw", ...).to_numpy()
    return xr.DataArray(array.reshape(*array.shape[:2], -1), dims=("chain", "draw", "row"))

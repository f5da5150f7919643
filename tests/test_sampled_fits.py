"""What a fit of sampled patients holds besides its draws, without PyMC: as PyMC would have drawn and evaluated it."""

from functools import partial

import numpy as np
import pymc as pm
import pytest
from scipy.stats import ks_2samp
from trials import line_trial, varied

from slopeshift.fit import nuts, precompiled
from slopeshift.fit.sample import _family, _of_values, _predicted_by_pymc, prior_draws, sample
from slopeshift.fit.store import Settings
from slopeshift.model.families import bounded, normal_written_out, student_t
from slopeshift.model.priors import Gamma

FAMILIES = {"normal": normal_written_out, "Student-t": partial(student_t, nu=Gamma(20, 14.1)), "bounded": bounded}


@pytest.fixture(scope="module", params=FAMILIES.values(), ids=FAMILIES)
def both(request):
    """Prior draws by the engine and by PyMC, with the model and its visits."""
    file, trial = varied("alsfrsr", family=request.param()), line_trial(patients=4, seed=2)
    model, visits = file.build(trial), file.visits(trial)
    ready = precompiled.precompiled(model, visits)
    return model, visits, prior_draws(model, visits, 2000, 1, ready), prior_draws(model, visits, 2000, 2)


@pytest.mark.slow
def test_prior_draws_are_those_of_pymc(both):
    _, visits, ours, theirs = both
    for group in ("prior", "prior_predictive"):
        mine, stated = ours[group].to_dataset(), theirs[group].to_dataset()
        assert set(mine.data_vars) == set(stated.data_vars)
        for name in mine.data_vars:
            assert mine[name].dims == stated[name].dims
            x, y = (each[name].to_numpy().reshape(2000, -1)[:, -1] for each in (mine, stated))
            assert ks_2samp(x, y).pvalue > 1e-4, name
    assert ours["constant_data"].to_dataset().equals(theirs["constant_data"].to_dataset())
    assert visits.outcome.name in ours["prior_predictive"]


@pytest.mark.slow
def test_predictions_and_log_likelihood_are_those_of_pymc(both):
    """Of the same draws, here from the prior."""
    model, visits, ours, _ = both
    some = ours.isel(draw=slice(0, 40))
    mine = _of_values(_family(model), some["prior"].to_dataset(), visits, 3)
    some["posterior"] = some["prior"]
    stated = _predicted_by_pymc(some, model, 4)
    np.testing.assert_allclose(
        mine["log_likelihood"]["alsfrsr"], stated["log_likelihood"]["alsfrsr"], rtol=2e-6, atol=2e-6
    )
    coefficients = some["prior"]["coefficients"].to_numpy()[:, :, visits.patient_index]
    away = [
        (each["posterior_predictive"]["alsfrsr"].to_numpy() - (visits.basis * coefficients).sum(axis=-1)).ravel()
        for each in (mine, stated)
    ]
    assert ks_2samp(*away).pvalue > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_whole_fit_compiles_nothing(family, monkeypatch):
    def compiles(*_, **__):
        raise AssertionError("compiled")

    for place in ("sample_prior_predictive", "sample_posterior_predictive", "compute_log_likelihood"):
        monkeypatch.setattr(pm, place, compiles)
    monkeypatch.setattr(nuts, "compile_model", compiles)
    file = varied("alsfrsr", family=family())
    settings = Settings(draws=60, tune=150, chains=2, prior_draws=30)
    tree = sample(file, line_trial(patients=4), settings, progress=False).tree
    groups = {"posterior", "prior", "prior_predictive", "posterior_predictive", "log_likelihood", "log_prior"}
    assert groups <= set(tree.children)
    assert np.isfinite(tree["log_likelihood"]["alsfrsr"]).all()
    assert tree["posterior_predictive"]["alsfrsr"].dims == ("chain", "draw", "visit")

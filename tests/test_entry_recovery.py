"""That the factor of entry is the right likelihood: against plain PyMC, by calibration, and on whole scores."""

from dataclasses import replace

import numpy as np
import pymc as pm
import pytest
from scipy.stats import kstest
from test_entry_likelihood import screened_trial
from trials import ROOT, written_out

from slopeshift.answers.quantities import change
from slopeshift.calibration.posterior import check_same_density, compile_model
from slopeshift.calibration.simulated import prior_of
from slopeshift.design.visits import visits_of
from slopeshift.fit import nuts
from slopeshift.fit.compiled import Sampling, compile_once
from slopeshift.fit.sample import posterior_draws
from slopeshift.fit.store import Settings
from slopeshift.model.files import load_model, source_of

PATH = ROOT / "models/alsfrsr.py"
SETS = 60

pytestmark = pytest.mark.slow


def test_the_posterior_is_that_of_plain_pymc_with_the_chance_to_enter_as_a_potential():
    """Patients sampled, and the probability of the rule by PyMC's own normal distribution function."""
    from pymc.distributions.dist_math import normal_lcdf

    trial = screened_trial(patients=15, seed=2)
    with written_out("alsfrsr").build(trial) as model:
        mean = -3.0 * model["population"][1]
        variance = 9.0 * (model["loading"][1] ** 2).sum() + 2.0 * model["sigma"] ** 2
        pm.Potential("chance", -15.0 * normal_lcdf(0.0, 1.0, (mean - 2.5) / pm.math.sqrt(variance)))
    settings = Settings(seed=3, draws=1500, tune=1000)
    plain = posterior_draws(nuts.compile_model(model), settings, progress=False)[0]["posterior"].to_dataset()
    program = compile_once("alsfrsr", source_of(PATH), trial, Sampling(chains=4, draws=1500, tune=1000))
    found = program.fit(trial, visits_of(trial, "alsfrsr"), seed=4).draws
    for name in ("population", "sd_slope", "sd_response", "sigma"):
        ours, theirs = (draws[name].mean(("chain", "draw")) for draws in (found, plain))
        sd = theirs.copy(data=plain[name].std(("chain", "draw")))
        # Monte Carlo errors of either are about 0.03 SDs; without the factor the slope is 1.5 SDs away.
        assert float(abs((ours - theirs) / sd).max()) < 0.15, name
        np.testing.assert_allclose(found[name].std(("chain", "draw")), sd, rtol=0.12)


def test_the_model_of_the_enrolled_is_calibrated_and_that_of_anybody_is_not():
    """Parameters from the prior, patients by the rule, values as they are drawn: ranks are uniform, with the factor.

    Without it the population's slope, drawn from those screened, ranks far above what the enrolled suggest.
    """
    trial = screened_trial(patients=12, seed=1)
    file = load_model(PATH)
    prior, program = prior_of(file, trial), compile_model(file, trial)
    unaware = compile_model(replace(file, build=replace(file.build, entry=False)), trial)
    sampling = Sampling(chains=2, draws=250, tune=300)
    ranks = {"slope": [], "sd_slope": [], "sigma": [], "change": [], "unaware": []}
    for replicate in range(SETS):
        simulated = prior.draw(11, replicate)
        posterior = program.sample(simulated, sampling, seed=replicate)
        if replicate < 3:
            check_same_density(prior, simulated, posterior)
        without = unaware.sample(replace(simulated, data=dict(simulated.data)), sampling, seed=replicate)
        for name in ("slope", "sd_slope", "sigma", "change", "unaware"):
            truth, draws = (of(name, each) for each in (simulated.truth, without if name == "unaware" else posterior))
            ranks[name].append((draws < truth).mean())
    for name in ("slope", "sd_slope", "sigma", "change"):
        assert kstest(ranks[name], "uniform").pvalue > 0.003, (name, np.mean(ranks[name]))
    assert np.mean(ranks["unaware"]) > 0.65


def of(name, posterior):
    if name == "change":
        return change(posterior).to_numpy().ravel()
    draws = posterior.draws
    found = draws[name] if name in draws else draws["population"].sel(coefficient="slope")
    return found.to_numpy().ravel()


def test_nothing_is_claimed_of_trials_of_whole_scores_that_were_selected_by_a_loss():
    """Of six trials of forty patients in which nothing changes; without the factor, four or more are claimed."""
    claimed = {True: 0, False: 0}
    means = []
    for seed in range(6):
        trial = screened_trial(patients=40, seed=seed)
        for known in claimed:
            source = source_of(PATH) + ("" if known else "\nbuild = build.varied(entry=False)\n")
            program = compile_once("alsfrsr", source, trial, Sampling(chains=2, draws=500, tune=500))
            found = change(program.fit(trial, visits_of(trial, "alsfrsr"), seed)).to_numpy()
            claimed[known] += int((found > 0).mean() > 0.975)
            means += [found.mean()] if known else []
    assert claimed[True] <= 1
    assert claimed[False] >= 4
    assert abs(np.mean(means)) < 0.1

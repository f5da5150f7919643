"""Checks fire where the model they are about does not hold, and are silent where it does."""

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from trials import ROOT, line_trial

from slopeshift import checks
from slopeshift.checks import predictive
from slopeshift.checks.rules import UNIFORM
from slopeshift.design.visits import visits_of
from slopeshift.fit.compiled import Sampling, compile_once
from slopeshift.model.files import source_of

TRIALS = 5


def values_of(visits, kind, seed):
    """Values of lines that the model has, with residuals that it may not have, or a scale that ends."""
    rng = np.random.default_rng(seed)
    level, slope = (rng.normal(*of, len(visits.patients)) for of in ((30, 3), (-0.7, 0.3)))
    mean = level[visits.patient_index] + slope[visits.patient_index] * visits.month
    noise = rng.normal(size=len(mean))
    if kind == "autocorrelated":
        for j in range(1, len(noise)):
            if visits.patient_index[j] == visits.patient_index[j - 1]:
                noise[j] = 0.7 * noise[j - 1] + np.sqrt(1 - 0.49) * noise[j]
    if kind == "heavy tails":
        noise = rng.standard_t(2.5, len(mean))
    if kind == "floor":
        mean = mean - 26
    return np.clip(np.round(mean + 1.8 * noise), 0, 48)


@pytest.fixture(scope="module")
def often():
    """How often each check fires, as a share of TRIALS trials of a kind."""
    trial = line_trial(patients=20, injections=2, seed=4)
    visits = visits_of(trial, "alsfrsr")
    source = source_of(ROOT / "models" / "alsfrsr_straight.py")
    compiled = compile_once("alsfrsr", source, trial, Sampling(chains=2, draws=400, tune=300))

    @cache
    def share(kind):
        fired = Counter()
        for seed in range(TRIALS):
            simulated = replace(visits, value=values_of(visits, kind, seed))
            posterior = checks.with_predictions(compiled.fit(trial, simulated, seed), seed)
            fired.update(checks.fired(checks.checks_of(posterior)))
        return {name: number / TRIALS for name, number in fired.items()}

    return share


def test_checks_are_silent_where_the_model_holds(often):
    assert max(often("clean").values(), default=0) <= 1 / TRIALS


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        ("autocorrelated", predictive.NEIGHBOURS),
        ("heavy tails", predictive.HEAVIEST),
        ("heavy tails", UNIFORM),
        ("floor", predictive.ENDS),
    ],
)
def test_the_check_that_exists_for_a_violation_fires(often, kind, check):
    assert often(kind).get(check, 0) >= 0.5

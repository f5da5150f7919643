"""Priors as values: what they refuse and what they mean."""

import numpy as np
import pymc as pm
import pytest
from scipy import stats

from slopeshift.model.priors import LKJ, Beta, Gamma, HalfNormal, Normal
from slopeshift.model.stated import row


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Normal(0, 0), r"Normal\(mean=0, sd=0\): sd is 0; give a finite number above 0"),
        (lambda: HalfNormal(-1), "sd is -1"),
        (lambda: HalfNormal(float("nan")), "sd is nan"),
        (lambda: Gamma(0, 1), "mean is 0"),
        (lambda: Gamma(1, float("inf")), "sd is inf"),
        (lambda: LKJ(0), "eta is 0"),
    ],
)
def test_a_scale_that_is_not_a_finite_positive_number_is_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_gamma_is_given_by_its_mean_and_standard_deviation():
    with pm.Model():
        variable = Gamma(0.75, 0.25).variable("sd")
    draws = pm.draw(variable, 20_000, random_seed=1)
    assert np.mean(draws) == pytest.approx(0.75, abs=0.01)
    assert np.std(draws) == pytest.approx(0.25, abs=0.01)


def test_a_prior_prints_as_it_is_written():
    assert str(Normal(-1.0, 0.4)) == "Normal(mean=-1, sd=0.4)"
    assert str(LKJ(2)) == "LKJ(eta=2)"


def test_what_is_said_of_a_prior_is_no_part_of_its_density():
    said = Normal(35, 4, unit="points", why="trials start at 30-40", basis="historical")
    assert said == Normal(35, 4)
    assert (said.unit, said.why, said.basis) == ("points", "trials start at 30-40", "historical")
    assert row("level", Normal(35, 4), "mean")["why"] == "not stated"


def test_a_class_of_justification_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match=r"its basis is 'gut'; give one of weak, historical, expert"):
        Normal(0, 1, basis="gut")


@pytest.mark.parametrize(
    ("prior", "value", "expected"),
    [
        (Gamma(0.75, 0.25), 0.6, stats.gamma(9, scale=1 / 12).logpdf(0.6)),
        (Beta(1, 3), 0.3, stats.beta(1, 3).logpdf(0.3)),
        (HalfNormal(0.5), 0.2, stats.halfnorm(scale=0.5).logpdf(0.2)),
        (Normal(0.5, 0.25), 0.2, stats.norm(0.5, 0.25).logpdf(0.2)),
    ],
)
def test_a_density_has_the_numbers_of_its_prior_in_double_precision(prior, value, expected):
    """PyMC would take 0.75 and 0.25 for single precision, and be wrong from the ninth digit on."""
    with pm.Model():
        variable = prior.variable("x")
    found = pm.logp(variable, np.float64(value)).eval(mode="FAST_COMPILE")
    assert float(found) == pytest.approx(expected, rel=1e-13)

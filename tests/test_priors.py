"""Priors as values: what they refuse and what they mean."""

import numpy as np
import pymc as pm
import pytest

from slopeshift.model.priors import LKJ, Gamma, HalfNormal, Normal


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

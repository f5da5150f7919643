"""Coefficients: the correlation prior is LKJ, signed scales are half-normal, and moments are those written down."""

import numpy as np
import pymc as pm
import pytest
from scipy import stats

from slopeshift.model.line import correlation_factor, scale
from slopeshift.model.priors import LKJ, HalfNormal


def correlation_of(partials):
    """Plain rebuild of a 3 x 3 correlation matrix from its partial correlations (01, 02, 12 given 0)."""
    r01, r02, p12 = partials
    r12 = p12 * np.sqrt((1 - r01**2) * (1 - r02**2)) + r01 * r02
    return np.array([[1, r01, r02], [r01, 1, r12], [r02, r12, 1]])


@pytest.mark.parametrize("eta", [1.0, 2.0, 5.0])
def test_density_is_lkj_exactly(eta):
    """The log density of the partial correlations, with the Jacobian, is (eta - 1) log det R up to a constant."""
    with pm.Model() as model:
        correlation_factor(LKJ(eta), 3)
    logp = model.compile_logp(vars=model.free_RVs, jacobian=False)
    off = ([0, 0, 1], [1, 2, 2])
    differences = []
    for partials in np.random.default_rng(1).uniform(-0.8, 0.8, (6, 3)):
        names = ("partial_correlation_01", "partial_correlation_02", "partial_correlation_12")
        unit = (partials + 1) / 2
        point = {f"{n}_logodds__": np.log(u / (1 - u)) for n, u in zip(names, unit, strict=True)}
        steps = np.eye(3) * 1e-6
        jacobian = [(correlation_of(partials + h)[off] - correlation_of(partials - h)[off]) / 2e-6 for h in steps]
        log_density = logp(point) - np.log(abs(np.linalg.det(jacobian)))
        differences.append(log_density - (eta - 1) * np.log(np.linalg.det(correlation_of(partials))))
    np.testing.assert_allclose(differences, differences[0], atol=1e-5)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_every_correlation_has_the_lkj_marginal(size):
    """(r + 1) / 2 ~ Beta(a, a) with a = eta - 1 + size / 2, whichever the pair."""
    eta = 2.0
    with pm.Model():
        rows = correlation_factor(LKJ(eta), size)
    pairs = [(i, j) for i in range(size) for j in range(i)]
    dots = [sum(rows[i][m] * rows[j][m] for m in range(j + 1)) for i, j in pairs]
    for draws in pm.draw(dots, 2000, random_seed=2):
        a = eta - 1 + size / 2
        assert stats.kstest((draws + 1) / 2, stats.beta(a, a).cdf).pvalue > 1e-4


def test_rows_of_the_factor_have_length_one():
    with pm.Model():
        rows = correlation_factor(LKJ(2), 4)
    for row in rows[1:]:
        values = np.array(pm.draw(row, 5, random_seed=3))
        np.testing.assert_allclose((values**2).sum(axis=0), 1)


def test_a_signed_scale_is_half_normal_in_absolute_value():
    with pm.Model() as model:
        signed = scale("sd", HalfNormal(0.3))
    x, absolute = pm.draw([signed, model["sd"]], 4000, random_seed=4)
    np.testing.assert_array_equal(np.abs(x), absolute)
    assert stats.kstest(absolute, stats.halfnorm(scale=0.3).cdf).pvalue > 1e-4
    assert 0.45 < (x > 0).mean() < 0.55

"""The arithmetic of eight patients at once, against SciPy: functions that lanes lack, and every family's density."""

import numpy as np
import pytest
from scipy import special

from slopeshift.engine import simd, simd_functions
from slopeshift.engine.compiling import OPTIONS
from slopeshift.engine.residual_kernel import AFTER_BASIS, BOUNDED, NORMAL, STUDENT_T, SUMS, add_values, digamma, weight
from slopeshift.engine.simd import LANES, load, store
from slopeshift.model.families.bounded import BoundedResidual
from slopeshift.model.families.normal import NormalResidual
from slopeshift.model.families.student_t import StudentTResidual
from slopeshift.trial import Outcome

SCORE = Outcome("alsfrsr", "ALSFRS-R", "points", 0, 48, integer=True)
PERCENT = Outcome("fvc", "FVC", "%", 0, 200, integer=False)
OPEN = Outcome("x", "x", "points", None, None, integer=True)


def each(name, x):
    """Apply a function of lanes to numbers, of which there is a multiple of LANES."""
    from numba import njit

    function = getattr(simd if name == "absolute" else simd_functions, name)

    @njit(**OPTIONS)
    def run(x, out):
        for row in range(x.shape[0]):
            store(out, row, function(load(x, row)))

    rows = np.ascontiguousarray(x, dtype=float).reshape(-1, LANES)
    out = np.empty_like(rows)
    run(rows, out)
    return out.ravel()


@pytest.mark.parametrize(
    ("name", "of", "low", "high", "tolerance"),
    [
        ("exponential", np.exp, -100, 100, 1e-14),
        ("exponential", np.exp, -299, 700, 1e-13),
        ("logarithm", np.log, 0.5, 2, 1e-14),
        ("logarithm", np.log, 1e-300, 1e300, 1e-14),
        ("scaled_error", special.erfcx, 0, 30, 3e-15),
        ("scaled_error", special.erfcx, 0, 1e6, 3e-15),
        ("absolute", np.abs, -3, 3, 0),
    ],
)
def test_functions_of_lanes_are_those_of_scipy(name, of, low, high, tolerance):
    x = np.random.default_rng(1).uniform(low, high, 800)
    np.testing.assert_allclose(each(name, x), of(x), rtol=tolerance)


def test_functions_of_lanes_at_the_ends_of_their_range():
    nan, zero, below, tiny = each("logarithm", [np.nan, 0.0, -1.0, 1e-310] * 2)[:4]
    assert [nan, zero, below, tiny] == [-np.inf] * 4
    np.testing.assert_allclose(each("exponential", [-300.0, -301.0, -1e9, 0.0] * 2)[:4], [np.exp(-300)] * 3 + [1.0])
    found = each("scaled_error", [0.0, np.nan, 1e300, 1.0] * 2)
    assert found[0] == pytest.approx(1.0, rel=1e-15)
    assert np.isnan(found[1])


def test_digamma_is_that_of_scipy():
    x = np.geomspace(1e-4, 1e6, 300)
    np.testing.assert_allclose([digamma(one) for one in x], special.digamma(x), rtol=1e-13, atol=1e-14)


def at(family, value, mean, sigma, nu=5.0, scale=PERCENT):
    """Log density and derivatives by mean, sigma and nu of values (any,), one at a time."""
    half = 0.5 if family == BOUNDED and scale.integer else 0.0
    low, high = scale.ends
    found = []
    for one, centre in zip(value, mean, strict=True):
        values = np.zeros((1, 1 + AFTER_BASIS, LANES))
        end = (one >= high) - float(one <= low) if family == BOUNDED else 0.0
        values[0, :, 0] = 1.0, one, end, 1.0
        theta, by_theta, sums = np.full((1, LANES), centre), np.empty((1, LANES)), np.zeros((SUMS, LANES))
        add_values(family, sigma, nu, half, values, theta, by_theta, sums)
        assert (sums[:, 1:] == 0).all()
        found.append([sums[0, 0], by_theta[0, 0], *sums[1:, 0]])
    return np.array(found).T


FAMILIES = [
    (NORMAL, PERCENT, lambda sigma, nu, scale: NormalResidual(sigma)),
    (STUDENT_T, PERCENT, lambda sigma, nu, scale: StudentTResidual(sigma, nu)),
    *((BOUNDED, scale, lambda sigma, nu, scale: BoundedResidual(sigma, scale)) for scale in (SCORE, PERCENT, OPEN)),
]
names = ["normal", "Student-t", "bounded, rounded", "bounded", "rounded"]


@pytest.mark.parametrize("sigma", [0.02, 0.7, 2.0, 40.0])
@pytest.mark.parametrize(("family", "scale", "residual"), FAMILIES, ids=names)
def test_the_density_is_that_of_the_family_far_into_both_tails(family, scale, residual, sigma):
    rng = np.random.default_rng(2)
    value = np.r_[0.0, 48.0, rng.integers(1, 48, 40)].astype(float)
    mean = value + rng.uniform(-30, 30, len(value)) * max(sigma, 0.5) * (rng.random(len(value)) < 0.8)
    one = residual(np.array([sigma]), np.array([5.0]), scale)
    expected = one.log_density(value, mean[None, None])[0, 0]
    np.testing.assert_allclose(at(family, value, mean, sigma, scale=scale)[0], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("sigma", [0.3, 2.0, 10.0])
@pytest.mark.parametrize(("family", "scale", "residual"), FAMILIES, ids=names)
def test_the_gradient_is_what_differences_give(family, scale, residual, sigma):
    rng = np.random.default_rng(3)
    value = np.r_[0.0, 48.0, 0.0, 48.0, rng.integers(1, 48, 20)].astype(float)
    mean, nu, step = value + rng.uniform(-5, 5, len(value)) * sigma, 5.0, 1e-5
    found = at(family, value, mean, sigma, nu, scale)
    up, down = (at(family, value, mean + by, sigma, nu, scale)[0] for by in (step, -step))
    np.testing.assert_allclose(found[1], (up - down) / (2 * step), rtol=1e-5, atol=1e-6)
    up, down = (at(family, value, mean, sigma + by, nu, scale)[0] for by in (step, -step))
    np.testing.assert_allclose(found[2], (up - down) / (2 * step), rtol=1e-5, atol=1e-6)
    up, down = (at(family, value, mean, sigma, nu + by, scale)[0] for by in (step, -step))
    np.testing.assert_allclose(found[3], (up - down) / (2 * step), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("family", "half"), [(NORMAL, 0.0), (STUDENT_T, 0.0), (BOUNDED, 0.5), (BOUNDED, 0.0)])
def test_the_weight_of_a_value_has_the_slopes_that_differences_give(family, half):
    _, by_sigma, by_nu = weight(family, 1.7, 6.0, half)
    step = 1e-6
    slopes = [
        (weight(family, 1.7 + a, 6.0 + b, half)[0] - weight(family, 1.7 - a, 6.0 - b, half)[0]) / (2 * step)
        for a, b in ((step, 0.0), (0.0, step))
    ]
    np.testing.assert_allclose([by_sigma, by_nu], slopes, rtol=1e-6, atol=1e-9)

"""Residuals on a scale and in time: densities against slow and obvious ones, and draws that follow them."""

from itertools import pairwise

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from scipy.special import log_ndtr
from trials import ROOT, line_trial

from slopeshift.engine.sequence import SHORTEST, fading, sequence
from slopeshift.model.families.autocorrelated import AutocorrelatedResidual
from slopeshift.model.families.bounded import log_density_on_scale, log_normal_cdf, on_scale
from slopeshift.model.files import load_model
from slopeshift.trial import Outcome

SCORE = Outcome("score", "Score", "points", 0.0, 48.0, integer=True)
SHARE = Outcome("share", "Share", "%", 0.0, 100.0, integer=False)
ENDLESS = Outcome("x", "x", "units", None, None, integer=False)


def evaluated(*expressions, **given):
    return [np.asarray(value) for value in pytensor.function([], list(expressions), mode="FAST_COMPILE", **given)()]


# ---- on a scale ----


def test_the_log_of_the_normal_distribution_and_its_gradient_are_exact_far_out():
    z = np.concatenate([np.linspace(-200, 40, 481), [-1e4, -38.0, -37.5, -1.0, 0.0, 8.3, 100.0]])
    x = pt.as_tensor(z)
    value, gradient = evaluated(y := log_normal_cdf(x), pt.grad(y.sum(), x))
    np.testing.assert_allclose(value, log_ndtr(z), rtol=1e-10, atol=1e-300)
    np.testing.assert_allclose(gradient, np.exp(stats.norm.logpdf(z) - log_ndtr(z)), rtol=1e-6, atol=1e-300)


def slowly(value, mean, sigma, scale):
    """The log probability of a recorded value, by quadrature of the density over all that is recorded as it."""
    low = -np.inf if value <= scale.minimum else (value - 0.5 - mean) / sigma
    high = np.inf if value >= scale.maximum else (value + 0.5 - mean) / sigma
    peak = np.clip(0.0, low, high)

    def relative(away):
        return np.exp(-0.5 * ((peak + away) ** 2 - peak**2))

    # What is integrated falls off within a few of these from its peak.
    width = 40 / (1 + abs(peak))
    area = sum(
        quad(relative, *ends, epsabs=0, epsrel=1e-11)[0]
        for ends in ((max(low - peak, -width), 0.0), (0.0, min(high - peak, width)))
        if ends[0] < ends[1]
    )
    return np.log(area) + stats.norm.logpdf(peak)


CASES = [
    (value, mean, sigma)
    for value in (0.0, 1.0, 24.0, 47.0, 48.0)
    for mean in (-25.0, 0.3, 24.0, 24.5, 47.6, 80.0)
    for sigma in (0.7, 2.0, 9.0)
    if abs(value - mean) / sigma < 45
]


def test_a_whole_number_has_the_probability_of_all_that_is_rounded_to_it():
    value, mean, sigma = map(np.array, zip(*CASES, strict=True))
    (found,) = evaluated(log_density_on_scale(*map(pt.as_tensor, (value, mean, sigma)), SCORE))
    np.testing.assert_allclose(found, [slowly(*case, SCORE) for case in CASES], rtol=1e-7, atol=1e-12)


@given(st.floats(-60, 110), st.floats(0.3, 20))
@settings(max_examples=20, deadline=None)
def test_the_scores_of_a_scale_have_probabilities_that_add_up_to_1(mean, sigma):
    scores = np.arange(49.0)
    (found,) = evaluated(log_density_on_scale(pt.as_tensor(scores), mean, sigma, SCORE))
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("away", [20.0, 100.0, 1000.0])
def test_gradients_are_finite_however_far_the_line_is(away):
    scores = np.arange(49.0)
    for sign in (-1, 1):
        mean, sigma = pt.as_tensor(scores + sign * away * 2.0), pt.as_tensor(np.full(49, 2.0))
        density = log_density_on_scale(pt.as_tensor(scores), mean, sigma, SCORE)
        value, by_mean, by_sigma = evaluated(density, *pt.grad(density.sum(), [mean, sigma]))
        assert np.isfinite(value).all()
        assert np.isfinite(by_sigma).all()
        # The line is drawn back to the score, by a force of its distance, unless it lies beyond the score's end.
        beyond = (scores == 0) if sign < 0 else (scores == 48)
        np.testing.assert_allclose(by_mean[~beyond], -sign * away / 2, rtol=0.05)
        np.testing.assert_allclose(by_mean[beyond], 0, atol=1e-12)


def test_a_share_has_a_density_between_the_ends_and_what_lies_beyond_at_them():
    value, mean, sigma = np.array([0.0, 0.1, 60.0, 100.0]), 97.0, 5.0
    (found,) = evaluated(log_density_on_scale(pt.as_tensor(value), mean, sigma, SHARE))
    normal = stats.norm(mean, sigma)
    np.testing.assert_allclose(found, [normal.logcdf(0), *normal.logpdf(value[1:3]), normal.logsf(100)], rtol=1e-7)


def test_without_ends_and_steps_it_is_the_normal_density():
    value = np.linspace(-300, 300, 7)
    (found,) = evaluated(log_density_on_scale(pt.as_tensor(value), 10.0, 3.0, ENDLESS))
    np.testing.assert_allclose(found, stats.norm(10, 3).logpdf(value))


def test_in_the_middle_of_a_wide_scale_rounding_is_hardly_seen():
    value = np.array([18.0, 24.0, 30.0])
    (found,) = evaluated(log_density_on_scale(pt.as_tensor(value), 24.0, 5.0, SCORE))
    np.testing.assert_allclose(found, stats.norm(24, 5).logpdf(value), atol=0.005)


def test_what_is_written_down_follows_its_probabilities():
    latent = pm.Normal.dist(1.0, 3.0, size=20_000)
    drawn = pm.draw(on_scale(latent, SCORE), random_seed=1)
    scores, counts = np.unique(drawn, return_counts=True)
    (expected,) = evaluated(log_density_on_scale(pt.as_tensor(scores), 1.0, 3.0, SCORE))
    assert scores[0] == 0
    common = np.exp(expected) > 1e-3
    np.testing.assert_allclose(counts[common] / 20_000, np.exp(expected[common]), atol=0.015)
    assert pm.draw(on_scale(latent, ENDLESS), random_seed=1).min() < -3


# ---- in time ----

visits = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40)), min_size=1, max_size=12)


def laid_out(pairs):
    """Visits of three patients, some on one day: places of patients and months."""
    patient, quarter = np.array(pairs).T
    return patient.astype(np.intp), quarter / 4.0


def covariance(patient, month, sigma, correlation):
    """The covariance of all residuals, entry by entry; what follows too soon counts as later."""
    order = np.lexsort((month, patient))
    clock = np.zeros(len(month))
    for before, here in pairwise(order):
        clock[here] = clock[before] + max(month[here] - month[before], SHORTEST)
    same = patient[:, None] == patient[None, :]
    return sigma**2 * np.where(same, correlation ** abs(clock[:, None] - clock[None, :]), 0.0)


def given_the_one_before(patient, month, residual, correlation):
    family = AutocorrelatedResidual(np.array([1.7]), np.array([correlation]), sequence(patient, month))
    return family.log_density(residual, np.zeros((1, 1, len(month))))[0, 0]


@given(visits, st.floats(0.01, 0.99), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_the_density_of_one_after_another_is_that_of_all_at_once(pairs, correlation, seed):
    patient, month = laid_out(pairs)
    residual = np.random.default_rng(seed).normal(size=len(month))
    expected = stats.multivariate_normal.logpdf(residual, None, covariance(patient, month, 1.7, correlation))
    found = given_the_one_before(patient, month, residual, correlation)
    assert found.sum() == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(visits, st.floats(0.01, 0.99))
@settings(max_examples=20, deadline=None)
def test_what_is_drawn_has_the_covariance_of_the_density(pairs, correlation):
    """Residuals are linear in the normals that they are drawn from: the map times its transpose is the covariance."""
    patient, month = laid_out(pairs)
    order, z = sequence(patient, month), pt.dvector("z")
    drawn = fading(z, pt.as_tensor(1.7), pt.as_tensor(correlation), order)
    draw = pytensor.function([z], drawn, mode="FAST_COMPILE")
    linear = np.array([draw(unit) for unit in np.eye(len(month))])
    np.testing.assert_allclose(linear.T @ linear, covariance(patient, month, 1.7, correlation), atol=1e-9)


@given(visits, st.randoms())
@settings(deadline=None)
def test_what_comes_before_what_does_not_depend_on_the_order_of_rows(pairs, random):
    pairs = sorted(set(pairs))
    patient, month = laid_out(pairs)
    order = sequence(patient, month)
    shuffled = list(range(len(pairs)))
    random.shuffle(shuffled)
    again = sequence(patient[shuffled], month[shuffled])
    np.testing.assert_array_equal(again.first, order.first[shuffled])
    np.testing.assert_array_equal(again.months, order.months[shuffled])
    np.testing.assert_array_equal(again.number, order.number[shuffled])
    np.testing.assert_array_equal(np.array(shuffled)[again.previous], order.previous[shuffled])


def test_values_of_one_day_do_not_divide_by_zero():
    patient, month = np.zeros(3, dtype=np.intp), np.array([2.0, 2.0, 2.0])
    assert np.isfinite(given_the_one_before(patient, month, np.array([1.0, -1.0, 0.5]), 0.3)).all()


# ---- the families, as models ----


@pytest.fixture(scope="module")
def built():
    """Each family's model and the plain one, written out, on one trial; the point at which they are compared."""
    trial = line_trial(patients=4, seed=2)
    text = (
        (ROOT / "models" / "alsfrsr.py").read_text().replace("import normal\n", "import normal_written_out as normal\n")
    )
    return trial, text


def density(trial, path, **fixed):
    """Log density of the recorded values at one point of the coefficients, value by value."""
    model = load_model(path).build(trial)
    rng = np.random.default_rng(4)
    point = model.initial_point()
    point = {
        name: point[name] + 0.1 * rng.normal(size=np.shape(point[name])) for name in sorted(point) if name not in fixed
    }
    (logp,) = model.compile_logp(vars=model.observed_RVs, sum=False, mode="FAST_COMPILE")(point | fixed)
    return logp


@pytest.mark.parametrize(
    ("name", "fixed", "tolerance"),
    [
        ("student", {"nu_log__": np.log(1e7)}, 1e-5),
        ("bounded", {}, 0.02),
    ],
)
def test_at_its_limit_a_family_has_the_density_of_the_normal(built, tmp_path, name, fixed, tolerance):
    """Many degrees of freedom, and, in the middle of the scale, steps that are short beside sigma."""
    trial, text = built
    path = tmp_path / "normal.py"
    path.write_text(text)
    found = density(trial, ROOT / "models" / f"alsfrsr_{name}.py", **fixed)
    np.testing.assert_allclose(found, density(trial, path), atol=tolerance, rtol=tolerance)


def test_what_a_bounded_model_predicts_are_scores():
    trial = line_trial(patients=4)
    with load_model(ROOT / "models" / "alsfrsr_bounded.py").build(trial):
        values = pm.sample_prior_predictive(50, random_seed=1)["prior_predictive"]["alsfrsr"].to_numpy()
    assert set(np.unique(values)) <= set(range(49))
    assert {0.0, 48.0} <= set(np.unique(values))

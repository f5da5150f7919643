"""Residuals correlated in time, integrated out: against dense normal densities and differences."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import block_diag
from scipy.stats import multivariate_normal
from trials import ROOT, line_trial

from slopeshift.calibration.posterior import dense_log_density
from slopeshift.engine import correlated, exact, kernel
from slopeshift.engine.sequence import apart, sequence
from slopeshift.engine.simd import LANES
from slopeshift.engine.terms import CORRELATED, terms_of
from slopeshift.fit.compiled import RefitError, Sampling, compile_once, refusal
from slopeshift.model.covariates import labelled
from slopeshift.model.files import load_model, source_of

PATH = ROOT / "models" / "alsfrsr_autocorrelated.py"


class Problem:
    """A small problem by dense matrices: slow, obvious, and without a line in common with the engine."""

    def __init__(self, seed, counts, correlation=0.6, injections=2, spread=1.0):
        rng = np.random.default_rng(seed)
        p, q, m, n = 2 + injections, 3 + injections, 3 + injections, sum(counts)
        self.patients, self.patient = len(counts), rng.permutation(np.repeat(np.arange(len(counts)), counts))
        # Quarters of a month: some values are of one day, or follow each other within SHORTEST.
        self.month = rng.integers(0, 30, n) / 4
        self.rows, self.value = rng.normal(size=(n, p)), rng.normal(size=n)
        self.terms, self.sd = rng.normal(size=(p, m)), rng.uniform(0.5, 2, m)
        loading, variance = spread * rng.normal(size=(p, q)), rng.uniform(0.5, 2)
        self.at = {"loading": loading, "variance": variance, "correlation": correlation}

    def covariance(self, loading, variance, correlation):
        """The covariance of all values given the population's coefficients."""
        found = np.zeros((len(self.value),) * 2)
        for i in range(self.patients):
            mine = np.flatnonzero(self.patient == i)
            spread = self.rows[mine] @ loading
            found[np.ix_(mine, mine)] = spread @ spread.T + variance * correlation ** apart(self.month[mine])
        return found

    def log_density(self, **changes):
        if not len(self.value):
            return 0.0
        x = self.rows @ self.terms
        between = x @ np.diag(self.sd**2) @ x.T
        return multivariate_normal.logpdf(self.value, None, between + self.covariance(**self.at | changes))

    def series(self):
        order = sequence(self.patient, self.month)
        return correlated.pack(self.rows, self.value, self.patient, self.patients, order)

    def engine(self):
        return correlated.density(*self.at.values(), self.series(), self.terms, self.sd**-2.0)

    def slope(self, name, step, towards=1.0):
        """Central difference of fourth order by an input."""
        found = 0.0
        for far, weight in ((1, 8), (2, -1)):
            ends = [self.log_density(**{name: self.at[name] + s * far * step * towards}) for s in (1, -1)]
            found += weight * (ends[0] - ends[1])
        return found / (12 * step)


CASES = {
    "ordinary": {"counts": [5, 9, 4]},
    "one value each": {"counts": [1, 1, 1]},
    "a patient with none": {"counts": [0, 6]},
    "nobody has any": {"counts": [0, 0]},
    "one patient": {"counts": [8]},
    "one more than a block": {"counts": [*range(LANES), 5]},
    "no spread at all": {"counts": [4, 5], "spread": 0.0},
    "large spread": {"counts": [4, 5], "spread": 100.0},
    "hardly correlated": {"counts": [4, 5], "correlation": 0.01},
    "nearly the same": {"counts": [4, 5], "correlation": 0.98},
    **{f"{k} injections": {"counts": [3, 6], "injections": k} for k in (0, 4)},
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_density_and_gradient_equal_the_dense_oracle(case):
    problem = Problem(seed=1, **case)
    value, by_loading, by_variance, by_correlation = problem.engine()
    assert value == pytest.approx(problem.log_density(), rel=1e-9, abs=1e-9)
    entries = np.eye(by_loading.size).reshape(-1, *by_loading.shape)
    expected = [problem.slope("loading", 1e-4, entry) for entry in entries]
    close = {"rel": 1e-6, "abs": 1e-6 * (1 + abs(value))}
    assert by_loading.ravel() == pytest.approx(np.array(expected), **close)
    assert by_variance == pytest.approx(problem.slope("variance", 1e-4), **close)
    assert by_correlation == pytest.approx(problem.slope("correlation", 1e-4), **close)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 7), min_size=1, max_size=10), st.floats(0.001, 0.99))
def test_density_equals_the_dense_oracle_whatever_the_visits(seed, counts, correlation):
    problem = Problem(seed, counts, correlation)
    assert problem.engine()[0] == pytest.approx(problem.log_density(), rel=1e-8, abs=1e-8)


def test_without_correlation_it_is_the_density_of_independent_residuals():
    problem = Problem(seed=2, counts=[5, 9, 4], correlation=1e-80)
    packed, _, log_det = correlated.statistics(problem.series(), 1e-80, problem.rows.shape[1])
    loading, variance, _ = problem.at.values()
    none = np.zeros(problem.rows.shape[1])
    expected = kernel.density(loading, variance, none, packed, problem.terms, problem.sd**-2.0)
    value, by_loading, by_variance, _ = problem.engine()
    assert (value, by_variance) == (expected[0], expected[2])
    np.testing.assert_array_equal(by_loading, expected[1])
    same = problem.patient == 1
    assert packed[0, -1].tolist()[:3] == [5, 9, 4]
    assert log_det.max() == 0
    np.testing.assert_allclose(packed[0, -2, 1], problem.value[same] @ problem.value[same])


# ---- drawn back ----


def test_what_is_drawn_back_has_the_moments_that_the_dense_normal_gives():
    """Of one patient's coefficients and the population's, given the values of all."""
    problem, number = Problem(seed=3, counts=[6, 4, 0]), 40_000
    p, (loading, variance, correlation) = problem.rows.shape[1], problem.at.values()
    many = [np.repeat(np.array([each]), number, axis=0) for each in (loading, variance, correlation)]
    terms, theta = np.empty((number, len(problem.sd))), np.empty((number, 3, p))
    data = problem.series(), problem.terms, problem.sd**-2.0, np.random.default_rng(1)
    marginal = np.empty((number, 3))
    correlated.draw_back(*many, *data, terms, theta, marginal)
    # Prior covariance of (terms, theta of each patient), and of the values with them.
    prior = np.diag(problem.sd**2)
    joint = np.vstack([np.eye(len(problem.sd)), *[problem.terms] * 3])
    covariance = joint @ prior @ joint.T + block_diag(0 * prior, *[loading @ loading.T] * 3)
    pick = np.zeros((len(problem.value), len(covariance)))
    for row, i in enumerate(problem.patient):
        pick[row, len(problem.sd) + i * p : len(problem.sd) + (i + 1) * p] = problem.rows[row]
    residual = problem.covariance(0 * loading, variance, correlation)
    gain = covariance @ pick.T @ np.linalg.inv(pick @ covariance @ pick.T + residual)
    mean, left = gain @ problem.value, covariance - gain @ pick @ covariance
    drawn = np.column_stack([terms, theta.reshape(number, -1)])
    sd = np.sqrt(np.diag(left))
    assert np.abs((drawn.mean(axis=0) - mean) / sd).max() < 5 / np.sqrt(number)
    np.testing.assert_allclose(np.cov(drawn.T) / np.outer(sd, sd), left / np.outer(sd, sd), atol=6 / np.sqrt(number))


@pytest.fixture(scope="module")
def drawn():
    """A fit's parts without a fit: prior draws as if they were the posterior's, and what is drawn back from them."""
    from slopeshift.fit.sample import prior_draws

    trial, file = line_trial(patients=5), load_model(PATH)
    model, visits = file.build(trial), file.visits(trial)
    prior = prior_draws(model, visits, 30, 1)
    terms = labelled(model, terms_of(model))
    sampled = prior["prior"].to_dataset().drop_vars(["population", "coefficients"])
    return visits, terms, prior, *exact.with_posterior_coefficients(sampled, visits, terms, 2)


def test_the_log_density_of_a_patient_is_that_of_its_values_given_the_population(drawn):
    visits, _, _, posterior, by_patient = drawn
    one = posterior.isel(chain=0, draw=7)
    for i in range(len(visits.patients)):
        mine = visits.patient_index == i
        spread = visits.basis[mine] @ one["loading"].to_numpy()
        residual = float(one["sigma"]) ** 2 * float(one["autocorrelation"]) ** apart(visits.month[mine])
        mean = visits.basis[mine] @ one["population"].to_numpy()
        expected = multivariate_normal.logpdf(visits.value[mine], mean, spread @ spread.T + residual)
        assert float(by_patient.isel(chain=0, draw=7, patient=i)) == pytest.approx(expected, rel=1e-8)


def test_the_model_records_that_its_residuals_are_correlated_and_predicts_such(drawn):
    visits, terms, prior, _, _ = drawn
    assert CORRELATED in terms
    assert CORRELATED in prior["constant_data"]
    before = prior["prior"].to_dataset()
    theta = before["coefficients"].to_numpy()[0]
    mean = (visits.basis * theta[:, visits.patient_index]).sum(axis=2)
    left = (prior["prior_predictive"]["alsfrsr"].to_numpy()[0] - mean) / before["sigma"].to_numpy()[0][:, None]
    order = sequence(visits.patient_index, visits.month)
    pairs = left[:, ~order.first] * left[:, order.previous[~order.first]]
    expected = before["autocorrelation"].to_numpy()[0][:, None] ** order.months[~order.first]
    assert pairs.mean() == pytest.approx(expected.mean(), abs=5 * pairs.std() / np.sqrt(pairs.size))
    assert expected.mean() > 6 * pairs.std() / np.sqrt(pairs.size)


def test_statistics_of_other_values_are_those_that_a_model_of_them_has(drawn):
    visits, terms, *_ = drawn
    other = line_trial(patients=5, seed=4)
    file = load_model(PATH)
    found = exact.statistics_of(replace(visits, value=file.visits(other).value), terms)
    np.testing.assert_array_equal(found, file.build(other)["statistics"].get_value())


@pytest.mark.parametrize("mode", ["FAST_COMPILE", pytest.param("NUMBA", marks=pytest.mark.slow)])
def test_pymc_has_the_density_of_the_dense_oracle_and_the_gradient_of_differences(mode):
    trial, file = line_trial(patients=4, injections=1), load_model(PATH)
    model, visits = file.build(trial), file.visits(trial)
    rng, start = np.random.default_rng(4), model.initial_point()
    point = {name: value + 0.3 * rng.normal(size=np.shape(value)) for name, value in start.items()}
    names = ("loading", "sigma", "autocorrelation")
    wanted = model.replace_rvs_by_values([model[name] for name in names])
    values = model.compile_fn(wanted, inputs=model.value_vars, on_unused_input="ignore", mode="FAST_COMPILE")(point)
    one = xr.Dataset({name: (("row", "column")[: np.ndim(v)], v) for name, v in zip(names, values, strict=True)})
    expected = dense_log_density(visits, terms_of(model), one)
    observed = model.compile_logp(vars=[model["alsfrsr"]], mode="FAST_COMPILE")(point)
    assert float(observed) == pytest.approx(expected, rel=1e-9)
    # By numba as it would be sampled without the precompiled density: PyTensor's own compilation is tested with it.
    logp, gradient = model.compile_logp(mode=mode), model.compile_dlogp(mode=mode)
    steps = [
        (logp(point | {name: point[name] + 1e-6}) - logp(point | {name: point[name] - 1e-6})) / 2e-6 for name in point
    ]
    np.testing.assert_allclose(gradient(point), steps, rtol=1e-5, atol=1e-4)


# ---- what goes on without knowing of them ----


def test_it_is_not_refitted_to_other_trials():
    """What weighs a refit anew knows independent residuals alone."""
    trial = line_trial(patients=4)
    assert "residuals depend on each other in time" in refusal(load_model(PATH), trial)
    with pytest.raises(RefitError, match="residuals depend on each other in time"):
        compile_once("alsfrsr_autocorrelated", source_of(PATH), trial, Sampling())

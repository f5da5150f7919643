"""The exact engine against its oracles: dense normal densities, finite differences, and the model written out."""

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import block_diag
from scipy.stats import multivariate_normal
from trials import ROOT, line_trial, written_out

from slopeshift.answers.quantities import summarise
from slopeshift.engine import exact as marginal
from slopeshift.engine import kernel
from slopeshift.engine.simd import LANES
from slopeshift.fit.sample import sample
from slopeshift.fit.store import Settings
from slopeshift.model.files import load_model
from slopeshift.trial import trial_from_tables

REPORTED = ("population", "coefficients", "correlation", "sd_level", "sd_slope", "sd_response", "sd_cycle", "sigma")


class Problem:
    """A small problem by dense matrices: slow, obvious, and without a line in common with the engine."""

    def __init__(self, seed, values, injections=2, loading_scale=1.0, variance=1.0):
        rng = np.random.default_rng(seed)
        self.p, self.q, self.m = 2 + injections, (3 if injections else 2) + injections, 3 + injections
        self.designs = [rng.normal(size=(n, self.p)) for n in values]
        self.values = [rng.normal(size=n) for n in values]
        self.terms = rng.normal(size=(self.p, self.m))
        self.sd = rng.uniform(0.5, 2, self.m)
        self.loading = loading_scale * rng.normal(size=(self.p, self.q))
        self.variance = variance * rng.uniform(0.5, 2)
        self.offset = np.zeros(self.p)

    def log_density(self, loading, variance, offset=0.0):
        y = np.concatenate(self.values) - np.vstack(self.designs) @ (self.offset + offset)
        between = block_diag(*[w @ loading @ loading.T @ w.T for w in self.designs])
        covariance = between + variance * np.eye(len(y))
        x = np.vstack(self.designs) @ self.terms
        return multivariate_normal.logpdf(y, None, covariance + x @ np.diag(self.sd**2) @ x.T) if len(y) else 0.0

    def engine(self):
        pairs = list(zip(self.designs, self.values, strict=True))
        statistics = (
            np.array([w.T @ w for w, _ in pairs]),
            np.array([w.T @ y for w, y in pairs]),
            np.array([y @ y for _, y in pairs]),
            np.array([float(len(y)) for _, y in pairs]),
        )
        packed = kernel.pack(*statistics)
        return kernel.density(self.loading, self.variance, self.offset, packed, self.terms, self.sd**-2.0)

    def differences(self, step=1e-5):
        """Central differences by every entry of loading, by variance, and by every entry of offset."""

        def slope(loading, variance, offset):
            ends = (
                self.log_density(self.loading + s * loading, self.variance + s * variance, s * offset)
                for s in (step, -step)
            )
            return (next(ends) - next(ends)) / (2 * step)

        entries = np.eye(self.p * self.q).reshape(self.p, self.q, self.p, self.q)
        by_loading = np.array([[slope(entry, 0, 0) for entry in row] for row in entries])
        return by_loading, slope(0, 1, 0), np.array([slope(0, 0, entry) for entry in np.eye(self.p)])


CASES = {
    "ordinary": {"values": [5, 9, 4]},
    "a patient with one visit": {"values": [1, 7]},
    "a patient with none": {"values": [0, 6]},
    "nobody has any": {"values": [0, 0]},
    "one patient": {"values": [8]},
    "a full block of patients": {"values": [3] * LANES},
    "one more than a block": {"values": [*range(LANES), 5]},
    "three blocks": {"values": [4, 1, 0, 6, 2, 5, 3] * 3},
    "no spread at all": {"values": [4, 5], "loading_scale": 0.0},
    "hardly any spread": {"values": [4, 5], "loading_scale": 1e-8},
    "large spread": {"values": [4, 5], "loading_scale": 100.0},
    "small residual": {"values": [4, 5], "variance": 1e-3},
    **{f"{k} injections": {"values": [3, 6], "injections": k} for k in (0, 1, 4, 8)},
}


@pytest.mark.parametrize("moved", [False, True], ids=["", "offset"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_density_and_gradient_equal_the_dense_oracle(case, moved):
    problem = Problem(seed=1, **case)
    problem.offset = moved * np.random.default_rng(9).normal(size=problem.p)
    value, d_loading, d_variance, d_offset = problem.engine()
    assert value == pytest.approx(problem.log_density(problem.loading, problem.variance), rel=1e-9, abs=1e-8)
    by_loading, by_variance, by_offset = problem.differences(step=1e-6 if "variance" in case else 1e-5)
    np.testing.assert_allclose(d_loading, by_loading, rtol=1e-5, atol=1e-5 * (1 + abs(value)))
    np.testing.assert_allclose(d_variance, by_variance, rtol=1e-5, atol=1e-5 * (1 + abs(value)))
    np.testing.assert_allclose(d_offset, by_offset, rtol=1e-5, atol=1e-5 * (1 + abs(value)))


@pytest.mark.parametrize("sampled", [0, 2, 5])
def test_terms_that_are_sampled_and_then_integrated_out_are_those_integrated_out_at_once(sampled):
    """By Gauss' identity: a density times that of the sampled terms is normal in them, so three values give its sum."""
    whole, apart = Problem(seed=3, values=[5, 9, 4]), Problem(seed=3, values=[5, 9, 4])
    apart.terms, apart.sd = whole.terms[:, sampled:], whole.sd[sampled:]

    def joint(x):
        apart.offset = whole.terms[:, :sampled] @ (whole.sd[:sampled] * x)
        value, *_, by_offset = apart.engine()
        gradient = (whole.terms[:, :sampled] * whole.sd[:sampled]).T @ by_offset - x
        return value - 0.5 * x @ x - 0.5 * sampled * np.log(2 * np.pi), gradient

    value, gradient = joint(np.zeros(sampled))
    curvature = -np.array([joint(step)[1] - gradient for step in np.eye(sampled)]).reshape(sampled, sampled)
    log_integral = value + 0.5 * gradient @ np.linalg.solve(curvature, gradient)
    log_integral += 0.5 * sampled * np.log(2 * np.pi) - 0.5 * np.linalg.slogdet(curvature)[1]
    assert log_integral == pytest.approx(whole.engine()[0], abs=1e-10, rel=1e-10)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 7), min_size=1, max_size=5), st.integers(0, 4))
def test_density_equals_the_dense_oracle_whatever_the_shape(seed, values, injections):
    problem = Problem(seed, values, injections=injections)
    assert problem.engine()[0] == pytest.approx(
        problem.log_density(problem.loading, problem.variance), rel=1e-8, abs=1e-8
    )


@pytest.fixture(scope="module")
def trial():
    return line_trial(patients=10)


@pytest.fixture(scope="module")
def files():
    """The same model twice: as it is, and with its coefficients sampled."""
    return load_model(ROOT / "models" / "alsfrsr.py"), written_out("alsfrsr")


def dense_log_density(visits, loading, sigma, mean, sd, design):
    """Evaluate log p(y) from the covariance of all values."""
    inside = visits.basis @ design
    same = visits.patient_index[:, None] == visits.patient_index
    between = (visits.basis @ loading @ loading.T @ visits.basis.T) * same
    covariance = inside @ np.diag(sd**2) @ inside.T + between + sigma**2 * np.eye(len(same))
    return multivariate_normal.logpdf(visits.value, inside @ mean, covariance)


def unusual_trial(kind):
    """Trials at the edges of what is allowed, made from straight lines; every schedule in them is the same but one."""
    lines = line_trial(patients=9, injections=0 if kind == "no injection" else 2)
    visits, injections = lines.visits, lines.injections
    first = visits["patient"] == "P1"
    if kind == "an injection after the last visit":
        visits = visits[~first | (visits["month"] < 3)]
    if kind == "a patient with one visit":
        visits = visits[~first | (visits["month"] == 1)]
    if kind == "a patient without a value of this outcome":
        visits = visits.assign(fvc=80.0, alsfrsr=visits["alsfrsr"].mask(first))
    if kind == "eight injections":
        more = pd.DataFrame([("P2", k, 8.0 + k / 10) for k in range(3, 9)], columns=["patient", "injection", "month"])
        injections = pd.concat([injections, more])
    tables = {"patients": lines.patients, "visits": visits, "injections": injections}
    return trial_from_tables("unusual", tables, {"title": "Unusual", "synthetic": True, "source": "test"})


@pytest.mark.parametrize(
    "kind",
    [
        "identical schedules",
        "no injection",
        "an injection after the last visit",
        "a patient with one visit",
        "a patient without a value of this outcome",
        "eight injections",
    ],
)
def test_the_model_has_the_density_of_the_dense_oracle(kind, files):
    """End to end through PyMC: prior terms, statistics, loading and Op, at a point away from the start."""
    trial = unusual_trial(kind)
    model, visits = files[0].build(trial), files[0].visits(trial)
    rng = np.random.default_rng(4)
    point = {name: value + 0.3 * rng.normal(size=np.shape(value)) for name, value in model.initial_point().items()}
    names = ("loading", "sigma", "term_mean", "term_sd", "term_design")
    loading, sigma, mean, sd, design = model.compile_fn(
        model.replace_rvs_by_values([model[name] for name in names]),
        inputs=model.value_vars,
        on_unused_input="ignore",
        mode="FAST_COMPILE",
    )(point)
    expected = dense_log_density(visits, loading, sigma, mean, sd, design)
    observed = model.compile_logp(vars=[model["alsfrsr"]], mode="FAST_COMPILE")(point)
    assert observed == pytest.approx(expected, rel=1e-9)


def test_pymc_samples_and_predicts_from_the_observed_variable_as_from_any_other(files):
    """PyMC's own sampler and predictions, and its log likelihood, which is that of all values together."""
    trial = line_trial(patients=4, injections=1)
    with files[0].build(trial):
        # A few draws, for that it works: no warning that they are few.
        quiet = {"nuts_sampler": "pymc", "cores": 1, "progressbar": False, "compute_convergence_checks": False}
        tree = pm.sample(draws=5, tune=5, chains=1, random_seed=1, **quiet)
        together = pm.compute_log_likelihood(tree, extend_inferencedata=False, progressbar=False)["alsfrsr"]
        predicted = pm.sample_posterior_predictive(tree, random_seed=1, progressbar=False)
    assert predicted["posterior_predictive"]["alsfrsr"].sizes == {"chain": 1, "draw": 5, "visit": len(trial.visits)}
    terms = [tree["constant_data"][f"term_{part}"].to_numpy() for part in ("mean", "sd", "design")]
    for draw in range(5):
        loading, sigma = (tree["posterior"][name][0, draw].to_numpy() for name in ("loading", "sigma"))
        expected = dense_log_density(files[0].visits(trial), loading, sigma, *terms)
        assert float(together[0, draw]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("mode", ["FAST_COMPILE", pytest.param("NUMBA", marks=pytest.mark.slow)])
def test_the_gradient_through_the_model_equals_finite_differences(trial, files, mode):
    model = files[0].build(trial)
    # By numba as it is compiled where the precompiled density is not that of a model.
    logp, gradient = model.compile_logp(mode=mode), model.compile_dlogp(mode=mode)
    rng = np.random.default_rng(5)
    point = {name: value + 0.3 * rng.normal(size=np.shape(value)) for name, value in model.initial_point().items()}
    steps = [
        (logp(point | {name: point[name] + 1e-6}) - logp(point | {name: point[name] - 1e-6})) / 2e-6 for name in point
    ]
    np.testing.assert_allclose(gradient(point), steps, rtol=1e-5, atol=1e-4)


def test_another_value_than_the_recorded_is_refused(trial, files):
    model = files[0].build(trial)
    with pytest.raises(NotImplementedError, match="known at the recorded values only; build the model of a trial with"):
        pm.logp(model["alsfrsr"], pt.dvector())


@pytest.fixture(scope="module")
def fits(trial, files):
    return [sample(file, trial, Settings(seed=2, draws=3000, tune=1500), progress=False) for file in files]


def table(fit, group):
    """Mean and Monte Carlo error of everything that both paths report, by name."""
    data = fit.tree[group].to_dataset()
    rows = {}
    for name in REPORTED:
        values = (
            data[name].stack(row=data[name].dims[2:]) if data[name].ndim > 2 else data[name].expand_dims("row", axis=2)
        )
        for label, row in zip(np.arange(values.sizes["row"]), values.transpose("row", ...), strict=True):
            rows[f"{name} {label}"] = row.drop_vars(row.coords).rename(None)
    stacked = xr.concat(list(rows.values()), dim="row")
    return summarise(stacked).set_axis(list(rows))


@pytest.mark.parametrize("group", ["posterior", "prior"])
def test_integrating_out_and_writing_out_give_the_same(fits, group):
    """Within 4.5 Monte Carlo standard errors (two-sided 7e-6) over some 60 quantities, mean and spread."""
    exact, sampled = (table(fit, group) for fit in fits)
    error = np.hypot(exact["mcse"], sampled["mcse"])
    off = (exact["mean"] - sampled["mean"]).abs() / error
    assert off.max() < 4.5, off.nlargest(3)
    np.testing.assert_allclose(exact["sd"], sampled["sd"], rtol=0.15)


def test_both_paths_have_the_same_reported_names_and_dims(fits):
    for name in REPORTED:
        exact, sampled = (fit.tree["posterior"][name] for fit in fits)
        assert exact.dims == sampled.dims
        for dim in exact.dims:
            np.testing.assert_array_equal(exact[dim], sampled[dim])


@pytest.mark.parametrize("group", ["log_likelihood", "posterior_predictive"])
def test_both_paths_predict_the_same(fits, group):
    """The mean over draws, at every visit, of the log density and of a new value."""
    exact, sampled = (fit.tree[group]["alsfrsr"] for fit in fits)
    assert exact.dims == sampled.dims
    tolerance = 6 * np.hypot(exact.std(), sampled.std()) / np.sqrt(1000)
    assert float(abs(exact.mean(("chain", "draw")) - sampled.mean(("chain", "draw"))).max()) < float(tolerance)


def test_the_log_density_of_a_patient_is_that_of_its_values_given_the_population(fits, files, trial):
    tree, visits = fits[0].tree, files[0].visits(trial)
    draws = tree["posterior"].to_dataset().isel(chain=1, draw=7)
    loading, population = draws["loading"].to_numpy(), draws["population"].to_numpy()
    for i, patient in enumerate(visits.patients):
        mine = visits.patient_index == i
        w = visits.basis[mine]
        covariance = w @ loading @ loading.T @ w.T + float(draws["sigma"]) ** 2 * np.eye(len(w))
        expected = multivariate_normal.logpdf(visits.value[mine], w @ population, covariance)
        found = tree["log_likelihood_of_patient"]["alsfrsr"].isel(chain=1, draw=7).sel(patient=patient)
        assert float(found) == pytest.approx(expected, rel=1e-9)


def test_drawing_back_needs_a_seed_and_repeats_with_it(fits, files, trial):
    tree, visits = fits[0].tree, files[0].visits(trial)
    draws = tree["posterior"].to_dataset().drop_vars(["population", "coefficients"])
    terms = tree["constant_data"].to_dataset()
    one, again, other = (
        marginal.with_posterior_coefficients(draws, visits, terms, seed)[0]["coefficients"] for seed in (1, 1, 2)
    )
    xr.testing.assert_identical(one, again)
    assert not np.array_equal(one, other)

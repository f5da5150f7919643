"""The log prior of a fit: the priors that a model file states, as plain densities, and nothing of the hierarchy."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from trials import ROOT, as_bambi_states_it, line_trial, written_out

from slopeshift.fit.log_prior import log_prior
from slopeshift.fit.sample import prior_draws
from slopeshift.model.description import UnknownError
from slopeshift.model.files import load_model

MODELS = ROOT / "models"
SCALES = ("sd_level", "sd_slope", "sd_response", "sd_cycle", "sd_curvature", "sigma")
BENDS = ("curvature_by_level", "curvature_by_slope")


def of_prior(file, trial):
    """The log prior at draws from the prior, and these draws."""
    model, visits = file.build(trial), file.visits(trial)
    tree = prior_draws(model, visits, 50, seed=1)
    draws = tree["prior"].to_dataset()
    return log_prior(model, draws, tree["constant_data"].to_dataset()), draws


@pytest.fixture(scope="module", params=["integrated out", "written out"])
def interval(request):
    file = written_out("interval") if request.param == "written out" else load_model(MODELS / "interval.py")
    return of_prior(file, uneven_trial())


def uneven_trial():
    """Intervals that differ, so that both covariates are there."""
    from slopeshift.trial import trial_from_tables

    trial = line_trial(patients=6, injections=3)
    injections = trial.injections.copy()
    later = injections["injection"] == 3
    injections.loc[later, "month"] += np.linspace(0, 1, later.sum())
    tables = {"patients": trial.patients[["patient"]], "visits": trial.visits[["patient", "month", "alsfrsr"]]}
    settings = {"title": "Lines", "synthetic": True, "source": "test"}
    return trial_from_tables("uneven", tables | {"injections": injections[["patient", "injection", "month"]]}, settings)


def test_has_the_stated_priors_and_nothing_of_the_patients(interval):
    density, draws = interval
    assert set(density) == {*SCALES, *BENDS, "correlation", "population", "regression"}
    for values in density.values():
        assert values.dims == ("chain", "draw")
        assert values.shape == (draws.sizes["chain"], draws.sizes["draw"])


def test_standard_deviations_have_the_densities_stated_in_the_file(interval):
    density, draws = interval
    gamma = stats.gamma((0.75 / 0.25) ** 2, scale=0.25**2 / 0.75)
    np.testing.assert_allclose(density["sd_slope"], gamma.logpdf(draws["sd_slope"]), atol=1e-5)
    np.testing.assert_allclose(density["sd_level"], stats.halfnorm(scale=5).logpdf(draws["sd_level"]))
    # Signed: half of the density on either side of 0.
    half = stats.halfnorm(scale=0.3).logpdf(draws["sd_response"])  # though it was sampled with a sign
    np.testing.assert_allclose(density["sd_response"], half)


def test_what_a_curvature_is_expected_from_has_the_densities_stated_in_the_file(interval):
    density, draws = interval
    for name, stated in zip(BENDS, (stats.norm(-0.004, 0.003), stats.norm(-0.04, 0.03)), strict=True):
        np.testing.assert_allclose(density[name], stated.logpdf(draws[name]))
    # The same whether it was sampled with a sign or without.
    stated = stats.halfnorm(scale=0.06).logpdf(abs(draws["sd_curvature"]))
    np.testing.assert_allclose(density["sd_curvature"], stated, rtol=1e-9, atol=1e-12)


def test_correlations_have_the_density_of_lkj_over_the_matrix(interval):
    density, draws = interval
    r = draws["correlation"].transpose("chain", "draw", "pair").to_numpy()
    matrices = np.broadcast_to(np.eye(3), (*r.shape[:2], 3, 3)).copy()
    for at, (i, j) in enumerate([(0, 1), (0, 2), (1, 2)]):
        matrices[..., i, j] = matrices[..., j, i] = r[..., at]
    constant = density["correlation"] - np.log(np.linalg.det(matrices))  # eta - 1 = 1
    np.testing.assert_allclose(constant, constant[0, 0])


def test_the_population_has_its_joint_normal_density(interval):
    density, draws = interval
    assert list(draws.indexes["coefficient"][:3]) == ["level", "slope", "curvature"]
    k = draws.sizes["coefficient"] - 3
    covariance = np.diag([4.0**2, 0.4**2, 0.03**2, *[0.15**2] * k])
    covariance[3:, 3:] += 0.3**2
    expected = stats.multivariate_normal([35, -1.0, *[0.0] * (k + 1)], covariance)
    population = draws["population"].transpose("chain", "draw", "coefficient")
    np.testing.assert_allclose(density["population"][0], expected.logpdf(population[0]))
    regression = stats.norm(0, 0.1).logpdf(draws["regression"].transpose("chain", "draw", "covariate")).sum(axis=-1)
    np.testing.assert_allclose(density["regression"], regression)


def test_the_parameters_of_a_formula_that_is_compiled_each_have_theirs():
    density, draws = of_prior(as_bambi_states_it(load_model(MODELS / "formula.py")), line_trial())
    expected = {"Intercept", "month", "since", "b1", "b2", "sd_level", "sd_slope", "sd_response", "sd_cycle", "sigma"}
    assert expected <= set(density)
    assert not [name for name in density if "patient" in name]
    np.testing.assert_allclose(density["since"], stats.norm(0, 0.3).logpdf(draws["since"]))


def test_priors_have_the_densities_that_pymc_gives_them(monkeypatch):
    """Read off the graph and evaluated in NumPy, or by PyMC where one of them is of another kind."""
    file, trial = written_out("interval"), uneven_trial()
    found, _ = of_prior(file, trial)

    def unknown(*_):
        raise UnknownError

    monkeypatch.setattr("slopeshift.fit.log_prior.priors_of", unknown)
    xr.testing.assert_allclose(found, of_prior(file, trial)[0], rtol=1e-6)


def test_arviz_reads_it_as_it_is():
    """A likelihood that says as much as the prior moves the posterior as much, and the other way."""
    rng = np.random.default_rng(1)
    x = rng.normal(0.5, np.sqrt(0.5), (4, 500))
    log_density = xr.Dataset({"population": (("chain", "draw"), stats.norm(0, 1).logpdf(x))})
    likelihood = xr.Dataset({"y": (("chain", "draw", "patient"), stats.norm(1, 1).logpdf(x)[..., None])})
    posterior = xr.Dataset({"x": (("chain", "draw"), x)})
    tree = xr.DataTree.from_dict({"posterior": posterior, "log_prior": log_density, "log_likelihood": likelihood})
    import arviz_stats

    table = arviz_stats.psense_summary(tree)
    assert table.loc["x", "prior"] == pytest.approx(table.loc["x", "likelihood"], rel=0.3)

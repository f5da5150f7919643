"""Checks of a model's fit: leaving out, predictive checks, priors, and the rules by which they fire."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from made_reports import made_fit, made_trial
from posteriors import stored as stored_posterior
from posteriors import with_stored
from trials import ROOT, line_trial

from slopeshift import checks
from slopeshift.checks import comparison, integrated, loo, predictive, prior, residuals
from slopeshift.checks.left_out import given_others
from slopeshift.checks.loo import leave_one_out
from slopeshift.checks.power_scaling import prior_sensitivity
from slopeshift.checks.rules import FIRES, PRIOR, UNRELIABLE, rules
from slopeshift.checks.thinned import KEPT, fitted, replicates, thinned, values_predicted, with_predictions
from slopeshift.design.visits import visits_of
from slopeshift.engine import exact as marginal
from slopeshift.engine.draws import flat
from slopeshift.fit.compiled import Sampling, compile_once
from slopeshift.fit.posterior import NORMAL, SAMPLES, Posterior, posterior_of
from slopeshift.fit.store import Fit, FitError
from slopeshift.keep.tables import current, save
from slopeshift.model.families import log_likelihood, predicted
from slopeshift.model.families.bounded import BoundedResidual
from slopeshift.model.families.normal import NormalResidual
from slopeshift.model.families.student_t import StudentTResidual
from slopeshift.model.files import source_of
from slopeshift.sensitivity.subsets import of_patients, without
from slopeshift.trial import trial_from_tables

MODEL = source_of(ROOT / "models" / "alsfrsr_straight.py")
SMALL = Sampling(chains=2, draws=400, tune=300)


@pytest.fixture(scope="module")
def trial():
    return line_trial(patients=8, injections=2, seed=4)


@pytest.fixture(scope="module")
def visits(trial):
    return visits_of(trial, "alsfrsr")


@pytest.fixture(scope="module")
def compiled(trial):
    return compile_once("alsfrsr", MODEL, trial, SMALL)


@pytest.fixture(scope="module")
def refit(compiled, trial, visits):
    return compiled.fit(trial, visits, seed=1)


@pytest.fixture(scope="module")
def posterior(refit):
    return with_predictions(refit, seed=2)


@pytest.fixture(scope="module")
def fit(visits, refit, compiled):
    """The draws of a refit, laid out as a stored fit has them."""
    draws, by_patient = marginal.with_posterior_coefficients(refit.draws, visits, compiled.terms, seed=3)
    prior_draws = marginal.with_prior_coefficients(draws[["loading", "sigma"]], visits, compiled.terms, seed=4)
    prior_draws = prior_draws.assign(
        {name: draws[name] for name in ("sd_level", "sd_slope", "sd_response", "sd_cycle")}
    )
    tree = xr.DataTree.from_dict(
        {
            "posterior": draws,
            "posterior_predictive": predicted(NORMAL, draws, visits, 5).to_dataset(),
            "log_likelihood": log_likelihood(NORMAL, draws, visits).to_dataset(),
            "log_likelihood_of_patient": by_patient.to_dataset(),
            "prior": prior_draws,
            "prior_predictive": predicted(NORMAL, prior_draws, visits, 6).to_dataset(),
            "constant_data": visits.dataset().merge(compiled.terms),
        }
    )
    record = {"model": "alsfrsr", "outcome": "alsfrsr", "family": "normal", "status": "sampled", "inputs": {"data": {}}}
    return Fit(tree, record)


def slowly(posterior, draw, patient):
    """One patient's covariance and residuals at one draw, by the definition."""
    mine = np.flatnonzero(posterior.visits.patient_index == patient)
    rows, loading = posterior.visits.basis[mine], flat(posterior.draws["loading"])[draw]
    sigma, centre = flat(posterior.draws["sigma"])[draw], flat(posterior.draws["population"])[draw]
    covariance = rows @ loading @ loading.T @ rows.T + sigma**2 * np.eye(len(mine))
    return mine, rows @ centre, covariance


# ---- leaving out ----


def test_a_value_given_the_others_is_that_of_the_dense_normal(posterior):
    from scipy.stats import multivariate_normal, norm

    found, value = given_others(posterior), posterior.visits.value
    for draw, patient in [(0, 0), (17, 3), (99, 7)]:
        mine, mean, covariance = slowly(posterior, draw, patient)
        whole = multivariate_normal(mean, covariance).logpdf(value[mine])
        assert found.by_patient[draw, patient] == pytest.approx(whole, rel=1e-9)
        for j, place in enumerate(mine):
            others = np.delete(np.arange(len(mine)), j)
            rest = multivariate_normal(mean[others], covariance[np.ix_(others, others)]).logpdf(value[mine[others]])
            assert found.log_density(value)[draw, place] == pytest.approx(whole - rest, rel=1e-7)
            below = norm.cdf(value[place], found.mean[draw, place], found.sd[draw, place])
            gain = covariance[j, others] @ np.linalg.inv(covariance[np.ix_(others, others)])
            centre = mean[j] + gain @ (value[mine[others]] - mean[others])
            sd = np.sqrt(covariance[j, j] - gain @ covariance[others, j])
            assert below == pytest.approx(norm.cdf(value[place], centre, sd), abs=1e-9)


def in_time(posterior, correlation):
    """The posterior of a model whose residuals are correlated in time, with the densities that such a model stores."""
    draws = posterior.draws.assign(autocorrelation=xr.full_like(posterior.draws["sigma"], correlation))
    stored = log_likelihood("autocorrelated", draws, posterior.visits)
    return with_stored(replace(posterior, draws=draws, family="autocorrelated"), log_likelihood=stored)


def test_a_value_whose_residual_is_correlated_in_time_is_that_of_the_dense_normal(posterior):
    from scipy.stats import multivariate_normal

    together, visits = in_time(posterior, 0.6), posterior.visits
    found = given_others(together)
    mine, mean, covariance = slowly(posterior, 5, 2)
    sigma, months = flat(posterior.draws["sigma"])[5], visits.month[mine]
    apart = np.maximum(np.abs(months[:, None] - months), 0.5 * (months[:, None] != months))
    covariance = covariance + sigma**2 * (0.6**apart - np.eye(len(mine)))
    whole = multivariate_normal(mean, covariance).logpdf(visits.value[mine])
    assert found.by_patient[5, 2] == pytest.approx(whole)
    for j in range(len(mine)):
        others = np.delete(np.arange(len(mine)), j)
        rest = multivariate_normal(mean[others], covariance[np.ix_(others, others)]).logpdf(visits.value[mine[others]])
        assert found.log_density(visits.value)[5, mine[j]] == pytest.approx(whole - rest)


def test_values_that_follow_at_once_stand_as_far_apart_as_the_residuals_of_the_model_do(posterior):
    """The densities of the values one after another add up to that of all of them at once, given the coefficients."""
    rng = np.random.default_rng(4)
    months = np.where(rng.random(len(posterior.visits.month)) < 0.3, 0.01, 1.0).cumsum()
    close = in_time(replace(posterior, visits=replace(posterior.visits, month=months)), 0.6)
    without = close.draws.assign(loading=0 * close.draws["loading"])
    at_one = without.assign(population=close.draws["coefficients"].isel(patient=0, drop=True))
    found = given_others(replace(close, draws=at_one)).by_patient[:, 0]
    mine = close.visits.patient_index == 0
    stored = flat(close.stored("log_likelihood"))[:, mine].sum(axis=1)
    np.testing.assert_allclose(found, stored, rtol=1e-4, atol=1e-3)


def test_without_correlation_in_time_it_is_as_if_residuals_were_independent(posterior):
    together, value = in_time(posterior, 1e-12), posterior.visits.value
    each, usual = given_others(together), given_others(posterior)
    np.testing.assert_allclose(each.log_density(value), usual.log_density(value), atol=1e-9)
    np.testing.assert_allclose(each.by_patient, usual.by_patient, atol=1e-9)
    # How many draws count for the tail of the weights goes by how well all that was sampled mixed: both have the same.
    found, usual = leave_one_out(together), leave_one_out(replace(posterior, draws=together.draws))
    assert found.integrated
    np.testing.assert_allclose(found.by_visit.elpd_i, usual.by_visit.elpd_i, atol=1e-6)
    np.testing.assert_allclose(found.by_patient.elpd_i, usual.by_patient.elpd_i, atol=1e-6)


# ---- patients integrated out by sampling ----


def few(posterior, draws=40):
    """The same with fewer draws."""
    some = {"draw": slice(None, draws)}
    groups = {name: group.isel(some) for name, group in posterior.groups.items()}
    return replace(posterior, draws=posterior.draws.isel(some), groups=groups)


def test_sampled_points_give_what_the_arithmetic_gives_where_residuals_are_normal(posterior):
    some = few(posterior)
    exact, family = given_others(some), NormalResidual(flat(some.draws["sigma"]))
    np.testing.assert_allclose(integrated.by_patient(some, family), exact.by_patient, atol=0.5)
    assert (integrated.by_patient(some, family) - exact.by_patient).mean() == pytest.approx(0, abs=0.02)
    places, value = [0, 11, 30], some.visits.value
    density, lower, equal = integrated.given_others(some, family, places)
    np.testing.assert_allclose(density, exact.log_density(value)[:, places], atol=0.25)
    from scipy.special import ndtr

    np.testing.assert_allclose(lower, ndtr((value - exact.mean) / exact.sd)[:, places], atol=0.12)
    assert not equal.any()


@pytest.mark.parametrize("kind", ["student", "bounded"])
def test_sampled_points_give_what_a_great_many_draws_of_the_prior_give(posterior, kind):
    """The slow way: patients drawn from the population until their mean density settles."""
    some = few(posterior, 2)
    draws, outcome = some.draws, replace(some.visits.outcome, maximum=float(some.visits.value.max()))
    sigma = flat(draws["sigma"])
    family = StudentTResidual(sigma, np.full(len(sigma), 3.0)) if kind == "student" else BoundedResidual(sigma, outcome)
    mine = np.flatnonzero(some.visits.patient_index == some.visits.patient_index[some.visits.value.argmax()])
    rng = np.random.default_rng(3)
    rows, loading, population = some.visits.basis[mine], flat(draws["loading"])[0], flat(draws["population"])[0]
    z = rng.standard_normal((400_000, loading.shape[1]))
    mean = ((population + z @ loading.T) @ rows.T)[None]
    first = StudentTResidual(sigma[:1], np.array([3.0])) if kind == "student" else BoundedResidual(sigma[:1], outcome)
    each = first.log_density(some.visits.value[mine], mean)[0]
    whole = np.exp(each.sum(axis=1))
    found = np.array([integrated.by_patient(some, family)[0, some.visits.patient_index[mine[0]]]])
    assert found == pytest.approx(np.log(whole.mean()), abs=0.4)
    others = np.exp(each[:, 1:].sum(axis=1))
    density, lower, equal = integrated.given_others(some, family, [mine[0]])
    assert density[0, 0] == pytest.approx(np.log(whole.mean() / others.mean()), abs=0.15)
    shares = first.lower(some.visits.value[mine[:1]], mean[:, :, :1])
    for got, share in zip((lower, equal), shares, strict=True):
        assert got[0, 0] == pytest.approx((others * share[0, :, 0]).mean() / others.mean(), abs=0.04)


@pytest.mark.parametrize("floor", [20.0, 28.0, 34.0])
def test_sampled_points_are_worth_a_quarter_of_independent_ones_however_many_values_are_at_an_end(posterior, floor):
    """By the effective number of the weights, of every patient on average over draws, and a tenth in all but a few."""
    value = np.maximum(posterior.visits.value, floor)
    outcome = replace(posterior.visits.outcome, minimum=floor)
    some = few(replace(posterior, visits=replace(posterior.visits, value=value, outcome=outcome)))
    family, centre = BoundedResidual(flat(some.draws["sigma"]), outcome), integrated.centres(some)
    for patient in range(len(some.visits.patients)):
        mine = np.flatnonzero(some.visits.patient_index == patient)
        points = integrated._points(some, family, mine, centre[:, patient], 500, np.ones(len(mine), dtype=bool))
        log_weight = points.log_weight + family.log_density(value[mine], points.mean).sum(axis=2)
        weight = np.exp(log_weight - log_weight.max(axis=1, keepdims=True))
        worth = weight.sum(axis=1) ** 2 / (weight**2).sum(axis=1) / 500
        assert worth.mean() > 1 / 4
        assert (worth > 1 / 10).mean() >= 0.95


def test_densities_on_a_scale_are_those_of_the_model():
    import pytensor.tensor as pt

    from slopeshift.model.families.bounded import log_density_on_scale
    from slopeshift.trial import Outcome

    value = np.array([0.0, 1.0, 24.0, 47.0, 48.0])
    mean = np.array([[[-6.0, 3.0, 24.2, 20.0, 50.0]], [[1.0, -30.0, 23.0, 90.0, 47.0]]])
    sigma = np.array([1.5, 2.5])
    for whole in (True, False):
        scale = Outcome("x", "x", "points", 0.0, 48.0, integer=whole)
        for draw in range(2):
            expected = log_density_on_scale(
                pt.as_tensor(value), pt.as_tensor(mean[draw, 0]), pt.as_tensor(sigma[draw]), scale
            ).eval()
            np.testing.assert_allclose(
                BoundedResidual(sigma, scale).log_density(value, mean)[draw, 0], expected, rtol=1e-9
            )
        lower, equal = BoundedResidual(sigma, scale).lower(value, mean)
        assert not lower[:, :, 0].any()
        np.testing.assert_allclose((lower + equal)[:, :, 4], 1)
    points = np.arange(49.0)
    every = np.exp(BoundedResidual(sigma, replace(scale, integer=True)).log_density(points, np.full((2, 1, 49), 30.0)))
    np.testing.assert_allclose(every.sum(axis=2), 1)


@pytest.mark.parametrize("value", [0.0, 48.0])
def test_an_end_of_the_scale_pulls_as_its_density_slopes_and_bends(value):
    from slopeshift.trial import Outcome

    family = BoundedResidual(np.array([1.7]), Outcome("x", "x", "points", 0.0, 48.0, integer=True))
    for mean in (-9.0, -0.5, 0.4, 6.0, 44.0, 47.9, 53.0):
        at = [
            family.log_density(np.array([value]), np.full((1, 1, 1), mean + step)).item() for step in (-1e-3, 0, 1e-3)
        ]
        slope, bend = (at[2] - at[0]) / 2e-3, (at[2] - 2 * at[1] + at[0]) / 1e-6
        left, sd = (each.item() for each in family.working(np.array([value]), np.full((1, 1), mean)))
        assert left / sd**2 == pytest.approx(slope, rel=1e-3, abs=1e-6)
        assert sd**-2 == pytest.approx(-bend, rel=1e-2, abs=1e-5)


def test_what_cannot_be_reweighted_is_integrated_out_and_counted(posterior):
    """A value far from all others of its patient: no weight of the patient's coefficients does, those of others do."""
    far = posterior.visits.value.copy()
    far[7] += 14.0
    visits = replace(posterior.visits, value=far)
    moved = replace(posterior, visits=visits)
    mean = (posterior.visits.basis * flat(posterior.draws["coefficients"])[:, visits.patient_index]).sum(axis=2)
    family = NormalResidual(flat(posterior.draws["sigma"]))
    stored = family.log_density(far, mean[:, None])[:, 0]
    known = moved.stored("log_likelihood")
    moved = with_stored(moved, log_likelihood=known.copy(data=stored.reshape(known.shape)))
    found = loo._reweighted(moved, stored.copy())
    exact = leave_one_out(moved)
    assert found.remade >= 1
    assert found.unreliable == exact.unreliable
    assert float(found.by_visit.elpd_i[7]) == pytest.approx(float(exact.by_visit.elpd_i[7]), abs=0.5)
    assert found.pit[7] == pytest.approx(exact.pit[7], abs=0.01)
    np.testing.assert_allclose(found.by_patient.elpd_i, exact.by_patient.elpd_i, atol=0.6)


def test_covariates_move_what_is_expected_of_a_patient(posterior):
    patients, coefficients = len(posterior.visits.patients), len(posterior.visits.coefficients)
    shift = np.random.default_rng(1).normal(size=(1, patients, coefficients))
    dims = ("covariate", "patient", "coefficient")
    regression = xr.full_like(posterior.draws["sigma"], 0.3).expand_dims(covariate=1, axis=-1)
    design = posterior.design.assign(covariates=(dims, shift))
    moved = replace(posterior, design=design, draws=posterior.draws.assign(regression=regression))
    lifted = (posterior.visits.basis * (0.3 * shift[0])[posterior.visits.patient_index]).sum(axis=1)
    plain = replace(posterior, visits=replace(posterior.visits, value=posterior.visits.value - lifted))
    assert given_others(moved).mean == pytest.approx(given_others(plain).mean + lifted)
    assert given_others(moved).sd == pytest.approx(given_others(plain).sd)


def test_importance_sampling_agrees_with_a_fit_without_the_value(compiled, trial, visits, posterior):
    found = leave_one_out(posterior)
    assert found.integrated
    assert found.unreliable == 0
    for place in (0, 25, len(visits.value) - 1):
        stays = np.arange(len(visits.value)) != place
        parts = {name: getattr(visits, name)[stays] for name in ("patient_index", "month", "value", "basis")}
        refitted = replace(compiled.fit(trial, replace(visits, **parts), seed=8), visits=visits)
        others = given_others(refitted)
        density = others.log_density(visits.value)[:, place]
        exact = np.logaddexp.reduce(density) - np.log(len(density))
        assert float(found.by_visit.elpd_i[place]) == pytest.approx(exact, abs=0.1)
        z = (visits.value[place] - others.mean[:, place]) / others.sd[:, place]
        from scipy.special import ndtr

        assert found.pit[place] == pytest.approx(ndtr(z).mean(), abs=0.03)


def test_leaving_a_patient_out_agrees_with_a_fit_without_them(compiled, trial, visits, posterior):
    found = leave_one_out(posterior).by_patient
    reliable = np.flatnonzero(found.pareto_k < 0.5)[:2]
    assert len(reliable)
    for place in reliable:
        patient = visits.patients[place]
        refitted = compiled.fit(trial, without(visits, of_patients(visits, [patient])), 5)
        by_draw = given_others(replace(refitted, visits=visits)).by_patient[:, place]
        exact = np.logaddexp.reduce(by_draw) - np.log(len(by_draw))
        assert float(found.elpd_i[place]) == pytest.approx(exact, abs=0.5)


def test_a_model_of_unknown_spread_is_reweighted_by_its_stored_densities(posterior):
    unknown = replace(posterior, draws=posterior.draws.drop_vars("loading"))
    found, exact = leave_one_out(unknown), leave_one_out(posterior)
    assert not found.integrated
    assert found.by_patient is None
    assert float(found.by_visit.elpd) == pytest.approx(float(exact.by_visit.elpd), abs=4)
    assert np.corrcoef(found.pit, exact.pit)[0, 1] > 0.98
    assert float(found.by_visit.pareto_k.max()) > float(exact.by_visit.pareto_k.max())


def test_densities_of_another_model_are_not_taken_for_those_of_this_arithmetic(fit, trial):
    stored = thinned(posterior_of(trial, fit))
    assert leave_one_out(stored) is not None
    other = with_stored(stored, log_likelihood=stored.stored("log_likelihood") + 0.01)
    with pytest.raises(FitError, match="not those of the residual family 'normal' that the fit records"):
        leave_one_out(other)


def test_draws_without_a_loading_are_refused(refit):
    with pytest.raises(ValueError, match="have no `loading`, or no exact family: give those of a model"):
        with_predictions(replace(refit, draws=refit.draws.drop_vars("loading")), seed=1)


@pytest.mark.parametrize("family", [None, "student_t"])
def test_draws_of_a_family_that_samples_its_coefficients_are_not_predicted_from(refit, family):
    with pytest.raises(ValueError, match="no exact family"):
        with_predictions(replace(refit, family=family), seed=1)


def test_equal_whole_numbers_are_ranked_at_random(posterior):
    counted = replace(
        with_stored(posterior, posterior_predictive=xr.full_like(posterior.stored("posterior_predictive"), 30.0)),
        draws=posterior.draws.drop_vars("loading"),
        visits=replace(posterior.visits, value=np.full_like(posterior.visits.value, 30.0)),
        family=None,
    )
    pit = leave_one_out(counted).pit
    assert loo.uniformity(pit) > 0.001
    assert pit.std() == pytest.approx(12**-0.5, abs=0.06)


def test_a_value_beyond_all_predictions_is_no_proof_by_itself(posterior):
    far = posterior.visits.value.copy()
    far[7] = values_predicted(posterior).max() + 1
    draws = posterior.draws.drop_vars("loading")
    beyond = replace(posterior, draws=draws, visits=replace(posterior.visits, value=far), family=None)
    pit = leave_one_out(beyond).pit
    assert pit[7] == 1 - 0.5 / len(replicates(beyond))
    assert loo.uniformity(np.append(np.random.default_rng(2).random(250), pit[7])) > FIRES


def test_uniform_probabilities_pass_and_others_do_not():
    rng = np.random.default_rng(1)
    assert loo.uniformity(rng.random(250)) > FIRES
    assert loo.uniformity(rng.beta(3, 3, 250)) < FIRES
    assert loo.uniformity(rng.beta(1.5, 1, 250)) < FIRES


def test_the_table_of_what_was_left_out_has_every_value_and_every_patient(posterior):
    table = loo.loo_table(leave_one_out(posterior), posterior)
    assert list(table.columns) == loo.COLUMNS.split()
    assert table["left_out"].value_counts().to_dict() == {"value": len(posterior.visits.value), "patient": 8}
    of_patients = table[table["left_out"] == "patient"]
    assert list(of_patients["patient"]) == list(posterior.visits.patients)
    assert table["reliable"].all() == (table["pareto_k"] <= 0.66).all()


# ---- comparison ----


def test_models_of_other_values_are_not_compared(posterior):
    found = leave_one_out(posterior)
    visits = posterior.visits
    fewer = replace(posterior, visits=replace(visits, value=visits.value[:-1], month=visits.month[:-1]))
    control = replace(posterior, draws=posterior.draws.assign(interval_control=posterior.draws["sigma"]))
    posteriors = {"own": posterior, "same": posterior, "fewer": fewer, "control": control, "silent": posterior}
    table = comparison("alsfrsr", posteriors, dict.fromkeys(posteriors, found) | {"silent": None}).set_index("model")
    assert table["left_out_because"].to_dict() == {
        "own": "",
        "same": "",
        "fewer": "it is about other values",
        "control": "its likelihood holds the intervals besides the values",
        "silent": "it stores no log likelihood of single values",
    }
    assert list(table.index[:2]) == ["own", "same"]
    assert table.loc["same", "difference_from_best"] == 0
    assert table.loc["own", "log_predictive_density"] == pytest.approx(float(found.by_visit.elpd))
    assert table.loc[["fewer", "control"], "log_predictive_density"].isna().all()
    assert list(table["integrated"]) == ["yes", "yes", "", "", ""]


def test_a_comparison_with_models_that_are_left_out_is_kept_and_read_as_it_was(posterior, tmp_path):
    found = leave_one_out(posterior)
    table = comparison("alsfrsr", {"own": posterior, "silent": posterior}, {"own": found, "silent": None})
    save("model_comparison", table, {}, tmp_path)
    read, _ = current(tmp_path, lambda _: {})
    pd.testing.assert_frame_equal(read["model_comparison"], table, check_dtype=False)


def test_the_better_model_stands_first_with_its_paired_standard_error(posterior):
    good = leave_one_out(posterior)
    blurred = posterior.draws.assign(sigma=2 * posterior.draws["sigma"])
    bad = leave_one_out(with_stored(replace(posterior, draws=blurred), log_likelihood=None))
    posteriors = {"blurred": posterior, "own": posterior}
    table = comparison("alsfrsr", posteriors, {"blurred": bad, "own": good})
    assert list(table["model"]) == ["own", "blurred"]
    apart = bad.by_visit.elpd_i.to_numpy() - good.by_visit.elpd_i.to_numpy()
    assert table["difference_from_best"][1] == pytest.approx(apart.sum())
    paired = np.sqrt(len(apart) * apart.var())
    assert table["standard_error_of_difference"][1] == pytest.approx(paired, rel=0.02)


# ---- residuals ----


def test_the_smoother_takes_the_best_linear_prediction_off(posterior):
    draws, visits = posterior.draws, posterior.visits
    covariance = residuals.spread_of_patients(posterior)
    variance = float((draws["sigma"] ** 2).mean())
    centre = flat(draws["population"]).mean(axis=0)
    found = residuals.residuals(posterior, visits.value[None].copy())[0]
    for patient in range(len(visits.patients)):
        mine = visits.patient_index == patient
        rows = posterior.visits.basis[mine]
        # Ridge regression of the patient's deviations: the same line, by its normal equations.
        about = visits.value[mine] - rows @ centre
        line = np.linalg.solve(rows.T @ rows / variance + np.linalg.inv(covariance), rows.T @ about / variance)
        assert found[mine] == pytest.approx(about - rows @ line, abs=1e-6)


def test_neighbours_are_consecutive_values_of_one_patient(posterior):
    first, second = residuals.lag_pairs(posterior)
    visits = posterior.visits
    assert len(first) == len(visits.value) - len(visits.patients)
    assert (visits.patient_index[first] == visits.patient_index[second]).all()
    assert visits.month[second] - visits.month[first] == pytest.approx(1.0)


def test_the_correlation_of_neighbours_is_that_of_numpy(posterior):
    values = np.random.default_rng(3).normal(size=(4, len(posterior.visits.value)))
    pairs = residuals.lag_pairs(posterior)
    first, second = values[2][pairs[0]], values[2][pairs[1]]
    slow = (first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum())
    assert residuals.autocorrelation(values, pairs)[2] == pytest.approx(slow)


@pytest.mark.parametrize("of", [residuals.time_bins, residuals.score_bands])
def test_every_value_is_in_one_bin_of_enough_values(posterior, of):
    bins, labels = of(posterior)
    sizes = np.bincount(bins, minlength=len(labels))
    assert sizes.sum() == len(posterior.visits.value)
    assert sizes.min() >= residuals.FEWEST
    assert len(set(labels)) == len(labels)


def test_bins_of_time_say_how_long_ago_the_latest_injection_was(posterior):
    bins, labels = residuals.time_bins(posterior)
    visits = posterior.visits
    for place in range(len(visits.value)):
        given = visits.injection_month[visits.patient_index[place]]
        before = given[given < visits.month[place]]
        since = visits.month[place] - before.max() if len(before) else None
        label = labels[bins[place]]
        if since is None:
            assert label == "before injections"
        elif since > 4.5:
            assert label.endswith("over 4.5 months after")
        else:
            low, high = (float(x) for x in label.replace(" months after", "").split(" to "))
            assert low < since <= high


def test_bands_of_score_lie_in_order(posterior):
    bins, labels = residuals.score_bands(posterior)
    means = [fitted(posterior)[bins == b].mean() for b in range(len(labels))]
    assert means == sorted(means)


# ---- predictive checks ----


def test_a_tail_probability_counts_both_sides_and_is_never_zero():
    predicted = np.arange(1.0, 100.0)
    assert predictive.two_sided(50.0, predicted) == 1.0
    assert predictive.two_sided(1000.0, predicted) == pytest.approx(0.02)
    assert predictive.two_sided(-1000.0, predicted) == pytest.approx(0.02)
    assert predictive.two_sided(0.0, np.zeros(50)) == 1.0


def quantity(observed, predicted):
    return predictive.Quantity("a check", "a quantity", "somewhere", 9, observed, np.asarray(predicted, dtype=float))


def test_quantities_of_one_check_are_judged_by_the_farthest():
    rng = np.random.default_rng(5)
    usual = [quantity(0.3, rng.normal(size=400)) for _ in range(9)]
    assert predictive.tail_probabilities(usual)["a check"] > 0.5
    assert predictive.tail_probabilities([*usual, quantity(6.0, rng.normal(size=400))])["a check"] < FIRES


def test_many_quantities_of_a_check_do_not_fire_more_often_than_one():
    rng = np.random.default_rng(6)
    found = []
    for _ in range(400):
        group = [quantity(float(rng.normal()), rng.normal(size=200)) for _ in range(8)]
        found.append(predictive.tail_probabilities(group)["a check"])
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.03)


def test_what_predictions_never_show_fires():
    assert (
        predictive.tail_probabilities([quantity(1.0, np.zeros(300)), quantity(0.0, np.zeros(300))])["a check"] < FIRES
    )
    assert predictive.tail_probabilities([quantity(0.0, np.zeros(300)), quantity(0.0, np.zeros(300))])["a check"] == 1.0


def test_the_table_of_predictive_checks_says_what_was_recorded_and_predicted(posterior):
    found = predictive.quantities(posterior)
    table = predictive.table(found)
    assert list(table.columns) == predictive.COLUMNS.split()
    assert (table["predicted_lower"] <= table["predicted_upper"]).all()
    assert table["tail_probability"].between(0, 1).all()
    ends = table[(table["check"] == predictive.ENDS) & (table["quantity"] == "values at 0")]
    assert ends["observed"].tolist() == [float((posterior.visits.value == 0).sum())]
    assert set(table["check"]) == set(predictive.tail_probabilities(found))


def test_the_classical_count_is_that_of_the_trials_own_analysis(posterior, trial):
    from slopeshift.classical import model_free

    own = model_free(trial, ["alsfrsr"]).set_index(["statistic", "injection"])["value"]
    table = predictive.table(predictive.quantities(posterior)).set_index(["check", "where"])["observed"]
    assert table[predictive.RESPONDERS, "overall"] == own["improved", "overall"]
    assert table[predictive.SD_OF_CHANGES, "after injection 1"] == pytest.approx(own["sd_change", "1"])


def test_patients_without_decline_are_those_who_stand_no_lower_after_six_months(posterior):
    visits, count, of = posterior.visits, 0, 0
    for patient in range(len(visits.patients)):
        mine = visits.patient_index == patient
        by_month = dict(zip(visits.month[mine], visits.value[mine], strict=True))
        if 3.0 in by_month:
            of += 1
            count += by_month[3.0] >= by_month[-3.0]
    table = predictive.table(predictive.quantities(posterior)).set_index("check")
    assert table.loc[predictive.NO_DECLINE, "observed"] == pytest.approx(count / of)
    assert table.loc[predictive.NO_DECLINE, "n_values"] == of


def test_a_trial_without_injections_has_the_checks_that_need_none():
    trial = made_trial(k=0)
    found = checks.checks_of(posterior_of(trial, made_fit(trial)))
    assert predictive.RESPONDERS not in set(found.predictive_table["check"])
    assert predictive.MEAN_BY_SCORE in set(found.predictive_table["check"])
    assert found.loo is None
    assert found.loo_table.empty


def any_draws(visits, seed=1):
    """Draws of the form that a refit has, of nothing in particular."""
    rng = np.random.default_rng(seed)
    names, patients, shape = visits.coefficients, visits.patients, (2, 300)
    centre = np.array([35.0] + [0.0] * (len(names) - 1))
    return xr.Dataset(
        {
            "loading": ((*SAMPLES, "coefficient", "source"), rng.normal(size=(*shape, len(names), len(names) + 1))),
            "sigma": (SAMPLES, 2 + rng.random(shape)),
            "population": ((*SAMPLES, "coefficient"), centre + rng.normal(size=(*shape, len(names)))),
            "coefficients": (
                (*SAMPLES, "patient", "coefficient"),
                centre + rng.normal(size=(*shape, len(patients), len(names))),
            ),
        },
        coords={"chain": [0, 1], "draw": range(300), "coefficient": list(names), "patient": list(patients)},
    )


@pytest.mark.parametrize(
    ("values", "injections"),
    [
        ({"A": {0: 40}}, {}),
        ({"A": {0: 40, 1: 39}, "B": {0: 38}}, {"A": [0]}),
        ({"A": {-1: 40, 1: 39}}, {"A": [0, 4]}),
        ({"A": dict.fromkeys(range(-1, 7), 0)}, {"A": [0]}),
    ],
    ids=["one value", "one patient treated", "a cycle without a value", "nothing but zeros"],
)
def test_the_smallest_trials_are_checked(values, injections):
    rows = [(patient, month, value) for patient, of in values.items() for month, value in of.items()]
    given = [(patient, k + 1, month) for patient, of in injections.items() for k, month in enumerate(of)]
    tables = {
        "patients": pd.DataFrame({"patient": [*values, "never seen"]}),
        "visits": pd.DataFrame(rows, columns=["patient", "month", "alsfrsr"]),
        "injections": pd.DataFrame(given, columns=["patient", "injection", "month"]),
    }
    trial = trial_from_tables("small", tables, {"title": "Small", "synthetic": True, "source": "test"})
    visits = visits_of(trial, "alsfrsr")
    posterior = Posterior(trial, visits, visits.dataset(), any_draws(visits), "alsfrsr", family=NORMAL)
    found = checks.checks_of(with_predictions(posterior, seed=1))
    assert len(found.loo_table) == len(rows) + len(values)
    assert found.loo_table["log_predictive_density"].notna().all()
    assert found.predictive_table["tail_probability"].between(0, 1).all()


# ---- priors ----


def test_the_prior_is_told_of_the_trials_own_visits(fit, trial):
    words = prior.prior_in_words(posterior_of(trial, fit), 1).set_index("statement")
    draws = fit.tree["prior"].to_dataset()
    slope = draws["coefficients"].sel(coefficient="slope")
    values = fit.tree["prior_predictive"]["alsfrsr"]
    assert words.loc["Values outside the scale", "value"] == pytest.approx(
        float(((values < 0) | (values > 48)).mean()), abs=1e-6
    )
    assert words.loc["Patients whose values rise before injections", "value"] == pytest.approx(
        float((slope > 0).mean())
    )
    later = words.loc["Value 12 months after the first injection, nothing having changed"]
    mean = float((draws["coefficients"].sel(coefficient="level") + 12 * slope).mean())
    assert later["value"] == pytest.approx(mean, abs=0.2)
    assert later["lower"] < mean < later["upper"]


def test_contraction_is_one_minus_the_ratio_of_variances(fit, trial):
    table = prior.contraction(posterior_of(trial, fit)).set_index(["quantity", "injection"])
    before, after = (fit.tree[g]["population"].sel(coefficient="slope") for g in ("prior", "posterior"))
    row = table.loc["lead_in_slope", ""]
    assert row["contraction"] == pytest.approx(1 - float(after.var() / before.var()))
    assert row["moved"] == pytest.approx(float((after.mean() - before.mean()) / before.std()))
    assert not {"prob_slowing_25", "rate_ratio"} & set(table.index.get_level_values(0))


def with_prior(trial, fit, **density):
    return thinned(stored_posterior(trial, fit, log_prior=xr.Dataset(density)))


def normal_density(values, mean, sd):
    return -0.5 * ((values - mean) / sd) ** 2


def test_a_tight_prior_moves_its_own_quantity_and_a_flat_one_nothing(fit, trial):
    sigma = fit.tree["posterior"]["sigma"]
    centre, sd = float(sigma.mean()), float(sigma.std())
    tight, flat_ = normal_density(sigma, centre - sd, sd), normal_density(sigma, centre, 1000 * sd)
    table = prior_sensitivity(with_prior(trial, fit, tight=tight, flat=flat_))
    own = table[table["quantity"] == "sigma"].set_index("prior")
    assert own.loc["tight", "sensitivity"] > 0.05 > own.loc["flat", "sensitivity"]
    assert own.loc["tight", "finding"] in ("prior and data both move it", "the prior moves it, the data hardly")
    assert own.loc["flat", "finding"] == ""
    assert own.loc["tight", "mean_with_weaker_prior"] > own.loc["tight", "mean"]


def test_sensitivity_is_that_of_arvizs_summary(fit, trial):
    import arviz as az

    sigma = fit.tree["posterior"]["sigma"]
    density = normal_density(sigma, 2.0, 0.2)
    table = prior_sensitivity(with_prior(trial, fit, sigma=density)).set_index("quantity")
    step = slice(None, None, -(-sigma.size // KEPT))
    groups = {
        "posterior": xr.Dataset({"sigma": sigma}).isel(draw=step),
        "log_prior": xr.Dataset({"sigma": density}).isel(draw=step),
        "log_likelihood": fit.tree["log_likelihood_of_patient"].to_dataset().isel(draw=step),
    }
    summary = az.psense_summary(xr.DataTree.from_dict(groups), var_names=["sigma"], round_to=9)
    assert table.loc["sigma", "sensitivity"] == pytest.approx(summary.loc["sigma", "prior"], abs=1e-8)
    assert table.loc["sigma", "sensitivity_to_data"] == pytest.approx(summary.loc["sigma", "likelihood"], abs=1e-8)


def test_independent_parts_of_the_populations_prior_are_told_apart(fit, trial):
    table = prior_sensitivity(with_prior(trial, fit, population=xr.zeros_like(fit.tree["posterior"]["sigma"])))
    assert list(dict.fromkeys(table["prior"])) == ["level", "slope", "change"]
    largest = table[table["quantity"] == "change"].groupby("prior")["sensitivity"].max()
    assert largest.idxmax() == "change"


def test_without_a_stored_prior_nothing_is_said_of_it(fit, trial):
    table = prior_sensitivity(thinned(posterior_of(trial, fit)))
    assert table.empty
    assert {"prior", "quantity", "sensitivity"} <= set(table.columns)


# ---- rules ----


def test_every_check_fires_by_its_rule():
    sensitivity = pd.DataFrame({"quantity": ["change"], "injection": ["overall"], "sensitivity": [0.05]})
    found = {rule.check: rule.fired for rule in rules({"a": 0.0099, "b": 0.01}, 1.0, sensitivity)}
    assert found == {"a": True, "b": False, UNRELIABLE: True, PRIOR: True}
    quiet = {rule.check: rule.fired for rule in rules({"a": 0.5}, 0.0, sensitivity.assign(sensitivity=0.049))}
    assert not any(quiet.values())


def test_what_was_not_computed_does_not_fire():
    (rule,) = rules({}, float("nan"))
    assert not rule.fired
    assert rule.check == UNRELIABLE


def test_a_fit_of_other_visits_is_refused(fit):
    with pytest.raises(FitError, match="alsfrsr: this fit was made from other visits than the trial has; fit it again"):
        posterior_of(line_trial(patients=7, injections=2, seed=4), fit)


def test_a_stored_fit_and_its_draws_give_the_same_leaving_out(fit, trial, refit):
    stored = checks.checks_of(posterior_of(trial, fit))
    alike = replace(refit, draws=fit.tree["posterior"].to_dataset())
    drawn = checks.checks_of(with_predictions(alike, seed=1))
    assert stored.loo.pit == pytest.approx(drawn.loo.pit)
    one, other = (each.posterior.stored("posterior_predictive") for each in (stored, drawn))
    assert one.sizes == other.sizes
    assert set(one.dims) == {*SAMPLES, "visit"}


def test_what_nothing_is_predicted_of_is_not_checked(refit):
    with pytest.raises(LookupError, match="nothing is predicted from these draws; add it by `with_predictions`"):
        checks.checks_of(refit)


def test_thinning_keeps_the_same_draws_in_all_that_is_stored(trial, fit):
    posterior = posterior_of(trial, fit)
    many = xr.concat([posterior.draws.assign_coords(chain=[2 * i, 2 * i + 1]) for i in range(6)], "chain")
    many = replace(posterior, draws=many, groups={})
    kept = thinned(with_predictions(many, seed=1))
    assert KEPT / 2 < kept.draws.sizes["chain"] * kept.draws.sizes["draw"] <= KEPT
    for group in ("posterior_predictive", "log_likelihood"):
        np.testing.assert_array_equal(kept.groups[group]["draw"], kept.draws["draw"])
    assert thinned(kept).draws.sizes == kept.draws.sizes

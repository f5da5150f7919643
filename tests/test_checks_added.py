"""Score tests of what a model leaves out, priors held against data, and the trace of an entry rule."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from posteriors import posterior_from, with_stored
from trials import line_trial

from slopeshift.checks import added, predictive
from slopeshift.checks.prior import conflict, conflict_probability
from slopeshift.checks.residuals import spread_of_patients
from slopeshift.design.visits import visits_of

DRAWS = 40


def posterior_of_lines(patients=12, injections=2, seed=0, sigma=1.5):
    """Draws as a fit has them, of patients whose covariance is known, with values drawn from the same."""
    trial = line_trial(patients=patients, injections=injections, seed=seed)
    visits = visits_of(trial, "alsfrsr")
    rng = np.random.default_rng([seed, 1])
    p = len(visits.coefficients)
    spread = np.array([3.0, 0.5, *[0.2] * (p - 2)])
    coords = {"coefficient": list(visits.coefficients), "patient": list(visits.patients)}
    theta = rng.normal(size=(2, DRAWS, patients, p)) * spread
    centre = np.array([30.0, -0.8, *[0.0] * (p - 2)])
    draws = xr.Dataset(
        {
            "population": (("chain", "draw", "coefficient"), np.broadcast_to(centre, (2, DRAWS, p))),
            "coefficients": (("chain", "draw", "patient", "coefficient"), centre + theta),
            "sigma": (("chain", "draw"), np.full((2, DRAWS), sigma)),
        },
        coords=coords,
    )
    return with_values(posterior_from(draws, trial=trial, visits=visits, family="normal"), seed)


def with_values(posterior, seed):
    """New values from the very distribution that the score test supposes."""
    visits, rng = posterior.visits, np.random.default_rng([seed, 2])
    root = np.linalg.cholesky(spread_of_patients(posterior))
    own = rng.normal(size=(len(visits.patients), len(root))) @ root.T
    mean = posterior.visits.basis @ np.array(posterior.draws["population"])[0, 0]
    value = mean + (posterior.visits.basis * own[visits.patient_index]).sum(axis=1)
    value = value + float(posterior.draws["sigma"].mean()) * rng.normal(size=len(value))
    return replace(posterior, visits=replace(visits, value=value))


def slowly(posterior, column):
    """The same test by dense generalised least squares of all values, with the column and without."""
    visits = posterior.visits
    same = visits.patient_index[:, None] == visits.patient_index
    variance = float((posterior.draws["sigma"] ** 2).mean())
    V = same * (posterior.visits.basis @ spread_of_patients(posterior) @ posterior.visits.basis.T) + variance * np.eye(
        len(same)
    )
    wide = np.column_stack([posterior.visits.basis, column])
    covariance = np.linalg.inv(wide.T @ np.linalg.solve(V, wide))
    return (covariance @ wide.T @ np.linalg.solve(V, visits.value))[-1] / np.sqrt(covariance[-1, -1])


@pytest.mark.parametrize("check", [added.DAYS, added.AFTER, added.FADING, added.LATE, added.BENDING])
def test_the_score_is_the_coefficient_of_the_column_over_its_standard_error(check):
    posterior = posterior_of_lines()
    column = added.columns(posterior)[check]
    assert added.score(posterior, column) == pytest.approx(slowly(posterior, column), rel=1e-6)


def test_scores_are_standard_normal_where_nothing_is_left_out():
    posterior = posterior_of_lines()
    columns = added.columns(posterior)
    found = np.array(
        [
            [added.score(one, column) for column in columns.values()]
            for one in (with_values(posterior, s) for s in range(150))
        ]
    )
    # Standard errors of mean and SD of 150 standard normal values are 0.082 and 0.058: four of each.
    assert np.abs(found.mean(axis=0)).max() < 0.33
    assert np.abs(found.std(axis=0) - 1).max() < 0.23


@pytest.mark.parametrize(
    ("check", "what"),
    [
        (added.DAYS, lambda since, month: 3.0 * (np.abs(since) < 0.01).any(axis=1)),
        (added.AFTER, lambda since, month: 4.0 * ((since > 0) & (since < 1.2)).any(axis=1)),
        (added.BENDING, lambda since, month: 0.25 * month**2 / 2),
    ],
)
def test_what_is_left_out_is_found(check, what):
    posterior = posterior_of_lines(patients=40)
    visits = posterior.visits
    since = visits.month[:, None] - visits.injection_month[visits.patient_index]
    changed = replace(visits, value=visits.value + what(since, visits.month))
    assert added.probabilities(posterior)[check] > 0.01
    assert added.probabilities(replace(posterior, visits=changed))[check] < 0.001


def test_a_column_that_the_model_has_is_not_tested():
    posterior = posterior_of_lines()
    bend = posterior.visits.month[:, None] ** 2 / 2
    draws = {name: posterior.draws[name].drop_vars("coefficient") for name in ("population", "coefficients")}
    wider = {name: values.pad(coefficient=(0, 1), constant_values=0.0) for name, values in draws.items()}
    draws = xr.Dataset(wider).assign(sigma=posterior.draws["sigma"])
    visits = replace(posterior.visits, basis=np.column_stack([posterior.visits.basis, bend]))
    found = added.probabilities(replace(posterior, draws=draws, visits=visits))
    assert np.isnan(found[added.BENDING])
    assert not np.isnan(found[added.DAYS])


def test_without_injections_only_a_bend_is_tested():
    assert list(added.columns(posterior_of_lines(injections=0))) == [added.BENDING]


def test_conflict_is_the_distance_of_the_prior_from_the_datas_own_estimate():
    rng = np.random.default_rng(1)
    for prior_mean, prior_sd, estimate, error in rng.uniform([-2, 0.1, -2, 0.1], [2, 2, 2, 2], (20, 4)):
        weight = prior_sd**2 / (prior_sd**2 + error**2)
        mean, variance = prior_mean + weight * (estimate - prior_mean), weight * error**2
        moved, learnt = (mean - prior_mean) / prior_sd, 1 - variance / prior_sd**2
        expected = (estimate - prior_mean) / np.hypot(prior_sd, error)
        assert conflict(np.array([moved]), np.array([learnt]))[0] == pytest.approx(expected)
    assert np.isnan(conflict(np.array([1.0]), np.array([0.0]))[0])


def test_the_probability_of_a_conflict_is_that_of_the_largest_of_three():
    from scipy.stats import norm

    table = pd.DataFrame(
        {
            "quantity": ["level", "lead_in_slope", "change", "change"],
            "injection": ["", "", "1", "overall"],
            "conflict": [0.5, -3.0, 9.0, np.nan],
        }
    )
    assert conflict_probability(table) == pytest.approx(2 * 2 * norm.sf(3.0))
    assert np.isnan(conflict_probability(table.iloc[2:]))


def test_an_entry_rule_shows_in_the_smallest_loss():
    posterior = posterior_of_lines(patients=20)
    rng, visits = np.random.default_rng(5), posterior.visits
    mean = posterior.visits.basis @ np.array(posterior.draws["population"])[0, 0]
    replicates = mean + rng.normal(0, 2, (2, 200, len(mean)))
    predicted = xr.DataArray(replicates, dims=("chain", "draw", "visit"))
    seen = with_stored(posterior, posterior_predictive=predicted)
    first, last = visits.month == -3.0, visits.month == 0.0
    usual = replace(seen, visits=replace(visits, value=mean + rng.normal(0, 2, len(mean))))
    lost = np.where(first, mean.max() + 10, np.where(last, mean.max() + 7, mean))
    chosen = replace(seen, visits=replace(visits, value=lost))

    def probability(one):
        return predictive.tail_probabilities(predictive.quantities(one))[predictive.ENTRY]

    assert probability(usual) > 0.01
    assert probability(chosen) < 0.01
    (quantity,) = [q for q in predictive.quantities(chosen) if q.check == predictive.ENTRY]
    assert quantity.observed == 3.0
    assert quantity.n_values == 19

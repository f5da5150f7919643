"""Patients who may not have changed: against dense densities, and against every way in which they may be untouched."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.special import betaln
from scipy.stats import multivariate_normal
from test_any_change import prior_of
from trials import ROOT, line_trial

from slopeshift.answers import unchanged
from slopeshift.answers.weights import LARGEST_K, smoothed
from slopeshift.model.files import load_model


@pytest.fixture(scope="module")
def some():
    return prior_of(load_model(ROOT / "models" / "interval.py"), line_trial(patients=4), 400)[0]


@pytest.mark.parametrize("changed", [True, False])
def test_densities_are_those_of_dense_normals_given_the_population(some, changed):
    visits, draws = some.visits, some.draws
    names = list(some.design.indexes["coefficient"])
    kept = [k for k, name in enumerate(names) if changed or name in ("level", "slope", "curvature")]
    found = unchanged._densities(some, np.array([3, 50]), changed=changed)
    for row, d in enumerate((3, 50)):
        loading = draws["loading"].to_numpy()[0, d]
        shift = some.design["covariates"].transpose("covariate", "patient", "coefficient").to_numpy()
        regression = draws["regression"].to_numpy()[0, d]
        mean = draws["population"].to_numpy()[0, d] + np.einsum("c,cip->ip", regression, shift)
        for i in range(4):
            of = visits.patient_index == i
            w = visits.basis[of][:, kept]
            v = loading[kept] @ loading[kept].T
            noise = float(draws["sigma"][0, d]) ** 2 * np.eye(of.sum())
            dense = multivariate_normal.logpdf(visits.value[of], w @ mean[i, kept], w @ v @ w.T + noise)
            assert found[row, i] == pytest.approx(dense, rel=1e-9)


def by_enumeration(ratio):
    """Weight of a draw, chance that each patient is unchanged, and mean of 1 - q: a sum over all subsets."""
    n, total, untouched, share = len(ratio), 0.0, np.zeros(len(ratio)), 0.0
    for subset in product([0, 1], repeat=n):
        z = np.array(subset)
        p = np.exp(z @ ratio + betaln(z.sum() + 1, n - z.sum() + 1))
        total, untouched = total + p, untouched + p * z
        share += p * (n - z.sum() + 1) / (n + 2)
    return total, untouched / total, share / total


def test_the_mixture_is_the_sum_over_all_ways_to_be_untouched():
    rng = np.random.default_rng(2)
    ratio = rng.normal(0, 2, (300, 6))
    weight, _, untouched, share = unchanged._mixed(ratio)
    found = [by_enumeration(row) for row in ratio]
    raw = np.array([total for total, _, _ in found])
    np.testing.assert_allclose(untouched, [u for _, u, _ in found], rtol=1e-9)
    np.testing.assert_allclose(share, [s for _, _, s in found], rtol=1e-9)
    # Smoothing moves the largest weights alone.
    small = raw < np.quantile(raw, 0.5)
    np.testing.assert_allclose(weight[small] / weight[small].sum(), raw[small] / raw[small].sum(), rtol=1e-6)


def test_a_patient_slowed_only_as_far_as_something_changed(some):
    table = unchanged.table(some)
    assert table["patient"].tolist() == ["P1", "P2", "P3"]  # P4 has no injection
    if table["pareto_k"].max() <= LARGEST_K:
        assert (table["prob_slowing_25"] <= table["prob_changed"]).all()
        assert table["prob_changed"].between(0, 1).all()
    flat_weights = smoothed(np.zeros(8))
    np.testing.assert_allclose(flat_weights[0], 1 / 8)


def test_nothing_is_said_where_draws_do_not_stand_for_the_mixture(some):
    visits = replace(some.visits, value=some.visits.value + 4.0 * np.clip(some.visits.month, 0, None))
    table = unchanged.table(replace(some, visits=visits))
    assert table["pareto_k"].gt(LARGEST_K).all()
    assert table[["prob_changed", "prob_slowing_25", "share_changed"]].isna().all(axis=None)
    assert unchanged.called(table) == (0, 0.0)


def test_who_is_called_has_a_probability_above_the_limit():
    table = pd.DataFrame({"prob_slowing_25": [0.7999, 0.8001, 0.95, np.nan]})
    assert unchanged.called(table) == (2, pytest.approx(0.2499))


def test_nothing_is_said_of_models_that_sample_patients_or_without_injections(some):
    none = prior_of(load_model(ROOT / "models" / "alsfrsr.py"), line_trial(patients=4, injections=0), 8)[0]
    sampled = replace(some, design=some.design.drop_vars(["term_mean", "term_sd", "term_design"]))
    for posterior in (none, sampled):
        assert unchanged.table(posterior).empty
        assert list(unchanged.table(posterior)) == list(unchanged.COLUMNS)

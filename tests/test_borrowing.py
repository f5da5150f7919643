"""What is borrowed from a control: by hand for conjugate normals, and against dense normals of all values."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from posteriors import posterior_from
from scipy.linalg import block_diag
from scipy.stats import multivariate_normal, norm
from test_sensitivity import FILE, TRIAL, VISITS, hyper, subject_of
from trials import ROOT, line_trial

from slopeshift.answers import borrowed
from slopeshift.engine import exact
from slopeshift.engine.terms import terms_of
from slopeshift.model.control import means
from slopeshift.model.files import load_model
from slopeshift.report.words.borrowed import sentence
from slopeshift.sensitivity.alternatives import own_prior
from slopeshift.sensitivity.borrowing import after_data, borrowing_rows, tipping_weight, vague_prior
from slopeshift.sensitivity.subject import Subject
from slopeshift.trial import Control, read_trial

HISTORY = line_trial(patients=12, injections=0)
CONTROLLED = replace(TRIAL, control=Control("other", {"alsfrsr": 0.2}, HISTORY))
DRAWS = 1000


@cache
def alike(draws=DRAWS):
    """A subject all of whose draws have the same spreads: its posterior is one normal distribution."""
    terms = terms_of(FILE.build(CONTROLLED))
    same = hyper(draws).isel(draw=[0] * draws).assign_coords(draw=range(draws))
    drawn = exact.with_posterior_coefficients(same, VISITS, terms, 1)[0]
    design = VISITS.dataset().merge(terms)
    return Subject(FILE, posterior_from(drawn, design, trial=CONTROLLED, visits=VISITS, passed=True), 1)


class Dense:
    """All values as one normal vector, at the spreads of `alike`, under a normal prior of the slope."""

    def __init__(self, mean, sd):
        posterior = alike().posterior
        design, order = posterior.design, np.argsort(VISITS.patient_index, kind="stable")
        basis, self.value, of = VISITS.basis[order], VISITS.value[order], VISITS.patient_index[order]
        loading = posterior.draws["loading"].to_numpy()[0, 0]
        between = block_diag(*[w @ loading @ loading.T @ w.T for w in (basis[of == i] for i in np.unique(of))])
        self.columns = basis @ design["term_design"].to_numpy()
        self.covariance = between + float(posterior.draws["sigma"][0, 0]) ** 2 * np.eye(len(of))
        self.slope = list(design["term"].to_numpy()).index("slope")
        self.mean, self.sd = (design[f"term_{name}"].to_numpy().copy() for name in ("mean", "sd"))
        self.mean[self.slope], self.sd[self.slope] = mean, sd

    @property
    def evidence(self):
        covariance = self.columns @ np.diag(self.sd**2) @ self.columns.T + self.covariance
        return multivariate_normal.logpdf(self.value, self.columns @ self.mean, covariance)

    def posterior(self, weights):
        left = self.columns.T @ np.linalg.inv(self.covariance)
        variance = np.linalg.inv(left @ self.columns + np.diag(self.sd**-2.0))
        mean = variance @ (left @ self.value + self.mean / self.sd**2)
        return weights @ mean, np.sqrt(weights @ variance @ weights)


@cache
def prior():
    return borrowed.prior_taken(alike().posterior, "slope")


# ---- the table of a fit ----


def test_estimate_and_conflict_are_those_of_conjugate_normals():
    """Data of -0.4 +/- 0.15 beside the prior, whose product with it the draws are."""
    own, estimate, error = prior(), prior().mean + 0.4, 0.15
    precision = own.sd**-2 + error**-2
    z = norm.ppf((np.arange(DRAWS) + 0.5) / DRAWS)
    slope = (own.mean / own.sd**2 + estimate / error**2) / precision + z / z.std() / np.sqrt(precision)
    posterior = alike().posterior
    population = posterior.draws["population"].copy()
    population.loc[{"coefficient": "slope"}] = slope[None]
    (row,) = borrowed.table(posterior.with_draws(posterior.draws.assign(population=population))).itertuples()
    assert (row.prior_mean, row.prior_sd, row.patients) == (own.mean, own.sd, 8)
    assert (row.estimate, row.standard_error) == pytest.approx((estimate, error))
    assert row.conflict == pytest.approx(0.4 / np.hypot(own.sd, error))
    assert row.conflict_probability == pytest.approx(2 * norm.sf(0.4 / np.hypot(own.sd, error)))
    assert row.share_of_prior == pytest.approx(own.sd**-2 / precision)


def test_a_trial_that_took_nothing_from_the_prior_contradicts_nothing():
    posterior, own = alike().posterior, prior()
    population = posterior.draws["population"].copy()
    population.loc[{"coefficient": "slope"}] = own.mean + own.sd * np.random.default_rng(1).normal(size=(1, DRAWS))
    (row,) = borrowed.table(posterior.with_draws(posterior.draws.assign(population=population))).itertuples()
    assert np.isnan([row.estimate, row.standard_error, row.conflict, row.conflict_probability]).all()
    assert 0.9 < row.share_of_prior <= 1


def test_the_prior_is_worth_its_precision_over_what_a_patient_tells():
    """Precision of the slope that all values give, by generalised least squares with the other terms' priors."""
    without = Dense(0.0, 1e6)
    slope = np.eye(len(without.mean))[without.slope]
    told = without.posterior(slope)[1] ** -2
    found = borrowed.table(alike().posterior)["effective_patients"].item()
    assert found == pytest.approx(prior().sd ** -2 / (told / 8), rel=1e-6)


def test_of_a_conjugate_mean_the_effective_sample_size_is_the_ratio_of_variances():
    """One value a patient a month after nothing but a slope: the prior's variance holds sigma^2 + sd^2 so often."""
    own = prior()
    months = np.ones(8)
    visits = replace(
        VISITS, value=np.zeros(8), month=months, patient_index=np.arange(8),
        basis=np.column_stack([np.zeros(8), months, np.zeros((8, 2))]),
    )  # fmt: skip
    draws = alike().posterior.draws
    found = borrowed.table(replace(alike().posterior, visits=visits))["effective_patients"].item()
    variance = float(draws["sigma"][0, 0]) ** 2 + float(draws["loading"][0, 0, 1, 1]) ** 2
    assert found == pytest.approx(variance / own.sd**2)


def test_nothing_is_borrowed_without_a_control_or_where_the_model_states_its_own_prior():
    own = subject_of(draws=4)
    assert borrowed.table(own.posterior).empty
    assert list(borrowed.table(own.posterior)) == list(borrowed.COLUMNS)
    assert borrowed.table(replace(own.posterior, trial=CONTROLLED)).empty
    assert borrowing_rows(own).empty


def test_on_a_curved_course_slope_and_curvature_are_borrowed_and_both_are_made_vague(tmp_path):
    """Of prior draws: the trial contradicts nothing, and what its design is worth does not hang on the draws' mean."""
    from test_any_change import prior_of
    from test_curvature import bending, pair

    file = load_model(ROOT / "models" / "alsfrsr.py")
    trial = read_trial(pair(tmp_path, bending()))
    posterior, _ = prior_of(file, trial, 50)
    table = borrowed.table(posterior).set_index("quantity")
    stated = posterior.design.sel(term=["slope", "curvature"])
    np.testing.assert_allclose(table[["prior_mean", "prior_sd"]].T, [stated["term_mean"], stated["term_sd"]])
    assert table.index.tolist() == ["slope", "curvature"]
    assert (table["effective_patients"] > 0).all()
    vague, own = vague_prior(Subject(file, posterior, 1)), own_prior(posterior.design)
    found = {name: (m, s) for name, m, s in zip(posterior.design["term"].to_numpy(), vague.mean, vague.sd, strict=True)}
    assert (found["slope"], found["curvature"]) == (pytest.approx((-1.0, 0.6)), pytest.approx((0.0, 0.045)))
    np.testing.assert_array_equal((vague.sd != own.sd), np.isin(posterior.design["term"], ["slope", "curvature"]))


# ---- less of the control ----


@cache
def rows():
    return borrowing_rows(alike())


def test_a_robust_prior_is_the_mixture_of_both_posteriors():
    table = rows()[rows()["prior"] == "robust"].set_index("share")
    control, vague, weights = Dense(prior().mean, prior().sd), Dense(-1.0, 0.6), alike().weights
    (m_c, s_c), (m_v, s_v) = control.posterior(weights), vague.posterior(weights)
    for share, row in table.iterrows():
        after = share / (share + (1 - share) * np.exp(vague.evidence - control.evidence))
        assert row["posterior_share"] == pytest.approx(after, rel=1e-6)
        mean = after * m_c + (1 - after) * m_v
        sd = np.sqrt(after * (s_c**2 + m_c**2) + (1 - after) * (s_v**2 + m_v**2) - mean**2)
        assert row["mean"] == pytest.approx(mean, abs=4 * sd / DRAWS**0.5)
        assert row["sd"] == pytest.approx(sd, rel=4 / np.sqrt(2 * DRAWS))
        positive = after * norm.sf(-m_c / s_c) + (1 - after) * norm.sf(-m_v / s_v)
        assert row["prob_positive"] == row["prob_better"] == pytest.approx(positive, abs=0.06)
    assert table["posterior_share"].iloc[[0, -1]].tolist() == [0, 1]


def test_of_a_power_prior_the_standard_error_grows_and_the_between_study_sd_stays():
    table, slope = rows()[rows()["prior"] == "power"].set_index("share"), means(HISTORY, "alsfrsr")["slope"]
    assert table.index.tolist() == [0.1, 0.25, 0.5, 1.0]
    for share, row in table.iterrows():
        sd = np.hypot(slope.standard_error / share**0.5, 0.2)
        mean, spread = Dense(slope.mean, sd).posterior(alike().weights)
        assert row["mean"] == pytest.approx(mean, abs=4 * spread / DRAWS**0.5)
        assert row["sd"] == pytest.approx(spread, rel=4 / np.sqrt(2 * DRAWS))


def test_the_tipping_weight_is_where_the_mixture_crosses_0_8():
    """From 0.9 with the control to 0.6 without: 0.8 takes a weight of 2/3 after the data, and 0.8 before, at 2 to 1."""
    assert after_data(np.array(0.8), 2.0) == pytest.approx(2 / 3)
    assert tipping_weight(0.9, 0.6, 2.0) == pytest.approx(0.8, abs=1e-3)
    assert tipping_weight(0.6, 0.9, 0.5) == pytest.approx(0.2, abs=1e-3)
    assert np.isnan([tipping_weight(0.9, 0.85, 2.0), tipping_weight(0.9, 0.6, np.nan)]).all()


def test_a_prior_out_of_reach_leaves_only_the_rows_of_the_fits_own():
    """Fewer draws than the weights must be worth."""
    table = borrowing_rows(alike(100))
    own = table["share"] == 1
    assert table.loc[own, "mean"].notna().all()
    assert table.loc[~own, ["mean", "prob_better"]].isna().all(axis=None)
    assert table.loc[~own, "note"].str.startswith("the posterior is too far from this prior").all()
    assert table["tips_below"].isna().all()


# ---- in words ----


def fit(quantity="slope", **changed):
    row = {
        "quantity": quantity, "prior_mean": -0.95, "estimate": -1.21, "conflict": -1.0, "conflict_probability": 0.31,
        "share_of_prior": 0.41, "patients": 20, "effective_patients": 13.9,
    }  # fmt: skip
    return pd.DataFrame([row | changed])


def study(none=0.91, tips=np.nan):
    return pd.DataFrame({"prior": "robust", "share": [0.0, 1.0], "prob_better": [none, 0.94], "tips_below": tips})


def test_the_sentence_says_how_much_is_borrowed_and_what_is_left_without_it():
    assert sentence(fit(), "PRO-ACT", 1, study()) == (
        "Borrowed from PRO-ACT: 41 % of what is known of the slope before treatment, worth 14 patients of this design, "
        "which has 20 patients; of the slope before treatment the trial alone says −1.21 and the control −0.95, which "
        "does not contradict it (two-sided probability 0.31); without it the probability of slower decline would be "
        "0.91 instead of 0.94."
    )


def test_the_sentence_follows_its_numbers():
    assert sentence(fit().iloc[:0], "PRO-ACT", 1) == ""
    assert "contradicts it (two-sided probability < 0.01)" in sentence(fit(conflict_probability=0.0099), "x", 1)
    assert "does not contradict it" in sentence(fit(conflict_probability=0.0101), "x", 1)
    silent = sentence(fit(conflict=np.nan, effective_patients=np.nan), "x", 1)
    assert "too little to contradict it" in silent
    assert "worth" not in silent
    assert "slower rise would be 0.70 instead of 0.94, and crosses 0.8 where the control has a weight of 0.35" in (
        sentence(fit(), "x", -1, study(0.7, 0.35))
    )
    assert sentence(fit(), "x", 1, study(np.nan)).endswith("what is left without it could not be weighed.")
    both = sentence(pd.concat([fit(), fit("curvature", estimate=0.0123, effective_patients=3.2)]), "x", 1)
    assert "41 % of what is known of the slope before treatment and 41 % of what is known of its curvature" in both
    assert "worth 14 and 3.2 patients of this design" in both
    assert "of its curvature the trial alone says 0.012" in both

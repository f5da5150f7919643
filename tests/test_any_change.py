"""Whether anything changed at all, against dense densities and against averages over the prior."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from trials import ROOT, line_trial, varied

from slopeshift.answers import any_change
from slopeshift.answers.weights import LARGEST_K
from slopeshift.design.visits import visits_of
from slopeshift.fit import nuts
from slopeshift.fit.log_prior import log_prior
from slopeshift.fit.posterior import Posterior
from slopeshift.fit.precompiled import ready
from slopeshift.fit.sample import prior_draws
from slopeshift.model.files import load_model
from slopeshift.trial import read_trial


def prior_of(file, trial, draws, seed=5):
    model, visits = file.build(trial), visits_of(trial, file.outcome, file.build.shape)
    compiled = ready(model, visits)
    tree = prior_draws(model, visits, draws, seed, compiled)
    design, prior = tree["constant_data"].to_dataset(), tree["prior"].to_dataset()
    return Posterior(trial, visits, design, prior, "m", groups={"log_prior": log_prior(model, prior, design)}), compiled


@pytest.fixture(scope="module")
def some():
    return prior_of(load_model(ROOT / "models" / "alsfrsr.py"), line_trial(patients=4), 400)[0]


def dense(posterior, draw, *, changes):
    """Log density of all values at one draw, by one covariance matrix, with or without changes."""
    visits, design = posterior.visits, posterior.design
    names = posterior.design.indexes["coefficient"]
    kept = [k for k, name in enumerate(names) if changes or not name.startswith("change")]
    order = np.argsort(visits.patient_index, kind="stable")
    basis, value, of = visits.basis[order][:, kept], visits.value[order], visits.patient_index[order]
    loading = posterior.draws["loading"].to_numpy()[0, draw][kept]
    picked = design["term_design"].to_numpy()[kept]
    between = block_diag(*[w @ loading @ loading.T @ w.T for w in (basis[of == i] for i in np.unique(of))])
    common = basis @ picked @ np.diag(design["term_sd"].to_numpy() ** 2) @ picked.T @ basis.T
    noise = float(posterior.draws["sigma"][0, draw]) ** 2 * np.eye(len(value))
    mean = basis @ picked @ design["term_mean"].to_numpy()
    return multivariate_normal.logpdf(value, mean, between + common + noise)


def test_both_densities_are_those_of_dense_normals(some):
    known, of = any_change._Known(some), any_change._of_change(some.design)
    assert [str(some.design["term"][k].item()) for k in of] == ["change", "change 1", "change 2"]
    stated, none = known.densities(), known.densities(without=of)
    for d in (0, 7):
        assert stated[d] == pytest.approx(dense(some, d, changes=True), rel=1e-9)
        assert none[d] == pytest.approx(dense(some, d, changes=False), rel=1e-9)


def test_a_wider_prior_of_the_changes_is_that_of_a_model_with_it(some):
    trial = some.trial
    build = load_model(ROOT / "models" / "alsfrsr.py").build
    wide = {name: replace(getattr(build, name), sd=2 * getattr(build, name).sd) for name in CHANGES}
    other = prior_of(varied("alsfrsr", **wide), trial, 400)[0]
    same_draws = replace(other, draws=some.draws)
    doubled = any_change._Known(some).densities(any_change._of_change(some.design), 2.0)
    np.testing.assert_allclose(doubled, any_change._Known(same_draws).densities(), rtol=1e-10)


CHANGES = ("change", "change_by_injection")


@pytest.mark.slow
def test_the_bayes_factor_is_the_ratio_of_averages_over_the_prior():
    """Of a small trial, where draws of the prior are near enough to the posterior to average over."""
    file = load_model(ROOT / "models" / "alsfrsr_straight.py")
    trial = line_trial(patients=2, injections=1, seed=3)
    prior, compiled = prior_of(file, trial, 30_000)
    known, of = any_change._Known(prior), any_change._of_change(prior.design)
    with_all = Many(prior)
    marginal = [logsumexp(with_all.densities(**how)) for how in ({}, {"without": of})]
    drawn = nuts.draw(compiled, draws=1500, tune=800, chains=4, seed=2, target_accept=0.9)
    draws = drawn["posterior"].to_dataset()
    for posterior in (replace(prior, draws=draws, groups={}), given(prior, file.build(trial), draws)):
        found = any_change.table(posterior).set_index(["prior_sd", "prior_probability"]).loc[(0.3, 0.5)]
        assert np.log(found["bayes_factor"]) == pytest.approx(marginal[0] - marginal[1], abs=0.12)
        assert found["log_mc_error"] < 0.03
    assert known.packed.shape == with_all.packed.shape


class Many(any_change._Known):
    """All draws, not a choice of them."""

    def __init__(self, posterior):
        old, any_change.DRAWS = any_change.DRAWS, 10**9
        try:
            super().__init__(posterior)
        finally:
            any_change.DRAWS = old


def test_probabilities_follow_from_the_factor_and_none_is_given_where_the_tail_is_too_heavy(some):
    table = any_change.table(some)
    assert table["prior_sd"].unique().tolist() == [0.15, 0.3, 0.6]
    if table["pareto_k"].le(LARGEST_K).all():
        odds = table["bayes_factor"] * table["prior_probability"] / (1 - table["prior_probability"])
        np.testing.assert_allclose(table["probability"], odds / (1 + odds), rtol=1e-9)
    visits = replace(some.visits, value=some.visits.value + 3.0 * np.clip(some.visits.month, 0, None))
    heavy = any_change.table(replace(some, visits=visits))
    assert (heavy["pareto_k"] > LARGEST_K).all()
    assert heavy[["bayes_factor", "probability"]].isna().all(axis=None)


def test_evidence_beyond_what_a_number_can_hold_is_infinite_and_no_warning(some, monkeypatch):
    monkeypatch.setattr(any_change, "_log_ratio", lambda *_: (2000.0, 0.01, 0.1))
    table = any_change.table(some)
    assert np.isinf(table["bayes_factor"]).all()
    assert (table["probability"] == 1).all()


@pytest.mark.parametrize("name", ["alsfrsr", "alsfrsr_straight"])
def test_what_spreads_are_weighed_by_is_a_density_and_its_weights_average_to_one_over_the_prior(name):
    prior = prior_of(load_model(ROOT / "models" / f"{name}.py"), line_trial(patients=3), 4000)[0]
    weight = np.exp(any_change._weighed(prior, np.arange(4000)))
    assert weight.std() > 0.3
    assert weight.mean() == pytest.approx(1.0, abs=4 * weight.std() / np.sqrt(4000))


def test_large_spreads_do_not_carry_the_average():
    """Of the example trial, which says much of the spreads, and little of a change."""
    file, trial = load_model(ROOT / "models" / "alsfrsr.py"), read_trial(ROOT / "data" / "synthetic-msc-als")
    prior, compiled = prior_of(file, trial, 10)
    drawn = nuts.draw(compiled, draws=1000, tune=800, chains=4, seed=2, target_accept=0.9)
    posterior = given(prior, file.build(trial), drawn["posterior"].to_dataset())
    known, none = any_change._Known(posterior), any_change._of_change(posterior.design)
    ratio = known.densities(without=none) - known.densities()
    mean, error, k = any_change._log_mean(ratio)
    same, smaller, lighter = any_change._log_mean(ratio + any_change._weighed(posterior, known.place))
    assert same == pytest.approx(mean, abs=4 * np.hypot(error, smaller))
    assert smaller < 0.7 * error
    assert lighter < min(k, LARGEST_K)
    assert any_change.table(posterior)["pareto_k"].max() == pytest.approx(lighter)


def given(prior, model, draws):
    """The posterior of these draws of what is sampled."""
    return replace(
        prior, draws=draws, groups={"log_prior": log_prior(model, draws, prior.design.drop_vars("term_mean"))}
    )


def test_spreads_are_weighed_only_where_they_are_of_changes_alone_and_their_priors_known():
    some = prior_of(load_model(ROOT / "models" / "alsfrsr.py"), line_trial(patients=3), 20)[0]
    place = np.arange(20)
    assert any_change._weighed(some, place).any()
    assert not any_change._weighed(replace(some, groups={}), place).any()
    arms = prior_of(
        load_model(ROOT / "models" / "alsfrsr_arms.py"), read_trial(ROOT / "data" / "synthetic-rct-als"), 20
    )[0]
    assert not any_change._weighed(arms, place).any()


def test_the_covariates_of_changes_go_with_them():
    posterior = prior_of(load_model(ROOT / "models" / "interval.py"), line_trial(patients=4), 4)[0]
    names = {str(posterior.design["term"][k].item()) for k in any_change._of_change(posterior.design)}
    assert {"interval_within", "interval_between"} <= names
    assert "slope" not in names


def test_nothing_is_said_without_informed_changes_or_of_models_that_sample_patients(some):
    none = prior_of(load_model(ROOT / "models" / "alsfrsr.py"), line_trial(patients=4, injections=0), 4)[0]
    sampled = replace(some, design=some.design.drop_vars(["term_mean", "term_sd", "term_design"]))
    for posterior in (none, sampled):
        table = any_change.table(posterior)
        assert table.empty
        assert list(table) == list(any_change.COLUMNS)

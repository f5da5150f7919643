"""What a design shows where nothing changed, against dense matrices and against trials that are simulated."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import block_diag
from scipy.special import ndtr
from trials import ROOT, line_trial

from slopeshift.answers import any_change, operating
from slopeshift.design.visits import visits_of
from slopeshift.engine.draws import evenly
from slopeshift.fit.posterior import Posterior
from slopeshift.fit.precompiled import ready
from slopeshift.fit.sample import prior_draws
from slopeshift.model.files import load_model


def posterior_like(name, draws=40, **trial):
    """A posterior of a small trial whose draws are those of the prior: all that depends on draws can be looked at."""
    of = line_trial(patients=5, **trial)
    file = load_model(ROOT / "models" / f"{name}.py")
    model = file.build(of)
    visits = visits_of(of, file.outcome, file.build.shape)
    tree = prior_draws(model, visits, draws, 4, ready(model, visits))
    return Posterior(of, visits, tree["constant_data"].to_dataset(), tree["prior"].to_dataset(), name)


@pytest.fixture(scope="module", params=["alsfrsr_straight", "alsfrsr"])
def posterior(request):
    return posterior_like(request.param)


class Dense:
    """The posterior of one draw by dense matrices: Gaussian conditioning of terms on all values at once."""

    def __init__(self, posterior, draw):
        visits, design = posterior.visits, posterior.design
        self.rows = [np.flatnonzero(visits.patient_index == i) for i in range(len(visits.patients))]
        order = np.concatenate(self.rows)
        loading = posterior.draws["loading"].to_numpy()[0, draw]
        sigma = float(posterior.draws["sigma"][0, draw])
        self.basis, self.value, self.month = visits.basis[order], visits.value[order], visits.month[order]
        self.between = [visits.basis[r] @ loading @ loading.T @ visits.basis[r].T for r in self.rows]
        self.noise = sigma**2 * np.eye(len(order))
        picked = design["term_design"].to_numpy()
        self.x, self.picked = self.basis @ picked, picked
        self.mean, self.c = design["term_mean"].to_numpy(), np.diag(design["term_sd"].to_numpy() ** 2)
        omega = block_diag(*self.between) + self.noise
        self.gain = self.c @ self.x.T @ np.linalg.inv(omega + self.x @ self.c @ self.x.T)
        self.left = self.c - self.gain @ self.x @ self.c

    def answer(self, values, weights):
        return weights @ self.picked @ (self.mean + self.gain @ (values - self.x @ self.mean))

    def sd(self, weights):
        return np.sqrt(weights @ self.picked @ self.left @ self.picked.T @ weights)


def places(posterior):
    return evenly(posterior.draws, min(operating.DRAWS, operating.WORK // len(posterior.visits.patients)))


def linear_answer(posterior):
    functionals = operating._functionals(posterior.design)
    place = places(posterior)
    return functionals, place, operating._answer(posterior, place, np.array(list(functionals.values())))


def test_the_answer_is_the_posterior_mean_by_dense_matrices(posterior):
    functionals, place, found = linear_answer(posterior)
    values = found.of_values(operating._moments(posterior))
    for d in (0, 17):
        dense = Dense(posterior, place[d])
        for f, weights in enumerate(functionals.values()):
            assert values[d, f] == pytest.approx(dense.answer(dense.value, weights), rel=1e-9)
            assert found.sd[d, f] == pytest.approx(dense.sd(weights), rel=1e-9)


def test_a_course_and_the_scatter_around_it_are_those_of_simulated_trials(posterior):
    """By the dense answer to a course, and its variance under the covariance of values in which nothing changed."""
    functionals, place, found = linear_answer(posterior)
    course, spread, _ = operating._nothing_changed(posterior, place)
    truth = operating._truth(posterior)[np.argsort(posterior.visits.patient_index, kind="stable")]
    mean = found.constant + np.einsum("dfe,de->df", found.response, course)
    for d in (3, 29):
        dense = Dense(posterior, place[d])
        ends = np.cumsum([len(r) for r in dense.rows])
        blocks = [x @ spread[d] @ x.T for x in np.split(truth, ends[:-1])]
        covariance = block_diag(*blocks) + dense.noise
        for f, weights in enumerate(functionals.values()):
            assert mean[d, f] == pytest.approx(dense.answer(truth @ course[d], weights), abs=1e-9)
            r = weights @ dense.picked @ dense.gain
            assert found.scatter(spread)[d, f] == pytest.approx(np.sqrt(r @ covariance @ r), rel=1e-9)


def test_a_truth_without_change_has_none(posterior):
    names = list(posterior.design.indexes["coefficient"])
    course, spread, bend = operating._nothing_changed(posterior, places(posterior))
    changed = [k for k, name in enumerate(names) if name.startswith("change")]
    assert not course[:, changed].any()
    assert not spread[:, changed].any()
    slope = posterior.draws["population"].sel(coefficient="slope").to_numpy().ravel()
    np.testing.assert_allclose(bend, 0.02 * np.abs(slope))


def test_the_bend_between_patients_is_the_models_own_or_else_three_percent_of_the_slope_a_month():
    place = np.array([0, 5])
    for name, column in (("alsfrsr_straight", -1), ("alsfrsr", 2)):
        posterior = posterior_like(name)
        _, spread, bend = operating._nothing_changed(posterior, place)
        row = posterior.draws["loading"].isel(coefficient=2).to_numpy()[0, place]  # with what goes with level and slope
        own = np.sqrt((row**2).sum(axis=1)) if name == "alsfrsr" else 1.5 * bend
        np.testing.assert_allclose(spread[:, column, column], own**2)


def brute_force(posterior, trials=4000, seed=8):
    """Simulate trials in which nothing changed, bent and straight, answer each by dense matrices, and count."""
    place = places(posterior)
    course, spread, bend = operating._nothing_changed(posterior, place)
    truth = operating._truth(posterior)[np.argsort(posterior.visits.patient_index, kind="stable")]
    rng, rows = np.random.default_rng(seed), []
    weights = operating._functionals(posterior.design)["overall"]
    column = operating._bend_column(posterior)
    for d, p in enumerate(place):
        dense = Dense(posterior, p)
        observed, sd = dense.answer(dense.value, weights), dense.sd(weights)
        index = np.repeat(np.arange(len(dense.rows)), [len(r) for r in dense.rows])
        for kind in operating.COURSES:
            number = trials // len(place)
            own = rng.multivariate_normal(np.zeros(len(spread[d])), spread[d], (number, len(dense.rows)))
            own += course[d]
            own[..., column] += (kind == "bent") * bend[d] * rng.standard_normal((number, 1))
            mean = (truth * own[:, index]).sum(axis=-1)
            values = mean + np.sqrt(dense.noise[0, 0]) * rng.standard_normal(mean.shape)
            answers = np.array([dense.answer(v, weights) for v in values])
            rows += [(kind, a, a >= observed, ndtr(a / sd)) for a in answers]
    return pd.DataFrame(rows, columns=["course", "mean", "at_least", "probability"])


@pytest.mark.slow
def test_shares_of_simulated_trials_are_those_of_the_closed_form(posterior):
    simulated = brute_force(posterior)
    table = operating.table(posterior)
    for kind, trials in simulated.groupby("course"):
        row = table[(table["injection"] == "overall") & (table["course"] == kind)].iloc[0]
        four = 4.0 / np.sqrt(len(trials))
        assert trials["mean"].mean() == pytest.approx(row["null_mean"], abs=four * row["null_sd"])
        assert trials["mean"].std() == pytest.approx(row["null_sd"], rel=four)
        for share, hit in (
            (row["prob_at_least"], trials["at_least"]),
            (row["prob_claim"], trials["probability"] > 0.975),
            (0.025, trials["probability"] > row["cut"]),
        ):
            assert hit.mean() == pytest.approx(share, abs=four * np.sqrt(share * (1 - share)) + 1e-3)


def test_a_tipping_bend_accounts_for_all_that_is_above_the_limit():
    posterior = posterior_like("alsfrsr")
    visits = posterior.visits
    better = replace(visits, value=visits.value + 2.0 * np.clip(visits.month, 0, None))
    table = operating.table(replace(posterior, visits=better)).set_index(["injection", "course"])
    row = table.loc[("overall", "straight")]
    assert row["tipping_bend"] > 0
    straightened = replace(better, value=better.value - row["tipping_bend"] * visits.month**2 / 2)
    functionals, place, _ = linear_answer(posterior)
    found = operating._answer(posterior, place, np.array([functionals["overall"]]))
    left = found.of_values(operating._moments(replace(posterior, visits=straightened)))
    assert left.mean() == pytest.approx(1.959964 * found.sd.mean(), rel=1e-5)
    worse = replace(visits, value=visits.value - 2.0 * np.clip(visits.month, 0, None))
    assert operating.table(replace(posterior, visits=worse))["tipping_bend"].isna().all()


def test_where_lower_is_better_the_table_is_mirrored():
    posterior = posterior_like("alsfrsr")
    visits = replace(posterior.visits, value=posterior.visits.value + 2.0 * np.clip(posterior.visits.month, 0, None))
    up = replace(posterior, visits=visits)
    down = replace(up, design=up.design.assign(sign=-1.0))
    a, b = operating.table(up), operating.table(down)
    np.testing.assert_allclose(a["null_mean"], b["null_mean"])
    np.testing.assert_allclose(a["prob_at_least"], 1 - b["prob_at_least"], atol=1e-12)
    assert (a["prob_at_least"] < 0.5).all()
    assert b["tipping_bend"].isna().all()


def test_nothing_is_said_of_models_that_sample_patients_or_where_no_value_informs_a_change():
    posterior = posterior_like("alsfrsr")
    sampled = replace(posterior, design=posterior.design.drop_vars(["term_mean", "term_sd", "term_design"]))
    assert operating.table(sampled).empty
    untouched = posterior_like("alsfrsr", injections=0)
    assert list(operating.table(untouched)) == list(operating.COLUMNS)
    assert operating.table(untouched).empty


def test_a_large_cohort_is_averaged_over_fewer_draws():
    posterior = posterior_like("alsfrsr", draws=300)
    assert len(places(posterior)) == 200
    wide = replace(posterior, visits=replace(posterior.visits, patients=tuple(range(4000))))
    assert len(places(wide)) == 10


def test_covariates_of_changes_do_not_move_the_course_of_a_trial_in_which_nothing_changed():
    posterior = posterior_like("interval")
    course, _, _ = operating._nothing_changed(posterior, places(posterior))
    names = len(posterior.design.indexes["coefficient"])
    assert posterior.design.sizes["covariate"]
    assert not course[:, names:].any()


@pytest.mark.parametrize("family", ["student_t", "bounded"])
def test_families_that_are_not_normal_have_no_closed_form(posterior, family):
    """They record their terms as normal models do, but their likelihood is another."""
    assert operating.in_closed_form(posterior)
    other = replace(posterior, family=family)
    assert not operating.in_closed_form(other)
    assert operating.table(other).empty
    assert any_change.table(other).empty

"""Sensitivity: other priors against the engine itself, values left out, tipping points, and rules that fire."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import example, given, settings
from hypothesis import strategies as st
from posteriors import posterior_from
from scipy.stats import norm
from trials import ROOT, line_trial

from slopeshift.answers.quantities import change
from slopeshift.answers.weights import smoothed
from slopeshift.design.entry import KNOWN
from slopeshift.design.visits import visits_of
from slopeshift.engine import exact, kernel
from slopeshift.engine.draws import flat
from slopeshift.engine.terms import terms_from, terms_of
from slopeshift.fit.candidates import Candidate
from slopeshift.fit.compiled import RefitError, compile_once
from slopeshift.keep import tables
from slopeshift.model.files import load_model
from slopeshift.sensitivity import curves, rules, study, variations
from slopeshift.sensitivity.alternatives import (
    QUARTER,
    Scaled,
    alternatives,
    expected_decline,
    log_ratio_of,
    overall_sd,
    own_prior,
)
from slopeshift.sensitivity.evidence import NormalPrior, log_evidence, under
from slopeshift.sensitivity.refits import ONE, Variation, VariationJob, fitted
from slopeshift.sensitivity.rows import COLUMNS, beside_main, labelled, moments, refused, withheld
from slopeshift.sensitivity.subject import Subject
from slopeshift.sensitivity.subsets import (
    not_fully_injected,
    of_patients,
    patients_with_values,
    without,
)
from slopeshift.sensitivity.weighed import CURVATURE_SD, bend_evidence, bent, bent_rows, prior_rows
from slopeshift.trial import Control, trial_from_tables
from slopeshift.trial.entry import EntryRule

MODEL = ROOT / "models" / "alsfrsr_straight.py"
FILE = load_model(MODEL)
TRIAL = line_trial(patients=8, injections=2)
VISITS = visits_of(TRIAL, "alsfrsr")


# Made when a test first asks: reading this file, which every process of the tests does, builds and compiles nothing.
@cache
def model_of_trial():
    return FILE.build(TRIAL)


def hyper(draws=300, seed=4):
    """Draws of what is sampled, near what the trial was made of; they need not be a posterior."""
    rng = np.random.default_rng(seed)
    model = model_of_trial()
    coefficient, source = (list(model.coords[name]) for name in ("coefficient", "source"))
    sds = np.exp(rng.normal(np.log([5, 0.7, 0.2, 0.1]), 0.15, (1, draws, 4)))
    loading = np.zeros((1, draws, len(coefficient), len(source)))
    loading[..., 0, 0], loading[..., 1, 1] = sds[..., 0], sds[..., 1]
    loading[..., 2:, 2] = sds[..., 2, None]
    for k in range(len(coefficient) - 2):
        loading[..., 2 + k, 3 + k] = sds[..., 3]
    dims = ("chain", "draw")
    return xr.Dataset(
        {
            "loading": ((*dims, "coefficient", "source"), loading),
            "sigma": (dims, 2 * np.exp(rng.normal(0, 0.05, (1, draws)))),
            "sd_response": (dims, sds[..., 2]),
            "sd_response_signed": (dims, sds[..., 2] * rng.choice([-1.0, 1.0], (1, draws))),
        },
        {"coefficient": coefficient, "source": source},
    )


def subject_of(draws=300, trial=TRIAL, **changed):
    terms = terms_of(FILE.build(trial))
    visits = visits_of(trial, "alsfrsr")
    design = visits.dataset().merge(terms)
    drawn = exact.with_posterior_coefficients(hyper(draws), visits, terms, 1)[0]
    return Subject(FILE, posterior_from(drawn, design, trial=trial, visits=visits, passed=True), 1)


@cache
def usual():
    return subject_of()


@cache
def own():
    return own_prior(usual().posterior.design)


def density(prior, draw, visits=VISITS):
    """The log density of the data at one draw under a prior of the terms, by the engine's own kernel."""
    terms = usual().posterior.design.assign(term_mean=("term", prior.mean), term_sd=("term", prior.sd))
    packed = exact.statistics_of(visits, terms)
    loading = np.ascontiguousarray(usual().posterior.draws["loading"].to_numpy()[0, draw])
    variance = float(usual().posterior.draws["sigma"][0, draw]) ** 2
    return kernel.density(loading, variance, np.zeros(4), packed, terms["term_design"].to_numpy(), prior.sd**-2.0)[0]


# ---- another prior without sampling ----

NUMBER = st.floats(-1, 1)


@settings(deadline=None, max_examples=25)
@given(shift=st.lists(NUMBER, min_size=5, max_size=5), scale=st.lists(st.floats(0.2, 4), min_size=5, max_size=5))
def test_the_evidence_for_a_prior_is_that_of_the_engine_given_that_prior(shift, scale):
    prior = NormalPrior(own().mean + shift, own().sd * scale)
    ratio = log_evidence(usual().evidence, prior) - log_evidence(usual().evidence, own())
    for draw in (0, 150):
        np.testing.assert_allclose(ratio[draw], density(prior, draw) - density(own(), draw), atol=1e-7)


def test_terms_drawn_under_the_models_own_prior_are_those_that_the_engine_draws_back():
    found = under(usual().evidence, own(), own())
    assert found.k == -np.inf
    assert found.ess == pytest.approx(300)
    mine = found.terms @ usual().evidence.design.T
    theirs = usual().posterior.draws["population"].to_numpy()[0]
    error = np.hypot(mine.std(axis=0), theirs.std(axis=0)) / 300**0.5
    assert (np.abs(mine.mean(axis=0) - theirs.mean(axis=0)) < 4 * error).all()


def test_terms_under_another_prior_are_normal_as_the_plain_formula_says():
    """One draw of the standard deviations, the posterior of the terms from the covariance of all values."""
    prior = NormalPrior(own().mean + 0.3, own().sd / 2)
    loading, sigma = usual().posterior.draws["loading"].to_numpy()[0, 7], float(usual().posterior.draws["sigma"][0, 7])
    design = VISITS.basis @ usual().evidence.design
    same = VISITS.patient_index[:, None] == VISITS.patient_index
    covariance = np.where(same, VISITS.basis @ loading @ loading.T @ VISITS.basis.T, 0) + sigma**2 * np.eye(len(same))
    left = design.T @ np.linalg.inv(covariance)
    precision = left @ design + np.diag(prior.sd**-2)
    mean = np.linalg.solve(precision, left @ VISITS.value + prior.mean / prior.sd**2)
    no_noise = replace(usual().evidence, z=np.zeros_like(usual().evidence.z))
    np.testing.assert_allclose(under(no_noise, prior, own()).terms[7], mean, rtol=1e-6, atol=1e-8)


def test_weights_favour_the_draws_that_the_new_prior_favours():
    ratio = np.random.default_rng(0).normal(0, 0.3, 2000)
    weight, k = smoothed(ratio)
    np.testing.assert_allclose(weight.sum(), 1)
    assert k < 0.7
    np.testing.assert_allclose(weight, np.exp(ratio) / np.exp(ratio).sum(), rtol=0.1, atol=1e-5)


def test_weights_with_a_heavy_tail_are_not_relied_on():
    weight, k = smoothed(np.random.default_rng(0).normal(0, 6, 2000))
    assert k > 0.7
    assert 1 / (weight**2).sum() < 400


def test_a_prior_out_of_reach_gets_no_number_and_says_what_to_do():
    table = prior_rows(subject_of(draws=100))
    assert table["mean"].isna().all()
    assert set(table["note"]) == {
        "the posterior is too far from this prior to be weighed: edit the prior in the model file, and fit that"
    }


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_the_prior_of_a_standard_deviation_is_scaled_as_its_density_says(factor):
    ratio = log_ratio_of(model_of_trial(), usual().posterior, Scaled("sd_response", factor))
    x = usual().posterior.draws["sd_response"].to_numpy().ravel()
    np.testing.assert_allclose(ratio, norm.logpdf(x, 0, 0.3 * factor) - norm.logpdf(x, 0, 0.3))


def overall_prior(other):
    return float(usual().weights @ other.prior.mean), overall_sd(other.prior, usual().weights)


@cache
def listed():
    found = alternatives(FILE, usual().posterior, usual().weights)
    return {each.analysis: each for each in found}


def test_the_sceptic_gives_5_percent_to_a_slowing_by_a_quarter_and_the_enthusiast_to_none():
    quarter = QUARTER * expected_decline(usual().posterior.design)
    mean, sd = overall_prior(listed()["sceptical prior"])
    assert mean == 0
    assert norm.sf(quarter, mean, sd) == pytest.approx(0.05)
    mean, sd = overall_prior(listed()["enthusiastic prior"])
    assert mean == pytest.approx(quarter)
    assert norm.cdf(0, mean, sd) == pytest.approx(0.05)


def test_halving_and_doubling_touch_the_common_change_and_nothing_else():
    change = usual().posterior.design["term"].to_numpy() == "change"
    for word, factor in (("halved", 0.5), ("doubled", 2.0)):
        other = listed()[f"prior of the common change {word}"].prior
        np.testing.assert_allclose(other.sd[change], factor * 0.3)
        np.testing.assert_array_equal(other.sd[~change], own().sd[~change])
        np.testing.assert_array_equal(other.mean, own().mean)


def test_a_trial_without_control_has_no_control_to_do_without():
    assert "control not used" not in listed()


def test_doing_without_the_control_takes_the_models_own_prior_of_the_slope():
    controlled = replace(TRIAL, control=Control("other", {"alsfrsr": 0.2}, line_trial(patients=12, injections=0)))
    terms = terms_of(FILE.build(controlled))
    posterior = replace(usual().posterior, trial=controlled, design=VISITS.dataset().merge(terms))
    found = {each.analysis: each.prior for each in alternatives(FILE, posterior, usual().weights)}
    slope = terms["term"].to_numpy() == "slope"
    assert own_prior(terms).sd[slope] != 0.4
    other = found["control not used"]
    assert (other.mean[slope].item(), other.sd[slope].item()) == (-1.0, 0.4)
    np.testing.assert_array_equal(other.sd[~slope], own_prior(terms).sd[~slope])


@settings(deadline=None, max_examples=30)
@given(times=st.lists(st.integers(0, 4), min_size=6, max_size=6).filter(any))
@example(times=[1, 1, 0, 0, 1, 0])  # a mean of zero
def test_weighted_moments_are_those_of_repeating_draws(times):
    values = np.array([-2.0, -1.0, 0.5, 1.0, 3.0, 3.5])
    repeated = np.repeat(values, times)
    mean, sd, lower, upper, positive = moments(values, np.array(times) / sum(times))
    expected = [repeated.mean(), repeated.std(), (repeated > 0).mean()]
    np.testing.assert_allclose([mean, sd, positive], expected, atol=1e-12)
    expected = np.quantile(repeated, (0.025, 0.975), method="inverted_cdf")
    assert lower in (expected[0], repeated.min())
    assert upper == expected[1]


# ---- values left out ----


@settings(deadline=None, max_examples=20)
@given(dropped=st.sets(st.sampled_from(VISITS.patients), min_size=1, max_size=5))
def test_leaving_patients_out_is_the_trial_without_them(dropped):
    left = without(VISITS, of_patients(VISITS, dropped))
    rows = ~TRIAL.visits["patient"].isin(dropped)
    np.testing.assert_array_equal(left.value, TRIAL.visits.loc[rows, "alsfrsr"])
    gone = [patient in dropped for patient in VISITS.patients]
    assert (left.visits_in_cycle[gone] == 0).all()
    np.testing.assert_array_equal(
        np.delete(left.visits_in_cycle, np.flatnonzero(gone), 0), VISITS.visits_in_cycle[~np.array(gone)]
    )
    fewer = replace(
        left,
        patients=tuple(p for p in VISITS.patients if p not in dropped),
        patient_index=np.unique(left.patient_index, return_inverse=True)[1],
        injection_month=VISITS.injection_month[~np.array(gone)],
    )
    assert density(own(), 3, left) == pytest.approx(density(own(), 3, fewer))


def test_counts_of_values_are_those_of_a_trial_without_the_values():
    dropped = np.random.default_rng(2).random(len(VISITS.value)) < 0.4
    tables = {"patients": TRIAL.patients, "visits": TRIAL.visits[~dropped], "injections": TRIAL.injections}
    settings_ = {"title": "t", "synthetic": True, "source": "s"}
    obvious = visits_of(trial_from_tables("fewer", tables, settings_), "alsfrsr")
    left = without(VISITS, dropped)
    np.testing.assert_array_equal(left.visits_in_cycle, obvious.visits_in_cycle)
    np.testing.assert_array_equal(left.visits_in_lead_in, obvious.visits_in_lead_in)
    np.testing.assert_array_equal(left.basis, obvious.basis)


def test_boundary_visits_are_those_on_the_day_of_an_injection():
    found = VISITS.on_injection_days
    months = TRIAL.injections.groupby("patient")["month"].apply(set).to_dict()
    expected = [
        any(abs(m - day) < 0.01 for day in months.get(VISITS.patients[i], ()))
        for m, i in zip(VISITS.month, VISITS.patient_index, strict=True)
    ]
    np.testing.assert_array_equal(found, expected)


def test_the_patient_without_all_injections_is_known():
    assert not_fully_injected(VISITS) == {VISITS.patients[-1]}


def test_subsets_that_change_nothing_or_leave_nothing_say_so():
    refits, notes = variations.subsets(usual())
    said = {row["analysis"]: row["note"] for note in notes for _, row in note.iterrows()}
    assert said[variations.COMPLETERS] == "fewer than 3 patients have values left"
    names = [each.detail for each in refits if each.analysis == variations.ONE_LEFT_OUT]
    assert names == patients_with_values(VISITS)


LOSS = EntryRule("alsfrsr", "loss", "first", "4.1", "injection", at_least=-9)


def chosen(known=True, rules=(LOSS,)):
    """A subject whose trial states rules; `known`: and whose fit took them into account."""
    posterior = usual().posterior
    design = posterior.design.assign({KNOWN: 1.0}) if known else posterior.design
    posterior = replace(posterior, trial=replace(posterior.trial, entry=rules), design=design)
    return Subject(usual().file, posterior, 1)


def test_of_a_fit_that_knows_its_entry_rule_the_rule_is_varied():
    assert variations.entry_rules(chosen(known=False)) == []
    by_detail = {each.detail.split(",")[0]: each.trial.entry for each in variations.entry_rules(chosen())}
    assert list(by_detail) == [
        "not taken into account", "every limit one step lower", "every limit one step higher", "judged"
    ]  # fmt: skip
    none, (lower,), (higher,), (judged,) = by_detail.values()
    assert none == ()
    assert (lower.at_least, higher.at_least) == (-10, -8)
    assert judged.spread == pytest.approx(float(usual().posterior.draws["sigma"].mean()))


def test_a_limit_moves_by_a_point_or_by_a_tenth_and_only_of_its_outcome():
    outcome = VISITS.outcome
    window = variations.moved(replace(LOSS, quantity="score", at_least=None, above=20, at_most=40), 1, outcome)
    assert (window.above, window.at_most) == (21, 41)
    slope = replace(LOSS, quantity="slope", at_least=None, at_most=-0.5)
    assert [variations.moved(slope, steps, outcome).at_most for steps in (-1, 1)] == pytest.approx([-0.55, -0.45])
    assert variations.moved(replace(LOSS, outcome="fvc"), 1, outcome) == replace(LOSS, outcome="fvc")


def test_values_by_which_patients_were_chosen_cannot_be_left_out():
    notes = pd.concat(variations.subsets(chosen())[1]).set_index("analysis")["note"]
    assert notes[variations.BOUNDARY] == "an entry rule chose by values that are left out"
    assert variations.BOUNDARY in [each.analysis for each in variations.subsets(chosen(known=False))[0]]
    names = [e.detail for e in variations.subsets(chosen())[0] if e.analysis == variations.ONE_LEFT_OUT]
    assert names == patients_with_values(VISITS)


# ---- rows ----


def test_rows_have_the_same_columns_whatever_they_are_about():
    one = labelled(usual().main, analysis="a", outcome="alsfrsr")
    none = refused("because", analysis="b", outcome="alsfrsr")
    assert list(one) == list(none) == list(COLUMNS)
    assert none["note"].tolist() == ["because"]
    assert none["mean"].isna().all()


def test_a_refit_that_did_not_converge_keeps_its_row_and_loses_its_numbers():
    table = withheld(usual().main, pd.Series([True] * len(usual().main)), "why")
    assert table[["mean", "sd", "prob_positive"]].isna().all(axis=None)
    assert set(table["note"]) == {"why"}


def test_the_difference_is_in_posterior_sds_of_the_main_analysis():
    main = usual().main
    moved = beside_main(main.assign(mean=main["mean"] + 2 * main["sd"]), main)
    np.testing.assert_allclose(moved["difference"], 2)


# ---- tipping points ----


def test_a_crossing_is_found_on_the_nearer_line_and_nowhere_else():
    x = np.array([0.0, 1, 2, 3, 4])
    assert curves.crossings(x, np.array([0.5, 0.7, 0.9, 0.9, 0.7]), 2.0) == pytest.approx((1.5, 3.5))
    below, above = curves.crossings(x, np.array([0.9] * 5), 2.0)
    assert np.isnan(below)
    assert np.isnan(above)


def test_a_gap_in_a_curve_ends_the_search():
    x = np.array([0.0, 1, 2, 3])
    _, above = curves.crossings(x, np.array([0.9, 0.9, np.nan, 0.1]), 0.0)
    assert np.isnan(above)


def test_an_expectation_bias_leaves_of_the_claim_what_drawing_it_leaves():
    rng = np.random.default_rng(1)
    change = rng.normal(0.3, 0.2, 20_000)
    curve = curves.expectation_curve(change, 1.0)
    assert curve["prob_positive"].iloc[0] == (change > 0).mean()
    for place in (10, 40):
        drawn = (change - rng.normal(0, curve["x"].iloc[place], change.size) > 0).mean()
        assert abs(drawn - curve["prob_positive"].iloc[place]) < 0.015


def test_a_prior_that_holds_the_change_nearer_to_zero_gives_a_smaller_change():
    subject = subject_of(draws=600)
    curve = curves.prior_sd_curve(subject).dropna()
    assert len(curve) > 20
    assert (np.diff(np.abs(curve["mean"])) > -0.01).all()
    assert abs(curve["mean"].iloc[0]) < 0.05


# ---- rules ----


def main_and(mean, sd):
    return tuple(pd.DataFrame({"injection": ["overall"], "mean": [m], "sd": [s]}) for m, s in ((0.2, 0.1), (mean, sd)))


@pytest.mark.parametrize(
    ("mean", "sd", "fires"),
    [(0.2, 0.12, False), (0.24, 0.1001, False), (0.33, 0.15, False), (0.45, 0.12, True), (-0.1, 0.12, True)],
)
def test_leaving_values_out_fires_where_the_change_moves_far_and_further_than_chance_would(mean, sd, fires):
    assert rules.moved("x", *main_and(mean, sd)).fired is fires


def test_leaving_values_out_of_clean_data_fires_in_few_trials():
    """Means of normal values, and of half of them: the rule's own law, without a model."""
    rng = np.random.default_rng(0)
    fired = []
    for _ in range(2000):
        values = rng.normal(0, 1, 40)
        all_, half = (
            pd.DataFrame({"injection": ["overall"], "mean": [v.mean()], "sd": [len(v) ** -0.5]})
            for v in (values, values[:20])
        )
        fired.append(rules.moved("x", all_, half).fired)
    assert 0.002 < np.mean(fired) < 0.02


def test_one_patient_who_carries_the_answer_is_seen():
    assert rules.influential(pd.Series([0.1, -0.2, 1.2])).fired
    assert not rules.influential(pd.Series([0.1, -0.2, 0.6])).fired


def bending(curvature, patients=8):
    """Straight lines with a common curvature added: no injection does anything."""
    straight = line_trial(patients=patients, injections=2)
    month = straight.visits["month"]
    visits = straight.visits.assign(alsfrsr=(straight.visits["alsfrsr"] + curvature * month**2 / 2).round().clip(0, 48))
    tables = {"patients": straight.patients, "visits": visits, "injections": straight.injections}
    return trial_from_tables("bent", tables, {"title": "t", "synthetic": True, "source": "s"})


def test_courses_that_all_bend_are_told_from_straight_ones_by_the_evidence():
    straight, bent_ones = (bend_evidence(subject_of(draws=600, trial=bending(c, 40)))[1] for c in (0.0, 0.04))
    assert straight < 0 < bent_ones


def test_straight_courses_are_not_said_to_bend():
    assert not rules.curvature(subject_of(draws=600)).fired


def test_a_curvature_is_weighed_as_a_term_that_the_kernel_has():
    """The kernel with one more column of the basis and one more term, at one draw."""
    subject = subject_of(draws=600)
    width = CURVATURE_SD * expected_decline(subject.posterior.design)
    upwards, table = bent(subject)
    assert 0 < upwards < 1
    assert (table["ess"] >= 400).all()
    wide = replace(VISITS, basis=np.column_stack([VISITS.basis, VISITS.month**2 / 2]))
    ratios = []
    for draw in range(5):
        loading = np.vstack([subject.posterior.draws["loading"].to_numpy()[0, draw], np.zeros((1, 5))])
        variance = float(subject.posterior.draws["sigma"][0, draw]) ** 2
        term = subject.posterior.design["term_design"].to_numpy()
        bent_design = np.block([[term, np.zeros((4, 1))], [np.zeros((1, 5)), np.ones((1, 1))]])
        packed = exact.statistics(wide, np.append(term @ own().mean, 0))
        precision = np.append(own().sd, width) ** -2.0
        given_ = kernel.density(loading, variance, np.zeros(5), packed, bent_design, precision)[0]
        ratios.append(given_ - density_of(subject, draw))
    from slopeshift.sensitivity.evidence import evidence_of

    evidence = evidence_of(subject.posterior, 1, extra=VISITS.month[:, None] ** 2 / 2)
    before, after = (NormalPrior(np.append(own().mean, 0), np.append(own().sd, w)) for w in (1e-5 * width, width))
    mine = (log_evidence(evidence, after) - log_evidence(evidence, before))[:5]
    np.testing.assert_allclose(mine, ratios, atol=1e-5)


def density_of(subject, draw):
    packed = exact.statistics_of(VISITS, subject.posterior.design)
    loading = np.ascontiguousarray(subject.posterior.draws["loading"].to_numpy()[0, draw])
    variance = float(subject.posterior.draws["sigma"][0, draw]) ** 2
    design = subject.posterior.design["term_design"].to_numpy()
    return kernel.density(loading, variance, np.zeros(4), packed, design, own().sd ** -2.0)[0]


def claiming(shift):
    """A subject whose overall change is far from zero."""
    trial = line_trial(patients=8, injections=2)
    after = trial.visits["month"].clip(lower=0) * trial.visits["patient"].isin(trial.injections["patient"])
    visits = trial.visits.assign(alsfrsr=(trial.visits["alsfrsr"] + shift * after).round().clip(0, 48))
    tables = {"patients": trial.patients, "visits": visits, "injections": trial.injections}
    return subject_of(
        draws=600, trial=trial_from_tables("moved", tables, {"title": "t", "synthetic": True, "source": "s"})
    )


def test_a_claim_that_any_prior_leaves_standing_is_not_called_fragile():
    strong = rules.prior_tipping(claiming(1.5))
    assert not strong.fired
    none = rules.prior_tipping(claiming(-1.0))
    assert np.isnan(none.value)
    assert not none.fired


# ---- the study ----


def candidate(seed=1, passed=True):
    return Candidate(FILE, replace(usual().posterior, passed=passed), {"seed": seed})


def test_a_model_whose_fit_is_missing_or_failed_is_not_varied(tmp_path):
    said = []
    with pytest.raises(RefitError, match="no fit is available"):
        study.run(
            TRIAL,
            [Candidate(FILE), candidate(passed=False)],
            study.Options(),
            tmp_path,
            say=said.append,
        )
    assert said == [
        "alsfrsr_straight: its fit is missing or out of date; make it with `slopeshift fit`",
        "alsfrsr_straight: its fit failed the diagnostics gate, and nothing is varied about it",
    ]


def test_what_was_made_from_other_fits_is_left_out(tmp_path):
    table = pd.DataFrame({"outcome": ["alsfrsr"], "injection": ["1"]})
    for name in study.TABLES:
        tables.save(name, table, study._made_from(TRIAL, [candidate()]), tmp_path)
    current, stale = study.stored(TRIAL, [candidate()], tmp_path)
    assert set(current) == set(study.TABLES)
    assert current["sensitivity"]["injection"].tolist() == ["1"]
    assert stale == []
    assert study.stored(TRIAL, [candidate(seed=2)], tmp_path) == ({}, list(study.TABLES))
    (tmp_path / tables.RECORD).unlink()
    assert study.stored(TRIAL, [candidate()], tmp_path) == ({}, [])


def test_a_job_is_known_by_its_content():
    plain = Variation("a", "b", (VISITS,))
    other = Variation("a", "b", (replace(VISITS, value=VISITS.value + 1e-9),))
    ruled = replace(TRIAL, entry=(LOSS,))
    others = (replace(plain, detail="c"), replace(plain, varied="x = 1\n"), replace(plain, trial=ruled))
    jobs = [
        VariationJob(TRIAL, "alsfrsr", "alsfrsr", FILE.source, seed, (each,))
        for seed, each in ((1, plain), (2, plain), (1, other), *((1, each) for each in others))
    ]
    assert len({job.key for job in jobs}) == len(jobs)
    assert jobs[0] == VariationJob(TRIAL, "alsfrsr", "alsfrsr", FILE.source, 1, (replace(plain),))


# ---- real refits ----


@pytest.fixture(scope="module")
def compiled():
    return compile_once("alsfrsr", FILE.source, TRIAL, replace(ONE, draws=1500))


@pytest.fixture(scope="module")
def sampled(compiled):
    return Subject(FILE, compiled.fit(TRIAL, VISITS, 3), 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("analysis", "before", "after"),
    [
        ("prior of the common change halved", "change=Normal(0, 0.3", "change=Normal(0, 0.15"),
        ("prior of the common change doubled", "change=Normal(0, 0.3", "change=Normal(0, 0.6"),
        ("prior of how patients' changes differ halved", "sd_response=HalfNormal(0.3", "sd_response=HalfNormal(0.15"),
        ("prior of how patients' changes differ doubled", "sd_response=HalfNormal(0.3", "sd_response=HalfNormal(0.6"),
    ],
)
def test_weighing_gives_what_fitting_the_edited_model_gives(sampled, analysis, before, after):
    assert before in FILE.source
    edited = compile_once("alsfrsr", FILE.source.replace(before, after), TRIAL, replace(ONE, draws=1500))
    refit = fitted(edited, TRIAL, Variation("x", "", (VISITS,)), 5).set_index("injection")
    weighed = prior_rows(sampled).query("analysis == @analysis").set_index("injection")
    error = 4 * refit["sd"] * (2 / 2000) ** 0.5
    assert (abs(weighed["mean"] - refit["mean"]) < error).all()
    np.testing.assert_allclose(weighed["sd"], refit["sd"], rtol=0.08)
    np.testing.assert_allclose(weighed["prob_positive"], refit["prob_positive"], atol=0.05)


@pytest.mark.slow
def test_imputing_without_a_departure_changes_nothing_beyond_monte_carlo_error(compiled):
    ends = pd.DataFrame({"patient": TRIAL.patients["patient"], "end_month": 8.0, "end_reason": "completed"})
    ends.loc[:2, ["end_month", "end_reason"]] = [5.0, "lost"]
    visits = TRIAL.visits.merge(ends[["patient", "end_month"]]).query("month <= end_month").drop(columns="end_month")
    tables = {"patients": ends, "visits": visits, "injections": TRIAL.injections}
    trial = trial_from_tables("left", tables, {"title": "t", "synthetic": True, "source": "s"})
    observed = visits_of(trial, "alsfrsr")
    subject = Subject(FILE, compiled.fit(trial, observed, 3), 1)
    refits, about = variations.after_leaving(subject)
    assert about["n_left"].tolist() == [3] * len(variations.DELTAS)
    rows = [fitted(compiled, trial, each, 1).set_index("injection").loc["overall"] for each in (refits[0], refits[-1])]
    main = subject.main.set_index("injection").loc["overall"]
    assert abs(rows[0]["mean"] - main["mean"]) < 0.35 * main["sd"]
    assert rows[0]["sd"] == pytest.approx(main["sd"], rel=0.15)
    assert rows[1]["mean"] < rows[0]["mean"]
    assert not np.isnan(change(subject.posterior)).any()


@pytest.mark.slow
@pytest.mark.parametrize(("lift", "fires"), [(0.0, False), (10.0, True)])
def test_values_on_injection_days_that_are_unlike_the_others_are_seen(compiled, lift, fires):
    lifted = np.clip(TRIAL.visits["alsfrsr"] + lift * VISITS.on_injection_days, 0, 48)
    tables = {"patients": TRIAL.patients, "injections": TRIAL.injections}
    tables["visits"] = TRIAL.visits.assign(alsfrsr=lifted)
    trial = trial_from_tables("lifted", tables, {"title": "t", "synthetic": True, "source": "s"})
    visits = visits_of(trial, "alsfrsr")
    subject = Subject(FILE, compiled.fit(trial, visits, 3), 1)
    assert rules.boundary_visit(subject, compiled).fired is fires


# ---- terms that entry rules act on, which are sampled ----


@cache
def screened():
    """A curved fit that knows its entry rule, of prior draws."""
    from test_any_change import prior_of
    from test_entry_likelihood import screened_trial

    file = load_model(ROOT / "models" / "alsfrsr.py")
    return Subject(file, prior_of(file, screened_trial(), 60)[0], 1)


def test_terms_that_were_sampled_are_given_and_what_the_rules_divide_by_is_the_same_under_every_prior():
    posterior, evidence = screened().posterior, screened().evidence
    old = own_prior(posterior.design)
    assert set(posterior.design["term"].to_numpy()[evidence.sampled]) >= {"slope", "curvature"}
    new = NormalPrior(np.where(evidence.sampled, old.mean + 0.1 * old.sd, old.mean), 1.2 * old.sd)
    population = flat(posterior.draws["population"])[:, :3]
    picked, inside = posterior.design["term_design"].to_numpy(), ~evidence.sampled
    packed = exact.statistics_of(posterior.visits, posterior.design)
    _, moved = exact.sampled_apart(posterior.draws, terms_from(posterior.design, posterior.visits))
    for draw in (0, 40):
        loading = np.ascontiguousarray(flat(posterior.draws["loading"])[draw])
        variance = float(flat(posterior.draws["sigma"])[draw]) ** 2
        expected = [
            kernel.density(loading, variance, picked @ moved[draw], packed, picked[:, inside].copy(), sd**-2.0)[0]
            + norm.logpdf(population[draw], prior.mean[:3], prior.sd[:3])[evidence.sampled[:3]].sum()
            for prior, sd in ((new, new.sd[inside]), (old, old.sd[inside]))
        ]
        found = log_evidence(evidence, new)[draw] - log_evidence(evidence, old)[draw]
        assert found == pytest.approx(expected[0] - expected[1], abs=1e-6)
    kept = under(evidence, new, old).terms[:, :3][:, evidence.sampled[:3]]
    np.testing.assert_allclose(kept, population[:, evidence.sampled[:3]], atol=1e-12)


def test_of_a_straight_fit_that_knows_its_entry_rule_no_bend_is_weighed():
    known = chosen()
    assert bend_evidence(known) == pytest.approx((np.nan, np.nan), nan_ok=True)
    rows = bent_rows(known)
    assert rows["mean"].isna().all()
    assert rows["note"].tolist() == ["entry rules act on a bend too: take a model with curved courses"]

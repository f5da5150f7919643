"""When a check fires: each rule just on either side of its limit, with the numbers written out."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from slopeshift.answers import quantities
from slopeshift.checks.rules import PRIOR
from slopeshift.checks.rules import rules as of_checks
from slopeshift.sensitivity import curves, rules, variations


def tables(mean, sd):
    """The main analysis, 0.2 with an SD of 0.1, and another."""
    return tuple(
        pd.DataFrame({"injection": ["1", "overall"], "mean": [9.0, m], "sd": [1.0, s]})
        for m, s in ((0.2, 0.1), (mean, sd))
    )


def sensitivity(value, quantity="change", injection="overall"):
    return pd.DataFrame({"quantity": [quantity], "injection": [injection], "sensitivity": [value]})


# ---- checks of a model ----


def test_a_check_fires_below_a_probability_of_0_01_and_not_at_it():
    found = of_checks({"a": 0.0099, "b": 0.01, "c": np.nan}, 0.0)
    assert [(rule.check, rule.value, rule.limit, rule.fired) for rule in found[:2]] == [
        ("a", 0.0099, 0.01, True), ("b", 0.01, 0.01, False),
    ]  # fmt: skip
    assert not found[2].fired
    assert len(found) == 4


@pytest.mark.parametrize(("number", "fires"), [(0, False), (1, True), (np.nan, False)])
def test_a_single_value_that_cannot_be_left_out_fires(number, fires):
    (rule,) = of_checks({}, number)
    assert (rule.limit, rule.fired) == (0, fires)


@pytest.mark.parametrize(("value", "fires"), [(0.0499, False), (0.05, True)])
def test_a_prior_moves_the_change_from_a_sensitivity_of_0_05_on(value, fires):
    found = of_checks({}, 0.0, sensitivity(value))
    assert (found[-1].check, found[-1].value, found[-1].limit, found[-1].fired) == (PRIOR, value, 0.05, fires)


def test_only_the_overall_change_is_asked_about_and_the_largest_of_its_priors_counts():
    others = pd.concat([sensitivity(1.0, "sigma"), sensitivity(1.0, injection="1")])
    rule = of_checks({}, 0.0, others)[-1]
    assert np.isnan(rule.value)
    assert not rule.fired
    both = pd.concat([others, sensitivity(0.02), sensitivity(0.06)])
    assert of_checks({}, 0.0, both)[-1].value == 0.06
    assert len(of_checks({}, 0.0, sensitivity(0.2)[:0])) == 1


# ---- checks of an answer ----


@pytest.mark.parametrize(("mean", "fires"), [(0.2505, True), (0.2495, False), (0.1495, True), (0.1505, False)])
def test_a_move_is_worth_saying_beyond_half_a_posterior_sd_either_way(mean, fires):
    assert rules.moved("x", *tables(mean, 0.1000001)).fired is fires


@pytest.mark.parametrize(("errors", "fires"), [(2.58, True), (2.57, False)])
def test_a_move_is_beyond_chance_from_2_576_standard_errors_on(errors, fires):
    """Part of the data with an SD of 0.125: a standard error of 0.075 for the move."""
    verdict = rules.moved("x", *tables(0.2 + errors * 0.075, 0.125))
    assert verdict.fired is fires
    assert verdict.value == pytest.approx(errors / 2.5758293)
    assert verdict.limit == 1.0


@pytest.mark.parametrize(("difference", "fires"), [(1.01, True), (-1.01, True), (1.0, False)])
def test_a_trial_hangs_on_a_patient_who_moves_the_answer_by_more_than_one_sd(difference, fires):
    verdict = rules.influential(pd.Series([0.1, difference, -0.2]))
    assert (verdict.value, verdict.limit, verdict.fired) == (abs(difference), 1.0, fires)


@pytest.mark.parametrize(
    ("change", "neither", "fires"),
    [(0.1, np.log(10.1), True), (-0.1, 9.0, False), (9.0, np.log(9.9), False), (np.nan, 9.0, False)],
)
def test_a_bend_must_beat_the_changes_and_be_ten_times_better_than_nothing(monkeypatch, change, neither, fires):
    monkeypatch.setattr(rules, "bend_evidence", lambda _: (change, neither))
    verdict = rules.curvature(None)
    assert (verdict.limit, verdict.fired) == (0, fires)
    if np.isfinite(change):
        assert verdict.value == pytest.approx(min(change, neither - np.log(10)))


def subject(**known):
    outcome = SimpleNamespace(name="alsfrsr", sign=1)
    posterior = SimpleNamespace(trial=None, visits=SimpleNamespace(outcome=outcome))
    return SimpleNamespace(posterior=posterior, seed=1, **known)


@pytest.mark.parametrize(("probability", "fires"), [(0.976, True), (0.975, False), (0.9, False)])
def test_survivors_are_warned_of_above_0_975(monkeypatch, probability, fires):
    table = pd.DataFrame(
        {"quantity": ["lead_in_slope", "lead_in_slope", "level"], "prob_higher": [0.1, probability, 0.999]}
    )
    monkeypatch.setattr(rules, "survivors", lambda *_: table)
    verdict = rules.survivor(subject())
    assert (verdict.value, verdict.limit, verdict.fired) == (probability, 0.975, fires)
    monkeypatch.setattr(rules, "survivors", lambda *_: table[2:])
    assert not rules.survivor(subject()).fired


@pytest.mark.parametrize(("probability", "fires"), [(0.0099, True), (0.01, False), (np.nan, False)])
def test_leaving_by_the_rate_of_decline_fires_below_0_01(monkeypatch, probability, fires):
    from slopeshift.missing.leaving import Leaving

    monkeypatch.setattr(rules, "leaving", lambda *_: Leaving(4, 0.1, 2.0, probability))
    verdict = rules.leavers(subject())
    assert (verdict.limit, verdict.fired) == (0.01, fires)


def prior_tipping(monkeypatch, claim, tips_below):
    """The verdict where the model's own SD is 0.3, the claim's probability `claim`, and it is lost at `tips_below`."""
    at = curves.FACTORS * 0.3
    monkeypatch.setattr(curves, "prior_sd_curve", lambda _: pd.DataFrame({"x": at}))
    seen = []

    def tipping(curve, x, sign):
        seen.append(x)
        return {"prob_better": claim, "tips_below": tips_below}

    monkeypatch.setattr(curves, "tipping", tipping)
    verdict = rules.prior_tipping(subject())
    assert seen == [pytest.approx(0.3, rel=0.05)]
    return verdict, seen[0]


@pytest.mark.parametrize(("share", "fires"), [(0.51, True), (0.49, False), (np.nan, False)])
def test_a_claim_is_fragile_that_a_prior_of_half_the_sd_undoes(monkeypatch, share, fires):
    at = curves.FACTORS[np.argmin(np.abs(curves.FACTORS - 1))] * 0.3
    verdict, _ = prior_tipping(monkeypatch, 0.8, share * at)
    assert (verdict.limit, verdict.fired) == (0.5, fires)
    assert verdict.value == pytest.approx(0.0 if np.isnan(share) else share)


@pytest.mark.parametrize("claim", [0.79, np.nan])
def test_without_a_claim_of_0_8_no_prior_can_undo_it(monkeypatch, claim):
    verdict, _ = prior_tipping(monkeypatch, claim, 0.3)
    assert np.isnan(verdict.value)
    assert not verdict.fired


def dropout(monkeypatch, claimed, left, anybody=True):
    """The verdict where so many of 100 draws claim a slowing, and after leaving the probability is `left`."""
    refits = [f"delta {delta}" for delta in variations.DELTAS] if anybody else []
    monkeypatch.setattr(variations, "after_leaving", lambda _: (refits, []))
    asked = []

    def fitted(compiled, trial, variation, seed):
        asked.append(variation)
        return pd.DataFrame({"injection": ["1", "overall"], "prob_positive": [0.1, left]})

    monkeypatch.setattr(rules, "fitted", fitted)
    monkeypatch.setattr(rules, "labelled", lambda table: table)
    monkeypatch.setattr(quantities, "change", lambda _: np.where(np.arange(100) < claimed, 1.0, 0.0))
    verdict = rules.dropout_tipping(subject(), None)
    return verdict, asked


@pytest.mark.parametrize(("left", "fires"), [(0.79, True), (0.8, False)])
def test_a_claim_is_lost_where_a_quarter_faster_decline_of_those_who_left_takes_it_below_0_8(monkeypatch, left, fires):
    verdict, asked = dropout(monkeypatch, 80, left)
    assert asked == ["delta 0.25"]
    assert (verdict.value, verdict.limit, verdict.fired) == (left, 0.8, fires)


@pytest.mark.parametrize(("claimed", "anybody"), [(79, True), (80, False)])
def test_without_a_claim_or_anybody_who_left_nothing_is_lost(monkeypatch, claimed, anybody):
    verdict, asked = dropout(monkeypatch, claimed, 0.1, anybody)
    assert asked == []
    assert np.isnan(verdict.value)
    assert not verdict.fired


def refits(monkeypatch, tables_by_detail):
    """Refits named by detail, of these tables."""
    one_out, boundary = variations.ONE_LEFT_OUT, variations.BOUNDARY
    made = [
        SimpleNamespace(analysis=boundary if name == "boundary" else one_out, detail=name) for name in tables_by_detail
    ]
    monkeypatch.setattr(variations, "subsets", lambda _: (made, []))
    monkeypatch.setattr(rules, "fitted", lambda compiled, trial, each, seed: tables_by_detail[each.detail])
    monkeypatch.setattr(rules, "labelled", lambda table: table)
    return subject(main=tables(0, 1)[0])


def test_every_patient_is_left_out_and_the_farthest_decides(monkeypatch):
    means = {"P1": 0.25, "P2": 0.05, "boundary": 9.0}
    one = refits(monkeypatch, {name: tables(mean, 0.1)[1] for name, mean in means.items()})
    verdict = rules.leave_one_out_influence(one, None)
    assert verdict.value == pytest.approx(1.5)
    assert verdict.fired


def test_values_on_injection_days_are_judged_by_their_own_refit(monkeypatch):
    one = refits(monkeypatch, {"P1": tables(0.2, 0.1)[1], "boundary": tables(0.6, 0.125)[1]})
    assert rules.boundary_visit(one, None).fired
    none = rules.boundary_visit(refits(monkeypatch, {"P1": tables(9.0, 0.1)[1]}), None)
    assert np.isnan(none.value)
    assert (none.limit, none.fired) == (1.0, False)

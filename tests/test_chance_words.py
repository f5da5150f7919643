"""What chance gives by closed form, in words: numbers on either side of every rounding and limit."""

import pandas as pd
import pytest

from slopeshift.report.words import chance

RATE = "points/month"


def operating(at_least, cut=0.985, tipping=float("nan"), injection="overall"):
    rows = [(injection, kind, share, cut, tipping) for kind, share in zip(("straight", "bent"), at_least, strict=True)]
    return {"operating": pd.DataFrame(rows, columns=["injection", "course", "prob_at_least", "cut", "tipping_bend"])}


def any_change(factors, at_even_odds=0.69, k=0.5):
    rows = [(0.15 * 2**i, p, f, at_even_odds, k) for i, f in enumerate(factors) for p in (0.2, 0.5, 0.8)]
    columns = ["prior_sd", "prior_probability", "bayes_factor", "probability", "pareto_k"]
    return {"any_change": pd.DataFrame(rows, columns=columns)}


@pytest.mark.parametrize(("share", "text"), [(0.0049, "fewer than 1"), (0.0051, "1"), (0.142, "14"), (0.5, "50")])
def test_a_share_of_trials_is_said_in_hundreds(share, text):
    assert chance.of_hundred(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(5e-4, "< 1/1,000"), (0.5, "1/2.0"), (0.99, "1/1.0"), (1.0, "1.0"), (35.28, "35.3"), (1001.0, "> 1,000")],
)
def test_a_bayes_factor_below_one_is_a_fraction_and_none_is_beyond_a_thousand(value, text):
    assert chance.factor(value) == text


def test_straight_and_bent_courses_stand_beside_each_other_with_the_cut():
    said = chance.by_design(operating((0.142, 0.191)), "overall", RATE)
    assert "Of 100 such trials in which nothing changed, 14 would show at least as much" in said
    assert "Of 100 whose courses bend by themselves, 19 would, and 2.5 would give a probability above 0.985." in said
    assert "natural bend" not in said


def test_the_bend_that_would_be_enough_is_said_without_its_sign():
    for bend in (0.0312, -0.0312):
        said = chance.by_design(operating((0.004, 0.02), tipping=bend), "overall", RATE)
        assert "A natural bend of 0.031 points/month every month would be enough" in said
        assert said.startswith("Of 100 such trials in which nothing changed, fewer than 1 would")


def test_the_range_of_bayes_factors_and_the_probability_at_even_odds_are_said():
    said = chance.changed_at_all(any_change([2.09, 2.22, 0.79]))
    assert said.startswith("Probability 0.69, starting from even odds; Bayes factor 2.2 (1/1.3 to 2.2 ")


@pytest.mark.parametrize(
    ("at_even_odds", "by_sign", "explained"),
    [(0.49, 0.91, True), (0.49, 0.09, True), (0.51, 0.91, False), (0.49, 0.89, False), (0.49, 0.11, False)],
)
def test_a_factor_against_a_change_that_is_probable_by_its_sign_is_explained(at_even_odds, by_sign, explained):
    rows = [("change", "1", 0.99), ("change", "overall", by_sign), ("percent_slowing", "overall", 0.99)]
    population = pd.DataFrame(rows, columns=["quantity", "injection", "prob_positive"])
    said = chance.changed_at_all(any_change([0.5] * 3, at_even_odds) | {"population": population})
    assert ("does not contradict" in said) == explained


def test_what_could_not_be_computed_is_said_so():
    said = chance.changed_at_all(any_change([float("nan")] * 3, k=0.72))
    assert said.startswith("Could not be computed reliably from these draws (Pareto k 0.72, limit 0.7).")
    assert "neither for a change nor against one" in said


@pytest.mark.parametrize(
    ("probabilities", "words"),
    [([0.5, 0.79], "it names nobody."), ([0.81, 0.9], "it names 2, 0.3 of them wrongly.")],
)
def test_whom_it_names_if_patients_may_be_untouched(probabilities, words):
    table = pd.DataFrame({"prob_slowing_25": probabilities, "prob_changed": 0.95, "share_changed": 0.59})
    said = chance.named_if_unchanged({"unchanged": table})
    assert said.endswith(words)
    assert "59 % of patients" in said
    assert chance.named_if_unchanged({"unchanged": table.assign(prob_changed=float("nan"))}) == ""


def test_nothing_is_said_where_nothing_is_known():
    assert chance.by_design({}, "overall", RATE) == ""
    assert chance.by_design(operating((0.1, 0.2)), "1", RATE) == ""
    assert chance.changed_at_all({}) == ""

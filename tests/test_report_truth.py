"""Is it true? What is said to each doubt follows the tables, and what weakens an answer is marked as weakening it."""

from dataclasses import replace

import pandas as pd
import pytest
from made_reports import made_fit, made_report, made_trial

from slopeshift.checks import PRIOR
from slopeshift.checks.predictive import ENTRY
from slopeshift.report.sections import answer, beside, truth
from slopeshift.report.words import numbers as wording
from slopeshift.report.words import truth as words
from slopeshift.sensitivity import variations

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def trial():
    return made_trial()


@pytest.fixture(scope="module")
def report(trial):
    return made_report(trial, [made_fit(trial), made_fit(trial, "other", seed=2), made_fit(trial, "bad", broken=True)])


@pytest.fixture(scope="module")
def main(report):
    return report.primary[0]


def with_rules(a, *fired):
    """The same analysis, the checks named having fired and no other."""
    rules = a.tables["rules"]
    return replace(a, tables={**a.tables, "rules": rules.assign(fired=rules["check"].isin(fired))})


def with_answers(a, **tables):
    return replace(a, answered=replace(a.answered, tables={**a.answered.tables, **tables}))


def test_a_check_that_fired_is_named_and_weakens_the_answer(main):
    silent, fired = words.fits(with_rules(main)), words.fits(with_rules(main, ENTRY))
    assert not silent.alarm
    assert "silence proves little" in silent.text
    assert fired.alarm
    assert ENTRY in fired.text


def test_an_unchecked_model_is_said_to_be_unchecked(main):
    said = words.fits(replace(main, tables=None))
    assert said == words.Said("Whether the model fits these data was not checked.", True)


@pytest.mark.parametrize(("straight", "bent", "text"), [(0.36, 0.37, "36"), (0.001, 0.2, "fewer than 1")])
def test_chance_is_told_in_trials_of_a_hundred(main, straight, bent, text):
    table = pd.DataFrame(
        {
            "injection": "overall",
            "course": ["straight", "bent"],
            "prob_at_least": [straight, bent],
            "tipping_bend": 0.05,
        }
    )
    said = words.chance(with_answers(main, operating=table))
    assert said.text.startswith(f"Of 100 such trials without any change, {text} would show at least as much")
    assert words.chance(with_answers(main, operating=table.iloc[:0])).text == "Not known in closed form for this model."


def test_a_model_of_straight_courses_is_a_doubt(report, main):
    said = words.bends(report, main)
    assert said.alarm
    assert said.text.startswith("The model takes courses for straight.")


def test_moved_injections_that_found_a_change_are_an_alarm(report, main):
    study = {"pseudo_injection": pd.DataFrame({"model": ["alsfrsr"], "finds_change": [True]})}
    assert "found a change" in words.bends(replace(report, study=study), main).text


def test_an_entry_rule_that_nobody_states_is_asked_for_where_its_trace_is_seen(report, main):
    assert not words.entry(report, with_rules(main)).alarm
    assert words.entry(report, with_rules(main, ENTRY)).alarm


def test_other_models_are_told_from_least_to_most_and_failed_ones_left_out(report, main):
    said = words.other_models(report, main)
    (other,) = [a for a in report.others if a.passed]
    mean = wording.number(float(words.overall(other)["mean"].iloc[0]), sign=True)
    assert said.text.startswith(f"1 other model: change {mean} points/month")


@pytest.mark.parametrize("fired", [True, False])
def test_a_prior_that_moves_the_change_is_an_alarm(main, fired):
    rules = pd.DataFrame({"check": [PRIOR], "value": [0.06 if fired else 0.01], "limit": 0.05, "fired": [fired]})
    said = words.prior(replace(main, tables={**main.tables, "rules": rules}))
    assert said.alarm is fired


@pytest.mark.parametrize(("moved", "alarm"), [(0.2, False), (5.0, True)])
def test_a_patient_who_decides_is_an_alarm(report, main, moved, alarm):
    rows = {"analysis": variations.ONE_LEFT_OUT, "model": "alsfrsr", "injection": "overall", "mean": 0.1}
    table = pd.DataFrame([rows | {"difference": moved, "prob_better": p} for p in (0.6, 0.9)])
    said = words.one_patient(replace(report, varied={"sensitivity": table}), main)
    assert said.alarm is alarm
    assert said.text.endswith("the probability lies between 0.60 and 0.90.")
    assert words.one_patient(report, main).text == "Not examined yet: run make sensitivity."


def test_a_failed_fit_is_withheld_from_every_doubt_but_the_first(trial):
    failed = made_report(trial, [made_fit(trial, broken=True)])
    first, *rest = truth.doubts(failed)
    assert first.said[0].text.startswith("No: ")
    assert {said.text for doubt in rest for said in doubt.said} == {"Withheld: the fit failed its diagnostics gate."}
    assert answer.in_short(failed) == []


def test_without_injections_only_draws_and_fit_are_doubted():
    trial = made_trial(k=0)
    asked = [doubt.asked for doubt in truth.doubts(made_report(trial, [made_fit(trial)]))]
    assert asked == ["Can the draws be trusted?", "Does the model fit these data?"]


def test_the_answer_in_short_says_what_how_sure_and_what_not(report, main):
    found, limit = answer.in_short(report)
    row = words.overall(main).iloc[0]
    assert wording.certainty(row["prob_better"]) in found
    assert f"probability of slower decline {wording.probability(row['prob_better'])}" in found
    assert limit.startswith("Association, not effect")


def test_models_stand_beside_each_other_with_the_numbers_of_their_tables(report, main):
    first, other, failed = beside.lines(report, "alsfrsr")
    assert (first.model, first.answers, other.answers) == ("alsfrsr", True, False)
    row = next(words.overall(main).itertuples())
    assert first.cells[:2] == [wording.estimate(row), wording.probability(row.prob_better)]
    assert failed.cells == ["withheld: failed its gate", "", "", "", ""]

"""The decision that was fixed beforehand: read from trial.toml, decided by the named fit, and said on the page."""

from dataclasses import replace

import numpy as np
import pytest
from made_reports import made_fit, made_trial
from trials import line_trial

from slopeshift.answers import quantities
from slopeshift.answers.decision import chance_above
from slopeshift.answers.stored import answered, tables_of
from slopeshift.fit.posterior import posterior_of
from slopeshift.report import page
from slopeshift.report.analysis import Report, analyses_of
from slopeshift.report.sections import decision
from slopeshift.trial import TrialError
from slopeshift.trial.decision import Decision

pytestmark = pytest.mark.usefixtures("undrawn")

RULE = Decision("alsfrsr", "alsfrsr", 0.975, "protocol 9.2", margin=0.1, power=0.84, false_alarms=0.022)


def report_of(rule, broken=False, model="alsfrsr"):
    trial = replace(made_trial(), decision=rule)
    fit = made_fit(trial, model, broken=broken)
    return Report(trial=trial, analyses=analyses_of([answered(trial, fit, tables_of(posterior_of(trial, fit)))]))


def test_a_decision_is_read_from_the_settings_of_a_trial():
    given = {"outcome": "alsfrsr", "model": "alsfrsr_arms", "probability": 0.98, "source": "protocol"}
    assert line_trial(decision=given).decision == Decision("alsfrsr", "alsfrsr_arms", 0.98, "protocol")
    assert line_trial().decision is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"probability": 97.5}, "decision.probability"),
        ({"outcome": "strength"}, "no outcome 'strength'"),
        ({"source": ""}, "decision.source"),
        ({"limit": 3}, "unknown key 'limit'"),
        ({"power": 1.2}, "decision.power"),
    ],
)
def test_a_faulty_decision_is_refused_by_key(given, said):
    whole = {"outcome": "alsfrsr", "model": "alsfrsr", "probability": 0.975, "source": "protocol"} | given
    with pytest.raises(TrialError, match=said):
        line_trial(decision=whole)


def test_the_probability_is_the_share_of_draws_above_the_margin():
    report = report_of(RULE)
    posterior = report.analyses[0].posterior
    change = quantities.change(posterior).to_numpy()
    for margin in (-1.0, 0.0, 0.5):
        assert chance_above(posterior, margin) == np.mean(change > margin)


def test_where_lower_is_better_the_change_for_the_better_is_below():
    posterior = report_of(RULE).analyses[0].posterior
    lower = replace(posterior.visits.outcome, better="lower")
    other = replace(posterior, visits=replace(posterior.visits, outcome=lower))
    change = quantities.change(posterior).to_numpy()
    assert chance_above(other, 0.2) == np.mean(-change > 0.2)


@pytest.mark.parametrize(("probability", "verdict"), [(0.5, "The claim is made"), (0.9999, "The claim is not made")])
def test_the_claim_is_made_where_the_probability_exceeds_the_rule(probability, verdict):
    said = decision.words(report_of(replace(RULE, probability=probability)))
    assert any(sentence.startswith(verdict) for sentence in said)
    assert "84 % of trials where there should be one" in " ".join(said)
    assert "2.2 % of trials where there should be none" in " ".join(said)
    assert "no control group" in said[-1]


def test_a_fit_that_failed_its_gate_decides_nothing():
    said = decision.words(report_of(RULE, broken=True))
    assert said[-1] == "No decision: the fit of alsfrsr failed its diagnostics gate."


def test_another_model_than_the_one_named_decides_nothing():
    said = decision.words(report_of(replace(RULE, model="alsfrsr_arms")))
    assert said[-1] == "No decision: there is no fit of alsfrsr_arms for alsfrsr."


def test_the_page_states_the_decision_and_meets_the_item_on_thresholds(tmp_path):
    text = page.write(report_of(RULE), tmp_path, figures=False).read_text()
    assert 'id="decision-thresholds"' in text
    assert "Everything else that this report says is exploratory." in text
    assert "No threshold was pre-specified" not in text
    assert "fixed beforehand is in the report" in (tmp_path / "summary.html").read_text()


def test_without_a_rule_the_page_calls_itself_exploratory(tmp_path):
    text = page.write(report_of(None), tmp_path, figures=False).read_text()
    assert "No threshold was pre-specified, so no decision is stated. This whole report is exploratory" in text
    assert 'id="decision-thresholds"' not in text


def test_a_probability_near_the_limit_can_be_told_from_it():
    assert decision._exact(0.9756, 0.975) == "0.9756"
    assert decision._exact(0.6, 0.975) == "0.60"
    assert (decision._exact(1.0, 0.975), decision._exact(0.0, 0.975)) == ("> 0.9999", "< 0.0001")

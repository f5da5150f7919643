"""Covariates and the direction of outcomes in the report: what is said of them, and what is never said."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from made_reports import analyse, made_fit, made_trial

from slopeshift.answers.covariates import COLUMNS
from slopeshift.answers.interval import COLUMNS as OF_INTERVAL
from slopeshift.report.analysis import Report
from slopeshift.report.figures import style
from slopeshift.report.sections import answer, covariates, interval, population, sensitivity
from slopeshift.report.words import numbers as wording

pytestmark = pytest.mark.usefixtures("undrawn")


def rows(columns, *given):
    common = {"model": "dosed", "outcome": "alsfrsr", "sd": 0.1, "lower": -0.1, "upper": 0.3, "note": ""}
    return pd.DataFrame([common | each for each in given]).reindex(columns=list(columns))


AGE = {
    **{"quantity": "age on slope", "label": "age", "on": "slope", "step": "10 years more (0 at 60)"},
    **{"unit": "points/month per 10 years", "mean": 0.12, "prob_better": 0.87, "n_patients": 12},
}
DOSE = {
    **{"quantity": "dose", "label": "dose", "on": "change", "step": "a mg more", "unit": "points/month per mg"},
    **{"mean": 0.25, "prob_better": 0.9, "n_patients": 12},
}
WITHIN = {
    **{"analysis": "whole cycle", "quantity": "interval_within", "unit": "points/month per month", "mean": -0.04},
    **{"prob_shorter_better": 0.1, "n_cycles": 22, "n_patients": 12},
}


def report(*tables):
    """A report of models that have these tables of covariates and of the interval."""
    models = [
        SimpleNamespace(
            answered=SimpleNamespace(
                tables={"covariates": rows(COLUMNS, *about), "interval": rows(OF_INTERVAL, *cycles)}
            ),
            passed=False,
        )
        for about, cycles in tables
    ]
    return Report(made_trial(), models)


def test_a_covariate_is_told_by_name_and_as_an_association():
    shown = covariates.context(report(([AGE], [])))
    assert shown["sentences"] == [
        "age, 10 years more (0 at 60), and the slope before treatment (dosed): associated with a difference of +0.12 "
        "points/month per 10 years (95 % interval −0.10 to +0.30; probability of an association with what is better "
        "0.87; 12 patients).",
        covariates.ASSOCIATION,
    ]
    assert shown["table"].rows[0][:4] == [
        "age: 10 years more (0 at 60)", "the slope before treatment", "dosed", "+0.12",
    ]  # fmt: skip


def test_a_covariate_of_cycles_is_never_called_months_of_interval():
    made = report(([AGE, DOSE], [WITHIN]))
    dose = covariates.context(made)["sentences"][1]
    assert dose.startswith("dose, a mg more, and the change (dosed): associated with a difference of +0.25")
    assert "what is better 0.90" in dose
    shown = interval.context(made)
    assert [row[0] for row in shown["table"].rows] == ["whole cycle, within"]
    assert shown["sentences"][0].startswith("A month more to the next injection goes, within a patient,")
    assert not any("0.25" in sentence for sentence in shown["sentences"])


def test_a_trial_whose_cycles_have_another_covariate_has_no_result_on_the_interval():
    assert interval.context(report(([DOSE], [])))["table"] is None


def test_models_without_a_covariate_have_no_section_of_it():
    assert covariates.context(report(([], [WITHIN]), ([], []))) == {"sentences": [], "table": None}


def test_covariates_of_all_models_are_published_with_their_columns():
    assert list(covariates.table(report(([], []))).columns) == list(COLUMNS)
    assert len(covariates.table(report(([AGE], []), ([], []), ([AGE, DOSE], [])))) == 3


def test_a_covariate_that_the_data_do_not_inform_has_words_and_no_number():
    silent = AGE | {"mean": np.nan, "prob_better": np.nan, "note": "prior only"}
    shown = covariates.context(report(([silent], [])))
    assert shown["sentences"][0].endswith("(dosed): prior only.")
    assert shown["table"].rows[0][3:] == ["–", "", "", "points/month per 10 years", "prior only"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], ""),
        (["interval_within", "interval_between"], "change at an interval of average length"),
        (["age on slope", "dose"], "change at covariates of 0"),
        (["dose", "interval_within"], "change at an interval of average length; change at covariates of 0"),
    ],
)
def test_a_change_beside_covariates_says_for_whom_it_is(names, words):
    design = xr.Dataset(coords={"covariate": names} if names else {})
    assert sensitivity.meaning(SimpleNamespace(posterior=SimpleNamespace(design=design))) == words


# ---- direction ----


@pytest.fixture(scope="module")
def worse_when_higher():
    """The analysis of an outcome of which lower is better."""
    trial = made_trial()
    outcomes = tuple(replace(outcome, better="lower") for outcome in trial.outcomes.values())
    trial = replace(trial, _outcomes=outcomes)
    return analyse(trial, made_fit(trial))


def test_an_outcome_of_which_lower_is_better_is_told_as_a_rise(worse_when_higher):
    a = worse_when_higher
    change = a.results.population.query("quantity == 'change'")
    assert a.sign == -1
    assert (change["prob_better"] < 0.1).all()
    printed = {row[0]: row[1:] for row in population.population(a).rows}
    assert printed["Pr(change < 0): slower rise"] == ["", *map(wording.probability, change["prob_better"])]
    shown = a.answered.tables["intervals"].set_index("injection")["probability"]
    np.testing.assert_allclose(shown[change["injection"]], change["prob_better"])


def test_the_first_screen_says_on_which_side_of_zero_patients_do_better(worse_when_higher):
    up = SimpleNamespace(sign=1)
    label = worse_when_higher.visits.outcome.label
    assert answer.sides([up]) == answer.sides([]) == "Above 0: slower decline."
    assert answer.sides([worse_when_higher]) == "Below 0: slower rise."
    assert answer.sides([up, worse_when_higher]) == f"Above 0: slower decline; of {label}, below 0: slower rise."


def test_arrows_below_an_axis_point_to_what_is_better():
    assert style.change_label("points/month", 1).endswith("← faster decline | slower decline →")
    assert style.change_label("seconds/month", -1).endswith("← slower rise | faster rise →")
    assert (wording.slower_where(1), wording.slower_where(-1)) == ("Pr(change > 0)", "Pr(change < 0)")


@pytest.mark.parametrize(
    ("probability", "worsening", "words"),
    [
        (0.97, True, "very probably slower rise"),
        (0.1, True, "probably faster rise"),
        (0.5, True, "unclear whether the rise changed"),
        (0.97, False, "very probably lower slope"),
        (0.1, False, "probably higher slope"),
    ],
)
def test_verdicts_on_an_outcome_of_which_lower_is_better_speak_of_a_rise(probability, worsening, words):
    assert wording.certainty(probability, worsening, -1) == words

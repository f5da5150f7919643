"""What stands beside the model's answer in the report: chance, the interval, the trial's own analysis, safety."""

import re

import numpy as np
import pandas as pd
import pytest
from made_reports import SAID_BY_THEMSELVES, made_fit, made_trial, written

from slopeshift.classical import Rules, model_free
from slopeshift.fit.posterior import posterior_of
from slopeshift.null.claim import LeadIn, claim_table
from slopeshift.null.population import NATURAL_HISTORIES, fitted
from slopeshift.null.reference import distribution_table, reference, reference_table
from slopeshift.report.sections import interval as interval_section
from slopeshift.report.sections import null_models
from slopeshift.report.words import glossary

NAMES = tuple(f"A{i}" for i in range(1, 9))


@pytest.fixture(scope="module")
def trial():
    return made_trial(NAMES, k=2)


@pytest.fixture(scope="module")
def fits(trial):
    return [made_fit(trial), made_fit(trial, "second_opinion")]


@pytest.fixture(scope="module")
def study(trial, fits):
    """A real null reference of few trials, and made-up numbers where a refit would be needed."""
    population = fitted("fit of alsfrsr", posterior_of(trial, fits[0]))
    found = reference(trial, "alsfrsr", population, Rules(), trials=200, seed=1)
    refits = {
        "model": "alsfrsr",
        "outcome": "alsfrsr",
        "source": "fit of alsfrsr",
        "entry": "",
        "injection": ["1", "overall"],
        "n_refits": 100,
        "n_failed": 1,
        "share_positive": 0.0123,
        "share_negative": 0.02,
        "mc_error": 0.01,
        "share_covering_zero": 0.967,
        "mean_change": 0.01,
        "sd_change": 0.1,
        "mean_called": 0.37,
        "expected_false_claims": 0.05,
        "share_any_called": 0.21,
        "mean_called_alone": 4.56,
        "expected_false_alone": 0.34,
    }
    pseudo = {
        "model": "alsfrsr",
        "outcome": "alsfrsr",
        "trial": ["made", "untreated"],
        "n_patients": 8,
        "n_visits": 32,
        "n_moves": 50,
        "n_failed": 0,
        "mean_change": 0.03,
        "sd_change": 0.05,
        "lower_change": -0.08,
        "upper_change": 0.14,
        "mean_prob_positive": [0.5, 0.98],
        "share_positive": 0.0,
        "share_negative": 0.0,
        "share_covering_zero": 1.0,
        "finds_change": [False, True],
    }
    claim = claim_table("petrou2021", trials=20, seed=1, histories=[NATURAL_HISTORIES[0]], lead_ins=[LeadIn()])
    return {
        "null_reference": reference_table(found),
        "null_distribution": distribution_table(found),
        "null_refits": pd.DataFrame(refits),
        "pseudo_injection": pd.DataFrame(pseudo),
        "published_claim": claim,
        "pseudo_moves": pd.DataFrame(
            {
                "model": "alsfrsr",
                "trial": ["made", "untreated"],
                "mean": [0.0, 0.1],
                "lower": [-0.3, -0.2],
                "upper": [0.3, 0.4],
                "passed": True,
            }
        ),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def page(folder, trial, fits, study):
    return written(folder, trial, fits, study)


def test_the_first_screen_sets_the_trials_own_count_beside_chance(page, study):
    table = study["null_reference"]
    row = table[(table["statistic"] == "improved") & (table["injection"] == "overall")].iloc[0]
    expected = (
        f"{row['observed']:.0f} improved by more than 25 %; with no change at all, "
        f"{row['mean']:.1f} (95 % range {row['lower']:.0f} to {row['upper']:.0f}) would."
    )
    assert expected in page.words.replace("\u00a0", " ")


def test_statistics_are_placed_with_the_numbers_of_their_table(page, study):
    printed = page.rows("200 trials without any change, drawn from: fit of alsfrsr")
    table = study["null_reference"].set_index(["statistic", "injection"])
    mine = {
        row[1]: row
        for row in printed
        if row[0] == "Slope improved by more than 25 %, patients".replace(" %", "\u00a0%")
    }
    for period, injection in (("Injection 1", "1"), ("All cycles", "overall")):
        row = table.loc[("improved", injection)]
        assert mine[period][2:4] == [f"{row['observed']:.0f}", f"{row['mean']:.2f}".replace("-", "−")]


def test_the_rules_of_the_model_are_reported_with_their_false_alarms(page):
    rows = page.rows("The models' own rules in trials without any change")
    assert rows[0][:5] == ["alsfrsr, injection 1", "99 of 100", "1.2\u00a0%", "2.0\u00a0%", "96.7\u00a0%"]
    assert "0.37 patients a trial have a probability above 0.8" in page.words
    assert "expects 0.05 to be" in page.words
    assert "4.56 would be called and 0.34 expected to be false" in page.words


def test_moved_injections_are_reported(page):
    assert page.rows("Injections moved to where nothing happened")[0][4] == "0.03 (−0.08 to 0.14)"
    assert "after injections that were never given, by model alsfrsr" in page.html


def test_a_published_claim_stands_with_its_limits(page):
    assert "where 15 of 19 were published" in page.words
    assert "It is no evidence that the injections did it: there was no control group" in page.words
    assert page.html.count('id="claim-') > 4


def test_the_tables_of_the_study_travel_with_the_report(page, folder, study):
    for name in ("null_reference", "null_refits", "pseudo_injection", "published_claim"):
        assert len(pd.read_csv(folder / "tables" / f"{name}.csv")) == len(study[name])


def test_without_a_study_the_page_says_how_to_make_one(tmp_path, trial, fits):
    page = written(tmp_path, trial, fits)
    assert "What chance alone gives is not part of this report yet: run make null" in page.words
    assert "with no change at all" not in page.words
    assert "by chance" not in page.words.split("Contents")[0]


def test_the_trials_own_analysis_is_printed_with_the_numbers_of_its_table(page, folder, trial):
    own = pd.read_csv(folder / "tables" / "classical.csv").set_index(["statistic", "injection"])["value"]
    expected = model_free(trial).set_index(["statistic", "injection"])["value"]
    np.testing.assert_allclose(own, expected, rtol=1e-5)
    printed = {
        row[0].replace("\u00a0", " "): row[1:] for row in page.rows("Least-squares slopes and what is counted of them")
    }
    assert printed["Patients with both slopes"][0] == f"{expected['patients', '1']:.0f}"
    assert printed["Mean change of slope, points/month"][0] == f"{expected['mean_change', '1']:.2f}".replace("-", "−")


def test_published_figures_carry_their_source_and_are_said_to_be_of_others(page):
    rows = page.rows("Published by Petrou et al. 2021, not this trial")
    assert ["15 of 19", "doi:10.52586/4980"] in [row[2:4] for row in rows]
    assert all(row[-1] for row in page.rows("Published figures of other patients"))


def test_a_model_beside_the_one_that_answers_stays_off_the_first_screen(page):
    first_screen = page.html[page.html.index('id="answer"') : page.html.index("<nav")]
    assert "Title of alsfrsr" in first_screen
    assert "Title of second_opinion" not in first_screen
    assert "1 other models" not in first_screen
    assert '<a href="#beside">' in first_screen
    assert "m2-forest" not in page.html
    assert "m2-rank-0" in page.html


def test_without_a_model_of_the_interval_the_section_says_so(page):
    assert "No model of this report regresses on the interval." in page.words


def test_a_change_where_no_injection_was_given_is_warned_of_with_its_rule(page, trial, study):
    said = null_models.pseudo_words(study, trial)
    assert said[0] == null_models.PSEUDO_RULE
    assert said[1].startswith("Warning: in untreated, model alsfrsr finds a change of +0.03")
    assert said[-1] == null_models.PSEUDO_BLIND
    assert "Warning: in untreated, model alsfrsr finds a change" in page.words
    assert "The model found a change in values that no injection had touched" in page.words
    silent = {"pseudo_injection": study["pseudo_injection"].assign(finds_change=False)}
    assert null_models.pseudo_words(silent, trial)[1] == "It found none here."
    assert null_models.pseudo_words({}, trial) == []


def test_moves_in_a_control_have_a_row_and_are_not_drawn_as_the_trials_own(page, study):
    assert [row[1] for row in page.rows("Injections moved to where nothing happened")] == ["made", "untreated"]
    assert "1 sets of pseudo-injections" in page.html


def test_deaths_are_told_with_safety(page):
    assert "Deaths recorded as the end of follow-up: 1 of 8 patients" in page.words


def interval_rows():
    """Two models that ask the same of the interval, a fixed window, and a control that found nothing."""
    common = {
        "outcome": "alsfrsr",
        "unit": "points/month per month",
        "lower": -0.2,
        "upper": 0.1,
        "n_cycles": 22,
        "n_patients": 12,
        "note": "",
    }
    rows = [
        ("formula", "whole cycle", "interval_within", -0.01),
        ("interval", "whole cycle", "interval_within", -0.04),
        ("interval", "whole cycle", "interval_between", 0.03),
        ("interval_negative_control", "negative control", "interval_control", 0.0),
    ]
    table = pd.DataFrame(rows, columns=["model", "analysis", "quantity", "mean"])
    return table.assign(prob_shorter_better=0.66, **common)


def test_of_models_that_ask_the_same_of_the_interval_the_one_made_for_it_speaks(trial):
    said = interval_section.sentences(interval_rows(), trial)
    assert "within a patient, with a change of slope of −0.04 points/month" in said[0]
    assert "between patients, with a change of slope of +0.03 points/month" in said[1]
    assert not any("−0.01" in sentence for sentence in said)
    assert "The negative control found no sign of it" in said[-2]
    assert "could not be compared" in said[-1]


def test_the_table_of_the_interval_has_every_model_with_its_numbers():
    printed = interval_section.printed(interval_rows()).rows
    assert [row[:4] for row in printed[:2]] == [
        ["whole cycle, within", "formula", "−0.01", "−0.20 to +0.10"],
        ["whole cycle, within", "interval", "−0.04", "−0.20 to +0.10"],
    ]


def test_every_head_of_a_table_of_the_study_is_defined_or_says_itself_what_it_is(page):
    for caption, tables in page.tables.items():
        for head in (head.replace("\u00a0", " ").strip() for table in tables for head in table[0]):
            known = glossary.anchor(head) or head in (*glossary.PLAIN, *SAID_BY_THEMSELVES)
            assert known or re.fullmatch(r"Injection \d|.*, points", head), (caption, head)


def test_every_statistic_of_the_trials_own_analysis_is_defined(page):
    rows = page.rows("Least-squares slopes and what is counted of them")
    assert all(glossary.anchor(row[0]) for row in rows)

"""The section of the report on whether the models fit: its words, tables and figures."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from made_reports import analysed, made_fit, made_trial, written

from slopeshift.checks import PRIOR, UNIFORM, UNRELIABLE, Rule, checks_of
from slopeshift.checks import predictive as p
from slopeshift.checks.tables import compared, tables_of
from slopeshift.design.visits import visits_of
from slopeshift.fit.posterior import posterior_of
from slopeshift.fit.store import Fit
from slopeshift.model.families import log_likelihood
from slopeshift.report.sections import checks as check_section
from slopeshift.report.words import checks as check_words

pytestmark = pytest.mark.usefixtures("undrawn")

NUMBERS = ("loo", "predictive_checks", "prior_sensitivity", "model_comparison")


def with_densities(fit, trial):
    """Add the groups that leaving out and power-scaling need."""
    draws, name = fit.tree["posterior"].to_dataset(), "alsfrsr"
    tree = fit.tree.copy()
    tree["log_likelihood"] = xr.DataTree(log_likelihood("normal", draws, visits_of(trial, name)).to_dataset(name=name))
    slope = draws["population"].sel(coefficient="slope", drop=True)
    tree["log_prior"] = xr.DataTree(
        xr.Dataset({"slope": -0.5 * ((slope + 1) / 0.1) ** 2, "sigma": -0.5 * ((draws["sigma"] - 2) / 0.1) ** 2})
    )
    return Fit(tree, fit.record)


@pytest.fixture(scope="module")
def trial():
    return made_trial()


@pytest.fixture(scope="module")
def made(trial):
    fits = [made_fit(trial), made_fit(trial, "other", seed=2), made_fit(trial, "broken", broken=True)]
    return analysed(trial, [with_densities(fit, trial) for fit in fits])


@pytest.fixture(scope="module")
def analyses(made):
    return made[0]


@pytest.fixture(scope="module")
def side_by_side(made):
    return made[1]


@pytest.fixture(scope="module")
def checks(trial, analyses):
    return checks_of(analyses[0].posterior)


def rules_of(checks, *names):
    """The table of the rules, those named having fired and no other."""
    return tables_of(told(checks, *names))["rules"]


def told(checks, *names):
    """The same checks, those named having fired and no other."""
    rules = tuple(replace(rule, fired=rule.check in names) for rule in checks.rules)
    return replace(checks, rules=rules)


# ---- what is checked ----


def test_a_fit_that_failed_its_gate_is_not_checked(analyses):
    assert [a.record["model"] for a in analyses if a.tables is not None] == ["alsfrsr", "other"]


def test_the_published_tables_name_model_and_outcome(analyses, side_by_side):
    tables = check_section.tables(analyses, side_by_side)
    assert tuple(tables) == NUMBERS == (*check_section.OF_A_MODEL, check_section.COMPARISON)
    for name, table in tables.items():
        assert set(table["model"]) == {"alsfrsr", "other"}, name
        assert set(table["outcome"]) == {"alsfrsr"}, name


def test_without_a_fit_that_passed_the_tables_are_empty(analyses):
    tables = check_section.tables([replace(a, tables=None) for a in analyses], compared("alsfrsr", {}))
    assert all(table.empty and "model" in table for table in tables.values())


# ---- words ----


def test_silence_is_not_taken_for_proof(checks):
    words = check_words.verdict(rules_of(checks))
    assert re.match(r"None of \d+ checks says that this model misses anything in these data", words)
    assert "A silent check is no proof" in words


def test_a_check_that_fired_is_explained(checks):
    words = check_words.verdict(rules_of(checks, p.ENDS, p.NEIGHBOURS))
    assert re.match(r"2 of \d+ checks fired, so this model misses something in these data: ", words)
    assert check_words.MEANING[p.ENDS] in words
    assert check_words.MEANING[p.NEIGHBOURS] in words


def test_a_prior_that_matters_is_not_called_a_misfit(checks):
    assert check_words.verdict(rules_of(checks, PRIOR, UNRELIABLE)).startswith("None of ")


def test_every_check_of_the_fit_has_its_meaning(checks):
    assert {rule.check for rule in checks.rules} == {*check_words.MEANING, UNRELIABLE, PRIOR}


def left_out_with(checks, by_visit):
    changed = replace(checks, loo=replace(checks.loo, by_visit=by_visit))
    return check_words.left_out(tables_of(changed)["left_out"])


def test_what_cannot_be_relied_on_is_said(checks):
    k = checks.loo.by_visit.pareto_k.copy()
    k[:3], k[3:] = 0.9, 0.1
    by_visit = replace(checks.loo.by_visit, pareto_k=k)
    words = left_out_with(checks, by_visit)
    assert "For 3 values the Pareto k is above the limit" in words
    good = replace(by_visit, pareto_k=k * 0)
    assert "All of it is reliable" in left_out_with(checks, good)
    assert check_words.left_out(tables_of(replace(checks, loo=None))["left_out"]).startswith(
        "Nothing was left out one by one"
    )


def sensitivity(*rows):
    columns = ["prior", "quantity", "injection", "unit", "sensitivity", "sensitivity_to_data"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(mean=0.3, mean_with_weaker_prior=0.34, sd=0.1, finding="")


def test_the_prior_that_moves_the_mean_change_is_named_with_what_it_does(checks):
    moved = sensitivity(
        ("change", "change", "overall", "points/month", 0.08, 0.06),
        ("sd_cycle", "sd_cycle", "", "points/month", 0.11, 0.02),
        ("level", "lead_in_slope", "", "points/month", 0.06, 0.02),
        ("sigma", "sigma", "", "points", 0.01, 0.1),
    )
    first, other = check_words.priors_that_matter(moved)
    assert "The prior of the change of slope moves the mean change of slope" in first
    assert "with four fifths of its weight the change would be +0.34 instead of +0.30 points/month" in first
    assert "sensitivity 0.08, of the data 0.06" in first
    assert "SD between cycles (by its own prior)" in other
    assert "Slope before the first injection (by the prior of the level)" in other
    assert "Residual SD" not in other


def test_where_no_prior_moves_the_change_the_nearest_is_named(checks):
    quiet = sensitivity(
        ("change", "change", "overall", "points/month", 0.04, 0.07),
        ("level", "change", "overall", "points/month", 0.01, 0.07),
    )
    (words,) = check_words.priors_that_matter(quiet)
    assert words.startswith("No single prior moves the mean change of slope by as much as counts, 0.05")
    assert "that of the change of slope comes nearest, with a sensitivity of 0.04, of the data 0.07" in words


def test_without_stored_priors_it_is_said(checks):
    (words,) = check_words.priors_that_matter(pd.DataFrame())
    assert "this fit stores no log density of its priors" in words


# ---- tables ----


def test_the_first_screen_warns_of_a_model_that_misses_something_and_of_nothing_else(checks):
    assert check_words.alarm(rules_of(checks)) == ""
    assert check_words.alarm(rules_of(checks, PRIOR, UNRELIABLE)) == ""
    words = check_words.alarm(rules_of(checks, p.ENTRY, PRIOR))
    assert words == "The model does not fit these data: smallest loss before the first injection."


def test_every_rule_is_printed_with_its_limit_and_verdict(checks):
    rules = (Rule("a check", 0.0004, 0.01, True), Rule("b", 0.2, 0.01, False), Rule("c", float("nan"), 0.01, False))
    rules += (Rule(UNRELIABLE, 2.0, 0.0, True), Rule(PRIOR, 0.07, 0.05, True))
    table = check_section.judged(tables_of(replace(checks, rules=rules))["rules"])
    assert table.rows == [
        ["A check", "probability < 0.001", "below 0.01", "FIRED"],
        ["B", "probability 0.200", "below 0.01", "silent"],
        ["C", "–", "below 0.01", "not computed"],
        ["Leave-one-out that cannot be relied on", "2 values", "above 0", "FIRED"],
        ["Prior that moves the change", "sensitivity 0.07", "from 0.05", "FIRED"],
    ]


def test_models_stand_side_by_side_with_what_fired(analyses, checks, side_by_side):
    other = replace(analyses[1], tables={**analyses[1].tables, "rules": rules_of(checks, p.ENDS, PRIOR)})
    printed = check_section.compared([analyses[0], other], side_by_side)
    by_model = {row[0]: row for row in printed.rows}
    assert by_model["other"][5] == p.ENDS
    assert {row[3].split(" ")[0] for row in printed.rows} >= {"best"}
    left_out = side_by_side.assign(left_out_because=["", "it is about other values"])
    rows = check_section.compared(analyses, left_out).rows
    assert rows[1][2:5] == ["–", "not compared: it is about other values", "–"]


def test_a_single_model_is_compared_with_nothing(analyses, checks):
    table = compared("alsfrsr", {"alsfrsr": checks})
    assert len(table) == 1
    assert check_section.compared(analyses[:1], table) is None


# ---- figures ----


def test_figures_say_what_is_seen(analyses, checks):
    pictures = check_section.pictures(analyses[0])
    words = [re.search(r'aria-label="([^"]*)"', picture.element)[1] for picture in pictures]
    assert len(pictures) == 5
    assert "beyond their predicted 95 % ranges" in words[0]
    count = next(q for q in checks.quantities if q.check == p.RESPONDERS)
    assert f"{count.where} {count.observed:.0f} of {count.n_values}" in words[2]
    assert "lie below the 5 % point" in words[3]
    assert "Pareto k of" in words[4]


def test_bins_that_were_put_together_can_be_drawn(checks):
    from slopeshift.report.figures.checks import binned
    from slopeshift.report.figures.vector import svg

    parts = (p.MEAN_BY_TIME, p.SD_BY_TIME)
    table = checks.predictive_table
    table = table[table["check"].isin(parts)].groupby("check").head(1)
    long = table.assign(where="0 to 1 months after – over 4.5 months after")
    for rows in (table, long):
        assert rows["where"].iloc[0].split(" – ")[0] in svg(binned(rows, parts, "points"), "x", "words")


def test_values_that_are_not_reliable_have_a_mark_of_their_own(checks):
    from slopeshift.report.figures.checks import pareto

    figure = pareto(np.array([0.1, 0.9]), np.array([0.2]), 0.7)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["values: reliable", "values: not reliable", "patients: reliable", "limit 0.70"]


def test_the_page_has_a_verdict_for_a_fit_that_passed_and_none_for_one_that_failed(trial, tmp_path):
    passed = written(tmp_path / "passed", trial, [made_fit(trial)])
    assert "this model misses" in passed.words
    assert "What was checked, by rules fixed beforehand" in passed.tables
    assert "Nothing was left out one by one" in passed.words
    failed = written(tmp_path / "failed", trial, [made_fit(trial, broken=True)])
    assert "this model misses" not in failed.words
    assert "What was checked, by rules fixed beforehand" not in failed.tables
    for figure in ("by-time", "by-score", "count", "uniform", "pareto"):
        assert f"m1-{figure}" not in failed.html
    for name in NUMBERS:
        assert len(pd.read_csv(tmp_path / "failed" / "tables" / f"{name}.csv")) == 0


def test_checks_of_a_made_fit_use_its_own_values(trial):
    assert UNIFORM not in {rule.check for rule in checks_of(posterior_of(trial, made_fit(trial))).rules}

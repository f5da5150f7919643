"""Entry rules are read as they are stated, and every contradiction is named with its place and its remedy."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from slopeshift.design.visits import visits_of
from slopeshift.trial import TrialError, read_trial, trial_from_tables
from slopeshift.trial.entry import EntryRule, quantity, used
from slopeshift.trial.roles import Outcome

SETTINGS = {"title": "Chosen", "synthetic": True, "source": "test"}
LOSS = {
    "outcome": "alsfrsr",
    "quantity": "loss",
    "from": "first",
    "to": "injection",
    "at_least": 3,
    "source": "4.1 (c)",
}
SCORE = {"outcome": "alsfrsr", "quantity": "score", "from": "last", "above": 20, "source": "4.1 (a)"}


def tables(**of_patients):
    """Three patients with visits at -3, -1 and 0 and later; they lost 3, 4 and 6 points before injection 1."""
    scores = {"P1": (40, 38, 37, 36), "P2": (36, 35, 32, 30), "P3": (30, 26, 24, 20)}
    visits = [(name, m, s) for name, of in scores.items() for m, s in zip((-3.0, -1.0, 0.0, 3.0), of, strict=True)]
    return {
        "patients": pd.DataFrame({"patient": list(scores), "onset_month": [-20.0, -15.0, -10.0], **of_patients}),
        "visits": pd.DataFrame(visits, columns=["patient", "month", "alsfrsr"]),
        "injections": pd.DataFrame([(name, 1, 0.0) for name in scores], columns=["patient", "injection", "month"]),
    }


def trial(*rules, changed=None, settings=None, **of_patients):
    given = tables(**of_patients)
    if changed:
        changed(given)
    return trial_from_tables("chosen", given, {**SETTINGS, **(settings or {}), "entry": list(rules)})


def problems(*rules, **options):
    with pytest.raises(TrialError) as caught:
        trial(*rules, **options)
    found = caught.value.problems[["file", "row", "column", "found", "remedy"]].astype(object)
    return [tuple(row) for row in found.where(lambda cells: cells.notna(), None).values]


def without(rule, *keys):
    return {key: value for key, value in rule.items() if key not in keys}


def test_a_rule_is_read_as_it_is_stated():
    rule = LOSS | {"at_most": 9, "spread": 1.5, "screened": 41, "refused": 21}
    (found,) = trial(rule).entry
    expected = EntryRule("alsfrsr", "loss", "first", "4.1 (c)", "injection", at_least=3, at_most=9, spread=1.5)
    assert found == replace(expected, screened=41, refused=21)
    assert found.lower == (3, False)
    assert found.upper == (9, False)
    assert found.limits_in_words() == "at_least 3 and at_most 9"


def test_a_trial_without_rules_has_none():
    assert trial_from_tables("chosen", tables(), SETTINGS).entry == ()


def test_rules_are_read_from_a_folder(tmp_path):
    for name, table in tables().items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    block = '[[entry]]\noutcome = "alsfrsr"\nquantity = "score"\nfrom = "last"\nabove = 20\nsource = "4.1 (a)"\n'
    (tmp_path / "trial.toml").write_text(f'title = "Chosen"\nsynthetic = true\nsource = "test"\n\n{block}')
    assert read_trial(tmp_path).entry == (EntryRule("alsfrsr", "score", "last", "4.1 (a)", above=20),)


OF_SETTINGS = {
    "unknown outcome": (LOSS | {"outcome": "alsfrs"}, "outcome", "no outcome 'alsfrs'.*write 'alsfrsr'"),
    "outcome far from any": (LOSS | {"outcome": "grip"}, "outcome", r"no outcome 'grip'.*declare \[outcomes.grip\]"),
    "unknown quantity": (LOSS | {"quantity": "lost"}, "quantity", "'lost'.*one of loss, score, slope"),
    "unknown key": (LOSS | {"at_leats": 3}, "at_leats", "unknown key 'at_leats'.*known are outcome"),
    "no source": (without(LOSS, "source"), "source", "no such key.*source = "),
    "no from": (without(LOSS, "from"), "from", 'no such key.*"column:NAME"'),
    "from in words": (LOSS | {"from": "screening"}, "from", "'screening'.*\"month:-3\""),
    "column with a space": (LOSS | {"from": "column:my score"}, "from", "'column:my score'"),
    "no to": (without(LOSS, "to"), "to", "no such key.*give when the later value counts"),
    "to of one value": (SCORE | {"to": "injection"}, "to", "of a score.*delete it"),
    "from after to": (LOSS | {"from": "injection", "to": "first"}, "from", "from 'injection' to 'first'.*earlier"),
    "month after month": (LOSS | {"from": "month:-1", "to": "month:-3"}, "from", "earlier occasion"),
    "the same occasion": (LOSS | {"from": "month:-1", "to": "month:-1"}, "from", "earlier occasion"),
    "after injection 1": (LOSS | {"from": "first", "to": "month:3"}, "to", "after injection 1.*count months back"),
    "column of another kind": (SCORE | {"from": "column:onset"}, "from", "'onset' is no screening value"),
    "no limit": (without(LOSS, "at_least"), "at_least", "no limit.*give one of at_least, above"),
    "limit in words": (LOSS | {"at_least": "3"}, "at_least", "'3'.*a number, without quotes"),
    "two lower limits": (LOSS | {"above": 4}, "above", "two lower limits.*keep at_least or above"),
    "empty window": (LOSS | {"at_most": 2}, "at_least", "at_least = 3 and at_most = 2.*nobody could enter"),
    "empty strict window": (LOSS | {"below": 3}, "at_least", "at_least = 3 and below = 3.*nobody"),
    "score of nobody": (SCORE | {"above": 48}, "above", "score above 48: nobody.*possible are 0 to 48"),
    "score of everybody": (without(SCORE, "above") | {"at_least": 0}, "at_least", "everybody.*possible are 0 to 48"),
    "loss of nobody": (LOSS | {"at_least": 49}, "at_least", "nobody could meet it.*-48 to 48"),
    "percent of nobody": (LOSS | {"quantity": "decline_percent", "at_least": 101}, "at_least", "nobody"),
    "negative spread": (LOSS | {"spread": -1}, "spread", "-1.*0 or more"),
    "screened alone": (LOSS | {"screened": 41}, "refused", "beside screened = 41.*flow chart"),
    "refused alone": (LOSS | {"refused": 21}, "screened", "beside refused = 21.*flow chart"),
    "refused above screened": (LOSS | {"screened": 8, "refused": 9}, "refused", "refused = 9 of screened = 8"),
    "half a patient": (LOSS | {"screened": 8.5, "refused": 1}, "screened", "8.5.*whole number"),
}


@pytest.mark.parametrize("name", OF_SETTINGS)
def test_a_contradiction_in_the_settings_is_named_with_its_remedy(name):
    rule, key, words = OF_SETTINGS[name]
    found = problems(rule)
    assert ("trial.toml", None, f"entry[1].{key}") in [problem[:3] for problem in found]
    assert any(re.search(words, f"{problem[3]}; {problem[4]}") for problem in found), found


def test_what_the_flow_chart_says_must_include_those_enrolled():
    (found,) = problems(LOSS | {"screened": 23, "refused": 21})
    assert found[2:4] == ("entry[1].screened", "screened = 23, but 3 are enrolled and 21 were refused")
    assert "at least 24" in found[4]
    assert trial(LOSS | {"screened": 24, "refused": 21}).entry[0].screened == 24


def test_two_blocks_about_the_same_are_one_window():
    (found,) = problems(LOSS, without(LOSS, "at_least") | {"at_most": 9})
    assert found[2] == "entry[2].quantity"
    assert "about the same as entry[1]" in found[3]
    assert "one block" in found[4]


@pytest.mark.parametrize(
    ("outcome", "rule", "words"),
    [
        ({"unit": "kg", "min": 0}, {"quantity": "slope_from_onset", "from": "first"}, "no best value.*give max"),
        ({"unit": "kg", "max": 9}, {"quantity": "decline_percent", "from": "first", "to": "last"}, "percent of grip.*"),
    ],
)
def test_a_quantity_needs_a_scale_that_has_it(outcome, rule, words):
    stated = {"outcome": "grip", "at_least": 1, "source": "4.1", **rule}

    def with_grip(given):
        given["visits"]["grip"] = 5.0

    found = problems(stated, changed=with_grip, settings={"outcomes": {"grip": outcome}})
    assert any(re.search(words, f"{problem[3]}; {problem[4]}") for problem in found), found


def test_everybody_who_breaks_a_rule_is_named_at_once():
    found = problems(LOSS | {"at_least": 5}, SCORE | {"above": 35})
    assert [(problem[0], problem[1], problem[2]) for problem in found] == [
        ("patients.csv", row, "entry_exempt") for row in (2, 3, 3, 4)
    ]
    assert found[0][3] == "entry[1], P1: loss 3 (40, then 37), not at_least 5"
    assert found[3][3] == "entry[2], P3: score 24 (24), not above 35"
    assert all("entry_exempt" in problem[4] and "correct" in problem[4] for problem in found)


def test_who_is_exempt_may_break_a_rule_and_nobody_else():
    rules = (LOSS | {"at_least": 5}, SCORE | {"above": 20})
    assert trial(*rules, entry_exempt=["yes", "yes", "no"]).entry[0].at_least == 5
    assert [row for _, row, *_ in problems(*rules, entry_exempt=["yes", "", ""])] == [3]
    assert "meant" not in problems(LOSS, entry_exempt=["maybe", "", ""])[0][3]
    (found,) = problems(LOSS, entry_exempt=["yes", "yes", "yes"])
    assert found[3] == "yes of every patient"


def test_a_judged_rule_may_be_broken_by_what_was_recorded():
    assert trial(LOSS | {"at_least": 5, "spread": 1.5}).entry[0].spread == 1.5


def test_a_strict_limit_is_not_met_by_the_limit():
    assert trial(LOSS | {"at_least": 3}).entry
    assert [row for _, row, *_ in problems(without(LOSS, "at_least") | {"above": 3})] == [2]
    assert [row for _, row, *_ in problems(without(LOSS, "at_least") | {"below": 6})] == [4]
    assert trial(without(LOSS, "at_least") | {"at_most": 6}).entry


def test_who_lacks_a_value_that_a_rule_needs_is_named():
    def one_less(given):
        visits = given["visits"]
        given["visits"] = visits[~((visits["patient"] == "P2") & (visits["month"] == 0))]

    (found,) = problems(LOSS, changed=one_less)
    assert found[:4] == ("patients.csv", 3, "entry_exempt", "entry[1], P2: no alsfrsr at 'injection'")
    assert "visits.csv" in found[4]
    assert "another occasion" in found[4]
    assert trial(LOSS | {"at_least": 1, "to": "last"}, changed=one_less).entry


def test_a_patient_with_one_value_before_treatment_has_no_loss():
    def one_alone(given):
        visits = given["visits"]
        given["visits"] = visits[~((visits["patient"] == "P2") & (visits["month"] < 0))]

    (found,) = problems(LOSS, changed=one_alone)
    assert found[3] == "entry[1], P2: 'injection' no later than 'first'"


def test_a_screening_value_needs_its_column_and_its_time():
    rule = SCORE | {"from": "column:screening"}
    found = [problem[3] for problem in problems(rule)]
    assert found == [f"no column '{name}' in patients.csv" for name in ("screening", "screening_month")]
    early = {"screening": [42, 39, 36], "screening_month": [-6.0, -6.0, -6.0]}
    chosen = trial(rule, **early)
    assert list(chosen.patients["screening"]) == [42, 39, 36]
    values = visits_of(chosen, "alsfrsr")
    assert values.value[values.month == -6].tolist() == [42, 39, 36]
    assert values.patient_index.tolist() == sorted(values.patient_index)
    assert visits_of(trial(**early), "alsfrsr").month.min() == -3, "which no rule names"
    (late,) = problems(rule, **early | {"screening_month": [-6.0, 2.0, -6.0]})
    assert late[1] == 3
    assert "2.00 months after injection 1" in late[3]
    (outside,) = problems(rule, **early | {"screening": [42, 49, 36]})
    assert outside[2] == "screening"
    assert "highest possible value is 48" in outside[4]


def test_a_screening_value_that_the_visits_have_is_that_visit():
    rule = SCORE | {"from": "column:screening"}
    same = trial(rule, screening=[40, 36, 31], screening_month=[-3.01, -3.0, -3.0])
    found = used(same.entry[0], same.patients, same.visits)
    assert len(visits_of(same, "alsfrsr").value) == same.visits["alsfrsr"].count() + 1
    assert list(found.month[:, 0]) == [-3.0, -3.0, -3.0]


def test_screening_values_count_from_injection_1_in_a_trial_of_dates():
    given = tables(screening=[42, 39, 36], screening_month=-6.0)
    for table in given.values():
        for month in [column for column in table if column.endswith("month")]:
            days = (table.pop(month) * 30.4375).round().astype(int)
            table[month.replace("month", "date")] = pd.Timestamp("2024-03-15") + pd.to_timedelta(days, unit="D")
    rule = LOSS | {"from": "column:screening", "to": "first"}
    chosen = trial_from_tables("dated", given, {**SETTINGS, "entry": [rule | {"at_least": 2}]})
    found = used(chosen.entry[0], chosen.patients, chosen.visits)
    assert found.month == pytest.approx(np.tile([-6.0, -3.0], (3, 1)), abs=0.02)


def test_an_outcome_without_values_has_no_rule():
    found = problems(LOSS | {"outcome": "fvc"})
    assert found[0][2:4] == ("entry[1].outcome", "no value of 'fvc' in visits.csv")


def test_a_value_within_half_a_month_of_the_month_asked_for_is_that_of_the_occasion():
    made = trial()
    for month, found in ((-2.5, True), (-2.49, False), (-3.5, True), (-3.51, False), (-1.4, True)):
        rule = EntryRule("alsfrsr", "score", f"month:{month}", "4.1", at_least=0)
        assert used(rule, made.patients, made.visits).complete.all() == found


OF_RULES = {
    "loss": ("first", "last", (3.0, 4.0, 6.0)),
    "score": ("month:-1.2", None, (38.0, 35.0, 26.0)),
    "slope": ("month:-3", "injection", (-1.0, -4 / 3, -2.0)),
    "slope_from_onset": ("last", None, (11 / 20, 16 / 15, 24 / 10)),
    "decline_percent": ("first", "last", (7.5, 100 * 4 / 36, 20.0)),
}


@pytest.mark.parametrize("name", OF_RULES)
def test_a_quantity_is_what_its_name_says(name):
    start, end, expected = OF_RULES[name]
    rule = EntryRule("alsfrsr", name, start, "4.1", end, at_least=-9)
    chosen = trial()
    onset = chosen.patients["onset_month"].to_numpy()
    values = used(rule, chosen.patients, chosen.visits)
    assert quantity(rule, values, chosen.outcomes["alsfrsr"], onset) == pytest.approx(expected)


def test_a_loss_is_a_rise_where_lower_is_better():
    rule = EntryRule("alsfrsr", "loss", "first", "4.1", "last", at_least=1)
    chosen = trial()
    values = used(rule, chosen.patients, chosen.visits)
    outcome = Outcome("alsfrsr", "NfL", "pg/ml", 0, None, integer=False, better="lower")
    assert list(quantity(rule, values, outcome, np.zeros(3))) == [-3, -4, -6]

"""What is said of entry rules: those stated, with their source; and a question where one seems to be missing."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from trials import line_trial

from slopeshift.checks.predictive import ENTRY
from slopeshift.classical.losses import FEWEST, smallest_loss
from slopeshift.cli.answers import notes_on
from slopeshift.design.entry import KNOWN, conditions
from slopeshift.design.visits import visits_of
from slopeshift.null.population import PLATFORM
from slopeshift.null.trials import null_values
from slopeshift.report.sections import limitations, question
from slopeshift.report.words import entry
from slopeshift.simulate import DEFAULT_SETTINGS, Design, OutcomeTruth, Truth, simulate
from slopeshift.trial import trial_from_tables
from slopeshift.trial.entry import EntryRule
from slopeshift.trial.roles import Outcome

ALSFRSR = Outcome("alsfrsr", "ALSFRS-R", "points", 0, 48, integer=True)
LOSS = EntryRule("alsfrsr", "loss", "first", "protocol 4.1 (c)", "injection", at_least=3)
WORDS = {
    "a loss": (LOSS, "ALSFRS-R loss at least 3 points, from the first value to the day of injection 1 (protocol"),
    "a window": (
        replace(LOSS, quantity="score", start="last", end=None, at_least=None, above=20, at_most=40),
        "ALSFRS-R above 20 and at most 40 points, at the last value up to injection 1",
    ),
    "a slope": (
        replace(LOSS, quantity="slope", start="month:-3", at_least=None, at_most=-0.5),
        "ALSFRS-R slope at most -0.5 points a month, from month -3 to the day of injection 1",
    ),
    "since onset": (
        replace(LOSS, quantity="slope_from_onset", start="column:screening", end=None, at_least=0.4),
        "ALSFRS-R loss since onset at least 0.4 points a month, at the screening value screening",
    ),
    "a percentage": (replace(LOSS, quantity="decline_percent"), "ALSFRS-R decline at least 3 %, from the first"),
    "a judgement": (replace(LOSS, spread=1.5), "to the day of injection 1, as judged (SD 1.5 points) (protocol"),
}


@pytest.mark.parametrize("name", WORDS)
def test_a_rule_says_what_was_asked_when_and_where_it_is_written(name):
    rule, words = WORDS[name]
    assert words in rule.words(ALSFRSR)
    assert rule.words(ALSFRSR).endswith("(protocol 4.1 (c))")


def with_rules(*rules, **columns):
    made = line_trial(patients=6)
    patients = made.patients.assign(**columns)
    return replace(made, entry=rules, _tables=made._tables | {"patients": patients})


def test_the_estimand_and_the_limitations_name_the_stated_rules_with_their_source():
    made = with_rules(replace(LOSS, end="last"), entry_exempt=["yes", *[""] * 5])
    rows = dict(question.attributes(made).rows)
    said = " ".join(limitations.of_trial(made, pd.DataFrame()))
    for words in (rows["Entry rules"], said):
        assert "ALSFRS-R loss at least 3 points" in words
        assert "protocol 4.1 (c)" in words
        assert "exempt: P1" in words
    assert "No rule of entry is stated" not in said


def test_without_a_rule_both_say_that_none_is_stated():
    assert dict(question.attributes(line_trial()).rows)["Entry rules"] == "none stated in trial.toml"
    assert "No rule of entry is stated in trial.toml" in " ".join(limitations.of_trial(line_trial(), pd.DataFrame()))


def test_what_no_model_makes_of_the_rules_is_said():
    assert entry.unmodelled(with_rules(replace(LOSS, end="last")), ALSFRSR) == []
    of_fvc = replace(LOSS, outcome="fvc", end="last")
    both = replace(drawn(1), entry=(of_fvc,))
    (other,) = entry.unmodelled(both, ALSFRSR)
    assert other.startswith("Rules about FVC are not in the model of ALSFRS-R.")
    three = [replace(LOSS, end=end) for end in ("last", "month:-2", "month:-1")]
    assert "Of 3 conditions on ALSFRS-R the model can know 2" in entry.unmodelled(with_rules(*three), ALSFRSR)[0]


def test_whether_a_fit_knows_the_rule_is_said():
    made = with_rules(replace(LOSS, end="last"))
    of = SimpleNamespace(visits=visits_of(made, "alsfrsr"), design=xr.Dataset())
    assert "does not know the entry rule that is stated" in entry.taken_into_account(made, of)
    of.design = xr.Dataset({KNOWN: 1.0})
    assert "of those screened, not of the 6 enrolled" in entry.taken_into_account(made, of)
    assert entry.taken_into_account(line_trial(), of) == ""


def checks(fired=True, observed=3.0, predicted=-2.0):
    quantities = pd.DataFrame({"check": [ENTRY], "observed": [observed], "predicted_mean": [predicted]})
    return {"rules": pd.DataFrame({"check": [ENTRY], "fired": [fired]}), "predictive_checks": quantities}


def test_the_first_screen_asks_for_a_rule_with_the_keys_to_write():
    said = entry.question(line_trial(), ALSFRSR, checks())
    for key in ("[[entry]]", 'outcome = "alsfrsr"', 'quantity = "loss"', 'from = "first"', "at_least = 3", "source ="):
        assert key in said
    assert entry.question(line_trial(), ALSFRSR, checks(fired=False)) == ""
    assert entry.question(line_trial(), ALSFRSR, checks(observed=-9.0)) == ""
    assert entry.question(with_rules(LOSS), ALSFRSR, checks()) == ""


def drawn(seed, **design):
    nothing = OutcomeTruth(34.0, -1.03, (0.0,), 6.0, 0.76, 0.2, 0.1, 1.77)
    truth = Truth(nothing, OutcomeTruth(85.0, -2.0, (0.0,), 15.0, 1.0, 0.4, 0.2, 5.9))
    tables = simulate(Design(enrolled=20, follow_up=1.0, **design), truth, seed).tables
    return trial_from_tables("drawn", tables, DEFAULT_SETTINGS)


def test_the_smallest_loss_is_noted_where_a_rule_chose_and_seldom_elsewhere():
    made = drawn(1)
    visits = visits_of(made, "alsfrsr")
    rules = (conditions(replace(made, entry=(LOSS,)), visits), None)
    chosen, others = (
        np.mean([smallest_loss(replace(visits, value=value)).suspicious for value in values])
        for values in (next(null_values(visits, PLATFORM, 200, 1, rule)) for rule in rules)
    )
    assert chosen > 0.5
    assert others < 0.05


def test_a_note_asks_for_the_rule_unless_it_is_stated():
    made = drawn(1)
    losses = np.repeat([3.0, 4.0, 5.0, 9.0], 5)
    visits = made.visits
    lost = dict(zip(made.patients["patient"], losses, strict=True))
    straight = (40 - visits["patient"].map(lost) * (visits["month"] + 3) / 3).clip(0, 48)
    chosen = replace(made, _tables=made._tables | {"visits": visits.assign(alsfrsr=straight.round())})
    (said,) = notes_on(chosen).query("column == 'entry' and found.str.contains('ALSFRS-R')").itertuples()
    assert said.found == "each of 20 patients lost 3 points of ALSFRS-R or more before injection 1"
    assert "[[entry]]" in said.remedy
    assert "entry" not in set(
        notes_on(replace(chosen, entry=(LOSS,))).query("found.str.contains('ALSFRS-R')")["column"]
    )


def test_of_few_patients_or_equal_losses_nothing_is_suspected():
    few = drawn(1, minimum_loss=3.0)
    visits = visits_of(few, "alsfrsr")
    kept = visits.patient_index < FEWEST - 1
    parts = ("patient_index", "month", "value", "basis")
    assert not smallest_loss(replace(visits, **{part: getattr(visits, part)[kept] for part in parts})).suspicious
    assert not smallest_loss(replace(visits, value=np.full(len(visits.value), 30.0))).suspicious

"""Safety: events in their place, and risks against their definitions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats
from trials import ROOT, line_trial

from slopeshift.answers.safety import (
    ARM_COLUMNS,
    COLUMNS,
    events_by_patient,
    safety_by_arm,
    safety_table,
    upper_bound_of_none,
)
from slopeshift.trial import read_trial, trial_from_tables

SYNTHETIC = read_trial(ROOT / "data" / "synthetic-msc-als")


def with_events(events, injections=2, columns=("patient", "month", "term", "serious", "related")):
    """Six patients, P6 without an injection; the others at months 0 and 4."""
    trial = line_trial(injections=injections)
    tables = {name: getattr(trial, name) for name in ("patients", "visits", "injections")}
    tables["events"] = pd.DataFrame(events, columns=list(columns))
    return trial_from_tables("events", tables, {"title": "Events", "synthetic": True, "source": "test"})


EVENTS = [
    ("P1", -1.0, "fall", "no", "no"),
    ("P1", 0.0, "fever", "no", "yes"),
    ("P1", 3.9, "fever", "no", "yes"),
    ("P2", 4.0, "pneumonia", "yes", "no"),
    ("P3", 4.5, "fever", "no", "yes"),
    ("P6", 2.0, "fall", "no", "no"),
]


def row(table, injection, term="any", serious="any"):
    found = table[(table["term"] == term) & (table["serious"] == serious) & (table["injection"] == injection)]
    assert len(found) == 1
    return found.iloc[0]


def test_an_event_belongs_to_the_latest_injection_up_to_and_on_its_day():
    table = safety_table(with_events(EVENTS))
    assert list(table.columns) == COLUMNS.split()
    counts = {period: row(table, period)["n_events"] for period in ("before", "1", "2", "overall")}
    assert counts == {"before": 2, "1": 2, "2": 2, "overall": 4}
    assert row(table, "2", serious="yes")["n_with_event"] == 1
    assert row(table, "1", serious="yes")["n_with_event"] == 0


def test_patients_are_counted_once_and_those_at_risk_are_those_who_had_the_injection():
    table = safety_table(with_events(EVENTS))
    fever = row(table, "1", "fever", "no")
    assert (fever["n_events"], fever["n_with_event"], fever["n_patients"]) == (2, 1, 5)
    assert row(table, "before")["n_patients"] == 6
    assert row(table, "overall")["n_patients"] == 5


def test_every_kind_has_a_row_for_every_period_also_where_it_did_not_occur():
    table = safety_table(with_events(EVENTS))
    kinds = {("any", "any"), ("any", "yes"), ("fall", "no"), ("fever", "no"), ("pneumonia", "yes")}
    assert set(zip(table["term"], table["serious"], strict=True)) == kinds
    assert len(table) == 5 * 4


def test_the_risk_is_the_posterior_under_a_uniform_prior():
    found = row(safety_table(with_events(EVENTS)), "overall")

    def density(p):
        return p**3 * (1 - p) ** 2

    total = integrate.quad(density, 0, 1)[0]
    assert found["n_with_event"] == 3
    assert found["risk_mean"] == pytest.approx(integrate.quad(lambda p: p * density(p), 0, 1)[0] / total)
    for end, below in ((found["risk_lower"], 0.025), (found["risk_upper"], 0.975)):
        assert integrate.quad(density, 0, end)[0] / total == pytest.approx(below)


@given(st.integers(1, 2000))
def test_at_the_upper_bound_nobody_has_an_event_in_one_of_twenty_trials(patients):
    bound = upper_bound_of_none(patients)
    assert stats.binom.pmf(0, patients, bound) == pytest.approx(0.05)
    assert bound < 3 / patients


def test_bounds_of_none_stand_only_where_there_was_none():
    table = safety_table(SYNTHETIC)
    serious = row(table, "overall", serious="yes")
    assert (serious["n_events"], serious["n_patients"]) == (0, 19)
    assert serious["upper_bound_of_none"] == pytest.approx(1 - 0.05 ** (1 / 19))
    assert serious["rule_of_three"] == pytest.approx(3 / 19)
    assert table.loc[table["n_with_event"] > 0, ["upper_bound_of_none", "rule_of_three"]].isna().all(axis=None)


def test_every_event_is_counted_in_one_kind_and_one_period():
    table = safety_table(SYNTHETIC)
    kinds = table[(table["term"] != "any") & (table["injection"] != "overall")]
    assert kinds["n_events"].sum() == len(SYNTHETIC.events) == 42


def test_events_of_each_patient_add_up():
    table = events_by_patient(with_events(EVENTS)).set_index("patient")
    assert list(table.loc["P1"]) == [2, 3, 0, 2, 0]
    assert list(table.loc["P2"]) == [2, 1, 1, 1, 1]
    assert list(table.loc["P6"]) == [0, 1, 0, 0, 0]
    assert list(table.loc["P4"]) == [2, 0, 0, 0, 0]


def test_without_a_table_of_events_nothing_is_said():
    assert safety_table(line_trial()).empty


def test_a_trial_without_injections_has_only_the_time_before():
    table = safety_table(with_events([("P1", 1.0, "fall", "no", "no")], injections=0))
    assert row(table, "before")["n_events"] == 1
    overall = row(table, "overall")
    assert (overall["n_patients"], overall["n_events"]) == (0, 0)
    assert overall["upper_bound_of_none"] == 1.0, "no patient, no bound"


def test_relatedness_need_not_be_recorded():
    table = safety_table(with_events([e[:4] for e in EVENTS], columns=("patient", "month", "term", "serious")))
    assert set(table["related"]) == {"any", ""}
    assert not np.isinf(table.select_dtypes("number")).any(axis=None)


BOUNDED = ("patient", "month", "term", "serious", "earliest_month", "latest_month")


@pytest.mark.parametrize(
    ("patient", "bounds", "place"),
    [
        ("P1", (None, None), "unknown"),
        ("P1", (1.0, 3.0), "1"),
        ("P1", (3.0, 5.0), "unknown"),
        ("P1", (None, -0.5), "before"),
        ("P1", (4.0, None), "2"),
        ("P6", (None, None), "before"),
    ],
)
def test_an_event_at_an_unknown_time_is_placed_where_its_bounds_leave_no_other_place(patient, bounds, place):
    trial = with_events([(patient, None, "meningitis", "yes", *bounds)], columns=BOUNDED)
    table = safety_table(trial)
    periods = [period for period in ("before", "1", "2", "unknown") if period in set(table["injection"])]
    assert [period for period in periods if row(table, period, serious="yes")["n_events"]] == [place]
    assert ("unknown" in periods) == (place == "unknown")
    assert row(table, "overall", serious="yes")["n_events"] == (place != "before")
    assert events_by_patient(trial)["n_serious"].sum() == 1


def test_patients_at_risk_of_an_event_at_an_unknown_time_are_those_treated():
    table = safety_table(with_events([("P1", None, "meningitis", "yes", None, None)], columns=BOUNDED))
    assert row(table, "unknown")["n_patients"] == 5


# ---- by arm ----

CONTROLLED = read_trial(ROOT / "data" / "synthetic-rct-als")


def in_arms(events, arms="ABABAA", **stated):
    """The six patients of `with_events`, P6 without an injection, in arm A or B, of which B is the control."""
    trial = with_events(events)
    tables = {name: getattr(trial, name) for name in ("patients", "visits", "injections", "events")}
    tables["patients"] = tables["patients"].assign(arm=list(arms))
    return trial_from_tables(
        "arms",
        tables,
        {"title": "Arms", "synthetic": True, "source": "test", "arms": {"control": "B", "randomised": True, **stated}},
    )


def test_patients_of_either_arm_are_counted_once_and_what_came_before_injection_1_is_not():
    table = safety_by_arm(in_arms(EVENTS))
    assert list(table.columns) == ARM_COLUMNS.split()
    counted = table.set_index(["term", "serious"])[[c for c in table if c.startswith("n_")]]
    assert dict(counted.loc["any", "any"]) == {
        **{"n_treated": 3, "n_events_treated": 3, "n_with_treated": 2},
        **{"n_control": 2, "n_events_control": 1, "n_with_control": 1},
    }
    assert list(counted.loc["any", "yes"]) == [3, 0, 0, 2, 1, 1]
    assert list(counted.loc["fever", "any"]) == [3, 3, 2, 2, 0, 0]
    assert "fall" not in table["term"].to_numpy()  # one before injection 1, one of a patient without any


def test_the_difference_of_risks_is_that_of_two_independent_beta_distributions():
    table = safety_by_arm(CONTROLLED)
    for row in table.itertuples():
        treated = stats.beta(1 + row.n_with_treated, 1 + row.n_treated - row.n_with_treated)
        control = stats.beta(1 + row.n_with_control, 1 + row.n_control - row.n_with_control)
        more = integrate.quad(lambda x, t=treated, c=control: t.pdf(x) * c.cdf(x), 0, 1)[0]
        assert row.prob_more == pytest.approx(more, abs=2e-3)
        assert row.difference_mean == pytest.approx(treated.mean() - control.mean())
        below = [
            integrate.quad(lambda x, t=treated, c=control, d=d: c.pdf(x) * t.cdf(x + d), 0, 1)[0]
            for d in (row.difference_lower, row.difference_upper)
        ]
        assert below == pytest.approx([0.025, 0.975], abs=1e-3)


def test_arms_are_compared_only_where_patients_have_one_and_events_are_known():
    assert safety_by_arm(SYNTHETIC).empty
    assert safety_by_arm(in_arms([])).empty
    assert not safety_by_arm(CONTROLLED).empty

"""Who left, what was imputed for them, and who was left."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from trials import ROOT

from slopeshift.basis import visits_of
from slopeshift.missing.departures import departures, endings, left_early, planned_follow_up
from slopeshift.missing.imputed import Lines, completed, lines_of, share_below, unseen
from slopeshift.missing.survivors import survivors
from slopeshift.trial import read_trial, trial_from_tables

SYNTHETIC = read_trial(ROOT / "data" / "synthetic-msc-als")


def leavers(reasons=("completed", "completed", "death", "lost", "ongoing"), ends=(10.0, 9.0, 5.5, 9.8, 5.0)):
    """Monthly visits from -2 to the end, injections at months 0 and 4; the last two patients get one only."""
    names = [f"P{i}" for i in range(1, len(reasons) + 1)]
    visits = [(n, m, 35.0 - m) for n, end in zip(names, ends, strict=True) for m in np.arange(-2.0, end + 1e-9)]
    both = names[: len(names) - 2]
    given_ = [(n, 1, 0.0) for n in names] + [(n, 2, 4.0) for n in both]
    tables = {
        "patients": pd.DataFrame({"patient": names, "end_month": ends, "end_reason": reasons}),
        "visits": pd.DataFrame(visits, columns=["patient", "month", "alsfrsr"]).round({"alsfrsr": 0}),
        "injections": pd.DataFrame(given_, columns=["patient", "injection", "month"]),
    }
    return trial_from_tables("leavers", tables, {"title": "t", "synthetic": True, "source": "s"})


# ---- who left ----


def test_departures_are_those_of_counting_patient_by_patient():
    table = departures(SYNTHETIC).set_index(["outcome", "cycle"])
    given_ = SYNTHETIC.injections.groupby("patient")["injection"].max()
    for cycle in range(4):
        here = [p for p in SYNTHETIC.patients["patient"] if given_.get(p, 0) >= cycle]
        stopped = [p for p in here if given_.get(p, 0) == cycle]
        row = table.loc["alsfrsr", cycle]
        assert row["n_at_risk"] == len(here)
        assert row["n_went_on"] == len(here) - len(stopped)
        for reason in ("completed", "death", "withdrawal", "lost"):
            told = SYNTHETIC.patients.set_index("patient")["end_reason"]
            assert row[f"n_{reason}"] == sum(told[p] == reason for p in stopped)
    values = SYNTHETIC.visits["alsfrsr"].notna().sum()
    assert table.loc["alsfrsr", "n_values"].sum() == values


def test_a_trial_that_does_not_say_how_follow_up_ended_says_so_of_everybody():
    tables = {
        "patients": pd.DataFrame({"patient": ["A", "B"]}),
        "visits": pd.DataFrame({"patient": ["A", "B"], "month": [0.0, 0.0], "alsfrsr": [30, 31]}),
        "injections": pd.DataFrame({"patient": ["A", "B"], "injection": [1, 1], "month": [0.0, 0.0]}),
    }
    trial = trial_from_tables("t", tables, {"title": "t", "synthetic": True, "source": "s"})
    assert (endings(trial)["reason"] == "not recorded").all()
    assert departures(trial)["n_not_recorded"].sum() == 2
    assert left_early(trial).empty


def test_follow_up_is_planned_to_last_as_long_as_that_of_completers():
    assert planned_follow_up(leavers()) == np.median([10.0 - 4.0, 9.0 - 4.0])
    nobody = leavers(reasons=("lost", "lost", "death", "lost", "ongoing"))
    assert planned_follow_up(nobody) == 9.8


def test_only_those_who_left_before_their_planned_end_left_early():
    early = left_early(leavers())
    assert list(early.index) == ["P3"]
    assert early.loc["P3", "planned"] == 4.0 + 5.5


# ---- imputation ----


def lines(visits, count=3, sigma=1.0, seed=0):
    theta = np.random.default_rng(seed).normal(size=(count, len(visits.patients), len(visits.coefficients)))
    return Lines(theta, np.full(count, sigma))


def test_values_are_imputed_month_by_month_from_leaving_to_the_planned_end():
    trial = leavers()
    after = unseen(trial, visits_of(trial, "alsfrsr"))
    assert after.patients == ("P3",)
    np.testing.assert_allclose(after.month, [6.5, 7.5, 8.5, 9.5])
    np.testing.assert_allclose(after.since, [1, 2, 3, 4])


def test_without_residuals_imputed_values_lie_on_the_patients_own_line():
    trial = leavers()
    visits = visits_of(trial, "alsfrsr")
    after, drawn = unseen(trial, visits), lines(visits, sigma=0.0)
    for i, filled in enumerate(completed(visits, after, drawn, 0.0, seed=1)):
        level, slope, first, second = drawn.coefficients[i, 2]
        expected = [level + slope * m + first * 4.0 + second * (m - 4.0) for m in after.month]
        np.testing.assert_allclose(filled.value[len(visits.value) :], expected)


LEAVERS = leavers()
VISITS = visits_of(LEAVERS, "alsfrsr")
AFTER = unseen(LEAVERS, VISITS)


@settings(deadline=None, max_examples=30)
@given(delta=st.floats(-3, 3), seed=st.integers(0, 99))
def test_a_delta_takes_off_so_much_a_month_and_changes_nothing_else(delta, seed):
    visits, after, drawn = VISITS, AFTER, lines(VISITS)
    for one, other in zip(
        completed(visits, after, drawn, 0.0, seed), completed(visits, after, drawn, delta, seed), strict=True
    ):
        imputed = slice(len(visits.value), None)
        np.testing.assert_allclose(other.value[imputed], one.value[imputed] - delta * after.since, atol=1e-9)
        np.testing.assert_array_equal(other.value[: len(visits.value)], visits.value)
        np.testing.assert_array_equal(other.basis, one.basis)
        np.testing.assert_array_equal(other.visits_in_cycle, visits.visits_in_cycle)


def test_imputations_differ_and_repeat_with_their_seed():
    trial = leavers()
    visits = visits_of(trial, "alsfrsr")
    same = Lines(np.zeros((2, 5, 4)), np.ones(2))
    one, other = completed(visits, unseen(trial, visits), same, 0.0, seed=1)
    again, _ = completed(visits, unseen(trial, visits), same, 0.0, seed=1)
    np.testing.assert_array_equal(one.value, again.value)
    assert not np.array_equal(one.value, other.value)


def test_the_draws_imputed_from_are_spread_evenly_over_the_posterior_of_the_change():
    rng = np.random.default_rng(1)
    change = xr.DataArray(rng.normal(size=(2, 500)), dims=("chain", "draw"))
    theta = change.expand_dims(patient=["A"], coefficient=["level"]).transpose("chain", "draw", ...)
    draws = xr.Dataset({"coefficients": theta, "sigma": change})
    chosen = lines_of(draws, change, 10).sigma
    ranks = [float((change.to_numpy() < value).mean()) for value in chosen]
    np.testing.assert_allclose(ranks, (np.arange(10) + 0.5) / 10, atol=2e-3)
    np.testing.assert_array_equal(lines_of(draws, change, 10).coefficients[:, 0, 0], chosen)


def test_values_that_no_patient_can_score_are_counted():
    trial = leavers()
    visits = visits_of(trial, "alsfrsr")
    filled = replace(visits, value=np.append(visits.value, [-1.0, 3.0, -0.1, 5.0]))
    assert share_below(visits, (filled,)) == 0.5
    unbounded = replace(visits, outcome=replace(visits.outcome, minimum=None))
    assert share_below(unbounded, (filled,)) == 0.0


# ---- who was left ----


def draws_of(trial, slopes, draws=400, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 2.0, (1, draws, len(slopes), 2))
    values[..., 1] = np.array(slopes) + rng.normal(0, 0.2, (1, draws, len(slopes)))
    return xr.Dataset(
        {"coefficients": (("chain", "draw", "patient", "coefficient"), values)},
        {"patient": list(trial.patients["patient"]), "coefficient": ["level", "slope"]},
    )


def cohort(reached=8, missed=8, still=0):
    reasons = ["completed"] * reached + ["lost"] * missed + ["ongoing"] * still
    names = [f"P{i:02}" for i in range(len(reasons))]
    tables = {
        "patients": pd.DataFrame({"patient": names, "end_month": [9.0] * len(names), "end_reason": reasons}),
        "visits": pd.DataFrame({"patient": names, "month": 0.0, "alsfrsr": 30}),
        "injections": pd.DataFrame(
            [(n, 1, 0.0) for n in names] + [(n, 2, 4.0) for n in names[:reached]],
            columns=["patient", "injection", "month"],
        ),
    }
    return trial_from_tables("cohort", tables, {"title": "t", "synthetic": True, "source": "s"})


def spread(centre, number):
    return list(centre + 0.4 * np.linspace(-1, 1, number))


@pytest.mark.parametrize(("gap", "warns"), [(1.2, True), (0.0, False), (-1.2, False)])
def test_survivors_are_warned_of_where_they_declined_more_slowly_and_nowhere_else(gap, warns):
    trial = cohort()
    table = survivors(trial, "alsfrsr", draws_of(trial, spread(-1.0 + gap, 8) + spread(-1.0, 8)))
    slope = table.set_index("quantity").loc["lead_in_slope"]
    assert slope["warns"] == warns
    assert abs(slope["mean"] - gap) < 0.05
    assert not table.set_index("quantity").loc["level", "warns"]


def test_patients_who_may_still_reach_a_cycle_are_in_neither_group():
    trial = cohort(still=5)
    table = survivors(trial, "alsfrsr", draws_of(trial, [-1.0 + 0.1 * i for i in range(21)]))
    assert set(table["n_reached"]) == {8}
    assert set(table["n_not"]) == {8}


def test_groups_of_one_or_two_are_not_compared():
    trial = cohort(reached=8, missed=2)
    assert survivors(trial, "alsfrsr", draws_of(trial, [-1.0] * 10)).empty


def test_the_probability_is_that_of_whom_the_patients_stand_for():
    """The slow way: a normal error of each group's mean is drawn for every draw."""
    trial = cohort()
    draws = draws_of(trial, spread(-0.9, 8) + spread(-1.0, 8), draws=4000)
    values = draws["coefficients"].sel(coefficient="slope").to_numpy()[0]
    rng = np.random.default_rng(5)
    higher = [
        rng.normal(d[:8].mean(), d[:8].std(ddof=1) / 8**0.5) > rng.normal(d[8:].mean(), d[8:].std(ddof=1) / 8**0.5)
        for d in values
    ]
    found = survivors(trial, "alsfrsr", draws).set_index("quantity").loc["lead_in_slope", "prob_higher"]
    assert abs(found - np.mean(higher)) < 3 * 0.5 / len(values) ** 0.5

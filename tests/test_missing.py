"""Who left, what was imputed for them, and who was left."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from posteriors import posterior_from
from trials import ROOT

from slopeshift.design.visits import visits_of
from slopeshift.missing.departures import departures, endings, left_early, planned_follow_up
from slopeshift.missing.imputed import Lines, completed, lines_of, share_below, unseen
from slopeshift.missing.leaving import FEWEST, followed, known_slopes, leaving
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
    population = change.expand_dims(coefficient=["level", "slope", "change 1"]).transpose("chain", "draw", ...)
    draws = xr.Dataset(
        {"population": population, "coefficients": population.expand_dims(patient=["A"]), "sigma": change}
    )
    seen = {"visits_in_cycle": (("patient", "injection"), [[1]]), "sign": 1}
    posterior = posterior_from(draws, xr.Dataset(seen, {"patient": ["A"], "injection": [1]}))
    chosen = lines_of(posterior, 10).sigma
    ranks = [float((change.to_numpy() < value).mean()) for value in chosen]
    np.testing.assert_allclose(ranks, (np.arange(10) + 0.5) / 10, atol=2e-3)
    np.testing.assert_array_equal(lines_of(posterior, 10).coefficients[:, 0, 0], chosen)


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
    table = survivors(posterior_from(draws_of(trial, spread(-1.0 + gap, 8) + spread(-1.0, 8)), trial=trial))
    slope = table.set_index("quantity").loc["lead_in_slope"]
    assert slope["warns"] == warns
    assert abs(slope["mean"] - gap) < 0.05
    assert not table.set_index("quantity").loc["level", "warns"]


def test_patients_who_may_still_reach_a_cycle_are_in_neither_group():
    trial = cohort(still=5)
    table = survivors(posterior_from(draws_of(trial, [-1.0 + 0.1 * i for i in range(21)]), trial=trial))
    assert set(table["n_reached"]) == {8}
    assert set(table["n_not"]) == {8}


def test_groups_of_one_or_two_are_not_compared():
    trial = cohort(reached=8, missed=2)
    assert survivors(posterior_from(draws_of(trial, [-1.0] * 10), trial=trial)).empty


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
    found = survivors(posterior_from(draws, trial=trial)).set_index("quantity").loc["lead_in_slope", "prob_higher"]
    assert abs(found - np.mean(higher)) < 3 * 0.5 / len(values) ** 0.5


# ---- whether those who decline fast leave ----

RATES = np.linspace(-0.1, -1.9, 16)
"""Slopes of patients, from the slowest decline to the fastest."""


def stopping(ends, reasons=None, rates=RATES, seed=0, late=0.0):
    """Patients with these slopes, followed monthly from -3 to their ends; `late` points are added from month 6 on."""
    names = [f"P{i:02}" for i in range(len(ends))]
    rng = np.random.default_rng(seed)
    rows = [
        (name, month, 40 + rate * month + rng.normal(0, 1) + late * (month >= 6))
        for name, rate, end in zip(names, rates, ends, strict=True)
        for month in np.arange(-3.0, end + 1e-9)
    ]
    tables = {
        "patients": pd.DataFrame({"patient": names, "end_month": ends, "end_reason": reasons or ["lost"] * len(ends)}),
        "visits": pd.DataFrame(rows, columns=["patient", "month", "alsfrsr"]).round({"alsfrsr": 0}),
        "injections": pd.DataFrame({"patient": names, "injection": 1, "month": 0.0}),
    }
    return trial_from_tables("stopping", tables, {"title": "t", "synthetic": True, "source": "s"})


def known_population(trial, sigma=1.0, draws=2000, seed=1):
    """Draws whose population and spread are near those of `stopping`, as `leaving` needs them."""
    rng = np.random.default_rng(seed)
    size = (1, draws, len(trial.patients), 3)
    away = rng.normal(0, (2.0, 0.6, 0.2), size)
    away[..., 1] += 0.1 * away[..., 0]
    centre = np.broadcast_to([40.0, -1.0, 0.0], (1, draws, 3))
    coords = {"patient": list(trial.patients["patient"]), "coefficient": ["level", "slope", "change 1"]}
    return xr.Dataset(
        {
            "population": (("chain", "draw", "coefficient"), centre),
            "coefficients": (("chain", "draw", "patient", "coefficient"), centre[:, :, None] + away),
            "sigma": (("chain", "draw"), np.full((1, draws), sigma)),
        },
        coords,
    )


def known(trial):
    return posterior_from(known_population(trial), trial=trial, visits=visits_of(trial, "alsfrsr"))


def judged(trial):
    return leaving(known(trial))


EARLIER = np.arange(3.0, 3.0 + len(RATES))


@pytest.mark.parametrize(("ends", "fires"), [(EARLIER[::-1], True), (EARLIER, False)])
def test_leaving_fires_where_fast_decliners_leave_first_and_not_where_slow_ones_do(ends, fires):
    found = judged(stopping(ends))
    assert found.fires is fires
    assert (found.score > 0) is fires
    assert (found.faster > 0) is fires
    assert found.n_left == len(RATES) - 1, "the last one to leave leaves nobody behind"


def test_leaving_is_the_score_test_of_proportional_hazards():
    """By statsmodels, a stratum for everyone who left, and slopes by conditioning the joint of slope and values."""
    from statsmodels.duration.hazard_regression import PHReg

    ends = np.random.default_rng(4).permutation(EARLIER)
    trial = stopping(ends, ["lost", "completed"] * 8)
    visits, draws = visits_of(trial, "alsfrsr"), known_population(trial)
    away = (draws["coefficients"] - draws["population"]).to_numpy().reshape(-1, 3)
    spread, centre = away.T @ away / len(away), np.array([40.0, -1.0, 0.0])
    x, left, stratum = [], [], []
    for i in range(0, 16, 2):
        for j in np.flatnonzero(ends >= ends[i]):
            mine = (visits.patient_index == j) & (visits.month <= ends[i])
            joint = np.vstack([np.eye(3)[1], visits.basis[mine]])
            covariance = joint @ spread @ joint.T + np.diag([0.0, *np.ones(mine.sum())])
            rest = visits.value[mine] - visits.basis[mine] @ centre
            x.append(-1.0 + covariance[0, 1:] @ np.linalg.inv(covariance[1:, 1:]) @ rest)
            left.append(i == j)
            stratum.append(i)
    alone = [sum(s == one for s in stratum) == 1 for one in stratum]
    kept = ~np.array(alone)
    model = PHReg(np.ones(kept.sum()), np.array(x)[kept], status=np.array(left)[kept], strata=np.array(stratum)[kept])
    score, information = model.score(np.zeros(1))[0], -model.hessian(np.zeros(1))[0, 0]
    posterior = posterior_from(draws, trial=trial, visits=visits)
    assert leaving(posterior).score == pytest.approx(-score / np.sqrt(information))


def test_what_is_seen_after_somebody_left_says_nothing_of_those_who_were_at_risk():
    ends = np.where(np.arange(16) < 11, 18.0, 5.0)
    reasons = ["completed"] * 11 + ["death"] * 5
    assert judged(stopping(ends, reasons)).score == judged(stopping(ends, reasons, late=5.0)).score


def test_a_patient_without_values_by_then_stands_at_the_population():
    trial = stopping(EARLIER)
    slopes = known_slopes(known(trial))
    np.testing.assert_allclose(slopes(np.arange(16), -4.0), -1.0)
    assert slopes(np.array([0]), 3.0) > slopes(np.array([15]), 3.0)


def test_leaving_at_random_is_as_random_as_the_test_says():
    rng = np.random.default_rng(8)
    whole = stopping(np.full(16, 8.0))
    visits, draws = visits_of(whole, "alsfrsr"), known_population(whole, draws=200)
    ends = [rng.permutation(np.linspace(2.0, 8.0, 16)) for _ in range(60)]
    leave = [whole.patients.assign(end_month=end) for end in ends]
    trials = [SimpleNamespace(patients=patients, injections=whole.injections) for patients in leave]
    score = [leaving(posterior_from(draws, trial=trial, visits=visits)).score for trial in trials]
    assert abs(np.mean(score)) < 3 / 60**0.5
    assert 0.7 < np.std(score) < 1.3


def test_leaving_is_not_tested_with_fewer_than_three_or_without_a_residual():
    few = stopping(EARLIER, ["death"] * (FEWEST - 1) + ["completed"] * (16 - FEWEST + 1))
    found = judged(few)
    assert found.n_left == FEWEST - 1
    assert np.isnan([found.score, found.probability, found.faster]).all()
    assert not found.fires
    posterior = known(stopping(EARLIER))
    assert np.isnan(leaving(replace(posterior, draws=posterior.draws.drop_vars("sigma"))).score)


def test_those_never_injected_are_not_at_risk_and_an_unknown_end_is_the_last_value():
    trial = stopping(EARLIER)
    known = trial.patients["patient"] != "P03"
    patients = trial.patients.assign(
        **{name: trial.patients[name].where(known) for name in ("end_month", "end_reason")}
    )
    tables = {"patients": patients, "visits": trial.visits, "injections": trial.injections.iloc[1:]}
    other = trial_from_tables("other", tables, {"title": "t", "synthetic": True, "source": "s"})
    until, left = followed(other, visits_of(other, "alsfrsr"))
    assert until[0] == -np.inf
    assert left.tolist() == [False, True, True, False, *[True] * 12]
    np.testing.assert_allclose(until[1:], EARLIER[1:])


def test_months_of_leaving_are_counted_from_the_first_injection():
    trial = stopping(EARLIER)
    tables = {
        "patients": trial.patients.assign(end_month=trial.patients["end_month"] + 2),
        "visits": trial.visits.assign(month=trial.visits["month"] + 2),
        "injections": trial.injections.assign(month=2.0),
    }
    later = trial_from_tables("later", tables, {"title": "t", "synthetic": True, "source": "s"})
    np.testing.assert_allclose(followed(later, visits_of(later, "alsfrsr"))[0], EARLIER)
    assert judged(later).score == pytest.approx(judged(trial).score)


def test_who_left_at_an_unknown_time_is_taken_to_have_left_at_the_last_visit():
    trial = leavers()
    tables = {name: getattr(trial, name) for name in ("visits", "injections")}
    patients = trial.patients.assign(end_month=trial.patients["end_month"].where(trial.patients["patient"] != "P3"))
    again = trial_from_tables("x", tables | {"patients": patients}, {"title": "t", "synthetic": True})
    assert left_early(again).loc["P3", "end"] == 5.0
    assert len(left_early(again)) == len(left_early(trial))

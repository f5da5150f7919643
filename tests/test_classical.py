"""The trial's own analysis: every number against polyfit and SciPy, one patient and one data set at a time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from trials import ROOT, line_trial

from slopeshift.classical import (
    END_TO_END,
    FROM_ONSET,
    LEAD_IN_RULES,
    LEAST_SQUARES,
    STATISTICS,
    Rules,
    improvements,
    layout_of,
    model_free,
    statistics,
)
from slopeshift.design.visits import visits_of
from slopeshift.trial import read_trial, trial_from_tables

SYNTHETIC = read_trial(ROOT / "data" / "synthetic-msc-als")


def made(visits, injections, onset=None):
    """A trial from {patient: [(month, score)]} and {patient: [month]}."""
    patients = pd.DataFrame({"patient": list(visits)})
    if onset is not None:
        patients["onset_month"] = [onset.get(name, np.nan) for name in visits]
    tables = {
        "patients": patients,
        "visits": pd.DataFrame(
            [(name, *row) for name, rows in visits.items() for row in rows], columns=["patient", "month", "alsfrsr"]
        ),
        "injections": pd.DataFrame(
            [(name, k + 1, month) for name, months in injections.items() for k, month in enumerate(months)],
            columns=["patient", "injection", "month"],
        ).astype({"injection": int, "month": float}),
    }
    return trial_from_tables("made", tables, {"title": "Made", "synthetic": True, "source": "test"})


def value(table, statistic, injection):
    return table.set_index(["statistic", "injection"]).loc[(statistic, injection), "value"]


# ---- the slow, obvious version ----


def slow_slope(month, score):
    if len(np.unique(month)) < 2:
        return np.nan
    return round(float(np.polyfit(month, score, 1)[0]), 12) + 0.0


def slow_segments(trial, score, rules):
    """Lead-in, cycle and whole slopes, and rises, of every patient, by loops: frames patient by period."""
    visits, slopes, rises, lengths = visits_of(trial, "alsfrsr"), {}, {}, {}
    onset = trial.patients.set_index("patient").get("onset_month", pd.Series(dtype=float))
    for i, patient in enumerate(visits.patients):
        mine = visits.patient_index == i
        t, y = visits.month[mine], score[mine]
        tau = visits.injection_month[i][~np.isnan(visits.injection_month[i])]
        if not len(tau):
            continue
        first, last = tau[0], tau[-1]
        before = t <= first
        if rules.lead_in == LEAST_SQUARES:
            lead_in = slow_slope(t[before], y[before])
        elif rules.lead_in == END_TO_END:
            several = before.sum() > 1
            lead_in = (y[before][-1] - y[before][0]) / (t[before][-1] - t[before][0]) if several else np.nan
        else:
            known = before.any() and patient in onset.index and np.isfinite(onset[patient])
            lead_in = -(48 - y[before][-1]) / (t[before][-1] - onset[patient]) if known else np.nan
        slopes[patient, "lead-in"] = round(lead_in, 12)
        ends = [*tau[1:], np.inf]
        cycles = []
        for k, (start, stop) in enumerate(zip(tau, ends, strict=True), 1):
            inside = (t >= start if rules.shared_boundary else t > start) & (t <= stop)
            slopes[patient, str(k)] = slow_slope(t[inside], y[inside])
            lengths[patient, str(k)] = stop - start if np.isfinite(stop) else np.nan
            cycles.append(slopes[patient, str(k)])
            rises[patient, str(k)] = slow_rise(t, y, start, start, stop)
        slopes[patient, "overall"] = np.mean(found) if (found := [c for c in cycles if np.isfinite(c)]) else np.nan
        inside = (t >= first if rules.shared_boundary else t > first) & (t <= last)
        slopes[patient, "whole"] = slow_slope(t[inside], y[inside])
        rises[patient, "overall"] = slow_rise(t, y, first, first, np.inf)
        rises[patient, "whole"] = slow_rise(t, y, first, first, last)
        closed = [k for k in range(1, len(tau)) if np.isfinite(slopes[patient, str(k)])]
        lengths[patient, "overall"] = np.mean([lengths[patient, str(k)] for k in closed]) if closed else np.nan
        slopes[patient, "closed"] = np.mean([slopes[patient, str(k)] for k in closed]) if closed else np.nan
    return tuple(pd.Series(x, dtype=float).unstack() for x in (slopes, rises, lengths))  # noqa: PD010 (one value a cell)


def slow_rise(t, y, baseline, start, stop):
    before, after = y[t <= baseline], y[(t > start) & (t <= stop)]
    return after[-1] - before[-1] if len(before) and len(after) else np.nan


def slow_wilcoxon(change):
    if not len(change) or not change.any():
        return np.nan
    plain = len(np.unique(np.abs(change))) == len(change) and (change != 0).all() and len(change) <= 50
    return stats.wilcoxon(change, method="exact" if plain else "asymptotic").pvalue


def slow_statistics(trial, score, rules, period):
    slopes, rises, lengths = slow_segments(trial, score, rules)
    both = slopes[["lead-in", period]].dropna()
    change = (both[period] - both["lead-in"]).round(9)
    falling = both["lead-in"] < 0
    percent = (100 * change[falling] / -both["lead-in"][falling]).round(6)
    rise = rises[period].dropna()
    up = rise[rise > 0]
    shift = slopes["closed" if period == "overall" else period] - slopes["lead-in"]
    pairs = pd.DataFrame({"change": shift, "length": lengths.get(period)}).dropna().round(9)
    vary = len(pairs) > 2 and pairs.nunique().min() > 1
    improved = (percent > rules.threshold).sum()
    return {
        "patients": len(both),
        "falling_lead_in": falling.sum(),
        "undefined_percent": (~falling).sum(),
        "improved": improved,
        "improved_of_defined": improved / falling.sum() if falling.sum() else np.nan,
        "improved_of_all": improved / len(both) if len(both) else np.nan,
        "mean_percent": percent.mean(),
        "median_percent": percent.median(),
        "mean_change": change.mean(),
        "sd_change": change.std(),
        "wilcoxon_p": slow_wilcoxon(change.to_numpy()),
        "compared": len(rise),
        "rose": len(up),
        "smallest_rise": up.min(),
        "largest_rise": up.max(),
        "intervals": len(pairs),
        "interval_correlation": stats.spearmanr(pairs["change"], pairs["length"]).statistic if vary else np.nan,
    }


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("lead_in", LEAD_IN_RULES)
def test_every_statistic_of_every_data_set_equals_the_slow_version(lead_in, shared):
    visits, rules = visits_of(SYNTHETIC, "alsfrsr"), Rules(lead_in, shared_boundary=shared)
    noise = np.random.default_rng(1).normal(0, 2, (6, len(visits.value))).round()
    values = np.vstack([visits.value, (visits.value + noise).clip(0, 48)])
    fast = statistics(layout_of(SYNTHETIC, visits, rules), values)
    for draw in range(len(values)):
        for period in fast["injection"].to_numpy():
            slow = slow_statistics(SYNTHETIC, values[draw], rules, period)
            got = {name: float(fast[name].sel(injection=period)[draw]) for name in STATISTICS}
            assert got == pytest.approx(slow, abs=2e-6, nan_ok=True), (draw, period)


@given(st.integers(0, 10_000), st.integers(2, 7), st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_a_data_set_is_analysed_alike_alone_and_among_others(seed, patients, injections):
    trial = line_trial(patients=patients, injections=injections, seed=seed)
    visits = visits_of(trial, "alsfrsr")
    plan = layout_of(trial, visits, Rules())
    values = visits.value + np.random.default_rng(seed).integers(-3, 4, (5, len(visits.value)))
    together = statistics(plan, values)
    assert statistics(plan, values[3:4]).isel(draw=0).equals(together.isel(draw=3))


def test_the_table_has_every_statistic_of_every_outcome_and_period_with_its_number():
    table = model_free(SYNTHETIC)
    assert list(table.columns) == ["outcome", "statistic", "injection", "value", "n"]
    assert set(table["outcome"]) == {"alsfrsr", "fvc"}
    assert set(table["injection"]) == {"1", "2", "3", "overall", "whole"}
    assert len(table) == 2 * 5 * len(STATISTICS)
    assert (table["n"] <= 19).all()
    counted = table[table["statistic"] == "patients"]
    assert (counted["value"] == counted["n"]).all()


# ---- rules ----


def test_an_improvement_of_exactly_the_threshold_is_not_more_than_it():
    """4 points lost in 3 months, then 3 in 3: 25 %, which rounding error must not push over the edge."""
    trial = made({"A": [(-3, 40), (0, 36), (3, 33)]}, {"A": [0.0]})
    table = model_free(trial)
    assert value(table, "mean_percent", "1") == 25.0
    assert value(table, "improved", "1") == 0
    assert value(model_free(trial, rules=Rules(threshold=24.9)), "improved", "1") == 1


def test_a_level_lead_in_has_no_percentage():
    table = model_free(made({"A": [(-3, 30), (-1.7, 30), (0, 30), (3, 31)]}, {"A": [0.0]}))
    assert value(table, "undefined_percent", "1") == 1
    assert value(table, "patients", "1") == 1
    assert np.isnan(value(table, "mean_percent", "1"))


def test_the_visit_on_the_day_of_an_injection_is_shared_unless_said_otherwise():
    trial = made({"A": [(-2, 40), (0, 30), (2, 40), (4, 40)]}, {"A": [0.0, 4.0]})
    assert value(model_free(trial), "mean_change", "1") == pytest.approx(2.5 + 5)
    assert value(model_free(trial, rules=Rules(shared_boundary=False)), "mean_change", "1") == pytest.approx(0 + 5)


def test_slope_from_onset_starts_at_the_upper_end_of_the_scale():
    trial = made({"A": [(-2, 40), (0, 38), (2, 38)]}, {"A": [0.0]}, onset={"A": -10.0})
    assert value(model_free(trial, rules=Rules(FROM_ONSET)), "mean_change", "1") == pytest.approx(1.0)


def test_improvements_are_those_that_are_counted():
    visits = visits_of(SYNTHETIC, "alsfrsr")
    plan = layout_of(SYNTHETIC, visits, Rules())
    percent = improvements(plan, visits.value[None])
    counted = statistics(plan, visits.value[None])["improved"].isel(draw=0).to_numpy()
    np.testing.assert_array_equal((percent[0] > 25).sum(axis=0), counted)


def test_rules_that_cannot_be_are_refused_all_at_once():
    with pytest.raises(ValueError, match=r"lead_in is 'guess'; use one of least_squares.*threshold is -1"):
        Rules("guess", threshold=-1)


# ---- trials at the edge ----


def test_a_trial_without_injections_has_no_row():
    assert model_free(line_trial(injections=0)).empty


def test_one_injection_a_patient_leaves_the_whole_undefined():
    table = model_free(line_trial(injections=1))
    assert value(table, "patients", "1") == 5
    assert value(table, "patients", "whole") == 0
    assert np.isnan(value(table, "mean_change", "whole"))
    assert np.isnan(value(table, "wilcoxon_p", "whole"))


def test_equal_intervals_leave_the_correlation_undefined():
    table = model_free(line_trial(patients=8, injections=2))
    assert value(table, "intervals", "1") == 7
    assert np.isnan(value(table, "interval_correlation", "1"))


def test_lead_ins_that_are_too_short_leave_nothing_to_compare():
    table = model_free(made({"A": [(0, 30), (1, 29), (2, 29)], "B": [(0, 40), (2, 38)]}, {"A": [0.0], "B": [0.0]}))
    assert (table[table["statistic"].isin(["patients", "improved"])]["value"] == 0).all()
    assert np.isnan(value(table, "improved_of_all", "1"))
    assert value(table, "compared", "1") == 2, "a rise needs no lead-in"


@pytest.mark.parametrize("onset", [None, {}])
def test_without_onset_no_slope_from_onset_is_made_up(onset):
    trial = made({"A": [(-2, 40), (0, 38), (2, 38)]}, {"A": [0.0]}, onset)
    assert value(model_free(trial, rules=Rules(FROM_ONSET)), "patients", "1") == 0


def test_an_outcome_without_an_upper_end_has_no_slope_from_onset():
    table = model_free(SYNTHETIC, ["fvc"], Rules(FROM_ONSET))
    assert value(table, "patients", "1") == 0, "200 % of predicted is a limit, not where anybody began"

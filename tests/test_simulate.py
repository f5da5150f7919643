"""The simulator shows the moments, the traps and the published figures it was built for, and regenerates its trial."""

import functools
import json
import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slopeshift.simulate import (
    DEFAULT_DESIGN,
    DEFAULT_SEED,
    DEFAULT_SETTINGS,
    DEFAULT_TRUTH,
    Design,
    IntervalEffect,
    OutcomeTruth,
    Simulated,
    Truth,
    default_trial,
    simulate,
    write,
)
from slopeshift.simulate.cohort import (
    DAYS_PER_MONTH,
    draw_coefficients,
    draw_cohort,
    expectation,
    gain,
    generator,
    residuals,
    untreated_course,
)
from slopeshift.trial import TrialError, read_trial, trial_from_tables

COMMITTED = Path(__file__).parents[1] / "data" / "synthetic-msc-als"
FILES = ("patients.csv", "visits.csv", "injections.csv", "events.csv", "trial.toml", "truth.json")
MANY = 3_000

# PRO-ACT components as reported of a platform trial (doi 10.1002/ana.26714); nothing happens at either injection.
NULL = OutcomeTruth(
    level=34.0,
    slope=-1.03,
    change=(0.0, 0.0),
    sd_level=6.0,
    sd_slope=0.76,
    sd_response=0.0,
    sd_cycle=0.0,
    sigma=1.77,
    correlation_level_slope=0.0,
    correlation_slope_response=0.0,
)
# The same line for everyone, far from both ends of the scale, seen without error.
BARE = replace(NULL, level=30.0, slope=-0.5, sd_level=0.0, sd_slope=0.0, sigma=0.0)
DAY = np.arange(-90.0, 541.0)
INJECTED = np.array([[0.0, 120.0], [0.0, math.inf], [math.inf, math.inf]])


def both(outcome: OutcomeTruth, **across: float) -> Truth:
    return Truth(alsfrsr=outcome, fvc=outcome, **({"correlation_levels": 0.0, "correlation_slopes": 0.0} | across))


def untreated(outcome: OutcomeTruth) -> OutcomeTruth:
    return replace(outcome, change=(0.0,), sd_response=0.0, sd_cycle=0.0)


def natural_history(alsfrsr: OutcomeTruth, fvc: OutcomeTruth = DEFAULT_TRUTH.fvc, seed: int = 1) -> pd.DataFrame:
    """Return (outcome, month) columns of scores at monthly visits of untreated patients."""
    truth = Truth(alsfrsr=untreated(alsfrsr), fvc=untreated(fvc))
    visits = simulate(Design(enrolled=MANY, follow_up=12.0), truth, seed).tables["visits"]
    visits["month"] = visits["month"].round().astype(int)
    return visits.set_index(["patient", "month"])[["alsfrsr", "fvc"]].unstack()  # noqa: PD010 (one value a cell)


def line_slope(scores: pd.DataFrame, first: int, last: int) -> pd.Series:
    window = scores.loc[:, first:last]
    month = window.columns.to_numpy() - window.columns.to_numpy().mean()
    return (window * month).sum(axis=1) / (month**2).sum()


def visit_slope(visits: pd.DataFrame) -> pd.Series:
    month = visits["month"] - visits.groupby("patient")["month"].transform("mean")
    top = (month * visits["alsfrsr"]).groupby(visits["patient"]).sum()
    return top / (month**2).groupby(visits["patient"]).sum()


def first_cycle(design: Design, truth: Truth) -> pd.DataFrame:
    """Return naive slopes before and after injection 1, and the interval to injection 2."""
    tables = simulate(design, truth, seed=1).tables
    injections, visits = tables["injections"], tables["visits"]
    interval = injections[injections["injection"] == 2].set_index("patient")["month"]
    until = visits["patient"].map(interval)
    return pd.DataFrame(
        {
            "before": visit_slope(visits[visits["month"] <= 0]),
            "after": visit_slope(visits[(visits["month"] >= 0) & (visits["month"] <= until)]),
            "interval": interval,
        }
    ).assign(change=lambda table: table["after"] - table["before"])


def written(simulated: Simulated, directory: Path) -> dict[str, bytes]:
    write(simulated, DEFAULT_SETTINGS, directory)
    return {file.name: file.read_bytes() for file in directory.iterdir()}


# What is drawn has the moments that are stated


@functools.cache
def coefficients() -> pd.DataFrame:
    normal = {name: replace(outcome, slope_distribution="normal") for name, outcome in DEFAULT_TRUTH.outcomes.items()}
    drawn = draw_coefficients(replace(DEFAULT_TRUTH, **normal), 40_000, seed=3)
    return pd.DataFrame(
        {
            f"{outcome} {name}": getattr(c, name)
            for outcome, c in drawn.items()
            for name in ("level", "slope", "response")
        }
    )


@pytest.mark.parametrize("outcome", ["alsfrsr", "fvc"])
@pytest.mark.parametrize("name", ["level", "slope", "response"])
def test_coefficients_have_the_stated_means_and_standard_deviations(outcome: str, name: str) -> None:
    truth, drawn = DEFAULT_TRUTH.outcomes[outcome], coefficients()[f"{outcome} {name}"]
    sd = getattr(truth, f"sd_{name}")
    assert drawn.mean() == pytest.approx(getattr(truth, name, 0.0), abs=4 * sd / 200)
    assert drawn.std() == pytest.approx(sd, rel=0.015)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("alsfrsr level", "alsfrsr slope", 0.3),
        ("alsfrsr level", "alsfrsr response", 0.0),
        ("alsfrsr slope", "alsfrsr response", -0.3),
        ("fvc slope", "fvc response", -0.3),
        ("alsfrsr level", "fvc level", 0.31),
        ("alsfrsr slope", "fvc slope", 0.4),
        ("alsfrsr response", "fvc response", 0.0),
        ("alsfrsr level", "fvc slope", 0.0),
    ],
)
def test_coefficients_have_the_stated_correlations(one: str, other: str, expected: float) -> None:
    assert coefficients()[one].corr(coefficients()[other]) == pytest.approx(expected, abs=0.02)


def test_changes_share_the_response_of_the_patient_and_differ_by_cycle() -> None:
    outcome = replace(NULL, change=(0.3, 0.1), sd_response=0.3, sd_cycle=0.2)
    change = draw_coefficients(both(outcome), 40_000, seed=4)["alsfrsr"].change
    assert change.mean(axis=0) == pytest.approx([0.3, 0.1], abs=0.01)
    expected = np.full((2, 2), 0.3**2) + np.diag([0.2**2] * 2)
    assert np.cov(change.T) == pytest.approx(expected, abs=0.004)


@pytest.mark.parametrize("distribution", ["normal", "gamma", "lognormal", "mixture"])
def test_every_slope_distribution_has_the_stated_mean_and_standard_deviation(distribution: str) -> None:
    slope = draw_coefficients(both(replace(NULL, slope_distribution=distribution)), 40_000, seed=5)["fvc"].slope
    assert slope.mean() == pytest.approx(-1.03, abs=0.016)
    assert slope.std() == pytest.approx(0.76, rel=0.04)


def test_slope_distributions_have_their_own_shapes() -> None:
    slope = {
        name: draw_coefficients(both(replace(NULL, slope_distribution=name)), 40_000, seed=5)["alsfrsr"].slope
        for name in ("normal", "gamma", "lognormal", "mixture")
    }
    assert np.median(slope["lognormal"]) == pytest.approx(-1.03 / math.sqrt(1 + (0.76 / 1.03) ** 2), rel=0.02)
    assert (slope["normal"] > 0).mean() == pytest.approx(0.0877, abs=0.006)  # Phi(-1.03 / 0.76)
    assert max(slope[name].max() for name in ("gamma", "lognormal", "mixture")) < 0
    near_zero = {name: (np.abs(value) < 0.2).mean() for name, value in slope.items()}
    assert near_zero["mixture"] > 2 * near_zero["gamma"] > 2 * near_zero["lognormal"]


def test_residuals_of_the_visits_have_sigma_and_the_rounding() -> None:
    simulated = simulate(Design(enrolled=500), both(replace(NULL, level=26.0, sd_level=0.0)), seed=6)
    near = simulated.latent["alsfrsr"].between(8, 40)
    residual = (simulated.tables["visits"]["alsfrsr"] - simulated.latent["alsfrsr"])[near]
    assert residual.mean() == pytest.approx(0.0, abs=0.08)
    assert residual.std() == pytest.approx(math.sqrt(1.77**2 + 1 / 12), rel=0.03)


# The course: segments, and nothing before an injection


def test_course_is_the_line_with_a_hinge_at_each_injection() -> None:
    cohort = draw_cohort(both(replace(NULL, change=(0.4, -0.2), sd_response=0.3, sd_cycle=0.1)), 3, DAY, seed=7)
    c, month = cohort.coefficients["alsfrsr"], DAY / DAYS_PER_MONTH
    expected = c.level[:, None] + c.slope[:, None] * month
    expected[0] += c.change[0, 0] * np.clip(month, 0, 120 / DAYS_PER_MONTH)
    expected[0] += c.change[0, 1] * np.clip(month - 120 / DAYS_PER_MONTH, 0, None)
    expected[1] += c.change[1, 0] * np.clip(month, 0, None)
    assert cohort.mean("alsfrsr", INJECTED) == pytest.approx(expected)


def test_an_injection_changes_nothing_before_it() -> None:
    change = np.full((3, 2), 5.0)
    gained = gain(NULL, change, DAY, INJECTED)
    assert not gained[:, DAY <= 0].any()
    assert gained[:, DAY == 120][0] == gained[:, DAY == 120][1]
    assert not gained[2].any()
    assert (gained[:2, DAY > 0] > 0).all()


def test_latent_scores_are_the_rows_of_the_visits_without_error() -> None:
    simulated = simulate(replace(DEFAULT_DESIGN, missing_alsfrsr=0.5, missing_fvc=0.5), DEFAULT_TRUTH, seed=8)
    visits, latent = simulated.tables["visits"], simulated.latent
    assert list(visits["patient"]) == list(latent["patient"])
    assert visits["month"].to_numpy() == pytest.approx(latent["month"].to_numpy(), abs=0.00501)
    assert (visits["alsfrsr"] - latent["alsfrsr"]).abs().max() < 5 * 1.9


# Each switch does what it says, and is off by default


def test_curvature_bends_the_untreated_course() -> None:
    outcome = replace(NULL, curvature=-0.05, sd_curvature=0.02)
    cohort = draw_cohort(both(outcome), 20_000, np.array([-30.4375, 0.0, 30.4375]), seed=9)
    bend = np.diff(cohort.untreated["alsfrsr"], n=2, axis=1)
    assert bend.mean() == pytest.approx(-0.05, abs=0.001)
    assert bend.std() == pytest.approx(0.02, rel=0.03)


def test_sigmoid_has_the_level_and_slope_of_its_line_and_stays_on_the_scale() -> None:
    outcome = replace(NULL, sigmoid_ceiling=48.0)
    c = draw_coefficients(both(replace(NULL, sd_level=3.0)), 200, seed=10)["alsfrsr"]
    near = untreated_course(outcome, c, np.array([-1e-4, 0.0, 1e-4]))
    assert near[:, 1] == pytest.approx(c.level)
    assert (near[:, 2] - near[:, 0]) / 2e-4 == pytest.approx(c.slope, rel=1e-4)
    far = untreated_course(outcome, c, np.linspace(-24, 48, 50))
    assert far.min() > 0
    assert far.max() < 48


def test_onset_lag_delays_the_change_of_slope() -> None:
    gained = gain(replace(NULL, onset_lag=2.0), np.full((1, 1), 0.5), DAY, np.zeros((1, 1)))[0]
    assert not gained[DAY <= 2 * DAYS_PER_MONTH].any()
    assert gained[-1] == pytest.approx(0.5 * (DAY[-1] / DAYS_PER_MONTH - 2), abs=0.02)


def test_half_life_wanes_the_change() -> None:
    gained = gain(replace(NULL, half_life=3.0), np.full((1, 1), 0.5), DAY, np.zeros((1, 1)))[0]
    month = DAY[-1] / DAYS_PER_MONTH
    assert gained[-1] == pytest.approx(0.5 * 3 / math.log(2) * (1 - 0.5 ** (month / 3)), rel=0.01)


def test_autocorrelated_residuals_are_correlated_in_continuous_time() -> None:
    z = residuals(replace(NULL, autocorrelation_time=2.0), 20_000, 62, generator(11, "test"))
    assert z.std() == pytest.approx(1.77, rel=0.02)
    for days in (1, 30, 61):
        assert np.corrcoef(z[:, 0], z[:, days])[0, 1] == pytest.approx(math.exp(-days / (2 * DAYS_PER_MONTH)), abs=0.02)


def test_residuals_are_independent_and_normal_by_default() -> None:
    z = residuals(NULL, 20_000, 2, generator(11, "test"))
    assert np.corrcoef(z.T)[0, 1] == pytest.approx(0.0, abs=0.03)
    assert (np.abs(z) > 3 * 1.77).mean() == pytest.approx(0.0027, abs=0.001)


def test_student_t_residuals_have_heavy_tails_and_the_same_standard_deviation() -> None:
    z = residuals(replace(NULL, degrees_of_freedom=5.0), 20_000, 5, generator(11, "test"))
    assert z.std() == pytest.approx(1.77, rel=0.03)
    assert (np.abs(z) > 3 * 1.77).mean() == pytest.approx(0.0117, abs=0.002)  # t on 5 df beyond 3 sqrt(5/3)


def test_expectation_lifts_ratings_after_an_injection_but_not_the_disease() -> None:
    hopeful = replace(BARE, expectation_shift=2.0, expectation_half_life=1.0)
    lift = expectation(hopeful, DAY, INJECTED)
    assert not lift[:, DAY <= 0].any()
    assert not lift[2].any()
    assert lift[0, [DAY.tolist().index(day) for day in (1, 121)]] == pytest.approx(2.0, rel=0.03)
    assert lift[1, DAY == 91] == pytest.approx(2.0 * 0.5 ** (91 / DAYS_PER_MONTH))
    simulated = simulate(Design(enrolled=1), both(replace(hopeful, expectation_half_life=math.inf)), seed=1)
    visits, latent = simulated.tables["visits"], simulated.latent
    shift = (visits["fvc"] - latent["fvc"]).to_numpy()
    assert shift == pytest.approx(np.where(visits["month"] > 0, 2.0, 0.0), abs=0.051)


def test_low_baseline_reaches_the_floor() -> None:
    visits = simulate(Design(enrolled=200), both(replace(NULL, level=8.0)), seed=1).tables["visits"]
    assert visits["alsfrsr"].min() == 0
    assert (visits["alsfrsr"] == 0).mean() > 0.15
    assert not np.signbit(visits[["alsfrsr", "fvc"]]).any(axis=None)


def test_high_baseline_reaches_the_ceiling() -> None:
    visits = simulate(Design(enrolled=200), both(replace(NULL, level=46.0)), seed=1).tables["visits"]
    assert visits["alsfrsr"].max() == 48


@pytest.mark.parametrize(
    ("minimum_loss", "responders", "mean_change"),
    [(-math.inf, 6.8, -0.03), (3.0, 10.1, 0.54)],  # of 19; points/month; by another simulation
)
def test_entry_by_lead_in_loss_makes_regression_to_the_mean(
    minimum_loss: float, responders: float, mean_change: float
) -> None:
    cycle = first_cycle(Design(enrolled=MANY, minimum_loss=minimum_loss), both(NULL))
    improved = (cycle["before"] < 0) & (cycle["change"] >= -0.25 * cycle["before"])
    assert 19 * improved.mean() == pytest.approx(responders, abs=0.5)
    assert cycle["change"].mean() == pytest.approx(mean_change, abs=0.06)


def test_entry_rules_hold_for_everyone() -> None:
    visits = simulate(Design(enrolled=300, minimum_loss=3.0, inclusion_score=30.0), both(NULL), 2).tables["visits"]
    first = visits.groupby("patient")["alsfrsr"].first()
    at_injection = visits[visits["month"] == 0].set_index("patient")["alsfrsr"]
    assert first.min() == 31
    assert (first - at_injection).min() == 3


def test_a_simulated_trial_meets_the_rules_that_its_design_states(tmp_path: Path) -> None:
    design = Design(enrolled=60, minimum_loss=3.0, inclusion_score=20.0, missing_alsfrsr=0.5)
    simulated = simulate(design, both(NULL), 2)
    write(simulated, DEFAULT_SETTINGS, tmp_path / "chosen", design.entry)
    score, loss = read_trial(tmp_path / "chosen").entry
    assert (score.above, loss.at_least, loss.quantity) == (20, 3, "loss")
    assert simulated.tables["visits"]["alsfrsr"].isna().mean() > 0.2
    stricter = [rule | ({"at_least": 4.0} if rule["quantity"] == "loss" else {}) for rule in design.entry]
    write(simulated, DEFAULT_SETTINGS, tmp_path / "stricter", stricter)
    with pytest.raises(TrialError, match="not at_least 4"):
        read_trial(tmp_path / "stricter")
    assert Design().entry == []


@pytest.mark.parametrize(("strength", "correlation"), [(0.0, 0.01), (0.5, 0.26), (1.0, 0.43), (2.0, 0.58)])
def test_outcome_dependent_interval_correlates_with_response(strength: float, correlation: float) -> None:
    cycle = first_cycle(Design(enrolled=MANY, interval_on_response=strength), both(NULL))
    assert cycle["change"].corr(cycle["interval"]) == pytest.approx(correlation, abs=0.07)  # by another simulation
    assert cycle["interval"].between(3, 6).all()


@pytest.mark.parametrize(("strength", "least", "most"), [(0.0, -0.06, 0.06), (1.0, 0.2, 1.0)])
def test_dropout_may_depend_on_recent_slope(strength: float, least: float, most: float) -> None:
    design = Design(enrolled=MANY, dropout_hazard=0.05, dropout_on_slope=strength)
    simulated = simulate(design, both(replace(NULL, change=(0.0,))), seed=1)
    decline = np.array([-patient["alsfrsr"]["slope"] for patient in simulated.truth["patients"]])
    left = simulated.tables["patients"]["end_reason"].isin(["withdrawal", "lost"]).to_numpy()
    assert least < decline[left].mean() - decline[~left].mean() < most


def test_hazards_are_those_of_the_design() -> None:
    design = Design(enrolled=MANY, follow_up=6.0, death_hazard=0.05, dropout_hazard=0.05)
    outcome = replace(BARE, level=25.0, slope=0.0, change=(0.0,))
    reasons = simulate(design, both(outcome), seed=1).tables["patients"]["end_reason"].value_counts(normalize=True)
    death, leaving = 0.05 * math.exp(0.08 * 10), 0.05
    gone = 1 - math.exp(-6 * (death + leaving))
    assert reasons["death"] == pytest.approx(gone * death / (death + leaving), abs=0.03)
    assert reasons["withdrawal"] + reasons["lost"] == pytest.approx(gone * leaving / (death + leaving), abs=0.03)


def test_fvc_is_missing_more_often_at_a_low_alsfrsr() -> None:
    design = Design(enrolled=1_000, missing_fvc=0.1, missing_fvc_per_point=0.1)
    visits = simulate(design, both(replace(NULL, level=30.0)), seed=1).tables["visits"]
    for score, odds in ((35, 1 / 9), (25, math.e / 9)):
        near = visits[visits["alsfrsr"].sub(score).abs() <= 1]
        assert near["fvc"].isna().mean() == pytest.approx(odds / (1 + odds), abs=0.03)


def test_fvc_too_low_to_be_measured_is_missing() -> None:
    design = Design(enrolled=500, patients_per_cycle=())
    free, floored = (
        simulate(replace(design, lowest_fvc=lowest), DEFAULT_TRUTH, seed=1).tables["visits"]["fvc"]
        for lowest in (-math.inf, 40.0)
    )
    assert (free < 40).mean() > 0.02
    pd.testing.assert_series_equal(floored, free.where(free >= 40))


def test_a_switch_leaves_every_other_draw_alone() -> None:
    design = replace(DEFAULT_DESIGN, missing_alsfrsr=0.0)
    plain = simulate(design, DEFAULT_TRUTH, seed=1).tables
    gaps = simulate(replace(design, missing_fvc=0.5), DEFAULT_TRUTH, seed=1).tables
    assert gaps["visits"]["fvc"].isna().mean() > 0.4
    pd.testing.assert_frame_equal(plain["visits"].drop(columns="fvc"), gaps["visits"].drop(columns="fvc"))
    for name in ("patients", "injections", "events"):
        pd.testing.assert_frame_equal(plain[name], gaps[name])


def test_data_cut_leaves_patients_ongoing() -> None:
    tables = simulate(Design(enrolled=20, data_cut=4.0), both(NULL), seed=1).tables
    assert set(tables["patients"]["end_reason"]) == {"ongoing"}
    assert tables["visits"]["month"].max() <= 4.01
    assert tables["injections"]["month"].max() <= 4.01


# Untreated patients look like published ones


@pytest.mark.parametrize(
    ("distribution", "sigma", "no_decline_6", "no_decline_12", "improved_25", "improved_50", "sd_change", "declining"),
    [  # by another simulation
        ("normal", 2.0, 0.172, 0.141, 0.467, 0.334, 1.30, 0.784),
        ("gamma", 2.0, 0.142, 0.070, 0.493, 0.375, 1.32, 0.788),
        ("lognormal", 2.0, 0.115, 0.036, 0.497, 0.379, 1.34, 0.798),
        ("gamma", 1.0, 0.086, 0.039, 0.381, 0.242, 0.70, 0.871),
    ],
)
def test_null_benchmarks_of_another_simulation_are_met(
    distribution: str,
    sigma: float,
    no_decline_6: float,
    no_decline_12: float,
    improved_25: float,
    improved_50: float,
    sd_change: float,
    declining: float,
) -> None:
    settings_of_a2 = replace(NULL, level=38.0, sd_level=0.0, slope=-1.06, sd_slope=0.92)
    scores = natural_history(replace(settings_of_a2, slope_distribution=distribution, sigma=sigma))["alsfrsr"]
    before = line_slope(scores, -3, 0)
    change = line_slope(scores, 0, 4) - before
    share = -change / before
    assert (scores[6] >= scores[0]).mean() == pytest.approx(no_decline_6, abs=0.02)
    assert (scores[12] >= scores[0]).mean() == pytest.approx(no_decline_12, abs=0.02)
    assert (share[before < 0] >= 0.25).mean() == pytest.approx(improved_25, abs=0.03)
    assert (share[before < 0] >= 0.50).mean() == pytest.approx(improved_50, abs=0.03)
    assert change.std() == pytest.approx(sd_change, rel=0.03)
    assert (before < 0).mean() == pytest.approx(declining, abs=0.025)


@functools.cache
def default_history() -> pd.DataFrame:
    return natural_history(DEFAULT_TRUTH.alsfrsr)


def test_default_patients_plateau_as_often_as_published() -> None:
    scores = default_history()["alsfrsr"]
    # PRO-ACT 25 % and 16 % (Bedlack 2016); 12-17 % and less is what smooth distributions of slopes give.
    assert 0.17 <= (scores[6] >= scores[0]).mean() <= 0.27
    assert 0.12 <= (scores[12] >= scores[0]).mean() <= 0.18


def test_default_patients_decline_as_published() -> None:
    scores = default_history()["alsfrsr"]
    decline = line_slope(scores, -3, 6)
    assert decline.mean() == pytest.approx(-1.03, abs=0.06)  # HEALEY App. I; floor and ceiling take a little
    assert scores[0].mean() == pytest.approx(35.0, abs=0.4)  # the prior of the model
    assert scores[0].std() == pytest.approx(math.hypot(5.0, 1.9), rel=0.04)  # SD 5 (LITRA, EMPOWER, PRO-ACT) and error


def test_default_patients_change_slope_by_chance_as_published() -> None:
    scores = default_history()["alsfrsr"]
    before = line_slope(scores, -3, 0)
    change = line_slope(scores, 0, 4) - before
    falling = before < 0
    assert 1.05 <= change.std() <= 1.81  # 95 % interval of the 1.33 of 27 untreated controls (Oh 2018, Table 3)
    assert 0.45 <= (-change / before >= 0.25)[falling].mean() <= 0.52  # by another simulation
    assert 0.32 <= (-change / before >= 0.50)[falling].mean() <= 0.40  # by another simulation


def test_default_fvc_is_as_published() -> None:
    scores = default_history()["fvc"]
    slope = line_slope(scores, -3, 3)
    assert scores[0].mean() == pytest.approx(85.0, abs=1.2)
    assert scores[0].std() == pytest.approx(math.hypot(17.0, 5.9), rel=0.04)  # SD 17: EMPOWER, PRO-ACT, LITRA
    assert slope.mean() == pytest.approx(-2.44, abs=0.15)  # topiramate e-table: -29.3 a year
    error = 5.9 / math.sqrt(28)  # of a slope through seven monthly visits; within-patient SD of the same table
    assert slope.std() == pytest.approx(math.hypot(1.86, error), rel=0.05)  # between-patient SD 22.3 a year


def test_default_residuals_are_as_published() -> None:
    for outcome, least, most in (("alsfrsr", 1.8, 2.1), ("fvc", 5.6, 6.2)):  # 1.77-2.10 in trials, and rounding; 5.9
        lead_in = default_history()[outcome].loc[:, -3:0]
        left_over = lead_in.sub(lead_in.mean(axis=1), axis=0) - np.outer(
            line_slope(default_history()[outcome], -3, 0), [-1.5, -0.5, 0.5, 1.5]
        )
        assert least < math.sqrt((left_over**2).to_numpy().sum() / (2 * len(lead_in))) < most


def test_default_outcomes_go_together_as_published() -> None:
    drawn = draw_coefficients(DEFAULT_TRUTH, 20_000, seed=1)
    level = np.corrcoef(drawn["alsfrsr"].level, drawn["fvc"].level)[0, 1]
    slope = np.corrcoef(drawn["alsfrsr"].slope, drawn["fvc"].slope)[0, 1]
    assert level == pytest.approx(0.31, abs=0.03)  # PRO-ACT (PMID 34076262)
    assert 0.3 < slope < 0.5  # by judgement, a little less than the 0.4 of the copula


# Every trial is a possible one


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(min_value=0, max_value=10**6))
def test_default_design_keeps_its_shape_for_any_seed(seed: int) -> None:
    tables = simulate(DEFAULT_DESIGN, DEFAULT_TRUTH, seed).tables
    patients, injections = tables["patients"], tables["injections"]
    assert len(patients) == 20
    assert injections["injection"].value_counts().sort_index().tolist() == [19, 12, 10]
    gaps = injections.groupby("patient")["month"].diff().dropna()
    assert gaps.between(3, 6).all()
    waited = injections.groupby("patient")["month"].shift().fillna(-3.0) + 3
    assert injections["planned_month"].to_numpy() == pytest.approx(waited.to_numpy(), abs=0.011)
    assert injections["dose"].between(60, 90).all()
    before = patients[~patients["patient"].isin(injections["patient"])]
    assert before["end_reason"].tolist() == ["withdrawal"]
    assert (before["end_month"] < 0).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(min_value=0, max_value=10**6))
def test_nothing_happens_after_the_end(seed: int) -> None:
    tables = simulate(replace(DEFAULT_DESIGN, death_hazard=0.1, dropout_hazard=0.1), DEFAULT_TRUTH, seed).tables
    patients = tables["patients"].set_index("patient")
    for name in ("visits", "injections", "events"):
        ended = tables[name]["patient"].map(patients["end_month"])
        assert (tables[name]["month"] <= ended).all()
    visits = tables["visits"].set_index("patient")
    died = patients.index[patients["end_reason"] == "death"].intersection(visits.index)
    assert (visits.loc[died, "month"] < patients["end_month"].reindex(visits.loc[died].index)).all()


def test_those_who_stop_early_are_those_who_would_leave_soonest() -> None:
    design = replace(DEFAULT_DESIGN, enrolled=2_000, patients_per_cycle=(2_000, 1_200, 1_000), death_hazard=0.05)
    simulated = simulate(design, DEFAULT_TRUTH, seed=1)
    received = simulated.tables["injections"]["patient"].value_counts().sort_index().to_numpy()
    level = np.array([patient["alsfrsr"]["level"] for patient in simulated.truth["patients"]])
    assert level[received == 1].mean() + 0.5 < level[received == 3].mean()


DESIGNS = {
    "default": (DEFAULT_DESIGN, DEFAULT_TRUTH),
    "no injection": (Design(enrolled=5), both(replace(NULL, change=()))),
    "no lead-in": (Design(enrolled=5, lead_in=0.0), both(NULL)),
    "no events": (Design(enrolled=5), both(NULL)),
    "sparse": (Design(enrolled=5, visit_spacing=3.0, visit_jitter=7, missed_visits=0.3), both(NULL)),
    "everything at once": (
        replace(
            DEFAULT_DESIGN,
            minimum_loss=1.0,
            interval_on_response=1.0,
            dropout_on_slope=1.0,
            missing_alsfrsr=0.3,
            missing_fvc=0.3,
        ),
        replace(
            DEFAULT_TRUTH,
            alsfrsr=replace(
                DEFAULT_TRUTH.alsfrsr,
                sigmoid_ceiling=48.0,
                onset_lag=1.0,
                half_life=3.0,
                autocorrelation_time=1.0,
                degrees_of_freedom=4.0,
                expectation_shift=1.0,
                expectation_half_life=2.0,
            ),
        ),
    ),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_every_simulated_trial_passes_the_door(name: str) -> None:
    simulated = simulate(*DESIGNS[name], seed=5)
    trial = trial_from_tables(name, simulated.tables, DEFAULT_SETTINGS)
    assert len(trial.patients) == DESIGNS[name][0].enrolled
    assert len(trial.visits) == len(simulated.tables["visits"])
    assert trial.synthetic


@pytest.mark.parametrize("name", DESIGNS)
def test_truth_names_every_parameter_and_patient_and_is_plain_json(name: str, tmp_path: Path) -> None:
    design, truth = DESIGNS[name]
    write(simulate(design, truth, seed=5), DEFAULT_SETTINGS, tmp_path)
    told = json.loads((tmp_path / "truth.json").read_text())
    assert told["seed"] == 5
    assert set(told["design"]) == {field.name for field in fields(Design)}
    for outcome in ("alsfrsr", "fvc"):
        assert set(told["population"][outcome]) == {field.name for field in fields(OutcomeTruth)}
        assert told["population"][outcome]["sigma"] == truth.outcomes[outcome].sigma
    assert told["population"]["correlation_levels"] == truth.correlation_levels
    assert len(told["patients"]) == design.enrolled
    assert len(told["patients"][0]["fvc"]["change"]) == truth.injections


# The same seed gives the same trial


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    one, again, other = (
        written(simulate(DEFAULT_DESIGN, DEFAULT_TRUTH, seed), tmp_path / str(k)) for k, seed in enumerate((3, 3, 4))
    )
    assert one == again
    assert [name for name in FILES if one[name] == other[name]] == ["trial.toml"]


def test_committed_trial_regenerates_byte_for_byte(tmp_path: Path) -> None:
    assert written(default_trial(), tmp_path) == {name: (COMMITTED / name).read_bytes() for name in FILES}


def test_files_have_unix_line_ends() -> None:
    for name in FILES:
        content = (COMMITTED / name).read_bytes()
        assert b"\r" not in content
        assert content.endswith(b"\n")


def test_written_and_in_memory_trial_are_the_same_through_the_door() -> None:
    memory = trial_from_tables("synthetic-msc-als", default_trial().tables, DEFAULT_SETTINGS)
    disk = read_trial(COMMITTED)
    for table in ("patients", "visits", "injections", "events"):
        pd.testing.assert_frame_equal(getattr(memory, table), getattr(disk, table), check_dtype=False)


def test_committed_trial_is_an_ordinary_one_of_the_published_shape() -> None:
    trial = read_trial(COMMITTED)
    assert trial.synthetic
    assert trial.title.startswith("SYNTHETIC")
    assert trial.source.startswith("SYNTHETIC")
    reasons = trial.patients["end_reason"].value_counts()
    assert reasons["death"] >= 1
    assert reasons["withdrawal"] + reasons["lost"] >= 2
    score = trial.visits["alsfrsr"].dropna()
    assert score.between(0, 48).all()
    assert (score % 1 == 0).all()
    assert 0.05 <= trial.visits["fvc"].isna().mean() <= 0.20
    assert not trial.events["serious"].any()
    assert trial.patients["age"].between(20, 70).all()
    assert trial.patients["onset_month"].between(-39, -3).all()


def test_committed_seed_is_the_first_that_meets_its_stated_rule() -> None:
    def meets(seed: int) -> bool:
        tables = simulate(DEFAULT_DESIGN, DEFAULT_TRUTH, seed).tables
        scored = tables["visits"].dropna(subset=["alsfrsr"])
        cycles = tables["injections"].sort_values("month").groupby("patient")["month"]
        for patient, starts in cycles:
            months = scored.loc[scored["patient"] == patient, "month"]
            ends = [*starts.iloc[1:], math.inf]
            if not all(months.between(a, b, inclusive="right").any() for a, b in zip(starts, ends, strict=True)):
                return False
        return bool((tables["patients"]["end_reason"] == "death").sum() > 1)

    assert [seed for seed in range(2021, DEFAULT_SEED + 1) if meets(seed)] == [DEFAULT_SEED]


@pytest.mark.parametrize("name", ["level", "slope", "response"])
def test_committed_sample_is_not_far_from_its_population(name: str) -> None:
    told = json.loads((COMMITTED / "truth.json").read_text())
    assert told["seed"] == DEFAULT_SEED
    for outcome, truth in DEFAULT_TRUTH.outcomes.items():
        values = np.array([patient[outcome][name] for patient in told["patients"]])
        error = getattr(truth, f"sd_{name}") / math.sqrt(len(values))
        assert abs(values.mean() - getattr(truth, name, 0.0)) < 2 * error


# What cannot be simulated is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slope_distribution": "cauchy"}, r"slope_distribution 'cauchy': use one of \('normal', "),
        ({"slope_distribution": "gamma", "slope": 0.2}, "a gamma slope needs slope < 0 and sd_slope > 0"),
        ({"sd_cycle": -0.1}, "standard deviation -0.1: use 0 or more"),
        ({"onset_lag": -1.0}, "lag, time or ceiling -1.0: use 0, which is off, or more"),
        ({"half_life": 0.0}, "half-life of 0 or less: use inf"),
        ({"degrees_of_freedom": 2.0}, "degrees_of_freedom 2.0: use more than 2"),
        ({"sd_cycle": -0.1, "half_life": 0.0}, "standard deviation .*; half-life of 0"),
    ],
)
def test_impossible_truth_of_an_outcome_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(NULL, **changes)


def test_impossible_truth_across_outcomes_is_refused() -> None:
    with pytest.raises(ValueError, match="correlations contradict each other"):
        both(
            replace(NULL, correlation_level_slope=0.9, correlation_level_response=-0.9, correlation_slope_response=0.9)
        )
    with pytest.raises(ValueError, match=r"unequal numbers of changes, \{'alsfrsr': 2, 'fvc': 1\}"):
        Truth(alsfrsr=NULL, fvc=untreated(NULL))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"enrolled": 5, "patients_per_cycle": (6, 2)}, r"patients_per_cycle \(6, 2\) of 5 enrolled rises"),
        ({"patients_per_cycle": (6, 2), "data_cut": 5.0}, "a data_cut would undo patients_per_cycle"),
        ({"interval": (6.0, 3.0)}, r"interval \(6.0, 3.0\): give \(shortest, longest\)"),
        ({"enrolled": 0}, "enrolled 0: give at least 1"),
        ({"visit_jitter": 20}, "visit_jitter mixes up visits"),
    ],
)
def test_impossible_design_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Design(), **changes)


@pytest.mark.parametrize(
    ("design", "truth", "message"),
    [
        (Design(patients_per_cycle=(19,)), both(NULL), "1 patients_per_cycle, 2 changes: give as many of one"),
        (Design(enrolled=2, minimum_loss=40.0), both(BARE), "0 of 512 candidates meet the entry rules, 2 are needed"),
        (
            Design(enrolled=2),
            both(replace(NULL, slope_distribution="mixture", sd_slope=0.3)),
            "an SD of 0.3 is too small for a mean of -1.03: use gamma or a larger SD",
        ),
    ],
)
def test_design_and_truth_that_do_not_fit_are_refused(design: Design, truth: Truth, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate(design, truth, seed=1)


# ---- an effect of the interval ----

ALL_GIVEN = Design(enrolled=40, follow_up=6.0)


def changes_and_intervals(effect: IntervalEffect | None) -> tuple[np.ndarray, np.ndarray]:
    """True changes (patient, injection) and, from the injections given, the intervals (patient, injection less one)."""
    simulated = simulate(ALL_GIVEN, both(replace(NULL, change=(0.1, 0.2, 0.3))), 7, effect)
    change = np.array([patient["alsfrsr"]["change"] for patient in simulated.truth["patients"]])
    months = simulated.tables["injections"].pivot_table(index="patient", columns="injection", values="month").to_numpy()
    return change, np.diff(months, axis=1)


def test_an_effect_of_the_interval_moves_the_changes_by_what_differs_within_and_between() -> None:
    change, interval = changes_and_intervals(IntervalEffect(within=0.2, between=-0.1))
    own = interval.mean(axis=1, keepdims=True)
    within = np.column_stack([interval - own, np.zeros(40)])
    np.testing.assert_allclose(change, [0.1, 0.2, 0.3] + 0.2 * within - 0.1 * (own - 4.5), atol=0.005)


def test_the_interval_has_no_effect_unless_one_is_given_and_then_on_one_outcome() -> None:
    truth = both(replace(NULL, change=(0.1, 0.2, 0.3)))
    without, with_effect = (simulate(ALL_GIVEN, truth, 7, e) for e in (None, IntervalEffect(0.2, 0.2)))
    assert "interval_effect" not in without.truth
    assert with_effect.truth["interval_effect"] == {"within": 0.2, "between": 0.2, "outcome": "alsfrsr"}
    pd.testing.assert_frame_equal(without.tables["injections"], with_effect.tables["injections"])
    pd.testing.assert_series_equal(without.tables["visits"]["fvc"], with_effect.tables["visits"]["fvc"])
    assert not without.tables["visits"]["alsfrsr"].equals(with_effect.tables["visits"]["alsfrsr"])


def test_an_interval_that_both_acts_and_follows_from_the_response_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot both cause the response and depend on it: set one to 0"):
        simulate(replace(ALL_GIVEN, interval_on_response=1.0), both(NULL), 1, IntervalEffect(within=0.1))


@pytest.mark.parametrize("cycles", [0, 1])
def test_without_a_next_injection_the_interval_has_no_effect(cycles: int) -> None:
    truth = both(replace(NULL, change=(0.1,) * cycles))
    simulated = simulate(Design(enrolled=5), truth, 3, IntervalEffect(0.5, 0.5))
    assert [patient["alsfrsr"]["change"] for patient in simulated.truth["patients"]] == [[0.1] * cycles] * 5

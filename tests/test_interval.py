"""The regression of the response on the interval: lengths of cycles, both paths of the engine, and its checks."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from posteriors import posterior_from
from scipy.stats import multivariate_normal
from trials import ROOT, line_trial

from slopeshift.answers import quantities as effects
from slopeshift.answers.interval import (
    COLUMNS,
    HARDLY,
    by_window,
    changes,
    control_fires,
    curve,
    table,
    window_fires,
    window_value,
)
from slopeshift.design.cycles import cycle_lengths, mean_interval, seen_changes, source_words, split
from slopeshift.design.shape import Shape
from slopeshift.design.visits import visits_of
from slopeshift.engine import exact
from slopeshift.engine.terms import terms_of
from slopeshift.fit.sample import prior_draws
from slopeshift.model.covariates import Covariate
from slopeshift.model.families import log_likelihood
from slopeshift.model.files import load_model
from slopeshift.model.priors import Normal
from slopeshift.report.figures.interval import response_against_interval
from slopeshift.report.figures.vector import svg
from slopeshift.report.sections.limitations import of_report
from slopeshift.report.words import glossary
from slopeshift.report.words.interval import WINDOW_RATES, sentences
from slopeshift.trial import trial_from_tables

SETTINGS = {"title": "Intervals", "synthetic": True, "source": "test"}


def injected(months, planned=None):
    """A trial whose patients were injected at these months; `planned` likewise, NaN where no plan is recorded."""
    rows = [(f"P{i}", k, m) for i, times in enumerate(months, 1) for k, m in enumerate(times, 1)]
    injections = pd.DataFrame(rows, columns=["patient", "injection", "month"])
    if planned is not None:
        injections["planned_month"] = np.concatenate([np.array(times, dtype=float) for times in planned])
    names = [f"P{i}" for i in range(1, len(months) + 1)]
    visits = pd.DataFrame(
        [(n, m, 40) for n in names for m in (-2.0, 0.0, 1.0)], columns=["patient", "month", "alsfrsr"]
    )
    tables = {"patients": pd.DataFrame({"patient": names}), "visits": visits, "injections": injections}
    return trial_from_tables("intervals", tables, SETTINGS)


# ---- lengths of cycles ----


def test_a_cycle_lasts_from_its_injection_to_the_next_and_the_last_has_no_length():
    lengths = cycle_lengths(injected([[0, 3, 7.5], [0, 5], [0]]))
    assert lengths.to_dict("list") == {
        "patient": ["P1", "P1", "P2"],
        "injection": [1, 2, 1],
        "months": [3, 4.5, 5],
        "source": ["actual"] * 3,
    }


def test_the_planned_length_runs_from_the_actual_injection_to_the_planned_month_of_the_next():
    lengths = cycle_lengths(injected([[0, 4, 9], [0, 5]], [[0, 3, 10], [0, 6]]))
    assert lengths["months"].tolist() == [3, 6, 6]
    assert set(lengths["source"]) == {"planned"}


@pytest.mark.parametrize(
    ("planned", "why"),
    [
        ([[0, 3, 7.1], [0, 3]], "same interval of 3.0 months was planned for everyone"),
        ([[0, np.nan, 9], [0, 6]], "missing for 1 of 3 closed cycles"),
        ([[0, np.nan, np.nan], [0, np.nan]], "no planned month is recorded"),
        ([[0, 3, 4], [0, 6]], "some injections were given after the next one was planned"),
        (None, "no planned month is recorded"),
    ],
)
def test_planned_lengths_that_cannot_be_used_give_way_to_the_actual_ones_and_say_why(planned, why):
    trial = injected([[0, 4, 9], [0, 5]], planned)
    lengths = cycle_lengths(trial)
    assert lengths["months"].tolist() == [4, 5, 5]
    assert set(lengths["source"]) == {"actual"}
    assert why in source_words(trial)
    assert "without being its effect" in source_words(trial)


def test_used_plans_are_said_to_be_fixed_before_the_cycle():
    assert source_words(injected([[0, 4], [0, 5]], [[0, 3], [0, 6]])).startswith("Intervals are the planned ones")


@pytest.mark.parametrize("injections", [0, 1])
def test_without_a_closed_cycle_there_is_no_length_and_nothing_to_say(injections):
    trial = line_trial(injections=injections)
    lengths = cycle_lengths(trial)
    assert lengths.empty
    assert lengths.columns.tolist() == ["patient", "injection", "months", "source"]
    assert source_words(trial) == ""


# ---- within and between ----


def test_intervals_split_into_what_differs_within_and_between_patients():
    trial = injected([[0, 3, 8], [0, 5], [0], []])
    within, between = split(trial, visits_of(trial, "alsfrsr"))
    np.testing.assert_allclose(within, [[-1, 1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(between, np.outer([4 - 4.5, 5 - 4.5, 0, 0], [1, 1, 1]))
    assert mean_interval(cycle_lengths(trial)) == 4.5


@settings(max_examples=10, deadline=None)
@given(st.lists(st.lists(st.integers(1, 300), max_size=4), min_size=1, max_size=6))
def test_the_parts_add_up_to_the_distance_from_the_mean_and_centre_on_it(gaps):
    trial = injected([np.cumsum([0, *patient]) / 10 for patient in gaps])
    within, between = split(trial, visits_of(trial, "alsfrsr"))
    lengths = cycle_lengths(trial)
    row = [int(patient[1:]) - 1 for patient in lengths["patient"]]
    column = lengths["injection"].to_numpy() - 1
    away = lengths["months"] - mean_interval(lengths)
    np.testing.assert_allclose((within + between)[row, column], away, atol=2e-3)
    np.testing.assert_allclose(within.sum(axis=1), 0, atol=1e-2)
    np.testing.assert_allclose(between[:, 0].sum(), 0, atol=1e-2)


def test_what_was_seen_is_the_slope_of_the_first_months_less_that_of_the_lead_in():
    trial = line_trial(patients=3, injections=3)
    visits = visits_of(trial, "alsfrsr")
    moved = trial.injections.assign(month=lambda t: t["month"].where(t["injection"] < 3, t["month"] + 1))
    tables = {"patients": trial.patients, "visits": trial.visits, "injections": moved}
    seen = seen_changes(trial_from_tables("lines", tables, SETTINGS), visits, 3.0)
    assert seen[["patient", "injection", "months"]].to_numpy().tolist() == [
        ["P1", 1, 4], ["P1", 2, 5], ["P2", 1, 4], ["P2", 2, 5],
    ]  # fmt: skip
    own = trial.visits[trial.visits["patient"] == "P2"].set_index("month")["alsfrsr"]
    expected = np.polyfit([4, 5, 6], own.loc[[4, 5, 6]], 1)[0] - np.polyfit([-3, -2, -1, 0], own.loc[-3:0], 1)[0]
    assert seen["seen"].iloc[3] == pytest.approx(expected)


def test_equal_intervals_show_nothing():
    trial = line_trial(injections=3)
    assert seen_changes(trial, visits_of(trial, "alsfrsr"), 3.0).empty


# ---- a window at the beginning of every cycle ----


def test_in_a_window_the_basis_counts_its_months_apart_from_those_of_the_rest():
    trial = injected([[0, 2, 7]])
    whole, cut = visits_of(trial, "alsfrsr"), visits_of(trial, "alsfrsr", Shape(window=3.0))
    assert cut.coefficients == ("level", "slope", "change 1", "later 1", "change 2", "later 2", "change 3", "later 3")
    month = np.array([0, 1, 2, 4, 6, 9, 11.0])
    expected = [
        [0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0], [2, 0, 2, 0, 0, 0],
        [2, 0, 3, 1, 0, 0], [2, 0, 3, 2, 2, 0], [2, 0, 3, 2, 3, 1],
    ]  # fmt: skip
    np.testing.assert_allclose(cut.basis_of(0, month)[:, 2:], expected)
    cycles = whole.basis_of(0, month)[:, 2:]
    np.testing.assert_allclose(cut.basis_of(0, month)[:, 2:].reshape(7, 3, 2).sum(axis=2), cycles)


def test_only_values_within_the_window_inform_its_change():
    trial = line_trial(patients=2, injections=2)
    assert visits_of(trial, "alsfrsr").visits_in_cycle[0].tolist() == [4, 4]
    assert visits_of(trial, "alsfrsr", Shape(window=2.0)).visits_in_cycle[0].tolist() == [2, 2]


# ---- covariates in the engine ----

FILES = {name: ROOT / "models" / f"{name}.py" for name in ("interval", "interval_fixed_window")}


def irregular(patients=8, seed=0):
    """A small trial of straight lines whose intervals differ within and between patients."""
    trial, rng = line_trial(patients, injections=3, seed=seed), np.random.default_rng(seed)
    gaps = rng.uniform(3, 5, (patients, 2)).round(1)
    table = trial.injections
    place = table["patient"].str[1:].astype(int) - 1
    steps = np.column_stack([np.zeros(patients), gaps]).cumsum(axis=1)
    moved = table.assign(month=steps[place, table["injection"] - 1])
    tables = {"patients": trial.patients, "visits": trial.visits, "injections": moved}
    return trial_from_tables("irregular", tables, SETTINGS)


def test_the_density_is_that_of_a_dense_normal_with_the_regression_in_its_mean():
    file, trial = load_model(FILES["interval"]), irregular()
    model, visits = file.build(trial), file.visits(trial)
    point = model.initial_point()
    rng = np.random.default_rng(3)
    point = {key: value + 0.3 * rng.normal(size=np.shape(value)) for key, value in point.items()}
    loading, sigma = model.compile_fn(
        model.replace_rvs_by_values([model["loading"], model["sigma"]]),
        inputs=model.value_vars,
        on_unused_input="ignore",
    )(point)
    mean, sd, design, shift = (model[key].get_value() for key in ("term_mean", "term_sd", "term_design", "covariates"))
    columns = [
        [sum(visits.basis[j, a] * shift[c, i, a] for a in range(len(shift[c, i]))) for c in range(len(shift))]
        for j, i in enumerate(visits.patient_index)
    ]
    x = visits.basis @ design
    x[:, -len(shift) :] = columns
    same = visits.patient_index[:, None] == visits.patient_index
    covariance = x @ np.diag(sd**2) @ x.T + (visits.basis @ loading @ loading.T @ visits.basis.T) * same
    expected = multivariate_normal.logpdf(visits.value, x @ mean, covariance + sigma**2 * np.eye(len(same)))
    assert model.compile_logp(vars=[model["alsfrsr"]])(point) == pytest.approx(expected, rel=1e-9)


def drawn_back(name, trial, draws=4000):
    """Draw back at one fixed loading and sigma: draws, model file, and the data that the model records."""
    file = load_model(FILES[name])
    model, visits = file.build(trial), file.visits(trial)
    rng = np.random.default_rng(5)
    shape = model["term_design"].get_value().shape[0], len(model.coords["source"])
    loading = np.tril(0.4 * rng.normal(size=shape)) + 0.2 * np.eye(*shape)
    fixed = xr.Dataset(
        {
            "loading": (("chain", "draw", "coefficient", "source"), np.broadcast_to(loading, (1, draws, *shape))),
            "sigma": (("chain", "draw"), np.full((1, draws), 1.7)),
        },
        coords={"chain": [0], "draw": range(draws), "coefficient": list(visits.coefficients)},
    )
    data = terms_of(model)
    return exact.with_posterior_coefficients(fixed, visits, data, seed=6)[0], visits, data, loading


@pytest.mark.parametrize("name", FILES)
def test_coefficients_drawn_back_are_totals_with_the_moments_of_the_dense_posterior(name):
    """Population, regression and each patient's total change, against the normal conditional by dense matrices."""
    draws, visits, data, loading = drawn_back(name, irregular())
    shift, design = data["covariates"].to_numpy(), data["term_design"].to_numpy()
    n, p, m, q = len(visits.patients), len(visits.coefficients), design.shape[1], loading.shape[1]
    # Everything unknown in one vector: the terms, then every patient's z; theta_i = (design + shift) terms + loading z.
    to_theta = np.zeros((n, p, m + n * q))
    for i in range(n):
        to_theta[i, :, :m] = design
        to_theta[i, :, m - len(shift) : m] += shift[:, i].T
        to_theta[i, :, m + i * q : m + (i + 1) * q] = loading
    x = np.einsum("va,vam->vm", visits.basis, to_theta[visits.patient_index])
    prior_mean = np.concatenate([data["term_mean"].to_numpy(), np.zeros(n * q)])
    precision = np.concatenate([data["term_sd"].to_numpy() ** -2.0, np.ones(n * q)])
    covariance = np.linalg.inv(x.T @ x / 1.7**2 + np.diag(precision))
    mean = covariance @ (x.T @ visits.value / 1.7**2 + precision * prior_mean)
    by_name = {
        "regression": np.eye(m + n * q)[m - len(shift) : m],
        "population": np.hstack([design, np.zeros((p, n * q))]),
        "coefficients": to_theta.reshape(n * p, -1),
    }
    for key, weights in by_name.items():
        found = draws[key].to_numpy().reshape(4000, -1)
        sd = np.sqrt(np.einsum("km,mn,kn->k", weights, covariance, weights))
        assert (abs(found.mean(axis=0) - weights @ mean) < 5 * sd / np.sqrt(4000)).all(), key
        np.testing.assert_allclose(found.std(axis=0), sd, rtol=0.07)


def test_the_mean_at_a_visit_is_basis_times_coefficients_with_the_regression_in_it():
    """What every reader of a fit does, which is why totals are stored."""
    draws, visits, data, _ = drawn_back("interval", irregular(), draws=3)
    one = draws.isel(chain=0, draw=1)
    total, regression = one["coefficients"].to_numpy(), one["regression"].to_numpy()
    within, between = data["covariates"].to_numpy()
    own = total - regression[0] * within - regression[1] * between
    by_hand = (visits.basis * own[visits.patient_index]).sum(axis=1)
    for coefficient, x in zip(regression, (within, between), strict=True):
        by_hand += coefficient * (visits.basis[:, 2:] * x[visits.patient_index][:, 2:]).sum(axis=1)
    expected = -0.5 * ((visits.value - by_hand) / 1.7) ** 2 - np.log(1.7 * np.sqrt(2 * np.pi))
    found = log_likelihood("normal", draws, visits).isel(chain=0, draw=1)
    np.testing.assert_allclose(found, expected)


def test_in_the_prior_too_a_patients_changes_have_the_regression_in_them():
    file, trial = load_model(FILES["interval"]), irregular()
    tree = prior_draws(file.build(trial), file.visits(trial), 500, seed=1)
    draws, data = tree["prior"].to_dataset(), tree["constant_data"].to_dataset()
    still = draws.assign(loading=0.0 * draws["loading"])
    again = exact.with_prior_coefficients(still, file.visits(trial), data, seed=2)
    expected = again["population"] + (again["regression"] * data["covariates"]).sum("covariate")
    xr.testing.assert_allclose(again["coefficients"], expected.transpose(*again["coefficients"].dims))
    assert 0.08 < float(again["regression"].std()) < 0.12


def test_a_covariate_with_a_hole_is_refused():
    with pytest.raises(ValueError, match="'dose' has 1 values that are not finite; give every cycle a value"):
        Covariate("dose", on="change", by_cycle=np.array([[1.0, np.nan]]), prior=Normal(0, 1))


# ---- what is reported ----


def made_up(name, trial, regression, seed=1):
    """The posterior of a fit, given its coefficients of the interval: (chain, draw, covariate), or (chain, draw)."""
    file = load_model(ROOT / "models" / f"{name}.py")
    tree = prior_draws(file.build(trial), file.visits(trial), 400, seed=seed)
    names, prior = tree["prior"].to_dataset(), tree["prior"].to_dataset()
    several = xr.concat([names.isel(draw=slice(0, 200)), names.isel(draw=slice(200, 400))], "chain", join="override")
    key = "interval_control" if "interval_control" in several else "regression"
    posterior = several.assign({key: (several[key].dims, regression)}).assign_coords(chain=[0, 1])
    design = tree["constant_data"].to_dataset()
    of = {"trial": trial, "visits": file.visits(trial), "model": name}
    return posterior_from(posterior, design, **of, prior=prior, passed=True)


def normals(mean, sd, *shape):
    return mean + sd * np.random.default_rng(8).normal(size=(2, 200, *shape))


@pytest.fixture(scope="module")
def uneven():
    return irregular()


@pytest.fixture(scope="module")
def fits(uneven):
    return [
        made_up("interval", uneven, normals(0.05, 0.02, 2)),
        made_up("interval_fixed_window", uneven, normals(0.0, 0.0995, 2)),
        made_up("interval_negative_control", uneven, normals(0.3, 0.1)),
    ]


@pytest.fixture(scope="module")
def found(fits):
    return table(fits)


def test_the_table_has_a_row_for_each_coefficient_with_all_its_columns(found):
    assert tuple(found.columns) == tuple(COLUMNS)
    assert list(zip(found["analysis"], found["quantity"], found["unit"], strict=True)) == [
        ("whole cycle", "interval_within", "points/month per month"),
        ("whole cycle", "interval_between", "points/month per month"),
        ("fixed window", "interval_within", "points/month per month"),
        ("fixed window", "interval_between", "points/month per month"),
        ("negative control", "interval_control", "months per points/month"),
    ]
    assert (found["n_cycles"] == 14).all()
    assert (found["n_patients"] == 7).all()


def test_the_table_summarises_the_draws(fits, found):
    draws = fits[0].draws["regression"].sel(covariate="interval_within").to_numpy().ravel()
    row = found.iloc[0]
    assert row["mean"] == pytest.approx(draws.mean())
    assert row["prob_shorter_better"] == pytest.approx((draws < 0).mean())
    assert row["prob_positive"] == pytest.approx((draws > 0).mean())
    assert row["contraction"] == pytest.approx(1 - (draws.std(ddof=1) / row["prior_sd"]) ** 2)
    assert np.isnan(found.iloc[4]["prob_shorter_better"]), "the control is not about what is better"


def test_a_coefficient_that_the_data_hardly_narrow_is_called_so(found):
    assert found["note"].tolist() == ["", "", *["hardly informed: mostly the prior"] * 2, ""]


def test_a_fit_that_failed_its_gate_shows_no_number_and_says_so(fits):
    failed = table([replace(fits[0], passed=False)])
    assert failed[["mean", "lower", "prob_positive", "prior_sd"]].isna().all(axis=None)
    assert (failed["note"] == "not shown: the fit failed its diagnostics gate").all()


UNINFORMED = {
    0: {"no patient had two injections"},
    1: {"no patient had two injections"},
    3: {
        "no patient had two intervals of different length",
        "patients do not differ in their mean interval",
        "fewer than three closed cycles show a change, or all intervals are equal",
    },
}


@pytest.mark.parametrize("injections", UNINFORMED)
@pytest.mark.parametrize("name", ["interval", "interval_fixed_window", "interval_negative_control"])
def test_what_no_interval_informs_has_no_number_in_any_table(name, injections):
    trial = line_trial(injections=injections)
    shape = () if name == "interval_negative_control" else (2,)
    fit = made_up(name, trial, normals(0.0, 0.1, *shape))
    found = table([fit])
    assert found[["mean", "sd", "lower", "upper", "prob_positive", "prob_shorter_better"]].isna().all(axis=None)
    reasons = {note.removeprefix("not informed: ").removesuffix("; prior only") for note in found["note"]}
    assert reasons <= UNINFORMED[injections]
    quantities = effects.population(fit)["quantity"].to_numpy()
    assert not [quantity for quantity in quantities if quantity.startswith("interval")]
    lengths = cycle_lengths(trial)
    assert curve(fit, lengths).empty
    assert len(changes(fit, lengths)) == len(lengths)
    assert all("prior only" in sentence for sentence in sentences(found, "")[: len(found)])


def test_population_quantities_have_the_coefficients_so_that_the_gate_judges_them(fits):
    for fit in fits:
        rows = effects.population(fit)
        chosen = rows.isel(row=[str(q).startswith("interval_") for q in rows["quantity"].to_numpy()])
        assert set(chosen["unit"].to_numpy()) <= {"points/month per month", "months per points/month"}
        assert set(chosen["quantity"].to_numpy()) <= set(glossary.definitions())
        assert chosen.sizes["row"] == len(table([fit]))


def test_models_without_an_interval_have_no_row():
    assert table([]).empty
    assert tuple(table([]).columns) == tuple(COLUMNS)


def test_the_curve_is_the_mean_change_at_the_mean_interval_and_rises_by_the_coefficient(fits, uneven):
    posterior = fits[0]
    lengths = cycle_lengths(uneven)
    lines = curve(posterior, lengths, points=3)
    rows = effects.population(posterior)
    overall = rows.sel(row=(rows["quantity"] == "change") & (rows["injection"] == "overall"))
    assert overall.sizes["row"] == 1
    for name, line in lines.groupby("quantity"):
        coefficient = float(posterior.draws["regression"].sel(covariate=name).mean())
        rise = (line["mean"].iloc[2] - line["mean"].iloc[0]) / (line["months"].iloc[2] - line["months"].iloc[0])
        assert rise == pytest.approx(coefficient)
        at_mean = line["mean"].iloc[0] + coefficient * (mean_interval(lengths) - line["months"].iloc[0])
        assert at_mean == pytest.approx(float(overall.mean()))
    assert (lines["lower"] < lines["upper"]).all()


def test_every_closed_cycle_stands_beside_its_patients_own_change(fits, uneven):
    posterior = fits[0]
    rows = changes(posterior, cycle_lengths(uneven))
    assert len(rows) == 14
    own = posterior.draws["coefficients"].sel(patient="P2", coefficient="change 2").mean()
    assert rows.set_index(["patient", "injection"]).loc[("P2", 2), "mean"] == pytest.approx(float(own))


def test_a_control_that_fires_forbids_to_read_the_result_as_an_effect(found):
    assert control_fires(found)
    words = " ".join(sentences(found, "Intervals are the actual ones."))
    assert "not to be read as an effect of the interval" in words
    assert "0.26, 0.43 and 0.58" in words
    assert "Intervals are the actual ones." in words


def test_a_silent_control_is_said_to_be_no_proof_and_a_missing_one_to_be_missing(found):
    silent = found.assign(lower=found["lower"].where(found["analysis"] != "negative control", -0.1))
    assert not control_fires(silent)
    assert "found no sign of it" in sentences(silent, "")[-2]
    assert "could not be informed" in sentences(found[found["analysis"] != "negative control"], "")[-2]


# ---- whole cycles against a fixed window ----

KNOWN = {"outcome": "alsfrsr", "unit": "points/month per month", "lower": -1.0, "upper": 1.0, "prior_sd": 0.1}
KNOWN |= {"prob_shorter_better": 0.5, "mcse": 0.0, "n_cycles": 9, "n_patients": 5, "note": ""}


def two_analyses(moves=((-0.08, 0.02), (-0.08, 0.02)), sds=(0.04, 0.05), contraction=0.8, ess=4000.0):
    """A table of both coefficients: for each the means from whole cycles and the window; SDs of both analyses."""
    rows = [
        {"model": model, "analysis": analysis, "quantity": f"interval_{which}", "mean": mean[place], "sd": sds[place]}
        for place, (model, analysis) in enumerate(
            (("interval", "whole cycle"), ("interval_fixed_window", "fixed window"))
        )
        for which, mean in zip(("within", "between"), moves, strict=True)
    ]
    known = KNOWN | {"ess_bulk": ess, "contraction": contraction}
    return pd.DataFrame(rows).assign(**known).reindex(columns=COLUMNS)


def test_a_coefficient_that_the_window_moves_fires_and_one_that_it_leaves_does_not():
    assert window_fires(two_analyses())
    assert not window_fires(two_analyses(((-0.08, -0.08), (-0.08, -0.07))))
    assert not window_fires(two_analyses(((-0.08, 0.0), (0.0, -0.08)))), "moves that oppose each other are no course"


def test_a_move_must_be_beyond_chance_and_worth_something():
    by_hand = np.sqrt(0.05**2 - 0.04**2 + np.sqrt(2 * 0.04**4 / 4000 + 2 * 0.05**4 / 4000))
    moved = two_analyses(((0.0, 0.05), (0.0, 0.05)))
    np.testing.assert_allclose(by_window(moved)["error"], by_hand)
    chance, worth = 0.05 / (2.5758 * by_hand / 2**0.5), 0.05 / (0.5 * 0.04 / 2**0.5)
    assert window_value(moved) == pytest.approx(min(chance, worth), rel=1e-4)
    hardly = two_analyses(((0.0, 0.012), (0.0, 0.012)), sds=(0.04, 0.0401), ess=1e9)
    assert window_value(hardly) == pytest.approx(0.012 / (0.5 * 0.04 / 2**0.5)), "sure of a trifle"


def test_few_draws_make_a_move_less_sure():
    assert window_value(two_analyses(sds=(0.045, 0.05), ess=100)) < window_value(two_analyses(sds=(0.045, 0.05)))


@pytest.mark.parametrize(
    "found",
    [
        two_analyses(contraction=HARDLY / 2),
        two_analyses().query("analysis == 'whole cycle'"),
        two_analyses().assign(mean=np.nan, sd=np.nan, mcse=np.nan, contraction=np.nan),
        two_analyses()[:0],
        two_analyses().drop(columns=["contraction", "model"]),
    ],
    ids=["hardly informed", "one analysis", "failed gate", "empty", "a second stage alone"],
)
def test_what_cannot_be_compared_does_not_fire_and_is_said_to_be_missing(found):
    assert by_window(found).empty
    assert np.isnan(window_value(found))
    assert not window_fires(found)


def test_one_coefficient_that_is_informed_is_enough():
    found = two_analyses()
    assert window_fires(found[found["quantity"] == "interval_between"])


def test_the_model_of_the_interval_is_compared_whatever_else_asks_the_same():
    found = two_analyses()
    other = found[found["analysis"] == "whole cycle"].assign(model="formula", mean=5.0)
    assert window_value(pd.concat([other, found], ignore_index=True)) == window_value(found)


@pytest.mark.slow
def test_chance_fires_in_one_trial_of_a_hundred_over_what_the_prior_holds_possible():
    """Normal data with a common prior: the rest of the cycles is added to what the window knows."""
    rng, prior_sd, window_sd, rest_sd = np.random.default_rng(2), 0.1, 0.12, 0.09
    whole_precision = window_sd**-2 + rest_sd**-2
    sds = tuple((prior_sd**-2 + precision) ** -0.5 for precision in (whole_precision, window_sd**-2))
    fired = 0
    for _ in range(1000):
        truth = rng.normal(0, prior_sd, 2)
        window, rest = truth + rng.normal(0, window_sd, 2), truth + rng.normal(0, rest_sd, 2)
        means = sds[0] ** 2 * (window / window_sd**2 + rest / rest_sd**2), sds[1] ** 2 * window / window_sd**2
        fired += window_fires(two_analyses(tuple(zip(*means, strict=True)), sds, ess=1e9))
    assert 2 <= fired <= 22


def test_a_window_that_moves_forbids_to_read_the_interval_as_an_effect():
    said = sentences(two_analyses(), "")[-1]
    assert "between patients −0.08 from whole cycles and +0.02 from their first months" in said
    assert "not to be read as what another interval would do" in said
    silent = sentences(two_analyses(((-0.08, -0.08), (-0.08, -0.07))), "")[-1]
    assert "differ by no more than chance makes them" in silent
    assert "could not be compared" in sentences(two_analyses(contraction=0.05), "")[-1]


def test_a_window_that_moves_weakens_the_report():
    trial = line_trial()
    weak = "comes from when the change is seen"
    assert any(weak in line for line in of_report(trial, [], {}, two_analyses()))
    assert not any(weak in line for line in of_report(trial, [], {}, two_analyses(contraction=0.05)))


def test_the_rates_that_are_told_of_the_window_are_those_measured():
    rates = pd.read_csv(ROOT / "validation" / "traps.csv").query(
        "check == 'interval, whole cycles against a fixed window'"
    )
    for patients, rows in rates.groupby("patients_on"):
        assert f"in {100 * rows['fired_on'].iloc[0]:.0f} % of trials of {patients} patients" in WINDOW_RATES
    assert f"in at most {100 * rates['fired_off'].max():.0f} %" in WINDOW_RATES


def test_two_models_of_one_analysis_are_told_apart(found):
    again = found[found["analysis"] == "whole cycle"].assign(model="other")
    words = [sentence.split(":")[0] for sentence in sentences(pd.concat([found, again]), "")]
    assert words[:6:2] == ["By interval.py", "By interval_fixed_window.py", "By other.py"]
    assert not sentences(found, "")[0].startswith("By ")


def test_nothing_is_said_where_no_model_regresses_on_the_interval():
    assert sentences(table([]), "") == []


@pytest.mark.parametrize("empty", [False, True])
def test_the_figure_has_a_panel_for_each_line_and_every_cycle_as_a_point(fits, uneven, empty):
    posterior = fits[0]
    lengths = cycle_lengths(uneven)
    points, lines = changes(posterior, lengths), curve(posterior, lengths)
    figure = response_against_interval(points[:0] if empty else points, lines[:0] if empty else lines, "points/month")
    panels = figure.axes
    assert len(panels) == (1 if empty else 2)
    assert panels[-1].get_xlabel() == "Months to the next injection"
    assert [len(ax.lines[0].get_xdata()) for ax in panels] == ([0] if empty else [14, 14])
    svg(figure, "interval", "the response against the interval")

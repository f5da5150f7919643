"""Effects: every reported quantity against its definition, written out by hand on small sets of draws."""

import gc
import weakref

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from posteriors import posterior_from

from slopeshift.answers import quantities

PATIENTS = ["P1", "P2", "P3", "P4"]
VISITS = np.array([[4, 3, 0], [5, 0, 0], [2, 2, 0], [0, 0, 0]])


def design(visits=VISITS, lead_in=(4, 1, 4, 3), sign=1):
    k = visits.shape[1]
    return xr.Dataset(
        {
            "visits_in_cycle": (("patient", "injection"), visits),
            "visits_in_lead_in": ("patient", list(lead_in)),
            "sign": sign,
        },
        coords={"patient": PATIENTS, "injection": list(range(1, k + 1))},
    )


def draws(k=3, slope=-1.0, seed=0, n=500):
    rng = np.random.default_rng(seed)
    coefficient = ["level", "slope", *(f"change {i}" for i in range(1, k + 1))]
    centre = np.array([35, slope, *[0.3] * k])
    pairs = ["level, slope", "level, response", "slope, response"] if k else ["level, slope"]
    dims = ("chain", "draw")
    spread = ("sd_level", "sd_slope", "sigma", *(("sd_response", "sd_cycle") if k else ()))
    return xr.Dataset(
        {
            "population": ((*dims, "coefficient"), centre + 0.05 * rng.normal(size=(2, n, k + 2))),
            "coefficients": ((*dims, "patient", "coefficient"), centre + 0.2 * rng.normal(size=(2, n, 4, k + 2))),
            "correlation": ((*dims, "pair"), rng.uniform(-1, 1, (2, n, len(pairs)))),
            **{name: (dims, rng.uniform(0.1, 1, (2, n))) for name in spread},
        },
        coords={"coefficient": coefficient, "patient": PATIENTS, "pair": pairs},
    )


def pick(rows, quantity, injection=""):
    chosen = rows.sel(row=(rows["quantity"] == quantity) & (rows["injection"] == injection))
    return chosen.squeeze("row").to_numpy()


def test_population_quantities_follow_their_definitions():
    d = draws()
    rows = quantities.population(posterior_from(d, design()))
    slope = d["population"].sel(coefficient="slope").to_numpy()
    one, two = (d["population"].sel(coefficient=f"change {k}").to_numpy() for k in (1, 2))
    np.testing.assert_allclose(pick(rows, "lead_in_slope"), slope)
    np.testing.assert_allclose(pick(rows, "change", "2"), two)
    np.testing.assert_allclose(pick(rows, "segment_slope", "2"), slope + two)
    np.testing.assert_allclose(pick(rows, "increment", "1"), one)
    np.testing.assert_allclose(pick(rows, "increment", "2"), two - one)
    np.testing.assert_allclose(pick(rows, "percent_slowing", "1"), -100 * one / slope)
    np.testing.assert_allclose(pick(rows, "rate_ratio", "1"), (slope + one) / slope)
    np.testing.assert_allclose(pick(rows, "prob_slowing_25", "1"), one >= -0.25 * slope)
    np.testing.assert_allclose(pick(rows, "correlation_slope_response"), d["correlation"].isel(pair=2))


def test_a_model_without_correlations_has_no_row_for_them():
    d = draws()
    with_them, without = (quantities.population(posterior_from(one, design())) for one in (d, d.drop_dims("pair")))
    left = [name for name in with_them["quantity"].to_numpy() if not name.startswith("correlation")]
    assert without["quantity"].to_numpy().tolist() == left != with_them["quantity"].to_numpy().tolist()


def test_overall_is_the_mean_over_informed_patient_cycles():
    d = draws()
    one, two = (d["population"].sel(coefficient=f"change {k}").to_numpy() for k in (1, 2))
    np.testing.assert_allclose(
        pick(quantities.population(posterior_from(d, design())), "change", "overall"), (3 * one + 2 * two) / 5
    )


def test_the_change_after_an_injection_is_its_row():
    posterior = posterior_from(draws(), design())
    rows = quantities.population(posterior)
    for injection in ("1", "2", "overall"):
        np.testing.assert_array_equal(quantities.change(posterior, injection), pick(rows, "change", injection))
    np.testing.assert_array_equal(quantities.change(posterior), pick(rows, "change", "overall"))


def test_a_change_that_nothing_informs_is_refused():
    with pytest.raises(LookupError, match="no value informs the change after injection '3'"):
        quantities.change(posterior_from(draws(), design()), "3")


def test_population_quantities_are_derived_once_for_each_posterior():
    one, other = posterior_from(draws(), design()), posterior_from(draws(), design())
    assert quantities.population(one) is quantities.population(one)
    assert quantities.population(one) is not quantities.population(other)


def test_what_was_derived_is_forgotten_with_its_posterior():
    posterior = posterior_from(draws(), design())
    derived = weakref.ref(quantities.population(posterior))
    del posterior
    gc.collect()
    assert derived() is None


def test_an_injection_that_informs_nobody_is_left_out():
    rows = quantities.population(posterior_from(draws(), design()))
    assert set(rows["injection"].to_numpy()) == {"", "1", "2", "overall"}


def test_units_are_those_of_the_outcome():
    rows = quantities.population(posterior_from(draws(), design(), unit="% predicted"))
    units = dict(zip(rows["quantity"].to_numpy(), rows["unit"].to_numpy(), strict=True))
    assert units["change"] == "% predicted/month"
    assert units["sigma"] == "% predicted"
    assert units["percent_slowing"] == "%"


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_percentages_are_withheld_where_the_population_may_not_decline(slope):
    rows = quantities.population(posterior_from(draws(slope=slope), design()))
    assert not {"percent_slowing", "rate_ratio"} & set(rows["quantity"].to_numpy())
    assert {"change", "segment_slope"} <= set(rows["quantity"].to_numpy())


def test_a_natural_history_cohort_has_slopes_and_spreads_only():
    d, plan = draws(k=0), design(np.empty((4, 0), int))
    posterior = posterior_from(d, plan)
    rows = quantities.population(posterior)
    assert list(rows["quantity"].to_numpy()) == [
        "level", "lead_in_slope", "sd_level", "sd_slope", "sigma", "correlation_level_slope",
    ]  # fmt: skip
    patient = quantities.patients(posterior)
    assert patient.sizes["row"] == 0
    assert quantities.responders(patient).empty
    assert quantities.change_curve(posterior).empty
    assert quantities.summarise(patient["change"]).empty


def test_slowing_needs_a_decline_to_slow():
    change, slope = xr.DataArray([0.3, 0.3, 0.2, 5.0]), xr.DataArray([-1.0, 0.5, -1.0, 0.0])
    assert list(quantities.slows(change, slope, sign=1).to_numpy()) == [True, False, False, False]


def test_a_cycle_that_a_patient_did_not_reach_has_no_row():
    rows = quantities.patients(posterior_from(draws(), design()))
    labels = list(zip(rows["patient"].to_numpy(), rows["injection"].to_numpy(), strict=True))
    assert labels == [
        ("P1", "1"), ("P1", "2"), ("P1", "overall"), ("P2", "1"), ("P2", "overall"),
        ("P3", "1"), ("P3", "2"), ("P3", "overall"),
    ]  # fmt: skip
    assert list(rows["n_visits"].to_numpy()) == [4, 3, 7, 5, 5, 2, 2, 4]


def test_patient_changes_are_the_patients_own_and_overall_is_their_mean():
    d = draws()
    rows = quantities.patients(posterior_from(d, design()))
    own = d["coefficients"].sel(patient="P3")
    one, two = (own.sel(coefficient=f"change {k}").to_numpy() for k in (1, 2))
    np.testing.assert_allclose(rows["change"].isel(row=6), two)
    np.testing.assert_allclose(rows["change"].isel(row=7), (one + two) / 2)
    np.testing.assert_allclose(rows["slope"].isel(row=7), own.sel(coefficient="slope"))


def test_responders_are_counted_draw_by_draw():
    rows = quantities.patients(posterior_from(draws(), design()))
    table = quantities.responders(rows, [25.0]).set_index("injection")
    first = rows.sel(row=rows["injection"] == "1")
    slowed = (first["change"] >= -0.25 * first["slope"]) & (first["slope"] < 0)
    counts, probability = slowed.sum("row").to_numpy().ravel(), slowed.mean(("chain", "draw")).to_numpy()
    row = table.loc["1"]
    assert row["n_patients"] == 3
    assert row["expected"] == pytest.approx(counts.mean())
    assert (counts < row["lower"]).mean() <= 0.025 <= (counts <= row["lower"]).mean()
    assert row["expected_false_claims"] == pytest.approx((1 - probability[probability > 0.8]).sum())
    assert row["n_called"] == (probability > 0.8).sum()
    assert set(table.index) == {"1", "2", "overall"}


def test_flags_say_short_lead_in_and_undefined_percentages():
    d = draws()
    d["coefficients"].loc[{"patient": "P3", "coefficient": "slope"}] = -0.1
    posterior = posterior_from(d, design())
    texts = quantities.flags(quantities.patients(posterior), posterior)
    assert texts == ["", "", "", "short lead-in", "short lead-in", *["percent undefined"] * 3]


def test_change_curve_is_the_share_of_draws_above():
    d = draws()
    curve = quantities.change_curve(posterior_from(d, design()))
    row = curve[curve["injection"] == "1"].iloc[40]
    assert row["probability"] == pytest.approx((d["population"].sel(coefficient="change 1") > row["x"]).mean().item())
    assert curve.groupby("injection")["probability"].apply(lambda p: p.is_monotonic_decreasing).all()


def test_summary_equals_numpy():
    rows = quantities.population(posterior_from(draws(), design()))
    table = quantities.summarise(rows)
    x = pick(rows, "change", "1")
    got = table[(table["quantity"] == "change") & (table["injection"] == "1")].iloc[0]
    want = pd.Series(
        {
            "mean": x.mean(),
            "sd": x.std(ddof=1),
            "lower": np.quantile(x, 0.025),
            "upper": np.quantile(x, 0.975),
            "prob_positive": (x > 0).mean(),
        }
    )
    np.testing.assert_allclose(got[want.index].astype(float), want)
    assert 700 < got["ess_bulk"] < 1400

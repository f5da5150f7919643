"""What is kept of a fit besides its published tables, number by number: prior, intervals, growth of ESS, and counts."""

import asked
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from made_reports import made_fit, made_trial
from posteriors import posterior_from

from slopeshift.answers import quantities, stored, tables
from slopeshift.fit.posterior import posterior_of

DIMS = ("chain", "draw")
LINE = np.arange(2001) / 2000
"""Draws whose quantile at p is p."""


def rows_of(values, quantity="change", injection="1"):
    """Draws (1, n) of one row."""
    labels = {"quantity": quantity, "injection": injection, "unit": "points/month"}
    coords = {name: ("row", [label]) for name, label in labels.items()}
    return xr.DataArray(np.asarray(values, float)[None, :, None], dims=(*DIMS, "row"), coords=coords)


def test_the_prior_is_summarised_by_its_mean_and_central_95_percent():
    row = stored.before(rows_of(LINE)).iloc[0]
    assert (row["quantity"], row["injection"], row["unit"]) == ("change", "1", "points/month")
    assert (row["mean"], row["lower"], row["upper"]) == pytest.approx((0.5, 0.025, 0.975))


@pytest.mark.parametrize(("sign", "probability"), [(1.0, 0.8), (-1.0, 0.2)])
def test_intervals_hold_half_and_95_percent_and_the_probability_is_of_what_is_better(sign, probability):
    both = xr.concat([rows_of(LINE - 0.2), rows_of(LINE, "level", "")], "row")
    found = stored.intervals(both, sign)
    assert found["injection"].tolist() == ["1"]
    numbers = ["mean", "lower", "inner_lower", "inner_upper", "upper", "probability"]
    wanted = [0.3, -0.175, 0.05, 0.55, 0.775, probability]
    np.testing.assert_allclose(found.loc[0, numbers].astype(float), wanted, atol=5e-4)
    assert stored.intervals(rows_of(np.zeros(4)), sign)["probability"].item() == 0


def test_growth_follows_three_quantities_over_five_shares_of_the_draws():
    import arviz as az

    values = np.random.default_rng(0).normal(size=(2, 200))
    names = [("lead_in_slope", ""), ("change", "overall"), ("sd_response", ""), ("change", "1")]
    each = [rows_of(values[0] + k, *name) for k, name in enumerate(names)]
    found = stored.growth(xr.concat([xr.concat(each, "row"), 2 - xr.concat(each, "row")], "chain"))
    assert len(found) == 15
    assert found["draws"].unique().tolist() == [40, 100, 200, 300, 400]
    assert list(zip(found["quantity"][:3], found["injection"][:3], strict=True)) == names[:3]
    half = np.stack([values[0, :100], 2 - values[0, :100]])
    wanted = float(az.ess(xr.Dataset({"x": (DIMS, half)}), method="bulk")["x"])
    assert found[found["draws"] == 200]["ess"].iloc[0] == pytest.approx(wanted)
    assert stored.growth(rows_of(np.arange(10.0), "lead_in_slope", ""))["ess"].notna().all()


# ---- single numbers ----


def of_patients(change, slope=-1.0, injections=("1", "overall"), sign=1.0):
    """Draws (1, 100, row) of one patient's rows."""
    shape = (1, 100, len(injections))
    data = {name: ((*DIMS, "row"), np.broadcast_to(x, shape)) for name, x in (("change", change), ("slope", slope))}
    coords = {"patient": ("row", ["P1"] * len(injections)), "injection": ("row", list(injections)), "sign": sign}
    return xr.Dataset(data, coords=coords)


@pytest.mark.parametrize(("sign", "change"), [(1.0, 0.3), (-1.0, -0.3)])
def test_before_the_data_slowing_is_counted_over_cycles_and_expected_over_patients(sign, change):
    """In 40 of 100 draws the cycle slows by 30 %, in 10 by 60 %; overall it slows by 30 % in 20."""
    draw = np.arange(100)
    cycle = np.where(draw < 10, 2 * change, np.where(draw < 50, change, 0))
    overall = np.where(draw < 20, change, 0)
    found = dict(stored._slowing(of_patients(np.stack([cycle, overall], -1)[None], -sign, sign=sign)))
    assert found == pytest.approx(
        {"prior_prob_slowing_25": 0.5, "prior_prob_slowing_50": 0.1, "prior_expected_slowed": 0.2}
    )


def test_without_cycles_nothing_is_slowed():
    found = dict(stored._slowing(of_patients(0.0, injections=())))
    assert np.isnan(found["prior_prob_slowing_25"])
    assert found["prior_expected_slowed"] == 0


def scaled(value, minimum=0.0, maximum=48.0, sigma=2.0):
    """A posterior of values on a scale, predicted two lower and two higher."""
    from types import SimpleNamespace

    from slopeshift.trial import Outcome

    outcome = Outcome("alsfrsr", "ALSFRS-R", "points", minimum, maximum, integer=True)
    value = np.asarray(value, float)
    groups = {
        f"{name}_predictive": xr.Dataset({"alsfrsr": ((*DIMS, "visit"), (value + by)[None, None])})
        for name, by in (("posterior", -2), ("prior", 2))
    }
    visits = SimpleNamespace(outcome=outcome, value=value)
    return posterior_from(
        xr.Dataset({"sigma": (DIMS, np.full((2, 3), sigma))}), xr.Dataset(), visits=visits, groups=groups
    )


def test_values_beyond_the_scale_are_counted_and_those_at_its_ends_are_not():
    found = dict(stored._beyond(scaled([-1, 0, 1, 46, 47, 48, 49, 50])))
    assert found == {
        "recorded_below": 1 / 8, "recorded_above": 2 / 8, "posterior_below": 3 / 8, "posterior_above": 0.0,
        "prior_below": 0.0, "prior_above": 4 / 8,
    }  # fmt: skip
    assert dict(stored._beyond(scaled([-1, 50], None, None))) == {}
    assert set(dict(stored._beyond(scaled([-1, 50], 0, None)))) == {"recorded_below", "posterior_below", "prior_below"}
    assert set(dict(stored._beyond(scaled([-1, 50], None, 48)))) == {"recorded_above", "posterior_above", "prior_above"}


@pytest.mark.parametrize(("value", "near"), [(4, 1), (4.01, 0), (44, 1), (43.99, 0)])
def test_a_value_is_near_an_end_within_two_residual_sds(value, near):
    assert stored._near_end(scaled([value, 24])) == near / 2
    assert stored._near_end(scaled([value, 24], None, None)) == 0


# ---- of a whole fit ----

TRIAL = made_trial(names=("A1", "A2", "A3"), k=2)


@pytest.fixture(scope="module")
def fits():
    return {broken: made_fit(TRIAL, broken=broken) for broken in (False, True)}


def test_every_table_of_a_fit_that_passed_is_filled_and_of_one_that_failed_only_what_is_no_answer(fits):
    names = {
        broken: {name for name, table in stored.answered(TRIAL, fit).tables.items() if not table.empty}
        for broken, fit in fits.items()
    }
    assert names[True] == {"diagnostics", "prior", "growth", "numbers"}
    assert names[False] == names[True] | {"population", "patients", "responders", "change_curve", "intervals"}


def test_single_numbers_are_looked_up_and_the_share_near_an_end_is_that_of_a_fit_that_passed(fits):
    passed, failed = (stored.answered(TRIAL, fits[broken]) for broken in (False, True))
    assert 0 <= passed.number("share_near_end") <= 1
    assert np.isnan(failed.number("share_near_end"))
    slope = fits[False].tree["prior"]["coefficients"]
    assert passed.number("prior_prob_slope_positive") == float((slope.sel(coefficient="slope") > 0).mean())
    with pytest.raises(KeyError):
        passed.number("gone")


def test_tables_that_were_kept_are_read_as_they_are_and_judged_again(fits):
    made = stored.tables_of(posterior_of(TRIAL, fits[True]))
    read = stored.answered(TRIAL, fits[True], made)
    assert read.tables is made
    assert not read.results.passed
    assert read.results.failures == tables.results_of(posterior_of(TRIAL, fits[True])).failures
    assert read.results.sign == 1


def test_population_changes_pass_by_the_limits_of_the_gate(monkeypatch):
    summary = {"quantity": ["change"] * 4, "rhat": [1.01, 1.0101, 1.0, 1.0], "ess_bulk": [400, 900, 399.9, 900]}
    table = pd.DataFrame({**summary, "ess_tail": [401.0, 900, 900, 399.9]})
    monkeypatch.setattr(quantities, "claims", lambda _: rows_of(LINE))
    monkeypatch.setattr(quantities, "summarise", lambda _: table)
    found = tables.population_changes(None)
    assert found["ess"].tolist() == [400, 900, 399.9, 399.9]
    assert found["passed"].tolist() == [True, False, False, False]


def test_what_is_claimed_alone_is_that_of_the_whole_population(fits):
    posterior = posterior_of(TRIAL, fits[True])
    claimed = quantities.of_claim(quantities.population(posterior))
    assert list(claimed["injection"].to_numpy())[-1] == "overall"
    xr.testing.assert_equal(quantities.claims(posterior), claimed)


@pytest.mark.parametrize("block", [1, 2])
def test_what_is_compared_with_the_prior_does_not_depend_on_the_size_of_a_block(fits, monkeypatch, block):
    tree = fits[False].tree
    draws = asked.patients(tree["posterior"].to_dataset(), tree["constant_data"].to_dataset())
    whole = tables._slowing_and_variance(draws)
    assert whole[1] == pytest.approx(draws["change"].var(DIMS).to_numpy())
    monkeypatch.setattr(quantities, "BLOCK", block)
    for one, other in zip(tables._slowing_and_variance(draws), whole, strict=True):
        np.testing.assert_allclose(one, other)

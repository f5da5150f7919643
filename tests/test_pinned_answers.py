"""Answers by hand: quantities of small sets of draws, and the tables of a made-up fit, number by number."""

import asked
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from made_reports import made_fit, made_trial

from slopeshift.answers import quantities, tables
from slopeshift.fit.posterior import posterior_of

DIMS = ("chain", "draw")
PATIENTS = ["P1", "P2"]


def design(visits, **more):
    visits = np.array(visits)
    return xr.Dataset(
        {
            "visits_in_cycle": (("patient", "injection"), visits),
            "visits_in_lead_in": ("patient", [4, 4]),
            "sign": 1,
            **more,
        },
        coords={"patient": PATIENTS, "injection": list(range(1, visits.shape[1] + 1))},
    )


def draws(population, n=8, names=("level", "slope", "change 1", "change 2", "change 3"), **more):
    """Draws (2, n): every coefficient at its number in all of them, but for what `population` lays over draws."""
    centre = np.stack([np.broadcast_to(np.asarray(x, float), (2, n)) for x in population], axis=-1)
    own = np.repeat(centre[:, :, None], 2, axis=2)
    return xr.Dataset(
        {
            "population": ((*DIMS, "coefficient"), centre),
            "coefficients": ((*DIMS, "patient", "coefficient"), own),
            **more,
        },
        coords={"coefficient": list(names[: len(population)]), "patient": PATIENTS},
    )


def found(draws, design):
    """The mean of every quantity of the population, by name and injection."""
    rows = asked.population(draws, design)
    return dict(
        zip(
            zip(rows["quantity"].to_numpy(), rows["injection"].to_numpy(), strict=True),
            rows.mean(DIMS).to_numpy().tolist(),
            strict=True,
        )
    )


THREE = design([[1, 2, 1], [3, 0, 1]])


def test_quantities_of_three_injections_are_these_numbers():
    of = found(draws([35, -1, 0.2, 0.5, 0.3]), THREE)
    assert {name: round(value, 9) for name, value in of.items() if name[1] in ("", "2")} == {
        ("level", ""): 35, ("lead_in_slope", ""): -1, ("change", "2"): 0.5, ("segment_slope", "2"): -0.5,
        ("prob_slowing_25", "2"): 1, ("percent_slowing", "2"): 50, ("rate_ratio", "2"): 0.5, ("increment", "2"): 0.3,
    }  # fmt: skip
    assert [of["increment", str(k)] for k in (1, 2, 3)] == pytest.approx([0.2, 0.3, -0.2])
    # P1 informs every cycle and P2 the first and third.
    assert of["change", "overall"] == pytest.approx((2 * 0.2 + 0.5 + 2 * 0.3) / 5)
    assert of["prob_slowing_25", "1"] == 0


def test_an_increment_needs_both_of_its_cycles():
    of = found(draws([35, -1, 0.2, 0.5, 0.3]), design([[1, 0, 1], [3, 0, 1]]))
    assert [injection for name, injection in of if name == "increment"] == ["1"]
    assert [injection for name, injection in of if name == "change"] == ["1", "3", "overall"]


def test_ratios_of_a_curved_course_are_of_its_slope_in_the_middle_of_the_cycle():
    curved = draws([35, -1, 0.02, 0.3], names=("level", "slope", "curvature", "change 1"))
    of = found(curved, design([[1], [1]], middle_of_cycle=(("patient", "injection"), [[2.0], [4.0]])))
    assert {name: round(value, 9) for name, value in of.items() if name[1] != "overall"} == {
        ("level", ""): 35, ("lead_in_slope", ""): -1, ("curvature", ""): 0.02, ("natural_slope", "1"): -0.94,
        ("change", "1"): 0.3, ("segment_slope", "1"): -0.64, ("prob_slowing_25", "1"): 1,
        ("percent_slowing", "1"): 31.914893617, ("rate_ratio", "1"): 0.680851064, ("increment", "1"): 0.3,
    }  # fmt: skip
    assert of["natural_slope", "overall"] == pytest.approx(-0.94)


def test_a_cycle_that_nobody_informs_has_no_part_in_the_natural_slope():
    curved = draws([35, -1, 0.02, 0.3, 0.3], names=("level", "slope", "curvature", "change 1", "change 2"))
    middles = (("patient", "injection"), [[2.0, 9.0], [4.0, np.nan]])
    of = found(curved, design([[1, 0], [1, 0]], middle_of_cycle=middles))
    assert of["natural_slope", "overall"] == pytest.approx(-0.94)


def test_spreads_and_correlations_that_a_model_has_stand_after_the_changes_with_their_units():
    more = {name: (DIMS, np.full((2, 8), float(i))) for i, name in enumerate(("sigma", "nu", "sd_curvature"))}
    more["correlation"] = ((*DIMS, "pair"), np.full((2, 8, 1), 0.5))
    with_them = draws([35, -1, 0.2], **more).assign_coords(pair=["slope, response"])
    rows = asked.population(with_them, design([[1], [1]]))
    units = dict(zip(rows["quantity"].to_numpy(), rows["unit"].to_numpy(), strict=True))
    assert {name: units[name] for name in ("sigma", "nu", "sd_curvature", "correlation_slope_response")} == {
        "sigma": "points",
        "nu": "degrees of freedom",
        "sd_curvature": "points/month^2",
        "correlation_slope_response": "correlation",
    }


# ---- patients ----


def test_a_patients_own_rows_and_their_mean_over_the_cycles_that_were_reached():
    rows = asked.patients(draws([35, -1, 0.2, 0.5, 0.3]), THREE)
    labels = [rows[name].to_numpy().tolist() for name in ("patient", "injection", "n_visits")]
    assert list(zip(*labels, strict=True)) == [
        ("P1", "1", 1), ("P1", "2", 2), ("P1", "3", 1), ("P1", "overall", 4),
        ("P2", "1", 3), ("P2", "3", 1), ("P2", "overall", 4),
    ]  # fmt: skip
    np.testing.assert_allclose(rows["change"].mean(DIMS), [0.2, 0.5, 0.3, 1 / 3, 0.2, 0.3, 0.25])


# ---- curve and summary ----


def test_the_curve_runs_over_the_central_99_8_percent_with_zero_in_it():
    change = np.linspace(1, 2, 2000).reshape(2, 1000)
    curve = asked.change_curve(draws([35, -1, change], n=1000), design([[1], [1]]))
    first = curve[curve["injection"] == "1"]
    assert len(first) == 101
    assert (first["x"].iloc[0], first["x"].iloc[-1]) == pytest.approx((0, 1.999), abs=1e-3)
    assert first["probability"].iloc[0] == 1
    np.testing.assert_allclose(np.diff(first["x"]), 0.01999, atol=1e-4)
    below = asked.change_curve(draws([35, -1, -change], n=1000), design([[1], [1]]))
    assert (below["x"].min(), below["x"].max()) == pytest.approx((-1.999, 0), abs=1e-3)


def test_a_draw_at_the_place_asked_about_is_not_above_it():
    curve = asked.change_curve(draws([35, -1, 0.0]), design([[1], [1]]))
    assert (curve["x"].unique().tolist(), curve["probability"].unique().tolist()) == ([0], [0])


@pytest.mark.parametrize(
    ("on", "values", "counts", "informed"),
    [
        ("slope", [1, 2], [[1, 0], [0, 0]], True),
        ("slope", [2, 2], [[1, 0], [0, 0]], False),
        ("change", [1, 2], [[1, 0], [1, 0]], True),
        ("change", [1, 2], [[1, 1], [0, 0]], False),
        ("change", [2, 2], [[1, 0], [1, 0]], False),
    ],
)
def test_a_covariate_is_informed_where_it_differs_between_what_informs_it(on, values, counts, informed):
    from posteriors import posterior_from

    columns = ["level", "slope", "change 1", "change 2"]
    where = [name.startswith(on) for name in columns]
    of = np.array(values)[:, None] * np.array(where)
    plan = design(counts).assign(
        covariates=(("covariate", "patient", "coefficient"), of[None]),
        covariate_on=("covariate", [on]),
        patient_index=("visit", [0, 1, 1]),
    )
    plan = plan.assign_coords(covariate=["age"], coefficient=columns)
    found = quantities.informed_regression(posterior_from(draws([35, -1, 0.2, 0.5]), plan))
    assert found == ["age"] * informed


def test_without_an_informed_cycle_there_is_no_curve():
    curve = asked.change_curve(draws([35, -1, 0.2]), design([[0], [0]]))
    assert (list(curve), len(curve)) == (["injection", "x", "probability"], 0)


def summary(values):
    rows = xr.DataArray(values[..., None], dims=(*DIMS, "row"), coords={"quantity": ("row", ["change"])})
    return quantities.summarise(rows).iloc[0]


def test_a_summary_is_that_of_the_draws_with_its_diagnostics_told_apart():
    import arviz as az

    values = np.random.default_rng(0).exponential(size=(4, 500)) - 0.1
    row = summary(values)
    assert row["mean"] == pytest.approx(values.mean())
    assert row["median"] == pytest.approx(np.median(values))
    assert row["sd"] == pytest.approx(values.std(ddof=1))
    assert row["prob_positive"] == pytest.approx((values > 0).mean())
    of = xr.Dataset({"x": (DIMS, values)})
    for name, prob in {"bulk": None, "tail": (0.05, 0.95)}.items():
        assert row[f"ess_{name}"] == pytest.approx(float(az.ess(of, method=name, prob=prob)["x"]))
    assert row["ess_bulk"] != pytest.approx(row["ess_tail"])
    assert row["mcse"] == pytest.approx(float(az.mcse(of, method="mean")["x"]))
    assert row["rhat"] == pytest.approx(float(az.rhat(of)["x"]))


def test_a_draw_at_zero_is_not_positive():
    assert summary(np.tile([0.0, 1.0], (2, 10)))["prob_positive"] == 0.5


@pytest.mark.parametrize("block", [1, 2])
def test_a_summary_does_not_depend_on_how_many_rows_are_taken_at_a_time(monkeypatch, block):
    values = np.random.default_rng(1).normal(size=(2, 50, 3))
    rows = xr.DataArray(values, dims=(*DIMS, "row"), coords={"patient": ("row", list("abc"))})
    whole = quantities.summarise(rows)
    monkeypatch.setattr(quantities, "BLOCK", block)
    pd.testing.assert_frame_equal(quantities.summarise(rows), whole)
    assert whole["patient"].tolist() == ["a", "b", "c"]
    assert whole.index.tolist() == [0, 1, 2]


# ---- the tables of a fit ----


TRIAL = made_trial(names=("A1", "A2", "A3"), k=2)


@pytest.fixture(scope="module")
def fit():
    return made_fit(TRIAL)


def test_the_tables_of_a_fit_carry_its_model_and_outcome_first(fit):
    found = tables.results_of(posterior_of(TRIAL, fit))
    assert found.passed
    assert found.failures == []
    for table in (found.population, found.patients, found.responders, found.change_curve, found.diagnostics):
        assert list(table.columns[:2]) == ["model", "outcome"]
        assert set(table["model"]) == {"alsfrsr"}
        assert len(table) > 0
    assert found.patients["prior_prob_slowing_25"].between(0, 1).all()


def test_a_row_of_zeros_and_ones_has_a_mean_with_its_error_and_no_spread(fit):
    table = tables.results_of(posterior_of(TRIAL, fit)).population
    indicator = table["quantity"] == "prob_slowing_25"
    spread = ["sd", "lower", "upper", "prob_positive", "median"]
    assert table.loc[indicator, spread].isna().all(axis=None)
    assert table.loc[indicator, ["mean", "mcse"]].notna().all(axis=None)
    assert table.loc[~indicator, spread].notna().all(axis=None)


def test_a_fit_that_failed_has_its_diagnostics_and_nothing_else():
    found = tables.results_of(posterior_of(TRIAL, made_fit(TRIAL, broken=True)))
    assert not found.passed
    assert found.failures
    assert len(found.diagnostics) > 0
    for table in (found.population, found.patients, found.responders, found.change_curve):
        assert table.empty


def test_contraction_and_base_rate_compare_posterior_with_prior(fit):
    found = tables.results_of(posterior_of(TRIAL, fit)).patients.iloc[0]
    of = {
        name: asked.patients(fit.tree[name].to_dataset(), fit.tree["constant_data"].to_dataset()).isel(row=0)
        for name in ("posterior", "prior")
    }
    variance = {name: float(rows["change"].var()) for name, rows in of.items()}
    assert found["contraction"] == pytest.approx(1 - variance["posterior"] / variance["prior"])
    slowed = {name: ((r["slope"] < 0) & (r["change"] >= -0.25 * r["slope"])).mean() for name, r in of.items()}
    assert found["prob_slowing_25"] == pytest.approx(float(slowed["posterior"]))
    assert found["prior_prob_slowing_25"] == pytest.approx(float(slowed["prior"]))

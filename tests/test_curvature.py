"""A curved natural history: how curvatures go with levels and slopes, what percentages are of, what a control says."""

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from posteriors import posterior_from
from trials import ROOT, line_trial

from slopeshift.answers import quantities
from slopeshift.answers.control import control_table
from slopeshift.design.shape import Shape
from slopeshift.design.visits import visits_of
from slopeshift.fit.compiled import Sampling, refusal
from slopeshift.fit.precompiled import precompiled
from slopeshift.model.control import means
from slopeshift.model.files import load_model, source_of
from slopeshift.null.population import PLATFORM, fitted
from slopeshift.null.pseudo import PseudoJob
from slopeshift.null.rates import RefitJob
from slopeshift.null.trials import null_values
from slopeshift.report.sections.limitations import of_trial
from slopeshift.report.words.findings import findings
from slopeshift.sensitivity.alternatives import _bends, own_prior
from slopeshift.trial import TrialError, read_trial, trial_from_tables

SETTINGS = {"title": "T", "synthetic": True, "source": "test"}


# ---- how patients differ ----


@pytest.mark.parametrize("name", ["alsfrsr", "fvc"])
def test_the_curvature_of_a_patient_is_regressed_on_level_and_slope(name):
    """The row of the loading is that of curvature_i = a (level_i - level) + b (slope_i - slope) + own."""
    trial, file = read_trial(ROOT / "data" / "synthetic-msc-als"), load_model(ROOT / "models" / f"{name}.py")
    drawn = precompiled(file.build(trial), file.visits(trial)).prior(50, seed=1)
    loading = drawn["loading"].rename(source="z")
    by = drawn["curvature_by_level"] * loading.sel(coefficient="level")
    by = by + drawn["curvature_by_slope"] * loading.sel(coefficient="slope")
    own = loading.sel(coefficient="curvature") - by
    np.testing.assert_allclose(own.drop_sel(z="curvature"), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.abs(own.sel(z="curvature")), drawn["sd_curvature"])
    assert drawn["curvature_by_level"].std() > 0


# ---- what percentages are of ----

SLOPE, CURVATURE, CHANGES = -1.0, 0.05, (0.3, 0.1)


def bent_trial():
    """Two patients with injections at months 0 and 4: one seen to month 10, the other to month 3."""
    given = [("A", 1, 0.0), ("A", 2, 4.0), ("B", 1, 0.0)]
    rows = [("A", m, 30) for m in (-3.0, 0.0, 2.0, 4.0, 7.0, 10.0)] + [("B", m, 30) for m in (-3.0, 0.0, 3.0)]
    tables = {
        "patients": pd.DataFrame({"patient": ["A", "B"]}),
        "visits": pd.DataFrame(rows, columns=["patient", "month", "alsfrsr"]),
        "injections": pd.DataFrame(given, columns=["patient", "injection", "month"]),
    }
    return trial_from_tables("bent", tables, SETTINGS)


def bent_posterior(curvature=CURVATURE, n=400):
    """Draws of which all are alike: population and patients have the same coefficients."""
    theta = np.array([35.0, SLOPE, curvature, *CHANGES])
    dims, names = ("chain", "draw"), ["level", "slope", "curvature", "change 1", "change 2"]
    draws = xr.Dataset(
        {
            "population": ((*dims, "coefficient"), np.broadcast_to(theta, (2, n, 5))),
            "coefficients": ((*dims, "patient", "coefficient"), np.broadcast_to(theta, (2, n, 2, 5))),
        },
        coords={"coefficient": names, "patient": ["A", "B"]},
    )
    return posterior_from(draws, visits=visits_of(bent_trial(), "alsfrsr", Shape(curved=True)))


def test_the_middle_of_a_cycle_is_between_the_injection_and_its_last_value():
    visits = visits_of(bent_trial(), "alsfrsr", Shape(curved=True))
    np.testing.assert_array_equal(visits.middle_of_cycle, [[2.0, 7.0], [1.5, np.nan]])
    late = visits_of(bent_trial(), "alsfrsr", Shape(lag=1.0, curved=True)).middle_of_cycle
    np.testing.assert_array_equal(late, [[2.5, 7.5], [2.0, np.nan]])
    window = visits_of(bent_trial(), "alsfrsr", Shape(window=3.0, curved=True)).middle_of_cycle
    np.testing.assert_array_equal(window, [[1.0, 5.5], [1.5, np.nan]])


def test_percentages_of_a_curved_course_are_of_the_slope_that_would_have_been_then():
    rows = quantities.summarise(quantities.population(bent_posterior())).set_index(["quantity", "injection"])["mean"]
    for injection, month, change in (("1", 1.75, 0.3), ("2", 7.0, 0.1), ("overall", 3.5, (2 * 0.3 + 0.1) / 3)):
        natural = SLOPE + CURVATURE * month
        assert rows["natural_slope", injection] == pytest.approx(natural)
        assert rows["segment_slope", injection] == pytest.approx(natural + change)
        assert rows["percent_slowing", injection] == pytest.approx(-100 * change / natural)
        assert rows["rate_ratio", injection] == pytest.approx((natural + change) / natural)
        assert rows["prob_slowing_25", injection] == (change >= -0.25 * natural)


def test_the_mean_slope_of_the_natural_course_is_that_over_what_was_seen():
    """The middle is no approximation: a parabola's mean slope between two months is its slope half way."""
    visits = visits_of(bent_trial(), "alsfrsr", Shape(curved=True))
    start, end = visits.basis_of(0, np.array([4.0, 10.0]))[:, :3] @ [35.0, SLOPE, CURVATURE]
    assert (end - start) / 6 == pytest.approx(SLOPE + CURVATURE * visits.middle_of_cycle[0, 1])


def test_a_patient_is_slowed_from_the_slope_that_would_have_been_in_the_same_cycles():
    drawn = quantities.patients(bent_posterior())
    names = list(zip(drawn["patient"].to_numpy(), drawn["injection"].to_numpy(), strict=True))
    months = {("A", "1"): 2.0, ("A", "2"): 7.0, ("A", "overall"): 4.5, ("B", "1"): 1.5, ("B", "overall"): 1.5}
    assert names == list(months)
    for row, month in enumerate(months.values()):
        np.testing.assert_allclose(drawn["slope"][..., row], SLOPE + CURVATURE * month, rtol=1e-6)


@pytest.mark.parametrize(("curvature", "given"), [(0.05, ["1", "2", "overall"]), (0.16, ["1", "overall"]), (0.6, [])])
def test_a_percentage_is_withheld_of_a_cycle_in_which_nothing_would_decline(curvature, given):
    rows = quantities.population(bent_posterior(curvature))
    percents = rows.sel(row=rows["quantity"] == "percent_slowing")["injection"].to_numpy().tolist()
    assert percents == given


def test_a_finding_without_a_percentage_of_its_own_stands_beside_others():
    from types import SimpleNamespace

    table = quantities.summarise(quantities.population(bent_posterior(0.16)))
    table = table.assign(prob_better=table["prob_positive"])
    said = {
        each.injection: each.slowing for each in findings(SimpleNamespace(population=table, sign=1, claimed="change"))
    }
    assert said["2"] == ""
    assert said["1"].startswith("slowing")
    assert said["overall"].startswith("slowing")


# ---- null trials of a curved fit ----


def test_null_trials_of_a_curved_fit_bend_as_it_does():
    dims, shape = ("chain", "draw"), (2, 100)
    known = {"sd_level": 5.0, "sd_slope": 0.7, "sigma": 0.01, "sd_curvature": 0.02}
    known |= {"curvature_by_level": -0.01, "curvature_by_slope": -0.05}
    draws = xr.Dataset(
        {
            "population": ((*dims, "coefficient"), np.broadcast_to([24.0, -0.5, 0.04], (*shape, 3))),
            "correlation": ((*dims, "pair"), np.full((*shape, 1), 0.5)),
            **{name: (dims, np.full(shape, value)) for name, value in known.items()},
        },
        coords={"coefficient": ["level", "slope", "curvature"], "pair": ["level, slope"]},
    )
    population = fitted("bent", posterior_from(draws))
    rng = np.random.default_rng(1)
    level, slope, curvature, _ = (x.ravel() for x in population.draw(rng, population.versions(rng, 500), 60))
    columns = np.column_stack([np.ones_like(level), level - 24.0, slope + 0.5])
    found, *_ = np.linalg.lstsq(columns, curvature)
    np.testing.assert_allclose(found, [0.04, -0.01, -0.05], atol=0.001)
    assert (curvature - columns @ found).std() == pytest.approx(0.02, rel=0.03)
    visits = visits_of(line_trial(injections=3), "alsfrsr", Shape(curved=True))
    (values,) = null_values(visits, population, 500, 1)
    mean = values[:, visits.month == 10.0].mean()
    assert mean == pytest.approx(24 - 5 + 0.04 * 50, abs=0.5)


@pytest.mark.parametrize("name", ["alsfrsr", "alsfrsr_straight"])
def test_null_trials_and_moved_injections_are_refitted_with_the_course_of_the_model(name):
    path = ROOT / "models" / f"{name}.py"
    trial, given = line_trial(patients=8), {"outcome": "alsfrsr", "model": name, "source": source_of(path), "seed": 1}
    assert refusal(load_model(path), trial) == ""
    few = Sampling(chains=1, draws=60, tune=60)
    refits = RefitJob(trial=trial, population=PLATFORM, sampling=few, **given).rows(0)
    moves = PseudoJob(trial=trial, sampling=few, **given).rows(0)
    assert [row["injection"] for row in refits] == ["1", "2", "overall"]
    assert np.isfinite([row["mean"] for row in (*refits, *moves)]).all()


@pytest.mark.parametrize("name", ["alsfrsr_waning", "interval_fixed_window", "interval"])
def test_a_curved_model_with_more_in_it_is_not_refitted(name):
    assert "not refitted" in refusal(load_model(ROOT / "models" / f"{name}.py"), line_trial())


# ---- the prior of the mean curvature ----


def test_the_study_of_priors_has_a_narrower_and_a_wider_mean_curvature():
    from slopeshift.engine.terms import terms_of

    file = load_model(ROOT / "models" / "alsfrsr.py")
    own = own_prior(terms_of(file.build(line_trial())))
    names = list(terms_of(file.build(line_trial()))["term"].to_numpy())
    rows = _bends(own, names, "points/month")
    assert [row.prior.sd[2] for row in rows] == pytest.approx([0.02, 0.05])
    assert rows[0].detail == "SD 0.02 instead of 0.03 points/month^2"
    assert _bends(own, ["level", "slope", "change"], "points/month") == []


# ---- what a control says ----


def bending(patients=40, months=12.0, step=1.0, seed=0):
    """A natural history whose courses flatten by 0.05 a month, from month 3 after the first value at a slope of -1."""
    rng = np.random.default_rng(seed)
    month = np.arange(0.0, months + 1e-9, step)
    bend = rng.normal(0.05, 0.05, patients)[:, None]
    course = rng.normal(40, 4, patients)[:, None] + rng.normal(-1, 0.5, patients)[:, None] * (month - 3)
    values = course + bend * (month - 3) ** 2 / 2 + rng.normal(0, 1, (patients, len(month)))
    rows = [(f"C{i}", m, round(v)) for i, each in enumerate(values) for m, v in zip(month, each, strict=True)]
    visits = pd.DataFrame(rows, columns=["patient", "month", "alsfrsr"])
    visits["alsfrsr"] = visits["alsfrsr"].clip(0, 48)
    return {
        "patients": pd.DataFrame({"patient": [f"C{i}" for i in range(patients)]}),
        "visits": visits,
        "injections": pd.DataFrame(columns=["patient", "injection", "month"]),
    }


def pair(tmp_path, history, spread="between_study_sd_curvature = { alsfrsr = 0.015 }"):
    trial = line_trial(seed=1)
    mine = {name: getattr(trial, name) for name in ("patients", "visits", "injections")}
    control = f'[control]\nsource = "../history"\nbetween_study_sd = {{ alsfrsr = 0.15 }}\n{spread}\n'
    for name, tables, more in (("history", history, ""), ("mine", mine, control)):
        (tmp_path / name).mkdir()
        for table, rows in tables.items():
            rows.to_csv(tmp_path / name / f"{table}.csv", index=False)
        (tmp_path / name / "trial.toml").write_text(f'title = "T"\nsynthetic = true\nsource = "made up"\n{more}')
    return tmp_path / "mine"


def test_slope_and_curvature_are_those_of_a_mixed_model_by_restricted_likelihood():
    import statsmodels.formula.api as smf

    trial = trial_from_tables("history", bending(), SETTINGS)
    rows = trial.natural_history("alsfrsr")
    rows = rows.assign(since=rows["month"] - 3).assign(bend=lambda t: t["since"] ** 2 / 2)
    model = smf.mixedlm("alsfrsr ~ since + bend", rows, groups=rows["patient"], re_formula="~since + bend")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a spread at zero: means and their errors hardly depend on it
        theirs = model.fit(reml=True, method=["powell", "lbfgs"], maxiter=2000)
    ours = means(trial, "alsfrsr", 3.0)
    for name, column in (("slope", "since"), ("curvature", "bend")):
        assert ours[name].mean == pytest.approx(theirs.fe_params[column], abs=1e-3)
        assert ours[name].standard_error == pytest.approx(theirs.bse_fe[column], rel=0.02)
    assert abs(ours["curvature"].mean - 0.05) < 3 * ours["curvature"].standard_error
    assert abs(ours["slope"].mean + 1) < 3 * ours["slope"].standard_error


def test_a_curved_model_takes_slope_and_curvature_from_the_control_and_a_straight_one_the_slope(tmp_path):
    from slopeshift.engine.terms import terms_of

    trial = read_trial(pair(tmp_path, bending()))
    found = means(trial.control.trial, "alsfrsr", 3.0)  # the first injection came 3 months after the first value
    curved, straight = (
        terms_of(load_model(ROOT / "models" / f"{name}.py").build(trial)) for name in ("alsfrsr", "alsfrsr_straight")
    )
    for name, spread in (("slope", 0.15), ("curvature", 0.015)):
        term = curved.sel(term=name)
        assert float(term["term_mean"]) == found[name].mean
        assert float(term["term_sd"]) == pytest.approx(np.hypot(found[name].standard_error, spread))
    assert float(straight["term_mean"].sel(term="slope")) == means(trial.control.trial, "alsfrsr")["slope"].mean
    table = control_table(trial)
    assert table[["course", "quantity"]].to_numpy().tolist() == [
        ["straight", "slope"],
        ["curved", "slope"],
        ["curved", "curvature"],
    ]
    (said,) = [text for text in of_trial(trial, table) if "ALSFRS-R curvature" in text]
    assert f"{found['curvature'].mean:.3f} a month, per month" in said
    assert "0.015 that was chosen" in said


def test_without_its_key_the_control_says_nothing_of_the_curvature(tmp_path):
    from slopeshift.engine.terms import terms_of

    trial = read_trial(pair(tmp_path, bending(), spread=""))
    curved = terms_of(load_model(ROOT / "models" / "alsfrsr.py").build(trial))
    own = curved.sel(term="curvature")
    assert (float(own["term_mean"]), float(own["term_sd"])) == (0, 0.03)
    assert float(curved["term_mean"].sel(term="slope")) == means(trial.control.trial, "alsfrsr")["slope"].mean


@pytest.mark.parametrize(
    ("history", "spread", "column", "found"),
    [
        ({"months": 5.0}, "alsfrsr = 0.015", "control.between_study_sd_curvature.alsfrsr", "0 patients with 4 values"),
        ({"step": 3.0, "months": 6.0}, "alsfrsr = 0.015", "control.between_study_sd_curvature.alsfrsr", "0 patients"),
        ({"patients": 9}, "alsfrsr = 0.015", "control.between_study_sd_curvature.alsfrsr", "9 patients with 4 values"),
        ({}, "fvc = 0.015", "control.between_study_sd_curvature.fvc", "no value of 'fvc' in the control"),
        ({}, "alsfrsr = 0", "control.between_study_sd_curvature", "{'alsfrsr': 0}"),
    ],
)
def test_a_control_that_cannot_show_a_bend_is_refused(tmp_path, history, spread, column, found):
    folder = pair(tmp_path, bending(**history), f"between_study_sd_curvature = {{ {spread} }}")
    with pytest.raises(TrialError) as raised:
        read_trial(folder)
    problems = raised.value.problems.set_index("column")["found"]
    assert found in problems[column]


@pytest.mark.parametrize("history", [{"months": 6.0, "step": 2.0}, {"patients": 10}])
def test_a_control_that_just_shows_a_bend_is_read(tmp_path, history):
    assert read_trial(pair(tmp_path, bending(**history))).control.spreads("curvature") == {"alsfrsr": 0.015}

"""The likelihood of those who met the rules of entry: its arithmetic, and that it undoes what the rules do."""

import numpy as np
import pymc as pm
import pytest
from scipy.integrate import quad
from scipy.stats import kstest, multivariate_normal, norm
from test_density import CURVED, PRIORS, check_equal
from trials import line_trial

from slopeshift.design.entry import Selection
from slopeshift.design.shape import Shape
from slopeshift.design.visits import visits_of
from slopeshift.engine import admitted, entry, exact
from slopeshift.engine.terms import terms_of
from slopeshift.fit import precompiled
from slopeshift.fit.log_prior import log_prior
from slopeshift.model.covariates import Covariate
from slopeshift.model.description import describe
from slopeshift.model.families import normal, student_t
from slopeshift.model.line import piecewise_line
from slopeshift.model.priors import Gamma, Normal

OPEN = np.inf

# ---- the probability of meeting rules ----

LIMITS = {
    "above": ([-0.4], [OPEN]),
    "below": ([-OPEN], [0.3]),
    "window": ([-0.4], [1.1]),
    "both above": ([-0.4, 0.2], [OPEN, OPEN]),
    "above and below": ([-0.4, -OPEN], [OPEN, 0.7]),
    "above and a window": ([-0.4, -0.8], [OPEN, 0.7]),
    "two windows": ([-0.4, -0.8], [1.5, 0.7]),
    "one of two is open": ([-0.4, -OPEN], [1.5, OPEN]),
}


class Groups:
    """Rules of three groups, and a population, at random."""

    def __init__(self, limits, refused=False, seed=0):
        rng = np.random.default_rng(seed)
        lower, upper = map(np.array, limits)
        self.rows = rng.normal(size=(3, len(lower), 4))
        weight = rng.normal(size=(3, len(lower), 5))
        self.grams = weight @ weight.swapaxes(1, 2)
        self.limits = np.stack([lower, upper]) + rng.normal(size=(3, 1, 1))
        self.spread = np.abs(rng.normal(size=len(lower)))
        self.weights = np.zeros((3, 2))
        self.weights[1:, int(refused)] = 5.0, 2.0
        self.point = rng.normal(size=(4, 6)), 1.3, rng.normal(size=4)

    def engine(self, loading, variance, offset):
        rules = entry.pack(self.weights, self.limits, self.spread, self.grams, self.rows)
        return entry.log_factor(loading, variance, offset, rules)

    def dense(self):
        loading, variance, offset = self.point
        total = 0.0
        for (count, refused), (lower, upper), gram, rows in zip(
            self.weights, self.limits, self.grams, self.rows, strict=True
        ):
            along = rows @ loading
            tau = along @ along.T + variance * gram + np.diag(self.spread**2)
            mean = rows @ offset
            share = multivariate_normal.cdf(np.minimum(upper, 99), mean, tau, lower_limit=np.maximum(lower, -99))
            total += refused * np.log1p(-share) - count * np.log(share)
        return total


@pytest.mark.parametrize("refused", [False, True], ids=["", "refused"])
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_the_factor_is_that_of_scipy(limits, refused):
    groups = Groups(limits, refused)
    assert groups.engine(*groups.point)[0] == pytest.approx(groups.dense(), abs=1e-12, rel=1e-12)


@pytest.mark.parametrize("refused", [False, True], ids=["", "refused"])
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_the_gradients_of_the_factor_are_finite_differences(limits, refused):
    groups = Groups(limits, refused)
    loading, _, offset = groups.point
    _, *found = groups.engine(*groups.point)

    def slope(step):
        ends = (groups.engine(*(x + s * d for x, d in zip(groups.point, step, strict=True)))[0] for s in (1e-5, -1e-5))
        return (next(ends) - next(ends)) / 2e-5

    entries = np.eye(loading.size).reshape(*loading.shape, *loading.shape)
    by_loading = [[slope((each, 0.0, 0.0)) for each in row] for row in entries]
    by_offset = [slope((0.0, 0.0, each)) for each in np.eye(len(offset))]
    for ours, theirs in zip(found, (by_loading, slope((0.0, 1.0, 0.0)), by_offset), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8)


STEEP = (0.0, 0.3, 0.9, 0.924, 0.925, 0.97, 0.9999)


@pytest.mark.parametrize("rho", [*STEEP, *(-each for each in STEEP[1:])])
def test_two_rules_are_met_together_as_scipy_and_quadrature_have_it(rho):
    for x, y in np.random.default_rng(3).normal(scale=2.0, size=(40, 2)):
        found = entry.below_both(x, y, rho)
        assert found == pytest.approx(multivariate_normal.cdf([x, y], cov=[[1, rho], [rho, 1]]), abs=1e-14)
        left = np.sqrt(1 - rho**2)
        # Where the other rule turns from met to not met, the integrand is steep.
        turn = [each for each in (y / rho,) if -9 < each < x] if rho else None
        integral = quad(lambda z: norm.pdf(z) * norm.cdf((y - rho * z) / left), -9, x, points=turn, epsabs=1e-13)  # noqa: B023
        assert found == pytest.approx(integral[0], abs=1e-9)


@pytest.mark.parametrize("x", [-300.0, -38.0, -30.1, -29.9, -5.0, 0.0, 4.9, 5.1, 9.0])
def test_a_rule_that_is_almost_never_met_keeps_its_digits(x):
    assert entry.log_normal_below(x) == pytest.approx(norm.logcdf(x), rel=1e-13)


def test_a_window_far_out_keeps_its_digits():
    """Phi(-20) - Phi(-21) is 2.8e-89 in either tail; a difference of numbers near 1 would be 0."""
    expected = norm.logcdf(-20.0) + np.log1p(-np.exp(norm.logcdf(-21.0) - norm.logcdf(-20.0)))
    rows, grams = np.zeros((1, 1, 2)), np.ones((1, 1, 1))
    for limits in ([20.0, 21.0], [-21.0, -20.0]):
        rules = entry.pack(np.array([[1.0, 0.0]]), np.reshape(limits, (1, 2, 1)), np.zeros(1), grams, rows)
        found = entry.log_factor(np.zeros((2, 3)), 1.0, np.zeros(2), rules)[0]
        assert -found == pytest.approx(expected, rel=1e-13)


def test_two_rules_that_are_practically_never_met_end_the_step_of_nuts():
    limits = np.array([[[7.0, 7.0], [OPEN, OPEN]]])
    rules = entry.pack(np.array([[1.0, 0.0]]), limits, np.zeros(2), np.eye(2)[None], np.zeros((1, 2, 2)))
    assert entry.log_factor(np.zeros((2, 3)), 1.0, np.zeros(2), rules)[0] == np.inf


def test_three_rules_are_refused():
    with pytest.raises(NotImplementedError, match="3 entry rules on one outcome: the probability of meeting 2 is"):
        entry.pack(np.ones((1, 2)), np.zeros((1, 2, 3)), np.zeros(3), np.zeros((1, 3, 3)), np.zeros((1, 3, 4)))


# ---- in a model ----


def selected(visits, lower=(2.5,), upper=(OPEN,), quantities=("loss",), spread=(0.0,), exempt=(), refused=None):
    """Rules on the first value and the last of the lead-in: a loss, or the score at the end of it."""
    weight = np.zeros((len(quantities), len(visits.value)))
    for i in range(len(visits.patients)):
        mine = np.flatnonzero((visits.patient_index == i) & (visits.month <= 0))
        for r, quantity in enumerate(quantities):
            weight[r, mine[-1]] = -1.0 if quantity == "loss" else 1.0
            weight[r, mine[0]] += 1.0 if quantity == "loss" else 0.0
    rows = np.einsum("rv,vc->rc", weight * (visits.patient_index == 0), visits.basis)[None]
    grams = ((weight * (visits.patient_index == 0)) @ weight.T)[None]
    group_of = np.where(np.isin(visits.patients, exempt), -1, 0)
    limits = (np.array([each], dtype=float) for each in (lower, upper))
    known = np.ones(len(quantities), dtype=bool)
    count = np.array([(group_of == 0).sum()])
    return Selection(rows, grams, *limits, np.array(spread), count, group_of, known, refused, weight)


def built(trial, shape=None, covariates=(), family=normal, **rule):
    visits = visits_of(trial, "alsfrsr", shape or Shape())
    more = CURVED if visits.shape.curved else {}
    with pm.Model(coords=visits.coords) as model:
        curve = piecewise_line(visits, **PRIORS | more, covariates=covariates, selection=selected(visits, **rule))
        family(sigma=Gamma(2.0, 0.4)).observe(curve)
    return model, visits


TWO = {"lower": (2.5, 20.5), "upper": (OPEN, OPEN), "quantities": ("loss", "score"), "spread": (0.0, 0.0)}
MODELS = {
    "a loss": {},
    "a window": {"lower": (1.5,), "upper": (9.5,)},
    "a judgement": {"spread": (1.5,)},
    "two rules": TWO,
    "refused": {"refused": 9},
    "exempt": {"exempt": ("P2", "P3")},
    "curved": {"shape": Shape(curved=True)},
}


@pytest.mark.parametrize("case", MODELS.values(), ids=MODELS)
def test_the_compiled_density_is_that_of_the_model(case):
    check_equal(*built(line_trial(), **case), points=3, reach=1.0)


def test_the_compiled_density_is_that_of_the_model_without_injections():
    check_equal(*built(line_trial(injections=0)), points=3, reach=1.0)


def of_ages(trial):
    from slopeshift.trial import trial_from_tables

    patients = trial.patients.assign(age=np.linspace(40, 75, len(trial.patients)))
    tables = {"patients": patients, "visits": trial.visits, "injections": trial.injections}
    return trial_from_tables("lines", tables, {"title": "Lines", "synthetic": True, "source": "test"})


AGE = Covariate("age", on="slope", centre=60, per=10, prior=Normal(0, 0.2))


def test_a_covariate_of_the_slope_is_sampled_with_it():
    model, visits = built(of_ages(line_trial()), covariates=(AGE,))
    check_equal(model, visits, points=3, reach=1.0)
    assert {"standardised_slope", "standardised_age on slope"} <= set(model.named_vars)
    assert "standardised_level" not in model.named_vars
    assert (describe(model, visits).rules[:, 0] > 0).sum() == 6  # every patient has another chance to enter


def test_only_the_terms_that_a_rule_is_about_are_sampled():
    found = {each.name for each in built(line_trial(), **TWO)[0].free_RVs if each.name.startswith("standardised")}
    assert found == {"standardised_level", "standardised_slope"}
    assert not built(line_trial(), lower=(-OPEN,))[0].free_RVs[-1].name.startswith("observed")


def dense(model, visits, point):
    """Sum up the log density of all values given the sampled terms, as one normal, and the factor by scipy."""
    from slopeshift.engine.foreign import interpreted

    terms = terms_of(model)
    names = ("loading", "sigma", "standardised_slope")
    values = interpreted(model.value_vars, model.replace_rvs_by_values([model[name] for name in names]))(*point)
    loading, sigma, slope = (np.asarray(each) for each in values)
    mean, sd, design = (terms[f"term_{part}"].to_numpy().copy() for part in ("mean", "sd", "design"))
    mean[1] += slope * sd[1]
    sd[1] = 0.0
    inside = visits.basis @ design
    same = visits.patient_index[:, None] == visits.patient_index
    covariance = inside @ np.diag(sd**2) @ inside.T + (visits.basis @ loading @ loading.T @ visits.basis.T) * same
    values = multivariate_normal.logpdf(visits.value, inside @ mean, covariance + sigma**2 * np.eye(len(same)))
    lost = -3.0  # months from the first visit to the injection
    tau = np.sqrt(lost**2 * (loading[1] @ loading[1]) + 2 * sigma**2)
    return values - len(visits.patients) * norm.logsf(2.5, lost * mean[1], tau)


def test_the_model_is_the_dense_density_of_values_over_the_chance_to_enter():
    model, visits = built(line_trial())
    from slopeshift.engine.foreign import interpreted

    stated = interpreted(model.value_vars, model.logp(vars=[model["alsfrsr"], model["entry"]]))
    rng = np.random.default_rng(2)
    for _ in range(3):
        point = [0.5 * rng.normal(size=np.shape(value)) for value in model.initial_point().values()]
        assert float(stated(*point)) == pytest.approx(dense(model, visits, point), rel=1e-10)


def test_equal_patients_are_one_group_and_another_trial_fits_in():
    model, visits = built(line_trial(patients=9))
    rules = model["entry_rules"].get_value()
    np.testing.assert_array_equal(rules[:, 0], [9, *[0] * 8])
    other = visits_of(line_trial(patients=9, seed=4), "alsfrsr")
    _, data = exact.entered(other, terms_of(model), selected(other, lower=(3.5,)))
    exchanged = precompiled.precompiled(model, visits).with_data(**data)
    assert exchanged.arrays.rules[0, 2] == pytest.approx(rules[0, 2] + 1.0)


def test_a_rule_on_a_value_that_was_not_recorded_is_not_in_the_likelihood():
    from dataclasses import replace

    found = selected(visits_of(line_trial(), "alsfrsr"), **TWO)
    assert admitted.rules_of(replace(found, recorded=np.array([False, False]))) is None
    one = admitted.rules_of(replace(found, recorded=np.array([False, True])))
    np.testing.assert_array_equal(one.weight, found.weight[1:])
    np.testing.assert_array_equal(one.lower, np.full((6, 1), 20.5))


def test_a_family_that_samples_its_patients_does_not_claim_to_know_the_rules():
    from slopeshift.model.stated import statement

    sampled, _ = built(line_trial(), family=lambda sigma: student_t(sigma=sigma, nu=Gamma(5.0, 2.0)))
    assert not sampled.potentials
    assert not statement(sampled).entry
    assert statement(built(line_trial())[0]).entry


# ---- after sampling ----


def fixed_draws(model, draws=4000, slope=0.3, **scalars):
    """Many draws of a model's variables at one point, as of a fit."""
    import xarray as xr

    loading = np.zeros((4, 5))
    loading[0, 0], loading[1, 1], loading[2:, 1], loading[2, 3], loading[3, 4] = 5.0, 0.7, -0.2, 0.1, 0.1
    names = model.coords
    return xr.Dataset(
        {
            "loading": (("chain", "draw", "coefficient", "source"), np.tile(loading, (1, draws, 1, 1))),
            "sigma": (("chain", "draw"), np.full((1, draws), 2.0)),
            "standardised_slope": (("chain", "draw"), np.full((1, draws), slope)),
            **{name: (("chain", "draw"), np.full((1, draws), value)) for name, value in scalars.items()},
        },
        {"coefficient": list(names["coefficient"]), "source": list(names["source"])},
    )


def by_rejection(visits, draws, seed, **rule):
    """Coefficients and values of anybody who meets the rules, the slow and obvious way: one patient."""
    rng, made = np.random.default_rng(seed), selected(visits, **rule)
    loading, sigma = draws["loading"].to_numpy()[0, 0], float(draws["sigma"][0, 0])
    names = ("standardised_level", "standardised_slope")
    scalars = [float(draws[name][0, 0]) if name in draws else None for name in names]
    number = 200_000
    terms = np.array([35, -1, 0, 0, 0]) + np.array([4, 0.4, 0.3, 0.15, 0.15]) * rng.normal(size=(number, 5))
    for place, (value, mean, sd) in enumerate(zip(scalars, (35, -1), (4, 0.4), strict=True)):
        terms[:, place] = terms[:, place] if value is None else mean + sd * value
    design = np.array([[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 1, 0, 1]])
    theta = terms @ design.T + rng.normal(size=(number, 5)) @ loading.T
    mine = visits.patient_index == 0
    value = theta @ visits.basis[mine].T + sigma * rng.normal(size=(number, mine.sum()))
    asked = value @ made.weight[:, mine].T + made.spread * rng.normal(size=(number, len(made.spread)))
    met = ((asked >= made.lower[0]) & (asked <= made.upper[0])).all(axis=1)
    return theta[met], value[met]


ADMITTED = {
    "a loss": {},
    "a window of a judgement": {"lower": (1.5,), "upper": (4.5,), "spread": (1.0,)},
    "two rules": {**TWO, "lower": (2.5, 33.0)},
}


@pytest.mark.parametrize("rule", ADMITTED.values(), ids=ADMITTED)
def test_patients_of_the_prior_are_those_who_met_the_rules(rule):
    """Coefficients, and values at three visits, against rejection; everybody who is predicted meets a hard rule."""
    from slopeshift.model.families import predicted

    model, visits = built(line_trial(), **rule)
    draws = fixed_draws(model, **({"standardised_level": -0.5} if len(rule.get("lower", ())) == 2 else {}))
    terms = terms_of(model)
    filled = exact.with_prior_coefficients(draws, visits, terms, seed=1)
    values = predicted("normal", filled, visits, 2, terms).to_numpy()[0]
    theta, value = by_rejection(visits, draws, seed=3, **rule)
    for column in range(3):
        ours = filled["coefficients"].to_numpy()[0, :, 0, column]
        assert kstest(ours, theta[:, column]).pvalue > 0.001
    for place in (0, 3, 8):
        assert kstest(values[:, place], value[:, place]).pvalue > 0.001
    if not any(rule.get("spread", (0.0,))):
        made = selected(visits, **rule)
        for i in range(6):
            asked = values[:, visits.patient_index == i] @ made.weight[:, visits.patient_index == i].T
            assert (asked >= made.lower[0] - 1e-4).all()  # kept in single precision


def test_the_exempt_are_drawn_as_anybody():
    from slopeshift.model.families import predicted

    model, visits = built(line_trial(), exempt=("P2",))
    terms = terms_of(model)
    filled = exact.with_prior_coefficients(fixed_draws(model), visits, terms, seed=1)
    lost = predicted("normal", filled, visits, 2, terms).to_numpy()[0] @ selected(visits).weight[0][:, None] * 0
    assert lost.shape == (4000, 1)
    slopes = filled["coefficients"].sel(coefficient="slope").to_numpy()[0]
    assert kstest(slopes[:, 1], norm(-1 + 0.4 * 0.3, 0.7).cdf).pvalue > 0.001
    assert kstest(slopes[:, 0], norm(-1 + 0.4 * 0.3, 0.7).cdf).pvalue < 1e-9


def test_two_rules_that_contradict_the_model_are_refused_in_words():
    mean, tau = np.zeros((2, 1, 2)), np.tile(np.array([[1.0, 0.9], [0.9, 1.0]]), (2, 1, 1, 1))
    with pytest.raises(ValueError, match="fewer than one of 10000 patients under 2 of 2 draws: the model and"):
        admitted.within(mean, tau, np.array([[4.0, -OPEN]]), np.array([[OPEN, -4.0]]), np.random.default_rng(0))


def test_the_log_density_of_a_patient_is_given_that_it_entered():
    model, visits = built(line_trial(), exempt=("P2",))
    draws, terms = fixed_draws(model, draws=3), terms_of(model)
    filled, found = exact.with_posterior_coefficients(draws, visits, terms, seed=1)
    loading, population = draws["loading"].to_numpy()[0, 0], filled["population"].to_numpy()[0, 1]
    assert population[1] == pytest.approx(-1 + 0.4 * 0.3)
    for i, patient in enumerate(visits.patients):
        basis = visits.basis[visits.patient_index == i]
        covariance = basis @ loading @ loading.T @ basis.T + 4.0 * np.eye(len(basis))
        expected = multivariate_normal.logpdf(visits.value[visits.patient_index == i], basis @ population, covariance)
        if patient != "P2":
            expected -= norm.logsf(2.5, -3 * population[1], np.sqrt(9 * 0.7**2 + 2 * 4.0))
        assert float(found[0, 1].sel(patient=patient)) == pytest.approx(expected, rel=1e-9)


def test_the_prior_of_the_population_is_the_same_with_rules():
    model, visits = built(line_trial())
    draws = fixed_draws(model, draws=5)
    sampled = precompiled.precompiled(model, visits).prior(5, seed=1)
    filled = exact.with_prior_coefficients(sampled, visits, terms_of(model), seed=1)
    found = log_prior(model, filled, terms_of(model))
    assert draws.sizes["draw"] == found.sizes["draw"]
    assert set(found.data_vars) == {
        "population",
        "correlation",
        "sd_level",
        "sd_slope",
        "sd_response",
        "sd_cycle",
        "sigma",
    }


# ---- in a fit ----

LOSS = {"outcome": "alsfrsr", "quantity": "loss", "from": "first", "to": "injection", "at_least": 3, "source": "test"}


def screened_trial(patients=12, seed=0, rounded=True, truth=None, **rule):
    """A trial of lines in which nothing changes: of candidates, those enter who lost as many points as the rule asks.

    `truth` (level, slope, SD of level, of slope, residual SD). Without rounding, values are taken as they are drawn.
    """
    from slopeshift.trial import trial_from_tables

    level, slope, sd_level, sd_slope, sigma = truth or (34.0, -1.0, 4.0, 0.7, 1.8)
    rng, rule = np.random.default_rng(seed), {**LOSS, **rule}
    months, rows, given = np.array([-3.0, -1.5, 0.0, *range(1, 9)]), [], []
    while len(given) < 2 * patients:
        values = level + sd_level * rng.normal() + (slope + sd_slope * rng.normal()) * months
        values = values + sigma * rng.normal(size=len(months))
        values = values.round().clip(0, 48) if rounded else values
        if values[0] - values[2] < rule["at_least"]:
            continue
        name = f"P{len(given) // 2 + 1:02d}"
        rows += [(name, m, value) for m, value in zip(months, values, strict=True)]
        given += [(name, 1, 0.0), (name, 2, 4.0)]
    import pandas as pd

    tables = {
        "patients": pd.DataFrame({"patient": sorted({name for name, *_ in given})}),
        "visits": pd.DataFrame(rows, columns=["patient", "month", "alsfrsr"]),
        "injections": pd.DataFrame(given, columns=["patient", "injection", "month"]),
    }
    settings = {"title": "Screened", "synthetic": True, "source": "test", "entry": [rule]}
    return trial_from_tables("screened", tables, settings)


@pytest.fixture(scope="module")
def screened():
    return screened_trial()


@pytest.fixture(scope="module")
def fit(screened):
    from trials import ROOT

    from slopeshift.fit.sample import sample
    from slopeshift.fit.store import Settings
    from slopeshift.model.files import load_model

    return sample(load_model(ROOT / "models/alsfrsr.py"), screened, Settings(seed=1, draws=1000), progress=False)


def test_a_fit_knows_the_rules_of_its_trial_and_says_so(fit, screened):
    assert fit.record["entry_rules"] == "modelled"
    posterior = fit.tree["posterior"]
    assert posterior["population"].dims == ("chain", "draw", "coefficient")
    moved = -1.0 + 0.4 * posterior["standardised_slope"]
    np.testing.assert_allclose(posterior["population"].sel(coefficient="slope"), moved)
    assert not fit.tree["sample_stats"]["diverging"].any()
    assert "standardised_slope" not in fit.tree["log_prior"]
    lost = screened.visits.groupby("patient")["alsfrsr"].agg(lambda values: values.iloc[0] - values.iloc[2])
    assert lost.min() >= 3


def test_the_gate_asks_how_many_of_the_screened_meet_the_rules(fit, screened):
    from slopeshift.answers import enrolled
    from slopeshift.answers.tables import results_of
    from slopeshift.fit.posterior import posterior_of

    posterior = posterior_of(screened, fit)
    gate = results_of(posterior).diagnostics.set_index("diagnostic")
    assert gate.loc["share_meeting", "value"] == pytest.approx(enrolled.share(posterior))
    assert gate.loc["share_meeting", "quantity"] == "the screened"


@pytest.mark.parametrize("group", ["prior_predictive", "posterior_predictive"])
def test_patients_who_are_predicted_have_met_the_rules(fit, screened, group):
    visits = visits_of(screened, "alsfrsr")
    values = fit.tree[group]["alsfrsr"].to_numpy()
    assert (values[..., visits.month == -3] - values[..., visits.month == 0]).min() >= 2.5 - 1e-4


def test_the_source_population_declines_more_slowly_than_those_enrolled(fit):
    """And the model without the factor takes the ones for the other."""
    draws = fit.tree["posterior"].to_dataset()
    enrolled = draws["coefficients"].sel(coefficient="slope").mean("patient")
    assert float((draws["population"].sel(coefficient="slope") - enrolled).mean()) > 0.2


def test_a_model_that_leaves_the_factor_out_says_so(screened):
    from dataclasses import replace

    from trials import ROOT

    from slopeshift.fit.sample import entry_rules
    from slopeshift.model.files import load_model
    from slopeshift.model.stated import statement

    build = load_model(ROOT / "models/alsfrsr.py").build
    model, visits = replace(build, entry=False)(screened), visits_of(screened, "alsfrsr")
    assert not model.potentials
    assert entry_rules(screened, visits, statement(model).entry) == "not modelled"
    assert entry_rules(line_trial(), visits_of(line_trial(), "alsfrsr"), False) == "none"


def test_a_refit_takes_the_rules_along_and_lets_whole_patients_go(screened):
    from trials import ROOT

    from slopeshift.fit.compiled import Sampling, compile_once
    from slopeshift.model.files import source_of
    from slopeshift.sensitivity.subsets import of_patients, without

    program = compile_once("alsfrsr", source_of(ROOT / "models/alsfrsr.py"), screened, Sampling(1, 50, 50))
    visits = visits_of(screened, "alsfrsr", Shape(curved=True))
    fewer = without(visits, of_patients(visits, ["P03"]))
    refit = program.fit(screened, fewer, seed=1)
    assert np.isneginf(refit.design["entry_lower"].sel(patient="P03")).all()
    assert (refit.design["entry_lower"].drop_sel(patient="P03") == 2.5).all()
    with pytest.raises(ValueError, match="values that an entry rule was judged by are not among these visits"):
        program.fit(screened, without(visits, visits.month == 0), seed=1)

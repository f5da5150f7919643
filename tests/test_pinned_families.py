"""Residual families by hand: densities, draws and orders of visits as numbers, each against arithmetic of its own.

Nothing is compiled: expressions are evaluated operation by operation.
"""

from types import SimpleNamespace

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
import xarray as xr
from scipy import stats
from scipy.special import log_ndtr

from slopeshift.engine.sequence import apart, fading, sequence
from slopeshift.model import families
from slopeshift.model.families.bounded import log_normal_cdf, on_scale, sd_on_scale, within
from slopeshift.model.families.family import Family
from slopeshift.model.priors import HalfNormal
from slopeshift.trial import Outcome

SCORE = Outcome("alsfrsr", "ALSFRS-R", "points", 0, 48, integer=True)
PERCENT = Outcome("fvc", "FVC", "%", 0, 200, integer=False)
OPEN = Outcome("x", "x", "points", None, None, integer=False)
SIGMA = np.array([2.0, 3.0])
INTERPRETED = pytensor.compile.mode.Mode(linker="py", optimizer=None)


def value_of(expression):
    return np.asarray(pt.as_tensor(expression).eval(mode=INTERPRETED))


def visits(month=(0.0, 1.0, 3.0), patient=(0, 0, 0), value=(30.0, 0.0, 48.0), outcome=SCORE):
    months = np.asarray(month, float)
    basis = np.column_stack([np.ones_like(months), months])
    places = np.asarray(patient, dtype=np.intp)
    return SimpleNamespace(
        outcome=outcome, month=months, patient_index=places, value=np.asarray(value, float), basis=basis
    )


def residual(name, of=None, **parameters):
    draws = {"sigma": SIGMA} | parameters
    stored = xr.Dataset({key: (("chain", "draw"), np.asarray(x)[None]) for key, x in draws.items()})
    return families.residual_of(name, stored, of or visits())


def both(name, value, mean, parameters, of):
    """The log density at one draw: as an expression, and of the residual."""
    family = families.FAMILIES[name]
    constants = [pt.constant(x) for x in parameters.values()]
    written = family.log_density(pt.constant(value), pt.constant(mean), constants, of)
    found = residual(name, of, **{key: np.array([x]) for key, x in parameters.items()})
    return value_of(written), found.log_density(value, mean[None, None])[0, 0]


# ---- normal and Student-t ----


@pytest.mark.parametrize(
    ("name", "law", "more"), [("normal", stats.norm(28, 2), {}), ("student_t", stats.t(5, 28, 2), {"nu": 5.0})]
)
def test_a_smooth_family_has_the_density_and_the_chances_of_its_law(name, law, more):
    value, mean = np.array([30.0, 20.0]), np.array([28.0, 28.0])
    for found in both(name, value, mean, {"sigma": 2.0} | more, visits()):
        np.testing.assert_allclose(found, law.logpdf(value))
    of = residual(name, sigma=np.array([2.0]), **{key: np.array([x]) for key, x in more.items()})
    lower, equal = of.lower(value, mean[None, None])
    np.testing.assert_allclose(lower[0, 0], law.cdf(value))
    assert equal.tolist() == [[[0, 0]]]


def test_working_values_are_the_residual_with_the_spread_that_counts_there():
    value, mean = np.array([30.0]), np.array([[28.0], [24.0]])
    left, sd = residual("normal").working(value, mean)
    assert (left.tolist(), sd.tolist()) == ([[2], [6]], [[2], [3]])
    left, sd = residual("student_t", nu=np.array([5.0, 9.0])).working(value, mean)
    assert left.tolist() == [[2], [6]]
    np.testing.assert_allclose(sd, [[2 * np.sqrt(6 / 6)], [3 * np.sqrt(13 / 10)]])


def test_rows_are_divided_by_the_standard_deviation_that_the_information_of_a_value_gives():
    rows, value = pt.constant(np.array([[6.0, 12.0]])), pt.constant(np.array([30.0]))
    parts = {
        "normal": ([2.0], 2.0),
        "student_t": ([2.0, 5.0], 2 * np.sqrt(8 / 6)),
        "bounded": ([2.0], np.sqrt(49 / 12)),
    }
    for name, (parameters, sd) in parts.items():
        constants = [pt.constant(x) for x in parameters]
        found = families.FAMILIES[name].standardise(rows, value, constants, visits(month=[0], patient=[0]))
        np.testing.assert_allclose(value_of(found), [[6 / sd, 12 / sd]])


@pytest.mark.parametrize(("name", "parameters", "sd"), [("normal", [2.0], 2.0), ("student_t", [2.0, 5.0], 2.58)])
def test_draws_scatter_around_the_mean_by_the_spread(name, parameters, sd):
    import pymc as pm

    mean = np.repeat([10.0, 40.0], 4000)
    expression = families.FAMILIES[name].simulate(pt.constant(mean), [pt.constant(x) for x in parameters], visits())
    drawn = pm.draw(expression, random_seed=1, mode=INTERPRETED).reshape(2, 4000)
    np.testing.assert_allclose(drawn.mean(axis=1), [10, 40], atol=0.2)
    np.testing.assert_allclose(drawn.std(axis=1), sd, rtol=0.06)


# ---- bounded ----


def recorded(value, mean, sigma, scale):
    """Log probability of a recorded value by differences of the normal law; a density between ends that are no step."""
    half = 0.5 if scale.integer else 0.0
    if scale.minimum is not None and value <= scale.minimum:
        return log_ndtr((value + half - mean) / sigma)
    if scale.maximum is not None and value >= scale.maximum:
        return log_ndtr((mean - value + half) / sigma)
    if not scale.integer:
        return stats.norm(mean, sigma).logpdf(value)
    return np.log(np.diff(stats.norm(mean, sigma).cdf([value - half, value + half]))[0])


@pytest.mark.parametrize("scale", [SCORE, PERCENT, OPEN], ids=["score", "percent", "open"])
@pytest.mark.parametrize("mean", [-1.0, 3.0, 24.0, 46.0, 49.0])
def test_a_bounded_value_has_the_probability_of_all_that_is_recorded_so(scale, mean):
    top = 48.0 if scale.maximum is None else scale.maximum
    value = np.array([0.0, 1.0, 24.0, top - 1, top])
    value = value[np.abs(value - mean) < 15]
    of = visits(np.zeros(len(value)), np.zeros(len(value), int), value, scale)
    wanted = [recorded(each, mean, 2.5, scale) for each in value]
    for found in both("bounded", value, np.full(len(value), mean), {"sigma": 2.5}, of):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_log_probabilities_far_out_in_either_tail_stay_exact():
    for z in (-40.0, -5.0, 0.0, 5.0, 9.0):
        np.testing.assert_allclose(value_of(log_normal_cdf(pt.constant(z))), log_ndtr(z), rtol=1e-10)
    value = np.array([20.0])
    for mean in (-30.0, 70.0):
        for found in both("bounded", value, np.array([mean]), {"sigma": 2.0}, visits([0], [0], value)):
            assert found[0] == pytest.approx(log_ndtr(-24.75) + np.log1p(-np.exp(log_ndtr(-25.25) - log_ndtr(-24.75))))


def test_a_lower_bounded_value_and_the_same_one_share_all_probability_out():
    value, mean = np.array([0.0, 1.0, 47.0, 48.0]), np.full((1, 1, 4), 24.0)
    lower, equal = residual("bounded", sigma=np.array([20.0])).lower(value, mean)
    cut = stats.norm(24, 20).cdf
    np.testing.assert_allclose(lower[0, 0], [0, cut(0.5), cut(46.5), cut(47.5)])
    np.testing.assert_allclose(equal[0, 0], [cut(0.5), cut(1.5) - cut(0.5), cut(47.5) - cut(46.5), 1 - cut(47.5)])


def test_a_bounded_working_value_is_corrected_for_rounding_and_pulls_outward_at_an_end():
    value, mean = np.array([24.0, 0.0, 48.0]), np.array([[26.0, 1.0, 47.0]])
    left, sd = residual("bounded", sigma=np.array([2.0])).working(value, mean)
    assert (left[0, 0], sd[0, 0]) == pytest.approx((-2, np.sqrt(4 + 1 / 12)))
    # Of log Phi(z), z = -0.25 SDs beyond the end: slope phi / Phi, and curvature slope (slope + z).
    slope = stats.norm.pdf(0.25) / stats.norm.cdf(-0.25)
    curvature = slope * (slope - 0.25)
    np.testing.assert_allclose(left[0, 1:], [-2 * slope / curvature, 2 * slope / curvature])
    np.testing.assert_allclose(sd[0, 1:], 2 / np.sqrt(curvature))
    plain = visits([0], [0], [24.0], PERCENT)
    assert residual("bounded", plain, sigma=np.array([2.0])).working(value[:1], mean[:, :1])[1] == 2


def test_a_mean_far_beyond_an_end_is_told_next_to_nothing_by_it():
    left, sd = residual("bounded", sigma=np.array([0.5])).working(np.array([0.0]), np.array([[-40.0]]))
    assert (left[0, 0], sd[0, 0]) == pytest.approx((-0.5, 0.5 / np.sqrt(1e-9)))


@pytest.mark.parametrize(
    ("scale", "shown"),
    [(SCORE, [0, 0, 1, 1, 48, 48]), (PERCENT, [0, 0.4, 0.6, 1.4, 199, 200]), (OPEN, [-2, 0.4, 0.6, 1.4, 199, 201])],
    ids=["score", "percent", "open"],
)
def test_latent_values_are_written_down_rounded_and_within_the_ends(scale, shown):
    latent = np.array([-2.0, 0.4, 0.6, 1.4, 199.0, 201.0])
    np.testing.assert_allclose(value_of(on_scale(pt.constant(latent), scale)), shown)


def test_a_value_at_an_end_counts_for_nothing_and_one_beside_it_for_all():
    value = pt.constant(np.array([0.0, 1.0, 47.0, 48.0]))
    assert value_of(within(value, SCORE)).tolist() == [0, 1, 1, 0]
    assert value_of(within(value, OPEN)).tolist() == [1, 1, 1, 1]
    assert value_of(sd_on_scale(pt.constant(2.0), PERCENT)) == 2
    assert value_of(sd_on_scale(pt.constant(2.0), SCORE)) == pytest.approx(np.sqrt(4 + 1 / 12))


@pytest.mark.parametrize(("low", "high"), [(0, None), (None, 48)], ids=["below", "above"])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "any"])
def test_a_scale_with_one_end_is_kept_at_that_end_alone(low, high, whole):
    scale = Outcome("alsfrsr", "ALSFRS-R", "points", low, high, integer=whole)
    latent = pt.constant(np.array([-2.0, 50.0]))
    assert value_of(on_scale(latent, scale)).tolist() == [-2 if low is None else 0, 50 if high is None else 48]
    ends = pt.constant(np.array([0.0, 48.0]))
    assert value_of(within(ends, scale)).tolist() == [low is None, high is None]
    for value in (0.0, 48.0):
        of = visits([0], [0], [value], scale)
        for found in both("bounded", of.value, np.array([value]), {"sigma": 2.0}, of):
            np.testing.assert_allclose(found, recorded(value, value, 2.0, scale))
        at_end = value == (48 if low is None else 0)
        sd = residual("bounded", of, sigma=np.array([2.0])).working(of.value, np.array([[value]]))[1]
        assert (sd[0, 0] != pytest.approx(np.sqrt(4 + whole / 12))) == at_end


# ---- autocorrelated ----

MIXED = {"month": [3.0, 0.0, 0.1, 1.0, 5.0], "patient": [0, 1, 0, 0, 1], "value": [30.0, 31, 29, 35, 28]}
"""Two patients, rows in no order: 0.1, 1 and 3 of the first, 0 and 5 of the second."""


def covariance(month, sigma, correlation):
    """Residuals of one patient at months that are at least half a month apart."""
    return sigma**2 * correlation ** np.abs(month[:, None] - month)


def test_the_order_of_visits_is_that_of_time_within_each_patient():
    order = sequence(np.array(MIXED["patient"]), np.array(MIXED["month"]))
    assert order.previous.tolist() == [3, 1, 2, 2, 1]
    assert order.first.tolist() == [False, True, True, False, False]
    np.testing.assert_allclose(order.months, [2, 1, 1, 0.9, 5])
    assert order.number.tolist() == [2, 0, 0, 1, 1]


def test_an_autocorrelated_value_has_its_density_given_the_one_before():
    of = visits(**MIXED)
    mean = np.array([28.0, 30, 30, 31, 30])
    wanted = np.zeros(2)
    for patient in (0, 1):
        mine = of.patient_index == patient
        law = stats.multivariate_normal(mean[mine], covariance(of.month[mine], 2.0, 0.6))
        wanted[patient] = law.logpdf(of.value[mine])
    one = residual("autocorrelated", of, sigma=np.array([2.0]), autocorrelation=np.array([0.6]))
    found = one.log_density(of.value, mean[None, None])[0, 0]
    np.testing.assert_allclose([found[of.patient_index == patient].sum() for patient in (0, 1)], wanted)
    assert found[2] == pytest.approx(stats.norm(30, 2).logpdf(29))


def test_a_residual_fades_and_what_is_new_is_added():
    order = sequence(np.array(MIXED["patient"]), np.array(MIXED["month"]))
    z = np.array([1.0, -1.0, 0.5, 2.0, 0.0])
    left = value_of(fading(pt.constant(z), pt.constant(2.0), pt.constant(0.6), order))
    assert left[[2, 1]].tolist() == [1, -2]
    assert left[4] == pytest.approx(-2 * 0.6**5)
    assert left[3] == pytest.approx(0.6**0.9 + 2 * 2 * np.sqrt(1 - 0.6**1.8))


def test_drawn_residuals_have_the_correlation_of_their_months():
    of = visits([3.0, 0.0, 1.0], [0, 0, 0], np.zeros(3))
    one = residual("autocorrelated", of, sigma=np.full(8000, 2.0), autocorrelation=np.full(8000, 0.6))
    drawn = one.draw(np.tile([30.0, 10.0, 20.0], (8000, 1)), np.random.default_rng(1))
    np.testing.assert_allclose(drawn.mean(axis=0), [30, 10, 20], atol=0.15)
    np.testing.assert_allclose(np.cov(drawn.T), covariance(of.month, 2.0, 0.6), atol=0.2)


def test_months_apart_are_at_least_half_a_month_for_each_step():
    np.testing.assert_allclose(apart(np.array([3.0, 0.0, 0.1])), [[0, 3.4, 2.9], [3.4, 0, 0.5], [2.9, 0.5, 0]])


# ---- what is stored ----


def lines(value=30.0):
    """Draws (chain 2, draw 1) of two patients: levels 30 and 40, slopes -1 and -2; sigma 2, then 3."""
    theta = np.broadcast_to(np.array([[30.0, -1.0], [40.0, -2.0]]), (2, 1, 2, 2))
    of = visits([0.0, 2.0, 1.0], [0, 0, 1], [30.0, value, 38.0])
    return xr.Dataset(
        {
            "coefficients": (("chain", "draw", "patient", "coefficient"), theta),
            "sigma": (("chain", "draw"), np.array([[2.0], [3.0]])),
        },
        coords={"chain": [0, 1], "draw": [0]},
    ), of


def test_stored_log_likelihoods_are_those_of_each_draws_line():
    draws, of = lines(value=27.0)
    found = families.log_likelihood("normal", draws, of)
    assert (found.dims, found.dtype, found.name) == (("chain", "draw", "visit"), np.float32, "alsfrsr")
    for chain, sigma in enumerate((2, 3)):
        wanted = stats.norm([30, 28, 38], sigma).logpdf([30, 27, 38])
        np.testing.assert_allclose(found[chain, 0], wanted, rtol=1e-6)


def test_predictions_scatter_around_each_draws_line_by_its_sigma():
    draws, of = lines()
    many = xr.concat([draws] * 3000, "draw").assign_coords(draw=range(3000)).transpose("chain", "draw", ...)
    found = families.predicted("normal", many, of, seed=1)
    np.testing.assert_allclose(found.mean("draw"), np.tile([30, 28, 38], (2, 1)), atol=0.2)
    np.testing.assert_allclose(found.std("draw"), [[2] * 3, [3] * 3], rtol=0.05)
    assert not np.array_equal(found, families.predicted("normal", many, of, seed=2))


# ---- what a family is ----


def test_families_say_whether_they_are_integrated_out_and_independent():
    facts = {name: (each.integrated_out, each.independent) for name, each in families.FAMILIES.items()}
    assert facts == {
        "normal": (True, True), "bounded": (False, True), "student_t": (False, True), "autocorrelated": (True, False),
    }  # fmt: skip
    assert families.normal_written_out.integrated_out is False
    assert families.FAMILIES["normal"] is families.normal


def test_a_family_without_a_prior_says_which():
    prior = HalfNormal(3.0)
    assert families.normal(prior).priors == {"sigma": prior}
    with pytest.raises(ValueError, match="the family student_t has no prior for nu; state one"):
        _ = families.student_t(prior).priors


def test_the_contract_is_not_a_family_itself():
    for ask in (
        lambda: Family.standardise(None, None, (), None),
        lambda: Family.log_density(None, None, (), None),
        lambda: Family.simulate(None, (), None),
        lambda: Family.residual({}, None),
    ):
        with pytest.raises(NotImplementedError):
            ask()

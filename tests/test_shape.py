"""Shapes: columns equal to an integral done slowly, and the plain line where nothing waits, wears off or bends."""

from itertools import pairwise
from math import inf

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from trials import ROOT, line_trial

from slopeshift.design.shape import PLAIN, Shape, shape_of
from slopeshift.design.visits import visits_of
from slopeshift.engine.exact import statistics_of
from slopeshift.engine.terms import terms_of
from slopeshift.model.files import load_model
from slopeshift.model.line import piecewise_line
from slopeshift.model.priors import LKJ, HalfNormal, Normal

schedules = st.lists(st.floats(0.05, 8), max_size=4).map(lambda gaps: np.cumsum([0.0, *gaps])[: len(gaps)])
months = st.lists(st.floats(-6, 36), min_size=1, max_size=8).map(np.array)
lags, half_lives = st.floats(0, 4), st.one_of(st.floats(0.5, 50), st.just(np.inf))
shapes = st.one_of(
    st.builds(Shape, lag=lags, half_life=half_lives, curved=st.booleans()),
    st.builds(Shape, window=st.floats(0.1, 6), curved=st.booleans()),
)


def columns(shape, month, tau):
    return shape.columns(month, np.tile(tau, (len(month), 1)))


def strength(u, k, tau, shape):
    """How much of change k there is at month u, by the sentence that defines it."""
    begin = tau[k] + shape.lag
    end = tau[k + 1] + shape.lag if k + 1 < len(tau) else np.inf
    return np.where((u > begin) & (u <= end), 0.5 ** (np.maximum(u - begin, 0) / shape.half_life), 0.0)


@settings(max_examples=50, deadline=None)
@given(months, schedules, lags, half_lives)
def test_a_lagged_and_waning_change_is_integrated_as_a_fine_sum_would(month, tau, lag, half_life):
    shape = Shape(lag=lag, half_life=half_life)
    found = columns(shape, month, tau)[:, 2:]
    for t, row in zip(month, found, strict=True):
        step = 0.002
        u = np.arange(0, max(t, 0), step) + step / 2
        by_sum = [step * strength(u, k, tau, shape).sum() for k in range(len(tau))]
        np.testing.assert_allclose(row, by_sum, atol=3 * step)


@given(months, schedules)
def test_without_a_lag_or_a_half_life_it_is_the_plain_line(month, tau):
    np.testing.assert_array_equal(columns(Shape(lag=0.0, half_life=np.inf), month, tau), columns(PLAIN, month, tau))
    np.testing.assert_allclose(
        columns(Shape(half_life=1e9), month, tau), columns(PLAIN, month, tau), rtol=1e-6, atol=1e-12
    )
    np.testing.assert_array_equal(columns(Shape(curved=True), month, tau)[:, [0, 1, *range(3, 3 + len(tau))]],
                                  columns(PLAIN, month, tau))  # fmt: skip


@given(months, schedules, lags)
def test_a_lag_is_the_same_line_later(month, tau, lag):
    later = columns(Shape(lag=lag), month, tau)[:, 2:]
    np.testing.assert_allclose(later, columns(PLAIN, month - lag, tau)[:, 2:], atol=1e-9)


@given(months, schedules, shapes, st.floats(0, 0.5))
def test_every_course_is_continuous_and_no_change_counts_before_its_injection(month, tau, shape, step):
    before, after = columns(shape, month, tau), columns(shape, month + step, tau)
    treated = slice(len(shape.natural), None)
    growth = after[:, treated] - before[:, treated]
    assert (growth >= -1e-9).all()
    assert (growth.sum(axis=1) <= step + 1e-9).all()
    first = tau[0] if len(tau) else np.inf
    assert not before[month <= first][:, treated].any()


@given(months)
def test_the_bend_of_a_curved_course_grows_the_slope_by_itself(month):
    bend = columns(Shape(curved=True), month, np.empty(0))[:, 2]
    slope = (columns(Shape(curved=True), month + 1e-4, np.empty(0))[:, 2] - bend) / 1e-4
    np.testing.assert_allclose(slope, month, atol=1e-3)


@given(months, schedules, shapes)
def test_a_value_informs_the_change_that_it_comes_after_and_no_other(month, tau, shape):
    """Counted where the column of the change still grows up to the value."""
    counts = shape.values_in_cycles(month, np.zeros(len(month), dtype=np.intp), tau[None, :])[0]
    begin = tau + shape.lag
    end = [*begin[1:], np.inf] if len(tau) else []
    by_loop = [sum(b < t <= min(e, b + shape.window) for t in month) for b, e in zip(begin, end, strict=True)]
    assert counts.tolist() == by_loop


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ({"window": 0.0}, "window of 0.0 months: give a number above 0, or leave it out"),
        ({"window": float("nan")}, "window of nan months: give a number above 0"),
        ({"half_life": -1.0}, "half_life of -1.0 months: give a number above 0, or leave it out"),
        ({"lag": -1.0}, "lag of -1.0 months: give a finite number from 0"),
        ({"lag": float("inf")}, "lag of inf months: give a finite number from 0"),
        ({"window": 3.0, "lag": 1.0}, "a window with a lag or a half-life: the rest of a cycle would have no meaning"),
        ({"lag": -1.0, "half_life": 0.0}, "half_life of 0.0 months.*; lag of -1.0 months"),
    ],
)
def test_what_is_no_shape_is_refused_with_everything_that_is_wrong(numbers, told):
    with pytest.raises(ValueError, match=told):
        Shape(**numbers)


@settings(deadline=None)
@given(shapes)
def test_what_is_kept_of_a_shape_is_the_shape(shape):
    assert shape_of(xr.Dataset({name: ((), value) for name, value in shape.recorded().items()})) == shape


def test_a_fit_keeps_its_shape():
    shape = Shape(lag=1.0, half_life=6.0)
    assert shape_of(visits_of(line_trial(), "alsfrsr", shape).dataset()) == shape


def test_the_basis_between_visits_is_that_of_the_visits():
    visits = visits_of(line_trial(), "alsfrsr", Shape(lag=0.5, half_life=4.0, curved=True))
    for i in range(len(visits.patients)):
        mine = visits.patient_index == i
        np.testing.assert_array_equal(visits.basis_of(i, visits.month[mine]), visits.basis[mine])


@pytest.mark.parametrize(
    ("shape", "stated", "told"),
    [
        (Shape(curved=True), {}, "the course is curved: state priors for curvature and sd_curvature"),
        (Shape(curved=True), {"curvature": Normal(0, 0.02)}, "state priors for curvature and sd_curvature"),
        (PLAIN, {"curvature": Normal(0, 0.02)}, r"but the course is not: Shape\(curved=True\)"),
    ],
)
def test_a_curvature_and_its_priors_go_together(shape, stated, told):
    priors = dict.fromkeys(("level", "slope", "change", "change_by_injection"), Normal(0, 1))
    priors |= dict.fromkeys(("sd_level", "sd_slope", "sd_response", "sd_cycle"), HalfNormal(1))
    with pytest.raises(ValueError, match=told):
        piecewise_line(visits_of(line_trial(), "alsfrsr", shape), correlation=LKJ(2), **priors, **stated)


@pytest.fixture(scope="module")
def waning():
    return load_model(ROOT / "models" / "alsfrsr_waning.py")


def test_every_shape_of_the_grid_is_fitted_by_the_model_compiled_for_one(waning):
    """Terms and statistics of each are those of a model file that states this shape itself."""
    trial = line_trial(patients=4)
    terms = terms_of(waning.build(trial))
    assert len(set(waning.grid)) == 9
    for one, other in pairwise(waning.grid):
        first, second = (statistics_of(visits_of(trial, "alsfrsr", shape), terms) for shape in (one, other))
        assert first.shape == second.shape
        assert not np.array_equal(first, second)


def test_a_curved_model_without_curvature_has_the_density_of_the_plain_one():
    trial = line_trial()
    plain = load_model(ROOT / "models" / "alsfrsr_straight.py").build(trial)
    curved = load_model(ROOT / "models" / "alsfrsr.py")
    straight = curved.build.varied(curvature=Normal(0, 1e-9))(trial)
    rng = np.random.default_rng(1)
    point = {name: value + 0.1 * rng.normal(size=np.shape(value)) for name, value in plain.initial_point().items()}
    of_outcome = straight.compile_logp(vars=straight.observed_RVs)
    none = {"sd_curvature_signed": 0.0, "curvature_by_level": 0.0, "curvature_by_slope": 0.0}
    assert of_outcome(point | none) == pytest.approx(plain.compile_logp(vars=plain.observed_RVs)(point), rel=1e-9)


def test_a_waning_model_that_does_not_wane_has_the_density_of_the_plain_one(waning):
    trial = line_trial()
    plain = load_model(ROOT / "models" / "alsfrsr.py").build(trial)
    lasting = waning.build.varied(shape=Shape(lag=0.0, half_life=inf, curved=True))(trial)
    point = plain.initial_point()
    assert lasting.compile_logp()(point) == pytest.approx(plain.compile_logp()(point), rel=1e-12)

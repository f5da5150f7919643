"""The design by hand: small trials whose columns, counts and lengths of cycles are written out, number by number."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from slopeshift.design import cycles
from slopeshift.design.shape import PLAIN, Shape, months_per_cycle, shape_of
from slopeshift.design.visits import visits_of
from slopeshift.trial import trial_from_tables

INF, NAN = np.inf, np.nan


def trial(injections, visits, planned=None):
    """A trial of patients P1, P2, ... injected at these months, with values at these: (month, score) each."""
    names = [f"P{i}" for i in range(1, len(injections) + 1)]
    given = [(n, k, m) for n, months in zip(names, injections, strict=True) for k, m in enumerate(months, 1)]
    tables = {
        "patients": pd.DataFrame({"patient": names}),
        "visits": pd.DataFrame(
            [(n, m, y) for n, rows in zip(names, visits, strict=True) for m, y in rows],
            columns=["patient", "month", "alsfrsr"],
        ),
        "injections": pd.DataFrame(given, columns=["patient", "injection", "month"]),
    }
    if planned is not None:
        tables["injections"]["planned_month"] = np.array([p for months in planned for p in months], dtype=float)
    return trial_from_tables("pinned", tables, {"title": "Pinned", "synthetic": True, "source": "test"})


EVERY = [[(float(m), 40 - m) for m in range(-2, 11)]]
"""Values of one patient in every month from -2 to 10."""


# ---- columns ----


def test_the_plain_columns_are_1_the_month_and_the_months_spent_in_each_cycle():
    visits = visits_of(trial([[0, 4]], EVERY), "alsfrsr")
    at = dict(zip(visits.month, visits.basis, strict=True))
    assert [at[m].tolist() for m in (-2, 0, 1, 4, 7)] == [
        [1, -2, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0], [1, 4, 4, 0], [1, 7, 4, 3],
    ]  # fmt: skip
    assert visits.coefficients == ("level", "slope", "change 1", "change 2")
    assert visits.injections == (1, 2)


def test_a_window_counts_its_months_and_those_after_it_apart():
    shape = Shape(window=3.0)
    rows = shape.columns(np.array([-1.0, 2, 3, 4, 8]), np.tile([0.0, 4.0], (5, 1)))
    assert rows.tolist() == [
        [1, -1, 0, 0, 0, 0], [1, 2, 2, 0, 0, 0], [1, 3, 3, 0, 0, 0], [1, 4, 3, 1, 0, 0], [1, 8, 3, 1, 3, 1],
    ]  # fmt: skip
    assert shape.changes([1, 2]) == ("change 1", "later 1", "change 2", "later 2")


def test_a_cycle_shorter_than_the_window_has_no_later_part():
    starts = Shape(window=3.0).starts(np.array([[0.0, 2.0, NAN]]))
    np.testing.assert_array_equal(starts, [[0, 2, 2, 5, NAN, NAN]])


def test_a_lag_moves_every_start_and_a_half_life_halves_the_rate():
    rows = Shape(lag=1.0, half_life=2.0).columns(np.array([0.5, 1.0, 3.0, 5.0]), np.zeros((4, 1)))
    whole = 2 / np.log(2)  # months of an effect that is halved every two, up to its end
    np.testing.assert_allclose(rows[:, 2], [0, 0, whole / 2, whole * 3 / 4])
    np.testing.assert_array_equal(Shape(lag=1.5).starts(np.array([[0.0, 4.0]])), [[1.5, 5.5]])


def test_a_curved_course_has_half_the_square_of_the_month():
    shape = Shape(curved=True)
    assert shape.natural == ("level", "slope", "curvature")
    assert shape.columns(np.array([-2.0, 3.0]), np.zeros((2, 0))).tolist() == [[1, -2, 2], [1, 3, 4.5]]


def test_a_patient_without_injections_spends_no_months():
    spent = months_per_cycle(np.array([5.0, 5.0]), np.array([[NAN, NAN], [0.0, NAN]]))
    assert spent.tolist() == [[0, 0], [5, 0]]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"window": 0.0}, "window of 0.0 months"),
        ({"half_life": 0.0}, "half_life of 0.0 months"),
        ({"lag": -0.1}, "lag of -0.1 months"),
        ({"lag": INF}, "lag of inf months"),
        ({"window": NAN}, "window of nan months"),
        ({"window": 3.0, "lag": 0.5}, "a window with a lag"),
        ({"window": 3.0, "half_life": 2.0}, "a window with a lag or a half-life"),
    ],
)
def test_shapes_without_a_meaning_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Shape(**wrong)


def test_shapes_at_the_edge_of_their_meaning_are_let_in():
    assert Shape(lag=0.0, half_life=0.1, window=INF).half_life == 0.1
    assert Shape(window=0.5).window == 0.5


@pytest.mark.parametrize("shape", [PLAIN, Shape(window=2.0), Shape(lag=1.0, half_life=3.0, curved=True)])
def test_a_shape_that_was_kept_is_read_as_it_was(shape):
    assert shape_of(xr.Dataset(shape.recorded())) == shape


# ---- what informs what ----


def test_a_cycle_is_informed_from_the_day_after_its_injection_until_the_day_of_the_next():
    visits = visits_of(trial([[0, 4, 20]], EVERY), "alsfrsr")
    assert visits.visits_in_cycle.tolist() == [[4, 6, 0]]
    assert visits.visits_in_lead_in.tolist() == [3]


def test_a_window_and_a_lag_are_informed_by_the_values_in_them_only():
    month, patient, given = np.arange(-2.0, 11), np.zeros(13, int), np.array([[0.0, 4.0]])
    assert Shape(window=3.0).values_in_cycles(month, patient, given).tolist() == [[3, 3]]
    assert Shape(lag=1.0).values_in_cycles(month, patient, given).tolist() == [[4, 5]]


def test_patients_keep_their_own_counts_and_one_without_injections_is_all_lead_in():
    visits = visits_of(trial([[0], []], [[(-1.0, 40), (0.0, 39), (2.0, 38)], [(0.0, 30), (3.0, 29)]]), "alsfrsr")
    assert visits.visits_in_cycle.tolist() == [[1], [0]]
    assert visits.visits_in_lead_in.tolist() == [2, 2]
    np.testing.assert_array_equal(visits.injection_month, [[0], [NAN]])
    np.testing.assert_array_equal(visits.patient_index, [0, 0, 0, 1, 1])


def test_an_outcome_that_the_trial_does_not_record_is_refused_by_name():
    with pytest.raises(LookupError, match="pinned records no outcome 'fvc'; its outcomes: alsfrsr"):
        visits_of(trial([[0]], EVERY), "fvc")


def test_visits_without_a_value_of_the_outcome_are_no_visits_of_it():
    visits = visits_of(trial([[0]], [[(-1.0, 40), (0.0, NAN), (2.0, 38)]]), "alsfrsr")
    assert visits.month.tolist() == [-1, 2]
    assert visits.value.tolist() == [40, 38]


def test_values_of_cycles_are_laid_out_at_their_changes():
    visits = visits_of(trial([[0, 4]], EVERY), "alsfrsr", Shape(window=3.0))
    assert visits.by_coefficient(np.array([[7.0, 9.0]])).tolist() == [[0, 0, 7, 0, 9, 0]]


def test_the_basis_of_a_patient_at_other_months_is_that_of_the_shape():
    visits = visits_of(trial([[0, 4], [0]], EVERY * 2), "alsfrsr")
    assert visits.basis_of(0, np.array([7.0])).tolist() == [[1, 7, 4, 3]]
    assert visits.basis_of(1, np.array([7.0])).tolist() == [[1, 7, 7, 0]]


def test_what_is_kept_with_a_fit_has_every_name_and_no_segment():
    kept = visits_of(trial([[0, 4]], EVERY), "alsfrsr", Shape(window=3.0)).dataset()
    assert {"patient", "injection", "coefficient", "visit"} == set(kept.coords)
    assert float(kept["window"]) == 3
    assert kept["visits_in_lead_in"].to_numpy().tolist() == [3]


# ---- lengths of cycles ----

TWICE = [[0, 3, 8], [0, 5]]


def lengths(planned=None):
    return cycles.cycle_lengths(trial(TWICE, EVERY * 2, planned))


@pytest.mark.parametrize(
    ("second", "source"), [(5.25, "actual"), (5.26, "planned")], ids=["a quarter of a month is one plan", "more is two"]
)
def test_plans_count_as_different_beyond_a_quarter_of_a_month(second, source):
    """Planned lengths of 5, 5 and `second` months."""
    found = lengths([[NAN, 5, 8], [NAN, second]])
    assert set(found["source"]) == {source}
    assert found["months"].tolist() == ([5, 5, second] if source == "planned" else [3, 5, 5])


def test_an_injection_on_or_after_the_day_of_the_next_plan_leaves_no_plan_to_use():
    assert set(lengths([[NAN, 4, 3], [NAN, 9]])["source"]) == {"actual"}
    assert "were given after the next one was planned" in cycles.source_words(
        trial(TWICE, EVERY * 2, [[NAN, 4, 3], [NAN, 9]])
    )


def test_one_missing_plan_is_counted():
    said = cycles.source_words(trial(TWICE, EVERY * 2, [[NAN, 4, NAN], [NAN, 9]]))
    assert "missing for 1 of 3 closed cycles" in said
    assert "no planned month is recorded" in cycles.source_words(trial(TWICE, EVERY * 2))
    assert "fixed before the cycle began" in cycles.source_words(trial(TWICE, EVERY * 2, [[NAN, 4, 9], [NAN, 9]]))


@pytest.mark.parametrize(("days", "same"), [(0.49, True), (-0.49, True), (0.51, False), (-0.51, False)])
def test_a_value_is_of_an_injections_day_within_half_a_day(days, same):
    visits = visits_of(trial([[0, 4]], [[(-1.0, 40), (4 + days / 30.4375, 36)]]), "alsfrsr")
    assert visits.on_injection_days.tolist() == [False, same]


def test_differences_of_intervals_are_none_below_a_thousandth_of_a_month():
    of = trial([[0, 3], [0, 3.0008]], EVERY * 2)
    parts = cycles.split(of, visits_of(of, "alsfrsr"))
    assert parts.between.ravel().tolist() == [0, 0, 0, 0]
    of = trial([[0, 3], [0, 3.0024]], EVERY * 2)
    assert cycles.split(of, visits_of(of, "alsfrsr")).between[:, 0].tolist() == [-0.001, 0.001]


def test_the_mean_interval_is_that_of_patients_and_not_of_cycles():
    assert cycles.mean_interval(lengths()) == pytest.approx((4 + 5) / 2)


def test_intervals_are_split_to_a_thousandth_of_a_month():
    of = trial([[0, 3, 8], [0, 5], [0]], EVERY * 3)
    parts = cycles.split(of, visits_of(of, "alsfrsr"))
    assert parts.within.tolist() == [[-1, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert parts.between.tolist() == [[-0.5] * 3, [0.5] * 3, [0] * 3]


def seen(injections, values, window=3.0):
    of = trial(injections, values)
    return cycles.seen_changes(of, visits_of(of, "alsfrsr"), window)


BEND = [(-2.0, 44), (-1.0, 42), (0.0, 40), (1.0, 39), (2.0, 38), (3.0, 20), (4.0, 10), (5.0, 30), (6.0, 31)]


def test_what_is_seen_is_the_slope_within_the_window_less_that_up_to_the_injection():
    """Up to the first injection it falls by 2; within 3 months of it by 1; from month 5 it rises by 1."""
    found = seen([[0, 5, 9], [0, 3]], [BEND, BEND])
    assert found["patient"].tolist() == ["P1", "P1", "P2"]
    assert found["injection"].tolist() == [1, 2, 1]
    assert found["months"].tolist() == [5, 4, 3]
    np.testing.assert_allclose(found["seen"], [1, 3, 1])
    assert found["patient_index"].tolist() == [0, 0, 1]


def test_what_is_seen_of_a_patient_is_of_that_patients_values():
    flat = [(month, 30) for month, _ in BEND]
    np.testing.assert_allclose(seen([[0, 5], [0, 3]], [BEND, flat])["seen"], [1, 0])


def test_fewer_than_two_values_or_equal_intervals_show_nothing():
    assert seen([[0, 5, 9], [0, 3]], [BEND[1:3] + BEND[5:6], BEND[2:5]]).empty
    assert seen([[0, 4], [0, 4]], [BEND, BEND]).empty
    assert len(seen([[0, 4], [0, 5]], [BEND[1:5], BEND])) == 2

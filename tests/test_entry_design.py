"""Entry rules as limits on combinations of coefficients: against arrays made by hand, and against brute force."""

from dataclasses import replace
from math import inf

import numpy as np
import pandas as pd
import pytest

from slopeshift.design.entry import EntryError, conditions, selection
from slopeshift.design.shape import Shape
from slopeshift.design.visits import visits_of
from slopeshift.trial import trial_from_tables

LOSS = {"outcome": "alsfrsr", "quantity": "loss", "from": "first", "to": "last", "at_least": 3, "source": "4.1 (c)"}
SCORE = {"outcome": "alsfrsr", "quantity": "score", "from": "last", "above": 20, "source": "4.1 (a)"}
SCORES = {"P1": (40, 38, 37, 36), "P2": (36, 35, 32, 30), "P3": (30, 26, 24, 20), "P4": (42, 40, 38, 30)}
MONTHS = {"P1": (-3, -1, 0, 3), "P2": (-3, -1, 0, 3), "P3": (-4, -2, 0, 3), "P4": (-3, -1, 0, 3)}


def trial(*rules, outcomes=None, **of_patients):
    visits = [(name, float(m), s) for name in SCORES for m, s in zip(MONTHS[name], SCORES[name], strict=True)]
    onset = [-20.0, -15.0, -10.0, -20.0]
    table = pd.DataFrame(visits, columns=["patient", "month", "alsfrsr"])
    for name in outcomes or {}:
        table[name] = table["alsfrsr"]
    tables = {
        "patients": pd.DataFrame({"patient": list(SCORES), "onset_month": onset, **of_patients}),
        "visits": table,
        "injections": pd.DataFrame(
            [(name, k + 1, 2.0 * k) for name in list(SCORES)[:3] for k in range(2)],
            columns=["patient", "injection", "month"],
        ),
    }
    settings = {"title": "Chosen", "synthetic": True, "source": "test", "outcomes": outcomes or {}}
    return trial_from_tables("chosen", tables, {**settings, "entry": list(rules)})


def chosen(*rules, shape=None, lattice=True, outcome="alsfrsr", **options):
    made = trial(*rules, **options)
    return selection(made, visits_of(made, outcome, shape or Shape()), lattice=lattice)


def by_patient(found, name):
    return getattr(found, name)[found.group_of]


def test_a_trial_without_rules_on_an_outcome_has_no_selection():
    assert chosen() is None
    assert chosen(LOSS, outcome="nfl", outcomes={"nfl": {"unit": "pg/ml", "better": "lower"}}) is None


def test_a_loss_and_a_score_are_what_one_writes_by_hand():
    found = chosen(LOSS, SCORE)
    # A loss over three months is -3 times the slope, and has two residuals; the last value enters both conditions.
    assert by_patient(found, "a") == pytest.approx(
        np.array([[[0, -months, 0, 0], [1, 0, 0, 0]] for months in (3, 3, 4, 3)])
    )
    assert found.gram == pytest.approx(np.tile([[2, -1], [-1, 1]], (2, 1, 1)))
    assert found.lower == pytest.approx(np.tile([2.5, 20.5], (2, 1)))
    assert (found.upper == inf).all()
    assert list(found.group_of) == [found.group_of[0]] * 2 + [found.group_of[2], found.group_of[0]]
    assert sorted(found.count) == [1, 3]
    assert found.count[found.group_of[0]] == 3
    assert list(found.spread) == [0, 0]
    assert found.recorded.all()
    assert found.refused is None


def test_a_curved_course_has_its_curvature_in_the_combination():
    found = chosen(LOSS, shape=Shape(curved=True))
    assert by_patient(found, "a")[:, 0] == pytest.approx(
        np.array([[0, -months, months**2 / 2, 0, 0] for months in (3, 3, 4, 3)])
    )


def test_a_fall_is_a_rise_where_lower_is_better():
    better_lower = {"nfl": {"unit": "pg/ml", "better": "lower", "min": 0}}
    rule = LOSS | {"outcome": "nfl", "at_least": -9}
    found = chosen(rule, outcome="nfl", outcomes=better_lower)
    assert by_patient(found, "a")[0, 0] == pytest.approx([0, 3, 0, 0])
    assert by_patient(found, "lower")[0] == -9


@pytest.mark.parametrize(
    ("limits", "lower", "upper"),
    [
        ({"at_least": 3}, 2.5, inf),
        ({"above": 2}, 2.5, inf),
        ({"at_most": 6}, -inf, 6.5),
        ({"below": 7}, -inf, 6.5),
        ({"at_least": 2.4, "below": 6.6}, 2.5, 6.5),
        ({"at_least": 1, "at_most": 9}, 0.5, 9.5),
    ],
)
def test_limits_of_whole_scores_lie_halfway_to_the_first_refused(limits, lower, upper):
    rule = {key: value for key, value in LOSS.items() if key != "at_least"} | limits
    found = chosen(rule)
    assert set(found.lower.ravel()) == {lower}
    assert set(found.upper.ravel()) == {upper}
    stated = chosen(rule, lattice=False)
    assert set(stated.lower.ravel()) == {limits.get("at_least", limits.get("above", -inf))}
    assert set(stated.upper.ravel()) == {limits.get("at_most", limits.get("below", inf))}


def test_values_that_are_not_whole_have_no_lattice():
    rule = LOSS | {"outcome": "grip", "at_least": 2.4}
    assert set(chosen(rule, outcome="grip", outcomes={"grip": {"unit": "kg"}}).lower.ravel()) == {2.4}


def test_a_slope_is_a_difference_with_a_limit_of_the_patients_own():
    rule = LOSS | {"quantity": "slope", "at_most": -0.9}
    del rule["at_least"]
    found = chosen(rule)
    assert by_patient(found, "a")[:, 0] == pytest.approx(np.array([[0, d, 0, 0] for d in (3, 3, 4, 3)]))
    # -0.9 a month over 3 and 4 months lets in differences of -3 and -4, not of -2 and -3.
    assert by_patient(found, "upper")[:, 0] == pytest.approx([-2.5, -2.5, -3.5, -2.5])
    assert by_patient(chosen(rule, lattice=False), "upper")[:, 0] == pytest.approx([-2.7, -2.7, -3.6, -2.7])


def test_a_slope_whose_limit_is_a_whole_difference_is_corrected_by_half_a_step():
    rule = LOSS | {"quantity": "slope", "at_most": -1.0}
    del rule["at_least"]
    found = chosen(rule)
    assert by_patient(found, "upper")[:, 0] / [3, 3, 4, 3] == pytest.approx(
        [-1 + 1 / 6, -1 + 1 / 6, -1 + 1 / 8, -1 + 1 / 6]
    )


def test_a_slope_from_onset_is_a_score_with_a_limit_of_the_patients_own():
    rule = {"outcome": "alsfrsr", "quantity": "slope_from_onset", "from": "first", "at_least": 0.35, "source": "4.1"}
    found = chosen(rule)
    assert by_patient(found, "a")[:, 0] == pytest.approx(np.array([[-1, m, 0, 0] for m in (3, 3, 4, 3)]))
    # 17, 12, 6 and 17 months after onset: at least 5.95, 4.2, 2.1 and 5.95 points lost, that is 6, 5, 3 and 6.
    assert by_patient(found, "lower")[:, 0] == pytest.approx([-42.5, -43.5, -45.5, -42.5])


def test_a_decline_in_percent_is_linear_and_a_window_of_it_two_conditions():
    rule = LOSS | {"quantity": "decline_percent", "at_least": 5, "at_most": 50}
    found = chosen(rule)
    # 0.95 y_0 - y_1 >= 0 and 0.5 y_0 - y_1 <= 0, on lattices of a twentieth and of half a point.
    assert by_patient(found, "a")[0] == pytest.approx(np.array([[-0.05, -2.85, 0, 0], [-0.5, -1.5, 0, 0]]))
    assert found.gram[0] == pytest.approx(np.array([[0.95**2 + 1, 0.95 * 0.5 + 1], [0.95 * 0.5 + 1, 0.5**2 + 1]]))
    assert by_patient(found, "lower")[0] == pytest.approx([-0.025, -inf])
    assert by_patient(found, "upper")[0] == pytest.approx([inf, 0.25])


def test_who_is_exempt_belongs_to_no_group():
    found = chosen(LOSS | {"at_least": 4}, entry_exempt=["yes", "", "no", "NA"])
    assert list(found.group_of == -1) == [True, False, False, False]
    assert found.count.sum() == 3


def test_refused_patients_are_counted_where_every_rule_states_them():
    counted = LOSS | {"screened": 30, "refused": 21}
    assert chosen(counted).refused == 21
    assert chosen(counted, SCORE).refused is None
    assert chosen(counted, SCORE | {"screened": 30, "refused": 2}).refused == 23
    percent = counted | {"quantity": "decline_percent", "at_least": 5, "at_most": 50}
    assert chosen(percent).refused == 21


def test_of_three_conditions_the_first_two_are_taken():
    early = SCORE | {"from": "column:screening"}
    middle = SCORE | {"from": "first", "above": 21}
    found = chosen(early, LOSS, middle, screening=[44, 40, 33, 45], screening_month=-6.0)
    assert found.recorded.all()
    assert found.lower[0] == pytest.approx([20.5, 2.5])


def test_a_screening_value_is_one_of_the_values_at_its_own_time():
    alone = chosen(SCORE | {"from": "column:screening"}, screening=[44, 40, 33, 45], screening_month=-6.0)
    assert alone.recorded.all()
    assert alone.a[0, 0] == pytest.approx([1, -6, 0, 0])


def test_a_value_left_out_of_an_analysis_is_not_recorded():
    made = trial(LOSS)
    visits = visits_of(made, "alsfrsr")
    kept = np.ones(len(visits.value), dtype=bool)
    kept[0] = False
    parts = ("patient_index", "month", "value", "basis")
    fewer = replace(visits, **{part: getattr(visits, part)[kept] for part in parts})
    assert list(selection(made, fewer).recorded) == [False]
    assert selection(made, fewer).a == pytest.approx(selection(made, visits).a)


RULES = {
    "loss": LOSS,
    "window of scores": SCORE | {"at_most": 40},
    "slope": {**LOSS, "quantity": "slope", "at_least": -2.0, "at_most": -0.9},
    "percent": LOSS | {"quantity": "decline_percent", "at_least": 7.5, "below": 20.1},
    "from onset": {
        "outcome": "alsfrsr",
        "quantity": "slope_from_onset",
        "from": "last",
        "at_least": 0.5,
        "source": "-",
    },
}


@pytest.mark.parametrize("name", RULES)
def test_the_corrected_limits_let_in_whom_the_rule_lets_in(name):
    """Every pair of whole scores, against the rule as it is stated."""
    made = trial(RULES[name])
    visits = visits_of(made, "alsfrsr")
    found = conditions(made, visits)
    first, last = np.divmod(np.arange(49 * 49), 49)
    values = np.tile(visits.value, (len(first), 1))
    for patient in range(4):
        mine = np.flatnonzero(visits.patient_index == patient)
        values[:, mine[0]], values[:, mine[2]] = first, last
    met = found.met(values, np.random.default_rng(0))
    months, since = np.array([3, 3, 4, 3]), np.array([20, 15, 10, 20])
    a, b = first[:, None].astype(float), last[:, None].astype(float)
    with np.errstate(all="ignore"):
        expected = {
            "loss": a - b >= 3,
            "window of scores": (b > 20) & (b <= 40) & (a > -1),
            "slope": (b - a >= -2 * months) & (10 * (b - a) <= -9 * months),
            "percent": (1000 * (a - b) >= 75 * a) & (1000 * (a - b) < 201 * a),
            "from onset": 48 - b >= 0.5 * since,
        }[name]
    # Of nothing no percentage can be lost: a first value of 0 is nobody's.
    real = np.ones(len(a), dtype=bool) if name != "percent" else first > 0
    assert np.array_equal(met[real], np.broadcast_to(expected, met.shape)[real])


def test_a_judgement_scatters_by_its_spread():
    made = trial(LOSS | {"spread": 1.5})
    visits = visits_of(made, "alsfrsr")
    values = np.tile(visits.value, (20_000, 1))
    share = conditions(made, visits).met(values, np.random.default_rng(1)).mean(axis=0)
    from scipy.stats import norm

    assert share == pytest.approx(norm.cdf((np.array([3, 4, 6, 4]) - 2.5) / 1.5), abs=0.012)


def test_screening_values_choose_among_the_values():
    rules = (SCORE | {"from": "column:screening"}, {**LOSS, "from": "column:screening", "at_least": 3})
    made = trial(*rules, screening=[44, 40, 33, 45], screening_month=[-6.0, -5.0, -6.0, -6.0])
    visits = visits_of(made, "alsfrsr")
    found = conditions(made, visits)
    assert not len(found.other_index)
    values = visits.value[None].copy()
    values[0, visits.month < -4] = [40, 33, 30, 41]
    # The last values are 37, 32, 24 and 38: losses of 3, 1, 6 and 3.
    assert found.met(values, np.random.default_rng(0)).tolist() == [[True, False, True, True]]


def test_who_lacks_a_value_that_a_rule_needs_is_named():
    made = trial(LOSS)
    fewer = made.visits[~((made.visits["patient"] == "P2") & (made.visits["month"] < 0))]
    later = replace(made, _tables=made._tables | {"visits": fewer})
    with pytest.raises(EntryError, match="P2: no alsfrsr at 'first' and 'last', which an entry rule needs"):
        conditions(later, visits_of(later, "alsfrsr"))

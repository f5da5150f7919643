"""The basis: hinges that are zero before an injection, continuous, additive, and equal to a plain loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slopeshift.design.shape import months_per_cycle

schedules = st.lists(st.floats(0.05, 12), max_size=8).map(lambda gaps: np.cumsum([0.0, *gaps])[: len(gaps)])
months = st.lists(st.floats(-24, 120), min_size=1, max_size=30).map(np.array)


def hinges(month, tau):
    return months_per_cycle(month, np.tile(tau, (len(month), 1)))


def by_loop(month, tau):
    """Slow and obvious: count the months one patient had spent in each cycle."""
    out = np.zeros((len(month), len(tau)))
    for j, t in enumerate(month):
        for k, start in enumerate(tau):
            end = tau[k + 1] if k + 1 < len(tau) else float("inf")
            if t > start:
                out[j, k] = min(t, end) - start
    return out


@given(months, schedules)
def test_equals_a_plain_loop(month, tau):
    np.testing.assert_allclose(hinges(month, tau), by_loop(month, tau))


@given(months, schedules)
def test_zero_up_to_and_on_the_day_of_the_injection(month, tau):
    b = hinges(month, tau)
    assert (b[month[:, None] <= tau] == 0).all()
    assert (hinges(tau, tau)[np.triu_indices(len(tau))] == 0).all()


@given(months, schedules)
def test_cycles_add_up_to_the_months_since_the_first_injection(month, tau):
    np.testing.assert_allclose(hinges(month, tau).sum(axis=1), np.maximum(month, 0) if len(tau) else 0, atol=1e-9)


@given(months, schedules, st.floats(0, 0.5))
def test_continuous_and_growing_by_at_most_the_elapsed_time(month, tau, step):
    growth = hinges(month + step, tau) - hinges(month, tau)
    assert (growth >= -1e-9).all()
    assert (growth.sum(axis=1) <= step + 1e-9).all()


@given(months, schedules, st.floats(-100, 100))
def test_depends_only_on_time_since_the_injections(month, tau, shift):
    np.testing.assert_allclose(hinges(month + shift, tau + shift), hinges(month, tau), atol=1e-9)


@given(months, schedules)
def test_only_the_latest_injection_counts(month, tau):
    growth = hinges(month + 1e-6, tau) - hinges(month, tau)
    assert ((growth > 1e-12).sum(axis=1) <= 2).all(), "at most the cycle that ends and the one that begins"


def test_injections_that_were_not_given_have_no_months():
    b = months_per_cycle(np.array([2.0, 7.0]), np.array([[0.0, 3.0, np.nan], [0.0, 3.0, np.nan]]))
    np.testing.assert_array_equal(b, [[2, 0, 0], [3, 4, 0]])


def test_no_injections_at_all():
    assert months_per_cycle(np.arange(3.0), np.empty((3, 0))).shape == (3, 0)


@pytest.mark.parametrize("never", [np.nan])
def test_an_untreated_patient_has_no_months_in_any_cycle(never):
    assert not months_per_cycle(np.arange(-3.0, 9.0), np.full((12, 3), never)).any()

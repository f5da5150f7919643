"""Convergence diagnostics are those of ArviZ, whatever the number of draws, for many quantities at once."""

import arviz as az
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from slopeshift.answers import mixing as module
from slopeshift.answers.mixing import missing_information, mixing

ROWS = 12


def drawn(chains, draws, seed, apart=0.0):
    """Chains that wander, some of them against their direction; one quantity has ties, one two values, one none."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(chains, draws, ROWS)) + apart * np.arange(chains)[:, None, None]
    for k in range(1, draws):
        x[:, k] += np.linspace(-0.95, 0.99, ROWS) * x[:, k - 1]
    x[..., 4] = np.round(x[..., 4])
    x[..., 5] = x[..., 5] > 0
    x[..., 6] = 7.0
    return x


def by_arviz(x):
    data = xr.Dataset({"x": (("chain", "draw", "row"), x)})
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {
            "rhat": az.rhat(data),
            "ess_bulk": az.ess(data, method="bulk"),
            "ess_tail": az.ess(data, method="tail", prob=(0.05, 0.95)),
            "mcse": az.mcse(data, method="mean"),
        }
    return {name: each["x"].to_numpy() for name, each in found.items()}


@settings(max_examples=40, deadline=None)
@given(
    chains=st.integers(1, 5), draws=st.integers(4, 90), seed=st.integers(0, 2**32 - 1), apart=st.sampled_from([0, 0.5])
)
def test_are_those_of_arviz(chains, draws, seed, apart):
    x = drawn(chains, draws, seed, apart)
    found = mixing(x)
    for name, values in by_arviz(x).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, err_msg=name)


def test_are_those_of_arviz_at_the_number_of_draws_of_a_fit():
    x = drawn(4, 2500, 1)
    found = mixing(x)
    for name, values in by_arviz(x).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, err_msg=name)


def test_shares_of_several_cores_are_those_of_one(monkeypatch):
    x = np.concatenate([drawn(4, 60, seed) for seed in range(6)], axis=-1)
    shares = []
    whole = module._mixing
    monkeypatch.setattr(module, "cores", lambda: 3)
    monkeypatch.setattr(module, "_mixing", lambda part: [shares.append(part.shape[-1]), whole(part)][1])
    found = mixing(x)
    assert sorted(shares) == [24, 24, 24]
    for name, values in whole(x).items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_draw_that_is_no_number_makes_those_of_its_quantity_alone_unknown(wrong):
    x = drawn(4, 50, 2)
    whole = mixing(x)
    x[1, 7, 3] = wrong
    for name, values in mixing(x).items():
        assert np.isnan(values[3]), name
        np.testing.assert_array_equal(np.delete(values, 3), np.delete(whole[name], 3))


def test_three_draws_say_nothing():
    assert all(np.isnan(values).all() for values in mixing(drawn(4, 3, 3)).values())


def test_no_quantity_has_none():
    assert all(values.shape == (0,) for values in mixing(np.empty((4, 100, 0))).values())


def test_missing_information_is_that_of_arviz():
    energy = drawn(4, 300, seed=5)[..., 8]
    expected = az.bfmi(xr.Dataset({"energy": (("chain", "draw"), energy)}))["energy"].to_numpy()
    np.testing.assert_allclose(missing_information(energy), expected, rtol=1e-12)


def test_of_an_energy_that_never_moves_nothing_is_known():
    assert np.isnan(missing_information(np.full((2, 50), 7.0))).all()

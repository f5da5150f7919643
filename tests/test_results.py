"""Results: what stands beside a patient's probability, by hand, whatever the size of the blocks it is computed in."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from slopeshift.answers import quantities, tables

DIMS = ("chain", "draw", "row")


def patient_draws(seed, spread):
    rng = np.random.default_rng(seed)
    shape = (2, 400, 5)
    change, slope = rng.normal(0.2, spread, shape), rng.normal(-0.8, 0.6, shape)
    return xr.Dataset({"change": (DIMS, change), "slope": (DIMS, slope), "sign": 1})


@pytest.mark.parametrize("block", [1, 2, 5, 1000])
def test_base_rate_and_contraction_follow_their_definitions(monkeypatch, block):
    monkeypatch.setattr(quantities, "BLOCK", block)
    posterior, prior = patient_draws(1, 0.2), patient_draws(2, 0.4)
    table = tables._beside_prior(pd.DataFrame({"patient": list("abcde")}), posterior, prior)
    for row in range(5):
        for draws, column in ((posterior, "prob_slowing_25"), (prior, "prior_prob_slowing_25")):
            change, slope = (draws[name].to_numpy()[..., row] for name in ("change", "slope"))
            assert table[column][row] == pytest.approx(np.mean((slope < 0) & (change >= 0.25 * -slope)))
        ratio = posterior["change"].to_numpy()[..., row].var() / prior["change"].to_numpy()[..., row].var()
        assert table["contraction"][row] == pytest.approx(1 - ratio)


def test_no_patient_rows_give_no_numbers():
    empty = patient_draws(1, 0.2).isel(row=slice(0))
    table = tables._beside_prior(pd.DataFrame({"patient": []}), empty, empty)
    assert table.empty
    assert {"prob_slowing_25", "prior_prob_slowing_25", "contraction"} <= set(table.columns)

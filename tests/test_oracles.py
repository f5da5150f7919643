"""The exact engine beside a model that shares no code with it, and what the committed comparisons say."""

import numpy as np
import pandas as pd
import pytest
from plain_alsfrsr import months_while_latest, plain_posterior, tables
from trials import ROOT

from slopeshift.answers import quantities
from slopeshift.design.visits import visits_of
from slopeshift.fit.sample import sample
from slopeshift.fit.store import Settings
from slopeshift.model.files import load_model
from slopeshift.trial import read_trial

SYNTHETIC = ROOT / "data" / "synthetic-msc-als"
VALIDATION = ROOT / "validation"
FOUND = pd.read_csv(VALIDATION / "oracles.csv")


def test_months_while_latest_add_up_to_the_months_since_the_first_injection():
    assert months_while_latest(-2.0, [0.0, 4.0]) == [0.0, 0.0]
    assert months_while_latest(3.0, [0.0, 4.0]) == [3.0, 0.0]
    assert months_while_latest(9.0, [0.0, 4.0]) == [4.0, 5.0]
    assert months_while_latest(9.0, []) == []


def test_the_oracle_lays_the_trial_out_as_the_package_does():
    score, month, hinges, whose, patients = tables(SYNTHETIC)
    visits = visits_of(read_trial(SYNTHETIC), "alsfrsr")
    np.testing.assert_array_equal(score, visits.value)
    np.testing.assert_array_equal(whose, visits.patient_index)
    np.testing.assert_allclose(np.column_stack([np.ones_like(month), month, hinges]), visits.basis)
    assert patients == len(visits.patients)


def test_the_oracle_imports_nothing_of_the_package():
    assert "slopeshift" not in (ROOT / "tests" / "plain_alsfrsr.py").read_text()


@pytest.mark.parametrize("oracle", ["plain-pymc", "bambi", "formula", "rats"])
def test_committed_posterior_means_are_within_three_monte_carlo_errors(oracle):
    found = FOUND[FOUND["oracle"] == oracle]
    assert len(found) >= 8
    assert found["difference"].abs().max() < 3
    again = (found["mean"] - found["oracle mean"]) / found["MCSE of the difference"]
    np.testing.assert_allclose(again, found["difference"], atol=0.25)
    # A sampler that hardly moved would agree with anything.
    assert (found["MCSE of the difference"] < 0.06 * found["sd"]).all()
    assert found["sd"].to_numpy() == pytest.approx(found["oracle sd"].to_numpy(), rel=0.06)


def test_committed_estimates_under_flat_priors_are_those_of_reml():
    found = FOUND[FOUND["oracle"] == "mixedlm"].set_index("quantity")
    fixed = found.loc[["level", "slope", "change 1", "change 2", "change 3"]]
    assert fixed["difference"].abs().max() < 0.1
    assert fixed["sd"].to_numpy() == pytest.approx(fixed["oracle sd"].to_numpy(), rel=0.06)
    assert found["difference"].abs().max() < 1


def test_the_validation_page_has_every_part():
    page = (VALIDATION / "README.md").read_text()
    for name in ("oracles.md", "traps.md"):
        part = VALIDATION / name
        if part.exists():
            assert part.read_text().strip() in page, f"{name} is not in the page: python validation/page.py"


@pytest.mark.slow
def test_the_exact_engine_and_plain_pymc_give_one_posterior():
    """In 16 comparisons; 4.5 standard errors are two-sided 7e-6 each."""
    draws = sample(load_model(ROOT / "models" / "alsfrsr.py"), read_trial(SYNTHETIC), Settings(seed=2), progress=False)
    posterior = draws.tree["posterior"].to_dataset()
    theirs = plain_posterior(SYNTHETIC, draws=2000, seed=2)
    ours = {str(name): posterior["population"].sel(coefficient=name) for name in posterior.indexes["coefficient"]}
    ours |= {name: posterior[name] for name in ("sd_level", "sd_slope", "sd_response", "sd_cycle", "sigma")}
    ours |= {f"correlation {pair}": posterior["correlation"].sel(pair=pair) for pair in posterior.indexes["pair"]}
    first = posterior["coefficients"].isel(patient=0)
    ours |= {f"first patient's {c}": first.sel(coefficient=c) for c in ("change 1", "change 2", "change 3")}
    assert set(ours) == set(theirs)
    one, other = (summarised(draws, sorted(theirs)) for draws in (ours, theirs))
    z = (one["mean"] - other["mean"]) / np.hypot(one["mcse"], other["mcse"])
    assert z.abs().max() < 4.5, z


def summarised(draws, names):
    import xarray as xr

    stacked = np.stack([np.asarray(draws[name]) for name in names], axis=-1)
    return quantities.summarise(xr.DataArray(stacked, dims=("chain", "draw", "row"))).set_index(pd.Index(names))

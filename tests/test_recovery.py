"""Recovery: what the simulator put in comes out, judged by coverage over many trials rather than by one lucky seed."""

import numpy as np
import pandas as pd
import pytest
from trials import ROOT

from slopeshift.fit.sample import sample
from slopeshift.fit.store import Settings
from slopeshift.model.files import load_model
from slopeshift.simulate import DEFAULT_DESIGN, DEFAULT_TRUTH, simulate
from slopeshift.trial import trial_from_tables

TRIALS = 20
pytestmark = pytest.mark.slow


def true_values(truth):
    names = ["level", "slope", *(f"change {k + 1}" for k in range(len(truth["change"])))]
    values = dict(zip(names, [truth["level"], truth["slope"], *truth["change"]], strict=True))
    values |= {name: truth[name] for name in ("sd_level", "sd_slope", "sd_response", "sd_cycle", "sigma")}
    pairs = ("level_slope", "level_response", "slope_response")
    return values | {f"correlation {pair}": truth[f"correlation_{pair}"] for pair in pairs}


def intervals(posterior):
    """95 % intervals by the names of `true_values`."""
    draws = {name: posterior["population"].sel(coefficient=name) for name in posterior["coefficient"].to_numpy()}
    draws |= {name: posterior[name] for name in ("sd_level", "sd_slope", "sd_response", "sd_cycle", "sigma")}
    draws |= {
        f"correlation {pair.replace(', ', '_')}": posterior["correlation"].sel(pair=pair)
        for pair in posterior["pair"].to_numpy()
    }
    return {name: np.quantile(values, (0.025, 0.975)) for name, values in draws.items()}


@pytest.mark.parametrize("name", ["alsfrsr", "fvc"])
def test_intervals_cover_the_truth(name, record_property):
    file = load_model(ROOT / "models" / f"{name}.py")
    rows = []
    for seed in range(TRIALS):
        simulated = simulate(DEFAULT_DESIGN, DEFAULT_TRUTH, seed)
        trial = trial_from_tables("t", simulated.tables, {"title": "t", "synthetic": True, "source": "t"})
        fit = sample(file, trial, Settings(seed=seed, draws=1000, tune=1000, prior_draws=1), progress=False)
        found = intervals(fit.tree["posterior"].to_dataset())
        for quantity, value in true_values(simulated.truth["population"][file.outcome]).items():
            low, high = found[quantity]
            rows.append((seed, quantity, value, low, high, low <= value <= high))
    table = pd.DataFrame(rows, columns=["seed", "quantity", "truth", "low", "high", "covered"])
    coverage = table.groupby("quantity", sort=False)["covered"].mean()
    print(f"\n{name}: 95 % intervals cover the truth in {table['covered'].mean():.1%} of cases\n{coverage.to_string()}")
    record_property(f"coverage_{name}", float(table["covered"].mean()))
    assert table["covered"].mean() >= 0.90
    # A parameter that is covered in fewer than 15 of 20 trials is biased: chance gives that once in 3,000 at 95 %.
    assert (coverage >= 15 / TRIALS).all(), coverage

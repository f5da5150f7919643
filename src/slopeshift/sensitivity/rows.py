"""The rows of the sensitivity table: the same columns, whatever was varied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.answers import quantities
from slopeshift.answers.quantities import INTERVAL
from slopeshift.answers.tables import population_changes
from slopeshift.design.cycles import OVERALL
from slopeshift.engine.draws import flat
from slopeshift.fit.posterior import SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]

COLUMNS = tuple(
    "outcome model analysis detail injection mean sd lower upper prob_positive prob_better prob_slowing_25 difference "
    "n_patients n_values rhat ess pareto_k note".split()
)
"""`model` is the model that was varied, or that stands beside it. mean, sd, lower and upper (95 %) are of the change of
slope in an average patient, in outcome units a month; `prob_better` is the probability that patients then worsen more
slowly: prob_positive, or one minus it where lower is better. `difference` is from the main analysis, in its posterior
SDs."""

MAIN = "main analysis"
NUMBERS = ("mean", "sd", "lower", "upper", "prob_positive", "prob_slowing_25")


def of_draws(posterior: Posterior) -> pd.DataFrame:
    """Summarise the population change of every informed cycle and overall, a row each, with R-hat and ESS.

    `ess` is the smaller of bulk and tail.
    """
    slowed = quantities.SLOWED[quantities.claimed(posterior.design)]
    slowing = quantities.of_quantity(quantities.population(posterior), slowed)
    by_injection = dict(zip(slowing["injection"].to_numpy(), slowing.mean(SAMPLES).to_numpy(), strict=True))
    table = population_changes(posterior)
    return table.assign(prob_slowing_25=table["injection"].map(by_injection))[["injection", *NUMBERS, "rhat", "ess"]]


def of_weighed(posterior: Posterior, weight: Floats) -> pd.DataFrame:
    """Summarise the same of weighted draws, which need hold no more than the population; `weight` (chain x draw,)."""
    rows = quantities.population(posterior)
    claimed = quantities.claimed(posterior.design)
    changes, slowed = (quantities.of_quantity(rows, quantity) for quantity in (claimed, quantities.SLOWED[claimed]))
    each = zip(changes["injection"].to_numpy(), flat(changes).T, flat(slowed).T, strict=True)
    found = [[injection, *moments(change, weight), float(weight @ slow)] for injection, change, slow in each]
    return pd.DataFrame(found, columns=["injection", *NUMBERS])


def moments(values: Floats, weight: Floats) -> list[float]:
    """Mean, SD, 95 % bounds and Pr(> 0) of weighted draws (draw,); weights sum to 1."""
    mean = float(weight @ values)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    lower, upper = values[order][np.searchsorted(reached, np.array(INTERVAL) * reached[-1])]
    sd = float(np.sqrt(weight @ (values - mean) ** 2))
    return [mean, sd, float(lower), float(upper), float(weight @ (values > 0))]


def labelled(table: pd.DataFrame, **labels: object) -> pd.DataFrame:
    """Give the rows of one analysis its labels, and every column of the table; what does not apply is empty."""
    return table.assign(**labels).reindex(columns=COLUMNS).assign(note=labels.get("note", ""))


def refused(note: str, **labels: object) -> pd.DataFrame:
    """Say in one row why an analysis has no number."""
    return labelled(pd.DataFrame({"injection": [OVERALL]}), note=note, **labels)


def withheld(table: pd.DataFrame, bad: pd.Series[bool], note: str) -> pd.DataFrame:
    """Take the numbers out of rows that cannot be trusted, and say why."""
    numbers = {name: table[name].mask(bad) for name in NUMBERS}
    return table.assign(**numbers, note=table["note"].mask(bad, note))


def beside_main(table: pd.DataFrame, main: pd.DataFrame) -> pd.DataFrame:
    """Fill `difference` in: from the main analysis of the same injection, in posterior SDs of the latter."""
    known = main.set_index("injection")
    mean, sd = (table["injection"].map(known[name]) for name in ("mean", "sd"))
    return table.assign(difference=(table["mean"] - mean) / sd)

"""Those who reached a later cycle, compared with those who did not: before treatment, where no injection acts.

Later cycles hold those who lived and stayed. Where these declined more slowly to begin with, what is seen after later
injections is seen in slower patients; the model has everybody's lead-in in it, but whoever reads the cycles alone has
not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.answers.quantities import INTERVAL
from slopeshift.fit.posterior import SAMPLES
from slopeshift.missing.departures import endings
from slopeshift.trial.roles import chance_of_better

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior

FEWEST = 3
"""Patients in each group, below which nothing is compared."""

WARNED = 0.975
"""Probability of a flatter lead-in slope in those who reached a cycle, above which it is warned: in 2.5 % of
comparisons by chance, if the model is right."""

COLUMNS = "outcome cycle quantity n_reached n_not mean lower upper prob_higher warns"


def survivors(posterior: Posterior) -> pd.DataFrame:
    """Compare lead-in slope and level of injected patients who reached cycle k with those who did not, k = 2..K.

    A row per cycle and quantity (`lead_in_slope`, `level` at the first injection): mean and 95 % interval of the
    difference of the two groups' means; prob_higher, the probability that whom these patients stand for differ in this
    direction, by the patients' number as well as by their values; and `warns`, for the slope, where the probability
    that those who reached the cycle had worsened more slowly is above WARNED. Patients who are still in the trial, and
    may reach it, are in neither group.
    """
    draws, outcome = posterior.draws, posterior.outcome
    ended = endings(posterior.trial).loc[draws["patient"].to_numpy()]
    rows = []
    for cycle in range(2, int(ended["injections"].max()) + 1):
        reached = (ended["injections"] >= cycle).to_numpy()
        missed = (ended["injections"].between(1, cycle - 1) & (ended["reason"] != "ongoing")).to_numpy()
        if min(reached.sum(), missed.sum()) < FEWEST:
            continue
        for quantity, coefficient in (("lead_in_slope", "slope"), ("level", "level")):
            values = draws["coefficients"].sel(coefficient=coefficient).transpose(*SAMPLES, "patient").to_numpy()
            found = _difference(values.reshape(-1, values.shape[-1]), reached, missed)
            warns = quantity == "lead_in_slope" and chance_of_better(found[-1], posterior.visits.outcome.sign) > WARNED
            rows.append([outcome, cycle, quantity, int(reached.sum()), int(missed.sum()), *found, warns])
    return pd.DataFrame(rows, columns=COLUMNS.split())


def _difference(values: NDArray[np.float64], reached: NDArray[np.bool_], missed: NDArray[np.bool_]) -> list[float]:
    """Mean, bounds, and Pr(higher) of the groups' difference, from (draw, patient).

    Draw by draw the difference of whom they stand for is normal around that of the patients, with the standard error of
    two means.
    """
    from scipy.stats import norm

    one, other = values[:, reached], values[:, missed]
    difference = one.mean(axis=1) - other.mean(axis=1)
    error = np.sqrt(one.var(axis=1, ddof=1) / one.shape[1] + other.var(axis=1, ddof=1) / other.shape[1])
    lower, upper = np.quantile(difference, INTERVAL)
    return [float(difference.mean()), float(lower), float(upper), float(norm.cdf(difference / error).mean())]

"""Those who met the rules of entry: how many of the screened they are, and how their coefficients differ on average.

A model that knows the rules has the population of those who were screened. Of a patient's coefficients theta and what
the rules ask for, x_r = c_r'u, in the notation of `engine.entry`,

    E(theta | E) = B mu + V sum_r a_r d log P(E) / d m_r,   m_r = a_r' B mu

since cov(theta, x_r) = V a_r, and E(x | E) is the mean of x plus its covariance times the gradient of log P(E). So
where slope and response go together, those who enter respond otherwise than those who were screened.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from slopeshift.design.entry import known_to
from slopeshift.engine.draws import flat
from slopeshift.fit.posterior import SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]


def added(posterior: Posterior, weight: Floats) -> xr.DataArray | None:
    """Average over patients what meeting the rules adds to the mean coefficients: (chain, draw, mean, coefficient).

    `weight` (mean, patient) has the weights of each average. None where the model knows no rules. Who is exempt adds 0.
    """
    if not known_to(posterior.design):
        return None
    from slopeshift.engine import entry

    loading, variance, centre, packed, judged = _inputs(posterior)
    packed, group = np.unique(packed, axis=0, return_inverse=True)
    weights = np.zeros((len(packed), len(weight)))
    np.add.at(weights, group.ravel(), np.where(judged, weight, 0.0).T)
    found = entry.mean_shifts(loading, variance, centre, packed, np.ascontiguousarray(weights.T))
    kept = posterior.draws["population"].transpose(*SAMPLES, "coefficient")
    shape = (*kept.shape[:2], len(weight), kept.shape[2])
    coords = {name: kept[name] for name in kept.dims}
    return xr.DataArray(found[..., : kept.shape[2]].reshape(shape), coords, (*SAMPLES, "mean", "coefficient"))


def share(posterior: Posterior) -> float | None:
    """Give the share of those screened who meet the rules, by the model: an average over draws and patients' schedules.

    None where the model knows no rules.
    """
    if not known_to(posterior.design):
        return None
    from slopeshift.engine import entry

    loading, variance, centre, packed, judged = _inputs(posterior)
    packed, count = np.unique(packed[judged], axis=0, return_counts=True)
    met = np.exp(entry.log_probabilities(loading, variance, centre, packed))
    return float(met.mean(axis=0) @ count / count.sum())


def _inputs(posterior: Posterior) -> tuple[Floats, Floats, Floats, Floats, NDArray[np.bool_]]:
    """Lay out what `entry` takes: loading (d, p, q), variance (d,), means (d, p), rules (patient, column).

    And say who had to meet the rules: (patient,).
    """
    from slopeshift.engine import admitted
    from slopeshift.engine.exact import widened

    rules = admitted.rules_from(posterior.design)
    assert rules is not None
    draws, visits = posterior.draws, posterior.visits
    basis, _ = widened(visits, posterior.design)
    centre, loading = flat(draws["population"]), flat(draws["loading"])
    if more := basis.shape[1] - centre.shape[1]:
        centre = np.concatenate([centre, flat(draws["regression"])], axis=1)
        loading = np.pad(loading, ((0, 0), (0, more), (0, 0)))
    wide = replace(visits, basis=basis)
    packed = admitted.by_patient(rules, wide, np.zeros(basis.shape[1]))
    variance = flat(draws["sigma"]) ** 2
    return np.ascontiguousarray(loading), variance, np.ascontiguousarray(centre), packed, rules.judged

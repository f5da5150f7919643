"""Residual families: how a recorded value scatters around its patient's line, a file each.

`normal` and `autocorrelated` are exact and fast; the others sample the coefficients. See `family` for what each of them
must have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.model.families.autocorrelated import Autocorrelated
from slopeshift.model.families.bounded import Bounded
from slopeshift.model.families.normal import Normal, WrittenOut
from slopeshift.model.families.student_t import StudentT

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.model.families.family import Family

    Floats = NDArray[np.float64]

# What model files call them, where Normal is a prior.
normal, normal_written_out, bounded, student_t, autocorrelated = Normal, WrittenOut, Bounded, StudentT, Autocorrelated

FAMILIES: dict[str, type[Family]] = {each.name: each for each in (Normal, Bounded, StudentT, Autocorrelated)}
"""Every family by the name that a fit records."""

UNITS = {name: parameter.unit for family in FAMILIES.values() for name, parameter in family.parameters.items()}
"""Units of the parameters of all families, `{unit}` standing for that of the outcome."""

AT_ONCE = 100_000
"""Numbers that are worked on at a time: as many as stay in a cache."""


def residual_of(family: str, draws: xr.Dataset, visits: Visits) -> Any:
    """Take the residual of a family, by its recorded name, at posterior draws (chain, draw): see `family.Residual`.

    Raises KeyError for a family that there is not, and where `draws` lack a parameter of it.
    """
    from slopeshift.engine.draws import flat

    chosen = FAMILIES[family]
    return chosen.residual({name: flat(draws[name]) for name in chosen.parameters}, visits)


def predicted(
    family: str, draws: xr.Dataset, visits: Visits, seed: int, terms: xr.Dataset | None = None
) -> xr.DataArray:
    """Draw a new value at every visit of every patient: (chain, draw, visit), outcome units.

    `family` is the recorded name of one that integrates its patients out. Where `terms`, the record of the model's, has
    entry rules, the new values meet them again. Raises as `residual_of`.
    """
    from slopeshift.engine.admitted import admit_values, rules_from
    from slopeshift.engine.draws import flat

    mean, rng = _means(draws, visits), np.random.default_rng(seed)
    value = residual_of(family, draws, visits).draw(mean, rng)
    if terms is not None and (rules := rules_from(terms)) is not None:
        admit_values(rules, visits, value, mean, flat(draws["sigma"]), rng)
    return _by_visit(draws, visits, value)


def log_likelihood(family: str, draws: xr.Dataset, visits: Visits) -> xr.DataArray:
    """Evaluate the log density of every value given its patient's coefficients: (chain, draw, visit).

    Where residuals depend on each other in time, it is that of the value given those before it too. Raises as
    `residual_of`.
    """
    density = residual_of(family, draws, visits).log_density(visits.value, _means(draws, visits)[:, None])
    return _by_visit(draws, visits, density[:, 0])


def _means(draws: xr.Dataset, visits: Visits) -> Floats:
    """Expected value at every visit: (draw, visit)."""
    from slopeshift.engine.draws import flat

    theta = flat(draws["coefficients"])
    mean = np.zeros((len(theta), len(visits.value)))
    some = max(AT_ONCE // max(len(visits.value), 1), 1)
    for start in range(0, len(theta), some):
        among = slice(start, start + some)
        for a in range(visits.basis.shape[1]):
            mean[among] += visits.basis[:, a] * theta[among, visits.patient_index, a]
    return mean


def _by_visit(draws: xr.Dataset, visits: Visits, values: Floats) -> xr.DataArray:
    import xarray as xr

    shape = (draws.sizes["chain"], draws.sizes["draw"], -1)
    coords = {"chain": draws["chain"], "draw": draws["draw"], "visit": range(len(visits.value))}
    # Single precision, as it is stored: these are the largest arrays of a large cohort.
    single = values.reshape(shape).astype(np.float32)
    return xr.DataArray(single, coords, ("chain", "draw", "visit"), name=visits.outcome.name)

"""Residual families: how a recorded value scatters around its patient's line, a file each.

`normal` is exact and fast; the others sample the coefficients. See `family` for what each of them must have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slopeshift.model.families.autocorrelated import Autocorrelated
from slopeshift.model.families.bounded import Bounded
from slopeshift.model.families.normal import Normal, WrittenOut
from slopeshift.model.families.student_t import StudentT

if TYPE_CHECKING:
    import xarray as xr

    from slopeshift.design.visits import Visits
    from slopeshift.model.families.family import Family

# What model files call them, where Normal is a prior.
normal, normal_written_out, bounded, student_t, autocorrelated = Normal, WrittenOut, Bounded, StudentT, Autocorrelated

FAMILIES: dict[str, type[Family]] = {each.name: each for each in (Normal, Bounded, StudentT, Autocorrelated)}
"""Every family by the name that a fit records."""

UNITS = {name: parameter.unit for family in FAMILIES.values() for name, parameter in family.parameters.items()}
"""Units of the parameters of all families, `{unit}` standing for that of the outcome."""


def residual_of(family: str, draws: xr.Dataset, visits: Visits) -> Any:
    """Take the residual of a family, by its recorded name, at posterior draws (chain, draw): see `family.Residual`.

    Raises KeyError for a family that there is not, and where `draws` lack a parameter of it.
    """
    from slopeshift.engine.exact import flat

    chosen = FAMILIES[family]
    return chosen.residual({name: flat(draws[name]) for name in chosen.parameters}, visits)

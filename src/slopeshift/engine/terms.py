"""The population as independent normal terms: what they are, and the record of them that a model and its fit carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from slopeshift.engine.later import later

if TYPE_CHECKING:
    from collections.abc import Container

    import pymc as pm
    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits

    Floats = NDArray[np.float64]
else:
    pm = later("pymc")

CORRELATED = "residuals_correlated"
"""The name of what records that residuals are correlated in time; where they are not, there is no such record."""

GIVEN = "lead_in_given"
"""The name of what records that values up to the first injection are taken as given; else there is no such record."""

SHIFT = ("covariate", "patient", "coefficient")
"""Dims of how far a covariate moves each patient's coefficients, per unit of its own coefficient."""


ENTRY = ("entry_weight", "entry_lower", "entry_upper", "entry_spread", "entry_refused")
"""The record of the entry rules that a model knows (see `admitted`), which goes with that of its terms."""


@dataclass(frozen=True)
class Terms:
    """The population as independent normal terms, coefficients = design @ terms, and what patients differ by.

    `names`, prior `mean` and `sd` by term (m,); `design` (coefficient, m); `sources` names the columns of a loading.
    `shift` has the dims SHIFT: the last terms are the covariates' coefficients, and each moves patient i's coefficients
    by so much per unit. The engine sees such a term as a coefficient of its own, which does not differ between
    patients, of a column basis . shift_i; outside it, a patient's coefficients have the moves in them.
    `correlated` says whether a patient's residuals are correlated in time, `given` whether the density is that of later
    values given those up to the first injection.
    """

    names: tuple[str, ...]
    sources: tuple[str, ...]
    mean: Floats
    sd: Floats
    design: Floats
    shift: Floats
    correlated: bool = False
    given: bool = False

    @property
    def covariates(self) -> tuple[str, ...]:
        """Names of the covariates."""
        return self.names[len(self.names) - len(self.shift) :]


def sampled_name(term: str) -> str:
    """Name the variable that a term is sampled as, where it is: its distance from the prior mean, in prior SDs."""
    return f"standardised_{term}"


def sampled_terms(names: Container[str], terms: Terms) -> NDArray[np.bool_]:
    """Say which terms a model samples, by the names of its variables or draws; the others are integrated out."""
    return np.array([sampled_name(term) in names for term in terms.names], dtype=bool)


def record_terms(terms: Terms) -> None:
    """Keep `term_mean`, `term_sd`, `term_design` and, with covariates, `covariates` as data of the current PyMC model.

    Where residuals are correlated in time, CORRELATED is kept too, and GIVEN where values are taken as given.
    They are a record: the graph has them as constants, because every variable that is shared costs a second of
    compiling.
    """
    model = pm.modelcontext(None)
    model.add_coord("term", terms.names)
    pm.Data("term_mean", terms.mean, dims="term")
    pm.Data("term_sd", terms.sd, dims="term")
    pm.Data("term_design", terms.design, dims=("coefficient", "term"))
    if terms.covariates:
        model.add_coord("covariate", terms.covariates)
        pm.Data("covariates", terms.shift, dims=SHIFT)
    for name, holds in ((CORRELATED, terms.correlated), (GIVEN, terms.given)):
        if holds:
            pm.Data(name, 1, dims=())


def terms_of(model: pm.Model) -> xr.Dataset:
    """Take the record of the terms out of a model, as `with_posterior_coefficients` and `statistics_of` need it."""
    recorded = ("term_mean", "term_sd", "term_design", "covariates", CORRELATED, GIVEN, *ENTRY)
    names = [name for name in recorded if name in model.named_vars]
    dims = {name: tuple(model.named_vars_to_dims.get(name, ())) for name in names}
    coords = {dim: list(model.coords[dim]) for dim in {"source", *(dim for each in dims.values() for dim in each)}}
    return xr.Dataset({name: (dims[name], model[name].get_value()) for name in names}, coords)


def terms_from(data: xr.Dataset, visits: Visits) -> Terms:
    """Read the terms back from their record, as `terms_of` or the `constant_data` of a fit has it."""
    names, sources = (tuple(map(str, data.indexes[dim])) if dim in data.indexes else () for dim in ("term", "source"))
    mean, sd, design = (data[f"term_{part}"].to_numpy() for part in ("mean", "sd", "design"))
    none = np.empty((0, len(visits.patients), len(visits.coefficients)))
    shift = data["covariates"].transpose(*SHIFT).to_numpy() if "covariates" in data else none
    return Terms(names, sources, mean, sd, design, shift, CORRELATED in data, GIVEN in data)

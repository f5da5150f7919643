"""What is ranked: every reported kind of quantity, and the log likelihood of all values.

The log likelihood depends on parameters and values together, and so finds errors that no parameter's ranks show, such
as values that play no part (Modrák et al. 2023, doi 10.1214/23-BA1404).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from slopeshift import effects, marginal

if TYPE_CHECKING:
    from slopeshift.basis import Visits
    from slopeshift.calibration.simulated import Prior, Simulated

LOG_LIKELIHOOD = "log likelihood"
RESPONDERS = "responders"

_KNOWN = ("sd_level", "sd_slope", "sd_response", "sd_cycle", "sigma")
_ALIKE = ("population", "regression", "correlation")


def quantities(draws: xr.Dataset, visits: Visits, extra: tuple[str, ...]) -> xr.Dataset:
    """Derive all that is ranked but the log likelihood: a variable (chain, draw) each.

    The population's coefficients, standard deviations, correlations and regression; `extra` scalars of the model; the
    change of one patient in the first and last of his informed cycles; and the number of patients whose decline slowed
    by 25 % or more over all their informed cycles.
    """
    found = {str(name): draws["population"].sel(coefficient=name) for name in draws.indexes["coefficient"]}
    found |= {name: draws[name] for name in _KNOWN if name in draws}
    if "correlation" in draws:
        pairs = draws.indexes["pair"]
        found |= {f"correlation {name.replace(', ', '-')}": draws["correlation"].sel(pair=name) for name in pairs}
    if "regression" in draws:
        found |= {str(name): draws["regression"].sel(covariate=name) for name in draws.indexes["covariate"]}
    found |= {name: draws[name] for name in extra}
    found |= _of_patients(draws, visits)
    return xr.Dataset({name: values.reset_coords(drop=True) for name, values in found.items()})


def extra_scalars(prior_draws: xr.Dataset) -> tuple[str, ...]:
    """Name the scalars that a model has besides those of every model, such as the shape of a tail.

    Left out is what another scalar says already: the normal behind a signed standard deviation, partial correlations,
    and a formula's own names of the population's coefficients.
    """
    said = [prior_draws[name] for name in _KNOWN if name in prior_draws]
    said += [part for name in _ALIKE if name in prior_draws for part in _parts(prior_draws[name])]
    names = []
    for name, values in prior_draws.data_vars.items():
        internal = str(name).endswith("_signed") or str(name).startswith("partial_correlation")
        if values.ndim != 2 or name in _KNOWN or internal:
            continue
        if not any(np.array_equal(values, other) for other in said):
            names.append(str(name))
    return tuple(sorted(names))


def _parts(values: xr.DataArray) -> list[xr.DataArray]:
    (dim,) = values.dims[2:]
    return [values.isel({dim: i}) for i in range(values.sizes[dim])]


def _of_patients(draws: xr.Dataset, visits: Visits) -> dict[str, xr.DataArray]:
    """The changes of the first of the patients with the most informed cycles, and the number of responders."""
    design = visits.dataset()
    informed = effects.informed(design)
    if not informed.any():
        return {}
    patient = visits.patients[int(informed.sum("injection").to_numpy().argmax())]
    cycles = informed["injection"].to_numpy()[informed.sel(patient=patient).to_numpy()]
    of_patient = draws["coefficients"].sel(patient=patient)
    found = {f"patient {patient}, change {k}": of_patient.sel(coefficient=f"change {k}") for k in {*cycles[[0, -1]]}}
    everyone = effects.patients(draws, design)
    overall = everyone.sel(row=everyone["injection"] == effects.OVERALL)
    return dict(sorted(found.items())) | {RESPONDERS: effects.slows(overall["change"], overall["slope"]).sum("row")}


def log_likelihood(prior: Prior, simulated: Simulated, draws: xr.Dataset) -> xr.DataArray:
    """Evaluate the log likelihood of all that is observed, given all that each draw of one chain holds."""
    of_others = prior.graph.log_densities(draws, simulated.data)[1]
    coords = {name: draws[name] for name in effects.SAMPLES}
    total = xr.DataArray(of_others[None], coords, effects.SAMPLES)
    if prior.terms is None:
        return total
    return total + marginal.log_likelihood(draws, simulated.visits).astype(float).sum("visit")

"""What is ranked: every reported kind of quantity, and the log likelihood of all values.

The log likelihood depends on parameters and values together, and so finds errors that no parameter's ranks show, such
as values that play no part (Modrák et al. 2023, doi 10.1214/23-BA1404).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from slopeshift.answers import quantities as reported
from slopeshift.answers.natural import natural_slope
from slopeshift.model.families import log_likelihood as of_values
from slopeshift.model.stated import statement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.calibration.graph import Data
    from slopeshift.calibration.simulated import Prior
    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]

LOG_LIKELIHOOD = "log likelihood"
RESPONDERS = "responders"

_KNOWN = ("sd_level", "sd_slope", "sd_response", "sd_cycle", "sigma")
_PARTS = {"population": "coefficient", "correlation": "pair", "regression": "covariate"}


@dataclass(frozen=True)
class Asked:
    """What is ranked of a model on a design.

    `extra` names scalars of the model besides those of every model; `patient` is the place of the first of the patients
    with the most informed cycles, `name` his name, `cycles` his informed ones; `informed` (patient, injection) says
    which cycles are, and `middle` (patient,) is the month in the middle of each one's; `sign` is that of the outcome.
    """

    extra: tuple[str, ...]
    patient: int
    name: str
    cycles: tuple[int, ...]
    informed: NDArray[np.bool_]
    middle: Floats
    sign: int


def asked(prior: Posterior) -> Asked:
    """Choose what is ranked of a model on a design, from draws of its prior."""
    visits = prior.visits
    informed = visits.visits_in_cycle > 0
    patient = int(informed.sum(axis=1).argmax())
    cycles = tuple(k for k, there in zip(visits.injections, informed[patient], strict=True) if there)
    name, middle = visits.patients[patient], _middle(visits.middle_of_cycle, informed)
    return Asked(_extra(prior.draws), patient, name, cycles, informed, middle, visits.outcome.sign)


def _middle(months: Floats, informed: NDArray[np.bool_]) -> Floats:
    """Average each patient's informed cycles (patient, injection): 0 where there is none, and nothing asked."""
    mean: Floats = np.where(informed, months, 0.0).sum(axis=1) / np.maximum(informed.sum(axis=1), 1)
    return mean


def _extra(prior_draws: xr.Dataset) -> tuple[str, ...]:
    """Name the scalars that a model has besides those of every model, such as the shape of a tail.

    Left out is what another scalar says already: the normal behind a signed standard deviation, partial correlations,
    and a formula's own names of the population's coefficients.
    """
    said = [prior_draws[name].to_numpy() for name in _KNOWN if name in prior_draws]
    for name, dim in _PARTS.items():
        if name in prior_draws:
            said += list(prior_draws[name].transpose(dim, "chain", "draw").to_numpy())
    names = []
    for name in map(str, prior_draws.data_vars):
        values = prior_draws[name]
        internal = name.endswith("_signed") or name.startswith("partial_correlation")
        if values.ndim == 2 and not internal and not any(np.array_equal(values, other) for other in said):
            names.append(name)
    return tuple(sorted(names))


def quantities(posterior: Posterior, of: Asked) -> dict[str, Floats]:
    """Derive all that is ranked but the log likelihood: (chain, draw) each, by name.

    The population's coefficients, standard deviations, correlations and regression; what else the model has; the change
    of one patient in the first and last of his informed cycles; and the number of patients whose decline slowed by 25 %
    or more over all their informed cycles.
    """
    found: dict[str, Floats] = {}
    draws = posterior.draws
    for name, dim in _PARTS.items():
        if name in draws:
            labels = [str(label) for label in draws.indexes[dim]]
            values = draws[name].transpose(dim, "chain", "draw").to_numpy()
            named = [f"correlation {label.replace(', ', '-')}" if name == "correlation" else label for label in labels]
            found |= dict(zip(named, values, strict=True))
    found |= {name: draws[name].transpose("chain", "draw").to_numpy() for name in (*_KNOWN, *of.extra) if name in draws}
    return found | _of_patients(draws, of)


def _of_patients(draws: xr.Dataset, of: Asked) -> dict[str, Floats]:
    """Take the changes of one patient, and count the responders draw by draw, as `effects` defines them."""
    if not of.informed.any():
        return {}
    place = draws.indexes["coefficient"].get_loc
    theta = draws["coefficients"].transpose("chain", "draw", "patient", "coefficient").to_numpy()
    changes = theta[..., [place(f"change {k}") for k in range(1, of.informed.shape[1] + 1)]]
    found = {
        f"patient {of.name}, change {k}": changes[:, :, of.patient, k - 1]
        for k in sorted({of.cycles[0], of.cycles[-1]})
    }
    there = of.informed.any(axis=1)
    weight = of.informed[there] / of.informed[there].sum(axis=1, keepdims=True)
    overall = (changes[:, :, there] * weight).sum(axis=3)
    coefficients = draws["coefficients"].transpose("chain", "draw", "patient", "coefficient")[:, :, there]
    natural = natural_slope(coefficients, xr.DataArray(of.middle[there], dims="patient"))
    slowed = reported.slows(xr.DataArray(overall), xr.DataArray(natural.to_numpy()), sign=of.sign)
    return found | {RESPONDERS: slowed.to_numpy().astype(float).sum(axis=2)}


def log_likelihood(prior: Prior, data: Data, posterior: Posterior) -> Floats:
    """Evaluate the log likelihood of all that is observed, given all that each draw of one chain holds: (draw,).

    `data` are what a compiled model is given for its values to be those of the posterior.
    """
    total = prior.graph.log_densities(posterior.draws, data)[1]
    if prior.terms is not None:
        family = statement(prior.model).family
        total = total + of_values(family, posterior.draws, posterior.visits).to_numpy()[0].astype(float).sum(axis=1)
    return np.asarray(total)

"""What a PyMC model of the exact engine comes down to: arrays, for the density that is compiled once.

Scalars and their priors are read off the graph, terms and statistics off the model's data, so that nothing is stated
twice. The PyMC model stays the definition: whoever uses a description compares the two densities first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.engine import exact
from slopeshift.engine.density import Arrays
from slopeshift.engine.foreign import constant, interpreted
from slopeshift.engine.spread import BETA, GAMMA, HALF_NORMAL, NORMAL, prior_row
from slopeshift.engine.terms import sampled_name, sampled_terms, terms_from, terms_of
from slopeshift.model.line import loading_parts, pattern

if TYPE_CHECKING:
    from collections.abc import Callable

    import pymc as pm
    from pytensor.tensor import TensorVariable

    from slopeshift.design.visits import Visits

TRAITS = ("level", "slope", "response")
"""What is correlated between patients, as far as a trial has it."""

KINDS: dict[tuple[str, str | None], tuple[int, Callable[[float, float], tuple[float, float]]]] = {
    ("normal", None): (NORMAL, lambda mean, sd: (mean, sd)),
    ("gamma", "LogTransform"): (GAMMA, lambda shape, scale: (shape, 1.0 / scale)),
    ("halfnormal", "LogTransform"): (HALF_NORMAL, lambda _, sd: (sd, 0.0)),
    ("beta", "LogOddsTransform"): (BETA, lambda a, b: (a, b)),
}
"""The priors that the density knows, by PyMC's distribution and transformation: kind and numbers from parameters."""


class UnknownError(LookupError):
    """A model has something in it that the density does not know; the text says what."""


def describe(model: pm.Model, visits: Visits) -> Arrays:
    """Describe an exact model of these visits as arrays.

    Raises UnknownError where the model holds anything else than a piecewise line with a normal residual: it is then
    compiled as PyMC states it.
    """
    _refuse_more(model, visits)
    names = [variable.name for variable in model.free_RVs]
    known = terms_from(terms := terms_of(model), visits)
    apart, design = sampled_terms(names, known), exact.widened(visits, terms)[1]
    parts, sources = loading_parts(visits), tuple(map(str, model.coords["source"]))
    deviations = {part.trait: _place(names, f"sd_{part.trait}") for part in parts}
    traits = [trait for trait in TRAITS if trait in deviations]
    arrays = Arrays(
        priors=_priors(model),
        parts=np.array([[*(part.entry or (-1, -1)), deviations[part.trait]] for part in parts], dtype=float),
        patterns=np.array([pattern(part, visits.coefficients, sources) for part in parts]),
        partial=_partial(names, len(traits)),
        traits=np.array([deviations[trait] for trait in traits], dtype=float),
        signed=np.array([k for k, name in enumerate(names) if name.endswith("_signed")], dtype=float),
        sigma=_place(names, "sigma"),
        statistics=model["statistics"].get_value(),
        design=design[:, ~apart],
        precision=known.sd[~apart] ** -2.0,
        apart=np.array(
            [
                [_place(names, sampled_name(known.names[k])), *(known.sd[k] * design[:, k])]
                for k in np.flatnonzero(apart)
            ]
        ).reshape(-1, 1 + len(design)),
        rules=model["entry_rules"].get_value() if "entry_rules" in model.named_vars else np.empty((0, 0)),
    )
    _refuse_unused(names, arrays)
    return arrays


def _refuse_more(model: pm.Model, visits: Visits) -> None:
    if not exact.integrated_out(model):
        raise UnknownError("it samples the coefficients")
    if more := [potential.name for potential in model.potentials if potential.name != "entry"]:
        raise UnknownError(f"it has a further term, {more[0]}")
    observed = [variable.name for variable in model.observed_RVs]
    if observed != [visits.outcome.name]:
        raise UnknownError(f"it observes {', '.join(observed)}")


def _refuse_unused(names: list[str], arrays: Arrays) -> None:
    used = {*arrays.parts[:, 2], *arrays.partial[arrays.partial >= 0], arrays.sigma, *arrays.apart[:, 0]}
    if more := [name for k, name in enumerate(names) if k not in used]:
        raise UnknownError(f"it samples {', '.join(more)}")


def _place(names: list[str], name: str) -> int:
    """Find a scalar by its name, with a sign or without."""
    for each in (name, f"{name}_signed"):
        if each in names:
            return names.index(each)
    raise UnknownError(f"it does not sample {name}")


def _partial(names: list[str], size: int) -> np.ndarray:
    """Find the partial correlations: the place of each below the diagonal, -1 elsewhere (trait, trait)."""
    found = np.full((size, size), -1.0)
    for i, j in zip(*np.tril_indices(size, -1), strict=True):
        found[i, j] = _place(names, f"partial_correlation_{j}{i}")
    return found


def _priors(model: pm.Model) -> np.ndarray:
    """Read the priors of the scalars off the graph: the table of `spread.prior_row` (scalar, 4)."""
    rows = [_stated(variable, model.rvs_to_transforms[variable]) for variable in model.free_RVs]
    numbers = iter(_evaluated([number for _, parameters in rows for number in parameters]))
    found = []
    for (name, transform), parameters in rows:
        kind, convert = KINDS[name, transform]
        found.append(prior_row(kind, *convert(*(next(numbers) for _ in parameters))))
    return np.array(found)


def _stated(variable: TensorVariable, transform: object) -> tuple[tuple[str, str | None], list[Any]]:
    """Name distribution and transformation of a scalar, with the parameters of the former as tensors."""
    operation = variable.owner.op
    stated = getattr(operation, "name", ""), None if transform is None else type(transform).__name__
    if variable.ndim or stated not in KINDS:
        raise UnknownError(f"it has a prior of {variable.name} that the density does not know")
    return stated, list(operation.dist_params(variable.owner))


def _evaluated(tensors: list[TensorVariable]) -> list[float]:
    if not constant(tensors):
        raise UnknownError("it has a prior that depends on another parameter")
    return [float(value) for value in interpreted([], tensors)()]

"""What a PyMC model of a line comes down to: arrays, for the densities that are compiled once.

Scalars and their priors are read off the graph, terms and statistics off the model's data, so that nothing is stated
twice. The PyMC model stays the definition: whoever uses a description compares the two densities first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.engine import exact
from slopeshift.engine.beside import WithRegression
from slopeshift.engine.density import Arrays
from slopeshift.engine.foreign import constant, interpreted
from slopeshift.engine.sampled import Sampled
from slopeshift.engine.spread import BETA, GAMMA, HALF_NORMAL, NORMAL, prior_row
from slopeshift.engine.terms import CORRELATED, sampled_name, sampled_terms, terms_from, terms_of
from slopeshift.model.beside import regression_of
from slopeshift.model.families import FAMILIES
from slopeshift.model.formula_exact import not_exact, patterns_of
from slopeshift.model.line import loading_parts, pattern
from slopeshift.model.stated import statement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pymc as pm
    from pytensor.tensor import TensorVariable

    from slopeshift.design.visits import Visits
    from slopeshift.engine.buffer import Density
    from slopeshift.model.beside import Regression
    from slopeshift.model.line import Part

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


WRITTEN_OUT = ["terms", "z"]
"""What a model samples after its scalars where the coefficients of population and patients are sampled."""


def describe(model: pm.Model, visits: Visits) -> Density:
    """Describe a model of these visits as the arrays of a density that is compiled once.

    Raises UnknownError where the model holds anything else than a piecewise line with a family that the engine has: it
    is then compiled as PyMC states it.
    """
    if why := not_exact(model):
        raise UnknownError(why)
    if more := [potential.name for potential in model.potentials if potential.name not in ("entry", "given")]:
        raise UnknownError(f"it has a further term, {more[0]}")
    observed, beside = [variable.name for variable in model.observed_RVs], regression_of(model)
    if observed != [visits.outcome.name, *([beside.observed] if beside else [])]:
        raise UnknownError(f"it observes {', '.join(observed)}")
    if not exact.integrated_out(model):
        return _sampled(model, visits)
    return _with_regression(model, visits, beside) if beside else _integrated_out(model, visits, list(model.free_RVs))


def _with_regression(model: pm.Model, visits: Visits, beside: Regression) -> WithRegression:
    *scalars, z = model.free_RVs
    names = [variable.name for variable in scalars]
    if z.name != beside.z:
        raise UnknownError(f"it samples {z.name}")
    if "lead_in" in model.named_vars:
        raise UnknownError("it takes values as given, beside a regression")
    first, second, third, fourth = (_place(names, name) for name in beside.scalars)
    return WithRegression(
        line=_integrated_out(model, visits, scalars, [first, second, third, fourth]),
        places=(first, second, third, fourth),
        known=beside.known,
        groups=len(visits.patients),
        data={name: np.asarray(model[name].get_value(), dtype=float) for name in beside.data},
    )


def _integrated_out(
    model: pm.Model, visits: Visits, scalars: list[TensorVariable], beside: Sequence[int] = ()
) -> Arrays:
    """Describe the line of an exact model; `beside` are the places of scalars that are of something else."""
    names = [variable.name for variable in scalars]
    known = terms_from(terms := terms_of(model), visits)
    apart, design = sampled_terms(names, known), exact.widened(visits, terms)[1]
    spread, sigma = _spread(model, visits, scalars), _place(names, "sigma")
    correlation = _place(names, "autocorrelation") if CORRELATED in terms else -1
    of_terms = {k: _place(names, sampled_name(known.names[k])) for k in np.flatnonzero(apart)}
    _refuse_unused(names, spread, [sigma, correlation, *of_terms.values(), *beside])
    return Arrays(
        **spread,
        sigma=sigma,
        correlation=correlation,
        statistics=model["statistics"].get_value(),
        design=design[:, ~apart],
        precision=known.sd[~apart] ** -2.0,
        apart=np.array([[at, *(known.sd[k] * design[:, k])] for k, at in of_terms.items()]).reshape(
            -1, 1 + len(design)
        ),
        rules=model["entry_rules"].get_value() if "entry_rules" in model.named_vars else np.empty((0, 0)),
        lead_in=model["lead_in"].get_value() if "lead_in" in model.named_vars else np.empty((0, 0)),
    )


def _sampled(model: pm.Model, visits: Visits) -> Sampled:
    if model.potentials:
        raise UnknownError(f"it has a further term, {model.potentials[0].name}")
    family = FAMILIES.get(statement(model).family)
    if family is None or family.kernel is None:
        raise UnknownError(f"its family, {statement(model).family or 'which it does not state'}, is not in the engine")
    scalars, written = model.free_RVs[:-2], [variable.name for variable in model.free_RVs[-2:]]
    if written != WRITTEN_OUT:
        raise UnknownError("it samples its coefficients in a way of its own")
    names, terms = [variable.name for variable in scalars], terms_of(model)
    spread, known = _spread(model, visits, scalars), terms_from(terms, visits)
    basis, design = exact.widened(visits, terms)
    places = {name: _place(names, name) for name in family.parameters}
    _refuse_unused(names, spread, [*places.values()])
    half, ends = family.limits(visits.outcome)
    return Sampled(
        **spread,
        family=family.kernel,
        sigma=places["sigma"],
        nu=places.get("nu", -1),
        half=half,
        ends=ends,
        mean=known.mean,
        sd=known.sd,
        design=design,
        shift=known.shift,
        basis=basis,
        patient=visits.patient_index,
        recorded=model["recorded"].get_value(),
    )


def _spread(model: pm.Model, visits: Visits, scalars: list[TensorVariable]) -> dict[str, Any]:
    """Describe scalars and loading: what every density begins with, see `spread`."""
    names = [variable.name for variable in scalars]
    if (patterns := patterns_of(model)) is not None:
        return _independent(patterns, names) | {"priors": priors_of(model, scalars)}
    parts, sources = loading_parts(visits, names), tuple(map(str, model.coords["source"]))
    deviations = {part.trait: _place(names, f"sd_{part.trait}") for part in parts}
    traits = [trait for trait in TRAITS if trait in deviations]
    return {
        "priors": priors_of(model, scalars),
        "parts": np.array([_places(part, names) for part in parts], dtype=float),
        "patterns": np.array([pattern(part, visits.coefficients, sources) for part in parts]),
        "partial": _partial(names, len(traits)),
        "traits": np.array([deviations[trait] for trait in traits], dtype=float),
        "signed": np.array([k for k, name in enumerate(names) if name.endswith("_signed")], dtype=float),
    }


def _independent(patterns: Mapping[str, np.ndarray], names: list[str]) -> dict[str, Any]:
    """Describe a loading of independent columns, each a standard deviation times numbers, as `_spread` does."""
    return {
        "parts": np.array([(-1, -1, _place(names, name), -1) for name in patterns], dtype=float),
        "patterns": np.array([*patterns.values()]),
        "partial": np.empty((0, 0)),
        "traits": np.empty(0),
        "signed": np.array([k for k, name in enumerate(names) if name.endswith("_signed")], dtype=float),
    }


def _refuse_unused(names: list[str], spread: dict[str, Any], more: list[int]) -> None:
    used = {*spread["parts"][:, 2:].ravel(), *spread["partial"][spread["partial"] >= 0], *more}
    if unused := [name for k, name in enumerate(names) if k not in used]:
        raise UnknownError(f"it samples {', '.join(unused)}")


def _places(part: Part, names: list[str]) -> tuple[int, int, int, int]:
    """Lay a part of the loading out as a row of `spread.loading_of`."""
    regression = -1 if part.by is None else _place(names, part.by)
    return *(part.entry or (-1, -1)), _place(names, f"sd_{part.trait}"), regression


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


def priors_of(model: pm.Model, scalars: list[TensorVariable]) -> np.ndarray:
    """Read the priors of scalars off the graph: the table of `spread.prior_row` (scalar, 4).

    Raises UnknownError where one has another distribution than those of KINDS, or depends on another parameter.
    """
    rows = [_stated(variable, model.rvs_to_transforms[variable]) for variable in scalars]
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

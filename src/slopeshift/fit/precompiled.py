"""Which models need no compiling: those whose density the engine has.

The PyMC model is the definition. Its density is evaluated, interpreted, at three points, and a model is compiled as
PyMC states it where the engine's differs.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.engine.foreign import interpreted
from slopeshift.fit import nuts
from slopeshift.model.description import UnknownError, describe

if TYPE_CHECKING:
    import pymc as pm

    from slopeshift.design.visits import Visits
    from slopeshift.engine.buffer import Density

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

POINTS = 3
"""Random points at which the density is compared with that of the PyMC model."""

CLOSE = 1e-8
"""Relative difference up to which they are the same: the order of sums differs."""

REPORTED = ("correlation", "loading", "terms", "regression", "population", "z", "coefficients")
"""What is reported besides scalars, where a model has it."""

log = logging.getLogger(__name__)


def precompiled(model: pm.Model, visits: Visits) -> nuts.Precompiled | None:
    """Find the engine's density of a model, or None, with a line in the log that says why it has to be compiled."""
    try:
        arrays = describe(model, visits)
        if not (difference := _difference(model, arrays)) < CLOSE:
            raise UnknownError(f"its density differs from that of the engine by {difference:.1e}")
        return _filled_in(_named(model, arrays))
    except UnknownError as reason:
        log.warning("this model is compiled, which takes about half a minute: %s", reason)
        return None


def _filled_in(ready: nuts.Precompiled) -> nuts.Precompiled:
    """Try what `nuts.draw` will do: nutpie's class for compiled models is its own, and an upgrade may change it."""
    try:
        ready.program()
    except (ImportError, AttributeError, TypeError) as error:
        raise UnknownError(f"nutpie has changed: {' '.join(str(error).split())}") from error
    return ready


def _named(model: pm.Model, arrays: Density) -> nuts.Precompiled:
    """Name what is reported of a draw, in the order of `spread.report_of`, `sampled_density.report` and `beside`."""
    scalars = [variable.name for variable in model.free_RVs if variable.ndim == 0]
    signed = [name.removesuffix("_signed") for name in scalars if name.endswith("_signed")]
    more = [name for name in REPORTED if name in model.named_vars]
    beside = [variable.name for variable in model.free_RVs if variable.name not in {*scalars, *more}]
    dims = {name: _dims(model, name) for name in (*scalars, *signed, *more, *beside)}
    coords = {dim: list(model.coords[dim]) for each in dims.values() for dim in each}
    return nuts.Precompiled(arrays, dims, coords)


def _difference(model: pm.Model, arrays: Density) -> float:
    """Find the largest relative difference from the PyMC model's own density at some points; NaN where undefined."""
    own, start = interpreted(model.value_vars, model.logp()), arrays.start()
    points = start + np.random.default_rng(POINTS).uniform(-1.0, 1.0, (POINTS, len(start)))
    stated = np.array([float(own(*laid_out(point, model))) for point in points])
    ours = np.array([arrays.evaluate(point)[0] for point in points])
    return float(np.max(np.abs(ours - stated) / (1.0 + np.abs(stated))))


def laid_out(point: Floats, model: pm.Model) -> list[Floats]:
    """Take a point (dimension,) apart into the values of what a model samples, in its order.

    Raises UnknownError where the model samples more or fewer numbers.
    """
    shapes = [tuple(len(model.coords[dim]) for dim in _dims(model, variable.name)) for variable in model.free_RVs]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    if ends[-1] != len(point):
        raise UnknownError(f"it samples {ends[-1]} numbers where the density has {len(point)}")
    return [part.reshape(shape) for part, shape in zip(np.split(point, ends[:-1]), shapes, strict=True)]


def _dims(model: pm.Model, name: str) -> tuple[str, ...]:
    return tuple(model.named_vars_to_dims.get(name, ()))


def ready(model: pm.Model, visits: Visits) -> Any:
    """Make a model ready for nutpie: at once where the engine has its density, else compiled as PyMC states it."""
    return precompiled(model, visits) or nuts.compile_model(model)

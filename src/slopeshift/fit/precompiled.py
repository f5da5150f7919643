"""Which models need no compiling: those whose density the engine has.

The PyMC model is the definition. Its density is evaluated, interpreted, at three points, and a model is compiled as
PyMC states it where the engine's differs.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.engine import density
from slopeshift.engine.foreign import interpreted
from slopeshift.engine.spread import middle
from slopeshift.fit import nuts
from slopeshift.model.description import UnknownError, describe

if TYPE_CHECKING:
    import pymc as pm

    from slopeshift.design.visits import Visits
    from slopeshift.engine.density import Arrays

POINTS = 3
"""Random points at which the density is compared with that of the PyMC model."""

CLOSE = 1e-8
"""Relative difference up to which they are the same: the order of sums differs."""

log = logging.getLogger(__name__)


def precompiled(model: pm.Model, visits: Visits) -> nuts.Precompiled | None:
    """Find the engine's density of a model, or None, with a line in the log that says why it has to be compiled."""
    try:
        arrays = describe(model, visits)
        if not (difference := _difference(model, arrays)) < CLOSE:
            raise UnknownError(f"its density differs from that of the engine by {difference:.1e}")
    except UnknownError as reason:
        log.warning("this model is compiled, which takes about half a minute: %s", reason)
        return None
    return _named(model, arrays)


def _named(model: pm.Model, arrays: Arrays) -> nuts.Precompiled:
    """Name what is reported of a draw, in the order of `spread.report_of`."""
    scalars = [variable.name for variable in model.free_RVs]
    sizes = [scalars[int(k)].removesuffix("_signed") for k in arrays.signed]
    dims = dict.fromkeys([*scalars, *sizes], ()) | {
        name: tuple(model.named_vars_to_dims[name]) for name in ("correlation", "loading")
    }
    coords = {dim: list(model.coords[dim]) for each in dims.values() for dim in each}
    return nuts.Precompiled(arrays, dims, coords)


def _difference(model: pm.Model, arrays: Arrays) -> float:
    """Find the largest relative difference from the PyMC model's own density at some points; NaN where undefined."""
    own = interpreted(model.value_vars, model.logp())
    start, buffer = middle(arrays.priors), arrays.buffer()
    points = start + np.random.default_rng(POINTS).uniform(-1.0, 1.0, (POINTS, len(start)))
    stated = np.array([float(own(*point)) for point in points])
    ours = np.array([density.log_density(point, np.empty(len(start)), buffer) for point in points])
    return float(np.max(np.abs(ours - stated) / (1.0 + np.abs(stated))))


def ready(model: pm.Model, visits: Visits) -> Any:
    """Make a model ready for nutpie: at once where the engine has its density, else compiled as PyMC states it."""
    return precompiled(model, visits) or nuts.compile_model(model)

"""Log densities as operations of PyTensor: compiled functions that return their gradients with their value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt

from slopeshift.engine import correlated, entry, kernel, patients
from slopeshift.engine.foreign import (
    Apply,
    Op,
    cache_version,
    disconnected_type,
    numba_njit,
    register_funcify_default_op_cache_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

    Floats = NDArray[np.float64]

FUNCTIONS: dict[str, Any] = {
    "kernel": kernel.density,
    "correlated": correlated.density,
    "entry": entry.log_factor,
    "patients": patients.given_factor,
}
"""The function of each module of the engine."""

BY = 3
"""Inputs that a density has a gradient by: loading (p, q), variance, and offset (p,) or correlation."""


class LogDensity(Op):  # type: ignore[misc]
    """A log density of loading, variance and offset or correlation, and its three gradients, in one evaluation.

    `module` says whose function it is. Inputs: loading (p, q), variance (scalar), offset (p,) or correlation (scalar),
    then the data of the function, which have no gradient.
    """

    __props__ = ("module",)

    def __init__(self, module: str) -> None:
        self.module = module

    def make_node(self, *inputs: TensorVariable) -> Apply:
        """Make the node: outputs log density (scalar), and its gradients, each of the type of its input."""
        inputs = tuple(map(pt.as_tensor_variable, inputs))
        third = pt.dscalar() if self.module == "correlated" else pt.dvector()
        return Apply(self, inputs, [pt.dscalar(), pt.dmatrix(), pt.dscalar(), third])

    def infer_shape(self, node: Apply, shapes: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
        """Say that each gradient has the shape of what it is taken by."""
        return [(), *shapes[:BY]]

    def perform(self, node: Apply, inputs: Sequence[Floats], outputs: list[list[object]]) -> None:
        """Evaluate outside compiled graphs."""
        arguments = [float(each) if np.ndim(each) == 0 else np.ascontiguousarray(each) for each in inputs]
        for storage, value in zip(outputs, FUNCTIONS[self.module](*arguments), strict=True):
            storage[0] = np.asarray(value)

    def pullback(
        self, inputs: Sequence[TensorVariable], outputs: Sequence[TensorVariable], cotangents: Sequence[TensorVariable]
    ) -> list[TensorVariable]:
        """Scale the gradients that were computed with the density; the data have none."""
        gradients = [cotangents[0] * output for output in outputs[1:]]
        return [*gradients, *(disconnected_type() for _ in inputs[BY:])]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Connect the density with what it has a gradient by, and nothing else."""
        return [[i < BY, *[False] * BY] for i in range(len(node.inputs))]


marginal_normal = LogDensity("kernel")
"""log p(y | loading, variance, offset); then come packed statistics, design and precision, as in `kernel.density`."""

marginal_normal_in_time = LogDensity("correlated")
"""log p(y | loading, variance, correlation); then come the series, design and precision, as in `correlated.density`."""

entry_factor = LogDensity("entry")
"""The log factor of entry; then come the rules, as in `entry.log_factor`."""

given_factor = LogDensity("patients")
"""The log factor of values that are taken as given; then come these, as in `patients.given_factor`."""


@register_funcify_default_op_cache_key(LogDensity)  # type: ignore[untyped-decorator]
def _compiled(op: LogDensity, node: Apply, **_: object) -> tuple[object, int]:
    """Hand PyTensor the compiled density, and a number that changes with its code, for the cache on disk."""
    density = FUNCTIONS[op.module]

    @numba_njit
    def log_density(loading, variance, *known):  # type: ignore[no-untyped-def]
        value, d_loading, d_variance, d_offset = density(loading, variance.item(), *known)
        return np.asarray(value), d_loading, np.asarray(d_variance), d_offset

    @numba_njit
    def log_density_in_time(loading, variance, correlation, *known):  # type: ignore[no-untyped-def]
        value, d_loading, d_variance, d_correlation = density(loading, variance.item(), correlation.item(), *known)
        return np.asarray(value), d_loading, np.asarray(d_variance), np.asarray(d_correlation)

    return log_density_in_time if op.module == "correlated" else log_density, cache_version(f"engine.{op.module}")

"""The log density of each patient given the whole population: for what weighs patients, or asks more of each of them.

With o_i = B mu for patient i and the notation of `kernel`, e_i = h_i - M_i o_i,

    l_i = log p(y_i | o_i, Lambda, d)
    d l_i / d o_i = e_i,   d l_i / dV = (e_i e_i' - M_i) / 2,   d l_i / dd = ((r_i'r_i + tr(S_i K_i)) / d - n_i) / 2d

where S_i = W_i'W_i, t_i = o_i + V e_i and K_i = V - V M_i V are the patient's coefficients given its values, and
r_i = y_i - W_i t_i. Every density comes with its gradients, which the operation combines when it is differentiated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytensor.tensor as pt

from slopeshift.engine.compiling import compiled
from slopeshift.engine.foreign import (
    Apply,
    Op,
    cache_version,
    disconnected_type,
    numba_njit,
    register_funcify_default_op_cache_key,
)
from slopeshift.engine.kernel import LOG_2PI

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

    Floats = NDArray[np.float64]

BY = 3
"""Inputs that the densities have gradients by: loading (p, q), variance (scalar) and offset (patient, p)."""


@compiled
def log_densities(loading, variance, offset, grams, moments, squares, counts):  # type: ignore[no-untyped-def]
    """Return l (n,), e (n, p), M (n, p, p) and the derivatives of l by variance (n,).

    Takes loading (p, q), offset (n, p), and what `visits.patient_sums` returns: W'W (n, p, p), W'y (n, p), y'y (n,) and
    the numbers of values (n,), values less their prior mean as the offset is.
    """
    n, p = offset.shape
    value, by_variance, by_offset, info = np.empty(n), np.empty(n), np.empty((n, p)), np.empty((n, p, p))
    between = loading @ loading.T
    for i in range(n):
        gram = np.ascontiguousarray(grams[i]) / variance
        moved = np.ascontiguousarray(moments[i]) / variance - gram @ offset[i]
        square = squares[i] / variance - offset[i] @ (np.ascontiguousarray(moments[i]) / variance + moved)
        inside = gram @ loading
        root = np.linalg.cholesky(np.eye(loading.shape[1]) + loading.T @ inside)
        gain, shift = np.linalg.solve(root, inside.T), np.linalg.solve(root, loading.T @ moved)
        info[i] = gram - gain.T @ gain
        by_offset[i] = moved - gain.T @ shift
        value[i] = -0.5 * (square - shift @ shift + counts[i] * (LOG_2PI + np.log(variance)))
        value[i] -= np.log(np.diag(root)).sum()
        mean = between @ by_offset[i]
        left = between - between @ info[i] @ between
        misfit = square - 2.0 * (mean @ moved) + mean @ gram @ mean + (gram * left).sum()
        by_variance[i] = 0.5 * (misfit - counts[i]) / variance
    return value, by_offset, info, by_variance


class PatientDensities(Op):  # type: ignore[misc]
    """`log_densities` as an operation: inputs as there, outputs the densities and what their gradients are made of."""

    __props__ = ()

    def make_node(self, *inputs: TensorVariable) -> Apply:
        """Make the node: outputs as of `log_densities`, of which the first has gradients."""
        inputs = tuple(map(pt.as_tensor_variable, inputs))
        return Apply(self, inputs, [pt.dvector(), pt.dmatrix(), pt.dtensor3(), pt.dvector()])

    def infer_shape(self, node: Apply, shapes: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
        """Say what the outputs share with the offset (patient, p)."""
        n, p = shapes[2]
        return [(n,), (n, p), (n, p, p), (n,)]

    def perform(self, node: Apply, inputs: Sequence[Floats], outputs: list[list[object]]) -> None:
        """Evaluate outside compiled graphs."""
        loading, variance, *known = inputs
        arguments = (np.ascontiguousarray(loading), float(variance), *map(np.ascontiguousarray, known))
        for storage, value in zip(outputs, log_densities(*arguments), strict=True):
            storage[0] = value

    def pullback(
        self, inputs: Sequence[TensorVariable], outputs: Sequence[TensorVariable], cotangents: Sequence[TensorVariable]
    ) -> list[TensorVariable]:
        """Weigh the gradients of the patients by their cotangents, and add them up where patients share an input."""
        weight, loading = cotangents[0], inputs[0]
        _, by_offset, info, by_variance = outputs
        weighed = by_offset * weight[:, None]
        by_between = weighed.T @ by_offset - pt.tensordot(weight, info, axes=1)
        gradients = [by_between @ loading, (weight * by_variance).sum(), weighed]
        return [*gradients, *(disconnected_type() for _ in inputs[BY:])]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Connect the densities with what they have gradients by, and nothing else."""
        return [[i < BY, *[False] * BY] for i in range(len(node.inputs))]


patient_densities = PatientDensities()


@register_funcify_default_op_cache_key(PatientDensities)  # type: ignore[untyped-decorator]
def _compiled(op: PatientDensities, node: Apply, **_: object) -> tuple[object, int]:
    """Hand PyTensor the compiled function, and a number that changes with its code, for the cache on disk."""
    found = log_densities

    @numba_njit
    def patient_densities(loading, variance, *known):  # type: ignore[no-untyped-def]
        return found(loading, variance.item(), *known)

    return patient_densities, cache_version("engine.patients")


def normal_given_values(
    inputs: tuple[TensorVariable, TensorVariable, TensorVariable], known: Sequence[Floats], rows: Floats, noise: Floats
) -> tuple[TensorVariable, TensorVariable]:
    """Give mean and variance, given its values, of a combination of values that a patient has but nobody recorded.

    `inputs` are loading, variance and offset, `known` the sums of `log_densities`; `rows` (patient, p) has a = U'c of
    the combination c'u, and `noise` (patient,) c'c, which is not 0. Returns (patient,) each, less the prior mean.

    They are read off the density of the values together with c'u, whose logarithm is a parabola in c'u: three points of
    it give both, with the gradients that the densities have. c'u / sqrt(c'c) has the residual of one value more.
    """
    scale = np.sqrt(noise)
    row = rows / scale[:, None]
    grams, moments, squares, counts = known
    more = grams + row[:, :, None] * row[:, None, :]
    low, middle, high = (
        patient_densities(*inputs, more, moments + at * row, squares + at**2, counts + 1.0)[0]
        for at in (-1.0, 0.0, 1.0)
    )
    variance = -1.0 / (high - 2.0 * middle + low)
    return scale * variance * (high - low) / 2.0, noise * variance

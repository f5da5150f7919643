"""The log density of each patient given the whole population: what a likelihood divides by that takes values as given.

With o_i = B mu for patient i and the notation of `kernel`, e_i = h_i - M_i o_i,

    l_i = log p(y_i | o_i, Lambda, d)
    d l_i / d o_i = e_i,   d l_i / dV = (e_i e_i' - M_i) / 2,   d l_i / dd = ((r_i'r_i + tr(S_i K_i)) / d - n_i) / 2d

where S_i = W_i'W_i, t_i = o_i + V e_i and K_i = V - V M_i V are the patient's coefficients given its values, and
r_i = y_i - W_i t_i. Of values u_i up to the first injection, the density of all later ones given them is

    p(y_i | u_i) = p(y_i, u_i) / p(u_i)

so that whatever chose patients by u_i drops out, whether anybody stated it or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slopeshift.engine.compiling import compiled
from slopeshift.engine.kernel import LOG_2PI

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def pack(grams: Floats, moments: Floats, squares: Floats, counts: Floats) -> Floats:
    """Lay out what `visits.patient_sums` returns for `given_factor`: (patient, column)."""
    return np.ascontiguousarray(np.column_stack([grams.reshape(len(grams), -1), moments, squares, counts]))


@compiled
def given_factor(loading, variance, offset, known):
    """Return -sum_i l_i and its gradients by loading (p, q), by variance and by offset (p,), of `pack`ed values.

    The offset is the same for all patients.
    """
    n, p = known.shape[0], offset.size
    grams = np.ascontiguousarray(known[:, : p * p]).reshape((n, p, p))
    moments = np.ascontiguousarray(known[:, p * p : p * p + p])
    offsets = np.empty((n, p))
    offsets[:] = offset
    value, by_offset, info, by_variance = log_densities(
        loading, variance, offsets, grams, moments, known[:, p * p + p], known[:, p * p + p + 1]
    )
    by_between = by_offset.T @ by_offset
    for i in range(n):
        by_between -= info[i]
    total = np.zeros(p)
    for i in range(n):
        total -= by_offset[i]
    return -value.sum(), -(by_between @ loading), -by_variance.sum(), total


@compiled
def log_densities(loading, variance, offset, grams, moments, squares, counts):
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

"""The arithmetic of the patients' coordinates, compiled: the map, its inverse, and its gradient, patient by patient.

For patient i, whose visits have design D_i (rows d_j) and residuals e_i, with

    L L' = I + D_i'D_i,   s = L^-1 D_i'e_i,     z = L'^-1 (u + s),   log |dz/du| = -sum log L_aa

the gradient of a function of z and of the log Jacobian, whose derivatives by these are z* and h*, is

    u* = L^-1 z*,   b* = L'^-1 u*,     L* = -z u*' - b* s' - h* diag(1/L_aa)   (lower triangle)
    S  = L'^-1 F(L'L*) L^-1,           F: the lower triangle, its diagonal halved
    d_j* = (S + S') d_j + e_j b*,      e_j* = d_j'b*

(the derivative of Cholesky's factor: Murray 2016, arXiv 1602.07527). Arrays: `design` (visit, source), `residual`
(visit,), `patient` (visit,), whose visit it is; `u`, `z` (patient, source).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slopeshift.engine.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]


@compiled
def moved(design: Floats, residual: Floats, patient: Places, u: Floats) -> tuple[Floats, Floats]:
    """Return z (patient, source) at u, and the log Jacobian (patient,)."""
    factor, shift = _factor(design, residual, patient, len(u))
    z, log_jacobian = np.empty_like(u), np.empty(len(u))
    for i in range(len(u)):
        z[i] = u[i] + shift[i]
        _solve_transposed(factor[i], z[i])
        total = 0.0
        for a in range(u.shape[1]):
            total -= np.log(factor[i, a, a])
        log_jacobian[i] = total
    return z, log_jacobian


@compiled
def moved_back(design: Floats, residual: Floats, patient: Places, z: Floats) -> Floats:
    """Return u (patient, source) at z."""
    factor, shift = _factor(design, residual, patient, len(z))
    u = -shift
    for i in range(len(z)):
        for a in range(z.shape[1]):
            for b in range(a, z.shape[1]):
                u[i, a] += factor[i, b, a] * z[i, b]
    return u


@compiled
def pulled_back(
    design: Floats, residual: Floats, patient: Places, u: Floats, by_z: Floats, by_log_jacobian: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return the gradients by design, residual and u, from those by z (patient, source) and log Jacobian (patient,)."""
    n, q = u.shape
    factor, shift = _factor(design, residual, patient, n)
    by_u, by_moment, by_gram = by_z.copy(), np.empty((n, q)), np.empty((n, q, q))
    inner, z = np.empty((q, q)), np.empty(q)
    for i in range(n):
        z[:] = u[i] + shift[i]
        _solve_transposed(factor[i], z)
        _solve(factor[i], by_u[i])
        by_moment[i] = by_u[i]
        _solve_transposed(factor[i], by_moment[i])
        _by_factor(factor[i], z, shift[i], by_u[i], by_moment[i], by_log_jacobian[i], inner)
        _by_gram(factor[i], inner, by_gram[i])
    by_design, by_residual = np.empty_like(design), np.empty_like(residual)
    for j in range(len(residual)):
        i, total = patient[j], 0.0
        for a in range(q):
            found = residual[j] * by_moment[i, a]
            for b in range(q):
                found += (by_gram[i, a, b] + by_gram[i, b, a]) * design[j, b]
            by_design[j, a] = found
            total += design[j, a] * by_moment[i, a]
        by_residual[j] = total
    return by_design, by_residual, by_u


@compiled
def _factor(design, residual, patient, n):
    """Form L (patient, source, source), of which the lower triangle is meant, and s (patient, source)."""
    q = design.shape[1]
    factor, shift = np.zeros((n, q, q)), np.zeros((n, q))
    for j in range(len(residual)):
        i = patient[j]
        for a in range(q):
            shift[i, a] += design[j, a] * residual[j]
            for b in range(a + 1):
                factor[i, a, b] += design[j, a] * design[j, b]
    for i in range(n):
        for a in range(q):
            factor[i, a, a] += 1.0
            for b in range(a + 1):
                total = factor[i, a, b]
                for c in range(b):
                    total -= factor[i, a, c] * factor[i, b, c]
                factor[i, a, b] = np.sqrt(total) if a == b else total / factor[i, b, b]
        _solve(factor[i], shift[i])
    return factor, shift


@compiled
def _solve(factor, x):
    """Turn x into L^-1 x, in place."""
    for a in range(len(x)):
        for b in range(a):
            x[a] -= factor[a, b] * x[b]
        x[a] /= factor[a, a]


@compiled
def _solve_transposed(factor, x):
    """Turn x into L'^-1 x, in place."""
    for a in range(len(x) - 1, -1, -1):
        for b in range(a + 1, len(x)):
            x[a] -= factor[b, a] * x[b]
        x[a] /= factor[a, a]


@compiled
def _by_factor(factor, z, shift, by_u, by_moment, by_log_jacobian, inner):
    """Form F(L'L*), in place."""
    q = len(z)
    for a in range(q):
        for b in range(q):
            total = 0.0
            if b <= a:
                for c in range(a, q):
                    total -= factor[c, a] * (z[c] * by_u[b] + by_moment[c] * shift[b])
                if a == b:
                    total = 0.5 * (total - by_log_jacobian)
            inner[a, b] = total


@compiled
def _by_gram(factor, inner, found):
    """Form S = L'^-1 F L^-1, in place; `inner` is F, and is used up."""
    q = len(inner)
    for a in range(q):
        # x L = F_a, from the last column on.
        for b in range(q - 1, -1, -1):
            total = inner[a, b]
            for c in range(b + 1, q):
                total -= inner[a, c] * factor[c, b]
            inner[a, b] = total / factor[b, b]
    for b in range(q):
        for a in range(q - 1, -1, -1):
            total = inner[a, b]
            for c in range(a + 1, q):
                total -= factor[c, a] * found[c, b]
            found[a, b] = total / factor[a, a]

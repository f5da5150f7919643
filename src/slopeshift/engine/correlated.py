"""The arithmetic of `kernel` where a patient's residuals are correlated in time: it is the same, of other statistics.

Residuals m months apart have correlation c^m. What the one before leaves of a row of W, or of a value, is f = c^m times
it; the rest, over the root of 1 - f^2, has independent residuals of the same variance d. So, with rows w_j and values
y_j of a patient in the order of time, and

    v_j = (1 - f_j^2)^-1/2 ((w_j, y_j) - f_j (w_j-1, y_j-1)),     f = 0 for the first,

the sums of v v' are the statistics that `kernel` takes, and log p(y) is its density less sum log|R_i| / 2, where
log|R_i| = sum log(1 - f_j^2). With T_i = sum v v', theta_i the coefficients less their prior mean, and derivatives by
log c, of which f has m f (Fisher's identity, as in `kernel`),

    d log p = -1/2 sum_i [ tr(dT_i E[(theta_i, -1)(theta_i, -1)' | y]) / d + d log|R_i| ]
    theta_i | y ~ Normal(b + D_i (s_i - S_i b), D_i + J_i P J_i'),   D_i = R A_i^-1 R',   J_i = I - D_i S_i

Arrays: as in `kernel`; `correlation` is c, and `series` holds the patients' rows and values as `pack` lays them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slopeshift.engine import kernel
from slopeshift.engine.compiling import compiled
from slopeshift.engine.kernel import _at, _factor, _triangle, _weigh
from slopeshift.engine.simd import LANES, every, load, store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.engine.sequence import Sequence

    Floats = NDArray[np.float64]

MORE = 3
"""Rows that a value has besides those of its design: the value, 1, and the months since the one before."""


def pack(rows: Floats, value: Floats, patient: NDArray[np.intp], number: int, order: Sequence) -> Floats:
    """Lay rows of the design (visit, p) and values (visit,) out for `density`: (block, row, lane).

    A block has LANES of `number` patients, a lane each. Its rows are, for each patient's first value, second value and
    so on, those of the design, the value, 1, and the months since the value before. The months are 0 where there is
    none, and all are 0 where a patient has fewer values.
    """
    blocks, steps = max(-(-number // LANES), 1), len(order.steps)
    laid = np.zeros((blocks, steps, rows.shape[1] + MORE, LANES))
    months = np.where(order.first, 0.0, order.months)
    laid[patient // LANES, order.number, :, patient % LANES] = np.column_stack(
        [rows, value, np.ones(len(value)), months]
    )
    return laid.reshape(blocks, -1, LANES)


@compiled
def density(loading, variance, correlation, series, design, precision):
    """Return log p(y), and its gradients by loading (p, q), by variance and by correlation."""
    packed, by_log, log_det = statistics(series, correlation, loading.shape[0])
    value, by_loading, by_variance, _, centre, spread = kernel.with_population(
        loading, variance, np.zeros(loading.shape[0]), packed, design, precision
    )
    misfit = _expected(loading, variance, packed, by_log, centre, spread)
    slope = -0.5 * (misfit / variance + log_det[:, 1].sum())
    return value - 0.5 * log_det[:, 0].sum(), by_loading, by_variance, slope / correlation


@compiled
def statistics(series, correlation, p):
    """Return the statistics that `kernel.pack` describes and their derivatives by log correlation (block, row, lane).

    The third is log|R_i| and its derivative (block, 2, lane).
    """
    (blocks, rows, lanes), width, size = series.shape, p + MORE, (p + 1) * (p + 2) // 2 + 1
    packed, by_log = np.zeros((blocks, size, lanes)), np.zeros((blocks, size, lanes))
    log_det, factors, new = np.zeros((blocks, 2, lanes)), np.empty((4, lanes)), np.empty((2 * (p + 1), lanes))
    log_correlation = np.log(correlation)
    for block in range(blocks):
        for start in range(0, rows, width):
            here, before = series[block, start:], series[block, max(start - width, 0) :]
            _fade(here[p + 2], log_correlation, factors, log_det[block])
            _add_new(here, before, factors, new, p, packed[block], by_log[block])
    return packed, by_log, log_det


@compiled
def _fade(months, log_correlation, factors, log_det):
    """Write f, (1 - f^2)^-1/2, f' (1 - f^2)^-1/2 and f / (1 - f^2) into factors, and add to log_det."""
    for lane in range(months.size):
        if months[lane] > 0.0:
            # 1 - f by its logarithm: exact also where f is near 1.
            lost = -np.expm1(months[lane] * log_correlation)
            left, new = 1.0 - lost, lost * (2.0 - lost)
            root = 1.0 / np.sqrt(new)
            slope = months[lane] * left
            factors[0, lane], factors[1, lane], factors[2, lane] = left, root, slope * root
            factors[3, lane] = left / new
            log_det[0, lane] += np.log(new)
            log_det[1, lane] -= 2.0 * slope * left / new
        else:
            factors[0, lane], factors[1, lane], factors[2, lane], factors[3, lane] = 0.0, 1.0, 0.0, 0.0


@compiled
def _add_new(here, before, factors, new, p, packed, by_log):
    """Add v v' of a value of each patient to packed, its derivative to by_log, and 1 to the numbers of values."""
    left, root, slope, ratio = load(factors, 0), load(factors, 1), load(factors, 2), load(factors, 3)
    for a in range(p + 1):
        x = load(here, a) - left * load(before, a)
        store(new, a, x * root)
        store(new, p + 1 + a, slope * (x * ratio - load(before, a)))
    for a in range(p + 1):
        x, y = load(new, a), load(new, p + 1 + a)
        for b in range(a + 1):
            store(packed, _at(a, b), load(packed, _at(a, b)) + x * load(new, b))
            store(by_log, _at(a, b), load(by_log, _at(a, b)) + x * load(new, p + 1 + b) + y * load(new, b))
    last = packed.shape[0] - 1
    store(packed, last, load(packed, last) + load(here, p + 1))


@compiled
def _expected(loading, variance, packed, by_log, centre, spread):
    """Return the sum over patients of tr(dT_i E[(theta_i, -1)(theta_i, -1)' | y])."""
    p, (blocks, rows, lanes) = loading.shape[0], packed.shape
    triangle, r = _triangle(loading)
    stats, product, chol = np.empty((rows, lanes)), np.empty((p * r, lanes)), np.empty((r * (r + 1) // 2, lanes))
    root, known, total = np.empty((r * p, lanes)), np.empty((p * p, lanes)), np.zeros((1, lanes))
    away, mean = np.empty((p, lanes)), np.empty((p, lanes))
    kept, moved, none = np.empty((p * p, lanes)), np.empty((p * p, lanes)), np.zeros(p)
    for block in range(blocks):
        _weigh(packed, block, variance, none, stats)
        _factor(stats, triangle, r, product, chol)
        _given_population(triangle, r, chol, root, known)
        _centre(stats, known, centre, away, mean)
        _moved(stats, known, spread, kept, moved)
        _contract(by_log[block], known, mean, kept, moved, total)
    return total[0].sum()


@compiled
def _given_population(triangle, r, chol, root, known):
    """Write A^-1/2 R' into root (r, p), and D into known (p, p)."""
    p = triangle.shape[0]
    for a in range(p):
        for k in range(r):
            x = load(chol, _at(k, k)) * triangle[a, k]
            for i in range(k):
                x = x - load(chol, _at(k, k)) * load(chol, _at(k, i)) * load(root, i * p + a)
            store(root, k * p + a, x)
        for b in range(a + 1):
            x = load(root, a) * load(root, b)
            for k in range(1, r):
                x = x + load(root, k * p + a) * load(root, k * p + b)
            store(known, a * p + b, x)
            store(known, b * p + a, x)


@compiled
def _centre(stats, known, centre, away, mean):
    """Write s - S b into away (p) and E[theta | y] = b + D (s - S b) into mean (p)."""
    p = centre.size
    for a in range(p):
        x = load(stats, p * (p + 1) // 2 + a)
        for b in range(p):
            x = x - load(stats, _at(a, b)) * centre[b]
        store(away, a, x)
    for a in range(p):
        x = load(known, a * p) * load(away, 0)
        for b in range(1, p):
            x = x + load(known, a * p + b) * load(away, b)
        store(mean, a, x + every(centre[a]))


@compiled
def _moved(stats, known, spread, kept, moved):
    """Write J = I - D S into kept and J P into moved, (p, p) each."""
    p = spread.shape[0]
    for a in range(p):
        for b in range(p):
            x = load(known, a * p) * load(stats, _at(0, b))
            for c in range(1, p):
                x = x + load(known, a * p + c) * load(stats, _at(c, b))
            store(kept, a * p + b, every(1.0 if a == b else 0.0) - x)
        for b in range(p):
            x = load(kept, a * p) * spread[0, b]
            for c in range(1, p):
                x = x + load(kept, a * p + c) * spread[c, b]
            store(moved, a * p + b, x)


@compiled
def _contract(by_log, known, mean, kept, moved, total):
    """Add tr(dT E[(theta, -1)(theta, -1)']) of a block's patients to total."""
    p = mean.shape[0]
    moment = p * (p + 1) // 2
    found = load(total, 0) + load(by_log, moment + p)
    for a in range(p):
        found = found - load(by_log, moment + a) * load(mean, a) * 2.0
        for b in range(a + 1):
            x = load(known, a * p + b) + load(mean, a) * load(mean, b)
            for c in range(p):
                x = x + load(moved, a * p + c) * load(kept, b * p + c)
            found = found + load(by_log, _at(a, b)) * x * (1.0 if a == b else 2.0)
    store(total, 0, found)


@compiled
def draw_back(loading, variance, correlation, series, design, precision, rng, terms, theta, marginal):
    """Draw what was integrated out as `kernel.draw_back` does, for every draw of correlation (d,) too."""
    lanes, none = series.shape[2], np.zeros((1, loading.shape[1]))
    for d in range(correlation.size):
        packed, _, log_det = statistics(series, correlation[d], loading.shape[1])
        of = slice(d, d + 1)
        kernel.draw_back(
            loading[of], variance[of], none, packed, design, precision, rng, terms[of], theta[of], marginal[of]
        )
        for i in range(theta.shape[1]):
            marginal[d, i] -= 0.5 * log_det[i // lanes, 0, i % lanes]

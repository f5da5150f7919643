"""The arithmetic of exact marginalisation: two passes over the patients, compiled, eight patients at a time.

For patient i, with design W_i, coefficients theta_i = B mu + Lambda z_i, z_i ~ Normal(0, I), mu ~ Normal(0, C), and
residual variance d, let y_i be the values less the population's prior mean, V = Lambda Lambda',
Omega_i = W_i V W_i' + d I. Everything that the visits say is in

    S_i = W_i'W_i / d,   s_i = W_i'y_i / d,   yy_i = y_i'y_i / d

With the triangle R of V = RR' and A_i = I + R'S_i R (Woodbury's identity, the matrix determinant lemma),

    M_i = W_i'Omega_i^-1 W_i = S_i - S_i R A_i^-1 R'S_i        information of patient i about B mu
    h_i = W_i'Omega_i^-1 y_i = s_i - S_i R A_i^-1 R's_i
    c_i = y_i'Omega_i^-1 y_i = yy_i - s_i'R A_i^-1 R's_i
    Q   = B'(sum M_i)B + C^-1,   mu_hat = Q^-1 B' sum h_i
    -2 log p(y) = n log(2 pi d) + sum log|A_i| + log|C| + log|Q| + sum c_i - mu_hat'Q mu_hat

Gradients are expectations of the complete-data score given y (Fisher's identity): with b = B mu_hat, P = B Q^-1 B',
e_i = h_i - M_i b and G = sum (e_i e_i' + M_i P M_i - M_i),

    d/dV = G / 2,   so   d/dLambda = G Lambda
    2 d d/dd = sum c_i - b'sum (h_i + e_i) + tr(P sum M_i) - n - tr(Lambda'G Lambda)

Terms that are not integrated out add an `offset` o (p,) to B mu, less their prior mean as y_i is. With y_i - W_i o in
the place of y_i,

    s_i' = s_i - S_i o,   yy_i' = yy_i - o'(s_i + s_i')

stand for s_i and yy_i in all of the above, and d/do = sum e_i = sum h_i - (sum M_i) b.

Arrays: p coefficients, q sources of variation, m population terms; `loading` is Lambda (p, q), `design` is B (p, m),
`precision` the diagonal of C^-1 (m,), `variance` is d, and `packed` holds the patients' unweighted statistics as `pack`
lays them out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slopeshift.engine.compiling import compiled
from slopeshift.engine.simd import LANES, every, load, square_root, store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LOG_2PI = float(np.log(2 * np.pi))


def pack(grams: Floats, moments: Floats, squares: Floats, counts: Floats) -> Floats:
    """Lay the statistics of the patients out for the kernel: (block, row, lane).

    Takes W'W (n, p, p), W'y (n, p), y'y (n,) and the numbers of values (n,). A block has LANES patients, the
    last one filled up with patients without values; its rows are the lower triangle of W'W, row by row, W'y, y'y, and
    the number of values.
    """
    n, p = moments.shape
    blocks = max(-(-n // LANES), 1)
    rows = np.zeros((blocks * LANES, p * (p + 1) // 2 + p + 2))
    below = np.tril_indices(p)
    rows[:n] = np.column_stack([grams[:, *below], moments, squares, counts])
    return np.ascontiguousarray(rows.reshape(blocks, LANES, -1).swapaxes(1, 2))


@compiled
def _at(a, b):
    """Find the row of entry (a, b) of a symmetric matrix, of which the lower triangle is kept."""
    return a * (a + 1) // 2 + b if a >= b else b * (b + 1) // 2 + a


@compiled
def _triangle(loading):
    """Rotate columns of the loading until it is lower triangular: the R of V = RR', and its number of columns."""
    p, q = loading.shape
    r = min(p, q)
    full = loading.copy()
    for a in range(r):
        for k in range(q - 1, a, -1):
            if full[a, k] != 0.0:
                length = np.hypot(full[a, a], full[a, k])
                c, s = full[a, a] / length, full[a, k] / length
                for i in range(a, p):
                    x, y = full[i, a], full[i, k]
                    full[i, a] = c * x + s * y
                    full[i, k] = c * y - s * x
    return full, r


@compiled
def _weigh(packed, block, variance, offset, stats):
    """Divide the statistics of a block by the residual variance, and take the offset from its values."""
    for row in range(stats.shape[0] - 1):
        store(stats, row, load(packed[block], row) * (1.0 / variance))
    if not offset.any():
        return
    p = offset.size
    moment = p * (p + 1) // 2
    square = load(stats, moment + p)
    for a in range(p):
        before = load(stats, moment + a)
        x = before
        for b in range(p):
            x = x - load(stats, _at(a, b)) * offset[b]
        square = square - (before + x) * offset[a]
        store(stats, moment + a, x)
    store(stats, moment + p, square)


@compiled
def _factor(stats, triangle, r, product, chol):
    """Write S R into product and the Cholesky factor of A = I + R'S R into chol; return 1 / the root of |A|.

    Factors are lower triangular with the *reciprocals* of their diagonal, which spares the solves their divisions.
    """
    p = triangle.shape[0]
    for a in range(p):
        for k in range(r):
            x = load(stats, _at(a, k)) * triangle[k, k]
            for b in range(k + 1, p):
                x = x + load(stats, _at(a, b)) * triangle[b, k]
            store(product, a * r + k, x)
    scale = every(1.0)
    for j in range(r):
        for k in range(j + 1):
            x = every(1.0 if j == k else 0.0)
            for a in range(j, p):
                x = x + load(product, a * r + k) * triangle[a, j]
            for i in range(k):
                x = x - load(chol, _at(j, i)) * load(chol, _at(k, i))
            if j == k:
                x = 1.0 / square_root(x)
                scale = scale * x
            else:
                x = x * load(chol, _at(k, k))
            store(chol, _at(j, k), x)
    return scale


@compiled
def _solve(chol, triangle, r, stats, product, gain, shift):
    """Write A^-1/2 R'S into gain (r, p) and A^-1/2 R's into shift (r)."""
    p = triangle.shape[0]
    moment = p * (p + 1) // 2
    for k in range(r):
        x = load(stats, moment + k) * triangle[k, k]
        for a in range(k + 1, p):
            x = x + load(stats, moment + a) * triangle[a, k]
        for i in range(k):
            x = x - load(chol, _at(k, i)) * load(shift, i)
        store(shift, k, x * load(chol, _at(k, k)))
        for a in range(p):
            x = load(product, a * r + k)
            for i in range(k):
                x = x - load(chol, _at(k, i)) * load(gain, i * p + a)
            store(gain, k * p + a, x * load(chol, _at(k, k)))


@compiled
def _inform(stats, gain, shift, r, p, info, sums):
    """Write M and h into info, and add M, h and c to sums; all have the rows of the statistics."""
    moment = p * (p + 1) // 2
    for a in range(p):
        for b in range(a + 1):
            x = load(stats, _at(a, b))
            for k in range(r):
                x = x - load(gain, k * p + a) * load(gain, k * p + b)
            store(info, _at(a, b), x)
            store(sums, _at(a, b), load(sums, _at(a, b)) + x)
        x = load(stats, moment + a)
        for k in range(r):
            x = x - load(gain, k * p + a) * load(shift, k)
        store(info, moment + a, x)
        store(sums, moment + a, load(sums, moment + a) + x)
    x = load(stats, moment + p)
    for k in range(r):
        x = x - load(shift, k) * load(shift, k)
    store(sums, moment + p, load(sums, moment + p) + x)


@compiled
def _first_pass(triangle, r, variance, offset, packed, info, sums):
    """Write M_i and h_i of every patient into info and their sums, with that of c_i, into sums; return sum log|A_i|."""
    p, (blocks, rows, lanes) = triangle.shape[0], packed.shape
    work = np.empty((rows + 2 * p * r + r * (r + 1) // 2 + r + 1, lanes))
    stats, work = work[:rows], work[rows:]
    product, work = work[: p * r], work[p * r :]
    gain, work = work[: p * r], work[p * r :]
    shift, work = work[:r], work[r:]
    scale, chol = work[:1], work[1:]
    log_det = 0.0
    for block in range(blocks):
        _weigh(packed, block, variance, offset, stats)
        store(scale, 0, _factor(stats, triangle, r, product, chol))
        for lane in range(lanes):
            log_det -= 2.0 * np.log(scale[0, lane])
        _solve(chol, triangle, r, stats, product, gain, shift)
        _inform(stats, gain, shift, r, p, info[block], sums)
    return log_det


@compiled
def _added_up(sums, p):
    """Add the lanes of sums up: sum M_i (p, p), sum h_i (p,), sum c_i."""
    moment = p * (p + 1) // 2
    info_sum, score_sum = np.empty((p, p)), np.empty(p)
    for a in range(p):
        score_sum[a] = sums[moment + a].sum()
        for b in range(a + 1):
            info_sum[a, b] = info_sum[b, a] = sums[_at(a, b)].sum()
    return info_sum, score_sum, sums[moment + p].sum()


@compiled
def _forward(chol, x):
    """Solve chol y = x in place, lower triangular."""
    for k in range(x.size):
        for j in range(k):
            x[k] -= chol[k, j] * x[j]
        x[k] *= chol[k, k]


@compiled
def _backward(chol, x):
    """Solve chol' y = x in place."""
    for k in range(x.size - 1, -1, -1):
        for j in range(k + 1, x.size):
            x[k] -= chol[j, k] * x[j]
        x[k] *= chol[k, k]


@compiled
def _population(info_sum, score_sum, design, precision):
    """Return the Cholesky factor of Q (lower), that factor solved for B' sum h_i, and log|Q|."""
    p, m = design.shape
    chol, half, inside, log_det = np.empty((m, m)), np.empty(m), np.zeros((p, m)), 0.0
    for b in range(p):
        for k in range(m):
            if design[b, k] != 0.0:
                for a in range(p):
                    inside[a, k] += info_sum[a, b] * design[b, k]
    for j in range(m):
        half[j] = 0.0
        for k in range(j + 1):
            chol[j, k] = precision[j] if j == k else 0.0
        for a in range(p):
            if design[a, j] != 0.0:
                half[j] += design[a, j] * score_sum[a]
                for k in range(j + 1):
                    chol[j, k] += design[a, j] * inside[a, k]
        for k in range(j + 1):
            x = chol[j, k]
            for i in range(k):
                x -= chol[j, i] * chol[k, i]
            chol[j, k] = 1.0 / np.sqrt(x) if j == k else x * chol[k, k]
        log_det -= 2.0 * np.log(chol[j, j])
    _forward(chol, half)
    return chol, half, log_det


@compiled
def _project(design, chol, half):
    """Return mean and covariance of B mu given y: b (p,) and P (p, p)."""
    p, m = design.shape
    rows, centre, spread = design.copy(), np.empty(p), np.empty((p, p))
    for a in range(p):
        _forward(chol, rows[a])
        centre[a] = 0.0
        for k in range(m):
            centre[a] += rows[a, k] * half[k]
        for b in range(a + 1):
            x = 0.0
            for k in range(m):
                x += rows[a, k] * rows[b, k]
            spread[a, b] = spread[b, a] = x
    return centre, spread


@compiled
def _second_pass(info, centre, spread, residual, product, outer):
    """Add e e' + M P M of every patient to outer, lower triangle; residual (p) and product (p, p) are work space."""
    p = centre.size
    for block in range(info.shape[0]):
        here = info[block]
        _residual(here, centre, residual)
        for a in range(p):
            for b in range(p):
                x = load(here, _at(a, 0)) * spread[0, b]
                for c in range(1, p):
                    x = x + load(here, _at(a, c)) * spread[c, b]
                store(product, a * p + b, x)
            for b in range(a + 1):
                x = load(outer, _at(a, b)) + load(residual, a) * load(residual, b)
                for c in range(p):
                    x = x + load(product, a * p + c) * load(here, _at(c, b))
                store(outer, _at(a, b), x)


@compiled
def _residual(here, centre, residual):
    """Write e = h - M b into residual."""
    p = centre.size
    for a in range(p):
        x = load(here, p * (p + 1) // 2 + a)
        for b in range(p):
            x = x - load(here, _at(a, b)) * centre[b]
        store(residual, a, x)


@compiled
def density(loading, variance, offset, packed, design, precision):
    """Return log p(y) and its gradients by loading (p, q), by variance and by offset (p,)."""
    p, (blocks, rows, lanes) = loading.shape[0], packed.shape
    count = packed[:, rows - 1].sum()
    triangle, r = _triangle(loading)
    sums, info = np.zeros((rows, lanes)), np.empty((blocks, rows, lanes))
    total = _first_pass(triangle, r, variance, offset, packed, info, sums)
    info_sum, score_sum, misfit = _added_up(sums, p)
    chol, half, log_det = _population(info_sum, score_sum, design, precision)
    total += log_det + misfit
    for k in range(precision.size):
        total -= np.log(precision[k]) + half[k] ** 2
    total += count * (LOG_2PI + np.log(variance))

    centre, spread = _project(design, chol, half)
    d_loading, scaled = _by_loading(loading, info, info_sum, score_sum, centre, spread)
    d_offset = score_sum
    for a in range(p):
        for b in range(p):
            d_offset[a] -= info_sum[a, b] * centre[b]
    return -0.5 * total, d_loading, 0.5 * (scaled + misfit - count) / variance, d_offset


@compiled
def _by_loading(loading, info, info_sum, score_sum, centre, spread):
    """Return G Lambda (p, q), and tr(P sum M_i) - b'sum (h_i + e_i) - tr(Lambda'G Lambda)."""
    (p, q), lanes = loading.shape, info.shape[2]
    work = np.zeros((p * (p + 1) // 2 + p + p * p, lanes))
    outer, residual, product = work[: -p - p * p], work[-p - p * p : -p * p], work[-p * p :]
    _second_pass(info, centre, spread, residual, product, outer)
    d_loading, scaled = np.zeros((p, q)), 0.0
    for a in range(p):
        for b in range(p):
            scaled += info_sum[a, b] * (spread[a, b] + centre[a] * centre[b])
            x = outer[_at(a, b)].sum() - info_sum[a, b]
            for k in range(q):
                d_loading[a, k] += x * loading[b, k]
        scaled -= 2.0 * centre[a] * score_sum[a]
        for k in range(q):
            scaled -= loading[a, k] * d_loading[a, k]
    return d_loading, scaled


@compiled
def draw_back(loading, variance, offset, packed, design, precision, rng, terms, theta, marginal):
    """Draw what was integrated out, given y, for every draw of loading (d, p, q), variance (d,) and offset (d, p).

    Writes mu, less its prior mean, into terms (d, m) and theta_i, less the same, into theta (d, n, p): first
    mu ~ Normal(mu_hat, Q^-1), then z_i ~ Normal(A_i^-1 R'(s_i - S_i B mu), A_i^-1) and theta_i = o + B mu + R z_i.
    Writes log p(y_i | o, mu) into marginal (d, n).
    """
    draws, n, p = theta.shape
    (blocks, rows, lanes), m = packed.shape, precision.size
    sums, info, mean = np.empty((rows, lanes)), np.empty((blocks, rows, lanes)), np.empty(p)
    r = min(p, loading.shape[2])
    stats, product, chol = np.empty((rows, lanes)), np.empty((p * r, lanes)), np.empty((r * (r + 1) // 2, lanes))
    z, fit = np.empty((r, lanes)), np.empty((2, lanes))
    for d in range(draws):
        triangle, _ = _triangle(loading[d])
        sums[:] = 0.0
        _first_pass(triangle, r, variance[d], offset[d], packed, info, sums)
        info_sum, score_sum, _ = _added_up(sums, p)
        lower, half, _ = _population(info_sum, score_sum, design, precision)
        for k in range(m):
            half[k] += rng.standard_normal()
        _backward(lower, half)
        terms[d] = half
        for a in range(p):
            mean[a] = 0.0
            for k in range(m):
                mean[a] += design[a, k] * half[k]
        for block in range(blocks):
            _weigh(packed, block, variance[d], offset[d], stats)
            store(fit, 1, _factor(stats, triangle, r, product, chol))
            store(fit, 0, _distance(stats, triangle, r, product, chol, mean, z))
            for k in range(r):
                for lane in range(lanes):
                    z[k, lane] += rng.standard_normal()
            _back_to_patients(chol, z)
            for lane in range(min(lanes, n - block * lanes)):
                i = block * lanes + lane
                marginal[d, i] = np.log(fit[1, lane]) - 0.5 * fit[0, lane]
                marginal[d, i] -= 0.5 * packed[block, rows - 1, lane] * (LOG_2PI + np.log(variance[d]))
                for a in range(p):
                    theta[d, i, a] = offset[d, a] + mean[a]
                    for k in range(min(a + 1, r)):
                        theta[d, i, a] += triangle[a, k] * z[k, lane]


@compiled
def _distance(stats, triangle, r, product, chol, mean, z):
    """Write A^-1/2 R'(s - S B mu) into z, and return (y - W B mu)' Omega^-1 (y - W B mu)."""
    p = mean.size
    moment = p * (p + 1) // 2
    x = load(stats, moment + p)
    for a in range(p):
        y = load(stats, moment + a) * -2.0
        for b in range(p):
            y = y + load(stats, _at(a, b)) * mean[b]
        x = x + y * mean[a]
    for k in range(r):
        y = every(0.0)
        for a in range(k, p):
            y = y + load(stats, moment + a) * triangle[a, k]
        for a in range(p):
            y = y - load(product, a * r + k) * mean[a]
        for i in range(k):
            y = y - load(chol, _at(k, i)) * load(z, i)
        y = y * load(chol, _at(k, k))
        store(z, k, y)
        x = x - y * y
    return x


@compiled
def _back_to_patients(chol, z):
    """Solve chol' y = z in place for a block of patients."""
    r = z.shape[0]
    for k in range(r - 1, -1, -1):
        x = load(z, k)
        for j in range(k + 1, r):
            x = x - load(chol, _at(j, k)) * load(z, j)
        store(z, k, x * load(chol, _at(k, k)))

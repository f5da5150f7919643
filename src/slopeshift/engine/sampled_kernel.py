"""The density of patients that are sampled, in the coordinates of `reparametrise`: compiled, eight patients at a time.

There the map from u to z is an operation of a graph. Here it is written out for lines, whose rows all weigh the same:
with W the basis of patient i, y its values less the prior mean, Lambda the loading, b the population less its prior
mean, v the weight of a value, and sums over the values that weigh anything,

    S = W'W,   T = S Lambda,   m = W'y - S b
    L L' = I + v Lambda'T,   s = L^-1 v Lambda'm,   z = L'^-1 (u + s),   theta = B mu + Lambda z
    log p = sum_j log p(y_j | theta) - z'z / 2 - (q / 2) log(2 pi) - sum log L_aa

Its gradient, with g = d sum_j log p(y_j | theta) / d theta, u* = L^-1 (Lambda'g - z), c = L'^-1 u*, and the symmetric
matrix K = F(L'L*) + F(L'L*)' of `reparametrise_kernel`,

    K_ab = -(u + s)_a u*_b - u*_a s_b - [a = b],   a >= b,       H = T L'^-1 K L^-1 + m c'
    d/du = u*,   d/d(B mu) = g - v T c,   d/dLambda = g z' + v H,   d/dv = sum Lambda * (H + m c') / 2

In the last line the product is entry by entry. Work arrays have a row per entry and a column per patient, row a q + k
for entry (a, k) of a matrix (coefficient, source); factors are as in `kernel`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slopeshift.engine.compiling import compiled
from slopeshift.engine.kernel import _at as at
from slopeshift.engine.simd import every, load, square_root, store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@compiled
def workspace(p, q, lanes):
    """Return room for T (p q), m (p), L, s (q), u + s (q), z (q), theta (p), g (p), u* (q), c (q), and a row (q)."""
    rows = np.empty((p * q + 3 * p + q * (q + 1) // 2 + 6 * q, lanes))
    product, rows = rows[: p * q], rows[p * q :]
    moment, theta, by_theta, rows = rows[:p], rows[p : 2 * p], rows[2 * p : 3 * p], rows[3 * p :]
    shift, moved, z, rows = rows[:q], rows[q : 2 * q], rows[2 * q : 3 * q], rows[3 * q :]
    by_u, back, row, chol = rows[:q], rows[q : 2 * q], rows[2 * q : 3 * q], rows[3 * q :]
    return product, moment, chol, shift, moved, z, theta, by_theta, by_u, back, row


@compiled
def place_patients(stats, loading, weight, centre, off, u, work):
    """Write z, theta, and what the map is made of, into work; return the product of 1 / L_aa, and z'z.

    `stats` has W'W, lower triangle, and W'y; `centre` is B mu and `off` the same less its prior mean; `u` (q, lane).
    """
    product, moment, chol, shift, moved, z, theta = work[:7]
    _moments(stats, loading, off, product, moment)
    scale = _factor(product, loading, weight, chol)
    _shift(moment, loading, weight, chol, shift)
    q = z.shape[0]
    square = every(0.0)
    for k in range(q - 1, -1, -1):
        x = load(u, k) + load(shift, k)
        store(moved, k, x)
        for i in range(k + 1, q):
            x = x - load(chol, at(i, k)) * load(z, i)
        x = x * load(chol, at(k, k))
        store(z, k, x)
        square = square + x * x
    for a in range(theta.shape[0]):
        x = every(centre[a])
        for k in range(q):
            if loading[a, k] != 0.0:
                x = x + load(z, k) * loading[a, k]
        store(theta, a, x)
    return scale, square


@compiled
def _moments(stats, loading, off, product, moment):
    """Write T and m."""
    p, q = loading.shape
    for a in range(p):
        x = load(stats, p * (p + 1) // 2 + a)
        for b in range(p):
            x = x - load(stats, at(a, b)) * off[b]
        store(moment, a, x)
        for k in range(q):
            x = every(0.0)
            for b in range(p):
                if loading[b, k] != 0.0:
                    x = x + load(stats, at(a, b)) * loading[b, k]
            store(product, a * q + k, x)


@compiled
def _factor(product, loading, weight, chol):
    """Write L, with the reciprocals of its diagonal; return their product."""
    p, q = loading.shape
    scale = every(1.0)
    for j in range(q):
        for k in range(j + 1):
            x = every(0.0)
            for a in range(p):
                if loading[a, j] != 0.0:
                    x = x + load(product, a * q + k) * loading[a, j]
            x = x * weight
            if j == k:
                x = x + 1.0
            for i in range(k):
                x = x - load(chol, at(j, i)) * load(chol, at(k, i))
            if j == k:
                x = 1.0 / square_root(x)
                scale = scale * x
            else:
                x = x * load(chol, at(k, k))
            store(chol, at(j, k), x)
    return scale


@compiled
def _shift(moment, loading, weight, chol, shift):
    """Write s."""
    p, q = loading.shape
    for k in range(q):
        x = every(0.0)
        for a in range(p):
            if loading[a, k] != 0.0:
                x = x + load(moment, a) * loading[a, k]
        x = x * weight
        for i in range(k):
            x = x - load(chol, at(k, i)) * load(shift, i)
        store(shift, k, x * load(chol, at(k, k)))


@compiled
def pull_back(loading, weight, work, by_loading, by_centre, by_weight):
    """Write u* and c into work, and add the gradients by loading (p q), B mu (p) and weight (1), in lanes."""
    product, moment, chol, shift, moved, z, _, by_theta, by_u, back, row = work
    p, q = loading.shape
    _by_patients(loading, chol, z, by_theta, by_u, back)
    for a in range(p):
        _by_gram(product, a, chol, shift, moved, by_u, row)
        x = load(by_theta, a)
        for k in range(q):
            x = x - load(product, a * q + k) * load(back, k) * weight
            of_moment = load(moment, a) * load(back, k)
            found = load(row, k) + of_moment
            here = a * q + k
            store(by_loading, here, load(by_loading, here) + load(by_theta, a) * load(z, k) + found * weight)
            if loading[a, k] != 0.0:
                store(by_weight, 0, load(by_weight, 0) + (found + of_moment) * (0.5 * loading[a, k]))
        store(by_centre, a, load(by_centre, a) + x)


@compiled
def _by_patients(loading, chol, z, by_theta, by_u, back):
    """Write u* and c."""
    p, q = loading.shape
    for k in range(q):
        x = load(z, k) * -1.0
        for a in range(p):
            if loading[a, k] != 0.0:
                x = x + load(by_theta, a) * loading[a, k]
        for i in range(k):
            x = x - load(chol, at(k, i)) * load(by_u, i)
        store(by_u, k, x * load(chol, at(k, k)))
    for k in range(q - 1, -1, -1):
        x = load(by_u, k)
        for i in range(k + 1, q):
            x = x - load(chol, at(i, k)) * load(back, i)
        store(back, k, x * load(chol, at(k, k)))


@compiled
def _by_gram(product, a, chol, shift, moved, by_u, row):
    """Write row a of T L'^-1 K L^-1; the sums over k >= l and k < l make K of the vectors it is made of."""
    q = row.shape[0]
    for k in range(q):
        x = load(product, a * q + k)
        for i in range(k):
            x = x - load(chol, at(k, i)) * load(row, i)
        store(row, k, x * load(chol, at(k, k)))
    below_moved, below_u, above_u, above_shift = every(0.0), every(0.0), every(0.0), every(0.0)
    for k in range(q):
        below_moved = below_moved + load(row, k) * load(moved, k)
        below_u = below_u + load(row, k) * load(by_u, k)
    for k in range(q):
        x, u, s, v = load(row, k), load(by_u, k), load(shift, k), load(moved, k)
        store(row, k, x * -1.0 - u * (below_moved + above_shift) - s * below_u - v * above_u)
        below_moved, below_u = below_moved - x * v, below_u - x * u
        above_u, above_shift = above_u + x * u, above_shift + x * s
    for k in range(q - 1, -1, -1):
        x = load(row, k)
        for i in range(k + 1, q):
            x = x - load(chol, at(i, k)) * load(row, i)
        store(row, k, x * load(chol, at(k, k)))

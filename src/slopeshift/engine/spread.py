"""What a density is sampled in: a few scalars on the unconstrained scale, and the loading that they make.

Each scalar has one of four priors. A part of the loading is a standard deviation times a pattern of zeros and ones; it
may be times an entry of the correlation's Cholesky factor besides, and times a regression of one row on another. The
loading is the sum of its parts. Forward are values, back are gradients, by hand: PyTensor would compile a program of
its own for every model.

The factor comes from partial correlations c_ij = 2 x_ij - 1, row by row (Lewandowski, Kurowicka and Joe 2009, doi
10.1016/j.jmva.2009.04.008, section 2.4): F_ij = c_ij prod_k<j r_ik, F_ii = prod_k<i r_ik, r_ik = sqrt(1 - c_ik^2).
"""

from __future__ import annotations

from math import lgamma, log, pi
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.engine.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NORMAL, GAMMA, HALF_NORMAL, BETA = range(4)


def prior_row(kind: int, a: float, b: float) -> tuple[float, float, float, float]:
    """Write a prior as a row of the table of scalars: its kind, two numbers, and the constant of its log density.

    The numbers are mean and SD (NORMAL), shape and rate (GAMMA), SD and 0 (HALF_NORMAL), and both shapes (BETA).
    """
    constant = {
        NORMAL: lambda: -log(b) - 0.5 * log(2 * pi),
        GAMMA: lambda: a * log(b) - lgamma(a),
        HALF_NORMAL: lambda: 0.5 * log(2 / pi) - log(a),
        BETA: lambda: lgamma(a + b) - lgamma(a) - lgamma(b),
    }[kind]()
    return float(kind), a, b, constant


def middle(priors: Floats) -> Floats:
    """Give the point where chains start, jitter apart: the mean of each prior, unconstrained (scalar,)."""
    _, a, b, _ = priors.T
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.choose(priors[:, 0].astype(int), [a, np.log(a / b), np.log(a), np.log(a / b)])


def drawn_from(priors: Floats, number: int, rng: np.random.Generator) -> Floats:
    """Draw scalars from their priors, on their own scale: (draw, scalar)."""
    draws = {
        NORMAL: rng.normal,
        GAMMA: lambda a, b, size: rng.gamma(a, 1 / b, size),
        HALF_NORMAL: lambda a, _, size: np.abs(rng.normal(0.0, a, size)),
        BETA: rng.beta,
    }
    return np.column_stack([draws[int(kind)](a, b, number) for kind, a, b, _ in priors])


def log_densities(priors: Floats, x: Floats) -> Floats:
    """Evaluate the log density of the priors on the scalars' own scale: (draw, scalar), as x."""
    from scipy.special import xlog1py, xlogy

    densities = {
        NORMAL: lambda x, a, b: -0.5 * ((x - a) / b) ** 2,
        GAMMA: lambda x, a, b: xlogy(a - 1.0, x) - b * x,
        HALF_NORMAL: lambda x, a, _: -0.5 * (x / a) ** 2,
        BETA: lambda x, a, b: xlogy(a - 1.0, x) + xlog1py(b - 1.0, -x),
    }
    found = [densities[int(kind)](x[:, k], a, b) + constant for k, (kind, a, b, constant) in enumerate(priors)]
    return np.column_stack(found)


@compiled
def from_unconstrained(priors, u, x, by_u):
    """Write the scalars at u into x and the gradient of their log prior by u into by_u; return the log prior.

    The Jacobian is part of it. Positive scalars are exp(u), those from 0 to 1 are 1 / (1 + exp(-u)).
    """
    total = 0.0
    for k in range(u.size):
        kind, a, b = int(priors[k, 0]), priors[k, 1], priors[k, 2]
        if kind == NORMAL:
            x[k] = u[k]
            z = (u[k] - a) / b
            value, by_u[k] = -0.5 * z * z, -z / b
        elif kind == GAMMA:
            x[k] = np.exp(u[k])
            value, by_u[k] = a * u[k] - b * x[k], a - b * x[k]
        elif kind == HALF_NORMAL:
            x[k] = np.exp(u[k])
            z = x[k] / a
            value, by_u[k] = u[k] - 0.5 * z * z, 1.0 - z * z
        else:
            x[k], log_x, log_rest = _share(u[k])
            value, by_u[k] = a * log_x + b * log_rest, a - (a + b) * x[k]
        total += value + priors[k, 3]
    return total


@compiled
def _share(u):
    """Return x = 1 / (1 + exp(-u)), log x and log(1 - x), exact in both tails."""
    e = np.exp(-abs(u))
    rest = np.log1p(e)
    if u >= 0:
        return 1.0 / (1.0 + e), -rest, -rest - u
    return e / (1.0 + e), u - rest, -rest


@compiled
def add_by_u(priors, x, by_x, by_u):
    """Add to by_u what by_x, the gradient by the scalars, says of u."""
    for k in range(x.size):
        kind = int(priors[k, 0])
        slope = 1.0 if kind == NORMAL else x[k] * (1.0 - x[k]) if kind == BETA else x[k]
        by_u[k] += by_x[k] * slope


@compiled
def correlation_factor(partial, x):
    """Return the Cholesky factor of the correlation matrix (trait, trait); `partial` has the places of x_ij in x."""
    size = partial.shape[0]
    factor = np.zeros((size, size))
    for i in range(size):
        left = 1.0
        for j in range(i):
            c = 2.0 * x[int(partial[i, j])] - 1.0
            factor[i, j] = c * left
            left *= np.sqrt(1.0 - c * c)
        factor[i, i] = left
    return factor


@compiled
def loading_of(parts, patterns, x, factor, rows):
    """Return the loading (rows, source), `rows` at least the coefficients of the patterns: the rest of it is zero.

    `parts` (part, 4) has row and column of an entry of the factor, -1 where the part has none, and the places in x of
    its standard deviation and of its regression, -1 without one; `patterns` is (part, coefficient, source).
    """
    number, p, q = patterns.shape
    loading = np.zeros((rows, q))
    for n in range(number):
        scalar = x[int(parts[n, 2])]
        if parts[n, 0] >= 0:
            scalar *= factor[int(parts[n, 0]), int(parts[n, 1])]
        if parts[n, 3] >= 0:
            scalar *= x[int(parts[n, 3])]
        for a in range(p):
            for s in range(q):
                loading[a, s] += scalar * patterns[n, a, s]
    return loading


@compiled
def add_by_scalars(parts, patterns, partial, x, factor, by_loading, by_x):
    """Add to by_x what by_loading, the gradient by the loading, says of the scalars."""
    number, p, q = patterns.shape
    by_factor = np.zeros(factor.shape)
    for n in range(number):
        found, scalar = 0.0, int(parts[n, 2])
        for a in range(p):
            for s in range(q):
                found += by_loading[a, s] * patterns[n, a, s]
        times = 1.0
        if parts[n, 0] >= 0:
            times = factor[int(parts[n, 0]), int(parts[n, 1])]
        if parts[n, 3] >= 0:
            by_x[int(parts[n, 3])] += found * x[scalar] * times
            found *= x[int(parts[n, 3])]
        if parts[n, 0] >= 0:
            by_factor[int(parts[n, 0]), int(parts[n, 1])] += found * x[scalar]
            found *= times
        by_x[scalar] += found
    _add_by_partial(partial, x, by_factor, by_x)


@compiled
def _add_by_partial(partial, x, by_factor, by_x):
    """Add to by_x what by_factor, the gradient by the factor, says of the partial correlations."""
    left = np.ones(partial.shape[0])
    for i in range(1, partial.shape[0]):
        for j in range(i):
            c = 2.0 * x[int(partial[i, j])] - 1.0
            left[j + 1] = left[j] * np.sqrt(1.0 - c * c)
        by_left = by_factor[i, i]
        for j in range(i - 1, -1, -1):
            c = 2.0 * x[int(partial[i, j])] - 1.0
            r = np.sqrt(1.0 - c * c)
            by_x[int(partial[i, j])] += 2.0 * left[j] * (by_factor[i, j] - by_left * c / r)
            by_left = by_factor[i, j] * c + by_left * r


def width_of(priors: Floats, patterns: Floats, traits: Floats, signed: Floats) -> int:
    """Count the numbers that `report_of` writes."""
    return len(priors) + len(signed) + len(traits) * (len(traits) - 1) // 2 + patterns[0].size


@compiled
def report_of(parts, patterns, partial, traits, signed, x, out):
    """Write what is reported of the scalars into out: themselves, sizes of the signed, correlations, the loading.

    `signed` has the places in x of standard deviations with a sign, `traits` those of the correlated traits' standard
    deviations, by whose signs the correlations are turned.
    """
    factor, at = correlation_factor(partial, x), x.size
    for k in range(at):
        out[k] = x[k]
    for k in signed:
        out[at] = abs(x[int(k)])
        at += 1
    for i in range(traits.size):
        for j in range(i + 1, traits.size):
            sign = np.sign(x[int(traits[i])]) * np.sign(x[int(traits[j])])
            out[at] = 0.0
            for k in range(i + 1):
                out[at] += sign * factor[i, k] * factor[j, k]
            at += 1
    loading = loading_of(parts, patterns, x, factor, patterns.shape[1])
    for entry in loading.flat:
        out[at] = entry
        at += 1

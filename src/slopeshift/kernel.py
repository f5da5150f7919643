"""The arithmetic of exact marginalisation: one pass over the patients, compiled, without allocation per patient.

For patient i, with design W_i, coefficients theta_i = B mu + Lambda z_i, z_i ~ Normal(0, I), mu ~ Normal(0, C), and
residual variance s2 of each outcome, everything that the visits say is in

    S_i = W_i'W_i / s2,   s_i = W_i'y_i / s2,   yy_i = y_i'y_i / s2        (summed over the outcomes)

where y_i has the population's prior mean subtracted. With A_i = I + Lambda'S_i Lambda and G_i = A_i^-1 Lambda'S_i,

    M_i = S_i - S_i Lambda G_i        information of patient i about B mu
    h_i = s_i - S_i Lambda A_i^-1 Lambda's_i
    c_i = yy_i - s_i'Lambda A_i^-1 Lambda's_i
    Q   = B'(sum M_i)B + C^-1,   mu_hat = Q^-1 B' sum h_i
    -2 log p(y) = sum_o n_o log(2 pi s2_o) + sum log|A_i| + log|C| + log|Q| + sum c_i - mu_hat'Q mu_hat

(Woodbury's identity and the matrix determinant lemma, once per patient and once for the population.) Gradients are
expectations of the complete-data score given y (Fisher's identity). Arrays: p coefficients, q sources of variation, m
population terms, o outcomes, n patients; `loading` is Lambda (p, q), `design` is B (p, m), `precision` the diagonal of
C^-1 (m,), `grams` (o, n, p, p), `moments` (o, n, p), `squares` (o, n) and `counts` (o, n) are unweighted.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numba import njit

LOG_2PI = float(np.log(2 * np.pi))

# Sums may be reordered and products fused; NaN and infinity keep their meaning.
compiled = partial(njit, cache=True, fastmath={"reassoc", "contract", "arcp", "nsz"})()


@compiled
def _weigh(i, variance, grams, moments, gram, moment):
    """Sum a patient's statistics over the outcomes, each divided by its residual variance."""
    p = moment.size
    for a in range(p):
        moment[a] = 0.0
        for b in range(p):
            gram[a, b] = 0.0
    for o in range(variance.size):
        weight = 1.0 / variance[o]
        for a in range(p):
            moment[a] += weight * moments[o, i, a]
            for b in range(p):
                gram[a, b] += weight * grams[o, i, a, b]


@compiled
def _multiply(left, right, out):
    """Write left @ right into out."""
    for a in range(left.shape[0]):
        for b in range(right.shape[1]):
            x = 0.0
            for k in range(left.shape[1]):
                x += left[a, k] * right[k, b]
            out[a, b] = x


@compiled
def _factor(loading, product, chol):
    """Write the Cholesky factor of I + loading' product into chol; return the log determinant.

    Factors are lower triangular with the *reciprocals* of their diagonal, which spares the solves their divisions.
    """
    p, q = loading.shape
    scale = 1.0
    for j in range(q):
        for k in range(j + 1):
            x = 1.0 if j == k else 0.0
            for a in range(p):
                x += loading[a, j] * product[a, k]
            for r in range(k):
                x -= chol[j, r] * chol[k, r]
            chol[j, k] = 1.0 / np.sqrt(x) if j == k else x * chol[k, k]
        scale *= chol[j, j]
    return -2.0 * np.log(scale)


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
def _patients(loading, variance, grams, moments, squares, gain, shift, info, info_sum, score_sum):
    """Write G_i, A_i^-1 Lambda's_i and M_i of every patient, add up M_i and h_i; return sum log|A_i| + sum c_i."""
    p, q = loading.shape
    gram, product, chol = np.empty((p, p)), np.empty((p, q)), np.empty((q, q))
    moment = np.empty(p)
    total = 0.0
    for i in range(gain.shape[0]):
        _weigh(i, variance, grams, moments, gram, moment)
        _multiply(gram, loading, product)
        total += _factor(loading, product, chol)
        for k in range(q):
            x = 0.0
            for a in range(p):
                x += loading[a, k] * moment[a]
            shift[i, k] = x
        _forward(chol, shift[i])
        for k in range(q):
            total -= shift[i, k] ** 2
        _backward(chol, shift[i])
        for k in range(q):
            for a in range(p):
                gain[i, k, a] = product[a, k]
            for j in range(k):
                for a in range(p):
                    gain[i, k, a] -= chol[k, j] * gain[i, j, a]
            for a in range(p):
                gain[i, k, a] *= chol[k, k]
        for a in range(p):
            x = moment[a]
            for k in range(q):
                x -= product[a, k] * shift[i, k]
            score_sum[a] += x
            for b in range(a + 1):
                x = gram[a, b]
                for k in range(q):
                    x -= gain[i, k, a] * gain[i, k, b]
                info[i, a, b] = x
                info[i, b, a] = x
                info_sum[a, b] += x
                if b < a:
                    info_sum[b, a] += x
        for k in range(q - 1, -1, -1):
            for j in range(k + 1, q):
                for a in range(p):
                    gain[i, k, a] -= chol[j, k] * gain[i, j, a]
            for a in range(p):
                gain[i, k, a] *= chol[k, k]
        for o in range(variance.size):
            total += squares[o, i] / variance[o]
    return total


@compiled
def _workspace(loading, n):
    p, q = loading.shape
    return np.empty((n, q, p)), np.empty((n, q)), np.empty((n, p, p)), np.zeros((p, p)), np.zeros(p)


@compiled
def _population(info_sum, score_sum, design, precision, chol, half):
    """Write the Cholesky factor of Q into chol (lower) and chol^-1 B' sum h_i into half; return log|Q|."""
    p, m = design.shape
    log_det = 0.0
    for j in range(m):
        half[j] = 0.0
        for a in range(p):
            half[j] += design[a, j] * score_sum[a]
        for k in range(j + 1):
            x = precision[j] if j == k else 0.0
            for a in range(p):
                if design[a, j] != 0.0:
                    for b in range(p):
                        x += design[a, j] * info_sum[a, b] * design[b, k]
            for r in range(k):
                x -= chol[j, r] * chol[k, r]
            chol[j, k] = 1.0 / np.sqrt(x) if j == k else x * chol[k, k]
        log_det -= 2.0 * np.log(chol[j, j])
    _forward(chol, half)
    return log_det


@compiled
def _project(design, chol, half, centre, spread):
    """Write mean and covariance of B mu, mu ~ Normal(Q^-1 B' sum h_i, Q^-1), into centre and spread."""
    p, m = design.shape
    rows = np.empty((p, m))
    for a in range(p):
        rows[a] = design[a]
        _forward(chol, rows[a])
        centre[a] = 0.0
        for k in range(m):
            centre[a] += rows[a, k] * half[k]
        for b in range(a + 1):
            x = 0.0
            for k in range(m):
                x += rows[a, k] * rows[b, k]
            spread[a, b] = x
            spread[b, a] = x


@compiled
def density(loading, variance, grams, moments, squares, counts, design, precision):
    """Return log p(y), its gradient with respect to loading (p, q), and with respect to variance (o,)."""
    p, m = design.shape
    gain, shift, info, info_sum, score_sum = _workspace(loading, counts.shape[1])
    total = _patients(loading, variance, grams, moments, squares, gain, shift, info, info_sum, score_sum)
    chol, half, centre, spread = np.empty((m, m)), np.empty(m), np.empty(p), np.empty((p, p))
    total += _population(info_sum, score_sum, design, precision, chol, half)
    for k in range(m):
        total -= np.log(precision[k]) + half[k] ** 2
    for o in range(variance.size):
        total += counts[o].sum() * (LOG_2PI + np.log(variance[o]))
    _project(design, chol, half, centre, spread)
    if variance.size > 1:
        d_loading, d_variance = _gradient(
            loading, variance, grams, moments, squares, counts, gain, shift, info, centre, spread
        )
    else:
        d_loading, d_variance = _gradient_of_one(
            loading, variance[0], grams[0], moments[0], squares[0], counts[0], gain, shift, info, centre, spread
        )
    return -0.5 * total, d_loading, d_variance


@compiled
def _residual(i, loading, gain, shift, centre, w, theta):
    """Write the expected z_i and theta_i, given y, into w and theta."""
    p, q = loading.shape
    for k in range(q):
        w[k] = shift[i, k]
        for a in range(p):
            w[k] -= gain[i, k, a] * centre[a]
    for a in range(p):
        theta[a] = centre[a]
        for k in range(q):
            theta[a] += loading[a, k] * w[k]


@compiled
def _gradient_of_one(loading, variance, grams, moments, squares, counts, gain, shift, info, centre, spread):
    """Pass over the patients again, with B mu ~ Normal(centre, spread): the gradients for a single outcome.

    With w = A^-1 Lambda'(s - S B mu), residual score e = s - S theta and R = I - Lambda G:
    d/dLambda = sum e w' + (M spread - I) G',
    d/ds2 = sum (E|y - W theta|^2 / s2 - n) / (2 s2), where Cov(theta) = R spread R' + R Lambda Lambda' and S R = M, so
    tr(S Cov) = tr(M spread) - tr(Lambda' M spread G') + tr(M Lambda Lambda').
    """
    p, q = loading.shape
    d_loading, total, weight = np.zeros((p, q)), 0.0, 1.0 / variance
    product, theta, w = np.empty((p, p)), np.empty(p), np.empty(q)
    for i in range(gain.shape[0]):
        _residual(i, loading, gain, shift, centre, w, theta)
        _multiply(info[i], spread, product)
        total += squares[i] * weight - counts[i]
        for a in range(p):
            total += product[a, a]
            e = moments[i, a] * weight
            total -= theta[a] * e
            for b in range(p):
                e -= weight * grams[i, a, b] * theta[b]
            total -= theta[a] * e
            for k in range(q):
                x = 0.0
                for b in range(p):
                    x += product[a, b] * gain[i, k, b]
                total -= loading[a, k] * x
                d_loading[a, k] += e * w[k] + x - gain[i, k, a]
            for b in range(p):
                x = 0.0
                for k in range(q):
                    x += loading[a, k] * loading[b, k]
                total += info[i, a, b] * x
    return d_loading, np.full(1, 0.5 * total * weight)


@compiled
def _gradient(loading, variance, grams, moments, squares, counts, gain, shift, info, centre, spread):
    """Do the same for several outcomes, whose residual variances need Cov(theta) itself."""
    p, q = loading.shape
    d_loading, d_variance = np.zeros((p, q)), np.zeros(variance.size)
    gram, square, product, rest = np.empty((p, p)), np.empty((p, p)), np.empty((p, p)), np.empty((p, p))
    cov, moment, theta, w = np.empty((p, p)), np.empty(p), np.empty(p), np.empty(q)
    _multiply(loading, loading.T, square)
    for i in range(gain.shape[0]):
        _residual(i, loading, gain, shift, centre, w, theta)
        _weigh(i, variance, grams, moments, gram, moment)
        _multiply(info[i], spread, product)
        for a in range(p):
            e = moment[a]
            for b in range(p):
                e -= gram[a, b] * theta[b]
            for k in range(q):
                x = e * w[k] - gain[i, k, a]
                for b in range(p):
                    x += product[a, b] * gain[i, k, b]
                d_loading[a, k] += x
            for b in range(p):
                x = 1.0 if a == b else 0.0
                for k in range(q):
                    x -= loading[a, k] * gain[i, k, b]
                rest[a, b] = x
        _multiply(rest, spread, product)
        for a in range(p):
            for b in range(p):
                x = 0.0
                for k in range(p):
                    x += product[a, k] * rest[b, k] + rest[a, k] * square[k, b]
                cov[a, b] = x
        for o in range(variance.size):
            x = squares[o, i]
            for a in range(p):
                x -= 2.0 * theta[a] * moments[o, i, a]
                for b in range(p):
                    x += grams[o, i, a, b] * (theta[a] * theta[b] + cov[a, b])
            d_variance[o] += 0.5 * (x / variance[o] - counts[o, i]) / variance[o]
    return d_loading, d_variance


@compiled
def draw_back(loading, variance, grams, moments, squares, design, precision, rng, terms, theta):
    """Draw what was integrated out, given y, for every draw of loading (d, p, q) and variance (d, o).

    Writes mu, less its prior mean, into terms (d, m) and theta_i, less the same, into theta (d, n, p): first
    mu ~ Normal(mu_hat, Q^-1), then z_i ~ Normal(A_i^-1 Lambda'(s_i - S_i B mu), A_i^-1).
    Returns log p(y_i | mu) of every draw and patient, up to the n_i log(2 pi s2) term: (d, n).
    """
    draws, n, p = theta.shape
    q, m = loading.shape[2], precision.size
    marginal = np.empty((draws, n))
    gram, product, chol = np.empty((p, p)), np.empty((p, q)), np.empty((q, q))
    moment, mean, z, noise = np.empty(p), np.empty(p), np.empty(q), np.empty(q)
    lower, half = np.empty((m, m)), np.empty(m)
    for d in range(draws):
        gain, shift, info, info_sum, score_sum = _workspace(loading[d], n)
        _patients(loading[d], variance[d], grams, moments, squares, gain, shift, info, info_sum, score_sum)
        _population(info_sum, score_sum, design, precision, lower, half)
        for k in range(m):
            half[k] += rng.standard_normal()
        _backward(lower, half)
        terms[d] = half
        for a in range(p):
            mean[a] = 0.0
            for k in range(m):
                mean[a] += design[a, k] * half[k]
        for i in range(n):
            _weigh(i, variance[d], grams, moments, gram, moment)
            _multiply(gram, loading[d], product)
            x = _factor(loading[d], product, chol)
            for a in range(p):
                x -= 2.0 * moment[a] * mean[a]
                for b in range(p):
                    x += mean[a] * gram[a, b] * mean[b]
            for o in range(variance.shape[1]):
                x += squares[o, i] / variance[d, o]
            for k in range(q):
                z[k] = 0.0
                for a in range(p):
                    z[k] += loading[d, a, k] * moment[a] - product[a, k] * mean[a]
                noise[k] = rng.standard_normal()
            _forward(chol, z)
            for k in range(q):
                x -= z[k] ** 2
                z[k] += noise[k]
            _backward(chol, z)
            marginal[d, i] = -0.5 * x
            for a in range(p):
                theta[d, i, a] = mean[a]
                for k in range(q):
                    theta[d, i, a] += loading[d, a, k] * z[k]
    return marginal

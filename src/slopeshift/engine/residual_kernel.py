"""The density of values given their patient's line, for families whose patients are sampled: compiled, with gradient.

A value is one of eight patients' (`simd`). With r = y - mean, log p is

    NORMAL     -r^2 / (2 sigma^2) - log sigma - log(2 pi) / 2
    STUDENT_T  log Gamma((nu+1)/2) - log Gamma(nu/2) - log(nu pi)/2 - log sigma - (nu+1)/2 log(1 + r^2 / (nu sigma^2))
    BOUNDED    log of what Normal(mean, sigma) has within `half` of y, or beyond y - half or y + half at an end

For the last let Q be the normal distribution's upper tail, and turn the axis so that the interval from n to f (in SDs
from the mean) has its middle above 0; f is infinite at an end of the scale. With E(x) = exp(x^2/2) Q(x), which neither
overflows nor loses digits,

    log(Q(n) - Q(f)) = -n^2/2 + log(E(n) - E(f) e),   n > 0,    e = exp((n^2 - f^2) / 2)
    log(1 - E(-n) g - E(f) g e),                      n <= 0,   g = exp(-n^2/2)
"""

from __future__ import annotations

from math import lgamma, log, pi, sqrt

import numpy as np

from slopeshift.engine.compiling import compiled
from slopeshift.engine.families import BOUNDED, NORMAL, STUDENT_T
from slopeshift.engine.simd import absolute, every, load, store, where_positive
from slopeshift.engine.simd_functions import exponential, logarithm, scaled_error

LOG_ROOT_2PI = 0.5 * log(2.0 * pi)
ROOT_HALF = sqrt(0.5)
DENSITY_AT_0 = 1.0 / sqrt(2.0 * pi)
ROUNDING = 1.0 / 12.0
"""Variance that rounding to whole numbers adds, nearly (Sheppard's correction)."""

SUMS = 3
"""Rows of what is added up: the log density, and its derivatives by sigma and nu."""

AFTER_BASIS = 3
"""Rows of a value after those of its basis: value, end of the scale it is at (-1, 0, 1), and 1 where there is one."""


@compiled
def digamma(x):
    """Evaluate the derivative of log Gamma(x), x > 0 (Abramowitz and Stegun 1964, 6.3.5 and 6.3.18)."""
    total = 0.0
    while x < 12.0:
        total -= 1.0 / x
        x += 1.0
    f = 1.0 / (x * x)
    series = f * (1 / 12 - f * (1 / 120 - f * (1 / 252 - f * (1 / 240 - f * (1 / 132 - f * (691 / 32760 - f / 12))))))
    return total + np.log(x) - 0.5 / x - series


@compiled
def weight(family, sigma, nu, half):
    """Return what a value weighs for where patients are sampled, and its derivatives by sigma and nu.

    It is one over the variance: of a Student-t by Fisher's information, of a rounded value with that of rounding.
    """
    if family == STUDENT_T:
        found = (nu + 1.0) / ((nu + 3.0) * sigma * sigma)
        return found, -2.0 * found / sigma, 2.0 * found / ((nu + 1.0) * (nu + 3.0))
    variance = sigma * sigma + (ROUNDING if family == BOUNDED and half > 0.0 else 0.0)
    return 1.0 / variance, -2.0 * sigma / (variance * variance), 0.0


@compiled
def constants(family, sigma, nu):
    """Return the part of a value's log density that no mean changes, and its derivative by nu."""
    if family != STUDENT_T:
        return -LOG_ROOT_2PI - np.log(sigma), 0.0
    by_nu = 0.5 * (digamma(0.5 * (nu + 1.0)) - digamma(0.5 * nu) - 1.0 / nu)
    return lgamma(0.5 * (nu + 1.0)) - lgamma(0.5 * nu) - 0.5 * np.log(nu * pi) - np.log(sigma), by_nu


@compiled
def add_values(family, sigma, nu, half, values, theta, by_theta, sums):
    """Add the values (visit, row, lane) of a block, given theta (coefficient, lane), to sums; write the gradient.

    `sums` (SUMS, lane) is added to, `by_theta` (coefficient, lane) is written.
    """
    p = theta.shape[0]
    constant, by_nu = constants(family, sigma, nu)
    by_theta[:] = 0.0
    for j in range(values.shape[0]):
        here = values[j]
        left = load(here, p)
        for a in range(p):
            left = left - load(here, a) * load(theta, a)
        used = load(here, p + 2)
        if family == NORMAL:
            by_mean = _normal(left, used, sigma, constant, sums)
        elif family == STUDENT_T:
            by_mean = _student_t(left, used, sigma, nu, constant, by_nu, sums)
        else:
            by_mean = _bounded(left, load(here, p + 1), used, sigma, half, constant, sums)
        for a in range(p):
            store(by_theta, a, load(by_theta, a) + by_mean * load(here, a))


@compiled
def _add(sums, row, x):
    store(sums, row, load(sums, row) + x)


@compiled
def _normal(left, used, sigma, constant, sums):
    """Add a normal value, and return the derivative by its mean."""
    z = left * (1.0 / sigma)
    _add(sums, 0, used * constant - z * z * 0.5)
    _add(sums, 1, (z * z - used) * (1.0 / sigma))
    return z * (1.0 / sigma)


@compiled
def _student_t(left, used, sigma, nu, constant, by_nu, sums):
    """Add a Student-t value, and return the derivative by its mean."""
    share = left * left * (1.0 / (nu * sigma * sigma))
    inverse = 1.0 / (share + 1.0)
    logs, share = logarithm(share + 1.0), share * inverse
    _add(sums, 0, used * constant - logs * (0.5 * (nu + 1.0)))
    _add(sums, 1, (share * (nu + 1.0) - used) * (1.0 / sigma))
    _add(sums, 2, used * by_nu - logs * 0.5 + share * (0.5 * (nu + 1.0) / nu))
    return left * inverse * ((nu + 1.0) / (nu * sigma * sigma))


@compiled
def _bounded(left, end, used, sigma, half, constant, sums):
    """Add a value on its scale, and return the derivative by its mean."""
    within = 1.0 - end * end
    turned = where_positive(left, every(1.0), every(-1.0)) * within + end
    middle = left * turned * (1.0 / sigma)
    rounded = within if half > 0.0 else every(0.0)
    near, far, width = middle - half / sigma, (middle + half / sigma) * rounded, 2.0 * half / sigma
    shrunk = exponential(near * near * -0.5)
    ratio = exponential(middle * rounded * -width) * rounded
    above = where_positive(near, every(1.0), every(0.0))
    scaled = above + (1.0 - above) * shrunk
    of_near = scaled_error(absolute(near) * ROOT_HALF) * 0.5
    of_far = scaled_error(far * ROOT_HALF) * ratio * 0.5
    found = (1.0 - above) + scaled * (of_near * (above * 2.0 - 1.0) - of_far)
    at_near = scaled * DENSITY_AT_0 / found
    at_far = at_near * ratio
    log_density = logarithm(found) - near * near * above * 0.5
    by_mean, by_sigma = (at_near - at_far) * turned * (1.0 / sigma), (at_near * near - at_far * far) * (1.0 / sigma)
    if half == 0.0:
        # Between the ends of a scale that is not whole, a value has a density.
        log_density = where_positive(within, constant - middle * middle * 0.5, log_density)
        by_mean = where_positive(within, left * (1.0 / (sigma * sigma)), by_mean)
        by_sigma = where_positive(within, (middle * middle - 1.0) * (1.0 / sigma), by_sigma)
    _add(sums, 0, used * log_density)
    _add(sums, 1, used * by_sigma)
    return used * by_mean

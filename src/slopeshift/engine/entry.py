"""The probability that a patient meets the rules of entry, compiled: what a likelihood of those selected divides by.

A rule asks that lower <= c'u <= upper of the values u up to the first injection. For the patients of a group, who were
seen at the same times, a = U'c has the rule's weight on the coefficients, and over all who might have been screened

    c_r'u ~ Normal(a_r'(B mu), tau_rr),   tau_rs = a_r'V a_s + d c_r'c_s + (spread_r^2 where r = s)

With P_g the probability that a patient of group g meets all rules, the log density of those enrolled, given that they
were, has -sum_g count_g log P_g (Schildcrout, Garbett and Heagerty 2013, doi 10.1111/biom.12013, section 3). Where the
number refused is known, it has sum_g refused_g log(1 - P_g) in its place.

Two rules need the bivariate normal distribution function (Drezner and Wesolowsky 1990, Genz 2004, doi
10.1023/B:STCO.0000035304.20635.31). Arrays as in `kernel`; `rules` (group, column) are laid out by `pack`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.engine.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)
STEEP = 0.925
"""Correlation, in size, from which the distribution function is computed by Genz' expansion around 1."""

LEAST = 1e-10
"""Probability of meeting two rules below which rounding decides it: the density is then 0, and NUTS turns back."""

TAIL = -30.0
"""Below this many standard deviations the distribution function is computed by its asymptotic series."""

MOST = 2
"""Rules of which the joint probability is known."""


def pack(weights: Floats, limits: Floats, spread: Floats, grams: Floats, rows: Floats) -> Floats:
    """Lay the rules out for the kernel: (group, column).

    Takes for each group count and refused (group, 2), lower and upper limits less the prior mean (group, 2, rule), the
    spread of the rules' judgement (rule,), c_r'c_s (group, rule, rule) and a (group, rule, p), all in outcome units.
    """
    groups, number = rows.shape[:2]
    if number > MOST:
        raise NotImplementedError(f"{number} entry rules on one outcome: the probability of meeting {MOST} is known")
    variances = np.tile(spread**2, (groups, 1))
    parts = (weights, limits, variances, grams, rows)
    return np.ascontiguousarray(np.column_stack([part.reshape(groups, -1) for part in parts]), dtype=float)


@compiled
def log_factor(loading, variance, offset, rules):
    """Return the log factor of entry and its gradients by loading (p, q), by variance and by offset (p,)."""
    p, q = loading.shape
    total, d_loading, d_variance, d_offset = 0.0, np.zeros((p, q)), 0.0, np.zeros(p)
    for g in range(rules.shape[0]):
        if rules[g, 0] == 0.0 and rules[g, 1] == 0.0:
            continue
        grams, rows = _spreading(rules[g], p)
        value, d_mean, d_tau = _log_probability(loading, variance, offset, rules[g])
        weight = -rules[g, 0]
        total += weight * value
        if rules[g, 1] > 0.0:
            missed = _log_rest(value)
            total += rules[g, 1] * missed
            weight -= rules[g, 1] * np.exp(value - missed)
        for r in range(len(rows)):
            for a in range(p):
                d_offset[a] += weight * d_mean[r] * rows[r, a]
            for s in range(len(rows)):
                d_variance += weight * d_tau[r, s] * grams[r, s]
                for k in range(q):
                    along = 0.0
                    for a in range(p):
                        along += rows[s, a] * loading[a, k]
                    for a in range(p):
                        d_loading[a, k] += 2.0 * weight * d_tau[r, s] * rows[r, a] * along
    return total, d_loading, d_variance, d_offset


@compiled
def log_probabilities(loading, variance, offset, rules):
    """Return log P_g for every draw of loading (d, p, q), variance (d,) and offset (d, p): (d, group)."""
    found = np.zeros((loading.shape[0], rules.shape[0]))
    for d in range(found.shape[0]):
        for g in range(found.shape[1]):
            found[d, g] = _log_probability(loading[d], variance[d], offset[d], rules[g])[0]
    return found


@compiled
def mean_shifts(loading, variance, mean, rules, weight):
    """Average V sum_r a_r d log P_g / d m_r over groups, weighed by weight (average, group): (d, average, p).

    Arguments are as of `log_probabilities`. It is what meeting the rules adds to the mean coefficients of a patient.
    """
    p = loading.shape[1]
    found = np.zeros((loading.shape[0], weight.shape[0], p))
    for d in range(found.shape[0]):
        between = loading[d] @ loading[d].T
        for g in range(rules.shape[0]):
            _, d_mean, _ = _log_probability(loading[d], variance[d], mean[d], rules[g])
            _, rows = _spreading(rules[g], p)
            along = np.zeros(p)
            for r in range(rows.shape[0]):
                along += d_mean[r] * rows[r]
            moved = between @ along
            for w in range(weight.shape[0]):
                found[d, w] += weight[w, g] * moved
    return found


@compiled
def _spreading(rule, p):
    """Find c_r'c_s (rule, rule) and a (rule, p) in a group's rules."""
    n = 1 if rule.size == 6 + p else 2
    return rule[2 + 3 * n : 2 + 3 * n + n * n].reshape((n, n)), rule[2 + 3 * n + n * n :].reshape((n, p))


@compiled
def _log_probability(loading, variance, offset, rule):
    """Return log P and its gradients by the means of the rules (rule,), and by tau (rule, rule)."""
    p, q = loading.shape
    grams, rows = _spreading(rule, p)
    n = len(rows)
    mean, tau, along = np.zeros(n), variance * grams, np.zeros((n, q))
    for r in range(n):
        for a in range(p):
            mean[r] += rows[r, a] * offset[a]
            for k in range(q):
                along[r, k] += rows[r, a] * loading[a, k]
        tau[r, r] += rule[2 + 2 * n + r]
        for s in range(r + 1):
            x = 0.0
            for k in range(q):
                x += along[r, k] * along[s, k]
            tau[r, s] += x
            if r != s:
                tau[s, r] += x
    return _within(mean, tau, rule[2 : 2 + n], rule[2 + n : 2 + 2 * n])


@compiled
def _within(mean, tau, lower, upper):
    """Return log P(lower <= x <= upper), x ~ Normal(mean, tau), and its gradients by mean (n,) and by tau (n, n)."""
    n = mean.size
    low, high, d_low, d_high = np.empty(n), np.empty(n), np.zeros(n), np.zeros(n)
    sd = np.sqrt(np.diag(tau))
    for r in range(n):
        low[r], high[r] = (lower[r] - mean[r]) / sd[r], (upper[r] - mean[r]) / sd[r]
    rho = d_rho = 0.0
    if n == 1:
        value, d_low[0], d_high[0] = _interval(low[0], high[0])
    else:
        rho = tau[1, 0] / (sd[0] * sd[1])
        value, d_rho = _rectangle(low, high, rho, d_low, d_high)
    d_mean, d_tau = np.zeros(n), np.zeros((n, n))
    for r in range(n):
        d_mean[r] = -(d_low[r] + d_high[r]) / sd[r]
        d_tau[r, r] = -0.5 * (_product(low[r], d_low[r]) + _product(high[r], d_high[r]) + rho * d_rho) / tau[r, r]
        for s in range(n):
            if s != r:
                d_tau[r, s] = 0.5 * d_rho / (sd[r] * sd[s])
    return value, d_mean, d_tau


@compiled
def _product(limit, slope):
    """Multiply a limit with the density at it: 0 where the limit is open."""
    return 0.0 if np.isinf(limit) else limit * slope


@compiled
def _interval(low, high):
    """Return log P(low <= z <= high), z standard normal, exact in both tails, and its derivatives."""
    if low > 0.0:
        value = _log_difference(-low, -high)
    elif high < 0.0:
        value = _log_difference(high, low)
    else:
        value = np.log1p(-normal_below(low) - normal_below(-high))
    return value, -np.exp(_log_normal(low) - value), np.exp(_log_normal(high) - value)


@compiled
def _log_difference(high, low):
    """Return log(Phi(high) - Phi(low)) for low < high <= 0."""
    above = log_normal_below(high)
    return above + _log_rest(log_normal_below(low) - above)


@compiled
def _log_rest(log_share):
    """Return log(1 - exp(log_share))."""
    return np.log1p(-np.exp(log_share)) if log_share < -0.7 else np.log(-np.expm1(log_share))


@compiled
def _log_normal(x):
    return -0.5 * x * x - 0.5 * np.log(2.0 * np.pi)


@compiled
def normal_below(x):
    """Return Phi(x) = P(z <= x)."""
    return 0.5 * math.erfc(-x / np.sqrt(2.0))


@compiled
def log_normal_below(x):
    """Return log Phi(x), exact in the lower tail too."""
    if x > TAIL:
        return np.log(normal_below(x)) if x < 5.0 else np.log1p(-normal_below(-x))
    if np.isinf(x):
        return x
    y = 1.0 / (x * x)
    return _log_normal(x) - np.log(-x) + np.log1p(-y * (1.0 - 3.0 * y * (1.0 - 5.0 * y * (1.0 - 7.0 * y))))


@compiled
def _rectangle(low, high, rho, d_low, d_high):
    """Return log P(low <= z <= high) of two standard normals with correlation rho, and its derivative by rho.

    Writes those by low and high, (2,) each. A rule that is open above is turned over, so that one corner is enough.
    """
    turned = 1.0
    a, b, over = low.copy(), high.copy(), np.isinf(high) & ~np.isinf(low)
    for r in range(2):
        if over[r]:
            a[r], b[r], turned = -high[r], -low[r], -turned
    r = turned * rho
    share = below_both(b[0], b[1], r) + below_both(a[0], a[1], r)
    share -= below_both(a[0], b[1], r) + below_both(b[0], a[1], r)
    if not share > LEAST:
        return -np.inf, 0.0
    left = np.sqrt(1.0 - r * r)
    for k in range(2):
        at_a = _edge(a[k], a[1 - k], b[1 - k], r, left) / share
        at_b = _edge(b[k], a[1 - k], b[1 - k], r, left) / share
        d_low[k], d_high[k] = (-at_b, at_a) if over[k] else (-at_a, at_b)
    by_rho = _corner(b[0], b[1], r) - _corner(a[0], b[1], r) - _corner(b[0], a[1], r) + _corner(a[0], a[1], r)
    return np.log(share), turned * by_rho / share


@compiled
def _edge(x, low, high, rho, left):
    """Return the density at z_1 = x times P(low <= z_2 <= high | z_1 = x)."""
    if np.isinf(x):
        return 0.0
    return np.exp(_log_normal(x)) * (normal_below((high - rho * x) / left) - normal_below((low - rho * x) / left))


@compiled
def _corner(x, y, rho):
    """Return the density of two standard normals with correlation rho: the derivative of `below_both` by rho."""
    if np.isinf(x) or np.isinf(y):
        return 0.0
    left = 1.0 - rho * rho
    return np.exp(-0.5 * (x * x + y * y - 2.0 * rho * x * y) / left) / (2.0 * np.pi * np.sqrt(left))


@compiled
def below_both(x, y, rho):
    """Return P(z_1 <= x, z_2 <= y) of two standard normals with correlation rho, to 1e-15 or so."""
    if np.isinf(x) or np.isinf(y):
        return 0.0 if min(x, y) == -np.inf else normal_below(min(x, y))
    if abs(rho) >= STEEP:
        return _steep(-x, -y, rho)
    angle, total = np.arcsin(rho), 0.0
    for k in range(NODES.size):
        sine = np.sin(0.5 * angle * (NODES[k] + 1.0))
        total += WEIGHTS[k] * np.exp((sine * x * y - 0.5 * (x * x + y * y)) / (1.0 - sine * sine))
    return total * angle / (4.0 * np.pi) + normal_below(x) * normal_below(y)


@compiled
def _steep(h, k, rho):
    """Return P(z_1 > h, z_2 > k) for a correlation near 1 in size: Genz 2004, section 2.4."""
    k = k if rho > 0.0 else -k
    product, gap, left = h * k, (h - k) ** 2, 1.0 - rho * rho
    found = 0.0
    if left > 0.0:
        found = -_around_one(product, gap, left, np.sqrt(left)) / (2.0 * np.pi)
    if rho > 0.0:
        return found + normal_below(-max(h, k))
    return max(-found + (normal_below(k) - normal_below(h) if h < k else 0.0), 0.0)


@compiled
def _around_one(product, gap, left, root):
    """Integrate the derivative by rho from rho to 1: two terms of its expansion, and the rest by quadrature."""
    c, d = (4.0 - product) / 8.0, (12.0 - product) / 80.0
    found = root * np.exp(-0.5 * (gap / left + product))
    found *= 1.0 - c * (gap - left) * (1.0 - d * gap) / 3.0 + c * d * left * left
    far = np.sqrt(gap)
    tail = np.exp(-0.5 * product + log_normal_below(-far / root)) * np.sqrt(2.0 * np.pi) * far
    found -= tail * (1.0 - c * gap * (1.0 - d * gap) / 3.0)
    for n in range(NODES.size):
        square = (0.5 * root * (NODES[n] + 1.0)) ** 2
        cosine = np.sqrt(1.0 - square)
        series = 1.0 + c * square * (1.0 + 5.0 * d * square)
        exact = np.exp(-0.5 * product * square / (1.0 + cosine) ** 2) / cosine
        found += 0.5 * root * WEIGHTS[n] * np.exp(-0.5 * (gap / square + product)) * (exact - series)
    return found

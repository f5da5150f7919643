"""The log density of models that sample their patients, and what is reported of a draw of them: compiled.

What is sampled are scalars (`spread`), terms of the population, and the patients, in this order; `sampled.Sampled`
says what the buffer has.
"""

from __future__ import annotations

import numpy as np

from slopeshift.engine.buffer import array, places
from slopeshift.engine.compiling import compiled
from slopeshift.engine.residual_kernel import LOG_ROOT_2PI, SUMS, add_values, weight
from slopeshift.engine.sampled_kernel import place_patients, pull_back, workspace
from slopeshift.engine.simd import LANES, store
from slopeshift.engine.spread import (
    add_by_scalars,
    add_by_u,
    correlation_factor,
    from_unconstrained,
    loading_of,
    report_of,
)

_PLACES = places(15)
PRIORS, PARTS, PATTERNS, PARTIAL, TRAITS, SIGNED, FAMILY, MEAN, SD, DESIGN, SHIFT = _PLACES[:11]
STATISTICS, PLACES, FIRST, VALUES = _PLACES[11:]
"""Places of the arrays in the buffer."""


@compiled
def log_density(u, by_u, data):
    """Write the gradient at u (dimension,) into by_u and return the log density; `data` is a buffer of `Sampled`."""
    priors, parts, patterns = array(data, PRIORS)[0], array(data, PARTS)[0], array(data, PATTERNS)
    partial, design, family = array(data, PARTIAL)[0], array(data, DESIGN)[0], array(data, FAMILY)[0, 0]
    n, (p, m), q = priors.shape[0], design.shape, patterns.shape[2]
    x, by_x, by_terms = np.empty(n), np.zeros(n), by_u[n : n + m]
    total = from_unconstrained(priors, u[:n], x, by_u[:n])
    total += _terms_at(u[n : n + m], array(data, MEAN)[0, 0], array(data, SD)[0, 0], by_terms)
    factor = correlation_factor(partial, x)
    loading = loading_of(parts, patterns, x, factor, p)
    sigma, nu = x[int(family[1])], x[int(family[2])] if family[2] >= 0 else 0.0
    heavy, heavy_by_sigma, heavy_by_nu = weight(int(family[0]), sigma, nu, family[3])
    by_loading, by_centre, by_heavy, by_parameters = np.zeros((p, q)), np.zeros(p), 0.0, np.zeros(SUMS)
    value, by_heavy = _of_patients(u, by_u, data, loading, heavy, (sigma, nu), by_loading, by_centre, by_parameters)
    for k in range(m):
        for a in range(p):
            by_terms[k] += design[a, k] * by_centre[a]
    by_x[int(family[1])] += by_parameters[1] + by_heavy * heavy_by_sigma
    if family[2] >= 0:
        by_x[int(family[2])] += by_parameters[2] + by_heavy * heavy_by_nu
    add_by_scalars(parts, patterns, partial, x, factor, by_loading, by_x)
    add_by_u(priors, x, by_x, by_u[:n])
    return total + value


@compiled
def _terms_at(terms, mean, sd, by_terms):
    """Write the gradient of the terms' log prior, and return it."""
    total = 0.0
    for k in range(terms.size):
        z = (terms[k] - mean[k]) / sd[k]
        by_terms[k] = -z / sd[k]
        total -= 0.5 * z * z + np.log(sd[k]) + LOG_ROOT_2PI
    return total


@compiled
def _of_patients(u, by_u, data, loading, heavy, parameters, by_loading, by_centre, by_parameters):
    """Return the log density of patients and values, and its derivative by the weight; write and add the others."""
    statistics, places, first = array(data, STATISTICS), array(data, PLACES)[0], array(data, FIRST)[0, 0]
    values, family = array(data, VALUES), array(data, FAMILY)[0, 0]
    centre, off, start = _centre(u, data)
    (p, q), blocks = loading.shape, places.shape[0]
    here, work = np.zeros((q, LANES)), workspace(p, q, LANES)
    sums, last = np.zeros((SUMS, LANES)), np.empty((2, LANES))
    lanes_loading, lanes_centre, lanes_heavy = np.zeros((p * q, LANES)), np.zeros((p, LANES)), np.zeros((1, LANES))
    total, patients = 0.0, array(data, SHIFT).shape[1]
    for block in range(blocks):
        _gather(u, start, places[block], here)
        scale, square = place_patients(statistics[block], loading, heavy, centre, off, here, work)
        store(last, 0, scale)
        store(last, 1, square)
        for lane in range(LANES):
            total += np.log(last[0, lane]) - 0.5 * last[1, lane]
        own = values[int(first[block]) : int(first[block + 1])]
        add_values(int(family[0]), parameters[0], parameters[1], family[3], own, work[6], work[7], sums)
        pull_back(loading, heavy, work, lanes_loading, lanes_centre, lanes_heavy)
        _scatter(work[8], start, places[block], by_u)
    for a in range(p):
        by_centre[a] = lanes_centre[a].sum()
        for k in range(q):
            by_loading[a, k] = lanes_loading[a * q + k].sum()
    for k in range(SUMS):
        by_parameters[k] = sums[k].sum()
    return total + by_parameters[0] - patients * q * LOG_ROOT_2PI, lanes_heavy[0].sum()


@compiled
def _centre(u, data):
    """Return B mu (p,), the same less its prior mean, and the place in u where patients begin."""
    design, mean, n = array(data, DESIGN)[0], array(data, MEAN)[0, 0], array(data, PRIORS).shape[1]
    p, m = design.shape
    centre, off = np.zeros(p), np.zeros(p)
    for k in range(m):
        for a in range(p):
            centre[a] += design[a, k] * u[n + k]
            off[a] += design[a, k] * (u[n + k] - mean[k])
    return centre, off, n + m


@compiled
def _gather(u, start, places, here):
    """Read the u of a block of patients, 0 where there is none."""
    q = here.shape[0]
    for lane in range(places.size):
        i = int(places[lane])
        for k in range(q):
            here[k, lane] = u[start + i * q + k] if i >= 0 else 0.0


@compiled
def _scatter(here, start, places, u):
    """Write a block of patients' rows (q, lane) to where they stand in u."""
    q = here.shape[0]
    for lane in range(places.size):
        i = int(places[lane])
        if i >= 0:
            for k in range(q):
                u[start + i * q + k] = here[k, lane]


@compiled
def report(x, terms, z, out, data):
    """Write what is reported of scalars, terms (term,) and z (patient, source) into out (width,).

    First what `spread.report_of` reports, then terms, those of covariates again, population, z, and coefficients.
    """
    parts, patterns, partial = array(data, PARTS)[0], array(data, PATTERNS), array(data, PARTIAL)[0]
    design, shift = array(data, DESIGN)[0], array(data, SHIFT)
    traits, signed = array(data, TRAITS)[0, 0], array(data, SIGNED)[0, 0]
    covariates, n, p = shift.shape
    q, m = z.shape[1], terms.size
    at = x.size + signed.size + traits.size * (traits.size - 1) // 2 + p * q
    report_of(parts, patterns, partial, traits, signed, x, out[:at])
    loading = out[at - p * q : at].reshape((p, q))
    out[at : at + m] = terms
    at += m
    out[at : at + covariates] = terms[m - covariates :]
    at += covariates
    population = out[at : at + p]
    population[:] = 0.0
    for a in range(p):
        for k in range(m):
            population[a] += design[a, k] * terms[k]
    at += p
    out[at : at + n * q] = z.ravel()
    at += n * q
    for i in range(n):
        for a in range(p):
            found = population[a]
            for k in range(covariates):
                found += shift[k, i, a] * terms[m - covariates + k]
            for k in range(q):
                found += loading[a, k] * z[i, k]
            out[at + i * p + a] = found


@compiled
def reports(scalars, terms, z, width, data):
    """Report on many draws of scalars, terms and z, each with the dim draw first: (draw, width)."""
    out = np.empty((scalars.shape[0], width))
    for d in range(scalars.shape[0]):
        report(scalars[d], terms[d], z[d], out[d], data)
    return out


@compiled
def report_at(u, out, data):
    """Write what is reported at u (dimension,) into out (width,)."""
    priors, parts, patterns = array(data, PRIORS)[0], array(data, PARTS)[0], array(data, PATTERNS)
    places, family, statistics = array(data, PLACES)[0], array(data, FAMILY)[0, 0], array(data, STATISTICS)
    n, patients, q = priors.shape[0], array(data, SHIFT).shape[1], patterns.shape[2]
    x, unused, z = np.empty(n), np.empty(n), np.empty(patients * q)
    from_unconstrained(priors, u[:n], x, unused)
    centre, off, start = _centre(u, data)
    loading = loading_of(parts, patterns, x, correlation_factor(array(data, PARTIAL)[0], x), centre.size)
    nu = x[int(family[2])] if family[2] >= 0 else 0.0
    heavy, _, _ = weight(int(family[0]), x[int(family[1])], nu, family[3])
    here, work = np.zeros((q, LANES)), workspace(centre.size, q, LANES)
    for block in range(places.shape[0]):
        _gather(u, start, places[block], here)
        place_patients(statistics[block], loading, heavy, centre, off, here, work)
        _scatter(work[5], 0, places[block], z)
    report(x, u[n:start], z.reshape((patients, q)), out, data)

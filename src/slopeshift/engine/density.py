"""The log density of every exact model, compiled once: what differs between models and trials is in arrays.

A model of PyMC is compiled anew whenever a number in it changes. Here scalars (`spread`), what patients differ by and
what the visits say (`kernel`) are data of one program. Its C functions have the signatures that nutpie calls.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import carray, types

from slopeshift.engine import kernel
from slopeshift.engine.compiling import c_function, compiled
from slopeshift.engine.entry import log_factor
from slopeshift.engine.spread import (
    add_by_scalars,
    add_by_u,
    correlation_factor,
    from_unconstrained,
    loading_of,
    report_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

PRIORS, PARTS, PATTERNS, PARTIAL, TRAITS, SIGNED, SIGMA, STATISTICS, DESIGN, PRECISION, APART, RULES = range(12)
AXES = 3
"""Dimensions that an array has in a buffer: the first ones of one with fewer have length 1."""

density = kernel.density


@dataclass(frozen=True, eq=False)
class Arrays:
    """All that the density of an exact model is made of, places as numbers; shapes as in `spread` and `kernel`.

    `sigma` is the place of the residual standard deviation among the scalars. `apart` (term, 1 + p) has a row for each
    term that is sampled: its place among the scalars, and what a unit of that adds to the coefficients; `rules` are
    those of entry (see `entry.pack`), without a row where there are none.
    """

    priors: Floats
    parts: Floats
    patterns: Floats
    partial: Floats
    traits: Floats
    signed: Floats
    sigma: int
    statistics: Floats
    design: Floats
    precision: Floats
    apart: Floats
    rules: Floats

    def buffer(self) -> Floats:
        """Lay the arrays out one after another, behind a head that says where and of what shape: (number,).

        The head has the length of the buffer, then of each array its place and three lengths.
        """
        arrays = [np.atleast_1d(np.asarray(each, dtype=float)) for each in astuple(self)]
        sizes = np.cumsum([1 + (1 + AXES) * len(arrays), *(each.size for each in arrays)])
        head = [sizes[-1]]
        for place, each in zip(sizes, arrays, strict=False):
            head += [place, *(1,) * (AXES - each.ndim), *each.shape]
        return np.concatenate([np.array(head, dtype=float), *(each.ravel() for each in arrays)])


@compiled
def _array(data, which):
    """Find an array in a buffer, with three dimensions."""
    head = data[1 + (1 + AXES) * which : 1 + (1 + AXES) * (which + 1)]
    place, a, b, c = int(head[0]), int(head[1]), int(head[2]), int(head[3])
    return data[place : place + a * b * c].reshape((a, b, c))


@compiled
def log_density(u, by_u, data):
    """Write the gradient at u (scalar,) into by_u and return the log density; `data` is a buffer of `Arrays`."""
    priors, parts, patterns = _array(data, PRIORS)[0], _array(data, PARTS)[0], _array(data, PATTERNS)
    partial, design, precision = _array(data, PARTIAL)[0], _array(data, DESIGN)[0], _array(data, PRECISION)[0, 0]
    sigma, apart, rules = int(_array(data, SIGMA)[0, 0, 0]), _array(data, APART)[0], _array(data, RULES)[0]
    x, by_x = np.empty(u.size), np.zeros(u.size)
    total = from_unconstrained(priors, u, x, by_u)
    factor = correlation_factor(partial, x)
    loading = loading_of(parts, patterns, x, factor, design.shape[0])
    offset, variance = _offset(apart, x, design.shape[0]), x[sigma] ** 2
    value, by_loading, by_variance, by_offset = density(
        loading, variance, offset, _array(data, STATISTICS), design, precision
    )
    if rules.shape[0]:
        factor_of_entry, more_by_loading, more_by_variance, more_by_offset = log_factor(
            loading, variance, offset, rules
        )
        value += factor_of_entry
        by_loading += more_by_loading
        by_variance += more_by_variance
        by_offset += more_by_offset
    add_by_scalars(parts, patterns, partial, x, factor, by_loading, by_x)
    by_x[sigma] += 2.0 * x[sigma] * by_variance
    for n in range(apart.shape[0]):
        by_x[int(apart[n, 0])] += (apart[n, 1:] * by_offset).sum()
    add_by_u(priors, x, by_x, by_u)
    return total + value


@compiled
def _offset(apart, x, p):
    """Return what the sampled terms add to the coefficients (p,)."""
    offset = np.zeros(p)
    for n in range(apart.shape[0]):
        offset += x[int(apart[n, 0])] * apart[n, 1:]
    return offset


@compiled
def report(x, out, data):
    """Write what is reported of the scalars x (scalar,) into out (width,), see `spread.report_of`."""
    parts, patterns, partial = _array(data, PARTS)[0], _array(data, PATTERNS), _array(data, PARTIAL)[0]
    report_of(parts, patterns, partial, _array(data, TRAITS)[0, 0], _array(data, SIGNED)[0, 0], x, out)


@compiled
def reports(draws, width, data):
    """Report on many draws of the scalars (draw, scalar): (draw, width)."""
    out = np.empty((draws.shape[0], width))
    for d in range(draws.shape[0]):
        report(draws[d], out[d], data)
    return out


NUMBERS = types.CPointer(types.double)
UNUSABLE = 1
"""What a C function returns where the density is not finite; nutpie takes a number above 0 for a divergence."""


def _density_at(dimension, u, by_u, value, data):  # type: ignore[no-untyped-def]
    everything = carray(data, (int(carray(data, (1,), np.float64)[0]),), np.float64)
    gradient = carray(by_u, (dimension,))
    found = log_density(carray(u, (dimension,)), gradient, everything)
    carray(value, (1,))[0] = found
    return 0 if np.isfinite(found) and np.isfinite(gradient).all() else UNUSABLE


def _report_at(dimension, width, u, out, data):  # type: ignore[no-untyped-def]
    everything = carray(data, (int(carray(data, (1,), np.float64)[0]),), np.float64)
    x, unused = np.empty(dimension), np.empty(dimension)
    from_unconstrained(_array(everything, PRIORS)[0], carray(u, (dimension,)), x, unused)
    report(x, carray(out, (width,)), everything)
    return 0


@cache
def c_density() -> Any:
    """Compile, or load, the C function (dimension, u, gradient, value, buffer) of `log_density`."""
    signature = types.int64(types.uint64, NUMBERS, NUMBERS, NUMBERS, types.voidptr)
    return c_function(_density_at, signature)


@cache
def c_report() -> Any:
    """Compile, or load, the C function (dimension, width, u, out, buffer) of `report`, at u."""
    signature = types.int64(types.uint64, types.uint64, NUMBERS, NUMBERS, types.voidptr)
    return c_function(_report_at, signature)

"""The log density of every exact model, compiled once: what differs between models and trials is in arrays.

A model of PyMC is compiled anew whenever a number in it changes. Here scalars (`spread`), what patients differ by and
what the visits say (`kernel`) are data of one program. Its C functions have the signatures that nutpie calls. What only
some trials need, entry rules and residuals correlated in time, is compiled when one of them comes: see `KINDS`.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import carray

from slopeshift.engine import correlated, kernel
from slopeshift.engine.buffer import DENSITY, REPORT, UNUSABLE, array, laid_out, places
from slopeshift.engine.compiling import c_function, compiled
from slopeshift.engine.entry import log_factor
from slopeshift.engine.patients import given_factor
from slopeshift.engine.spread import (
    add_by_scalars,
    add_by_u,
    correlation_factor,
    drawn_from,
    from_unconstrained,
    loading_of,
    middle,
    report_of,
    width_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_PLACES = places(14)
PRIORS, PARTS, PATTERNS, PARTIAL, TRAITS, SIGNED, SIGMA = _PLACES[:7]
CORRELATION, STATISTICS, DESIGN, PRECISION, APART, RULES, LEAD_IN = _PLACES[7:]

density, density_in_time = kernel.density, correlated.density

PLAIN, ENTERED, IN_TIME, GIVEN = KINDS = ("plain", "entered", "in_time", "given")
"""What is compiled apart: independent residuals, those of patients who entered by rules, correlated residuals, and
independent ones given the values up to the first injection."""


@dataclass(frozen=True, eq=False)
class Arrays:
    """All that the density of an exact model is made of, places as numbers; shapes as in `spread` and `kernel`.

    `sigma` is the place of the residual standard deviation among the scalars, `correlation` that of the correlation of
    residuals: -1 where they are independent. Else `statistics` are laid out as `correlated.pack` does. `apart` (term,
    1 + p) has a row for each term that is sampled: its place among the scalars, and what a unit of that adds to the
    coefficients; `rules` are those of entry (see `entry.pack`), without a row where there are none, and `lead_in`
    values that are taken as given (see `patients.pack`). Where residuals are correlated there are neither.
    """

    priors: Floats
    parts: Floats
    patterns: Floats
    partial: Floats
    traits: Floats
    signed: Floats
    sigma: int
    correlation: int
    statistics: Floats
    design: Floats
    precision: Floats
    apart: Floats
    rules: Floats
    lead_in: Floats

    @property
    def exchangeable(self) -> tuple[str, ...]:
        """See `buffer.Density`: `entry_rules` and `lead_in` too, where there are any."""
        more = {"entry_rules": self.rules.size, "lead_in": self.lead_in.size}
        return ("statistics", *(name for name, size in more.items() if size))

    @property
    def width(self) -> int:
        """See `buffer.Density`."""
        return width_of(self.priors, self.patterns, self.traits, self.signed)

    def exchanged(self, **data: Any) -> Arrays:
        """See `buffer.Density`: `statistics` (block, row, lane) and what chose patients of other values, or visits."""
        names = {"statistics": "statistics", "entry_rules": "rules", "lead_in": "lead_in"}
        return replace(self, **{names[name]: values for name, values in data.items()})

    @cached_property
    def buffer(self) -> Floats:
        """See `buffer.Density`."""
        return laid_out(astuple(self))

    def start(self) -> Floats:
        """See `buffer.Density`: the mean of each prior."""
        return middle(self.priors)

    @property
    def kind(self) -> str:
        """Which of `KINDS` the density is."""
        if self.correlation >= 0:
            return IN_TIME
        return GIVEN if self.lead_in.size else ENTERED if self.rules.size else PLAIN

    def evaluate(self, point: Floats) -> tuple[float, Floats]:
        """See `buffer.Density`."""
        gradient = np.empty(len(point))
        flags = (self.kind == kind or None for kind in KINDS[1:])
        return log_density(point, gradient, self.buffer, *flags), gradient

    def prior(self, draws: int, rng: np.random.Generator) -> Floats:
        """See `buffer.Density`."""
        found: Floats = reports(drawn_from(self.priors, draws, rng), self.width, self.buffer)
        return found

    def c_density(self) -> Any:
        """See `buffer.Density`."""
        return c_density(self.kind)

    def c_report(self) -> Any:
        """See `buffer.Density`."""
        return c_report()


@compiled
def log_density(u, by_u, data, entered, in_time, given):
    """Write the gradient at u (scalar,) into by_u and return the log density; `data` is a buffer of `Arrays`.

    `entered`, `in_time` and `given` are None where the data have no entry rules, no correlation and nothing that is
    taken as given: what these need is then not compiled.
    """
    priors, parts, patterns = array(data, PRIORS)[0], array(data, PARTS)[0], array(data, PATTERNS)
    partial, design, precision = array(data, PARTIAL)[0], array(data, DESIGN)[0], array(data, PRECISION)[0, 0]
    sigma, correlation = int(array(data, SIGMA)[0, 0, 0]), int(array(data, CORRELATION)[0, 0, 0])
    apart, rules = array(data, APART)[0], array(data, RULES)[0]
    x, by_x = np.empty(u.size), np.zeros(u.size)
    total = from_unconstrained(priors, u, x, by_u)
    factor = correlation_factor(partial, x)
    loading = loading_of(parts, patterns, x, factor, design.shape[0])
    offset, variance, known = _offset(apart, x, design.shape[0]), x[sigma] ** 2, array(data, STATISTICS)
    value, by_loading, by_variance, by_offset = np.nan, np.zeros(loading.shape), 0.0, np.zeros(design.shape[0])
    if in_time is not None and correlation >= 0:
        value, by_loading, by_variance, by_x[correlation] = density_in_time(
            loading, variance, x[correlation], known, design, precision
        )
    if correlation < 0:
        value, by_loading, by_variance, by_offset = density(loading, variance, offset, known, design, precision)
    if entered is not None:
        factor_of_entry, more_by_loading, more_by_variance, more_by_offset = log_factor(
            loading, variance, offset, rules
        )
        value += factor_of_entry
        by_loading += more_by_loading
        by_variance += more_by_variance
        by_offset += more_by_offset
    if given is not None:
        factor_given, more_by_loading, more_by_variance, more_by_offset = given_factor(
            loading, variance, offset, array(data, LEAD_IN)[0]
        )
        value += factor_given
        by_loading += more_by_loading
        by_variance += more_by_variance
        by_offset += more_by_offset
    add_by_scalars(parts, patterns, partial, x, factor, by_loading, by_x)
    by_x[sigma] += 2.0 * x[sigma] * by_variance
    for n in range(apart.shape[0]):
        for a in range(by_offset.size):
            by_x[int(apart[n, 0])] += apart[n, 1 + a] * by_offset[a]
    add_by_u(priors, x, by_x, by_u)
    return total + value


@compiled
def _offset(apart, x, p):
    """Return what the sampled terms add to the coefficients (p,)."""
    offset = np.zeros(p)
    for n in range(apart.shape[0]):
        for a in range(p):
            offset[a] += x[int(apart[n, 0])] * apart[n, 1 + a]
    return offset


@compiled
def report(x, out, data):
    """Write what is reported of the scalars x (scalar,) into out (width,), see `spread.report_of`."""
    parts, patterns, partial = array(data, PARTS)[0], array(data, PATTERNS), array(data, PARTIAL)[0]
    report_of(parts, patterns, partial, array(data, TRAITS)[0, 0], array(data, SIGNED)[0, 0], x, out)


@compiled
def reports(draws, width, data):
    """Report on many draws of the scalars (draw, scalar): (draw, width)."""
    out = np.empty((draws.shape[0], width))
    for d in range(draws.shape[0]):
        report(draws[d], out[d], data)
    return out


@compiled
def evaluated(u, by_u, value, data, entered, in_time, given):
    """Evaluate for C: write the log density into value (1,), and return 0, or UNUSABLE where it is not finite."""
    value[0] = log_density(u, by_u, data, entered, in_time, given)
    return 0 if np.isfinite(value[0]) and np.isfinite(by_u).all() else UNUSABLE


def _plain(dimension, u, by_u, value, data):  # type: ignore[no-untyped-def]
    everything = carray(data, (int(carray(data, (1,), np.float64)[0]),), np.float64)
    point, gradient, found = carray(u, (dimension,)), carray(by_u, (dimension,)), carray(value, (1,))
    return evaluated(point, gradient, found, everything, None, None, None)


def _entered(dimension, u, by_u, value, data):  # type: ignore[no-untyped-def]
    everything = carray(data, (int(carray(data, (1,), np.float64)[0]),), np.float64)
    point, gradient, found = carray(u, (dimension,)), carray(by_u, (dimension,)), carray(value, (1,))
    return evaluated(point, gradient, found, everything, True, None, None)


def _in_time(dimension, u, by_u, value, data):  # type: ignore[no-untyped-def]
    everything = carray(data, (int(carray(data, (1,), np.float64)[0]),), np.float64)
    point, gradient, found = carray(u, (dimension,)), carray(by_u, (dimension,)), carray(value, (1,))
    return evaluated(point, gradient, found, everything, None, True, None)


def _given(dimension, u, by_u, value, data):  # type: ignore[no-untyped-def]
    everything = carray(data, (int(carray(data, (1,), np.float64)[0]),), np.float64)
    point, gradient, found = carray(u, (dimension,)), carray(by_u, (dimension,)), carray(value, (1,))
    return evaluated(point, gradient, found, everything, None, None, True)


def _report_at(dimension, width, u, out, data):  # type: ignore[no-untyped-def]
    everything = carray(data, (int(carray(data, (1,), np.float64)[0]),), np.float64)
    x, unused = np.empty(dimension), np.empty(dimension)
    from_unconstrained(array(everything, PRIORS)[0], carray(u, (dimension,)), x, unused)
    report(x, carray(out, (width,)), everything)
    return 0


@cache
def c_density(kind: str = PLAIN) -> Any:
    """Compile, or load, the C function of the `log_density` of a kind, one of `KINDS`."""
    return c_function(dict(zip(KINDS, (_plain, _entered, _in_time, _given), strict=True))[kind], DENSITY)


@cache
def c_report() -> Any:
    """Compile, or load, the C function of what is reported."""
    return c_function(_report_at, REPORT)

"""The log density of an exact model with a regression beside it that shares no parameter with the line: compiled once.

    y_n ~ Normal(a + b x_n + s z_g(n), sqrt(d^2 + k^2)),     z_g ~ Normal(0, 1)

for values n of groups g; a, b, s and d are among the scalars, k is known. The z_g are sampled after the scalars.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import carray

from slopeshift.engine import density
from slopeshift.engine.buffer import DENSITY, REPORT, UNUSABLE, array, laid_out, places
from slopeshift.engine.compiling import c_function, compiled
from slopeshift.engine.kernel import LOG_2PI
from slopeshift.engine.spread import add_by_u, from_unconstrained

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LINE, PLACES, KNOWN, VALUE, ON, GROUP = places(6)

log_density_of_line, report_of_line = density.log_density, density.report


@dataclass(frozen=True, eq=False)
class WithRegression:
    """An exact model and the regression beside it.

    The scalars of `line` are those of both; `places` (4,) are those of a, b, s and d among them, `known` is k, and
    `groups` the number of groups. `data` has y, x and the group of each value, (value,) each, by the names that the
    model gives them, in this order.
    """

    line: density.Arrays
    places: tuple[int, int, int, int]
    known: float
    groups: int
    data: Mapping[str, Floats]

    @property
    def exchangeable(self) -> tuple[str, ...]:
        """See `buffer.Density`."""
        return (*self.line.exchangeable, *self.data)

    @property
    def width(self) -> int:
        """See `buffer.Density`: what the line reports, and z."""
        return self.line.width + self.groups

    def exchanged(self, **data: Any) -> WithRegression:
        """See `buffer.Density`."""
        own = {name: data.pop(name) for name in self.data if name in data}
        return replace(self, line=self.line.exchanged(**data), data={**self.data, **own})

    @cached_property
    def buffer(self) -> Floats:
        """See `buffer.Density`."""
        return laid_out((self.line.buffer, self.places, self.known, *self.data.values()))

    def start(self) -> Floats:
        """See `buffer.Density`."""
        return np.concatenate([self.line.start(), np.zeros(self.groups)])

    def evaluate(self, point: Floats) -> tuple[float, Floats]:
        """See `buffer.Density`."""
        gradient = np.empty(len(point))
        return log_density(point, gradient, self.buffer), gradient

    def prior(self, draws: int, rng: np.random.Generator) -> Floats:
        """See `buffer.Density`."""
        return np.column_stack([self.line.prior(draws, rng), rng.standard_normal((draws, self.groups))])

    def c_density(self) -> Any:
        """See `buffer.Density`."""
        return c_density()

    def c_report(self) -> Any:
        """See `buffer.Density`."""
        return c_report()


@compiled
def log_density(u, by_u, data):
    """Write the gradient at u (dimension,) into by_u and return the log density; `data` is of `WithRegression`."""
    line = array(data, LINE)[0, 0]
    priors, places, known = array(line, density.PRIORS)[0], array(data, PLACES)[0, 0], array(data, KNOWN)[0, 0, 0]
    n = priors.shape[0]
    value = log_density_of_line(u[:n], by_u[:n], line, True, True, None)
    x, by_x, unused = np.empty(n), np.zeros(n), np.empty(n)
    from_unconstrained(priors, u[:n], x, unused)
    given, on, group = array(data, VALUE)[0, 0], array(data, ON)[0, 0], array(data, GROUP)[0, 0]
    value += _regression(x, u[n:], places, known, given, on, group, by_x, by_u[n:])
    add_by_u(priors, x, by_x, by_u[:n])
    return value


@compiled
def _regression(x, z, places, known, given, on, group, by_x, by_z):
    """Return the log density of z and the values; add to the gradient by the scalars, and write that by z."""
    a, b, s, d = int(places[0]), int(places[1]), int(places[2]), int(places[3])
    variance = x[d] ** 2 + known**2
    total = -0.5 * z.size * LOG_2PI - 0.5 * given.size * (LOG_2PI + np.log(variance))
    for i in range(z.size):
        total -= 0.5 * z[i] ** 2
        by_z[i] = -z[i]
    by_x[d] -= given.size * x[d] / variance
    for n in range(given.size):
        i = int(group[n])
        left = given[n] - x[a] - x[b] * on[n] - x[s] * z[i]
        pull = left / variance
        total -= 0.5 * left * pull
        by_x[a] += pull
        by_x[b] += pull * on[n]
        by_x[s] += pull * z[i]
        by_x[d] += pull * pull * x[d]
        by_z[i] += pull * x[s]
    return total


def _density_at(dimension, u, by_u, value, data):  # type: ignore[no-untyped-def]
    everything = carray(data, (int(carray(data, (1,), np.float64)[0]),), np.float64)
    gradient = carray(by_u, (dimension,))
    found = log_density(carray(u, (dimension,)), gradient, everything)
    carray(value, (1,))[0] = found
    return 0 if np.isfinite(found) and np.isfinite(gradient).all() else UNUSABLE


def _report_at(dimension, width, u, out, data):  # type: ignore[no-untyped-def]
    everything = carray(data, (int(carray(data, (1,), np.float64)[0]),), np.float64)
    line, point, written = array(everything, LINE)[0, 0], carray(u, (dimension,)), carray(out, (width,))
    priors = array(line, density.PRIORS)[0]
    n = priors.shape[0]
    x, unused = np.empty(n), np.empty(n)
    from_unconstrained(priors, point[:n], x, unused)
    of_line = width - (dimension - n)
    report_of_line(x, written[:of_line], line)
    written[of_line:] = point[n:]
    return 0


@cache
def c_density() -> Any:
    """Compile, or load, the C function of `log_density`."""
    return c_function(_density_at, DENSITY)


@cache
def c_report() -> Any:
    """Compile, or load, the C function of what is reported."""
    return c_function(_report_at, REPORT)

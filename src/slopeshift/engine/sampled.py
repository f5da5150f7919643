"""The log density of models that sample their patients, compiled once: every family but the exact one.

What is sampled are the scalars (`spread`), the terms of the population and, last, where `reparametrise` places each
patient. `sampled_kernel` has the arithmetic of patients, `residual_kernel` that of the families.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import carray  # type: ignore[attr-defined]

from slopeshift.design.visits import patient_sums
from slopeshift.engine.buffer import DENSITY, REPORT, UNUSABLE, laid_out
from slopeshift.engine.compiling import c_function
from slopeshift.engine.kernel import pack
from slopeshift.engine.residual_kernel import AFTER_BASIS
from slopeshift.engine.sampled_density import log_density, report_at, reports
from slopeshift.engine.simd import LANES
from slopeshift.engine.spread import drawn_from, middle, width_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sampled:
    """All that the density of a model with sampled patients is made of; shapes as in `spread` and `terms`.

    `family` is one of `residual_kernel`; `sigma` and `nu` are places of its parameters among the scalars, the latter -1
    where there is none. `half` is how far from its middle a rounded value may lie, 0 where none is rounded, and `ends`
    those of the scale, infinite where there are none. `basis` (visit, coefficient and covariate), `patient` (visit,)
    and `recorded` (visit,) are the values and what they are of.
    """

    priors: Floats
    parts: Floats
    patterns: Floats
    partial: Floats
    traits: Floats
    signed: Floats
    family: int
    sigma: int
    nu: int
    half: float
    ends: tuple[float, float]
    mean: Floats
    sd: Floats
    design: Floats
    shift: Floats
    basis: Floats
    patient: NDArray[np.intp]
    recorded: Floats

    exchangeable = ("recorded",)

    @property
    def patients(self) -> int:
        """The number of patients."""
        return int(self.shift.shape[1])

    @property
    def sources(self) -> int:
        """The number of what patients differ by."""
        return int(self.patterns.shape[2])

    @property
    def width(self) -> int:
        """See `buffer.Density`, and `report` for what there is."""
        covariates, n, p = self.shift.shape
        of_spread = width_of(self.priors, self.patterns, self.traits, self.signed)
        return int(of_spread + len(self.mean) + covariates + p + n * (self.sources + p))

    def exchanged(self, **data: Any) -> Sampled:
        """See `buffer.Density`: `recorded` (visit,), other values."""
        return replace(self, **data)

    @cached_property
    def buffer(self) -> Floats:
        """See `buffer.Density`; patients with as many values as each other share a block."""
        low, high = self.ends
        end = np.where(self.recorded >= high, 1.0, np.where(self.recorded <= low, -1.0, 0.0))
        within, centred = end == 0, self.recorded - self.basis @ (self.design @ self.mean)
        rows = self.basis * within[:, None]
        grams, moments, squares, _ = patient_sums(rows, centred * within, self.patient, self.patients)
        number = np.bincount(self.patient, minlength=self.patients)
        order = np.argsort(-number, kind="stable")
        places = np.full((-(-self.patients // LANES), LANES), -1.0)
        places.flat[: len(order)] = order
        first, values = _by_block(self.basis, self.recorded, end, self.patient, order)
        family = [self.family, self.sigma, self.nu, self.half]
        own = (self.priors, self.parts, self.patterns, self.partial, self.traits, self.signed)
        terms = (self.mean, self.sd, self.design, self.shift)
        statistics = pack(grams[order], moments[order], squares[order], number[order].astype(float))
        return laid_out((*own, family, *terms, statistics, places, first, values))

    def start(self) -> Floats:
        """See `buffer.Density`: the mean of each prior, and every patient where the map has its origin."""
        return np.concatenate([middle(self.priors), self.mean, np.zeros(self.patients * self.sources)])

    def evaluate(self, point: Floats) -> tuple[float, Floats]:
        """See `buffer.Density`."""
        gradient = np.empty(len(point))
        return log_density(point, gradient, self.buffer), gradient

    def prior(self, draws: int, rng: np.random.Generator) -> Floats:
        """See `buffer.Density`."""
        scalars = drawn_from(self.priors, draws, rng)
        terms = self.mean + self.sd * rng.standard_normal((draws, len(self.mean)))
        z = rng.standard_normal((draws, self.patients, self.sources))
        found: Floats = reports(scalars, terms, z, self.width, self.buffer)
        return found

    def c_density(self) -> Any:
        """See `buffer.Density`."""
        return c_density()

    def c_report(self) -> Any:
        """See `buffer.Density`."""
        return c_report()


def _by_block(
    basis: Floats, value: Floats, end: Floats, patient: NDArray[np.intp], order: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Lay values out by block: the first row of each (block + 1,), and (row, p + AFTER_BASIS, lane)."""
    number = np.bincount(patient, minlength=len(order))[order]
    first = np.concatenate([[0], np.cumsum(number[::LANES])])
    seat = np.empty(len(order), dtype=np.intp)
    seat[order] = np.arange(len(order))
    turn = np.empty(len(value), dtype=np.intp)
    sequence = np.argsort(patient, kind="stable")
    turn[sequence] = np.arange(len(value)) - np.searchsorted(patient[sequence], patient[sequence])
    values = np.zeros((first[-1], basis.shape[1] + AFTER_BASIS, LANES))
    seats = seat[patient]
    values[first[seats // LANES] + turn, :, seats % LANES] = np.column_stack([basis, value, end, np.ones(len(value))])
    return first.astype(float), values


def _density_at(dimension, u, by_u, value, data):  # type: ignore[no-untyped-def]
    everything = carray(data, (int(carray(data, (1,), np.float64)[0]),), np.float64)
    gradient = carray(by_u, (dimension,))
    found = log_density(carray(u, (dimension,)), gradient, everything)
    carray(value, (1,))[0] = found
    return 0 if np.isfinite(found) and np.isfinite(gradient).all() else UNUSABLE


def _report_at(dimension, width, u, out, data):  # type: ignore[no-untyped-def]
    everything = carray(data, (int(carray(data, (1,), np.float64)[0]),), np.float64)
    report_at(carray(u, (dimension,)), carray(out, (width,)), everything)
    return 0


@cache
def c_density() -> Any:
    """Compile, or load, the C function of `log_density`."""
    return c_function(_density_at, DENSITY)


@cache
def c_report() -> Any:
    """Compile, or load, the C function of what is reported."""
    return c_function(_report_at, REPORT)

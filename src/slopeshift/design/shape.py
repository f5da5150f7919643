"""The shape of a patient's expected course: what coefficients are multiplied by at a time after injections.

A patient's expected score at month t is `w(t) . theta`, with the columns

    w(t) = [1, t, b_1(t), ..., b_K(t)],     b_k(t) = clip(t - tau_k, 0, tau_{k+1} - tau_k)

so b_k counts the months spent while injection k is the latest, and the coefficient of b_k is the change of the slope
*from lead-in* during that cycle. A shape varies this:

- with a window of w months, every cycle is cut in two at tau_k + w: b_k then counts the months of the window, and a
  column of its own, with a coefficient of its own, those of the rest of the cycle;
- with a lag l and a half-life h, the change sets in at s_k = tau_k + l and is halved every h months, and the one
  before it goes on until then: b_k(t) is the integral of 2^(-(u - s_k) / h) from s_k to min(t, s_{k+1}), and its
  coefficient is the change of the slope from lead-in at s_k;
- a curved course has a column t^2 / 2 besides, of natural history: its coefficient is by how much the slope grows in a
  month, whether anything is injected or not. The slope of the column t is then that at the first injection.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import inf, isfinite, log
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import xarray as xr
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


NATURAL = ("level", "slope", "curvature")
"""Names of the coefficients of natural history, the last of a curved course alone."""


@dataclass(frozen=True)
class Shape:
    """How changes act in time: by default at once, for the whole cycle, on a straight line.

    `window`: months after an injection that its change is about. `lag`: months until it sets in. `half_life`: months in
    which it is halved. `curved`: whether natural history has a curvature.
    Raises ValueError where `window` or `half_life` is not above 0, `lag` is not a finite number from 0, or a window is
    combined with a lag or a half-life.
    """

    window: float = inf
    lag: float = 0.0
    half_life: float = inf
    curved: bool = False

    def __post_init__(self) -> None:
        wrong = [
            f"{name} of {value} months: give a number above 0, or leave it out"
            for name, value in (("window", self.window), ("half_life", self.half_life))
            if not value > 0
        ]
        if not (isfinite(self.lag) and self.lag >= 0):
            wrong.append(f"lag of {self.lag} months: give a finite number from 0")
        if self.window < inf and (self.lag > 0 or self.half_life < inf):
            wrong.append("a window with a lag or a half-life: the rest of a cycle would have no meaning; drop one")
        if wrong:
            raise ValueError("; ".join(wrong))

    @property
    def natural(self) -> tuple[str, ...]:
        """Names of the coefficients of natural history."""
        return NATURAL if self.curved else NATURAL[:-1]

    def changes(self, injections: Iterable[int]) -> tuple[str, ...]:
        """Name the coefficients of treatment, in the order of their columns."""
        parts = ("change",) if self.window == inf else ("change", "later")
        return tuple(f"{part} {k}" for k in injections for part in parts)

    def starts(self, injection_month: Floats) -> Floats:
        """Find the months at which each change sets in: (patient, injection) becomes (patient, segment)."""
        begin = injection_month + self.lag
        if self.window == inf:
            return begin
        # A cycle shorter than the window has no later part.
        end = np.fmin(begin + self.window, _following(begin))
        return np.stack([begin, end], axis=2).reshape(len(begin), -1)

    def columns(self, month: Floats, injection_month: Floats) -> Floats:
        """Evaluate the columns at months (visit,) after injections (visit, injection): (visit, coefficient).

        Months are counted from the first injection; an injection that was not given is NaN, and comes last.
        """
        natural = [np.ones_like(month), month, month**2 / 2][: len(self.natural)]
        spent = months_per_cycle(month, self.starts(injection_month))
        return np.column_stack([*natural, _worn_off(spent, self.half_life)])

    def values_in_cycles(self, month: Floats, patient: NDArray[np.intp], injection_month: Floats) -> NDArray[np.intp]:
        """Count the values that inform each change (patient, injection): those after it set in, until it ends.

        It ends on the day when the next one sets in, or the window does. `month` and `patient` are those of the values.
        """
        counts = np.zeros(injection_month.shape, dtype=np.intp)
        np.add.at(counts, patient, self._informs(month, patient, injection_month))
        return counts

    def middles(self, month: Floats, patient: NDArray[np.intp], injection_month: Floats) -> Floats:
        """Find the middle between when a change sets in and the last value that informs it: month (patient, injection).

        Over these months, a course without the change would have the slope that it has in their middle, on average.
        NaN where no value informs the change. `month` and `patient` are those of the values.
        """
        last = np.full(injection_month.shape, np.nan)
        inside = self._informs(month, patient, injection_month)
        np.fmax.at(last, patient, np.where(inside, month[:, None], np.nan))
        middle: Floats = (injection_month + self.lag + last) / 2
        return middle

    def _informs(self, month: Floats, patient: NDArray[np.intp], injection_month: Floats) -> NDArray[np.bool_]:
        """Say which values (visit,) inform which change: (visit, injection)."""
        begin = injection_month + self.lag
        end = np.fmin(np.nan_to_num(_following(begin), nan=inf), begin + self.window)
        return np.asarray((month[:, None] > begin[patient]) & (month[:, None] <= end[patient]))

    def recorded(self) -> dict[str, float | bool]:
        """Lay the shape out as numbers, to be kept with a fit."""
        return asdict(self)


PLAIN = Shape()
"""The straight line whose slope changes at each injection, at once and for the whole cycle."""


def shape_of(design: xr.Dataset) -> Shape:
    """Read a shape off the numbers that were kept: the `constant_data` of a fit has them."""
    window, lag, half_life = (float(design[name]) for name in ("window", "lag", "half_life"))
    return Shape(window, lag, half_life, curved=bool(design["curved"]))


def months_per_cycle(month: Floats, injection_month: Floats) -> Floats:
    """Count the months that each cycle has lasted by the time of each visit.

    `month` (visit,) and `injection_month` (visit, injection) are on one clock, in months; injections that were not
    given are NaN and come last. Returns (visit, injection): 0 before an injection, growing by one a month while it is
    the latest, constant from the next one on. The row sums are the months since the first injection.
    """
    start = np.where(np.isnan(injection_month), inf, injection_month)
    end = np.nan_to_num(_following(start), nan=inf, posinf=inf)
    elapsed = np.minimum(month[:, None], end) - start
    return np.where(elapsed > 0, elapsed, 0.0)


def _worn_off(spent: Floats, half_life: float) -> Floats:
    """Integrate 2^(-u / half_life) over the months that were spent, from 0."""
    if half_life == inf:
        return spent
    rate = log(2) / half_life
    return -np.expm1(-rate * spent) / rate


def _following(months: Floats) -> Floats:
    """Put beside each injection the month of the next: NaN after the last."""
    return np.concatenate([months[:, 1:], np.full((len(months), 1), np.nan)], axis=1)[:, : months.shape[1]]

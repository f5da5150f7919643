"""What follows what: the values of each patient in the order of time, and how a residual fades between them.

Residuals m months apart have correlation c^m, c being that at one month: a continuous-time autoregression of order 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

    Floats = NDArray[np.float64]

SHORTEST = 0.5
"""Months that values count as apart at the least. A residual that only fades would have to be the same in values of one
day, and a single pair of values from days apart that differ, as two ratings do, would rule any correlation out."""


@dataclass(frozen=True, eq=False)
class Sequence:
    """What comes before what: places of visits, whatever the order of rows.

    `previous` (visit,): the place of the same patient's value before, its own where there is none, as `first` (visit,)
    says. `months` (visit,): since that value, at least SHORTEST; 1 for first values. `number` (visit,): how many come
    before it.
    """

    previous: NDArray[np.intp]
    first: NDArray[np.bool_]
    months: Floats
    number: NDArray[np.intp]

    @property
    def steps(self) -> list[NDArray[np.intp]]:
        """Places of the first values, of the second ones, and so on."""
        return [np.flatnonzero(self.number == number) for number in range(int(self.number.max(initial=-1)) + 1)]


def sequence(patient: NDArray[np.intp], month: Floats) -> Sequence:
    """Put the visits of each patient in the order of time; `patient` and `month` are (visit,)."""
    order = np.lexsort((month, patient))
    first, previous = np.ones(len(order), dtype=bool), np.arange(len(order))
    later = patient[order][1:] == patient[order][:-1]
    first[order[1:]] = ~later
    previous[order[1:]] = np.where(later, order[:-1], order[1:])
    months = np.where(first, 1.0, np.maximum(month - month[previous], SHORTEST))
    number = np.zeros(len(order), dtype=np.intp)
    for place in order:
        number[place] = 0 if first[place] else number[previous[place]] + 1
    return Sequence(previous, first, months, number)


def apart(month: Floats) -> Floats:
    """Count the months between each two of a patient's values, as the residuals do: (visit, visit)."""
    order = np.argsort(month, kind="stable")
    since = np.empty(len(month))
    since[order] = np.concatenate([[0.0], np.cumsum(np.maximum(np.diff(month[order]), SHORTEST))])
    return np.abs(since[:, None] - since)


def left_and_new(correlation: Floats, order: Sequence) -> tuple[Floats, Floats]:
    """Find how much of the residual before is left, and the variance of what is new, of 1: as `correlation` (..., 1).

    Returns (..., visit) each.
    """
    faded = order.months * np.log(correlation)
    # 1 - f^2 by its logarithm, exact also where f is near 1.
    return np.where(order.first, 0.0, np.exp(faded)), np.where(order.first, 1.0, -np.expm1(2.0 * faded))


def fading(z: TensorVariable, sigma: TensorVariable, correlation: TensorVariable, order: Sequence) -> TensorVariable:
    """Turn independent standard normals (visit,) into residuals that fade: (visit,)."""
    import pytensor.tensor as pt

    left = pt.switch(order.first, 0.0, correlation**order.months)
    residual = sigma * z * pt.sqrt(1.0 - left**2)
    for here in order.steps[1:]:
        residual = residual[here].inc(left[here] * residual[order.previous[here]])
    return residual

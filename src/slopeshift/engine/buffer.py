"""What a density that is compiled once works on: arrays of all shapes in one buffer, for a C function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numba import types

from slopeshift.engine.compiling import compiled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

AXES = 3
"""Dimensions that an array has in a buffer: the first ones of one with fewer have length 1."""

NUMBERS = types.CPointer(types.double)
DENSITY = types.int64(types.uint64, NUMBERS, NUMBERS, NUMBERS, types.voidptr)
"""What nutpie calls a density with: dimension, point, gradient, value, buffer."""
REPORT = types.int64(types.uint64, types.uint64, NUMBERS, NUMBERS, types.voidptr)
"""What nutpie calls for a draw: dimension, width, point, what is reported of it, buffer."""

UNUSABLE = 1
"""What a C function returns where the density is not finite; nutpie takes a number above 0 for a divergence."""


class Density(Protocol):
    """A log density that is compiled once, with the data of one model: where it is sampled, and what is reported."""

    @property
    def exchangeable(self) -> tuple[str, ...]:
        """Names of the data that may be exchanged."""

    @property
    def width(self) -> int:
        """How many numbers are reported of a draw."""

    def exchanged(self, **data: Any) -> Self:
        """Exchange data by name."""

    @property
    def buffer(self) -> Floats:
        """The data laid out for the C functions: (number,)."""

    def start(self) -> Floats:
        """Give the point where chains start, jitter apart: (dimension,)."""

    def evaluate(self, point: Floats) -> tuple[float, Floats]:
        """Evaluate the log density and its gradient at a point (dimension,)."""

    def prior(self, draws: int, rng: np.random.Generator) -> Floats:
        """Draw from the prior what is reported of a draw: (draw, width)."""

    def c_density(self) -> Any:
        """Compile, or load, the C function of the density: see DENSITY."""

    def c_report(self) -> Any:
        """Compile, or load, the C function of what is reported: see REPORT."""


def laid_out(arrays: Iterable[Any]) -> Floats:
    """Lay arrays out one after another, behind a head that says where and of what shape: (number,).

    The head has the length of the buffer, then of each array its place and AXES lengths.
    """
    found = [np.atleast_1d(np.asarray(each, dtype=float)) for each in arrays]
    sizes = np.cumsum([1 + (1 + AXES) * len(found), *(each.size for each in found)])
    head = [sizes[-1]]
    for place, each in zip(sizes, found, strict=False):
        head += [place, *(1,) * (AXES - each.ndim), *each.shape]
    return np.concatenate([np.array(head, dtype=float), *(each.ravel() for each in found)])


def places(number: int) -> tuple[float, ...]:
    """Number the arrays of a buffer for `array`: with floats, as it would be compiled anew for every integer."""
    return tuple(map(float, range(number)))


@compiled
def array(data, which):
    """Find an array in a buffer, with three dimensions; `which` is one of its `places`."""
    first = 1 + (1 + AXES) * int(which)
    head = data[first : first + 1 + AXES]
    place, a, b, c = int(head[0]), int(head[1]), int(head[2]), int(head[3])
    return data[place : place + a * b * c].reshape((a, b, c))

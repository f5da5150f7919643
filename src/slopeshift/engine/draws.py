"""Draws as arrays: what every layer that reads them needs first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray


def flat(values: xr.DataArray) -> NDArray[np.float64]:
    """Put chains after each other: (chain, draw, ...) becomes (draw, ...)."""
    array = values.transpose("chain", "draw", ...).to_numpy()
    return np.ascontiguousarray(array.reshape(-1, *array.shape[2:]))


def evenly(draws: xr.Dataset, most: int) -> NDArray[np.intp]:
    """Choose at least one and at most so many draws, evenly spaced, by their place in what `flat` returns."""
    number = draws.sizes["chain"] * draws.sizes["draw"]
    return np.linspace(0, number - 1, min(number, max(most, 1))).astype(np.intp)

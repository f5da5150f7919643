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

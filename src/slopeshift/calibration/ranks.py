"""The rank of a true value among draws from its posterior: uniform where the posterior is right.

Talts, Betancourt, Simpson, Vehtari and Gelman 2018, arXiv 1804.06788.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

RANKED = 99
"""Draws among which a true value is ranked: ranks are 0 ... 99."""


def thinned(draws: xr.Dataset) -> xr.Dataset:
    """Keep RANKED evenly spaced draws, chains laid after each other: one chain of them.

    Ranks among correlated draws are not uniform even where the posterior is right.
    """
    number, length = draws.sizes["chain"] * draws.sizes["draw"], draws.sizes["draw"]
    place = ((np.arange(RANKED) + 0.5) * number / RANKED).astype(int)
    kept = draws.isel(chain=("kept", place // length), draw=("kept", place % length))
    kept = kept.drop_vars(["chain", "draw"]).rename(kept="draw").assign_coords(draw=np.arange(RANKED))
    return kept.expand_dims(chain=[0])


def ranks(true: xr.Dataset, draws: xr.Dataset, rng: np.random.Generator) -> dict[str, int]:
    """Count, of every quantity, the draws below its true value; among draws equal to it the rank is drawn at random."""
    found = {}
    for name, values in draws.data_vars.items():
        truth = float(true[name].squeeze())
        below, equal = int((values < truth).sum()), int((values == truth).sum())
        found[str(name)] = below + int(rng.integers(equal + 1))
    return found

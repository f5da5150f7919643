"""The rank of a true value among draws from its posterior: uniform where the posterior is right.

Talts, Betancourt, Simpson, Vehtari and Gelman 2018, arXiv 1804.06788.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]

RANKED = 99
"""Draws among which a true value is ranked: ranks are 0 ... 99."""


def places(chains: int, draws: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose RANKED evenly spaced draws, chains laid after each other: the chain and the draw of each.

    Ranks among correlated draws are not uniform even where the posterior is right.
    """
    place = ((np.arange(RANKED) + 0.5) * (chains * draws) / RANKED).astype(np.intp)
    return place // draws, place % draws


def thinned(posterior: Posterior) -> Posterior:
    """Keep the draws that true values are ranked among, as one chain."""
    draws = posterior.draws
    chain, draw = places(draws.sizes["chain"], draws.sizes["draw"])
    kept = draws.isel(chain=("kept", chain), draw=("kept", draw)).drop_vars(["chain", "draw"])
    return posterior.with_draws(kept.rename(kept="draw").assign_coords(draw=np.arange(RANKED)).expand_dims(chain=[0]))


def ranks(true: Mapping[str, float], draws: Mapping[str, Floats], rng: np.random.Generator) -> dict[str, int]:
    """Count, of every quantity, the draws below its true value; among draws equal to it the rank is drawn at random."""
    found = {}
    for name, values in draws.items():
        below, equal = int((values < true[name]).sum()), int((values == true[name]).sum())
        found[name] = below + int(rng.integers(equal + 1))
    return found

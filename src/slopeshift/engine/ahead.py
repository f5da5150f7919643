"""What fits of all models share, compiled ahead of the first of them: programs that do not wait for each other.

Each leaves on disk what it compiled. Types are those that fits have, so that nothing is compiled again (see the tests).
"""

from __future__ import annotations

import numpy as np

from slopeshift.engine import beside, correlated, density, kernel, sampled
from slopeshift.engine.simd import LANES


def densities(kind: str) -> None:
    """Compile the density of exact models, of a kind of `density.KINDS`."""
    density.c_density(kind)


def draws(kind: str) -> None:
    """Compile what turns draws of exact models into those that are stored: what is reported, and coefficients."""
    density.c_report()
    density.reports(np.empty((0, 1)), 1, np.zeros(1))
    none, one, rows = np.empty(0), np.ones((1, 1)), np.empty((1, 4, LANES))
    rest = (one, np.ones(1), np.random.default_rng(0), np.empty((0, 1)), np.empty((0, 1, 1)), np.empty((0, 1)))
    if kind == density.IN_TIME:
        correlated.draw_back(np.empty((0, 1, 1)), none, none, rows, *rest)
    else:
        kernel.draw_back(np.empty((0, 1, 1)), none, np.empty((0, 1)), rows, *rest)


def patients() -> None:
    """Compile the density of models that sample their patients, and what is reported of their draws."""
    sampled.c_density()
    sampled.c_report()


def regression() -> None:
    """Compile the density of exact models with a regression beside them."""
    beside.c_density()
    beside.c_report()

"""The answer of an exact model whose patients were chosen by entry rules, by Laplace's approximation.

Given loading and sigma, the log density of the terms c, less their prior mean, is that of a normal but for the factor
of entry F, which is smooth:

    log p(c | y) = b'c - c'Q c / 2 + F(B c),     b = B' sum_i H_i (W_i'y_i - S_i B m),     Q as in `linear`

The answer is taken at the mode, and its variance is that of the normal with the same curvature there. F is that of
`entry.log_factor`; few terms act on it, so its second derivatives are differences of its gradient. Symbols are those of
`linear`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.engine.entry import log_factor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

STEP = 1e-5
"""Step of the differences, in prior SDs of a term."""

CLOSE = 1e-4
"""Prior SDs that a term moves in a step of Newton's method below which the mode is found."""

STEPS = 50
"""Steps after which it is given up."""


@dataclass(frozen=True, eq=False)
class Entered:
    """What decides the factor of entry for one draw: loading (p, q), residual variance, and the rules (group, column).

    `design` (p, m) gives the columns' coefficients from the terms, whose prior SDs are `sd` (m,); `touched` (m,) says
    which terms act on the rules.
    """

    loading: Floats
    variance: float
    rules: Floats
    design: Floats
    sd: Floats
    touched: NDArray[np.bool_]

    def gradient(self, moved: Floats) -> Floats:
        """Differentiate log F by the terms, less their prior mean: (m,). Not finite where nobody would enter."""
        found: Floats = self.design.T @ log_factor(self.loading, self.variance, self.design @ moved, self.rules)[3]
        return found

    def curvature(self, moved: Floats, gradient: Floats) -> Floats:
        """Differentiate log F twice by the terms, given its gradient there: (m, m)."""
        found = np.zeros((len(self.sd), len(self.sd)))
        for place in np.flatnonzero(self.touched):
            beside = moved.copy()
            beside[place] += STEP * self.sd[place]
            found[:, place] = (self.gradient(beside) - gradient) / (STEP * self.sd[place])
        return (found + found.T) / 2


def mode(entered: Entered, information: Floats, pull: Floats) -> tuple[Floats, Floats]:
    """Find the mode of the terms, less their prior mean (m,), and their covariance (m, m), by Newton's method.

    `information` is Q (m, m) and `pull` is b (m,). A step that would leave the density without a maximum is one of the
    normal alone. Raises ValueError where none is found in STEPS steps.
    """
    moved = np.linalg.solve(information, pull)
    for _ in range(STEPS):
        gradient = entered.gradient(moved)
        bent = information - entered.curvature(moved, gradient)
        if not np.isfinite(bent).all() or np.linalg.eigvalsh(bent)[0] <= 0:
            bent = information
        step = np.linalg.solve(bent, pull - information @ moved + gradient)
        moved = moved + step
        if (np.abs(step) < CLOSE * entered.sd).all():
            return moved, np.linalg.inv(bent)
    raise ValueError(_NONE)


def mode_near(
    entered: Entered, information: Floats, pull: Floats, near: Floats, covariance: Floats, pull_there: Floats
) -> Floats:
    """Find the mode (m,) of other values, near that of values with `pull_there`, by steps with the curvature there.

    Raises ValueError where it is not found in STEPS steps.
    """
    moved = near + covariance @ (pull - pull_there)
    for _ in range(STEPS):
        step = covariance @ (pull - information @ moved + entered.gradient(moved))
        moved = moved + step
        if (np.abs(step) < CLOSE * entered.sd).all():
            return moved
    raise ValueError(_NONE)


_NONE = f"no mode of the terms was found in {STEPS} steps: hardly anybody would meet the rules of entry"

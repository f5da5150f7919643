"""A linear regression whose intercept differs between groups, drawn from its posterior exactly: no chains.

    y = X beta + u_group + e,   u ~ Normal(0, tau),   e ~ Normal(0, sigma),   beta ~ Normal(m, diag(s^2))

Given tau and sigma, y is normal, with covariance Omega = sigma^2 I + tau^2 (1 within a group) in blocks, and so is beta
given y, with precision Q = X'Omega^-1 X + diag(s^-2). With n_i, X_i and y_i the number and the sums of the rows of
group i, and w_i = tau^2 / (sigma^2 + n_i tau^2),

    X'Omega^-1 X = (X'X - sum w_i X_i X_i') / sigma^2,    likewise X'Omega^-1 y and y'Omega^-1 y
    log|Omega|   = n log sigma^2 + sum log(1 + n_i tau^2 / sigma^2)
    log p(y)     = -1/2 (log|Omega| + y'Omega^-1 y + log|Q| - b'Q^-1 b) + what is constant,   b = X'Omega^-1 y + m / s^2

Both standard deviations have half-normal priors, and are drawn from a grid on the log scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LOWEST, HIGHEST = (1e-3, 1e-5), 6.0
"""Where tau and sigma are looked for, in multiples of their priors': up to the largest value, where that is larger."""

POINTS, FINER = 24, 32
"""Points of the grid for each standard deviation: where it is looked for, and where it is drawn from."""

BEYOND = 25.0
"""Log density below the largest one at which a point of the first grid is left out."""

TOGETHER = 500
"""Data sets that are drawn for at a time, which bounds the memory that many of them take."""


@dataclass(frozen=True, eq=False)
class Regression:
    """Rows X (row, term), the group of each (row,), and the priors: of terms (term,), and the SDs of both half-normals.

    `sd_between` is that of tau, `sd_within` that of sigma.
    """

    rows: Floats
    group: NDArray[np.intp]
    mean: Floats
    sd: Floats
    sd_between: float
    sd_within: float

    def draw(self, values: Floats, rng: np.random.Generator) -> Floats:
        """Draw the terms once from the posterior of each data set y: (set, row) to (set, term)."""
        parts = [values[at : at + TOGETHER] for at in range(0, len(values), TOGETHER)]
        largest = np.abs(values).max() / np.array([self.sd_between, self.sd_within])
        low, high = np.log(LOWEST), np.log(np.maximum(2 * largest, HIGHEST))
        grid, step = self._grid([*np.linspace(low, high, POINTS).T]), (high - low) / (POINTS - 1)
        logs = grid.logs[np.any([self._likely(grid, part) for part in parts], axis=0)]
        ends = zip(logs.min(axis=0) - step, logs.max(axis=0) + step, strict=True)
        finer = self._grid([np.linspace(*each, FINER) for each in ends])
        return np.concatenate([self._drawn(finer, part, rng) for part in parts])

    def _grid(self, axes: list[Floats]) -> _Grid:
        """Lay out every pair of standard deviations, given the logarithms of each in multiples of its prior's."""
        logs = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
        between, within = (np.exp(logs) * [self.sd_between, self.sd_within]).T[:, :, None]
        counts, sums = self._sums(np.ones(len(self.group))), self._sums(self.rows.T)
        weight = between**2 / (within**2 + counts * between**2)
        # X'Omega^-1, (point, term, row).
        across = (self.rows.T - weight[:, None, self.group] * sums[:, self.group]) / within[:, None] ** 2
        root = np.linalg.cholesky(across @ self.rows + np.diag(self.sd**-2.0))
        log_det = len(self.group) * 2 * np.log(within[:, 0]) + np.log1p(counts * (between / within) ** 2).sum(axis=1)
        log_det += 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
        # Half-normal priors, and the Jacobians of the logarithms.
        log_prior = (logs - 0.5 * np.exp(2 * logs)).sum(axis=1)
        prior = np.broadcast_to((self.mean / self.sd**2)[:, None], (len(logs), len(self.mean), 1))
        half = np.linalg.solve(root, np.concatenate([across, prior], axis=2))
        return _Grid(logs, within[:, 0] ** -2.0, weight, root, half, log_prior - 0.5 * log_det)

    def _likely(self, grid: _Grid, values: Floats) -> NDArray[np.bool_]:
        """Say which points are likely enough for any of the data sets: (point,)."""
        density = self._density(grid, values)[0]
        return np.asarray((density > density.max(axis=1, keepdims=True) - BEYOND).any(axis=0))

    def _density(self, grid: _Grid, values: Floats) -> tuple[Floats, Floats]:
        """Evaluate the log density of each point, (set, point), and L^-1 b there, (term, set, point)."""
        half = np.stack([values @ each[:, :-1].T + each[:, -1] for each in grid.half.swapaxes(0, 1)])
        squares = (values**2).sum(axis=1)[:, None] - self._sums(values) ** 2 @ grid.weight.T
        return grid.fixed - 0.5 * (squares * grid.precision - (half**2).sum(axis=0)), half

    def _drawn(self, grid: _Grid, values: Floats, rng: np.random.Generator) -> Floats:
        density, half = self._density(grid, values)
        share = np.cumsum(np.exp(density - density.max(axis=1, keepdims=True)), axis=1)
        point = (share < rng.random((len(values), 1)) * share[:, -1:]).sum(axis=1)
        moved = half[:, np.arange(len(values)), point].T + rng.standard_normal((len(values), len(self.mean)))
        found: Floats = np.linalg.solve(grid.root[point].swapaxes(1, 2), moved[..., None])[..., 0]
        return found

    def _sums(self, values: Floats) -> Floats:
        """Add values (..., row) up within groups: (..., group)."""
        found: Floats = values @ (self.group[:, None] == np.arange(self.group.max() + 1)).astype(float)
        return found


@dataclass(frozen=True, eq=False)
class _Grid:
    """Pairs of tau and sigma, and what does not depend on y there.

    `logs` (point, 2) are their logarithms in multiples of their priors'. `precision` is sigma^-2 (point,), `weight` w
    (point, group), `root` L of Q = LL' (point, term, term), `half` L^-1 (X'Omega^-1, m / s^2) (point, term, row + 1),
    and `fixed` the part of the log density without y (point,).
    """

    logs: Floats
    precision: Floats
    weight: Floats
    root: Floats
    half: Floats
    fixed: Floats

"""Whether a formula's model with its terms integrated out is the one that Bambi states: compared before it is sampled.

Bambi's model has every parameter x as a variable, the exact one only the standard deviations s. At any point

    log p(x, y, s) = log p(y, s) + log p(x | y, s)

whose left side PyMC evaluates of Bambi's model, and the first term on the right of the exact one, both interpreted. The
last is a normal density, taken here in NumPy from the rows of the formula's terms. With Q the precision of x given y
and g the gradient of -log p(x, y | s) by x, it is (log|Q| - g'Q^-1 g - k log 2 pi) / 2 for k parameters. Patients are
independent given what they share, so Q is taken apart by them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slopeshift.design.visits import patient_sums
from slopeshift.engine.foreign import interpreted
from slopeshift.model.formula_exact import compile_as_written, written_out

if TYPE_CHECKING:
    import pymc as pm
    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.model.formula_exact import WrittenOut

    Floats = NDArray[np.float64]

POINTS = 3
"""Random points at which both sides are compared."""

CLOSE = 1e-8
"""Relative difference up to which they are the same: the order of sums differs."""


def as_stated(model: pm.Model, visits: Visits) -> pm.Model:
    """Return a model, or what Bambi states of it where the two differ, which is then compiled (see `ready`)."""
    if (written := written_out(model)) is None or (difference := largest_difference(model, visits)) < CLOSE:
        return model
    return compile_as_written(written.model, f"its density differs from Bambi's by {difference:.1e}")


def largest_difference(model: pm.Model, visits: Visits) -> float:
    """Find the largest relative difference between both sides at some points; NaN where one is not defined."""
    written = written_out(model)
    if written is None:
        raise ValueError("this model is no formula with its terms integrated out; there is nothing to compare it with")
    names = [term.name for term in (*written.common, *written.own)]
    wanted = [written.model[name] for name in (*names, *written.scales, "sigma")]
    joint = interpreted(written.model.value_vars, [written.model.logp(), *written.model.replace_rvs_by_values(wanted)])
    marginal, rng = interpreted(model.value_vars, model.logp()), np.random.default_rng(POINTS)
    found = []
    for _ in range(POINTS):
        point = _point(written, rng)
        stated, *values = joint(*point.values())
        ours = float(marginal(*(point[value.name] for value in model.value_vars)))
        ours += _given_values(written, visits, [np.asarray(value) for value in values])
        found.append(abs(ours - stated) / (1.0 + abs(stated)))
    return float(np.max(found))


def _point(written: WrittenOut, rng: np.random.Generator) -> dict[str, Floats]:
    """Choose a point of Bambi's model at random, by the names of its values: what is shared near its prior mean."""
    model = written.model
    near = dict(zip((term.name for term in written.common), zip(written.mean, written.sd, strict=True), strict=True))
    point = {}
    for variable, value in zip(model.free_RVs, model.value_vars, strict=True):
        shape = tuple(len(model.coords[dim]) for dim in model.named_vars_to_dims.get(variable.name, ()))
        mean, sd = near.get(variable.name, (0.0, 1.0))
        point[value.name] = np.asarray(mean + sd * rng.uniform(-1.0, 1.0, shape))
    return point


def _given_values(written: WrittenOut, visits: Visits, values: list[Floats]) -> float:
    """Take log p(x | y, s), over what Bambi's model samples.

    `values` are the parameters of the common terms, those of patients (patient,), their standard deviations, and sigma.
    """
    m, q = len(written.common), len(written.own)
    shared, own = np.array(values[:m], dtype=float).ravel(), np.stack(values[m : m + q], axis=1)
    scales, variance = np.array(values[m + q : -1], dtype=float), float(values[-1]) ** 2
    rows = np.hstack([term.column for term in (*written.own, *written.common)])
    left = visits.value - rows[:, q:] @ shared - (rows[:, :q] * own[visits.patient_index]).sum(axis=1)
    grams, moments, _, _ = patient_sums(rows, left, visits.patient_index, len(own))
    grams, moments = grams / variance, moments / variance
    by_own = own / scales**2 - moments[:, :q]
    by_shared = (shared - written.mean) / written.sd**2 - moments[:, q:].sum(axis=0)
    inside, across = grams[:, :q, :q] + np.diag(scales**-2.0), grams[:, :q, q:]
    solved = np.linalg.solve(inside, np.concatenate([across, by_own[:, :, None]], axis=2))
    rest = np.diag(written.sd**-2.0) + (grams[:, q:, q:] - across.transpose(0, 2, 1) @ solved[:, :, :m]).sum(axis=0)
    score = by_shared - np.einsum("iqm,iq->m", across, solved[:, :, m])
    squares = (by_own * solved[:, :, m]).sum() + score @ np.linalg.solve(rest, score)
    log_det = np.linalg.slogdet(inside)[1].sum() + np.linalg.slogdet(rest)[1]
    # Of a standard normal times its standard deviation, the density is over the former.
    moved = len(own) * np.log(np.abs(scales[np.array(written.standardised)])).sum()
    return float(0.5 * (log_det - squares - (m + own.size) * np.log(2 * np.pi)) + moved)

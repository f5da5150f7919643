"""Null trials: a trial's own patients, visits and injection times, with values in which nothing changed.

Blocks of trials are drawn from their own seeds, so that what is drawn does not depend on how the work was divided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slopeshift.classical import lead_in_ends
from slopeshift.trial.roles import improvement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.null.population import Population
    from slopeshift.trial import Outcome

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]

BLOCK = 500
"""Trials that are drawn from one seed, and analysed at a time."""


class NullError(ValueError):
    """A null trial cannot be simulated, or says nothing, for the reason that the text gives."""


LARGEST_SEARCH = 500
"""Times that a patient is drawn again before an entry rule is called impossible."""


def null_values(
    visits: Visits, population: Population, trials: int, seed: int, minimum_loss: float | None = None
) -> Iterator[Floats]:
    """Draw null trials in blocks: values (trial, visit) at the visits of a trial, at most BLOCK of them at a time.

    Values are rounded and kept within the scale as the outcome demands. With `minimum_loss`, an injected patient with
    two lead-in values or more is drawn again until at least so much is lost, as patients worsen, from the first one to
    the last one before injection 1, as a trial with such an entry rule would choose. Raises NullError where nobody can
    meet the rule.
    """
    for block in range(-(-trials // BLOCK)):
        rng = np.random.default_rng([seed, block])
        # A last block that is not full is drawn whole, so that fewer trials are always the first of more.
        yield _trials(rng, visits, population, BLOCK, minimum_loss)[: trials - block * BLOCK]


def null_trial(
    visits: Visits, population: Population, rng: np.random.Generator, minimum_loss: float | None = None
) -> Floats:
    """Draw one null trial, as `null_values` does: its values (visit,)."""
    values: Floats = _trials(rng, visits, population, 1, minimum_loss)[0]
    return values


def _trials(
    rng: np.random.Generator, visits: Visits, population: Population, trials: int, minimum_loss: float | None
) -> Floats:
    version = population.versions(rng, trials)
    values = _drawn(rng, visits, population, version)
    if minimum_loss is not None:
        _select(rng, visits, population, version, values, minimum_loss)
    return values


def recorded(values: Floats, outcome: Outcome) -> Floats:
    """Turn values into what would be written down: whole where the outcome is, and within the ends of its scale."""
    shown: Floats = np.round(values) if outcome.integer else values
    kept: Floats = np.clip(shown, *outcome.ends) + 0.0  # no negative zero
    return kept


def _drawn(rng: np.random.Generator, visits: Visits, population: Population, version: Places) -> Floats:
    level, slope, curvature, residual = population.draw(rng, version, len(visits.patients))
    of, month = visits.patient_index, visits.month
    mean = level[:, of] + slope[:, of] * month + curvature[:, of] * month**2 / 2
    return recorded(mean + residual[:, None] * rng.standard_normal(mean.shape), visits.outcome)


def _select(
    rng: np.random.Generator, visits: Visits, population: Population, version: Places, values: Floats, least: float
) -> None:
    """Draw patients who lost too little again, in place, from the same population; the others of a trial stay."""
    first, last = lead_in_ends(visits.patient_index, visits.month, visits.injection_month)
    judged = (first >= 0) & (first != last)
    for _ in range(LARGEST_SEARCH):
        short = judged & (improvement(values[:, first] - values[:, last], visits.outcome.sign) < least)
        again = np.flatnonzero(short.any(axis=1))
        if not len(again):
            return
        fresh = _drawn(rng, visits, population, version[again])
        values[again] = np.where(short[again][:, visits.patient_index], fresh, values[again])
    raise NullError(
        f"no patient of {population.name!r} lost {least:g} {visits.outcome.unit} or more before injection 1 in "
        f"{LARGEST_SEARCH} draws: lower the minimum loss"
    )

"""Null trials: a trial's own patients, visits and injection times, with values in which nothing changed.

Blocks of trials are drawn from their own seeds, so that what is drawn does not depend on how the work was divided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from slopeshift.null.population import entry_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from slopeshift.design.entry import Conditions
    from slopeshift.design.visits import Visits
    from slopeshift.null.population import Population
    from slopeshift.trial import Outcome

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]

BLOCK = 500
"""Trials that are drawn from one seed, and analysed at a time."""


class NullError(ValueError):
    """A null trial cannot be simulated, or says nothing, for the reason that the text gives."""


LARGEST_SEARCH, TRIED = 5000, 10_000
"""Times that a patient is drawn again, and patients drawn in all, before an entry rule is called impossible."""

RAREST = 0.01
"""Share of the patients drawn who meet an entry rule, below which it is one that is almost never met."""


def null_values(
    visits: Visits, population: Population, trials: int, seed: int, entry: Conditions | None = None
) -> Iterator[Floats]:
    """Draw null trials in blocks: values (trial, visit) at the visits of a trial, at most BLOCK of them at a time.

    Values are rounded and kept within the scale as the outcome demands. With conditions of `entry`, whoever breaks one
    is replaced by another patient of the population until nobody does. Values that conditions use and visits lack are
    drawn too, at their own times. Raises NullError where conditions are almost never met.
    """
    for block in range(-(-trials // BLOCK)):
        rng = np.random.default_rng([seed, block])
        # A last block that is not full is drawn whole, so that fewer trials are always the first of more.
        yield _trials(rng, visits, population, BLOCK, entry)[: trials - block * BLOCK]


def null_trial(
    visits: Visits, population: Population, rng: np.random.Generator, entry: Conditions | None = None
) -> Floats:
    """Draw one null trial, as `null_values` does: its values (visit,)."""
    values: Floats = _trials(rng, visits, population, 1, entry)[0]
    return values


def _trials(
    rng: np.random.Generator, visits: Visits, population: Population, trials: int, entry: Conditions | None
) -> Floats:
    version = population.versions(rng, trials)
    if entry is None:
        return _drawn(rng, visits, population, version)
    values = _drawn(rng, visits, population, version, entry)
    _select(rng, visits, population, version, values, entry)
    return values[:, : len(visits.value)]


def recorded(values: Floats, outcome: Outcome) -> Floats:
    """Turn values into what would be written down: whole where the outcome is, and within the ends of its scale."""
    shown: Floats = np.round(values) if outcome.integer else values
    kept: Floats = np.clip(shown, *outcome.ends) + 0.0  # no negative zero
    return kept


def _drawn(
    rng: np.random.Generator, visits: Visits, population: Population, version: Places, entry: Conditions | None = None
) -> Floats:
    """Draw values (trial, visit then other), `other` being those that conditions of entry use besides."""
    level, slope, residual = population.draw(rng, version, len(visits.patients))
    index, month = _seen(visits, entry)
    mean = level[:, index] + slope[:, index] * month
    return recorded(mean + residual[:, None] * rng.standard_normal(mean.shape), visits.outcome)


def _seen(visits: Visits, entry: Conditions | None) -> tuple[Places, Floats]:
    """Give patient and month of every value to be drawn: (visit then other,) each."""
    if entry is None:
        return visits.patient_index, visits.month
    index = np.concatenate([visits.patient_index, entry.other_index])
    return index, np.concatenate([visits.month, entry.other_month])


def _select(
    rng: np.random.Generator,
    visits: Visits,
    population: Population,
    version: Places,
    values: Floats,
    entry: Conditions,
) -> None:
    """Draw patients who break a rule again, in place, from the same population; the others of a trial stay."""
    index, _ = _seen(visits, entry)
    refused = ~entry.met(values, rng)
    tried, met = refused.size, refused.size - int(refused.sum())
    for _ in range(LARGEST_SEARCH):
        again = np.flatnonzero(refused.any(axis=1))
        if not len(again):
            return
        if tried >= TRIED and met < RAREST * tried:
            break
        fresh = _drawn(rng, visits, population, version[again], entry)
        wanted = refused[again]
        values[again] = np.where(wanted[:, index], fresh, values[again])
        refused[again] = wanted & ~entry.met(fresh, rng)
        tried, met = tried + int(wanted.sum()), met + int(wanted.sum() - refused[again].sum())
    raise NullError(
        f"{population.name!r} almost never meets the entry rule: {met} of {tried} patients drawn did "
        f"({entry_words(entry, visits.outcome)}). Correct the rule in trial.toml, or take another population"
    )

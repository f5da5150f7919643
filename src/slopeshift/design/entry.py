"""Entry rules turned into limits on linear combinations of values, and of a patient's coefficients.

A patient entered because `lower <= c . u <= upper` for every condition, u being values up to injection 1. Before the
values are seen, c . u is normal with mean a . theta, where a = U' c has the rows U of the basis at the times of u, and
residual variance sigma^2 c . c. Limits are in outcome units, whatever the rule is about:

- a slope of at most k between values d months apart is a difference of at most k d;
- a slope from onset of at least q is `-y >= q m - best`, m months after onset;
- a decline of at least q percent is `(1 - q / 100) y_0 - y_1 >= 0`.

Whole scores lie on a lattice, and the limit that a normal distribution of unrounded scores meets as often lies halfway
between the last value let in and the first refused: "at least 3 points" is 2.5, "above 20" is 20.5. The correction is
Yates' for continuity. Ascertainment by such a combination of values: Schildcrout, Garbett and Heagerty 2013, Biometrics
69:405, doi 10.1111/biom.12013.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, inf
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.trial.columns import EXEMPT
from slopeshift.trial.entry import SAME, used

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.trial import Trial
    from slopeshift.trial.entry import EntryRule, Used
    from slopeshift.trial.roles import Outcome

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]

MODELLED = 2
"""Conditions on one outcome that a selection takes: with more, the chance of entry has no closed form."""

KNOWN = "entry_weight"
"""What the `constant_data` of a fit has, if its likelihood is of patients whom rules chose."""

_ABSENT = -1
_FINEST = 1000  # a lattice of 1 / 1000 of a point and finer is none


class EntryError(ValueError):
    """An entry rule cannot be applied to a trial, or is hardly ever met; the text says which, why, and what to do."""


@dataclass(frozen=True, eq=False)
class Conditions:
    """Every condition that the entry rules put on the values of one outcome; a rule in percent has one a limit.

    Arrays are by patient, condition and, last, the one or two values of a condition: `weight` and `month` (patient,
    condition, value), a weight of 0 where there is only one; `place` the same, of each value among the visits followed
    by those that the visits do not have, which are of patients `other_index` at months `other_month` (other,); `lower`
    and `upper` (patient, condition) in outcome units, infinite where open; `spread` (condition,), the SD of a
    judgement; `judged` (patient,), False for who is exempt or has no value; `recorded` (condition,), whether the visits
    have the values of everyone who was judged. `rules` has the rule of each.
    """

    rules: tuple[EntryRule, ...]
    weight: Floats
    month: Floats
    place: Places
    lower: Floats
    upper: Floats
    spread: Floats
    judged: NDArray[np.bool_]
    recorded: NDArray[np.bool_]
    other_index: Places
    other_month: Floats

    @property
    def first(self) -> Places:
        """Places of the conditions that a selection takes: the first MODELLED, recorded ones before others."""
        return np.argsort(~self.recorded, kind="stable")[:MODELLED]

    def modelled(self) -> Conditions | None:
        """Return those of a selection that a likelihood of the visits alone can take into account: None if none."""
        kept = self.first[self.recorded[self.first]]
        if not len(kept):
            return None
        by_patient = {name: getattr(self, name)[:, kept] for name in ("weight", "month", "place", "lower", "upper")}
        rules = tuple(self.rules[place] for place in kept)
        return replace(self, rules=rules, **by_patient, spread=self.spread[kept], recorded=self.recorded[kept])

    def met(self, values: Floats, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Say which patients enter with values (trial, visit then other): (trial, patient), True for who is exempt.

        Judgements are drawn from `rng`.
        """
        combined = (self.weight * values[:, self.place]).sum(axis=-1)
        judged = combined + self.spread * rng.standard_normal(combined.shape) if self.spread.any() else combined
        inside = (judged >= self.lower - SAME) & (judged <= self.upper + SAME)
        return np.asarray(inside.all(axis=-1) | ~self.judged)


@dataclass(frozen=True, eq=False)
class Selection:
    """The conditions of entry as the coefficients see them, patients with equal ones taken together.

    `a` (group, rule, coefficient) over all coefficients of the visits, 0 for changes; `gram` (group, rule, rule) the
    products c_r . c_s; `lower` and `upper` (group, rule) in outcome units, infinite where open; `spread` (rule,);
    `count` (group,) patients; `group_of` (patient,), -1 for who is exempt. `recorded` (rule,) says whether the values
    are among the visits. Only then is the chance of entry given the values a constant, and dividing the likelihood by
    the chance before they are seen right. `refused` counts who was refused by these rules, None where it is not stated.
    `weight` (rule, visit) is that of each value in its patient's condition, 0 of the others.

    Groups are by visit times and limits alone: covariates and dependent residuals are the model's matter.
    """

    a: Floats
    gram: Floats
    lower: Floats
    upper: Floats
    spread: Floats
    count: Places
    group_of: Places
    recorded: NDArray[np.bool_]
    refused: int | None
    weight: Floats


def known_to(design: xr.Dataset) -> bool:
    """Say whether the likelihood of a fit is of patients whom rules chose; `design` is its `constant_data`."""
    return KNOWN in design


def selection(trial: Trial, visits: Visits, *, lattice: bool = True) -> Selection | None:
    """Take the first MODELLED conditions on the visits' outcome, recorded ones first: None where there is none.

    Without `lattice`, limits are those stated, for values that were never rounded.
    """
    found = conditions(trial, visits, lattice=lattice)
    if found is None:
        return None
    chosen = found.first
    a, gram = _combined(visits, found, chosen)
    lower, upper = found.lower[:, chosen], found.upper[:, chosen]
    flat = np.column_stack([a.reshape(len(a), -1), gram.reshape(len(a), -1), lower, upper])
    rounded = np.round(flat[found.judged], 9)
    _, one, group, count = np.unique(rounded, axis=0, return_index=True, return_inverse=True, return_counts=True)
    group_of = np.full(len(flat), _ABSENT, dtype=np.intp)
    group_of[found.judged] = group
    first = np.flatnonzero(found.judged)[one]
    return Selection(
        a=a[first],
        gram=gram[first],
        lower=lower[first],
        upper=upper[first],
        spread=found.spread[chosen],
        count=count,
        group_of=group_of,
        recorded=found.recorded[chosen],
        refused=_refused(tuple(dict.fromkeys(found.rules[r] for r in chosen))),
        weight=np.stack([_by_visit(found, condition, len(visits.value)) for condition in chosen]),
    )


def _by_visit(found: Conditions, condition: int, number: int) -> Floats:
    """Lay the weights of a condition out over the visits: (visit,)."""
    weight, place = found.weight[:, condition].ravel(), found.place[:, condition].ravel()
    there = (place != _ABSENT) & (place < number)
    return np.bincount(place[there], weight[there], number)


def _combined(visits: Visits, found: Conditions, chosen: Places) -> tuple[Floats, Floats]:
    """Combine the rows of the basis, and the residuals, of each patient's values: U' c and c_r . c_s by patient."""
    weight, month = found.weight[:, chosen], np.nan_to_num(found.month[:, chosen])
    rows = np.stack([visits.basis_of(i, month[i].ravel()) for i in range(len(month))])
    rows = rows.reshape(*month.shape, -1)
    a = np.einsum("irv,irvp->irp", weight, rows)
    # Two conditions share a residual where they are about one value, that is one time.
    shared = np.abs(month[:, :, :, None, None] - month[:, None, None, :, :]) < SAME
    return a, np.einsum("irv,irvsw,isw->irs", weight, shared.astype(float), weight)


def _refused(rules: tuple[EntryRule, ...]) -> int | None:
    counts = [rule.refused for rule in rules if rule.refused is not None]
    return sum(counts) if len(counts) == len(rules) else None


def conditions(trial: Trial, visits: Visits, *, lattice: bool = True) -> Conditions | None:
    """Lay out every condition that the entry rules put on the visits' outcome: None where there is none.

    Rules see the values of the trial, whatever `visits` leaves out, and values count as recorded where `visits` has
    them. Without `lattice`, limits are those stated. Raises EntryError where somebody lacks a value that a rule needs.
    """
    parts = [
        (rule, part)
        for rule in trial.entry
        if rule.outcome == visits.outcome.name
        for part in _parts(rule, trial, visits, lattice)
    ]
    if not parts:
        return None
    stacked = {name: np.stack([part[name] for _, part in parts], axis=1) for name in parts[0][1]}
    rules = tuple(rule for rule, _ in parts)
    place = stacked["place"].astype(np.intp)
    # Of whom no value is left, nothing is said: that they entered says nothing either.
    judged = _judged(trial) & np.isin(np.arange(len(visits.patients)), visits.patient_index)
    absent = (place == _ABSENT) & (stacked["weight"] != 0) & judged[:, None, None]
    other = list(dict.fromkeys(zip(np.nonzero(absent)[0].tolist(), stacked["month"][absent].tolist(), strict=True)))
    places = {of: len(visits.value) + number for number, of in enumerate(other)}
    place[absent] = [
        places[of] for of in zip(np.nonzero(absent)[0].tolist(), stacked["month"][absent].tolist(), strict=True)
    ]
    return Conditions(
        rules=rules,
        weight=stacked["weight"],
        month=stacked["month"],
        place=place,
        lower=stacked["lower"],
        upper=stacked["upper"],
        spread=np.array([rule.spread for rule in rules]),
        judged=judged,
        recorded=~absent.any(axis=(0, 2)),
        other_index=np.array([patient for patient, _ in other], dtype=np.intp),
        other_month=np.array([month for _, month in other], dtype=float),
    )


def _judged(trial: Trial) -> NDArray[np.bool_]:
    """Say who had to meet the rules: all but those who are exempt."""
    given = trial.patients.get(EXEMPT)
    return np.ones(len(trial.patients), dtype=bool) if given is None else np.asarray(given != "yes")


def _parts(rule: EntryRule, trial: Trial, visits: Visits, lattice: bool) -> list[dict[str, Floats]]:
    """Split a rule into conditions with one set of weights each."""
    values = used(rule, trial.patients, trial.visits)
    if len(without := trial.patients["patient"][_judged(trial) & ~values.complete]):
        wanted = " and ".join(map(repr, rule.occasions))
        raise EntryError(f"{', '.join(without)}: no {rule.outcome} at {wanted}, which an entry rule needs")
    place = _places(visits, values)
    sides = [side for side in (rule.lower, rule.upper) if side is not None]
    apart = [(rule.lower, None), (None, rule.upper)] if rule.quantity == "decline_percent" and len(sides) == 2 else []
    return [
        _condition(rule, lower, upper, values, trial, visits.outcome, lattice) | {"place": _wide(place, _ABSENT)}
        for lower, upper in apart or [(rule.lower, rule.upper)]
    ]


def _condition(
    rule: EntryRule,
    lower: tuple[float, bool] | None,
    upper: tuple[float, bool] | None,
    values: Used,
    trial: Trial,
    outcome: Outcome,
    lattice: bool,
) -> dict[str, Floats]:
    """Write one condition as weights of values and limits on their sum, both in outcome units, by patient."""
    (stated,) = {side[0] for side in (lower, upper) if side is not None} if _in_percent(rule) else {0.0}
    weights = _weights(rule, outcome, stated)
    step = 0.0 if not (lattice and outcome.integer) else _step(weights)
    scale, shift = _limits(rule, values, trial, outcome)
    below, above = (
        np.full(len(scale), open_end) if side is None else _at_limit(scale * side[0] + shift, side[1], step, sign)
        for side, open_end, sign in ((lower, -inf, 1.0), (upper, inf, -1.0))
    )
    weight = np.tile(_wide(np.array([weights]), 0.0), (len(scale), 1))
    return {"weight": weight, "month": _wide(values.month, np.nan), "lower": below, "upper": above}


def _in_percent(rule: EntryRule) -> bool:
    return rule.quantity == "decline_percent"


def _weights(rule: EntryRule, outcome: Outcome, percent: float) -> list[float]:
    sign = float(outcome.sign)
    return {
        "score": [1.0],
        "loss": [sign, -sign],
        "slope": [-1.0, 1.0],
        "slope_from_onset": [-sign],
        "decline_percent": [sign - percent / 100, -sign],
    }[rule.quantity]


def _limits(rule: EntryRule, values: Used, trial: Trial, outcome: Outcome) -> tuple[Floats, Floats]:
    """What a stated limit is multiplied by, and what is added to it, to be one on the weighted sum: (patient,) each."""
    count = len(values.month)
    if rule.quantity == "slope":
        return values.month[:, 1] - values.month[:, 0], np.zeros(count)
    if rule.quantity == "slope_from_onset":
        assert outcome.best is not None
        onset = trial.patients["onset_month"].to_numpy(dtype=float)
        return values.month[:, 0] - onset, np.full(count, -outcome.sign * outcome.best)
    return np.full(count, 0.0 if _in_percent(rule) else 1.0), np.zeros(count)


def _step(weights: list[float]) -> float:
    """Find how far apart the sums of whole scores with these weights lie: 0 where next to nothing."""
    lowest = max(Fraction(weight).limit_denominator(_FINEST).denominator for weight in weights)
    return 1 / lowest if lowest < _FINEST else 0.0


def _at_limit(limit: Floats, strict: bool, step: float, sign: float) -> Floats:
    """Put limits halfway between the last sum let in and the first refused; `sign` is -1 for an upper limit."""
    if not step:
        return limit
    steps = sign * limit / step
    whole = np.round(steps)
    on = np.abs(steps - whole) < 1e-6
    first = np.where(on, whole + (1 if strict else 0), [ceil(each) if np.isfinite(each) else each for each in steps])
    return np.asarray(sign * (first - 0.5) * step)


def _places(visits: Visits, values: Used) -> Places:
    """Find each value among the visits, by patient and month: -1 where it is not there."""
    place = np.full(values.month.shape, _ABSENT, dtype=np.intp)
    for v, (patient, month) in enumerate(zip(visits.patient_index, visits.month, strict=True)):
        place[patient, np.abs(values.month[patient] - month) < SAME] = v
    return place


def _wide(values: NDArray, absent: float) -> NDArray:  # type: ignore[type-arg]
    """Give every condition two values, (..., 2), the second of them absent where there is one."""
    return values if values.shape[1] == 2 else np.column_stack([values, np.full(len(values), absent)])

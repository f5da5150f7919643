"""The segments of a trial, and the fixed weights that turn values into their slopes.

A least-squares slope is linear in the values, and so are the slope between two values and the slope from onset. The
times of a trial therefore fix one matrix, formed once, and the slopes of any number of data sets are one product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.design.cycles import OVERALL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.trial import Trial

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]
    Mask = NDArray[np.bool_]

LEAST_SQUARES, END_TO_END, FROM_ONSET = "least_squares", "end_to_end", "from_onset"
LEAD_IN_RULES = (LEAST_SQUARES, END_TO_END, FROM_ONSET)
WHOLE = "whole"
DIGITS = 12
"""Decimals that slopes are rounded to, so that a level slope is 0, whatever the order of a sum."""

SAME_TIME = 1e-6
"""Months within which values are at one time, and have no slope."""

_NO_VISIT = -1


@dataclass(frozen=True)
class Rules:
    """How a trial's own analysis is done.

    `lead_in` says how the slope before the first injection is computed: `least_squares` over all its values,
    `end_to_end` from the first to the last of them, `from_onset` from the best end of the scale at onset to the last
    of them. A slope counts as improved where it is more than `threshold` percent of the lead-in slope slower. Where
    `shared_boundary` is False, the visit on the day of an injection belongs to the earlier segment alone.
    Raises ValueError, with everything that is wrong.
    """

    lead_in: str = LEAST_SQUARES
    threshold: float = 25.0
    shared_boundary: bool = True

    def __post_init__(self) -> None:
        wrong = []
        if self.lead_in not in LEAD_IN_RULES:
            wrong.append(f"lead_in is {self.lead_in!r}; use one of {', '.join(LEAD_IN_RULES)}")
        if not 0 <= self.threshold < np.inf:
            wrong.append(f"threshold is {self.threshold}; give a percentage of 0 or more")
        if wrong:
            raise ValueError("rules of the trial's own analysis: " + "; ".join(wrong))


@dataclass(frozen=True)
class Layout:
    """The times of a trial under some rules: all that its own analysis needs besides values.

    Segments are the lead-in, cycles 1..K and the whole, from the first to the last injection; periods are the cycles,
    `overall` and the whole. `weights` (visit, patient x segment, sparse) and `offset` (patient, segment) give slopes,
    `defined` (patient, segment) says where there is one: two values at distinct times. `start` and `stop` (patient,
    period) are the places of the visits that a rise is counted between, -1 where there is none. `interval` (patient,
    cycle) is the time to the next injection in months, NaN where none followed. `sign` is that of the outcome: what it
    is times a change is an improvement.
    """

    rules: Rules
    sign: int
    weights: Any
    offset: Floats
    defined: Mask
    start: Places
    stop: Places
    interval: Floats

    @property
    def periods(self) -> tuple[str, ...]:
        """Names of the periods that are compared with the lead-in: 1..K, overall, whole; none without injections."""
        cycles = self.interval.shape[1]
        return (*(str(k + 1) for k in range(cycles)), OVERALL, WHOLE) if cycles else ()

    def slopes(self, values: Floats) -> Floats:
        """Turn values (draw, visit) into slopes (draw, patient, segment), units a month, NaN where undefined."""
        slopes = (values @ self.weights).reshape(len(values), *self.offset.shape) + self.offset
        return np.where(self.defined, np.round(slopes, DIGITS), np.nan)

    def rises(self, values: Floats) -> Floats:
        """Turn values (draw, visit) into their rise over each period (draw, patient, period), NaN where undefined.

        From the latest value up to and on the day of the injection to the latest value after it: of cycle k, up to and
        on the day of injection k + 1; overall, of the trial; of the whole, up to and on the day of the last injection.
        """
        known = (self.start >= 0) & (self.stop >= 0)
        return np.where(known, values[:, self.stop] - values[:, self.start], np.nan)


def layout_of(trial: Trial, visits: Visits, rules: Rules) -> Layout:
    """Lay out the visits of one outcome of a trial; onset is taken from the trial's `onset_month`, where it has one.

    Only a score, in whole numbers, counts as having a best end from which it worsened: the limit of a measurement, such
    as 200 % of predicted, is nobody's value at onset.
    """
    onset = np.full(len(visits.patients), np.nan)
    if "onset_month" in trial.patients:
        onset = trial.patients["onset_month"].to_numpy(dtype=float)
    top = visits.outcome.best if visits.outcome.integer else None
    return layout(
        visits.patient_index,
        visits.month,
        visits.injection_month,
        rules,
        onset=onset,
        top=top,
        sign=visits.outcome.sign,
    )


def layout(
    patient_index: Places,
    month: Floats,
    injection_month: Floats,
    rules: Rules,
    *,
    onset: Floats | None = None,
    top: float | None = None,
    sign: int = 1,
) -> Layout:
    """Lay out visits given by patient and month (visit,) and injections (patient, injection; NaN: not given).

    `onset` (patient,) is the month of onset, NaN where unknown, and `top` the best end of the scale: without them no
    slope from onset is defined. `sign` is that of the outcome, -1 where lower is better. All times are in months on one
    clock per patient.
    """
    from scipy.sparse import csc_array

    bounds = _bounds(injection_month)
    rows, columns, entries = [], [], []
    offset, defined = (np.zeros((len(injection_month), len(bounds)), dtype) for dtype in (float, bool))
    for segment, (first, last) in enumerate(bounds):
        shut = segment > 0 and not rules.shared_boundary
        inside = _between(month, patient_index, first, last, shut=shut)
        if segment == 0 and rules.lead_in != LEAST_SQUARES:
            known = onset if onset is not None and top is not None else np.full(len(injection_month), np.nan)
            ceiling = (np.nan if top is None else top) if rules.lead_in == FROM_ONSET else None
            weight, offset[:, 0] = _two_points(patient_index, month, inside, known, ceiling)
        else:
            weight = _least_squares(patient_index, month, inside, len(injection_month))
        used = np.flatnonzero(weight)
        defined[patient_index[used], segment] = True
        rows.append(used)
        columns.append(patient_index[used] * len(bounds) + segment)
        entries.append(weight[used])
    place = (np.concatenate(rows), np.concatenate(columns)) if rows else (np.empty(0, int), np.empty(0, int))
    entry = np.concatenate(entries) if entries else np.empty(0)
    weights = csc_array((entry, place), shape=(len(month), offset.size))
    start, stop = _rise_ends(patient_index, month, bounds)
    interval = np.diff(injection_month, axis=1, append=np.full((len(injection_month), 1), np.nan))
    return Layout(rules, sign, weights, offset, defined, start, stop, interval[:, : injection_month.shape[1]])


def lead_in_ends(patient_index: Places, month: Floats, injection_month: Floats) -> tuple[Places, Places]:
    """Find each patient's first value of all, and the last one up to and on the day of injection 1: (patient,) each.

    Places in `month`, -1 for a patient without an injection or without such a value.
    """
    if not injection_month.shape[1]:
        return (np.full(len(injection_month), _NO_VISIT, dtype=np.intp),) * 2
    return _edges(patient_index, month, month <= injection_month[patient_index, 0], len(injection_month))


def _bounds(injection_month: Floats) -> list[tuple[Floats, Floats]]:
    """Give first and last month of every segment, by patient; NaN where a patient has no such segment."""
    count = injection_month.shape[1]
    if not count:
        return []
    never = np.where(np.isnan(injection_month), np.inf, injection_month)
    following = np.concatenate([never[:, 1:], np.full((len(never), 1), np.inf)], axis=1)
    first = injection_month[:, 0]
    latest = np.where(np.isnan(first), np.nan, np.where(np.isfinite(never), never, -np.inf).max(axis=1))
    cycles = [(injection_month[:, k], following[:, k]) for k in range(count)]
    return [(np.where(np.isnan(first), np.nan, -np.inf), first), *cycles, (first, latest)]


def _between(month: Floats, index: Places, first: Floats, last: Floats, *, shut: bool) -> Mask:
    """Say which visits lie from `first` to `last` of their patient, both included; `shut` leaves out the first."""
    after = month > first[index] if shut else month >= first[index]
    return after & (month <= last[index])


def _least_squares(index: Places, month: Floats, inside: Mask, patients: int) -> Floats:
    """Weigh the visits inside so that their weighted sum is the slope: (visit,), 0 for visits that have no part."""
    number = np.bincount(index[inside], minlength=patients)
    total = np.bincount(index[inside], month[inside], minlength=patients)
    centred = np.where(inside, month - (total / np.maximum(number, 1))[index], 0.0)
    spread = np.bincount(index, centred**2, minlength=patients)
    distinct = spread > SAME_TIME**2
    return np.where(distinct[index], centred / np.where(distinct, spread, 1.0)[index], 0.0)


def _two_points(index: Places, month: Floats, inside: Mask, onset: Floats, top: float | None) -> tuple[Floats, Floats]:
    """Weigh the visits, and give what is added, for the slope between two points: (visit,) and (patient,).

    The last point is the last value inside, the first one the first value inside or, with `top`, that at onset.
    """
    first, last = _edges(index, month, inside, len(onset))
    weight, added = np.zeros(len(month)), np.zeros(len(onset))
    seen = np.flatnonzero(last >= 0)
    origin = month[first[seen]] if top is None else onset[seen]
    spread = month[last[seen]] - origin
    seen, spread = seen[spread > SAME_TIME], spread[spread > SAME_TIME]
    weight[last[seen]] = 1 / spread
    if top is None:
        weight[first[seen]] = -1 / spread
    else:
        added[seen] = -top / spread
    return weight, added


def _rise_ends(index: Places, month: Floats, bounds: list[tuple[Floats, Floats]]) -> tuple[Places, Places]:
    """Find the visits between which a rise is counted: (patient, period) each, -1 where there is none."""
    if not bounds:
        return np.empty((0, 0), np.intp), np.empty((0, 0), np.intp)
    _, *cycles, whole = bounds
    periods = [*cycles, (whole[0], np.where(np.isnan(whole[0]), np.nan, np.inf)), whole]
    patients = len(whole[0])
    start, stop = (np.full((patients, len(periods)), _NO_VISIT, dtype=np.intp) for _ in range(2))
    for period, (first, last) in enumerate(periods):
        _, start[:, period] = _edges(index, month, month <= first[index], patients)
        _, stop[:, period] = _edges(index, month, _between(month, index, first, last, shut=True), patients)
    return start, stop


def _edges(index: Places, month: Floats, inside: Mask, patients: int) -> tuple[Places, Places]:
    """Find the first and the last of the visits inside, by patient: places in `month`, -1 where there is none."""
    rows = np.flatnonzero(inside)
    rows = rows[np.lexsort((month[rows], index[rows]))]
    first, last = np.full(patients, _NO_VISIT, dtype=np.intp), np.full(patients, _NO_VISIT, dtype=np.intp)
    first[index[rows[::-1]]] = rows[::-1]
    last[index[rows]] = rows
    return first, last

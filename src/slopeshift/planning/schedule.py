"""The patients of a design: who is treated, how many injections each receives, and on which days each is seen.

Patients who are alike in all of that are one group, so that what is computed of a design does not grow with its size.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.design.arms import Treated
from slopeshift.design.shape import Shape
from slopeshift.design.visits import Visits
from slopeshift.planning.plan import DAYS
from slopeshift.trial.arms import ARM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from slopeshift.planning.plan import Design
    from slopeshift.trial import Outcome

    Floats = NDArray[np.float64]

CONTROL, TREATED = "control", "treated"
"""What the arms of a planned trial are called."""

CURVED = Shape(curved=True)


@dataclass(frozen=True)
class Alike:
    """What patients of a group have in common: arm, months between their injections (reach - 1), and dose.

    `dose` is 0 where none is planned.
    """

    treated: bool
    reach: int
    interval: tuple[float, ...]
    dose: float = 0.0


def groups(design: Design, doses: Sequence[float] = ()) -> dict[Alike, int]:
    """Share the patients of a design out among groups, and count them.

    In each arm, the numbers that receive each injection are the planned shares, rounded. Among those who receive as
    many, sequences of intervals are as balanced as numbers allow, and so are doses.
    """
    found: Counter[Alike] = Counter()
    for treated, patients in design.arms.items():
        reached = [round(patients * share) for share in design.reach] + [0]
        place = 0
        for reach in range(design.injections, 0, -1):
            sequences = list(product(design.interval, repeat=reach - 1))
            for _ in range(reached[reach - 1] - reached[reach]):
                dose = doses[place // len(sequences) % len(doses)] if len(doses) and treated else 0.0
                found[Alike(treated, reach, sequences[place % len(sequences)], dose)] += 1
                place += 1
    return dict(found)


@dataclass(frozen=True, eq=False)
class Layout:
    """The groups of a design as patients who have not been measured: `visits` have a row of values to come, all 0.

    `number` (group,) counts each group, `alike` says what they are, and `visits` is on a curved course.
    """

    alike: tuple[Alike, ...]
    number: Floats
    visits: Visits

    def on(self, shape: Shape) -> Visits:
        """Lay the visits out on the shape of a model."""
        seen = self.visits
        columns = shape.columns(seen.month, seen.injection_month[seen.patient_index])
        return replace(seen, basis=columns, shape=shape)

    @property
    def treated(self) -> NDArray[np.bool_]:
        """Which groups are treated: (group,)."""
        return np.array([each.treated for each in self.alike])

    @property
    def cycles(self) -> Treated:
        """Which cycles are treated: all of the treated arm, those not reached included."""
        shape = self.visits.injection_month.shape
        none = np.zeros(shape)
        return Treated(np.broadcast_to(self.treated[:, None].astype(float), shape).copy(), none, none)

    @property
    def informed(self) -> Floats:
        """How many patients inform each cycle, by group: (group, injection)."""
        return self.number[:, None] * (self.visits.visits_in_cycle > 0)

    @property
    def within(self) -> Floats:
        """Months by which each interval is longer than its patient's mean, 0 after the last one: (group, injection).

        The covariate `interval_within` of `cycles.split`, whose coefficient randomised intervals inform.
        """
        found = np.zeros(self.visits.injection_month.shape)
        for row, each in enumerate(self.alike):
            if each.interval:
                found[row, : len(each.interval)] = np.array(each.interval) - np.mean(each.interval)
        return found

    @property
    def doublings(self) -> Floats:
        """How often each group's dose doubles the mean logarithm of the treated groups': (group,), 0 without a dose."""
        dose = np.array([each.dose for each in self.alike])
        given = dose > 0
        found = np.zeros(len(dose))
        if given.any():
            found[given] = np.log2(dose[given])
            found[given] -= np.average(found[given], weights=self.number[given])
        return found


@lru_cache(maxsize=512)
def layout(design: Design, outcome: Outcome, doses: tuple[float, ...] = ()) -> Layout:
    """Lay the groups of a design out, with the days of their visits and injections."""
    shared = groups(design, doses)
    planned = [times(design, each) for each in shared]
    injection_month = np.full((len(shared), design.injections), np.nan)
    for row, (injections, _) in enumerate(planned):
        injection_month[row, : len(injections)] = injections
    month = np.concatenate([visits for _, visits in planned])
    index = np.repeat(np.arange(len(planned)), [len(visits) for _, visits in planned])
    names = tuple(f"G{place}" for place in range(1, len(planned) + 1))
    arms = [TREATED if each.treated else CONTROL for each in shared]
    visits = Visits(
        outcome=outcome,
        patients=names,
        patient_index=index,
        month=month,
        value=np.zeros(len(month)),
        basis=CURVED.columns(month, injection_month[index]),
        injection_month=injection_month,
        visits_in_cycle=CURVED.values_in_cycles(month, index, injection_month),
        visits_in_lead_in=np.bincount(index[month <= 0], minlength=len(names)),
        shape=CURVED,
        about=pd.DataFrame({"patient": names, ARM: arms}),
        roles={},
    )
    return Layout(tuple(shared), np.array(list(shared.values()), dtype=float), visits)


def one_by_one(planned: Layout, order: NDArray[np.intp]) -> Layout:
    """Take the groups apart into patients, in an order of their places: one row for each."""
    group = np.repeat(np.arange(len(planned.alike)), planned.number.astype(int))[order]
    seen = planned.visits
    rows = [np.flatnonzero(seen.patient_index == each) for each in group]
    place = np.concatenate(rows)
    names = tuple(f"P{number}" for number in range(1, len(group) + 1))
    visits = replace(
        seen,
        patients=names,
        patient_index=np.repeat(np.arange(len(group)), [len(each) for each in rows]),
        month=seen.month[place],
        value=seen.value[place],
        basis=seen.basis[place],
        injection_month=seen.injection_month[group],
        visits_in_cycle=seen.visits_in_cycle[group],
        visits_in_lead_in=seen.visits_in_lead_in[group],
        about=seen.about.iloc[group].assign(patient=names).reset_index(drop=True),
    )
    return Layout(tuple(planned.alike[each] for each in group), np.ones(len(group)), visits)


def times(design: Design, alike: Alike) -> tuple[Floats, Floats]:
    """Plan the months of a patient's injections and visits, each on a whole day, as two decimals of a month."""
    between = [_days(months) for months in alike.interval]
    injected = np.cumsum([0, *between])
    last = injected[-1] + _days(design.follow_up)
    before = [-_days(months) for months in np.linspace(design.lead_in, 0.0, design.lead_in_visits)]
    after: list[int] = []
    for start, following in zip(injected, [*injected[1:], last + 1], strict=True):
        number = int(np.ceil((following - start) / DAYS / design.visit_spacing)) + 1
        days = (start + _days(place * design.visit_spacing) for place in range(number))
        after += [day for day in days if day < following]
    return _months(injected), _months(np.array(sorted({*before, *after})))


def _days(months: float) -> int:
    return round(months * DAYS)


def _months(days: NDArray[np.intp]) -> Floats:
    found: Floats = np.round(days / DAYS, 2)
    return found

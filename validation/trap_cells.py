"""The traps: trials with each and without it that differ in nothing else, and the checks that are meant for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from trap_checks import (
    ABOVE,
    BENT,
    BY_WINDOW,
    CYCLES,
    DECIDED,
    EVER,
    EXPLAINED,
    FIRST,
    FLAGGED,
    LEAVERS,
    NEAR_END,
    PATIENTS,
    PSEUDO,
    SURVIVORS,
    UNLEARNT,
    UNSPLIT,
    WITHHELD,
)

from slopeshift import checks
from slopeshift.checks import added, predictive
from slopeshift.checks.prior import CONFLICT
from slopeshift.sensitivity import variations
from slopeshift.simulate import Design, OutcomeTruth, Truth

PUBLISHED, LARGE = 20, 60
"""Patients enrolled: of the published size (doi 10.52586/4980), where 19, 12 and 10 have the injections, and of three
times that."""

# Hardly anybody comes near an end of the scale, so that clean trials have nothing in them but what the model has.
CLEAN = OutcomeTruth(
    level=31.0,
    slope=-0.8,
    change=(0.0, 0.0, 0.0),
    sd_level=4.0,
    sd_slope=0.5,
    sd_response=0.2,
    sd_cycle=0.1,
    sigma=1.9,
)
OTHER = OutcomeTruth(85.0, -2.0, (), 15.0, 1.0, 0.4, 0.2, 5.9)
"""FVC, at which nothing here looks."""


@dataclass(frozen=True)
class Cell:
    """Trials of one kind: how they are conducted, what is true in them, and what is looked at.

    `looks`: names in `trap_checks.LOOKS`. `raised`: points added to the values on days of injections. `control`: mean
    slope of the natural history that the model's prior is taken from; None: the model's own prior. `interval_effect`:
    change of slope per month of interval, within and between patients.
    """

    looks: tuple[str, ...]
    design: Design
    truth: OutcomeTruth
    raised: float = 0.0
    control: float | None = None
    interval_effect: float = 0.0

    @property
    def population(self) -> Truth:
        """The truth of both outcomes."""
        return Truth(self.truth, replace(OTHER, change=tuple(0.0 for _ in self.truth.change)))

    def other(self, **fields: Any) -> Cell:
        """The same but for these fields of the cell, of its design, or of its truth."""
        parts: dict[str, dict[str, Any]] = {"design": {}, "truth": {}, "cell": {}}
        for name, value in fields.items():
            where = (part for part in ("design", "truth") if name in getattr(self, part).__dataclass_fields__)
            parts[next(where, "cell")][name] = value
        inner = {part: replace(getattr(self, part), **parts[part]) for part in ("design", "truth")}
        return replace(self, **inner, **parts["cell"])


@dataclass(frozen=True)
class Trap:
    """A trap at one size: what was done in words, trials with it, trials without, and the checks meant for it."""

    number: int
    name: str
    on: Cell
    off: Cell
    checks: tuple[str, ...]


def clean(looks: str, patients: int = PUBLISHED, cycles: int = 3) -> Cell:
    """Trials conducted as the published one was, in which all holds that the model says, and nothing changes."""
    given = tuple(round(patients * share / PUBLISHED) for share in (19, 12, 10)[:cycles])
    conducted = Design(
        enrolled=patients,
        patients_per_cycle=given,
        visit_jitter=3,
        missed_visits=0.03,
        dropout_hazard=0.05,
        follow_up=4.0,
    )
    return Cell(tuple(looks.split()), conducted, replace(CLEAN, change=CLEAN.change[:cycles]))


REFERENCE = clean("usual chance survivors curvature boundary decided prior")
LARGER = clean("prior survivors curvature added", LARGE)
STEEP = clean("percent").other(slope=-1.6, sd_slope=0.3)
LASTS, LASTS_LARGE = (clean("added", number).other(change=(0.6,) * 3) for number in (PUBLISHED, LARGE))
SEEN_LONGER = clean("added", LARGE).other(lead_in=12.0, level=26.0)
MATCHED = clean("conflict").other(control=CLEAN.slope)

COUNTED, EFFECT = clean("chance", LARGE), (1.0,) * 3

MANY = "multiplicity: nothing changes, instead of by 1 point a month, and improvement in any cycle counts"
MONTHS = (2.0, 10.0)
UNEVEN, UNEVEN_LARGE = (
    clean("window", number).other(change=(0.6,) * 3, interval=MONTHS) for number in (PUBLISHED, LARGE)
)
UNEVEN_MATTERS = UNEVEN_LARGE.other(interval_effect=-0.1)
WANES_UNEVEN = (
    "time course seen as interval: cycles of 2 to 10 months whose length does nothing, and an effect that wanes"
)
WANES_INSTEAD = (
    f"{WANES_UNEVEN}, instead of one that lasts and falls by 0.1 points a month for a month more of interval"
)


def untreated(patients: int) -> Cell:
    """Patients who are followed for a year and never injected."""
    year = Design(
        enrolled=patients, lead_in=0.0, follow_up=12.0, visit_jitter=3, missed_visits=0.03, dropout_hazard=0.03
    )
    return Cell(("pseudo",), year, replace(CLEAN, change=()))


HISTORY, HISTORY_LARGE = untreated(PUBLISHED), untreated(100)

LEAVE = "fast decliners leave: hazard times e^2 for a point a month"
BEND, CURVATURE = "natural courses that bend: 0.05 points a month less steep every month", 0.05
BEND_UNTREATED = f"{BEND}, in patients who are followed for a year untreated"
BEND_SEEN = f"{BEND}, after a lead-in of 12 months"
WANE = "effect that wanes: 2 points a month at first, halved every month"
WANES = {"change": (2.0,) * 3, "half_life": 1.0}
HOPE = "expectation adds 2 points after each injection, halved every 2 months"
HOPES = {"expectation_shift": 2.0, "expectation_half_life": 2.0}


def _on(off: Cell, looks: str, **fields: Any) -> Cell:
    return off.other(looks=tuple(looks.split()), **fields)


TRAPS = (
    Trap(
        1,
        "regression to the mean: entry asks for a loss of 3 points",
        _on(REFERENCE, "usual chance entry", minimum_loss=3.0),
        REFERENCE,
        (predictive.ENTRY, ABOVE.format(FIRST)),
    ),
    Trap(
        2,
        "shared boundary visit: values on injection days 2 points too high",
        _on(REFERENCE, "added boundary", raised=2.0),
        REFERENCE,
        (added.DAYS, variations.BOUNDARY),
    ),
    Trap(
        3,
        "percent of a slope near zero: -0.25 points a month instead of -1.6",
        STEEP.other(slope=-0.25),
        STEEP,
        (FLAGGED, WITHHELD),
    ),
    Trap(4, WANES_UNEVEN, UNEVEN.other(**WANES), UNEVEN, (BY_WINDOW,)),
    Trap(4, WANES_UNEVEN, UNEVEN_LARGE.other(**WANES), UNEVEN_LARGE, (BY_WINDOW,)),
    Trap(4, WANES_INSTEAD, UNEVEN_LARGE.other(**WANES), UNEVEN_MATTERS, (BY_WINDOW,)),
    Trap(
        5,
        "interval chosen from the response: log odds of a long interval 2 per point a month",
        _on(REFERENCE, "decided", interval_on_response=2.0),
        REFERENCE,
        (DECIDED,),
    ),
    Trap(6, LEAVE, _on(REFERENCE, "survivors", dropout_on_slope=2.0), REFERENCE, (SURVIVORS, LEAVERS)),
    Trap(6, LEAVE, _on(LARGER, "survivors", dropout_on_slope=2.0), LARGER, (SURVIVORS, LEAVERS)),
    Trap(
        7,
        "floor: level 14 instead of 31",
        _on(REFERENCE, "usual", level=14.0),
        REFERENCE,
        (NEAR_END, predictive.ENDS, checks.UNIFORM),
    ),
    Trap(8, BEND, _on(REFERENCE, "added curvature", curvature=CURVATURE), REFERENCE, (added.BENDING, BENT)),
    Trap(8, BEND_SEEN, SEEN_LONGER.other(curvature=CURVATURE), SEEN_LONGER, (added.BENDING,)),
    Trap(8, BEND_UNTREATED, HISTORY.other(curvature=CURVATURE), HISTORY, (PSEUDO,)),
    Trap(8, BEND_UNTREATED, HISTORY_LARGE.other(curvature=CURVATURE), HISTORY_LARGE, (PSEUDO,)),
    Trap(9, WANE, LASTS.other(**WANES), LASTS, (added.FADING,)),
    Trap(9, WANE, LASTS_LARGE.other(**WANES), LASTS_LARGE, (added.FADING,)),
    Trap(
        11, MANY, REFERENCE, _on(REFERENCE, "chance", change=EFFECT), (EXPLAINED.format(EVER), EXPLAINED.format(FIRST))
    ),
    Trap(11, MANY, COUNTED, COUNTED.other(change=EFFECT), (EXPLAINED.format(EVER), EXPLAINED.format(FIRST))),
    Trap(
        12,
        "responders not identifiable: 20 patients with one cycle instead of 500 with three",
        clean("split", cycles=1),
        clean("split", 500).other(sd_response=0.4),
        (UNSPLIT.format(PATIENTS), UNSPLIT.format(CYCLES)),
    ),
    Trap(
        14,
        "mismatched control: it declines by 1.6 points a month instead of 0.8",
        MATCHED.other(control=-1.6),
        MATCHED,
        (CONFLICT,),
    ),
    Trap(15, HOPE, _on(REFERENCE, "added", **HOPES), REFERENCE, (added.AFTER,)),
    Trap(15, HOPE, _on(LARGER, "added", **HOPES), LARGER, (added.AFTER,)),
    Trap(
        16,
        "residuals that are correlated over 2 months",
        _on(REFERENCE, "usual", autocorrelation_time=2.0),
        REFERENCE,
        (predictive.NEIGHBOURS,),
    ),
    Trap(
        17,
        "heavy tails: residuals with 3 degrees of freedom",
        _on(REFERENCE, "usual", degrees_of_freedom=3.0),
        REFERENCE,
        (predictive.HEAVIEST, checks.UNIFORM),
    ),
    Trap(18, "few patients: 6 instead of 60", clean("prior", 6), LARGER, (checks.PRIOR, UNLEARNT)),
)

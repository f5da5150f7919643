"""How a simulated trial is conducted: who is enrolled, when they are seen and injected, and why they leave.

Injections, visits, departures and deaths are decided in the order in which they happen, from what had been measured by
then. Array axes are (patient, day) or (patient, injection); days count from the first injection, inf stands for never.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from slopeshift.simulate.cohort import DAYS_PER_MONTH, Array, Cohort, Truth, draw_cohort, generator, refuse

Mask = NDArray[np.bool_]

WITHDRAWAL_SHARE = 0.7  # of those who leave; the others are lost to follow-up. By judgement
REFERENCE_SCORE = 35.0  # the ALSFRS-R at which hazards and missing rates are stated
LARGEST_POOL = 200  # candidates screened per patient enrolled before an entry rule is called impossible


@dataclass(frozen=True)
class Design:
    """State who is enrolled, when they are seen and injected, and why they leave. Times in months, hazards per month.

    patients_per_cycle fixes how many receive each injection: those who would leave soonest stop first, and those
    enrolled beyond the first number withdraw before injection 1. Left empty, everyone still in the trial receives every
    injection.
    """

    enrolled: int = 20
    patients_per_cycle: tuple[int, ...] = ()
    lead_in: float = 3.0
    visit_spacing: float = 1.0
    visit_jitter: int = 0  # days, either way
    interval: tuple[float, float] = (3.0, 6.0)
    follow_up: float = 6.0  # after the last injection
    data_cut: float = math.inf  # after the first injection; patients still in the trial are then `ongoing`
    inclusion_score: float = -math.inf  # the ALSFRS-R at the first visit is above it
    missed_visits: float = 0.0
    missing_alsfrsr: float = 0.0
    missing_fvc: float = 0.0  # at an ALSFRS-R of 35
    missing_fvc_per_point: float = 0.0  # log odds per ALSFRS-R point below 35
    lowest_fvc: float = (
        -math.inf
    )  # % predicted; a patient below it cannot perform the manoeuvre, and the value is missing
    death_hazard: float = 0.0  # at a true ALSFRS-R of 35
    death_per_point: float = -0.08  # log hazard per ALSFRS-R point; -0.082 in the valproate trial
    dropout_hazard: float = 0.0
    adverse_events: tuple[tuple[str, float], ...] = ()  # term, probability after one injection
    minimum_loss: float = -math.inf  # trap 1: entry needs this ALSFRS-R loss, first visit to injection 1
    interval_on_response: float = 0.0  # trap 5: log odds of a long interval per point/month of naive slope change
    dropout_on_slope: float = 0.0  # trap 6: log hazard per point/month lost over the last three months

    @property
    def entry(self) -> list[dict[str, str | float]]:
        """The entry rules, as blocks of `trial.toml` would state them; a loss is up to the day of injection 1."""
        about = {"outcome": "alsfrsr", "source": "the simulated design"}
        rules: list[dict[str, str | float]] = []
        if math.isfinite(self.inclusion_score):
            rules.append({**about, "quantity": "score", "from": "first", "above": self.inclusion_score})
        if math.isfinite(self.minimum_loss):
            limit = {"at_least": self.minimum_loss}
            rules.append({**about, "quantity": "loss", "from": "first", "to": "injection", **limit})
        return rules

    @property
    def before(self) -> Array:
        """Months before injection 1 at which patients are seen in the lead-in, besides its first and last day."""
        return np.arange(self.visit_spacing, self.lead_in, self.visit_spacing)

    def days_between(self, share: Array) -> Array:
        """Return the days from an injection to the next (patient,), by where in the range of intervals each falls."""
        shortest, longest = self.interval
        drawn = shortest + (longest - shortest) * share
        whole = math.ceil(shortest * DAYS_PER_MONTH), math.floor(longest * DAYS_PER_MONTH)
        return np.clip(np.round(drawn * DAYS_PER_MONTH), *whole)

    def __post_init__(self) -> None:
        counts = (self.enrolled, *self.patients_per_cycle)
        rising = any(later > earlier for earlier, later in itertools.pairwise(counts))
        fixed_and_cut = bool(self.patients_per_cycle) and math.isfinite(self.data_cut)
        shortest, longest = self.interval
        refuse(
            "design",
            (rising, f"patients_per_cycle {self.patients_per_cycle} of {self.enrolled} enrolled rises: let it fall"),
            (fixed_and_cut, "a data_cut would undo patients_per_cycle: leave one of them out"),
            (not 0 < shortest <= longest, f"interval {self.interval}: give (shortest, longest), both above 0"),
            (self.enrolled < 1, f"enrolled {self.enrolled}: give at least 1"),
            (2 * self.visit_jitter >= self.visit_spacing * DAYS_PER_MONTH, "visit_jitter mixes up visits: lower it"),
        )


@dataclass(frozen=True)
class IntervalEffect:
    """State by how much the change in a cycle differs per month of interval (points/month per month).

    `within` multiplies how far the interval after an injection is from the mean of all intervals drawn for the patient,
    `between` how far that mean is from the middle of the design's range; the last cycle stands at the patient's mean.
    """

    within: float = 0.0
    between: float = 0.0
    outcome: str = "alsfrsr"


def with_interval_effect(design: Design, cohort: Cohort, effect: IntervalEffect, seed: int) -> Cohort:
    """Add the effect of the intervals, which are drawn beforehand, to the patients' changes.

    Raises ValueError where the intervals depend on the response, which is known only later.
    """
    refuse(
        "interval effect",
        (design.interval_on_response != 0, "an interval cannot both cause the response and depend on it: set one to 0"),
    )
    even = np.zeros(design.enrolled)
    drawn = [_drawn_interval(design, even, k, seed) for k in range(1, cohort.truth.injections)]
    months = np.reshape(drawn, (-1, design.enrolled)).T / DAYS_PER_MONTH
    own = months.mean(axis=1, keepdims=True) if months.size else np.full((design.enrolled, 1), np.mean(design.interval))
    within = np.column_stack([months - own, np.zeros(design.enrolled)])[:, : cohort.truth.injections]
    before = cohort.coefficients[effect.outcome]
    added = effect.within * within + effect.between * (own - np.mean(design.interval))
    after = replace(before, change=before.change + added)
    return replace(cohort, coefficients={**cohort.coefficients, effect.outcome: after})


@dataclass(frozen=True)
class Course:
    """Hold what happened: injection days (patient, injection), visits (patient, day), and the end by patient."""

    injection_day: Array
    visited: Mask
    end_day: Array
    end_reason: NDArray[np.str_]


def screen(design: Design, truth: Truth, seed: int, pool: int) -> Cohort:
    """Draw candidates until enough of them meet the entry rules, and enrol the first ones."""
    longest = max(truth.injections - 1, 0) * math.ceil(design.interval[1] * DAYS_PER_MONTH)
    day = np.arange(-in_days(design.lead_in), longest + in_days(design.follow_up) + design.visit_jitter + 1.0)
    candidates = draw_cohort(truth, pool, day, seed)
    untreated = np.full((pool, 0), np.inf)
    score = candidates.measured("alsfrsr", untreated)
    at_entry, at_injection = score[:, 0], score[:, np.searchsorted(day, 0)]
    eligible = np.flatnonzero((at_entry > design.inclusion_score) & (at_entry - at_injection >= design.minimum_loss))
    if len(eligible) >= design.enrolled:
        return candidates.take(eligible[: design.enrolled])
    found = f"{len(eligible)} of {pool} candidates meet the entry rules, {design.enrolled} are needed: loosen the rules"
    refuse("design", (pool > LARGEST_POOL * design.enrolled, found))
    return screen(design, truth, seed, 2 * pool)


def follow(design: Design, cohort: Cohort, seed: int) -> Course:
    """Lead every patient through the trial, one injection at a time."""
    patients = design.enrolled
    injection_day = np.full((patients, cohort.truth.injections), np.inf)
    injection_day[_treated(design, seed), :1] = 0.0
    clocks = generator(seed, "clocks").exponential(size=(2, patients))
    for k in range(1, cohort.truth.injections):
        visited = _visited(design, cohort.day, injection_day, seed)
        due = injection_day[:, k - 1] + _interval(design, cohort, injection_day, visited, k, seed)
        hazards = _hazards(design, cohort, injection_day, visited)
        given = _given(design, due, _crossing(hazards, clocks, cohort.day).min(axis=0), k)
        clocks = _outlasting(clocks, hazards, given, due, cohort.day, generator(seed, f"clocks {k}"))
        injection_day[:, k] = np.where(given, due, np.inf)
    visited = _visited(design, cohort.day, injection_day, seed)
    departures = _crossing(_hazards(design, cohort, injection_day, visited), clocks, cohort.day)
    end_day, end_reason = _ends(design, cohort.day, injection_day, visited, departures, seed)
    last_seen = np.where(end_reason == "death", end_day - 1, end_day)
    return Course(injection_day, visited & (cohort.day <= last_seen[:, None]), end_day, end_reason)


def _treated(design: Design, seed: int) -> NDArray[np.intp]:
    treated = design.patients_per_cycle[0] if design.patients_per_cycle else design.enrolled
    return np.sort(generator(seed, "treated").permutation(design.enrolled)[:treated])


def _visited(design: Design, day: Array, injection_day: Array, seed: int) -> Mask:
    """Return the visits (patient, day): at entry, in the lead-in, at each injection, and after it until the next."""
    rng = generator(seed, "visit days")
    origin, never = np.zeros(len(injection_day)), np.full(len(injection_day), np.inf)
    visited = np.zeros((len(injection_day), len(day)), dtype=bool)
    visited[:, 0] = True
    for month in design.before:
        _mark(visited, day, _routine(design, origin, -month, rng), never)
    starts = [*injection_day.T] or [origin]
    for start, following in itertools.pairwise([*starts, never]):
        _mark(visited, day, start, following)
        for month in np.arange(design.visit_spacing, (day[-1] + 1) / DAYS_PER_MONTH, design.visit_spacing):
            _mark(visited, day, _routine(design, start, month, rng), following)
    return visited


def _routine(design: Design, start: Array, month: float, rng: np.random.Generator) -> Array:
    """Return the day of each patient's visit some months from a start, never for those who miss it."""
    jitter = rng.integers(-design.visit_jitter, design.visit_jitter, len(start), endpoint=True)
    return np.where(rng.random(len(start)) < design.missed_visits, np.inf, start + in_days(month) + jitter)


def _mark(visited: Mask, day: Array, on: Array, before: Array) -> None:
    """Mark in `visited` the day of each patient that lies before the next injection and within the trial."""
    rows = np.flatnonzero((day[0] <= on) & (on < before) & (on <= day[-1]))
    visited[rows, (on[rows] - day[0]).astype(int)] = True


def _interval(design: Design, cohort: Cohort, injection_day: Array, visited: Mask, k: int, seed: int) -> Array:
    """Return the days from injection k to the next: the short or long half of the range, by chance or response."""
    shortest = math.ceil(design.interval[0] * DAYS_PER_MONTH)
    latest = injection_day[:, [k - 1]]
    recent = visited & (cohort.day >= latest) & (cohort.day < latest + shortest)
    score, month = cohort.measured("alsfrsr", injection_day), cohort.day / DAYS_PER_MONTH
    change = _naive_slope(score, month, recent) - _naive_slope(score, month, visited & (cohort.day <= 0))
    return _drawn_interval(design, design.interval_on_response * change, k, seed)


def _drawn_interval(design: Design, log_odds_of_long: Array, k: int, seed: int) -> Array:
    """Draw the days from injection k to the next of every patient."""
    rng = generator(seed, f"interval {k}")
    is_long = rng.random(len(log_odds_of_long)) < 1 / (1 + np.exp(-log_odds_of_long))
    return design.days_between((is_long + rng.random(len(log_odds_of_long))) / 2)


def _naive_slope(score: Array, month: Array, chosen: Mask) -> Array:
    """Return each patient's least-squares slope over the chosen days; 0 where fewer than two are chosen."""
    count = np.maximum(chosen.sum(axis=1, keepdims=True), 1)
    centred = np.where(chosen, month - np.where(chosen, month, 0.0).sum(axis=1, keepdims=True) / count, 0.0)
    spread = (centred**2).sum(axis=1)
    return (centred * score).sum(axis=1) / np.where(spread > 0, spread, 1.0)


def _hazards(design: Design, cohort: Cohort, injection_day: Array, visited: Mask) -> Array:
    """Return the cumulative hazards of death and of leaving, from the first injection on (hazard, patient, day)."""
    score = cohort.mean("alsfrsr", injection_day)
    death = design.death_hazard * np.exp(design.death_per_point * (score - REFERENCE_SCORE))
    loss = _recent_loss(cohort.measured("alsfrsr", injection_day), visited)
    leaving = design.dropout_hazard * np.exp(design.dropout_on_slope * loss)
    return np.cumsum(np.where(cohort.day > 0, np.stack([death, leaving]), 0.0), axis=2) / DAYS_PER_MONTH


def _recent_loss(score: Array, visited: Mask) -> Array:
    """Return the points per month lost over the last three months, as the visits by each day show (patient, day)."""
    window = in_days(3)
    latest_visit = np.maximum.accumulate(np.where(visited, np.arange(score.shape[1]), 0), axis=1)
    known = np.take_along_axis(score, latest_visit, axis=1)
    earlier = np.column_stack([np.repeat(known[:, :1], window, axis=1), known])[:, : score.shape[1]]
    return (earlier - known) / 3


def _crossing(hazards: Array, clocks: Array, day: Array) -> Array:
    """Return the day on which each cumulative hazard passes its clock, inf where it does not (hazard, patient)."""
    passed = hazards > clocks[:, :, None]
    return np.where(passed.any(axis=2), day[passed.argmax(axis=2)], np.inf)


def _given(design: Design, due: Array, departure: Array, k: int) -> Mask:
    """Say who receives the next injection: all who are still there, or the fixed number who would stay longest."""
    if not design.patients_per_cycle:
        return due < np.minimum(departure, design.data_cut * DAYS_PER_MONTH)
    stay = np.where(np.isfinite(due), departure, -np.inf) - np.where(np.isfinite(due), due, 0.0)
    given = np.zeros(len(due), dtype=bool)
    given[np.argsort(-stay, kind="stable")[: design.patients_per_cycle[k]]] = True
    return given


def _outlasting(clocks: Array, hazards: Array, given: Mask, due: Array, day: Array, rng: np.random.Generator) -> Array:
    """Start the clock anew at the injection for a patient whom the fixed numbers keep beyond it."""
    column = np.where(given, due - day[0], 0.0).astype(int)
    spent = np.take_along_axis(hazards, np.broadcast_to(column[None, :, None], (2, len(due), 1)), axis=2)[:, :, 0]
    return np.where(given & (clocks <= spent), spent + rng.exponential(size=clocks.shape), clocks)


def _ends(
    design: Design, day: Array, injection_day: Array, visited: Mask, departures: Array, seed: int
) -> tuple[Array, NDArray[np.str_]]:
    """Return the day and the reason of each patient's end, whichever comes first; completion is the last visit."""
    patients, rng = len(injection_day), generator(seed, "ends")
    last_injection = np.where(np.isfinite(injection_day), injection_day, 0.0).max(axis=1, initial=0.0)
    planned = last_injection + in_days(design.follow_up) + design.visit_jitter
    completion = np.where(visited & (day <= planned[:, None]), day, -np.inf).max(axis=1)
    cut = np.full(patients, design.data_cut * DAYS_PER_MONTH).round()
    leaving = np.where(rng.random(patients) < WITHDRAWAL_SHARE, "withdrawal", "lost")
    days = np.stack([*departures, cut, completion])
    reasons = np.stack(
        [np.full(patients, "death"), leaving, np.full(patients, "ongoing"), np.full(patients, "completed")]
    )
    first = days.argmin(axis=0), np.arange(patients)
    untreated = np.isinf(injection_day[:, :1]).any(axis=1)
    before = -rng.integers(1, max(in_days(design.lead_in / 2), 2), patients)
    return np.where(untreated, before, days[first]), np.where(untreated, "withdrawal", reasons[first])


def in_days(months: float) -> int:
    """Return the nearest whole number of days."""
    return round(months * DAYS_PER_MONTH)

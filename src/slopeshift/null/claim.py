"""A published claim beside what the same trial would count had nothing changed, under every lead-in it may have had.

The abstract of Petrou et al. 2021 (doi 10.52586/4980) counts the patients whose slope improved by more than 25 %, and
does not say how the slope before treatment was computed or how patients were chosen. So the count is simulated under
each plausible rule, not under one.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.classical import (
    END_TO_END,
    FROM_ONSET,
    LEAD_IN_RULES,
    LEAST_SQUARES,
    Layout,
    Rules,
    improvements,
    layout,
)
from slopeshift.null.population import NATURAL_HISTORIES, NaturalHistory
from slopeshift.null.trials import LARGEST_SEARCH, NullError
from slopeshift.published import figures

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]

QUANTITY = "improved by more than 25 %"
ENTRY_RULES = ("none", "loss of 3 points or more", "slope of -0.5 or steeper")
ONSET = (8.0, 30.0)
"""Months from onset to the first injection, uniform; by judgement, the trial took patients up to 3 years from onset."""

TOP = 48.0


@dataclass(frozen=True)
class LeadIn:
    """A lead-in that the trial may have had: equally spaced visits over some months.

    The last one is on the day of injection 1. `entry` is one of ENTRY_RULES, judged on the values of these visits.
    Raises ValueError, with all that is wrong.
    """

    visits: int = 3
    months: float = 3.0
    entry: str = "none"

    def __post_init__(self) -> None:
        wrong = []
        if self.visits < 2:
            wrong.append(f"{self.visits} visits; a slope needs 2")
        if not 0 < self.months < np.inf:
            wrong.append(f"{self.months} months; give a number above 0")
        if self.entry not in ENTRY_RULES:
            wrong.append(f"entry rule {self.entry!r}; use one of {', '.join(ENTRY_RULES)}")
        if wrong:
            raise ValueError("lead-in: " + "; ".join(wrong))

    @property
    def times(self) -> Floats:
        """Months of the visits: (visit,)."""
        return np.linspace(-self.months, 0.0, self.visits)


LEAD_INS = tuple(itertools.starmap(LeadIn, itertools.product((2, 3, 4), (2.0, 3.0, 6.0), ENTRY_RULES)))


@dataclass(frozen=True)
class Counts:
    """Published counts by period (`1`, ..., `whole`): how many improved, of how many; and the range of intervals."""

    improved: dict[str, int]
    patients: dict[str, int]
    interval: tuple[float, float]

    @property
    def cycles(self) -> tuple[int, ...]:
        """Patients of each cycle."""
        return tuple(number for period, number in self.patients.items() if period != "whole")


def published_counts(name: str) -> Counts:
    """Take the counts of improved patients out of published figures.

    Raises LookupError where there are no such figures, and NullError where none of them is of this kind.
    """
    table = figures(name)
    counted = table[table["quantity"] == QUANTITY].set_index("period")
    between = table[table["quantity"] == "interval between injections"]
    if counted.empty or between.empty:
        raise NullError(f"the published figures {name!r} count nobody as {QUANTITY!r}, or give no interval")
    improved, patients = (counted[column].astype(int).to_dict() for column in ("value", "n"))
    return Counts(improved, patients, (float(between["lower"].iloc[0]), float(between["upper"].iloc[0])))


def claim_table(
    name: str,
    *,
    trials: int,
    seed: int,
    histories: Sequence[NaturalHistory] | None = None,
    lead_ins: Sequence[LeadIn] = LEAD_INS,
    rules: Sequence[str] = LEAD_IN_RULES,
) -> pd.DataFrame:
    """Set published counts against null counts over a grid: the table `published_claim`, a row per cell.

    A cell is a natural history (default: all of ALSFRS-R), a lead-in and a rule for its slope. Columns: source,
    distribution, lead_in_visits, lead_in_months, entry, lead_in, n_trials; for each count published_P, of_P, and of the
    null count mean_P, lower_P and upper_P (95 % of trials) and probability_P (that it is at or above the published
    one), P being 1, 2, ..., whole; and probability_all, that all of them are. Cells that would be another one again are
    left out: with two or three equally spaced visits the least-squares slope is the one from end to end, and without an
    entry rule the slope from onset does not depend on the lead-in.
    """
    counts = published_counts(name)
    chosen = [h for h in NATURAL_HISTORIES if h.outcome == "alsfrsr"] if histories is None else histories
    rows = [
        _cell(counts, history, lead_in, rule, null)
        for lead_in, plans in _plans(counts, lead_ins, rules, trials, seed)
        for history in chosen
        for rule, null in _null_counts(counts, history, lead_in, plans, trials, seed)
        if not _repeats(lead_in, rule, lead_ins, rules)
    ]
    return pd.DataFrame(rows)


def claim_text(table: pd.DataFrame) -> str:
    """Say in one paragraph what the table `published_claim` shows, and what it cannot show."""
    periods = [column.removeprefix("published_") for column in table if column.startswith("published_")]
    places = ". ".join(_place(table, period) for period in periods)
    return (
        f"Had no slope changed, how many patients would be counted as improved by more than 25 %? That depends on the "
        f"lead-in, the entry rule and the natural history one assumes: {len(table)} combinations were simulated, "
        f"{int(table['n_trials'].iloc[0])} trials each. {places}. A count above such a range says that this kind of "
        f"chance does not readily give it. It is no evidence that the injections did it: there was no control group; "
        f"how the slope before treatment was computed and how patients were chosen is not in the abstract; and the "
        f"simulated patients decline in straight lines, are rated without expectation, and reach later injections "
        f"regardless of how they do. Where any of that is otherwise, counts can be higher with no effect at all."
    )


def _place(table: pd.DataFrame, period: str) -> str:
    """Say where one published count lies among the null counts of all cells."""
    published, of = (int(table[f"{part}_{period}"].iloc[0]) for part in ("published", "of"))
    mean, within = table[f"mean_{period}"], int((table[f"upper_{period}"] >= published).sum())
    return (
        f"For the {_said(period)}, where {published} of {of} were published, the null mean is {mean.min():.1f} to "
        f"{mean.max():.1f}, and the upper end of its 95 % range reaches the published count in {within} of {len(table)}"
    )


def _repeats(lead_in: LeadIn, rule: str, lead_ins: Sequence[LeadIn], rules: Sequence[str]) -> bool:
    """Say whether a cell is the same as another one of the grid."""
    if rule == END_TO_END:
        return lead_in.visits <= 3 and LEAST_SQUARES in rules
    return rule == FROM_ONSET and lead_in != next((x for x in lead_ins if x.entry == lead_in.entry == "none"), lead_in)


def _said(period: str) -> str:
    return "whole period" if period == "whole" else f"time after injection {period}"


def _cell(
    counts: Counts, history: NaturalHistory, lead_in: LeadIn, rule: str, null: dict[str, Places]
) -> dict[str, object]:
    row: dict[str, object] = {
        "source": history.name,
        "distribution": history.distribution,
        "lead_in_visits": lead_in.visits,
        "lead_in_months": lead_in.months,
        "entry": lead_in.entry,
        "lead_in": rule,
        "n_trials": len(next(iter(null.values()))),
    }
    for period, published in counts.improved.items():
        lower, upper = np.quantile(null[period], (0.025, 0.975), method="inverted_cdf")
        row |= {
            f"published_{period}": published,
            f"of_{period}": counts.patients[period],
            f"mean_{period}": null[period].mean(),
            f"lower_{period}": int(lower),
            f"upper_{period}": int(upper),
            f"probability_{period}": (null[period] >= published).mean(),
        }
    every = np.all([null[period] >= published for period, published in counts.improved.items()], axis=0)
    return row | {"probability_all": every.mean()}


@dataclass(frozen=True)
class _Times:
    """When the patients of all simulated trials are seen after injection 1, and injected."""

    index: Places
    month: Floats
    injection_month: Floats
    onset: Floats


def _times(counts: Counts, trials: int, seed: int) -> _Times:
    """Draw intervals, and lay out monthly visits after each injection and one on the day of the next."""
    rng = np.random.default_rng([seed, 0])
    patients, cycles = counts.cycles[0] * trials, len(counts.cycles)
    length = rng.uniform(*counts.interval, (patients, cycles))
    reached = np.tile(np.arange(counts.cycles[0]), trials)[:, None] < np.array(counts.cycles)
    start = np.cumsum(np.column_stack([np.zeros(patients), length]), axis=1)
    injection = np.where(np.column_stack([np.ones(patients, dtype=bool), reached]), start, np.nan)
    since = np.arange(1.0, np.ceil(counts.interval[1]))
    monthly = np.where(since < length[:, :, None], start[:, :-1, None] + since, np.nan)
    seen = np.concatenate([monthly, injection[:, 1:, None]], axis=2)
    seen[~reached] = np.nan
    flat = seen.reshape(patients, -1)
    kept = ~np.isnan(flat)
    return _Times(np.nonzero(kept)[0], flat[kept], injection, -rng.uniform(*ONSET, patients))


def _plans(
    counts: Counts, lead_ins: Sequence[LeadIn], rules: Sequence[str], trials: int, seed: int
) -> Iterator[tuple[LeadIn, tuple[_Times, dict[str, Layout]]]]:
    """Form the weights of every lead-in and rule; those that differ in the entry rule alone share them."""
    times = _times(counts, trials, seed)
    patients = len(times.onset)
    for _, group in itertools.groupby(lead_ins, key=lambda lead_in: (lead_in.visits, lead_in.months)):
        alike = list(group)
        before = alike[0].times
        index = np.concatenate([np.repeat(np.arange(patients), len(before)), times.index])
        month = np.concatenate([np.tile(before, patients), times.month])
        plans = {
            rule: layout(index, month, times.injection_month, Rules(rule), onset=times.onset, top=TOP) for rule in rules
        }
        yield from ((lead_in, (times, plans)) for lead_in in alike)


def _null_counts(
    counts: Counts,
    history: NaturalHistory,
    lead_in: LeadIn,
    prepared: tuple[_Times, dict[str, Layout]],
    trials: int,
    seed: int,
) -> Iterator[tuple[str, dict[str, Places]]]:
    """Count the improved of every null trial under each rule: by period (trial,)."""
    times, plans = prepared
    rng = np.random.default_rng([seed, 1])
    level, slope, before = _enrolled(rng, history, lead_in, len(times.onset))
    mean = level[times.index] + slope[times.index] * times.month
    after = _scored(mean + history.residual * rng.standard_normal(len(mean)))
    values = np.concatenate([before.ravel(), after])[None]
    for rule, plan in plans.items():
        improved = improvements(plan, values)[0] > plan.rules.threshold
        by_trial = improved.reshape(trials, -1, len(plan.periods)).sum(axis=1)
        yield rule, {period: by_trial[:, plan.periods.index(period)] for period in counts.improved}


def _enrolled(
    rng: np.random.Generator, history: NaturalHistory, lead_in: LeadIn, patients: int
) -> tuple[Floats, Floats, Floats]:
    """Draw patients until all meet the entry rule: level, slope (patient,) and lead-in values (patient, visit)."""
    level, slope, values = np.empty(patients), np.empty(patients), np.empty((patients, lead_in.visits))
    wanted = np.arange(patients)
    for _ in range(LARGEST_SEARCH):
        drawn_level, drawn_slope, *_ = (x[0] for x in history.draw(rng, np.zeros(1, dtype=np.intp), len(wanted)))
        mean = drawn_level[:, None] + drawn_slope[:, None] * lead_in.times
        level[wanted], slope[wanted] = drawn_level, drawn_slope
        values[wanted] = _scored(mean + history.residual * rng.standard_normal(mean.shape))
        wanted = wanted[~_meets(lead_in, values[wanted])]
        if not len(wanted):
            return level, slope, values
    raise NullError(f"no patient of {history.name!r} meets the entry rule {lead_in.entry!r} in {LARGEST_SEARCH} draws")


def _meets(lead_in: LeadIn, values: Floats) -> NDArray[np.bool_]:
    centred = lead_in.times - lead_in.times.mean()
    if lead_in.entry == ENTRY_RULES[1]:
        return values[:, 0] - values[:, -1] >= 3
    if lead_in.entry == ENTRY_RULES[2]:
        return np.round(values @ centred / (centred @ centred), 9) <= -0.5
    return np.ones(len(values), dtype=bool)


def _scored(values: Floats) -> Floats:
    return np.clip(np.round(values), 0.0, TOP)

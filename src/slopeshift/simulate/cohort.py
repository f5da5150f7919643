"""Simulated patients: what is true of each, the course that follows from it, and what a rating adds to that course.

Written without any part of the models, so that the two can be held against each other. Time runs in whole days, and a
course is built in the most obvious way: the slope of each day is added up. Array axes are (patient, day) or (patient,
injection); slopes are in points per month.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

DAYS_PER_MONTH = 30.4375
OUTCOMES = ("alsfrsr", "fvc")
MAXIMUM = {"alsfrsr": 48.0, "fvc": math.inf}
DECIMALS = {"alsfrsr": 0, "fvc": 1}

# The mixture puts 40 % of the patients at an exponential rate, its mean 15 % of the overall one. A single gamma or
# log-normal with the same moments shows fewer plateaus than PRO-ACT's 25 / 16 % at 6 / 12 months (Bedlack 2016).
SLOW_SHARE = 0.40
SLOW_RATE = 0.15

Array = NDArray[np.float64]


@dataclass(frozen=True)
class OutcomeTruth:
    """State the population of one outcome: a line, its changes, and its residuals. From `curvature` on, all is off.

    level is the score at month 0, slope the lead-in slope (points/month), change the change of slope after each
    injection. sigma is the residual standard deviation, whatever the tails. slope_distribution is the marginal of the
    lead-in slope, always with this mean and standard deviation; where it is not normal, correlations with it are those
    of a Gaussian copula.
    """

    level: float
    slope: float
    change: tuple[float, ...]
    sd_level: float
    sd_slope: float
    sd_response: float
    sd_cycle: float
    sigma: float
    correlation_level_slope: float = 0.3
    correlation_level_response: float = 0.0
    correlation_slope_response: float = -0.3
    slope_distribution: str = "normal"
    curvature: float = 0.0  # points/month^2, mean over patients
    sd_curvature: float = 0.0  # points/month^2
    sigmoid_ceiling: float = (
        0.0  # upper end of a logistic course with the same level and slope at month 0; 0 keeps the line
    )
    onset_lag: float = 0.0  # months from an injection until it acts
    half_life: float = math.inf  # months in which the change halves once it acts
    autocorrelation_time: float = 0.0  # months in which the correlation of two residuals falls to 1/e
    degrees_of_freedom: float = math.inf  # of Student-t residuals, above 2
    expectation_shift: float = 0.0  # points added to the rating after an injection, not to the disease
    expectation_half_life: float = math.inf  # months

    def __post_init__(self) -> None:
        falling = self.slope < 0 < self.sd_slope
        spreads = (self.sd_level, self.sd_slope, self.sd_response, self.sd_cycle, self.sigma, self.sd_curvature)
        times = (self.onset_lag, self.autocorrelation_time, self.sigmoid_ceiling)
        refuse(
            "truth of an outcome",
            (
                self.slope_distribution not in DISTRIBUTIONS,
                f"slope_distribution {self.slope_distribution!r}: use one of {DISTRIBUTIONS}",
            ),
            (
                self.slope_distribution != "normal" and not falling,
                f"a {self.slope_distribution} slope needs slope < 0 and sd_slope > 0",
            ),
            (min(spreads) < 0, f"standard deviation {min(spreads)}: use 0 or more"),
            (min(times) < 0, f"lag, time or ceiling {min(times)}: use 0, which is off, or more"),
            (
                min(self.half_life, self.expectation_half_life) <= 0,
                "half-life of 0 or less: use inf for an effect that lasts",
            ),
            (
                self.degrees_of_freedom <= 2,
                f"degrees_of_freedom {self.degrees_of_freedom}: use more than 2, or there is no SD",
            ),
        )

    def curvatures(self, level: Array, slope: Array, z: Array) -> Array:
        """Turn standard normal values into the curvatures of patients (patient,), whatever their levels and slopes."""
        return self.curvature + self.sd_curvature * z


@dataclass(frozen=True)
class Truth:
    """State the population of a trial: both outcomes, and how their levels and their slopes go together."""

    alsfrsr: OutcomeTruth
    fvc: OutcomeTruth
    correlation_levels: float = 0.31  # PRO-ACT, n = 2,050 (PMID 34076262)
    correlation_slopes: float = 0.4  # by judgement: no published figure was found

    def __post_init__(self) -> None:
        counts = {name: len(outcome.change) for name, outcome in self.outcomes.items()}
        smallest = float(np.linalg.eigvalsh(_correlation(self)).min())
        refuse(
            "truth",
            (
                len(set(counts.values())) > 1,
                f"unequal numbers of changes, {counts}: give one per injection to each outcome",
            ),
            (
                smallest <= 0,
                f"correlations contradict each other (smallest eigenvalue {smallest:.3f}): bring them nearer to 0",
            ),
        )

    @property
    def outcomes(self) -> Mapping[str, OutcomeTruth]:
        """Return the truth of each outcome by its name."""
        return {"alsfrsr": self.alsfrsr, "fvc": self.fvc}

    @property
    def injections(self) -> int:
        """Return the greatest number of injections a patient can receive."""
        return len(self.alsfrsr.change)


@dataclass(frozen=True)
class Coefficients:
    """Hold the true values of one outcome: `change` by (patient, injection), the others by patient."""

    level: Array
    slope: Array
    response: Array
    change: Array
    curvature: Array


@dataclass(frozen=True)
class Cohort:
    """Hold simulated patients: their coefficients, untreated courses and residuals on every day of the trial."""

    truth: Truth
    day: Array
    coefficients: Mapping[str, Coefficients]
    untreated: Mapping[str, Array]
    residual: Mapping[str, Array]

    def take(self, rows: NDArray[np.intp]) -> Cohort:
        """Return the patients in these rows."""
        return Cohort(
            self.truth,
            self.day,
            {name: _take(c, rows) for name, c in self.coefficients.items()},
            {name: course[rows] for name, course in self.untreated.items()},
            {name: residual[rows] for name, residual in self.residual.items()},
        )

    def mean(self, outcome: str, injection_day: Array) -> Array:
        """Return the true course (patient, day) given the days of injection (patient, injection; inf: not given)."""
        change = self.coefficients[outcome].change
        return self.untreated[outcome] + gain(self.truth.outcomes[outcome], change, self.day, injection_day)

    def measured(self, outcome: str, injection_day: Array) -> Array:
        """Return what a rating on each day would show (patient, day), rounded and kept on the scale of the outcome."""
        shown = self.mean(outcome, injection_day) + expectation(self.truth.outcomes[outcome], self.day, injection_day)
        rounded = np.round(shown + self.residual[outcome], DECIMALS[outcome])
        return np.clip(rounded, 0.0, MAXIMUM[outcome]) + 0.0  # no negative zero


def draw_cohort(truth: Truth, patients: int, day: Array, seed: int) -> Cohort:
    """Draw patients from the population, with a course on every day."""
    coefficients = draw_coefficients(truth, patients, seed)
    untreated, residual = {}, {}
    for name, outcome in truth.outcomes.items():
        untreated[name] = untreated_course(outcome, coefficients[name], day / DAYS_PER_MONTH)
        residual[name] = residuals(outcome, patients, len(day), generator(seed, f"residual {name}"))
    return Cohort(truth, day, coefficients, untreated, residual)


def draw_coefficients(truth: Truth, patients: int, seed: int) -> dict[str, Coefficients]:
    """Draw the true values of every patient, correlated within and across outcomes."""
    root = np.linalg.cholesky(_correlation(truth))
    z = generator(seed, "coefficients").standard_normal((patients, 6)) @ root.T
    return {
        "alsfrsr": _coefficients(truth.alsfrsr, z[:, :3], generator(seed, "cycles alsfrsr")),
        "fvc": _coefficients(truth.fvc, z[:, 3:], generator(seed, "cycles fvc")),
    }


def untreated_course(outcome: OutcomeTruth, c: Coefficients, month: Array) -> Array:
    """Return the course without any injection (patient, day): a line, a parabola or a logistic curve."""
    ceiling = outcome.sigmoid_ceiling
    if ceiling > 0:
        share = np.clip(c.level / ceiling, 0.01, 0.99)
        steepness = c.slope / (ceiling * share * (1 - share))
        return ceiling / (1 + ((1 - share) / share)[:, None] * np.exp(-steepness[:, None] * month))
    return c.level[:, None] + c.slope[:, None] * month + c.curvature[:, None] * month**2 / 2


def gain(outcome: OutcomeTruth, change: Array, day: Array, injection_day: Array) -> Array:
    """Return the points gained (patient, day): each day adds the change of the latest injection before it."""
    added = np.zeros((len(injection_day), len(day)))
    until = np.column_stack([injection_day[:, 1:], np.full(len(injection_day), np.inf)])
    for k in range(injection_day.shape[1]):
        acting = (day - injection_day[:, [k]]) / DAYS_PER_MONTH - outcome.onset_lag
        added += np.where(
            (acting > 0) & (day <= until[:, [k]]), change[:, [k]] * _fading(acting, outcome.half_life), 0.0
        )
    return np.cumsum(added, axis=1) / DAYS_PER_MONTH


def expectation(outcome: OutcomeTruth, day: Array, injection_day: Array) -> Array:
    """Return the points that hope adds to a rating after the latest injection (patient, day)."""
    lift = np.zeros((len(injection_day), len(day)))
    for k in range(injection_day.shape[1]):
        since = (day - injection_day[:, [k]]) / DAYS_PER_MONTH
        lift = np.where(since > 0, outcome.expectation_shift * _fading(since, outcome.expectation_half_life), lift)
    return lift


def residuals(outcome: OutcomeTruth, patients: int, days: int, rng: np.random.Generator) -> Array:
    """Draw the residual that a rating on each day would have (patient, day), with standard deviation sigma.

    Autocorrelated residuals are an Ornstein-Uhlenbeck process seen once a day.
    """
    z = rng.standard_normal((patients, days))
    if outcome.autocorrelation_time > 0:
        keep = math.exp(-1 / (DAYS_PER_MONTH * outcome.autocorrelation_time))
        for today in range(1, days):
            z[:, today] = keep * z[:, today - 1] + math.sqrt(1 - keep**2) * z[:, today]
    if math.isfinite(outcome.degrees_of_freedom):
        z *= np.sqrt((outcome.degrees_of_freedom - 2) / rng.chisquare(outcome.degrees_of_freedom, z.shape))
    return outcome.sigma * z


def generator(seed: int, purpose: str) -> np.random.Generator:
    """Return the stream of random numbers for one purpose, so that a switch changes nothing but what it is for."""
    return np.random.default_rng([seed, *purpose.encode()])


def refuse(what: str, *problems: tuple[bool, str]) -> None:
    """Raise one ValueError that names every problem whose condition is true."""
    found = [message for wrong, message in problems if wrong]
    if found:
        raise ValueError(f"{what}: " + "; ".join(found))


def _fading(months: Array, half_life: float) -> Array | float:
    return 0.5 ** (np.clip(months, 0.0, None) / half_life) if math.isfinite(half_life) else 1.0


def _take(c: Coefficients, rows: NDArray[np.intp]) -> Coefficients:
    return Coefficients(c.level[rows], c.slope[rows], c.response[rows], c.change[rows], c.curvature[rows])


def _correlation(truth: Truth) -> Array:
    """Return the correlation matrix of (level, slope, response) of ALSFRS-R, then of FVC."""
    matrix = np.eye(6)
    for outcome, first in ((truth.alsfrsr, 0), (truth.fvc, 3)):
        matrix[first, first + 1] = outcome.correlation_level_slope
        matrix[first, first + 2] = outcome.correlation_level_response
        matrix[first + 1, first + 2] = outcome.correlation_slope_response
    matrix[0, 3] = truth.correlation_levels
    matrix[1, 4] = truth.correlation_slopes
    return np.triu(matrix) + np.triu(matrix, 1).T


def _coefficients(outcome: OutcomeTruth, z: Array, rng: np.random.Generator) -> Coefficients:
    """Scale standard normal columns (level, slope, response) of the patients to their true values."""
    response = outcome.sd_response * z[:, 2]
    level, slope = outcome.level + outcome.sd_level * z[:, 0], _slopes(outcome, z[:, 1])
    cycle = outcome.sd_cycle * rng.standard_normal((len(z), len(outcome.change)))
    return Coefficients(
        level=level,
        slope=slope,
        response=response,
        change=np.asarray(outcome.change) + response[:, None] + cycle,
        curvature=outcome.curvatures(level, slope, rng.standard_normal(len(z))),
    )


def _slopes(outcome: OutcomeTruth, z: Array) -> Array:
    """Turn standard normal values into lead-in slopes with the chosen marginal; a greater value is a slower decline."""
    if outcome.slope_distribution == "normal":
        return outcome.slope + outcome.sd_slope * z
    mean, sd = -outcome.slope, outcome.sd_slope
    rate = np.linspace(0, mean + 15 * sd, 200_001)[1:]
    cumulative = np.cumsum(_DENSITY[outcome.slope_distribution](rate, mean, sd))
    faster = np.array([NormalDist().cdf(-value) for value in z])
    slopes: Array = -np.interp(faster, cumulative / cumulative[-1], rate)
    return slopes


def _gamma(rate: Array, mean: float, sd: float) -> Array:
    shape, scale = (mean / sd) ** 2, sd**2 / mean
    return np.exp((shape - 1) * np.log(rate) - rate / scale - math.lgamma(shape) - shape * math.log(scale))


def _lognormal(rate: Array, mean: float, sd: float) -> Array:
    variance = math.log1p((sd / mean) ** 2)
    return np.exp(-((np.log(rate / mean) + variance / 2) ** 2) / (2 * variance)) / rate


def _mixture(rate: Array, mean: float, sd: float) -> Array:
    """Return slow and fast decliners together; the fast ones are gamma with whatever moments the whole leaves them."""
    slow = SLOW_RATE * mean
    fast = (mean - SLOW_SHARE * slow) / (1 - SLOW_SHARE)
    variance = (sd**2 + mean**2 - SLOW_SHARE * 2 * slow**2) / (1 - SLOW_SHARE) - fast**2
    refuse(
        "mixture of slopes",
        (variance <= 0, f"an SD of {sd} is too small for a mean of {-mean}: use gamma or a larger SD"),
    )
    return SLOW_SHARE * _gamma(rate, slow, slow) + (1 - SLOW_SHARE) * _gamma(rate, fast, math.sqrt(variance))


_DENSITY: Mapping[str, Callable[[Array, float, float], Array]] = {
    "gamma": _gamma,
    "lognormal": _lognormal,
    "mixture": _mixture,
}
DISTRIBUTIONS = ("normal", *_DENSITY)

"""Populations in which no injection changes anything: from a fit, or from published natural history.

A population hands out what is true of each simulated trial, and then level, slope and curvature of that trial's
patients, whose courses are level + slope t + curvature t^2 / 2. Nothing in it knows of injections.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
import xarray as xr

from slopeshift.design.entry import conditions, known_to
from slopeshift.engine.draws import flat
from slopeshift.simulate.cohort import SLOW_RATE, SLOW_SHARE
from slopeshift.trial.roles import improvement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.design.entry import Conditions
    from slopeshift.design.visits import Visits
    from slopeshift.fit.posterior import Posterior
    from slopeshift.trial import Outcome, Trial

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]
    Drawn = tuple[Floats, Floats, Floats, Floats]

DISTRIBUTIONS = ("normal", "gamma", "lognormal", "mixture")


class Population(Protocol):
    """What hands out patients to simulated trials."""

    @property
    def name(self) -> str:
        """What the population is called in tables."""

    @property
    def screened(self) -> bool:
        """Whether entry rules have yet to choose from it: not where it describes those who entered."""

    def versions(self, rng: np.random.Generator, trials: int) -> Places:
        """Choose, for every trial, the version of the population it is drawn from: (trial,)."""

    def draw(self, rng: np.random.Generator, version: Places, patients: int) -> Drawn:
        """Draw new patients of every trial's version.

        Returns level, slope and curvature (trial, patient), and the residual SD (trial,).
        """


@dataclass(frozen=True)
class NaturalHistory:
    """The course of untreated patients as published: a line each, and what scatters around it.

    `level` is the value at the first injection, `slope` its change a month, both with their standard deviation between
    patients; `residual` is the standard deviation around the line. Levels are normal and independent of slopes. Slopes
    are `normal`, or worsen at a `gamma` or `lognormal` rate, or a `mixture` in which 40 % worsen at a slow rate, always
    with this mean and standard deviation. `sources` says where each number is from, and `sign` which way is better: 1
    where higher is, -1 where lower is.
    Raises ValueError, with everything that is wrong.
    """

    name: str
    outcome: str
    level: float
    sd_level: float
    slope: float
    sd_slope: float
    residual: float
    distribution: str
    sources: str
    sign: int = 1
    screened: ClassVar[bool] = True

    def __post_init__(self) -> None:
        wrong = [
            f"{name} is {getattr(self, name)}; give a standard deviation above 0"
            for name in ("sd_level", "sd_slope", "residual")
            if not 0 < getattr(self, name) < np.inf
        ]
        if self.distribution not in DISTRIBUTIONS:
            wrong.append(f"distribution is {self.distribution!r}; use one of {', '.join(DISTRIBUTIONS)}")
        elif self.distribution != "normal" and not improvement(self.slope, self.sign) < 0:
            side = "below" if self.sign > 0 else "above"
            wrong.append(f"slope is {self.slope}; a {self.distribution} rate needs a slope {side} 0")
        elif self.distribution == "mixture" and self._fast()[1] <= 0:
            wrong.append(f"sd_slope is {self.sd_slope}; too small for a mixture around {self.slope}, use gamma")
        if wrong:
            raise ValueError(f"natural history {self.name!r}: " + "; ".join(wrong))

    def versions(self, rng: np.random.Generator, trials: int) -> Places:
        """Choose the one version there is: (trial,)."""
        return np.zeros(trials, dtype=np.intp)

    def draw(self, rng: np.random.Generator, version: Places, patients: int) -> Drawn:
        """See `Population`: published courses are lines."""
        shape = (len(version), patients)
        level = rng.normal(self.level, self.sd_level, shape)
        return level, self.slopes(rng, shape), np.zeros(shape), np.full(len(version), self.residual)

    def slopes(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Draw slopes of this distribution, mean and standard deviation."""
        mean, sd = abs(self.slope), self.sd_slope
        if self.distribution == "normal":
            return rng.normal(self.slope, sd, shape)
        if self.distribution == "gamma":
            return -self.sign * rng.gamma((mean / sd) ** 2, sd**2 / mean, shape)
        if self.distribution == "lognormal":
            variance = np.log1p((sd / mean) ** 2)
            return -self.sign * rng.lognormal(np.log(mean) - variance / 2, np.sqrt(variance), shape)
        fast, variance = self._fast()
        slow = rng.exponential(SLOW_RATE * mean, shape)
        return -self.sign * np.where(
            rng.random(shape) < SLOW_SHARE, slow, rng.gamma(fast**2 / variance, variance / fast, shape)
        )

    def _fast(self) -> tuple[float, float]:
        """Mean and variance that the moments of the whole leave to those who do not decline slowly."""
        mean = abs(self.slope)
        slow = mean * SLOW_RATE
        fast = (mean - SLOW_SHARE * slow) / (1 - SLOW_SHARE)
        square = (self.sd_slope**2 + self.slope**2 - 2 * SLOW_SHARE * slow**2) / (1 - SLOW_SHARE)
        return fast, square - fast**2


@dataclass(frozen=True, eq=False)
class Fitted:
    """The population of a fit with every change left out: one posterior draw a simulated trial, new patients in each.

    Arrays are (draw,): mean level and slope, their standard deviations and correlation, and the residual one; mean
    curvature, its regressions on level and slope, and its standard deviation given these, all 0 of a straight course.
    New patients have the trial's covariates: `regression` (draw, covariate) times `moves` (covariate, patient, 2) is
    what these add to level and slope. `screened` says that the fit took the entry rules into account: the population is
    then that from which they chose.
    """

    name: str
    level: Floats
    slope: Floats
    sd_level: Floats
    sd_slope: Floats
    correlation: Floats
    residual: Floats
    curvature: Floats
    curvature_by_level: Floats
    curvature_by_slope: Floats
    sd_curvature: Floats
    regression: Floats
    moves: Floats
    screened: bool = False

    def versions(self, rng: np.random.Generator, trials: int) -> Places:
        """Choose a posterior draw for every trial: (trial,)."""
        return rng.integers(len(self.level), size=trials)

    def draw(self, rng: np.random.Generator, version: Places, patients: int) -> Drawn:
        """See `Population`."""
        of = version[:, None]
        z, other = rng.standard_normal((2, len(of), patients))
        along = self.correlation[of] * z + np.sqrt(1 - self.correlation[of] ** 2) * other
        level, slope = self.sd_level[of] * z, self.sd_slope[of] * along
        curvature = self.curvature[of] + self.curvature_by_level[of] * level + self.curvature_by_slope[of] * slope
        if self.sd_curvature.any():
            curvature = curvature + self.sd_curvature[of] * rng.standard_normal(z.shape)
        level, slope = self.level[of] + level, self.slope[of] + slope
        if self.moves.size:
            moved = np.tensordot(self.regression[version], self.moves, axes=1)
            level, slope = level + moved[..., 0], slope + moved[..., 1]
        return level, slope, curvature, self.residual[version]


def fitted(name: str, posterior: Posterior) -> Fitted:
    """Take the population without changes out of the posterior of a fit of a piecewise line.

    A model without correlations has none between level and slope. What covariates say of level and slope stays, patient
    by patient, and what they say of changes is left out with these; `design` is the `constant_data` of the fit.
    """
    draws = posterior.draws
    population, none = draws["population"], xr.zeros_like(draws["sigma"])
    curved = "curvature" in population.indexes["coefficient"]
    parts = {
        "level": population.sel(coefficient="level"),
        "slope": population.sel(coefficient="slope"),
        "sd_level": draws["sd_level"],
        "sd_slope": draws["sd_slope"],
        "correlation": draws["correlation"].sel(pair="level, slope") if "correlation" in draws else none,
        "residual": draws["sigma"],
        "curvature": population.sel(coefficient="curvature") if curved else none,
        **{name: draws.get(name, none) for name in ("curvature_by_level", "curvature_by_slope", "sd_curvature")},
    }
    drawn = {part: flat(values) for part, values in parts.items()}
    return Fitted(name, **drawn, **_covariates(posterior), screened=known_to(posterior.design))


def _covariates(posterior: Posterior) -> dict[str, Floats]:
    """Take out the covariates' coefficients (draw, covariate) and how they move level and slope."""
    if "regression" not in posterior.draws:
        return {"regression": np.empty((posterior.draws["sigma"].size, 0)), "moves": np.empty((0, 0, 2))}
    moves = posterior.design["covariates"].sel(coefficient=["level", "slope"])
    drawn = posterior.draws["regression"].transpose("chain", "draw", "covariate")
    return {"regression": flat(drawn), "moves": moves.transpose("covariate", "patient", "coefficient").to_numpy()}


def entry_of(trial: Trial, visits: Visits, population: Population) -> Conditions | None:
    """Take what null trials of `visits` are chosen by: nothing where `population` describes those who entered.

    From a fit, only rules that its likelihood knew have yet to choose.
    """
    found = conditions(trial, visits) if population.screened else None
    return found.modelled() if found is not None and isinstance(population, Fitted) else found


def entry_words(entry: Conditions | None, outcome: Outcome) -> str:
    """Say by which rules null trials were chosen: empty where by none."""
    return "" if entry is None else "; ".join(dict.fromkeys(rule.words(outcome) for rule in entry.rules))


def described(population: Population) -> str:
    """Write out everything that decides what a population hands out: for keys of stored work."""
    values = ((field.name, getattr(population, field.name)) for field in fields(population))  # type: ignore[arg-type]
    return repr([(name, v.tolist() if isinstance(v, np.ndarray) else v) for name, v in values])


_LEVEL = (
    "level 34 (SD 6) by judgement, between trial and clinic baselines, which are 31.4 (6.1) in doi 10.1002/mus.27472"
)
_PLATFORM = (
    f"slope and residual of PRO-ACT placebo patients as reported of a platform trial's design (its paper: doi "
    f"10.1002/ana.26714), not read at the source; {_LEVEL}"
)
_RATES = (
    "slope -1.06 (SD 0.92) by judgement from per-patient slopes in PRO-ACT, an account that was not reviewed; residual "
    f"2.0 by judgement, 1.6 of 40 points in doi 10.1212/01.wnl.0000144345.49510.4e; {_LEVEL}"
)
_TOPIRAMATE = (
    "slope and residual of the placebo arm in doi 10.1212/01.wnl.0000144345.49510.4e (e-table T-1, read in a copy); "
    "level 80 (SD 18) by judgement, between 75.0 (19.8) in doi 10.1002/mus.27472 and higher baselines elsewhere"
)

PLATFORM = NaturalHistory("PRO-ACT placebo, normal", "alsfrsr", 34.0, 6.0, -1.03, 0.76, 1.77, "normal", _PLATFORM)
NATURAL_HISTORIES: tuple[NaturalHistory, ...] = (
    PLATFORM,
    *(
        NaturalHistory(f"PRO-ACT slopes, {shape}", "alsfrsr", 34.0, 6.0, -1.06, 0.92, 2.0, shape, _RATES)
        for shape in DISTRIBUTIONS
    ),
    NaturalHistory("topiramate placebo", "fvc", 80.0, 18.0, -2.442, 1.858, 5.9, "normal", _TOPIRAMATE),
)
"""Published natural histories, by outcome. The first of an outcome is its default."""

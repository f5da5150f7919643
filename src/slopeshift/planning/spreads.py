"""How patients are assumed to differ: draws of standard deviations and correlations, and where they come from.

From a model's own prior, from numbers that the plan states, from a published natural history, or from the posterior of
an earlier fit. The closed form is an average over them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.engine.draws import evenly, flat
from slopeshift.model.control import FromControl
from slopeshift.model.line import loading_parts, pattern
from slopeshift.model.priors import Gamma, HalfNormal
from slopeshift.null.population import NATURAL_HISTORIES
from slopeshift.planning.plan import PlanError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.fit.posterior import Posterior
    from slopeshift.model.program import LineModel

    Floats = NDArray[np.float64]

DRAWS = 50
"""Draws that are averaged over, unless the plan says otherwise."""

REGRESSIONS = ("curvature_by_level", "curvature_by_slope")
TRAITS = ("level", "slope", "response")


@dataclass(frozen=True, eq=False)
class Spreads:
    """Draws of a population: mean `level` and `slope`, and how patients differ. Arrays are (draw,).

    SDs in outcome units: of `level`; a month, of `slope`, `response` and `cycle`; a month, per month, of `curvature`,
    which besides is regressed on level and slope. `correlation` (draw, 3, 3) is that of TRAITS; `sigma` is the SD of a
    residual, rounding included.
    """

    level: Floats
    slope: Floats
    sd_level: Floats
    sd_slope: Floats
    sd_response: Floats
    sd_cycle: Floats
    sigma: Floats
    sd_curvature: Floats
    curvature_by_level: Floats
    curvature_by_slope: Floats
    correlation: Floats

    def __len__(self) -> int:
        return len(self.sigma)

    def loading(self, visits: Visits, sources: tuple[str, ...]) -> Floats:
        """Write Lambda of `line.loading` for the coefficients of visits: (draw, coefficient, source)."""
        factor = np.linalg.cholesky(self.correlation)
        found = np.zeros((len(self), len(visits.coefficients), len(sources)))
        for part in loading_parts(visits, REGRESSIONS if visits.shape.curved else ()):
            scalar: Floats = getattr(self, f"sd_{part.trait}")
            if part.entry is not None:
                scalar = scalar * factor[:, part.entry[0], part.entry[1]]
            if part.by is not None:
                scalar = scalar * getattr(self, part.by)
            found += scalar[:, None, None] * pattern(part, visits.coefficients, sources)
        return found

    def one(self, draw: int) -> Spreads:
        """Take one draw."""
        return Spreads(**{each.name: getattr(self, each.name)[draw : draw + 1] for each in fields(self)})

    def first(self, most: int) -> Spreads:
        """Take the first draws, or all where there are no more."""
        return Spreads(**{each.name: getattr(self, each.name)[:most] for each in fields(self)})


def from_prior(model: LineModel, draws: int, seed: int) -> Spreads:
    """Draw from a model's priors; level and slope stay at their prior means.

    A model without curvature has none between patients. The correlation is drawn as `line.correlation_factor` does.
    """
    rng = np.random.default_rng([seed, 1])
    drawn = {
        name: _drawn(getattr(model, name), draws, rng)
        for name in ("sd_level", "sd_slope", "sd_response", "sd_cycle", "sd_curvature", *REGRESSIONS)
    }
    return Spreads(
        level=np.full(draws, float(model.level.mean)),
        slope=np.full(draws, _slope(model)),
        sigma=_drawn(model.family.priors["sigma"], draws, rng),
        correlation=_correlations(model.correlation.eta, draws, rng),
        **drawn,
    )


def _slope(model: LineModel) -> float:
    prior = model.slope.otherwise if isinstance(model.slope, FromControl) else model.slope
    return float(prior.mean)


def _drawn(prior: Any, draws: int, rng: np.random.Generator) -> Floats:
    if prior is None:
        return np.zeros(draws)
    if isinstance(prior, HalfNormal):
        return np.abs(rng.normal(0.0, prior.sd, draws))
    if isinstance(prior, Gamma):
        return rng.gamma((prior.mean / prior.sd) ** 2, prior.sd**2 / prior.mean, draws)
    return rng.normal(prior.mean, prior.sd, draws)


def _correlations(eta: float, draws: int, rng: np.random.Generator) -> Floats:
    """Draw correlations of TRAITS from the LKJ prior by partial correlations: (draw, 3, 3)."""
    size = len(TRAITS)
    factor = np.zeros((draws, size, size))
    factor[:, 0, 0] = 1.0
    for row in range(1, size):
        left = np.ones(draws)
        for column in range(row):
            shape = eta + (size - 2 - column) / 2
            partial = 2.0 * rng.beta(shape, shape, draws) - 1.0
            factor[:, row, column] = partial * left
            left = left * np.sqrt(1.0 - partial**2)
        factor[:, row, row] = left
    return factor @ factor.transpose(0, 2, 1)


def stated(given: Mapping[str, Any], model: LineModel) -> Spreads:
    """Take one draw from numbers that are stated; level and slope are by default those of a model's priors.

    Raises PlanError where correlations contradict each other.
    """
    names = [each.name for each in fields(Spreads) if each.name != "correlation"]
    numbers = {"level": model.level.mean, "slope": _slope(model), **dict.fromkeys(REGRESSIONS, 0.0)} | dict(given)
    pairs = ((0, 1), (0, 2), (1, 2))
    correlation = np.eye(len(TRAITS))
    for row, column in pairs:
        value = float(given.get(f"correlation_{TRAITS[row]}_{TRAITS[column]}", 0.0))
        correlation[row, column] = correlation[column, row] = value
    if np.linalg.eigvalsh(correlation).min() <= 0:
        raise PlanError("population: its correlations contradict each other; bring them nearer to 0")
    return Spreads(**{name: np.array([float(numbers[name])]) for name in names}, correlation=correlation[None])


def published(given: Mapping[str, Any], outcome: str, model: LineModel) -> Spreads:
    """Take a published natural history by its name; what it does not say of changes is the plan's to state.

    Raises PlanError where there is none of this name for the outcome.
    """
    known = {history.name: history for history in NATURAL_HISTORIES if history.outcome == outcome}
    if given["name"] not in known:
        raise PlanError(f"population.name: no natural history {given['name']!r} of {outcome}; use {', '.join(known)}")
    history = known[given["name"]]
    numbers = {name: getattr(history, name) for name in ("level", "slope", "sd_level", "sd_slope")}
    more = {"sd_response": 0.0, "sd_cycle": 0.0, "sd_curvature": 0.0}
    more |= {name: value for name, value in given.items() if name in more}
    return stated(numbers | more | {"sigma": history.residual}, model)


def of_fit(posterior: Posterior, draws: int) -> Spreads:
    """Take draws, evenly spaced, from the posterior of a fit of a piecewise line with correlations.

    Raises PlanError where its model has none.
    """
    found = posterior.draws
    if "correlation" not in found or "sd_response" not in found:
        raise PlanError(f"population: the fit of {posterior.model} has no correlations and responses; name another")
    place = evenly(found, draws)
    names = ("sd_level", "sd_slope", "sd_response", "sd_cycle", "sigma")
    parts = {name: flat(found[name])[place] for name in names}
    for name in ("sd_curvature", *REGRESSIONS):
        parts[name] = flat(found[name])[place] if name in found else np.zeros(len(place))
    population = flat(found["population"].sel(coefficient=["level", "slope"]))[place]
    correlation = np.tile(np.eye(len(TRAITS)), (len(place), 1, 1))
    for row, column in ((0, 1), (0, 2), (1, 2)):
        values = flat(found["correlation"].sel(pair=f"{TRAITS[row]}, {TRAITS[column]}"))[place]
        correlation[:, row, column] = correlation[:, column, row] = values
    return Spreads(level=population[:, 0], slope=population[:, 1], correlation=correlation, **parts)

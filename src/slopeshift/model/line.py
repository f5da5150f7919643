"""Population and patient coefficients: who the patients are drawn from, and how they differ.

    theta_i   = (level_i, slope_i, change_i1, ..., change_iK)
    change_ik = change + change_k + response_i + cycle_ik
    (level_i, slope_i, response_i) ~ Normal((level, slope, 0), diag(sd) R diag(sd)),     R ~ LKJ(eta)
    cycle_ik  ~ Normal(0, sd_cycle)

On a curved course, the curvature of a patient goes with level and slope, and is otherwise its own:

    curvature_i ~ Normal(curvature + curvature_by_level (level_i - level) + curvature_by_slope (slope_i - slope),
                         sd_curvature)

where level_i and slope_i are less what covariates say of them. Regressions, unlike correlations, have priors in units
that other cohorts state; the visits of a trial would hardly tell them from none.

With covariates, sum_c gamma_c x_ic is added to level_i, slope_i or change_ik (x_ikc, where it differs between cycles);
the population's coefficients are those where all covariates are 0. See `covariates`.

The change is counted from lead-in, not from the previous cycle: increments that accumulate would give the total change
an absurd prior.
The correlation of lead-in slope and response separates regression to the mean from effect.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.engine.later import later
from slopeshift.engine.terms import Terms, record_terms
from slopeshift.model.covariates import record_regressors, regressors_of
from slopeshift.model.stated import record

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    import pymc as pm
    import pytensor.tensor as pt
    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

    from slopeshift.design.entry import Selection
    from slopeshift.design.visits import Visits
    from slopeshift.model.covariates import Covariate, Regressor
    from slopeshift.model.priors import LKJ, Gamma, HalfNormal, Normal, Prior

    Standardise = Callable[[TensorVariable], TensorVariable]
else:
    pm, pt = later("pymc"), later("pytensor.tensor")

LABELS = {
    "level": "population mean at the first injection",
    "slope": "population slope before the first injection",
    "curvature": "population curvature before the first injection",
    "change": "change of slope common to all injections",
    "change_by_injection": "deviation of each injection's change from it",
    "sd_level": "SD of levels between patients",
    "sd_slope": "SD of slopes between patients",
    "curvature_by_level": "curvature by level, between patients",
    "curvature_by_slope": "curvature by slope, between patients",
    "sd_curvature": "SD of curvatures between patients of one level and slope",
    "sd_response": "SD of changes between patients",
    "sd_cycle": "SD of changes between cycles of a patient",
    "correlation": "correlations of level, slope and change between patients",
}
"""What the priors of `piecewise_line` are of, in the order of the prior table."""

COVARIATE = "coefficient of a covariate"


@dataclass(frozen=True)
class Spread:
    """How patients differ: tensors of the current PyMC model.

    `level`, `slope`, `response`, `cycle` and `curvature` are standard deviations, which may carry a sign (see
    `signed_scale`); response and cycle are None without injections, and curvature where the course has none. `factor`
    is the Cholesky factor of R, a row per trait. `regressions` are those of the curvature on traits, by name.
    """

    level: TensorVariable
    slope: TensorVariable
    response: TensorVariable | None
    cycle: TensorVariable | None
    factor: list[list[TensorVariable]]
    curvature: TensorVariable | None = None
    regressions: Mapping[str, TensorVariable] = field(default_factory=dict)


@dataclass(frozen=True)
class PiecewiseLine:
    """A line per patient whose slope may change at each injection: visits, population priors and spread.

    The population priors are in outcome units (`level`), outcome units per month, and those per month squared
    (`curvature`, None where the course has none). `change` is common to all injections, `change_by_injection` is the
    deviation of each. Level, slope and changes are regressed on `regressors`. `selection` has the rules by which the
    patients entered; a family that does not know them takes the patients for anybody. `given` says that the values
    up to the first injection are taken as given, which makes rules on them superfluous.
    """

    visits: Visits
    level: Normal
    slope: Normal
    change: Normal
    change_by_injection: Normal
    spread: Spread
    regressors: tuple[Regressor, ...]
    curvature: Normal | None = None
    selection: Selection | None = None
    given: bool = False

    @property
    def shift(self) -> NDArray[np.float64]:
        """How far each regressor moves a patient, per unit of its coefficient: (covariate, patient, coefficient)."""
        return _shifts(self.visits, self.regressors)


def piecewise_line(
    visits: Visits,
    *,
    level: Normal,
    slope: Normal,
    change: Normal,
    change_by_injection: Normal,
    sd_level: HalfNormal | Gamma,
    sd_slope: HalfNormal | Gamma,
    sd_response: HalfNormal | Gamma,
    sd_cycle: HalfNormal | Gamma,
    correlation: LKJ,
    covariates: tuple[Covariate, ...] = (),
    curvature: Normal | None = None,
    sd_curvature: HalfNormal | Gamma | None = None,
    curvature_by_level: Normal | None = None,
    curvature_by_slope: Normal | None = None,
    selection: Selection | None = None,
    given: bool = False,
) -> PiecewiseLine:
    """Add the spread between patients to the current PyMC model and return the curve that families build on.

    The arguments are the prior table of the model, in the order of the equations above; units as in PiecewiseLine.
    A regression of the curvature without a prior is none. Adds `sd_level`, `sd_slope`, `correlation` (pair), in a trial
    with injections `sd_response` and `sd_cycle`, and on a curved course `sd_curvature` and what it is regressed by, and
    records the priors. Without injections those of the changes play no part.
    Raises ValueError where the course is curved without priors of its curvature, or the other way round, and
    CovariateError where a covariate cannot be what it is said to be.
    """
    by = {"curvature_by_level": curvature_by_level, "curvature_by_slope": curvature_by_slope}
    _check_curvature(visits, (curvature, sd_curvature), tuple(by.values()))
    stated: dict[str, Prior | None]
    stated = {"level": level, "slope": slope, "sd_level": sd_level, "sd_slope": sd_slope, "correlation": correlation}
    stated |= {"curvature": curvature, "sd_curvature": sd_curvature, **by}
    if visits.injections:
        stated |= {"change": change, "change_by_injection": change_by_injection}
        stated |= {"sd_response": sd_response, "sd_cycle": sd_cycle}
    regressors = regressors_of(covariates, visits)
    _record(stated, regressors)
    traits = {"level": sd_level.variable("sd_level"), "slope": scale("sd_slope", sd_slope)}
    cycle = None
    if visits.injections:
        traits["response"] = scale("sd_response", sd_response)
        cycle = scale("sd_cycle", sd_cycle)
    factor = correlation_factor(correlation, len(traits))
    _report_correlation(factor, traits)
    bent = None if sd_curvature is None else scale("sd_curvature", sd_curvature)
    regressions = {name: prior.variable(name) for name, prior in by.items() if prior is not None}
    spread = Spread(traits["level"], traits["slope"], traits.get("response"), cycle, factor, bent, regressions)
    priors = level, slope, change, change_by_injection
    return PiecewiseLine(visits, *priors, spread, regressors, curvature, selection, given)


def _check_curvature(visits: Visits, needed: tuple[object, ...], regressions: tuple[object, ...]) -> None:
    if visits.shape.curved and None in needed:
        raise ValueError("the course is curved: state priors for curvature and sd_curvature")
    if not visits.shape.curved and any(prior is not None for prior in (*needed, *regressions)):
        raise ValueError("priors for curvature or how patients differ in it, but the course is not: Shape(curved=True)")


def _record(priors: Mapping[str, Prior | None], regressors: tuple[Regressor, ...]) -> None:
    for name in LABELS:
        if (prior := priors.get(name)) is not None:
            record(name, prior, LABELS[name])
    for regressor in regressors:
        record(regressor.name, regressor.prior, COVARIATE)
    record_regressors(regressors)


def scale(name: str, prior: HalfNormal | Gamma) -> TensorVariable:
    """Sample a standard deviation: with a sign where it may be zero, on the log scale where it may not."""
    return signed_scale(name, prior.sd) if prior.may_be_zero else prior.variable(name)


def signed_scale(name: str, sd: float) -> TensorVariable:
    """Sample a half-normal standard deviation as |x| with x ~ Normal(0, sd), and return x.

    The density depends on x through its square, so it is smooth through zero: neither a boundary nor the tail of a log
    scale, where small trials live. The model gets `name_signed` (x) and `name` (|x|).
    """
    signed = pm.Normal(f"{name}_signed", mu=0.0, sigma=np.float64(sd))
    pm.Deterministic(name, pt.abs(signed))
    return signed


def correlation_factor(prior: LKJ, size: int) -> list[list[TensorVariable]]:
    """Draw the Cholesky factor of a correlation matrix, row by row, from its partial correlations.

    Canonical partial correlation j of any row is 2 Beta(a, a) - 1 with a = eta + (size - 2 - j) / 2 (Lewandowski,
    Kurowicka and Joe 2009, section 2.4); row i of the factor is the products of these with the lengths that earlier
    columns left over. Returns `size` rows; row i has i + 1 entries. Adds one variable per pair.
    """
    rows: list[list[TensorVariable]] = [[pt.constant(1.0)]]
    for i in range(1, size):
        row, left = [], pt.constant(1.0)
        for j in range(i):
            shape = np.float64(prior.eta + (size - 2 - j) / 2)
            partial = 2.0 * pm.Beta(f"partial_correlation_{j}{i}", shape, shape) - 1.0
            row.append(partial * left)
            left = left * pt.sqrt(1.0 - partial**2)
        rows.append([*row, left])
    return rows


def _report_correlation(factor: list[list[TensorVariable]], traits: dict[str, TensorVariable]) -> None:
    """Add `correlation` over pairs of traits, with the signs of signed standard deviations put back."""
    sign = [pt.sign(value) for value in traits.values()]
    pairs = list(combinations(range(len(traits)), 2))
    values = [sum(factor[i][m] * factor[j][m] for m in range(i + 1)) * sign[i] * sign[j] for i, j in pairs]
    names = list(traits)
    pm.modelcontext(None).add_coord("pair", [f"{names[i]}, {names[j]}" for i, j in pairs])
    pm.Deterministic("correlation", pt.stack(values), dims="pair")


def population_terms(curve: PiecewiseLine) -> Terms:
    """Lay the population priors out as independent terms: natural history, change, deviations of it, covariates."""
    stated = {name: getattr(curve, name) for name in POPULATION}
    return terms_of_priors(curve.visits, stated, curve.regressors)


POPULATION = ("level", "slope", "curvature", "change", "change_by_injection")
"""The population's priors, by the names of LABELS."""


def terms_of_priors(visits: Visits, stated: Mapping[str, Normal | None], regressors: tuple[Regressor, ...]) -> Terms:
    """Lay out the priors of POPULATION on visits, whose values play no part, and those of regressors."""
    segments = visits.segments
    priors = {name: prior for name, prior in stated.items() if prior is not None}
    common = (("change", priors["change"]),) if segments else ()
    regression = tuple((regressor.name, regressor.prior) for regressor in regressors)
    natural = tuple((name, priors[name]) for name in visits.shape.natural)
    terms = (*natural, *common, *((segment, priors["change_by_injection"]) for segment in segments), *regression)
    first = len(natural)
    design = np.zeros((len(visits.coefficients), len(terms)))
    design[:first, :first] = np.eye(first)
    for row in range(first, len(visits.coefficients)):
        design[row, [first, row + 1]] = 1.0
    return Terms(
        names=tuple(name for name, _ in terms),
        sources=_sources(visits),
        mean=np.array([float(prior.mean) for _, prior in terms]),
        sd=np.array([float(prior.sd) for _, prior in terms]),
        design=design,
        shift=_shifts(visits, regressors),
    )


def _shifts(visits: Visits, regressors: tuple[Regressor, ...]) -> NDArray[np.float64]:
    shape = (len(regressors), len(visits.patients), len(visits.coefficients))
    return np.array([regressor.shift for regressor in regressors]).reshape(shape)


def _sources(visits: Visits) -> tuple[str, ...]:
    """Name what patients differ by: the traits, which are correlated, the curvature, and the cycles."""
    traits = ("level", "slope", *(("response",) if visits.segments else ()))
    return (*traits, *(("curvature",) if visits.shape.curved else ()), *map(_source, visits.segments))


def _source(segment: str) -> str:
    return segment.replace("change", "cycle")


@dataclass(frozen=True)
class Part:
    """A scalar of the loading and where it stands.

    The scalar is the standard deviation of `trait`, times entry (row, column) of the correlation's factor where
    `entry` is one, and times the regression `by` where that is one; `places` are pairs of coefficient and source.
    """

    trait: str
    entry: tuple[int, int] | None
    places: tuple[tuple[str, str], ...]
    by: str | None = None


def loading_parts(visits: Visits, regressions: Collection[str]) -> list[Part]:
    """Take the loading apart: the scalars whose sum, each times a pattern of zeros and ones, it is.

    `regressions` names those of the curvature that the model has: its row is then theirs times the rows of their traits
    besides a part of its own.
    """
    segments, cycles = visits.segments, tuple((segment, _source(segment)) for segment in visits.segments)
    moved = {"level": ("level",), "slope": ("slope",)} | ({"response": segments} if segments else {})
    parts = [
        Part(trait, (row, column), tuple((coefficient, source) for coefficient in moved[trait]))
        for row, trait in enumerate(moved)
        for column, source in enumerate(list(moved)[: row + 1])
    ]
    parts += [
        replace(part, places=(("curvature", source),), by=by)
        for part in parts
        for (_, source) in part.places[:1]
        if (by := f"curvature_by_{part.trait}") in regressions
    ]
    parts += [Part("curvature", None, (("curvature", "curvature"),))] if visits.shape.curved else []
    return parts + ([Part("cycle", None, cycles)] if cycles else [])


def pattern(part: Part, coefficients: tuple[str, ...], sources: tuple[str, ...]) -> NDArray[np.float64]:
    """Lay out where a part of the loading stands: ones and zeros (coefficient, source)."""
    found = np.zeros((len(coefficients), len(sources)))
    for coefficient, source in part.places:
        found[coefficients.index(coefficient), sources.index(source)] = 1.0
    return found


def loading(curve: PiecewiseLine) -> TensorVariable:
    """Write Lambda of theta_i = B mu + Lambda z_i, z_i ~ Normal(0, I): (coefficient, source).

    Every entry is one of a few scalars, so the matrix is these scalars times constant patterns.
    """
    spread, parts = curve.spread, loading_parts(curve.visits, curve.spread.regressions)
    scalars = [
        getattr(spread, part.trait)
        * (spread.factor[part.entry[0]][part.entry[1]] if part.entry else 1.0)
        * (spread.regressions[part.by] if part.by else 1.0)
        for part in parts
    ]
    patterns = [pattern(part, curve.visits.coefficients, _sources(curve.visits)) for part in parts]
    return pt.tensordot(pt.stack(scalars), np.array(patterns), axes=1)


def coefficients(curve: PiecewiseLine, value: TensorVariable, standardise: Standardise) -> TensorVariable:
    """Write the coefficients of population and patients out as sampled variables: (patient, coefficient).

    `value` (visit,) and `standardise` say how they are sampled, not what they are: the latter maps rows (visit, column)
    of any array linearly, so that the residuals of `value`, so mapped, are nearly independent standard normals. The
    nearer they are, the better NUTS mixes (see `coordinates`).
    Adds `terms` (term), `loading` (coefficient, source), `z` (patient, source), `population` (coefficient),
    `coefficients` (patient, coefficient), the covariates' part included, and, where there are covariates, `regression`
    (covariate); and the record of its terms (see `terms.record_terms`).
    """
    from slopeshift.engine.reparametrise import standard_normals

    visits, laid_out = curve.visits, population_terms(curve)
    record_terms(laid_out)
    pm.modelcontext(None).add_coord("source", laid_out.sources)
    terms = pm.Normal("terms", laid_out.mean, laid_out.sd, dims="term")
    population = pm.Deterministic("population", laid_out.design @ terms, dims="coefficient")
    shared = population + _moved(curve, terms)
    loaded = pm.Deterministic("loading", loading(curve), dims=("coefficient", "source"))
    expected = (visits.basis * shared[visits.patient_index]).sum(axis=1)
    design, residual = standardise(visits.basis @ loaded), standardise((value - expected)[:, None])[:, 0]
    z = standard_normals("z", design, residual, visits.patient_index, ("patient", "source"))
    return pm.Deterministic("coefficients", shared + z @ loaded.T, dims=("patient", "coefficient"))


def _moved(curve: PiecewiseLine, terms: TensorVariable) -> TensorVariable:
    """Name the covariates' coefficients and return how far they move each patient: (patient, coefficient)."""
    patients, number = len(curve.visits.patients), len(curve.regressors)
    if not number:
        return pt.zeros((patients, 1))
    regression = pm.Deterministic("regression", terms[-number:], dims="covariate")
    return pt.tensordot(regression, curve.shift, axes=1)

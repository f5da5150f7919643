"""Covariates of a model file: what level, slope, curvature or changes are regressed on, and with which prior.

    level_i += gamma x_i        slope_i += gamma x_i        change_ik += gamma x_i, or gamma x_ik of each cycle
    curvature_i += gamma x_i, on a curved course

A coefficient is an association: patients who differ in a covariate differ in much else.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.design.arms import of_arms
from slopeshift.design.covariates import Column, CovariateError, columns_of
from slopeshift.engine.later import later
from slopeshift.trial.roles import CovariateRole

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pymc as pm
    import xarray as xr
    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.model.priors import Normal

    Floats = NDArray[np.float64]
else:
    pm = later("pymc")

LEVEL, SLOPE, CURVATURE, CHANGE = ON = ("level", "slope", "curvature", "change")
PATIENT, CYCLE = "patient", "cycle"
ABOUT = ("on", "by", "label", "step", "unit", "rule")
"""What is recorded of a coefficient beside its numbers, as coordinates `covariate_NAME` of a fit's `constant_data`."""


@dataclass(frozen=True, eq=False)
class Covariate:
    """What level, slope, curvature or changes are regressed on: a column of patients.csv, or values of each cycle.

    `on` is "level", "slope", "curvature" or "change". `prior` is of each coefficient: in outcome units (a month, of
    slopes and changes), per `per` units of a number, or between a level and the `reference` level. A number counts as 0
    at `centre`, which is the patients' mean where neither the model file nor the trial's settings give one. `missing`,
    "mean" of numbers or "reference" of levels, says how patients without a value count; without it they are refused.
    `by_cycle` (patient, injection), in `unit`, takes the place of the column: finite for every cycle, those not reached
    included, and 0 for the cycle that `change k` of the population describes. `step` says what its coefficient
    compares, where that is no unit more.
    Raises CovariateError where `on` is something else, or values of cycles are not finite or do not act on the change.
    """

    name: str
    _: KW_ONLY
    on: str
    prior: Normal
    reference: str | None = None
    centre: float | None = None
    per: float | None = None
    unit: str | None = None
    label: str | None = None
    missing: str | None = None
    by_cycle: Floats | None = None
    step: str | None = None

    @property
    def title(self) -> str:
        """What the coefficient is called, its levels apart."""
        return self.name if self.by_cycle is not None else f"{self.name} on {self.on}"

    def __post_init__(self) -> None:
        if self.on not in ON:
            raise CovariateError(f"covariate {self.name!r}: on={self.on!r}; write one of {', '.join(ON)}")
        if self.per is not None and not 0 < self.per < np.inf:
            raise CovariateError(f"covariate {self.name!r}: per={self.per}; give a number above 0")
        if self.by_cycle is None:
            return
        if self.on != CHANGE:
            raise CovariateError(f'covariate {self.name!r}: values of cycles act on changes alone; write on="{CHANGE}"')
        if not np.isfinite(self.by_cycle).all():
            raise CovariateError(
                f"covariate {self.name!r} has {(~np.isfinite(self.by_cycle)).sum()} values that are not finite; give "
                "every cycle a value, and 0 where it stands at the mean"
            )


@dataclass(frozen=True, eq=False)
class Regressor:
    """One coefficient of a covariate: its prior, `shift` (patient, coefficient) per unit of it, and what it is called.

    `unit` is that of the coefficient; the others are described in `design.covariates.Column`.
    """

    name: str
    prior: Normal
    shift: Floats
    on: str
    by: str
    label: str
    step: str
    unit: str
    rule: str


def regressors_of(covariates: Iterable[Covariate], visits: Visits) -> tuple[Regressor, ...]:
    """Lay covariates out as coefficients, one for a number and one for every level but the reference.

    Raises CovariateError where a column cannot be read as asked for, two coefficients would have one name, or one acts
    on the curvature of a straight course.
    """
    found = [regressor for covariate in covariates for regressor in _regressors(covariate, visits)]
    names = [*visits.coefficients, *(regressor.name for regressor in found)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CovariateError(f"covariate {twice[0]!r} has the name of another coefficient; delete one of the two")
    return tuple(found)


def _regressors(covariate: Covariate, visits: Visits) -> Iterable[Regressor]:
    role = _role(covariate, visits)
    if covariate.on == CURVATURE and not visits.shape.curved:
        raise CovariateError(f"covariate {covariate.name!r}: on={CURVATURE!r} of a straight course; write another `on`")
    unit = visits.outcome.unit
    base = {LEVEL: unit, CURVATURE: f"{unit}/month^2"}.get(covariate.on, f"{unit}/month")
    columns: tuple[Column, ...]
    if covariate.by_cycle is not None:
        step = covariate.step or f"a {role.unit} more"
        columns, by, place = (Column("", covariate.by_cycle, step, role.unit),), CYCLE, ""
    else:
        columns, by, place = columns_of(role, visits.about, covariate.missing), PATIENT, f" on {covariate.on}"
    for column in columns:
        yield Regressor(
            name=f"{covariate.name}{column.suffix}{place}",
            prior=covariate.prior,
            shift=_shift(covariate.on, column.values, visits),
            on=covariate.on,
            by=by,
            label=role.label,
            step=column.step,
            unit=f"{base} per {column.per}" if column.per else base,
            rule=column.rule,
        )


def _role(covariate: Covariate, visits: Visits) -> CovariateRole:
    """Join what the trial's settings and the model file say of a covariate; the model file has the last word."""
    declared = visits.roles.get(covariate.name, CovariateRole(covariate.name, covariate.name))
    stated = {name: getattr(covariate, name) for name in ("label", "unit", "centre", "per", "reference")}
    return replace(declared, **{name: value for name, value in stated.items() if value is not None})


def _shift(on: str, values: Floats, visits: Visits) -> Floats:
    """Say how far each patient's coefficients move per unit of the regressor's own: (patient, coefficient)."""
    if on == CHANGE:
        by_cycle = values if values.ndim > 1 else np.tile(values[:, None], (1, len(visits.injections)))
        return visits.by_coefficient(by_cycle)
    moved = np.zeros((len(visits.patients), len(visits.coefficients)))
    moved[:, visits.coefficients.index(on)] = values
    return moved


def record_regressors(regressors: tuple[Regressor, ...]) -> None:
    """Keep what the coefficients are called with the current PyMC model, for `labelled`."""
    pm.modelcontext(None).regressors = regressors


def by_cycle(model: pm.Model) -> bool:
    """Say whether a model regresses on values of cycles, those of arms apart."""
    return any(each.by == CYCLE and not of_arms(each.name) for each in getattr(model, "regressors", ()))


def labelled(model: pm.Model, data: xr.Dataset) -> xr.Dataset:
    """Give `data` that has a `covariate` dim the coordinates of ABOUT, as `covariate_NAME`, from the model's record."""
    regressors = getattr(model, "regressors", ())
    if not regressors:
        return data
    return data.assign_coords(
        {f"covariate_{name}": ("covariate", [str(getattr(r, name)) for r in regressors]) for name in ABOUT}
    )

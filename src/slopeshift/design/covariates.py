"""Columns of the patients' table turned into numbers that coefficients are multiplied by.

A number x counts as (x - centre) / per; of levels, each other than the reference gets a column of 0 and 1. Population
coefficients are then those of a patient at the centre and at every reference level.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.trial.roles import CovariateRole, fault_of, is_numeric, levels_of, numbers_of, reference_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MEAN, REFERENCE = "mean", "reference"
"""Rules for patients without a value: they count as the mean of the others, or as at the reference level."""

_KNOWN_UNITS = {"age": "years", "onset_month": "months"}
_ONE = {"years": "year", "months": "month", "weeks": "week", "days": "day", "points": "point"}
_LISTED = 8


class CovariateError(ValueError):
    """A column cannot be the covariate that a model file asks for; the text says which, why, and what to do."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column that a coefficient is multiplied by.

    `values` (patient,), or (patient, injection) where it differs between cycles. `suffix` is added to the covariate's
    name, empty for a number. `step` says what the coefficient compares, such as "10 years more" or "bulbar vs limb",
    `per` the unit it stands for, empty for levels, and `rule` what was done with patients without a value.
    """

    suffix: str
    values: Floats
    step: str
    per: str
    rule: str = ""


def columns_of(role: CovariateRole, patients: pd.DataFrame, missing: str | None) -> tuple[Column, ...]:
    """Read a covariate off the patients' table (`patient`, and a column of the role's name): a column per contrast.

    `missing` is MEAN for numbers or REFERENCE for levels; without a rule every patient must have a value. Raises
    CovariateError where the column is not there, is no such covariate, is the same for everyone, or lacks values.
    """
    if fault := fault_of(role, patients):
        raise CovariateError(f"covariate {role.name!r}: {fault.found}; {fault.remedy}")
    column = patients[role.name]
    if column.nunique() < 2:
        found = f"every patient with a value has {column.dropna().iloc[0]!r}, which cannot inform a coefficient"
        raise CovariateError(f"covariate {role.name!r}: {found}; delete it from the model file")
    reference = reference_of(role, column)
    rule = _rule(role.name, patients, missing, MEAN if reference is None else REFERENCE)
    if reference is None:
        return (_number(role, column, rule),)
    filled = column.fillna(reference).astype(str)
    others = sorted(level for level in levels_of(column).index if level != reference)
    return tuple(
        Column(f" {level}", (filled == level).to_numpy(float), f"{level} vs {reference}", "", rule) for level in others
    )


def _number(role: CovariateRole, column: pd.Series[float], rule: str) -> Column:
    """Centre and scale a column of numbers; without a stated centre, at the patients' mean."""
    assert is_numeric(column)
    values, per = numbers_of(column), role.per or 1.0
    mean = float(values.mean())
    centre = mean if role.centre is None else float(role.centre)
    unit = role.unit or _KNOWN_UNITS.get(role.name, f"units of {role.name}")
    standing = _ONE.get(unit, unit) if per == 1 else f"{per:g} {unit}"
    step = f"{per:g} {_ONE.get(unit, unit) if per == 1 else unit} more (0 at {centre:.4g})"
    return Column("", ((values.fillna(mean) - centre) / per).to_numpy(float), step, standing, rule)


def _rule(name: str, patients: pd.DataFrame, missing: str | None, possible: str) -> str:
    """Say in words what is done with patients without a value: empty where there are none."""
    if missing not in (None, possible):
        raise CovariateError(f'covariate {name!r}: missing="{missing}" does not fit it; write missing="{possible}"')
    without = [str(patient) for patient in patients.loc[patients[name].isna(), "patient"]]
    if not without:
        return ""
    if missing is None:
        more = f" and {len(without) - _LISTED} more" if len(without) > _LISTED else ""
        listed = ", ".join(without[:_LISTED]) + more
        raise CovariateError(
            f"covariate {name!r}: no value for {listed}; fill it in, or state a rule in the model file, "
            f'missing="{possible}"'
        )
    count = f"{len(without)} patient{'s' if len(without) > 1 else ''} without a value"
    return f"{count} taken at the mean" if missing == MEAN else f"{count} taken at the reference level"

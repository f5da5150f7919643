"""What a trial declares of its columns, once: which way an outcome is better, and how a covariate is read.

Words, counts, probabilities and percentages take the direction from here. A covariate's unit, centre and reference
level may stand in `trial.toml`; what it acts on, and its prior, stand in the model file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import pandas as pd

from slopeshift.trial.cells import number

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from numpy.typing import NDArray

    Values = TypeVar("Values", float, NDArray[np.float64], pd.Series, xr.DataArray)

HIGHER, LOWER = "higher", "lower"

AFTERWARDS = ("patient", "end_month", "end_reason")
_YES_NO = ["no", "yes"]


class Fault(NamedTuple):
    """Why a column cannot be the covariate that it is declared to be, and what to do."""

    found: str
    remedy: str


@dataclass(frozen=True)
class Outcome:
    """A measurement taken at visits: its column, label, unit, limits of its scale, and which way it is better.

    `minimum` and `maximum` are in outcome units, None where the scale has no such end; `better` is "higher" or "lower".
    """

    name: str
    label: str
    unit: str
    minimum: float | None
    maximum: float | None
    integer: bool
    better: str = HIGHER

    @property
    def sign(self) -> int:
        """What values, slopes and changes are multiplied by so that above 0 is better: 1, or -1 where lower is."""
        return 1 if self.better == HIGHER else -1

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the scale, in outcome units: infinite where it has none."""
        low = -math.inf if self.minimum is None else self.minimum
        return low, math.inf if self.maximum is None else self.maximum

    @property
    def course(self) -> str:
        """What the outcome does as patients worsen: decline, or rise where lower is better."""
        return "decline" if self.better == HIGHER else "rise"

    @property
    def worsening(self) -> str:
        """What patients' values are doing as patients worsen, in a sentence: declining, or rising."""
        return "declining" if self.better == HIGHER else "rising"

    @property
    def best(self) -> float | None:
        """The end of the scale from which patients worsen, in outcome units: None where it has none."""
        return self.maximum if self.better == HIGHER else self.minimum

    @property
    def worst(self) -> float | None:
        """The end of the scale towards which patients worsen, in outcome units: None where it has none."""
        return self.minimum if self.better == HIGHER else self.maximum


def improvement[T: (float, NDArray[np.float64], pd.Series, xr.DataArray)](values: T, sign: float) -> T:
    """Turn values, slopes or changes into improvements, above 0 where better: of any shape and unit.

    `sign` is that of the outcome: 1 where higher is better, -1 where lower is.
    """
    return values * sign


def chance_of_better[T: (float, NDArray[np.float64], pd.Series, xr.DataArray)](prob_positive: T, sign: float) -> T:
    """Turn Pr(value > 0) into Pr(improvement > 0), of any shape: one minus it where lower is better.

    Ties have no probability in what is continuous.
    """
    return prob_positive if sign > 0 else 1 - prob_positive


@dataclass(frozen=True)
class CovariateRole:
    """How a column of patients.csv is read as a covariate, as far as the trial's settings say.

    A numeric one is (value - `centre`) / `per`, both in its `unit`; a categorical one compares every other level with
    the level `reference`. None where the settings do not say.
    """

    name: str
    label: str
    unit: str = ""
    centre: float | None = None
    per: float | None = None
    reference: str | None = None


def levels_of(column: pd.Series[str]) -> pd.Series[int]:
    """Count the patients with each level of a column: the most frequent first, missing ones left out."""
    return column.dropna().astype(str).value_counts()


def numbers_of(column: pd.Series) -> pd.Series[float]:
    """Return a column (patient,) as numbers: NaN where a cell is missing or says something else."""
    return column if pd.api.types.is_numeric_dtype(column) else column.fillna("").map(number).astype("float64")


def is_numeric(column: pd.Series) -> bool:
    """Say whether every cell that is filled is a number."""
    return bool((numbers_of(column).notna() == column.notna()).all())


def reference_of(role: CovariateRole, column: pd.Series) -> str | None:
    """Return the level that others are compared with: the declared one, or `no` of a column of yes and no."""
    if role.reference is None and sorted(map(str, column.dropna().unique())) == _YES_NO:
        return "no"
    return role.reference


def fault_of(role: CovariateRole, patients: pd.DataFrame) -> Fault | None:
    """Say why a column of the patients' table cannot be read as declared: None where it can."""
    if role.name not in patients or role.name in AFTERWARDS:
        usable = [name for name in patients if name not in AFTERWARDS and patients[name].notna().any()]
        meant = get_close_matches(role.name, usable, n=1)
        found = "no covariate of a patient" if role.name in patients else "no such column in patients.csv"
        return Fault(found, f"write {meant[0]!r}" if meant else f"add it, or use one of: {', '.join(usable) or 'none'}")
    column = patients[role.name]
    if column.notna().sum() == 0:
        return Fault("no patient has a value", "fill in the column, or delete the covariate")
    return _fault_of_levels(role, column) if reference_of(role, column) is not None else _fault_of_numbers(role, column)


def _fault_of_levels(role: CovariateRole, column: pd.Series) -> Fault | None:
    if pd.api.types.is_numeric_dtype(column):
        return Fault(f"a reference level {role.reference!r} of numbers", "give centre and per instead")
    if reference_of(role, column) not in (levels := levels_of(column)):
        return Fault(f"no patient has the reference level {role.reference!r}", f"use one of {', '.join(levels.index)}")
    return None


def _fault_of_numbers(role: CovariateRole, column: pd.Series) -> Fault | None:
    if is_numeric(column):
        return None
    counted = ", ".join(f"{level} ({n})" for level, n in levels_of(column).head(8).items())
    first = levels_of(column).index[0]
    remedy = f'name the level that others are compared with, reference="{first}", or correct what is not a number'
    return Fault(f"levels without a reference: {counted}", remedy)

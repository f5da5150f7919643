"""Visit and injection times turned into what a patient's coefficients are multiplied by.

A patient's expected score at month t is `w(t) . theta`, with the fixed basis

    w(t) = [1, t, b_1(t), ..., b_K(t)],     b_k(t) = clip(t - tau_k, 0, tau_{k+1} - tau_k)

so b_k counts the months spent while injection k is the latest, and the coefficient of b_k is the change of the slope
*from lead-in* during that cycle.

With a window of w months, every cycle is cut in two at tau_k + w: b_k then counts the months of the window, and a
column of its own, with a coefficient of its own, those of the rest of the cycle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from slopeshift.trial import Outcome, Trial

    Floats = NDArray[np.float64]


def months_per_cycle(month: Floats, injection_month: Floats) -> Floats:
    """Count the months that each cycle has lasted by the time of each visit.

    `month` (visit,) and `injection_month` (visit, injection) are on one clock, in months; injections that were not
    given are NaN and come last. Returns (visit, injection): 0 before an injection, growing by one a month while it is
    the latest, constant from the next one on. The row sums are the months since the first injection.
    """
    start = np.where(np.isnan(injection_month), np.inf, injection_month)
    never = np.full((len(start), 1), np.inf)
    end = np.concatenate([start[:, 1:], never], axis=1)
    elapsed = np.minimum(month[:, None], end) - start
    return np.where(elapsed > 0, elapsed, 0.0)


def basis_at(month: Floats, starts: Floats) -> Floats:
    """Evaluate the basis at months (visit,) after segments of the line began at `starts` (visit, segment).

    Returns (visit, coefficient): 1, t, and the months spent in each segment.
    """
    return np.column_stack([np.ones_like(month), month, months_per_cycle(month, starts)])


@dataclass(frozen=True)
class Visits:
    """The visits of one trial at which one outcome was recorded, with the basis at their times.

    `patients` names every patient of the trial, those without a value included. Arrays and their dims: `patient_index`,
    `month` (months since the patient's first injection) and `value` (visit,); `basis` (visit, coefficient);
    `injection_month` (patient, injection), NaN where not given; `visits_in_cycle` (patient, injection), the number of
    values after injection k up to and on the day of the next, or of the window's end; `visits_in_lead_in` (patient,).
    `window` is how many months after an injection its change is about: infinite for the whole cycle.
    """

    outcome: Outcome
    patients: tuple[str, ...]
    patient_index: NDArray[np.intp]
    month: Floats
    value: Floats
    basis: Floats
    injection_month: Floats
    visits_in_cycle: NDArray[np.intp]
    visits_in_lead_in: NDArray[np.intp]
    window: float

    @property
    def injections(self) -> tuple[int, ...]:
        """Numbers of the injections that any patient of the trial had: 1..K."""
        return tuple(range(1, self.injection_month.shape[1] + 1))

    @property
    def coefficients(self) -> tuple[str, ...]:
        """Names of a patient's coefficients, in the order of the columns of `basis`."""
        parts = ("change",) if np.isinf(self.window) else ("change", "later")
        return ("level", "slope", *(f"{part} {k}" for k in self.injections for part in parts))

    @property
    def segment_month(self) -> Floats:
        """Months at which a patient's slope may change, one per coefficient after the slope: (patient, segment)."""
        return _segment_months(self.injection_month, self.window)

    def by_coefficient(self, values: Floats) -> Floats:
        """Lay values of each cycle (patient, injection) out over the coefficients (patient, coefficient).

        Each stands at the change of its cycle; level, slope and what is later than the window get 0.
        """
        out = np.zeros((len(self.patients), len(self.coefficients)))
        out[:, [self.coefficients.index(f"change {k}") for k in self.injections]] = values
        return out

    def dataset(self) -> xr.Dataset:
        """Lay everything but the values out as one dataset: the `constant_data` of a fit."""
        import xarray as xr

        return xr.Dataset(
            {
                "month": ("visit", self.month),
                "patient_index": ("visit", self.patient_index),
                "basis": (("visit", "coefficient"), self.basis),
                "injection_month": (("patient", "injection"), self.injection_month),
                "visits_in_cycle": (("patient", "injection"), self.visits_in_cycle),
                "visits_in_lead_in": ("patient", self.visits_in_lead_in),
                "window": ((), self.window),
            },
            coords={name: list(values) for name, values in self.coords.items() if name != "segment"},
        )

    @property
    def coords(self) -> Mapping[str, Sequence[object]]:
        """Coordinates of a PyMC model of these visits."""
        return {
            "patient": self.patients,
            "injection": self.injections,
            "coefficient": self.coefficients,
            "segment": self.coefficients[2:],
            "visit": range(len(self.value)),
        }


def visits_of(trial: Trial, outcome: str, window: float = np.inf) -> Visits:
    """Take the recorded values of `outcome` from a trial, with their basis.

    `window` is in months: the change after an injection is then that of these months alone.
    Raises LookupError where the trial has no value of this outcome, ValueError where the window is not above 0.
    """
    if not window > 0:
        raise ValueError(f"window of {window} months: give a number above 0, or none for the whole cycle")
    if outcome not in trial.outcomes:
        have = ", ".join(trial.outcomes) or "none"
        raise LookupError(f"trial {trial.name} records no outcome {outcome!r}; its outcomes: {have}")
    patients = tuple(trial.patients["patient"])
    place = {patient: i for i, patient in enumerate(patients)}
    table = trial.visits.dropna(subset=[outcome])
    index = table["patient"].map(place).to_numpy(dtype=np.intp)
    month = table["month"].to_numpy(dtype=float)
    injection_month = _injection_months(trial.injections, place)
    starts = _segment_months(injection_month, window)
    return Visits(
        outcome=trial.outcomes[outcome],
        patients=patients,
        patient_index=index,
        month=month,
        value=table[outcome].to_numpy(dtype=float),
        basis=basis_at(month, starts[index]),
        injection_month=injection_month,
        visits_in_cycle=_visits_in_cycle(month, index, injection_month, window),
        visits_in_lead_in=_visits_in_lead_in(month, index, injection_month),
        window=window,
    )


def _segment_months(injection_month: Floats, window: float) -> Floats:
    """Put the end of each window behind its injection; a cycle shorter than the window has no later part."""
    if np.isinf(window):
        return injection_month
    following = np.concatenate([injection_month[:, 1:], np.full((len(injection_month), 1), np.nan)], axis=1)
    window_end = np.fmin(injection_month + window, following)
    return np.stack([injection_month, window_end], axis=2).reshape(len(injection_month), -1)


def _injection_months(injections: pd.DataFrame, place: Mapping[str, int]) -> Floats:
    """Lay the injection times out as (patient, injection), NaN where not given."""
    last = int(injections["injection"].max()) if len(injections) else 0
    months = np.full((len(place), last), np.nan)
    rows = injections["patient"].map(place).to_numpy(dtype=np.intp)
    months[rows, injections["injection"].to_numpy(dtype=np.intp) - 1] = injections["month"].to_numpy(dtype=float)
    return months


def _visits_in_cycle(
    month: Floats, index: NDArray[np.intp], injection_month: Floats, window: float
) -> NDArray[np.intp]:
    counts = np.zeros(injection_month.shape, dtype=np.intp)
    latest = (month[:, None] > injection_month[index]).sum(axis=1)
    treated = np.flatnonzero(latest)
    patient, cycle = index[treated], latest[treated] - 1
    inside = month[treated] <= injection_month[patient, cycle] + window
    np.add.at(counts, (patient[inside], cycle[inside]), 1)
    return counts


def _visits_in_lead_in(month: Floats, index: NDArray[np.intp], injection_month: Floats) -> NDArray[np.intp]:
    untreated = (month[:, None] > injection_month[index]).sum(axis=1) == 0
    return np.bincount(index[untreated], minlength=len(injection_month)).astype(np.intp)

"""Visit and injection times of a trial turned into what a patient's coefficients are multiplied by.

The values of one outcome are taken together with the columns that a `shape.Shape` gives at their times. Screening
values by which patients were chosen are among them, whether a visit has them or the patients' table alone: given its
value, that a patient met a rule says nothing more, so that the likelihood need only be divided by the probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.design.shape import PLAIN, Shape
from slopeshift.trial.columns import SAME_DAY
from slopeshift.trial.entry import screening

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from numpy.typing import NDArray

    from slopeshift.trial import Outcome, Trial
    from slopeshift.trial.roles import CovariateRole

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Visits:
    """The visits of one trial at which one outcome was recorded, with the basis at their times.

    `patients` names every patient of the trial, those without a value included. Arrays and their dims: `patient_index`,
    `month` (months since the patient's first injection) and `value` (visit,); `basis` (visit, coefficient);
    `injection_month` (patient, injection), NaN where not given; `visits_in_cycle` (patient, injection), the number of
    values that inform the change after injection k: after it set in, up to and on the day when the next one does or the
    window ends; `visits_in_lead_in` (patient,), those up to and on the day of the first injection.
    `shape` says how the changes act in time. `about` is the patients' table, a row each in the order of `patients`,
    and `roles` what the trial's settings say of its columns as covariates, by name.
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
    shape: Shape
    about: pd.DataFrame
    roles: Mapping[str, CovariateRole]

    @property
    def injections(self) -> tuple[int, ...]:
        """Numbers of the injections that any patient of the trial had: 1..K."""
        return tuple(range(1, self.injection_month.shape[1] + 1))

    @property
    def coefficients(self) -> tuple[str, ...]:
        """Names of a patient's coefficients, in the order of the columns of `basis`."""
        return (*self.shape.natural, *self.segments)

    @property
    def segments(self) -> tuple[str, ...]:
        """Names of the coefficients of treatment, each of which changes the slope for a time."""
        return self.shape.changes(self.injections)

    @property
    def segment_month(self) -> Floats:
        """Months at which a patient's slope may change, one per coefficient of treatment: (patient, segment)."""
        return self.shape.starts(self.injection_month)

    @property
    def middle_of_cycle(self) -> Floats:
        """Months at the middle of what was seen of every cycle: (patient, injection), NaN of one without a value."""
        return self.shape.middles(self.month, self.patient_index, self.injection_month)

    @property
    def since_injections(self) -> Floats:
        """Months from every injection to every visit of its patient: (visit, injection), NaN where not given."""
        return self.month[:, None] - self.injection_month[self.patient_index]

    @property
    def on_injection_days(self) -> NDArray[np.bool_]:
        """Which values were recorded on the day of an injection: (visit,). Two slopes share each of them."""
        return np.asarray((np.abs(self.since_injections) < SAME_DAY).any(axis=1))

    def basis_of(self, patient: int, month: Floats) -> Floats:
        """Evaluate the basis of a patient, by place, at any months (month,): (month, coefficient)."""
        return self.shape.columns(month, np.tile(self.injection_month[patient], (len(month), 1)))

    def by_coefficient(self, values: Floats) -> Floats:
        """Lay values of each cycle (patient, injection) out over the coefficients (patient, coefficient).

        Each stands at the change of its cycle; natural history and what is later than the window get 0.
        """
        out = np.zeros((len(self.patients), len(self.coefficients)))
        out[:, [self.coefficients.index(f"change {k}") for k in self.injections]] = values
        return out

    def dataset(self) -> xr.Dataset:
        """Lay everything but the values out as one dataset: the `constant_data` of a fit.

        `sign` is that of the outcome (see `trial.roles`).
        """
        import xarray as xr

        return xr.Dataset(
            {
                "month": ("visit", self.month),
                "patient_index": ("visit", self.patient_index),
                "basis": (("visit", "coefficient"), self.basis),
                "injection_month": (("patient", "injection"), self.injection_month),
                "visits_in_cycle": (("patient", "injection"), self.visits_in_cycle),
                "middle_of_cycle": (("patient", "injection"), self.middle_of_cycle),
                "visits_in_lead_in": ("patient", self.visits_in_lead_in),
                "sign": ((), self.outcome.sign),
                **{name: ((), value) for name, value in self.shape.recorded().items()},
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
            "segment": self.segments,
            "visit": range(len(self.value)),
        }


def visits_of(trial: Trial, outcome: str, shape: Shape = PLAIN) -> Visits:
    """Take the recorded values of `outcome` from a trial, with their basis, in the order of patients and months.

    Those that an entry rule names in the patients' table are among them (see `trial.entry.screening`).
    `shape` says how changes act in time. Raises LookupError where the trial has no value of this outcome.
    """
    if outcome not in trial.outcomes:
        have = ", ".join(trial.outcomes) or "none"
        raise LookupError(f"trial {trial.name} records no outcome {outcome!r}; its outcomes: {have}")
    patients = tuple(trial.patients["patient"])
    place = {patient: i for i, patient in enumerate(patients)}
    table = trial.visits[["patient", "month", outcome]].dropna(subset=[outcome])
    if len(more := screening(trial.entry, outcome, trial.patients, trial.visits)):
        table = pd.concat([table, more]).sort_values("month", kind="stable")
        table = table.iloc[table["patient"].map(place).argsort(kind="stable")]
    index = table["patient"].map(place).to_numpy(dtype=np.intp)
    month = table["month"].to_numpy(dtype=float)
    injection_month = _injection_months(trial.injections, place)
    return Visits(
        outcome=trial.outcomes[outcome],
        patients=patients,
        patient_index=index,
        month=month,
        value=table[outcome].to_numpy(dtype=float),
        basis=shape.columns(month, injection_month[index]),
        injection_month=injection_month,
        visits_in_cycle=shape.values_in_cycles(month, index, injection_month),
        visits_in_lead_in=_visits_in_lead_in(month, index, injection_month),
        shape=shape,
        about=trial.patients,
        roles=trial.covariates,
    )


def _injection_months(injections: pd.DataFrame, place: Mapping[str, int]) -> Floats:
    """Lay the injection times out as (patient, injection), NaN where not given."""
    last = int(injections["injection"].max()) if len(injections) else 0
    months = np.full((len(place), last), np.nan)
    rows = injections["patient"].map(place).to_numpy(dtype=np.intp)
    months[rows, injections["injection"].to_numpy(dtype=np.intp) - 1] = injections["month"].to_numpy(dtype=float)
    return months


def _visits_in_lead_in(month: Floats, index: NDArray[np.intp], injection_month: Floats) -> NDArray[np.intp]:
    untreated = (month[:, None] > injection_month[index]).sum(axis=1) == 0
    return np.bincount(index[untreated], minlength=len(injection_month)).astype(np.intp)


def patient_sums(
    basis: Floats, value: Floats, patient: NDArray[np.intp], number: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Sum W'W (n, p, p), W'y (n, p), y'y (n,) and 1 (n,) over the values of each of `number` patients.

    `basis` (value, p) has the rows of W, `value` (value,) is y, and `patient` (value,) says whose each is.
    """
    p = basis.shape[1]
    grams, moments = np.zeros((number, p, p)), np.zeros((number, p))
    np.add.at(grams, patient, basis[:, :, None] * basis[:, None, :])
    np.add.at(moments, patient, basis * value[:, None])
    squares, counts = (np.bincount(patient, each, number) for each in (value**2, np.ones(len(value))))
    return grams, moments, squares, counts

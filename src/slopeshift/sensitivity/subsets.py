"""Values left out: which of a trial's visits an analysis does without."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.missing.departures import endings

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.trial import Trial

    Mask = NDArray[np.bool_]


def without(visits: Visits, dropped: Mask) -> Visits:
    """Leave values out: `dropped` (visit,). Patients keep their place, also those without any value left.

    A patient without values contributes nothing to a fit, so this is the trial without them.
    """
    kept = ~dropped
    return replace(
        visits,
        patient_index=visits.patient_index[kept],
        month=visits.month[kept],
        value=visits.value[kept],
        basis=visits.basis[kept],
        visits_in_cycle=visits.visits_in_cycle - _by_cycle(visits, dropped)[:, 1:],
        visits_in_lead_in=visits.visits_in_lead_in - _by_cycle(visits, dropped)[:, 0],
    )


def _by_cycle(visits: Visits, chosen: Mask) -> NDArray[np.intp]:
    """Count chosen values by patient and stage (patient, 1 + injection): before the first injection, after each."""
    patient = visits.patient_index[chosen]
    latest = (visits.month[chosen, None] > visits.injection_month[patient]).sum(axis=1)
    counts = np.zeros((len(visits.patients), 1 + visits.injection_month.shape[1]), dtype=np.intp)
    np.add.at(counts, (patient, latest), 1)
    return counts


def of_patients(visits: Visits, patients: Collection[str]) -> Mask:
    """Say which values are of these patients: (visit,)."""
    return np.isin(np.array(visits.patients), list(patients))[visits.patient_index]


def patients_with_values(visits: Visits) -> list[str]:
    """Name the patients who have a value."""
    return [visits.patients[i] for i in np.unique(visits.patient_index)]


def not_completers(trial: Trial) -> set[str]:
    """Name the patients who did not complete: all whose reason for the end of follow-up is not `completed`."""
    ended = endings(trial)
    return set(ended.index[ended["reason"] != "completed"])


def not_fully_injected(visits: Visits) -> set[str]:
    """Name the patients who did not have as many injections as anybody had."""
    given = (~np.isnan(visits.injection_month)).sum(axis=1)
    return {patient for patient, n in zip(visits.patients, given, strict=True) if n < visits.injection_month.shape[1]}

"""Exact leaving-out: the model fitted again without one patient, for what importance sampling cannot reach.

A model whose coefficients are integrated out is compiled once (`refit.compile_once`) and refitted in a fraction of a
second, so this is cheap; a sensitivity analysis that drops each patient in turn has these draws already.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.checks.left_out import given_others
from slopeshift.checks.material import material_of_draws

if TYPE_CHECKING:
    import xarray as xr

    from slopeshift.basis import Visits
    from slopeshift.refit import Compiled
    from slopeshift.trial import Trial


def without_patient(visits: Visits, patient: str) -> Visits:
    """Take one patient's values out of a trial's; the patient stays, as one of whom nothing was recorded.

    Raises LookupError where there is no such patient.
    """
    if patient not in visits.patients:
        raise LookupError(f"no patient {patient!r} in this trial; its patients: {', '.join(visits.patients)}")
    place = visits.patients.index(patient)
    stays = visits.patient_index != place
    in_cycle, in_lead_in = visits.visits_in_cycle.copy(), visits.visits_in_lead_in.copy()
    in_cycle[place], in_lead_in[place] = 0, 0
    return replace(
        visits,
        patient_index=visits.patient_index[stays],
        month=visits.month[stays],
        value=visits.value[stays],
        basis=visits.basis[stays],
        visits_in_cycle=in_cycle,
        visits_in_lead_in=in_lead_in,
    )


def leave_patient_out(
    compiled: Compiled, trial: Trial, visits: Visits, patient: str, seed: int
) -> tuple[xr.Dataset, float]:
    """Fit without one patient, and evaluate how well that patient's values are then predicted.

    Returns the draws, and the log predictive density of all of the patient's values together. Raises LookupError where
    there is no such patient.
    """
    draws = compiled.fit(without_patient(visits, patient), seed)
    return draws, log_predictive_density(draws, trial, visits, patient, seed)


def log_predictive_density(draws: xr.Dataset, trial: Trial, visits: Visits, patient: str, seed: int) -> float:
    """Evaluate the log density of one patient's values together under draws that were made without them."""
    found = given_others(material_of_draws(trial, visits, draws, seed))
    assert found is not None
    by_draw = found.by_patient[:, visits.patients.index(patient)]
    return float(np.logaddexp.reduce(by_draw) - np.log(len(by_draw)))

"""The arms of a controlled trial turned into what the change in each cycle is multiplied by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.trial.arms import AGENT, ARM, INJECTION

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.trial import Trial

    Floats = NDArray[np.float64]

EFFECT, LATE, CARRY_OVER = "effect", "delayed_start", "carry_over"
"""What coefficients of arms are called: the difference, with its deviations `effect k` by injection; that of cycles of
the control after it went over; and what an agent leaves in the next cycle."""


def is_effect(name: str) -> bool:
    """Say whether a coefficient is the difference of the arms, or the deviation of an injection from it."""
    return name == EFFECT or name.startswith(f"{EFFECT} ")


def of_arms(name: str) -> bool:
    """Say whether a coefficient is of arms: they depend on who was given what, and not on visits."""
    return is_effect(name) or name in (LATE, CARRY_OVER)


@dataclass(frozen=True, eq=False)
class Treated:
    """Which cycles follow what is compared with the control, as ones and zeros (patient, injection).

    `effect` is 1 in cycles of the treated: where patients are compared also in those that a patient did not reach.
    `late` is 1 from the injection on with which a patient of the control arm goes over to the other's agent, and
    `carried` where injections are compared: a cycle of the control after one that was none.
    """

    effect: Floats
    late: Floats
    carried: Floats


def treated(trial: Trial, visits: Visits) -> Treated:
    """Say which cycles are treated. Raises ValueError where the trial compares nothing (see `Trial.compares`)."""
    arms = trial.arms
    if arms is None or not trial.compares:
        raise ValueError(f"trial {trial.name!r} has no two arms that are injected, or agents, to compare")
    shape = len(visits.patients), len(visits.injections)
    if arms.unit == INJECTION:
        other = _laid_out(trial, visits, trial.injections[AGENT] != arms.control)
        before = np.roll(other, 1, axis=1)
        before[:, :1] = 0.0
        given = _laid_out(trial, visits, trial.injections[AGENT].notna())
        return Treated(other, np.zeros(shape), before * (given - other))
    of = trial.patients.set_index("patient")[ARM].reindex(list(visits.patients))
    in_arm = np.tile((of != arms.control).to_numpy(float)[:, None], (1, shape[1]))
    if AGENT not in trial.injections:
        return Treated(in_arm, np.zeros(shape), np.zeros(shape))
    agents, of_control = trial.injections[AGENT], trial.injections["patient"].map(of) == arms.control
    over = _laid_out(trial, visits, of_control & agents.isin(agents[~of_control]))
    return Treated(in_arm, over, np.zeros(shape))


def _laid_out(trial: Trial, visits: Visits, which: pd.Series[bool]) -> Floats:
    """Lay out which of a trial's injections are such: ones and zeros (patient, injection)."""
    row = {patient: i for i, patient in enumerate(visits.patients)}
    column = {int(k): j for j, k in enumerate(visits.injections)}
    found = np.zeros((len(row), len(column)))
    chosen = trial.injections[which.to_numpy(bool)]
    for patient, injection in zip(chosen["patient"], chosen["injection"], strict=True):
        if patient in row and int(injection) in column:
            found[row[patient], column[int(injection)]] = 1.0
    return found

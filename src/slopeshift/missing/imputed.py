"""Values after leaving, imputed: each patient's own line, gone on, but worsening faster by delta.

Pattern-mixture imputation with a departure from missing at random (Carpenter and Kenward 2013, Multiple Imputation and
its Application, chapter 10). For one draw of the posterior, a patient's line after the last injection is continued at
monthly times to the planned end, made worse by delta units a month from the day of leaving on, and residuals added.
At delta 0 this is what the model itself expects, and the posterior, averaged over imputations, is the one without them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.answers import quantities
from slopeshift.engine.draws import flat
from slopeshift.missing.departures import left_early
from slopeshift.trial.roles import improvement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.fit.posterior import Posterior
    from slopeshift.trial import Trial

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Unseen:
    """The times at which values would have been recorded had patients not left.

    `patient_index`, `month` and `since` (months since leaving), all (value,); `patients` names those who left.
    """

    patients: tuple[str, ...]
    patient_index: NDArray[np.intp]
    month: Floats
    since: Floats


@dataclass(frozen=True, eq=False)
class Lines:
    """Draws to impute from: `coefficients` (imputation, patient, coefficient) and `sigma` (imputation,)."""

    coefficients: Floats
    sigma: Floats


def unseen(trial: Trial, visits: Visits) -> Unseen:
    """Lay out, month by month from leaving to the planned end, what was not recorded of those who left early."""
    early = left_early(trial)
    place = {patient: i for i, patient in enumerate(visits.patients)}
    index, month, since = [], [], []
    for patient, end, planned in zip(early.index, early["end"], early["planned"], strict=True):
        after = np.arange(1.0, planned - end + 1e-9)
        index += [place[str(patient)]] * len(after)
        month += list(end + after)
        since += list(after)
    who = tuple(visits.patients[i] for i in sorted(set(index)))
    return Unseen(who, np.array(index, dtype=np.intp), np.array(month), np.array(since))


def lines_of(posterior: Posterior, count: int) -> Lines:
    """Choose `count` draws of the posterior, evenly spaced in the order of the population's change overall.

    So few draws at random would not have the posterior's mean; evenly spaced ones nearly do.
    """
    order = np.argsort(flat(quantities.change(posterior)), kind="stable")
    chosen = order[((np.arange(count) + 0.5) / count * len(order)).astype(int)]
    theta = flat(posterior.draws["coefficients"].transpose(..., "patient", "coefficient"))
    return Lines(theta[chosen], flat(posterior.draws["sigma"])[chosen])


def completed(visits: Visits, after: Unseen, lines: Lines, delta: float, seed: int) -> tuple[Visits, ...]:
    """Add the values after leaving, a set of visits for each imputation; `delta` is in units a month, > 0: faster.

    The residuals depend on `seed` and the imputation alone, so that sets with another delta differ by it and nothing
    else. Counts of visits in cycles stay those of recorded values.
    """
    worse = -improvement(delta, visits.outcome.sign)
    basis = np.vstack([visits.basis_of(i, after.month[[j]]) for j, i in enumerate(after.patient_index)])
    return tuple(
        replace(
            visits,
            patient_index=np.append(visits.patient_index, after.patient_index),
            month=np.append(visits.month, after.month),
            value=np.append(visits.value, _values(after, basis, lines, i, worse, seed)),
            basis=np.vstack([visits.basis, basis]),
        )
        for i in range(len(lines.sigma))
    )


def _values(after: Unseen, basis: Floats, lines: Lines, i: int, worse: float, seed: int) -> Floats:
    mean = (basis * lines.coefficients[i, after.patient_index]).sum(axis=1)
    residual = np.random.default_rng([seed, i]).standard_normal(len(mean))
    return np.asarray(mean + worse * after.since + lines.sigma[i] * residual)


def share_below(visits: Visits, with_imputed: tuple[Visits, ...]) -> float:
    """Share of imputed values beyond the worst of the scale: how far a delta asks for what no patient can score."""
    worst, sign = visits.outcome.worst, visits.outcome.sign
    if worst is None:
        return 0.0
    beyond = [improvement(each.value[len(visits.value) :] - worst, sign) < 0 for each in with_imputed]
    return float(np.mean([each.mean() for each in beyond]))

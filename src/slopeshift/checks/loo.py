"""Leave-one-out cross-validation: how well each value, and each patient, is predicted from the others.

By Pareto-smoothed importance sampling (Vehtari, Gelman and Gabry 2017, doi 10.1007/s11222-016-9696-4). Where the
patients' coefficients can be integrated out, only the population's few parameters are reweighted, so that a Pareto k
above the limit is rare. Elsewhere the patient's own coefficients are reweighted too; where that does not do, they are
integrated out by a sampling of their own (`integrated`), and only the population is reweighted.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from slopeshift.answers.quantities import SAMPLES
from slopeshift.checks import integrated
from slopeshift.checks.left_out import given_others
from slopeshift.checks.material import flat
from slopeshift.model.families import residual_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.checks.left_out import GivenOthers
    from slopeshift.checks.material import Material

    Floats = NDArray[np.float64]

SEED = 20
"""Of the random ranks that whole numbers get among predictions that equal them."""


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """Leave-one-out results of one model.

    `by_visit` is ArviZ's ELPDData, pointwise, and `by_patient` the same of whole patients where the model can be asked;
    `pit` (visit,) is the probability of a lower value than the recorded one, given all others. `integrated` says
    whether the coefficients of the value's own patient were integrated out, of all values; `remade` counts those of
    which they were because their reweighting did not do.
    """

    by_visit: Any
    by_patient: Any | None
    pit: Floats
    integrated: bool
    remade: int = 0

    @property
    def unreliable(self) -> int:
        """Number of values whose contribution is not to be relied on: Pareto k above ArviZ's limit."""
        return int((self.by_visit.pareto_k > self.by_visit.good_k).sum())

    @property
    def unreliable_patients(self) -> int:
        """Number of patients whose contribution is not to be relied on."""
        return 0 if self.by_patient is None else int((self.by_patient.pareto_k > self.by_patient.good_k).sum())


def leave_one_out(material: Material) -> LeaveOneOut | None:
    """Leave out every value and, where patients can be integrated out, every patient.

    None where the model stores no log likelihood of single values.
    """
    others, value = given_others(material), material.visits.value
    if others is not None:
        elpd = _psis(_by_visit(material, others.log_density(value)), material)
        return LeaveOneOut(elpd, _whole(material, others.by_patient), _pit_of_normal(others, value, elpd), True)
    if material.log_likelihood is None:
        return None
    return _reweighted(material, flat(material.log_likelihood).astype(float))


def _reweighted(material: Material, known: Floats) -> LeaveOneOut:
    """Reweight the patients' coefficients with all else, and integrate out those where that does not do.

    `known` (draw, visit) are the log densities of the values given their patients' coefficients.
    """
    elpd = _psis(_by_visit(material, known), material)
    pit = _pit_of_predictions(material, elpd)
    if "loading" not in material.posterior:
        return LeaveOneOut(elpd, None, pit, False)
    family = residual_of(material.family, material.posterior, material.visits)
    whole = _whole(material, integrated.by_patient(material, family))
    places = np.flatnonzero(elpd.pareto_k.to_numpy() > elpd.good_k)
    if len(places):
        known[:, places], lower, equal = integrated.given_others(material, family, list(places))
        elpd = _psis(_by_visit(material, known), material)
        weights, random = _weights(elpd)[:, places], np.random.default_rng(SEED).random(len(pit))[places]
        pit[places] = (weights * (lower + random * equal)).sum(axis=0)
    return LeaveOneOut(elpd, whole, pit, False, len(places))


def _by_visit(material: Material, values: Floats) -> xr.DataArray:
    return _like(material, values, "visit", range(values.shape[1]))


def _whole(material: Material, density: Floats) -> Any:
    """Leave out whole patients, those with values, by the log density (draw, patient) of all of them."""
    seen = np.bincount(material.visits.patient_index, minlength=len(material.visits.patients)) > 0
    patients = np.array(material.visits.patients)[seen]
    return _psis(_like(material, density[:, seen], "patient", patients), material)


def loo_table(loo: LeaveOneOut, material: Material) -> pd.DataFrame:
    """List every value and every patient left out, a row each: the table `loo`.

    Columns: left_out (value or patient), patient, month and value (of a value), log_predictive_density (of what was
    left out, given all else), pareto_k, reliable (Pareto k within ArviZ's limit), probability_of_lower (given all else:
    uniform where the model holds).
    """
    visits = material.visits
    patients = np.array(visits.patients, dtype=object)
    values = _rows("value", loo.by_visit).assign(
        patient=patients[visits.patient_index],
        month=visits.month,
        value=visits.value,
        probability_of_lower=loo.pit,
    )
    tables = [values]
    if loo.by_patient is not None:
        tables.append(_rows("patient", loo.by_patient).assign(patient=loo.by_patient.elpd_i["patient"].to_numpy()))
    return pd.concat(tables, ignore_index=True)[COLUMNS.split()]


COLUMNS = "left_out patient month value log_predictive_density pareto_k reliable probability_of_lower"


def _rows(kind: str, elpd: Any) -> pd.DataFrame:
    k = elpd.pareto_k.to_numpy()
    return pd.DataFrame(
        {
            "left_out": kind,
            "log_predictive_density": elpd.elpd_i.to_numpy(),
            "pareto_k": k,
            "reliable": k <= elpd.good_k,
        }
    )


def _psis(log_likelihood: xr.DataArray, material: Material) -> Any:
    import arviz as az

    tree = xr.DataTree.from_dict({"log_likelihood": log_likelihood.to_dataset(), "posterior": _scalars(material)})
    with warnings.catch_warnings():
        # What ArviZ warns of is counted, and said in the report.
        warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto", category=UserWarning)
        warnings.filterwarnings("ignore", message="The point-wise LOO is the same", category=UserWarning)  # one patient
        return az.loo(tree, pointwise=True)


def _scalars(material: Material) -> xr.Dataset:
    """Scalar draws, of whose effective sample size ArviZ makes the length of the tail."""
    draws = material.posterior
    return draws[[str(name) for name, values in draws.data_vars.items() if set(values.dims) == set(SAMPLES)]]


def _like(material: Material, values: Floats, dim: str, labels: Any) -> xr.DataArray:
    """Give values (draw, dim) their chains back."""
    chains = material.predicted.sizes["chain"]
    shape = (chains, -1, values.shape[1])
    coords = {"chain": range(chains), dim: list(labels)}
    return xr.DataArray(values.reshape(shape), coords, (*SAMPLES, dim), name=material.visits.outcome.name)


def _weights(elpd: Any) -> Floats:
    """The smoothed weight of every draw for every value: (draw, visit), summing to 1 over draws."""
    from scipy.special import softmax

    weights: Floats = softmax(flat(elpd.log_weights), axis=0)
    return weights


def _pit_of_normal(others: GivenOthers, value: Floats, elpd: Any) -> Floats:
    from scipy.special import ndtr

    pit: Floats = (_weights(elpd) * ndtr((value - others.mean) / others.sd)).sum(axis=0)
    return pit


def _pit_of_predictions(material: Material, elpd: Any) -> Floats:
    """Rank every value among its weighted predictions; a prediction that equals it counts by a random share."""
    predicted, value, weights = flat(material.predicted), material.visits.value, _weights(elpd)
    below, equal = ((weights * side).sum(axis=0) for side in (predicted < value, predicted == value))
    pit = below + np.random.default_rng(SEED).random(len(value)) * equal
    # A number of predictions tells no probability smaller than half of one of them from 0, however far the value lies.
    kept: Floats = np.clip(pit, 0.5 / len(predicted), 1 - 0.5 / len(predicted))
    return kept


def uniformity(pit: Floats) -> float:
    """Test whether probabilities are uniform: a p value that allows for their dependence.

    ArviZ's pointwise order test with truncated Cauchy combination (Tesso et al. 2026, arXiv 2603.02928): leave-one-out
    probabilities of one fit depend on each other, which the usual envelope does not know.
    """
    from arviz_stats.base.array import array_stats

    p_value, *_ = array_stats.uniformity_test(np.clip(pit, 1e-12, 1 - 1e-12))  # type: ignore[no-untyped-call]
    return float(p_value)

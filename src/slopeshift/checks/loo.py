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

from slopeshift.checks import integrated
from slopeshift.checks.left_out import given_others
from slopeshift.checks.thinned import values_predicted
from slopeshift.engine.draws import flat
from slopeshift.fit.posterior import SAMPLES
from slopeshift.fit.store import FitError
from slopeshift.model.families import residual_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.checks.left_out import GivenOthers
    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]

SEED = 20
"""Of the random ranks that whole numbers get among predictions that equal them."""

SAME_DENSITY = 1e-4
"""Difference from the stored log densities, which are in single precision, that counts as none."""


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


def leave_one_out(posterior: Posterior) -> LeaveOneOut | None:
    """Leave out every value and, where patients can be integrated out, every patient.

    None where the model stores no log likelihood of single values. Raises FitError where the stored log densities are
    not those of the residual family that the fit records.
    """
    _check_family(posterior)
    others, value = given_others(posterior), posterior.visits.value
    if others is not None:
        elpd = _psis(_by_visit(posterior, others.log_density(value)), posterior)
        return LeaveOneOut(elpd, _whole(posterior, others.by_patient), _pit_of_normal(others, value, elpd), True)
    known = posterior.stored("log_likelihood")
    if known is None:
        return None
    return _reweighted(posterior, flat(known).astype(float))


def _check_family(posterior: Posterior) -> None:
    """Refuse a posterior whose stored log densities are not those of the family that it records."""
    stored, draws, visits = posterior.stored("log_likelihood"), posterior.draws, posterior.visits
    if stored is None or posterior.family is None:
        return
    theta = flat(draws["coefficients"].transpose(..., "patient", "coefficient"))
    mean = (visits.basis * theta[:, visits.patient_index]).sum(axis=-1)
    found = residual_of(posterior.family, draws, visits).log_density(visits.value, mean[:, None])[:, 0]
    if not np.allclose(found, flat(stored), rtol=SAME_DENSITY, atol=SAME_DENSITY):
        raise FitError(
            f"{posterior.model}: the stored log densities are not those of the residual family {posterior.family!r} "
            "that the fit records; fit it again, and if that does not help, report it"
        )


def _reweighted(posterior: Posterior, known: Floats) -> LeaveOneOut:
    """Reweight the patients' coefficients with all else, and integrate out those where that does not do.

    `known` (draw, visit) are the log densities of the values given their patients' coefficients.
    """
    elpd = _psis(_by_visit(posterior, known), posterior)
    pit = _pit_of_predictions(posterior, elpd)
    if "loading" not in posterior.draws or posterior.family is None:
        return LeaveOneOut(elpd, None, pit, False)
    family = residual_of(posterior.family, posterior.draws, posterior.visits)
    whole = _whole(posterior, integrated.by_patient(posterior, family))
    places = np.flatnonzero(elpd.pareto_k.to_numpy() > elpd.good_k)
    if len(places):
        known[:, places], lower, equal = integrated.given_others(posterior, family, list(places))
        elpd = _psis(_by_visit(posterior, known), posterior)
        weights, random = _weights(elpd)[:, places], np.random.default_rng(SEED).random(len(pit))[places]
        pit[places] = (weights * (lower + random * equal)).sum(axis=0)
    return LeaveOneOut(elpd, whole, pit, False, len(places))


def _by_visit(posterior: Posterior, values: Floats) -> xr.DataArray:
    return _like(posterior, values, "visit", range(values.shape[1]))


def _whole(posterior: Posterior, density: Floats) -> Any:
    """Leave out whole patients, those with values, by the log density (draw, patient) of all of them."""
    seen = np.bincount(posterior.visits.patient_index, minlength=len(posterior.visits.patients)) > 0
    patients = np.array(posterior.visits.patients)[seen]
    return _psis(_like(posterior, density[:, seen], "patient", patients), posterior)


def loo_table(loo: LeaveOneOut, posterior: Posterior) -> pd.DataFrame:
    """List every value and every patient left out, a row each: the table `loo`.

    Columns: left_out (value or patient), patient, month and value (of a value), log_predictive_density (of what was
    left out, given all else), pareto_k, reliable (Pareto k within ArviZ's limit), probability_of_lower (given all else:
    uniform where the model holds).
    """
    visits = posterior.visits
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


def _psis(log_likelihood: xr.DataArray, posterior: Posterior) -> Any:
    import arviz as az

    tree = xr.DataTree.from_dict({"log_likelihood": log_likelihood.to_dataset(), "posterior": _scalars(posterior)})
    with warnings.catch_warnings():
        # What ArviZ warns of is counted, and said in the report.
        warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto", category=UserWarning)
        warnings.filterwarnings("ignore", message="The point-wise LOO is the same", category=UserWarning)  # one patient
        return az.loo(tree, pointwise=True)


def _scalars(posterior: Posterior) -> xr.Dataset:
    """Scalar draws, of whose effective sample size ArviZ makes the length of the tail."""
    draws = posterior.draws
    return draws[[str(name) for name, values in draws.data_vars.items() if set(values.dims) == set(SAMPLES)]]


def _like(posterior: Posterior, values: Floats, dim: str, labels: Any) -> xr.DataArray:
    """Give values (draw, dim) their chains back."""
    chains = posterior.draws.sizes["chain"]
    shape = (chains, -1, values.shape[1])
    coords = {"chain": range(chains), dim: list(labels)}
    return xr.DataArray(values.reshape(shape), coords, (*SAMPLES, dim), name=posterior.outcome)


def _weights(elpd: Any) -> Floats:
    """The smoothed weight of every draw for every value: (draw, visit), summing to 1 over draws."""
    from scipy.special import softmax

    weights: Floats = softmax(flat(elpd.log_weights), axis=0)
    return weights


def _pit_of_normal(others: GivenOthers, value: Floats, elpd: Any) -> Floats:
    from scipy.special import ndtr

    pit: Floats = (_weights(elpd) * ndtr((value - others.mean) / others.sd)).sum(axis=0)
    return pit


def _pit_of_predictions(posterior: Posterior, elpd: Any) -> Floats:
    """Rank every value among its weighted predictions; a prediction that equals it counts by a random share."""
    predicted, value, weights = values_predicted(posterior), posterior.visits.value, _weights(elpd)
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
    from slopeshift.answers.arviz_stats import array_stats

    p_value, *_ = array_stats.uniformity_test(np.clip(pit, 1e-12, 1 - 1e-12))  # type: ignore[no-untyped-call]
    return float(p_value)

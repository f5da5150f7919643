"""The exact engine: everything linear and Gaussian integrated out before sampling, and drawn back after it.

With a normal residual, the coefficients of population and patients have a joint normal distribution given the data and
a few standard deviations and correlations. NUTS then moves among these alone, in about ten dimensions whatever the
number of patients. Visits enter through sufficient statistics, formed once; where a patient's residuals are correlated
in time, through their rows in the order of time. `kernel` and `correlated` have the algebra.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from slopeshift.design.visits import patient_sums
from slopeshift.engine import correlated, kernel
from slopeshift.engine.foreign import (
    Apply,
    Op,
    cache_version,
    disconnected_type,
    numba_njit,
    register_funcify_default_op_cache_key,
)
from slopeshift.engine.sequence import fading, sequence
from slopeshift.engine.terms import record_terms, terms_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

    from slopeshift.design.visits import Visits
    from slopeshift.engine.terms import Terms

    Floats = NDArray[np.float64]


def statistics(visits: Visits, mean: Floats) -> Floats:
    """Form the sufficient statistics of the patients, packed as `kernel.pack` says: (block, row, lane).

    They are the sums of W'W, W'y, y'y and 1 over each patient's visits. `mean`, the prior mean of the coefficients
    (p,), is subtracted from the values.
    """
    residual = visits.value - visits.basis @ mean
    return kernel.pack(*patient_sums(visits.basis, residual, visits.patient_index, len(visits.patients)))


class MarginalNormal(Op):  # type: ignore[misc]
    """log p(y | loading, scalars) with everything else integrated out, and its gradients, in one evaluation.

    Inputs: loading (p, q), the scalars variance and, where residuals are `correlated`, correlation, then statistics,
    design and precision, as in `kernel` or `correlated`.
    """

    __props__ = ("correlated",)

    def __init__(self, *, correlated: bool) -> None:
        self.correlated = correlated

    @property
    def sampled(self) -> int:
        """Number of inputs that the density has gradients by: the first ones."""
        return 3 if self.correlated else 2

    def make_node(self, *inputs: TensorVariable) -> Apply:
        """Make the node: outputs log density (scalar), its gradients by loading (p, q) and by each scalar."""
        inputs = tuple(map(pt.as_tensor_variable, inputs))
        return Apply(self, inputs, [pt.dscalar(), pt.dmatrix(), *(pt.dscalar() for _ in range(self.sampled - 1))])

    def infer_shape(self, node: Apply, shapes: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
        """Say that each gradient has the shape of what it is taken by."""
        return [(), *shapes[: self.sampled]]

    def perform(self, node: Apply, inputs: Sequence[Floats], outputs: list[list[object]]) -> None:
        """Evaluate outside compiled graphs."""
        density = correlated.density if self.correlated else kernel.density
        loading, scalars, known = inputs[0], inputs[1 : self.sampled], inputs[self.sampled :]
        found = density(np.ascontiguousarray(loading), *map(float, scalars), *map(np.ascontiguousarray, known))
        for storage, value in zip(outputs, found, strict=True):
            storage[0] = np.asarray(value)

    def pullback(
        self, inputs: Sequence[TensorVariable], outputs: Sequence[TensorVariable], cotangents: Sequence[TensorVariable]
    ) -> list[TensorVariable]:
        """Scale the gradients that were computed with the density; the data have none."""
        gradients = [cotangents[0] * gradient for gradient in outputs[1:]]
        return [*gradients, *(disconnected_type() for _ in inputs[self.sampled :])]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Connect the density with what it has gradients by, and nothing else."""
        return [[i < self.sampled, *(False for _ in range(self.sampled))] for i in range(len(node.inputs))]


marginal_normal, marginal_normal_in_time = MarginalNormal(correlated=False), MarginalNormal(correlated=True)


@register_funcify_default_op_cache_key(MarginalNormal)  # type: ignore[untyped-decorator]
def _compiled(op: MarginalNormal, node: Apply, **_: object) -> tuple[object, int]:
    """Hand PyTensor the compiled density, and a number that changes with its code, for the cache on disk."""
    independent, in_time = kernel.density, correlated.density

    @numba_njit
    def marginal_normal(loading, variance, packed, design, precision):  # type: ignore[no-untyped-def]
        value, d_loading, d_variance = independent(loading, variance.item(), packed, design, precision)
        return np.asarray(value), d_loading, np.asarray(d_variance)

    @numba_njit
    def marginal_normal_in_time(loading, variance, correlation, series, design, precision):  # type: ignore[no-untyped-def]
        value, d_loading, d_variance, d_correlation = in_time(
            loading, variance.item(), correlation.item(), series, design, precision
        )
        return np.asarray(value), d_loading, np.asarray(d_variance), np.asarray(d_correlation)

    return marginal_normal_in_time if op.correlated else marginal_normal, cache_version("engine.correlated")


def widened(visits: Visits, terms: xr.Dataset) -> tuple[Floats, Floats]:
    """Give the basis (visit, column) and the design (column, term) of a model, a column for each covariate at the end.

    `terms` is `terms_of` the model.
    """
    wide, design = _widened(visits, terms_from(terms, visits))
    return wide.basis, design


def _widened(visits: Visits, terms: Terms) -> tuple[Visits, Floats]:
    """Give the covariates columns of the basis, and rows of the design that pick their terms."""
    columns = [(visits.basis * shift[visits.patient_index]).sum(axis=1) for shift in terms.shift]
    picked = np.eye(len(terms.names))[len(terms.names) - len(columns) :]
    return replace(visits, basis=np.column_stack([visits.basis, *columns])), np.vstack([terms.design, picked])


def observe(
    visits: Visits,
    terms: Terms,
    loading: TensorVariable,
    sigma: TensorVariable,
    correlation: TensorVariable | None = None,
) -> None:
    """Observe the values of an outcome, all but what is handed in integrated out, in the current PyMC model.

    `sigma` is the standard deviation of a residual, `correlation` that of two residuals of a patient a month apart,
    which fades as `sequence` says; without it they are independent.
    Adds `loading` (coefficient, source), `statistics` (block, row, lane) as data, and the observed variable
    (visit,), which has a density, for sampling, and a generative graph, for prediction.
    `with_posterior_coefficients` draws back what was integrated out. A compiled model takes another trial's values by
    its `statistics`. The terms are fixed once the model is built, and recorded.
    """
    model = pm.modelcontext(None)
    terms = replace(terms, correlated=correlation is not None)
    wide, design = _widened(visits, terms)
    packed = _statistics(wide, design, terms)
    places = dict(zip(("block", "row", "lane"), map(range, packed.shape), strict=True))
    record_terms(terms)
    model.add_coords({"source": terms.sources} | places)
    loading = pm.Deterministic("loading", loading, dims=("coefficient", "source"))
    known = pm.Data("statistics", packed, dims=tuple(places))
    if terms.covariates:
        loading = pt.concatenate([loading, np.zeros((len(terms.covariates), len(terms.sources)))])
    parameters = [loading, sigma, *([] if correlation is None else [correlation])]

    def log_density(value: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        loading, sigma, *more = inputs
        if not np.array_equal(getattr(value, "data", np.nan), visits.value):
            raise NotImplementedError(
                f"the density of {visits.outcome.name} is known at the recorded values only; build the model of a "
                "trial with the other values"
            )
        density = marginal_normal_in_time if more else marginal_normal
        return density(loading, sigma**2, *more, known, design, terms.sd**-2.0)[0]

    def generate(loading: TensorVariable, sigma: TensorVariable, *more: TensorVariable) -> TensorVariable:
        z = pm.Normal.dist(size=(len(visits.patients), len(terms.sources)))
        theta = design @ pm.Normal.dist(terms.mean, terms.sd) + z @ loading.T
        mean = (wide.basis * theta[visits.patient_index]).sum(axis=1)
        if correlation is None:
            return pm.Normal.dist(mean, sigma)
        order = sequence(visits.patient_index, visits.month)
        return mean + fading(pm.Normal.dist(size=len(visits.value)), sigma, more[0], order)

    pm.CustomDist(
        visits.outcome.name,
        *parameters,
        dist=generate,
        logp=log_density,
        signature=",".join(["(p,q)", *("()" for _ in parameters[1:])]) + "->(v)",
        observed=visits.value,
        dims="visit",
    )


def integrated_out(model: pm.Model) -> bool:
    """Say whether a model integrates its coefficients out."""
    return "statistics" in model.named_vars


def statistics_of(visits: Visits, terms: xr.Dataset) -> Floats:
    """Form the `statistics` of other values, or other visits of as many patients, for a model that is compiled already.

    `terms` is `terms_of` the model. Returns (block, row, lane).
    """
    wide, design = _widened(visits, known := terms_from(terms, visits))
    return _statistics(wide, design, known)


def _statistics(wide: Visits, design: Floats, terms: Terms) -> Floats:
    """Form the statistics of visits that are widened; of correlated residuals, as `correlated.pack` lays them out."""
    if not terms.correlated:
        return statistics(wide, design @ terms.mean)
    residual = wide.value - wide.basis @ (design @ terms.mean)
    order = sequence(wide.patient_index, wide.month)
    return correlated.pack(wide.basis, residual, wide.patient_index, len(wide.patients), order)


def with_prior_coefficients(draws: xr.Dataset, visits: Visits, terms: xr.Dataset, seed: int) -> xr.Dataset:
    """Draw the coefficients of population and patients from their prior, for every draw of `loading`.

    `terms` has `term_mean`, `term_sd`, `term_design` and, with covariates, `covariates`. Adds `population` and
    `coefficients`, and with covariates `regression`, as in `with_posterior_coefficients`.
    """
    known = terms_from(terms, visits)
    drawn = _from_prior(known, flat(draws["loading"]), len(visits.patients), np.random.default_rng(seed))
    return _with_coefficients(draws, visits, known, *drawn)


def with_posterior_coefficients(
    draws: xr.Dataset, visits: Visits, terms: xr.Dataset, seed: int
) -> tuple[xr.Dataset, xr.DataArray]:
    """Draw back, exactly, what was integrated out: the coefficients given the data and each draw of what was sampled.

    `draws` has `loading` (chain, draw, coefficient, source), `sigma` (chain, draw) and, where residuals are correlated,
    `autocorrelation` (chain, draw); `terms` as for the prior.
    Returns them with `population` (coefficient), `coefficients` (patient, coefficient), the covariates' part included,
    and `regression` (covariate), where there are covariates, added; and the log density of all of a patient's values
    given the population, its own coefficients integrated out: (chain, draw, patient).
    """
    known = terms_from(terms, visits)
    wide, design = _widened(visits, known)
    loading, variance = flat(draws["loading"]), flat(draws["sigma"]) ** 2
    loading = np.pad(loading, ((0, 0), (0, len(known.covariates)), (0, 0)))
    packed = _statistics(wide, design, known)
    drawn = np.empty((len(loading), len(known.mean)))
    theta = np.empty((len(loading), len(visits.patients), wide.basis.shape[1]))
    by_patient = np.empty(theta.shape[:2])
    rng = np.random.default_rng(seed)
    data, found = (packed, design, known.sd**-2.0, rng), (drawn, theta, by_patient)
    if known.correlated:
        correlated.draw_back(loading, variance, flat(draws["autocorrelation"]), *data, *found)
    else:
        kernel.draw_back(loading, variance, *data, *found)
    theta += design @ known.mean
    filled = _with_coefficients(draws, visits, known, known.mean + drawn, theta[..., : len(visits.coefficients)])
    coords = {name: filled[name] for name in ("chain", "draw", "patient")}
    shape = tuple(len(labels) for labels in coords.values())
    return filled, xr.DataArray(by_patient.reshape(shape), coords, list(coords), name=visits.outcome.name)


def _from_prior(terms: Terms, loading: Floats, patients: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw terms (d, m) and patient coefficients, less the covariates' part, (d, n, p) given loading (d, p, q)."""
    drawn = terms.mean + terms.sd * rng.standard_normal((len(loading), len(terms.mean)))
    z = rng.standard_normal((len(loading), patients, loading.shape[2]))
    return drawn, (drawn @ terms.design.T)[:, None, :] + z @ loading.transpose(0, 2, 1)


def _with_coefficients(draws: xr.Dataset, visits: Visits, known: Terms, terms: Floats, theta: Floats) -> xr.Dataset:
    """Add population, patients and regression, from terms (d, m) and theta (d, n, p), which gets the latter's part."""
    shape, dims = (draws.sizes["chain"], draws.sizes["draw"]), ("chain", "draw")
    regression = terms[:, len(known.names) - len(known.covariates) :]
    for k, shift in enumerate(known.shift):
        theta += regression[:, k, None, None] * shift
    filled = draws.assign_coords(patient=list(visits.patients)).assign(
        population=((*dims, "coefficient"), (terms @ known.design.T).reshape(*shape, -1)),
        coefficients=((*dims, "patient", "coefficient"), theta.reshape(*shape, *theta.shape[1:])),
    )
    if known.covariates:
        filled = filled.assign_coords(covariate=list(known.covariates))
        filled["regression"] = (*dims, "covariate"), regression.reshape(*shape, -1)
    return filled


def flat(values: xr.DataArray) -> Floats:
    """Put chains after each other: (chain, draw, ...) becomes (d, ...)."""
    array = values.transpose("chain", "draw", ...).to_numpy()
    return np.ascontiguousarray(array.reshape(-1, *array.shape[2:]))

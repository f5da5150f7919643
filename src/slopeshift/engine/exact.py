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
import xarray as xr

from slopeshift.design.visits import patient_sums
from slopeshift.engine import admitted, correlated, kernel, patients
from slopeshift.engine.draws import flat
from slopeshift.engine.entry import log_probabilities
from slopeshift.engine.later import later
from slopeshift.engine.sequence import fading, sequence
from slopeshift.engine.terms import record_terms, sampled_name, sampled_terms, terms_from

if TYPE_CHECKING:
    import pymc as pm
    import pytensor.tensor as pt
    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

    from slopeshift.design.entry import Selection
    from slopeshift.design.visits import Visits
    from slopeshift.engine import operation
    from slopeshift.engine.admitted import Rules
    from slopeshift.engine.terms import Terms

    Floats = NDArray[np.float64]
else:
    pm, pt, operation = later("pymc"), later("pytensor.tensor"), later("slopeshift.engine.operation")


def statistics(visits: Visits, mean: Floats) -> Floats:
    """Form the sufficient statistics of the patients, packed as `kernel.pack` says: (block, row, lane).

    They are the sums of W'W, W'y, y'y and 1 over each patient's visits. `mean`, the prior mean of the coefficients
    (p,), is subtracted from the values.
    """
    residual = visits.value - visits.basis @ mean
    return kernel.pack(*patient_sums(visits.basis, residual, visits.patient_index, len(visits.patients)))


def widened(visits: Visits, terms: xr.Dataset) -> tuple[Floats, Floats]:
    """Give the basis (visit, column) and the design (column, term) of a model, a column for each covariate at the end.

    `terms` is `terms_of` the model.
    """
    wide, design = with_columns(visits, terms_from(terms, visits))
    return wide.basis, design


def with_columns(visits: Visits, terms: Terms) -> tuple[Visits, Floats]:
    """Give the covariates columns of the basis, and rows of the design that pick their terms."""
    columns = [(visits.basis * shift[visits.patient_index]).sum(axis=1) for shift in terms.shift]
    picked = np.eye(len(terms.names))[len(terms.names) - len(columns) :]
    return replace(visits, basis=np.column_stack([visits.basis, *columns])), np.vstack([terms.design, picked])


def observe(
    visits: Visits,
    terms: Terms,
    loading: TensorVariable,
    sigma: TensorVariable,
    *,
    correlation: TensorVariable | None = None,
    rules: Rules | None = None,
    given: bool = False,
) -> None:
    """Observe the values of an outcome, all but what is handed in integrated out, in the current PyMC model.

    `sigma` is the standard deviation of a residual, `correlation` that of two residuals of a patient a month apart,
    which fades as `sequence` says; without it they are independent.
    Adds `loading` (coefficient, source), `statistics` (block, row, lane) as data, and the observed variable
    (visit,), which has a density, for sampling, and a generative graph, for prediction.
    `with_posterior_coefficients` draws back what was integrated out. A compiled model takes another trial's values by
    its `statistics`. The terms are fixed once the model is built, and recorded.

    With `rules` by which patients entered, the terms that act on them are sampled, each as `standardised_TERM`, and the
    potential `entry` says that the rules were met; a compiled model takes those of other visits as `entry` too. The
    generative graph is that of anybody. Where values up to the first injection are `given`, the terms that act on them
    are sampled too, and the potential `given` divides by the density of these values, the data `lead_in`.
    """
    model = pm.modelcontext(None)
    terms = replace(terms, correlated=correlation is not None, given=given)
    wide, design = with_columns(visits, terms)
    packed = _statistics(wide, design, terms)
    places = dict(zip(("block", "row", "lane"), map(range, packed.shape), strict=True))
    record_terms(terms)
    model.add_coords({"source": terms.sources} | places)
    loading = pm.Deterministic("loading", loading, dims=("coefficient", "source"))
    known = pm.Data("statistics", packed, dims=tuple(places))
    if terms.covariates:
        loading = pt.concatenate([loading, np.zeros((len(terms.covariates), len(terms.sources)))])
    apart = np.zeros(len(terms.names), dtype=bool)
    if given:
        apart = np.asarray((np.abs(wide.basis[_lead_in(wide)] @ design) > admitted.TOUCHED).any(axis=0))
    elif rules is not None:
        apart = admitted.touched(rules, wide, design)
    inputs = loading, sigma**2, (offset := _sampled_offset(terms, design, apart))
    if given:
        _take_as_given(wide, design @ terms.mean, inputs)
    elif rules is not None:
        _enter(rules, wide, design @ terms.mean, inputs)

    def log_density(value: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        if not np.array_equal(getattr(value, "data", np.nan), visits.value):
            raise NotImplementedError(
                f"the density of {visits.outcome.name} is known at the recorded values only; build the model of a "
                "trial with the other values"
            )
        loading, sigma, third = inputs
        density = operation.marginal_normal if correlation is None else operation.marginal_normal_in_time
        return density(loading, sigma**2, third, known, design[:, ~apart], terms.sd[~apart] ** -2.0)[0]

    def generate(
        loading: TensorVariable, sigma: TensorVariable, third: TensorVariable, _: TensorVariable
    ) -> TensorVariable:
        z = pm.Normal.dist(size=(len(visits.patients), len(terms.sources)))
        centre = design @ terms.mean + (third if correlation is None else 0.0)
        theta = centre + design[:, ~apart] @ pm.Normal.dist(0.0, terms.sd[~apart]) + z @ loading.T
        mean = (wide.basis * theta[visits.patient_index]).sum(axis=1)
        if correlation is None:
            return pm.Normal.dist(mean, sigma)
        order = sequence(visits.patient_index, visits.month)
        return mean + fading(pm.Normal.dist(size=len(visits.value)), sigma, third, order)

    pm.CustomDist(
        visits.outcome.name,
        loading,
        sigma,
        offset if correlation is None else correlation,
        dist=generate,
        logp=log_density,
        signature=f"(p,q),(),{'(p)' if correlation is None else '()'}->(v)",
        observed=visits.value,
        dims="visit",
    )


def _sampled_offset(terms: Terms, design: Floats, apart: NDArray[np.bool_]) -> TensorVariable:
    """Sample the terms that are not integrated out, and give what they add to the coefficients' prior mean: (p,)."""
    offset = pt.zeros(len(design))
    for place in np.flatnonzero(apart):
        # In prior SDs: chains start one apart at most, and a curvature of 1 point/month^2 is fifty of them.
        deviation = pm.Normal(sampled_name(terms.names[place]), 0.0, 1.0)
        offset = offset + deviation * (terms.sd[place] * design[:, place])
    return offset


def _enter(rules: Rules, wide: Visits, centre: Floats, inputs: tuple[TensorVariable, ...]) -> None:
    """Say in the current PyMC model that the rules were met."""
    model = pm.modelcontext(None)
    packed = admitted.pooled(rules, wide, centre)
    places = dict(zip(("entry_group", "entry_column"), map(range, packed.shape), strict=True))
    model.add_coords(places)
    admitted.record_rules(rules)
    pm.Potential("entry", operation.entry_factor(*inputs, pm.Data("entry_rules", packed, dims=tuple(places)))[0])


def _take_as_given(wide: Visits, centre: Floats, inputs: tuple[TensorVariable, ...]) -> None:
    """Divide by the density of the values up to the first injection, in the current PyMC model."""
    packed = _given(wide, centre)
    places = dict(zip(("given_patient", "given_column"), map(range, packed.shape), strict=True))
    pm.modelcontext(None).add_coords(places)
    pm.Potential("given", operation.given_factor(*inputs, pm.Data("lead_in", packed, dims=tuple(places)))[0])


def _given(wide: Visits, centre: Floats) -> Floats:
    """Lay out the values up to the first injection, less their prior mean: see `patients.pack`."""
    early = _lead_in(wide)
    residual = wide.value[early] - wide.basis[early] @ centre
    return patients.pack(*patient_sums(wide.basis[early], residual, wide.patient_index[early], len(wide.patients)))


def _lead_in(visits: Visits) -> NDArray[np.bool_]:
    """Say which values no injection came before: (visit,). They are those of `visits_in_lead_in`."""
    return np.asarray(~(visits.since_injections > 0).any(axis=1))


def integrated_out(model: pm.Model) -> bool:
    """Say whether a model integrates its coefficients out."""
    return "statistics" in model.named_vars


def statistics_of(visits: Visits, terms: xr.Dataset) -> Floats:
    """Form the `statistics` of other values, or other visits of as many patients, for a model that is compiled already.

    `terms` is `terms_of` the model. Returns (block, row, lane).
    """
    wide, design = with_columns(visits, known := terms_from(terms, visits))
    return _statistics(wide, design, known)


def _statistics(wide: Visits, design: Floats, terms: Terms) -> Floats:
    """Form the statistics of visits that are widened; of correlated residuals, as `correlated.pack` lays them out."""
    if not terms.correlated:
        return statistics(wide, design @ terms.mean)
    residual = wide.value - wide.basis @ (design @ terms.mean)
    order = sequence(wide.patient_index, wide.month)
    return correlated.pack(wide.basis, residual, wide.patient_index, len(wide.patients), order)


def entered(visits: Visits, terms: xr.Dataset, selection: Selection | None) -> tuple[xr.Dataset, dict[str, Floats]]:
    """Give record and data of what chose patients, for other visits of as many patients; `terms` is that of its own.

    That is entry rules, or values that are taken as given.

    Raises ValueError where the rules act on other terms than those that the model samples.
    """
    wide, design = with_columns(visits, known := terms_from(terms, visits))
    if known.given:
        return terms, {"lead_in": _given(wide, design @ known.mean)}
    if (own := admitted.rules_from(terms)) is None:
        return terms, {}
    rules = admitted.rules_of(selection)
    if rules is None or len(rules.spread) != len(own.spread):
        raise ValueError(
            "values that an entry rule was judged by are not among these visits: keep them, leave patients out as a "
            "whole, or build the model on the trial without these values"
        )
    recorded = {name: (admitted.DIMS[name], values) for name, values in rules.recorded().items()}
    return terms.drop_vars(["entry_weight", "visit"], errors="ignore").assign(recorded), {
        "entry_rules": admitted.pooled(rules, wide, design @ known.mean)
    }


def with_prior_coefficients(draws: xr.Dataset, visits: Visits, terms: xr.Dataset, seed: int) -> xr.Dataset:
    """Draw the coefficients of population and patients from their prior, for every draw of `loading`.

    `terms` has `term_mean`, `term_sd`, `term_design` and, with covariates, `covariates`. Adds `population` and
    `coefficients`, and with covariates `regression`, as in `with_posterior_coefficients`. Where the model knows entry
    rules, which need `sigma`, patients are those who met them.
    """
    known, rules, rng = terms_from(terms, visits), admitted.rules_from(terms), np.random.default_rng(seed)
    loading = flat(draws["loading"])
    drawn = known.mean + known.sd * rng.standard_normal((len(loading), len(known.mean)))
    apart = sampled_terms(set(map(str, draws)), known)
    drawn[:, apart] = known.mean[apart] + _sampled(draws, known, apart) * known.sd[apart]
    z = rng.standard_normal((len(loading), len(visits.patients), loading.shape[2]))
    theta = (drawn @ known.design.T)[:, None, :] + z @ loading.transpose(0, 2, 1)
    _add_regression(known, drawn, theta)
    if rules is not None:
        mean = theta - z @ loading.transpose(0, 2, 1)
        admitted.admit(rules, visits, theta, mean, loading, flat(draws["sigma"]), rng)
    return _with_coefficients(draws, visits, known, drawn, theta)


def with_posterior_coefficients(
    draws: xr.Dataset, visits: Visits, terms: xr.Dataset, seed: int
) -> tuple[xr.Dataset, xr.DataArray]:
    """Draw back, exactly, what was integrated out: the coefficients given the data and each draw of what was sampled.

    `draws` has `loading` (chain, draw, coefficient, source), `sigma` (chain, draw), the terms that were sampled and,
    where residuals are correlated, `autocorrelation` (chain, draw); `terms` as for the prior.
    Returns them with `population` (coefficient), `coefficients` (patient, coefficient), the covariates' part included,
    and `regression` (covariate), where there are covariates, added; and the log density of all of a patient's values
    given the population, its own coefficients integrated out, and given that it entered: (chain, draw, patient).
    """
    known = terms_from(terms, visits)
    wide, design = with_columns(visits, known)
    apart, moved = sampled_apart(draws, known)
    loading, variance = flat(draws["loading"]), flat(draws["sigma"]) ** 2
    loading = np.pad(loading, ((0, 0), (0, len(known.covariates)), (0, 0)))
    offset, centre = moved @ design.T, design @ known.mean
    drawn = np.empty((len(loading), int((~apart).sum())))
    theta = np.empty((len(loading), len(visits.patients), wide.basis.shape[1]))
    by_patient = np.empty(theta.shape[:2])
    inside = np.ascontiguousarray(design[:, ~apart]), known.sd[~apart] ** -2.0
    rest = (_statistics(wide, design, known), *inside, np.random.default_rng(seed), drawn, theta, by_patient)
    if known.correlated:
        correlated.draw_back(loading, variance, flat(draws["autocorrelation"]), *rest)
    else:
        kernel.draw_back(loading, variance, offset, *rest)
    moved[:, ~apart] = drawn
    theta = theta[..., : len(visits.coefficients)]
    theta += centre[: len(visits.coefficients)]  # in place: of a large cohort they are a gigabyte
    if (rules := admitted.rules_from(terms)) is not None and rules.refused == admitted.UNKNOWN:
        by_patient -= log_probabilities(loading, variance, offset, admitted.by_patient(rules, wide, centre))
    if known.given:
        by_patient -= _log_densities_given(loading, variance, offset, _given(wide, centre))
    _add_regression(known, known.mean + moved, theta)
    filled = _with_coefficients(draws, visits, known, known.mean + moved, theta)
    coords = {name: filled[name] for name in ("chain", "draw", "patient")}
    shape = tuple(len(labels) for labels in coords.values())
    return filled, xr.DataArray(by_patient.reshape(shape), coords, list(coords), name=visits.outcome.name)


def _log_densities_given(loading: Floats, variance: Floats, offset: Floats, packed: Floats) -> Floats:
    """Evaluate the density of the values that are taken as given, for every draw: (d, patient)."""
    n, p = len(packed), offset.shape[1]
    grams, moments, squares, counts = np.split(packed, (p * p, p * p + p, p * p + p + 1), axis=1)
    known = grams.reshape(n, p, p), moments, squares[:, 0], counts[:, 0]
    each = zip(np.ascontiguousarray(loading), variance, offset, strict=True)
    return np.array([patients.log_densities(of, d, np.tile(o, (n, 1)), *known)[0] for of, d, o in each])


def sampled_apart(draws: xr.Dataset, known: Terms) -> tuple[NDArray[np.bool_], Floats]:
    """Say which terms were sampled (term,), and how far from their prior mean: (d, term), 0 where integrated out."""
    apart = sampled_terms(set(map(str, draws)), known)
    moved = np.zeros((draws.sizes["chain"] * draws.sizes["draw"], len(known.mean)))
    moved[:, apart] = _sampled(draws, known, apart) * known.sd[apart]
    return apart, moved


def _sampled(draws: xr.Dataset, known: Terms, apart: NDArray[np.bool_]) -> Floats:
    """Take the terms that were sampled from the draws, in prior SDs from their prior mean: (d, term)."""
    names = [sampled_name(known.names[place]) for place in np.flatnonzero(apart)]
    columns = [flat(draws[name]) for name in names]
    return np.stack(columns, axis=1) if columns else np.empty((draws.sizes["chain"] * draws.sizes["draw"], 0))


def _add_regression(known: Terms, terms: Floats, theta: Floats) -> None:
    """Add the covariates' part of the terms (d, m) to the coefficients of patients (d, n, p), in place."""
    for coefficient, shift in zip(terms[:, len(known.names) - len(known.covariates) :].T, known.shift, strict=True):
        theta += coefficient[:, None, None] * shift


def _with_coefficients(draws: xr.Dataset, visits: Visits, known: Terms, terms: Floats, theta: Floats) -> xr.Dataset:
    """Add population, patients and regression, from terms (d, m) and theta (d, n, p)."""
    shape, dims = (draws.sizes["chain"], draws.sizes["draw"]), ("chain", "draw")
    filled = draws.assign_coords(patient=list(visits.patients)).assign(
        population=((*dims, "coefficient"), (terms @ known.design.T).reshape(*shape, -1)),
        coefficients=((*dims, "patient", "coefficient"), theta.reshape(*shape, *theta.shape[1:])),
    )
    if known.covariates:
        filled = filled.assign_coords(covariate=list(known.covariates))
        regression = terms[:, len(known.names) - len(known.covariates) :]
        filled["regression"] = (*dims, "covariate"), regression.reshape(*shape, -1)
    return filled

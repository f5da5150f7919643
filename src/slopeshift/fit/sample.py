"""Sampling a model on a trial, with everything that is stored beside the draws."""

from __future__ import annotations

import logging
import platform
import warnings
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.fit import nuts
from slopeshift.fit.store import PACKAGES, Fit, inputs
from slopeshift.model.described import described
from slopeshift.model.stated import statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pymc as pm
    import xarray as xr

    from slopeshift.design.visits import Visits
    from slopeshift.fit.store import Settings
    from slopeshift.model.files import ModelFile
    from slopeshift.trial import Trial

SAMPLE_STATS = {
    "diverging": "diverging",
    "energy": "energy",
    "n_steps": "n_steps",
    "step_size": "step_size",
    "depth": "tree_depth",
    "maxdepth_reached": "reached_max_treedepth",
}
"""What is kept of nutpie's statistics, by the names ArviZ knows."""

DRAWN_BACK = ("population", "coefficients", "regression")
"""Variables that follow from what is sampled where patients are integrated out, by their exact distribution."""

LARGEST = 20_000_000
"""Numbers kept in one array of predictions or prior draws: of a large cohort, evenly spaced draws are kept."""


ENOUGH = 2000
"""Predictions, log densities and draws of the prior kept of a model whose patients are sampled: what checks look at."""


def sample(file: ModelFile, trial: Trial, settings: Settings, *, progress: bool = True) -> Fit:
    """Sample prior and posterior of a model on a trial.

    Returns a fit whose tree has `posterior`, `sample_stats`, `prior`, `prior_predictive`, `posterior_predictive`,
    `log_likelihood` (of each visit given its patient's coefficients), `log_prior` (of every top-level prior),
    `observed_data` and `constant_data`, where coefficients were integrated out also `log_likelihood_of_patient`; its
    record lacks only the gate's verdict.
    Raises LookupError where the trial does not record the model's outcome, and KeyboardInterrupt without a result.
    """
    from slopeshift.fit.precompiled import ready
    from slopeshift.fit.written_out import as_stated

    started = perf_counter()
    visits = file.visits(trial)
    model = as_stated(file.build(trial), visits)
    compiled = ready(model, visits)
    timings = {"compile": perf_counter() - started}
    posterior, timings["sample"] = posterior_draws(compiled, settings, progress)
    tree = _complete(posterior, model, compiled, visits, settings)
    timings["total"] = perf_counter() - started
    record = {
        "model": file.name,
        "source": file.source,
        "trial": trial.name,
        "outcome": file.outcome,
        "unit": visits.outcome.unit,
        **described(file, statement(model)),
        "entry_rules": entry_rules(trial, visits, statement(model).entry),
        "status": "sampled",
        "inputs": inputs(trial.files, file.source, settings),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": {name: round(value, 2) for name, value in timings.items()},
    }
    return Fit(tree, record)


def entry_rules(trial: Trial, visits: Visits, known: bool) -> str:
    """Say what of the trial's entry rules on an outcome is in the likelihood, `known` where the model knows any.

    One of "none" (there is no such rule), "modelled", "partly modelled" and "not modelled".
    """
    from slopeshift.design.entry import MODELLED, conditions

    if (stated := conditions(trial, visits)) is None:
        return "none"
    if not known:
        return "not modelled"
    return "modelled" if stated.recorded.all() and len(stated.rules) <= MODELLED else "partly modelled"


def posterior_draws(compiled: Any, settings: Settings, progress: bool) -> tuple[xr.DataTree, float]:
    """Draw with NUTS from the posterior of what `precompiled.ready` returns: the tree of nutpie, and the seconds.

    Raises KeyboardInterrupt, without a result, where sampling is interrupted.
    """
    began = perf_counter()
    tree = nuts.draw(
        compiled,
        draws=settings.draws,
        tune=settings.tune,
        chains=settings.chains,
        seed=settings.seed,
        target_accept=settings.target_accept,
        progress=progress,
    )
    return tree, perf_counter() - began


def prior_draws(model: pm.Model, visits: Visits, draws: int, seed: int, compiled: object = None) -> xr.DataTree:
    """Draw from the prior: groups `prior`, `prior_predictive` and `constant_data`.

    Whether a model's coefficients are sampled or integrated out, `prior` has `population` and `coefficients`.
    PyMC draws it, unless `compiled`, which `precompiled.ready` returned, can.
    """
    import xarray as xr

    from slopeshift.engine import exact
    from slopeshift.model.covariates import labelled

    draws = min(draws, max(LARGEST // (len(visits.patients) * len(visits.coefficients)), 1))
    for_model, for_rest = _seeds(seed, 2)
    if isinstance(compiled, nuts.Precompiled):
        tree = xr.DataTree.from_dict({"prior": compiled.prior(draws, for_model), "constant_data": _constants(model)})
    else:
        tree = _prior_by_pymc(model, draws, for_model)
    data = visits.dataset()
    if "constant_data" in tree:
        data = labelled(model, data.merge(tree["constant_data"].to_dataset()))
    prior = tree["prior"].to_dataset()
    if exact.integrated_out(model):
        groups = before_data(_family(model), prior, visits, data, for_rest)
    elif isinstance(compiled, nuts.Precompiled):
        kept = smaller(prior.isel(draw=_evenly_spaced(prior)))
        groups = {"prior": kept} | _expected(_family(model), kept, visits, for_rest)
    else:
        groups = {"prior": prior, "prior_predictive": tree["prior_predictive"].to_dataset()}
    return xr.DataTree.from_dict(groups | {"constant_data": data})


def _family(model: pm.Model) -> str:
    """Name the residual family of a model: normal where it states none."""
    from slopeshift.model.families import normal

    return statement(model).family or normal.name


def _constants(model: pm.Model) -> xr.Dataset:
    """Take the data out of a model, as PyMC does when it draws from the prior."""
    import xarray as xr

    dims = {variable.name: model.named_vars_to_dims.get(variable.name, ()) for variable in model.data_vars}
    coords = {dim: list(model.coords[dim]) for each in dims.values() for dim in each}
    return xr.Dataset({name: (each, model[name].get_value()) for name, each in dims.items()}, coords)


def _prior_by_pymc(model: pm.Model, draws: int, seed: int) -> xr.DataTree:
    import pymc as pm

    from slopeshift.engine import exact

    sampled = [variable.name for variable in (*model.free_RVs, *model.deterministics)]
    names = sampled if exact.integrated_out(model) else None
    with model, _quiet("pymc"), warnings.catch_warnings():
        # The potential that patients entered says nothing of the prior: the patients are drawn by the rules below.
        warnings.filterwarnings("ignore", "The effect of Potentials", UserWarning)
        tree: xr.DataTree = pm.sample_prior_predictive(draws, var_names=names, random_seed=seed)
    return tree


def _complete(
    sampled: xr.DataTree, model: pm.Model, compiled: object, visits: Visits, settings: Settings
) -> xr.DataTree:
    """Add prior, predictions, log likelihood and data to what the sampler returned."""
    import xarray as xr

    from slopeshift.engine import exact
    from slopeshift.fit.log_prior import log_prior

    for_prior, for_posterior = _seeds(settings.seed, 2)
    before = prior_draws(model, visits, settings.prior_draws, for_prior, compiled)
    data = before["constant_data"].to_dataset()
    draws = sampled["posterior"].to_dataset()
    if exact.integrated_out(model):
        groups = drawn_back(_family(model), draws, visits, data, for_posterior)
    elif isinstance(compiled, nuts.Precompiled):
        kept = smaller(draws)
        groups = {"posterior": kept} | _seen(_family(model), kept, visits, for_posterior)
    else:
        groups = _predicted_by_pymc(sampled, model, for_posterior)
    groups |= {name: group.to_dataset() for name, group in before.children.items()}
    if not exact.integrated_out(model):
        groups = {name: smaller(group) for name, group in groups.items()}
    stats = sampled["sample_stats"].to_dataset()
    by_prior = log_prior(model, groups["posterior"], data)
    return xr.DataTree.from_dict(
        {
            **groups,
            "log_prior": by_prior if exact.integrated_out(model) else smaller(by_prior),
            "sample_stats": stats[list(SAMPLE_STATS)].rename(SAMPLE_STATS),
            "observed_data": xr.Dataset({visits.outcome.name: ("visit", visits.value)}, {"visit": data["visit"]}),
        }
    )


def before_data(family: str, prior: xr.Dataset, visits: Visits, terms: xr.Dataset, seed: int) -> dict[str, xr.Dataset]:
    """Draw from the prior what is integrated out, and predict from it: groups `prior` and `prior_predictive`."""
    from slopeshift.engine import exact
    from slopeshift.model.families import predicted

    for_coefficients, for_values = _seeds(seed, 2)
    drawn = exact.with_prior_coefficients(prior, visits, terms, for_coefficients)
    some = _thinned(drawn, visits)
    return {"prior": drawn, "prior_predictive": predicted(family, some, visits, for_values, terms).to_dataset()}


def drawn_back(family: str, draws: xr.Dataset, visits: Visits, terms: xr.Dataset, seed: int) -> dict[str, xr.Dataset]:
    """Draw back what was integrated out, and predict from it: `posterior`, predictions and log likelihoods."""
    from slopeshift.engine import exact

    for_coefficients, for_values = _seeds(seed, 2)
    drawn, by_patient = exact.with_posterior_coefficients(draws, visits, terms, for_coefficients)
    groups = {"posterior": drawn} | _of_values(family, drawn, visits, for_values, terms)
    return groups | {"log_likelihood_of_patient": by_patient.to_dataset()}


def _of_values(
    family: str, draws: xr.Dataset, visits: Visits, seed: int, terms: xr.Dataset | None = None
) -> dict[str, xr.Dataset]:
    """Predict values from the coefficients of draws, and evaluate the log density of the recorded ones."""
    from slopeshift.model.families import log_likelihood, predicted

    some = _thinned(draws, visits)
    return {
        "posterior_predictive": predicted(family, some, visits, seed, terms).to_dataset(),
        "log_likelihood": log_likelihood(family, some, visits).to_dataset(),
    }


def _expected(family: str, prior: xr.Dataset, visits: Visits, seed: int) -> dict[str, xr.Dataset]:
    """Predict from the prior of a model whose patients were sampled: as single numbers."""
    from slopeshift.model.families import predicted

    some = _thinned(prior, visits)
    return {"prior_predictive": smaller(predicted(family, some, visits, seed).to_dataset())}


def _seen(family: str, draws: xr.Dataset, visits: Visits, seed: int) -> dict[str, xr.Dataset]:
    """Do what `_of_values` does for as many draws as are kept where patients were sampled."""
    some = draws.isel(draw=_evenly_spaced(draws))
    return {name: smaller(group) for name, group in _of_values(family, some, visits, seed).items()}


def _evenly_spaced(group: xr.Dataset) -> slice:
    return slice(None, None, max(group.sizes["chain"] * group.sizes["draw"] // ENOUGH, 1))


def smaller(group: xr.Dataset) -> xr.Dataset:
    """Take what is kept of a group where patients were sampled.

    Draws are rounded to single precision, and of what a patient was sampled by, only the coefficients are kept, which
    all else is read from; of predictions and log densities ENOUGH draws.
    """
    if "draw" not in group.dims:
        return group
    if "visit" in group.dims:
        return group.isel(draw=_evenly_spaced(group)).astype(np.float32)
    passing = [n for n, values in group.data_vars.items() if "patient" in values.dims and n != "coefficients"]
    # Rounded once, before anything is computed from them; what is computed then is so in double precision.
    return group.drop_vars(passing).map(lambda values: values.astype(np.float32).astype(values.dtype), keep_attrs=True)


def _thinned(draws: xr.Dataset, visits: Visits) -> xr.Dataset:
    """Keep as many evenly spaced draws as LARGEST allows at this number of visits."""
    numbers = draws.sizes["chain"] * draws.sizes["draw"] * len(visits.value)
    return draws.isel(draw=slice(None, None, max(-(-numbers // LARGEST), 1)))


def _predicted_by_pymc(sampled: xr.DataTree, model: pm.Model, seed: int) -> dict[str, xr.Dataset]:
    """Let PyMC predict from a model that it compiled."""
    import pymc as pm

    with model, _quiet("pymc"):
        # All that was sampled is kept: the coordinates of `z` depend on data, but what it is does not.
        kept = [variable.name for variable in model.free_RVs]
        predicted = pm.sample_posterior_predictive(sampled, freeze_vars=kept, random_seed=seed, progressbar=False)
        pointwise = pm.compute_log_likelihood(sampled, progressbar=False, extend_inferencedata=False)
    return {
        "posterior": sampled["posterior"].to_dataset(),
        "posterior_predictive": predicted["posterior_predictive"].to_dataset(),
        "log_likelihood": pointwise,
    }


def remade(family: str, groups: Mapping[str, xr.Dataset], visits: Visits, seed: int) -> dict[str, xr.Dataset]:
    """Make once more, of what was sampled, all that `sample` added to it.

    `family` is the recorded name, `groups` are those of a fit by name, and `seed` is that of the settings. A model that
    PyMC predicted from comes out otherwise.
    """
    data = groups["constant_data"]
    for_prior, for_posterior = _seeds(seed, 2)
    if "statistics" not in data:
        before = _expected(family, groups["prior"], visits, _seeds(for_prior, 2)[1])
        return before | _seen(family, groups["posterior"], visits, for_posterior)
    prior, posterior = (groups[name].drop_vars(DRAWN_BACK, errors="ignore") for name in ("prior", "posterior"))
    made = before_data(family, prior, visits, data, _seeds(for_prior, 2)[1])
    made |= drawn_back(family, posterior, visits, data, for_posterior)
    return made | {name: made[name][[v for v in DRAWN_BACK if v in made[name]]] for name in ("prior", "posterior")}


def _seeds(seed: int, number: int) -> list[int]:
    """Derive independent seeds."""
    return [int(state) for state in np.random.SeedSequence(seed).generate_state(number)]


@contextmanager
def _quiet(logger: str) -> Iterator[None]:
    """Keep a library's progress notices off the screen; its warnings pass."""
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


def skipped(file: ModelFile, trial: Trial, settings: Settings) -> Fit:
    """Record that a model is not for a trial, and why (see `ModelFile.misfit`)."""
    import xarray as xr

    record = {
        "model": file.name,
        "trial": trial.name,
        "outcome": file.outcome,
        "status": "skipped",
        "reason": file.misfit(trial),
        "inputs": inputs(trial.files, file.source, settings),
    }
    return Fit(xr.DataTree(), record)

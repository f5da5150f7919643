"""Sampling a model on a trial, and keeping the result together with everything it was made from."""

from __future__ import annotations

import json
import logging
import platform
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pymc as pm
    import xarray as xr

    from slopeshift.basis import Visits
    from slopeshift.model import ModelFile
    from slopeshift.trial import Trial

ENGINE = (
    *("trial", "trial.cells", "trial.columns", "trial.door", "trial.rules", "trial.settings"),
    *("shape", "basis", "interval", "priors", "history", "lanes", "kernel", "marginal"),
    *("coordinate_kernel", "coordinates", "curves"),
    *("residuals", "outcomes", "formula", "log_prior", "model", "atomic", "fit"),
)
"""Modules whose text decides what a fit is: a change of theirs makes it out of date."""

SAMPLE_STATS = {
    "diverging": "diverging",
    "energy": "energy",
    "n_steps": "n_steps",
    "step_size": "step_size",
    "depth": "tree_depth",
    "maxdepth_reached": "reached_max_treedepth",
}
"""What is kept of nutpie's statistics, by the names ArviZ knows."""

ADAPTATION = "draw_diag"
"""How nutpie scales its steps: by the variance of draws, as Stan does. By the draws' gradients, its default, sampled
coefficients of a small trial mix half as well; where they are integrated out, either does."""

RECORD = "slopeshift"
"""The attribute of the stored tree that holds the record."""

LARGEST = 20_000_000
"""Numbers kept in one array of predictions or prior draws: of a large cohort, evenly spaced draws are kept."""

PACKAGES = ("slopeshift", "pymc", "pytensor", "nutpie", "arviz", "numpy", "pandas", "xarray")


class FitError(RuntimeError):
    """A fit is missing, incomplete, or was made from other inputs than those at hand."""


@dataclass(frozen=True)
class Settings:
    """How to sample. The defaults are meant for publication.

    `draws` and `tune` are per chain; `prior_draws` in all; `target_accept` is the mean acceptance NUTS aims at.
    """

    seed: int = 1
    draws: int = 2500
    tune: int = 1500
    chains: int = 4
    target_accept: float = 0.9
    prior_draws: int = 4000


@dataclass(frozen=True)
class Fit:
    """A fit as stored: the ArviZ tree (`posterior`, `sample_stats`, `prior`, ...) and the record of its making.

    The tree of a model that was skipped is empty.
    """

    tree: xr.DataTree
    record: Mapping[str, Any]


def inputs(trial_files: Mapping[str, str], model_sha256: str, settings: Settings) -> dict[str, Any]:
    """Describe, by content, all that decides a fit: data, model, engine and settings."""
    return {
        "data": dict(sorted(trial_files.items())),
        "model": model_sha256,
        "engine": engine_sha256(),
        "settings": asdict(settings),
    }


def engine_sha256() -> str:
    """Hash the text of the modules in ENGINE."""
    texts = (_source(name).read_bytes() for name in ENGINE)
    return sha256(b"\0".join(texts)).hexdigest()


def _source(module: str) -> Path:
    path = Path(__file__).parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def sample(file: ModelFile, trial: Trial, settings: Settings, *, progress: bool = True) -> Fit:
    """Sample prior and posterior of a model on a trial.

    Returns a fit whose tree has `posterior`, `sample_stats`, `prior`, `prior_predictive`, `posterior_predictive`,
    `log_likelihood` (of each visit given its patient's coefficients), `log_prior` (of every top-level prior),
    `observed_data` and `constant_data`, where coefficients were integrated out also `log_likelihood_of_patient`; its
    record lacks only the gate's verdict.
    Raises LookupError where the trial does not record the model's outcome, and KeyboardInterrupt without a result.
    """
    started = perf_counter()
    visits = file.visits(trial)
    model = file.build(trial)
    posterior, timings = posterior_draws(model, settings, progress)
    tree = _complete(posterior, model, visits, settings)
    timings["total"] = perf_counter() - started
    record = {
        "model": file.name,
        "title": file.title,
        "description": file.description,
        "source": file.source,
        "trial": trial.name,
        "outcome": file.outcome,
        "unit": visits.outcome.unit,
        "status": "sampled",
        "inputs": inputs(trial.files, file.sha256, settings),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": {name: round(value, 2) for name, value in timings.items()},
    }
    return Fit(tree, record)


def posterior_draws(model: pm.Model, settings: Settings, progress: bool) -> tuple[xr.DataTree, dict[str, float]]:
    """Draw from the posterior with NUTS: the tree of nutpie, and the seconds to compile and to sample.

    Raises KeyboardInterrupt, without a result, where sampling is interrupted.
    """
    import nutpie

    began = perf_counter()
    compiled = nutpie.compile_pymc_model(model)
    built = perf_counter()
    sampler = nutpie.sample(
        compiled,
        draws=settings.draws,
        tune=settings.tune,
        chains=settings.chains,
        seed=settings.seed,
        target_accept=settings.target_accept,
        adaptation=ADAPTATION,
        save_warmup=False,
        progress_bar=progress,
        blocking=False,
    )
    try:
        tree = sampler.wait()
    except BaseException:
        # nutpie's own blocking call would answer Ctrl-C with the draws so far, as if they were the result.
        sampler.cancel()
        raise
    return tree, {"compile": built - began, "sample": perf_counter() - built}


def prior_draws(model: pm.Model, visits: Visits, draws: int, seed: int) -> xr.DataTree:
    """Draw from the prior: groups `prior`, `prior_predictive` and `constant_data`.

    Whether a model's coefficients are sampled or integrated out, `prior` has `population` and `coefficients`.
    """
    import pymc as pm
    import xarray as xr

    from slopeshift import marginal

    draws = min(draws, max(LARGEST // (len(visits.patients) * len(visits.coefficients)), 1))
    for_model, for_coefficients, for_values = _seeds(seed, 3)
    hyper = [variable.name for variable in (*model.free_RVs, *model.deterministics)]
    integrated_out = marginal.integrated_out(model)
    with model, _quiet("pymc"):
        tree = pm.sample_prior_predictive(draws, var_names=hyper if integrated_out else None, random_seed=for_model)
    data = visits.dataset()
    if "constant_data" in tree:
        data = data.merge(tree["constant_data"].to_dataset())
    prior = tree["prior"].to_dataset()
    if integrated_out:
        prior = marginal.with_prior_coefficients(prior, visits, data, for_coefficients)
        values = marginal.predicted(_thinned(prior, visits), visits, for_values).to_dataset()
    else:
        values = tree["prior_predictive"].to_dataset()
    return xr.DataTree.from_dict({"prior": prior, "prior_predictive": values, "constant_data": data})


def _complete(sampled: xr.DataTree, model: pm.Model, visits: Visits, settings: Settings) -> xr.DataTree:
    """Add prior, predictions, log likelihood and data to what the sampler returned."""
    import xarray as xr

    from slopeshift import marginal
    from slopeshift.log_prior import log_prior

    for_prior, for_posterior = _seeds(settings.seed, 2)
    before = prior_draws(model, visits, settings.prior_draws, for_prior)
    data = before["constant_data"].to_dataset()
    draws = sampled["posterior"].to_dataset()
    if marginal.integrated_out(model):
        groups = _drawn_back(draws, visits, data, for_posterior)
    else:
        groups = _predicted(sampled, model, for_posterior)
    stats = sampled["sample_stats"].to_dataset()
    return xr.DataTree.from_dict(
        {
            **groups,
            **{name: group.to_dataset() for name, group in before.children.items()},
            "log_prior": log_prior(model, groups["posterior"], data),
            "sample_stats": stats[list(SAMPLE_STATS)].rename(SAMPLE_STATS),
            "observed_data": xr.Dataset({visits.outcome.name: ("visit", visits.value)}, {"visit": data["visit"]}),
        }
    )


def _drawn_back(draws: xr.Dataset, visits: Visits, terms: xr.Dataset, seed: int) -> dict[str, xr.Dataset]:
    """Draw back what was integrated out, and predict from it."""
    from slopeshift import marginal

    for_coefficients, for_values = _seeds(seed, 2)
    drawn, by_patient = marginal.with_posterior_coefficients(draws, visits, terms, for_coefficients)
    some = _thinned(drawn, visits)
    return {
        "posterior": drawn,
        "posterior_predictive": marginal.predicted(some, visits, for_values).to_dataset(),
        "log_likelihood": marginal.log_likelihood(some, visits).to_dataset(),
        "log_likelihood_of_patient": by_patient.to_dataset(),
    }


def _thinned(draws: xr.Dataset, visits: Visits) -> xr.Dataset:
    """Keep as many evenly spaced draws as LARGEST allows at this number of visits."""
    numbers = draws.sizes["chain"] * draws.sizes["draw"] * len(visits.value)
    return draws.isel(draw=slice(None, None, max(-(-numbers // LARGEST), 1)))


def _predicted(sampled: xr.DataTree, model: pm.Model, seed: int) -> dict[str, xr.Dataset]:
    """Let PyMC predict from a model that is written out."""
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
    """Record that a model does not apply to a trial, which lacks its outcome."""
    import xarray as xr

    record = {
        "model": file.name,
        "trial": trial.name,
        "outcome": file.outcome,
        "status": "skipped",
        "reason": f"the trial records no {file.outcome}",
        "inputs": inputs(trial.files, file.sha256, settings),
    }
    return Fit(xr.DataTree(), record)


def judged(fit: Fit, failures: list[str]) -> Fit:
    """Add the gate's verdict to the record of a fit."""
    return Fit(fit.tree, {**fit.record, "gate": {"passed": not failures, "failures": failures}})


def save(fit: Fit, folder: Path) -> None:
    """Write `<model>.nc` and `<model>.json` into `folder`, each whole or not at all.

    The tree carries the record, and is what is read; the `.json` is its copy for people and for make, so a stop between
    the two files leaves a fit that still says truly what it is.
    """
    name = fit.record["model"]
    tree = fit.tree.copy()
    tree.attrs = {**tree.attrs, RECORD: json.dumps(fit.record)}
    encoding = {f"/{group}": _encoding(node.to_dataset()) for group, node in tree.children.items()}
    with replacing(folder / f"{name}.nc") as path:
        tree.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    save_record(fit.record, folder)


def save_record(record: Mapping[str, Any], folder: Path) -> None:
    """Write `<model>.json` into `folder`, whole or not at all, unless it is there already.

    Of a model that was skipped, the fit of earlier data is removed.
    """
    if record["status"] == "skipped":
        (folder / f"{record['model']}.nc").unlink(missing_ok=True)
    target, text = folder / f"{record['model']}.json", json.dumps(record, indent=1) + "\n"
    if not target.exists() or target.read_bytes() != text.encode():
        with replacing(target) as path:
            path.write_bytes(text.encode())


def _encoding(dataset: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Compress arrays, and keep what is large and derived in single precision."""
    packed = {"zlib": True, "complevel": 1, "shuffle": True}
    derived = {"dtype": "float32"} if "visit" in dataset.dims and "draw" in dataset.dims else {}
    return {str(name): packed | derived for name, values in dataset.data_vars.items() if values.ndim}


def read_record(folder: Path, model: str) -> dict[str, Any] | None:
    """Read the record of a fit, or of a model that was skipped; None where there is neither or it cannot be read."""
    import h5py

    path = folder / f"{model}.nc"
    try:
        if path.exists():
            with h5py.File(path) as file:
                record = json.loads(file.attrs[RECORD])
        else:
            record = json.loads((folder / f"{model}.json").read_bytes())
    except (OSError, KeyError, ValueError):
        return None
    return dict(record) if path.exists() or record["status"] == "skipped" else None


def open_fit(folder: Path, model: str) -> Fit:
    """Open a stored fit, or the record of a model that was skipped.

    Raises FitError where there is neither, or the file is damaged.
    """
    import xarray as xr

    record, path = read_record(folder, model), folder / f"{model}.nc"
    if record is None:
        wrong = "damaged, or not a fit" if path.exists() else "no such fit"
        raise FitError(f"{path}: {wrong}; make it with `slopeshift fit`")
    if record["status"] == "skipped":
        return Fit(xr.DataTree(), record)
    return Fit(xr.load_datatree(path, engine="h5netcdf"), record)

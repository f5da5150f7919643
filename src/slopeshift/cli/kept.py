"""What is kept beside the data of a trial: fits that are up to date, and the studies made from them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pandas as pd

    from slopeshift.fit.store import Fit
    from slopeshift.model.files import ModelFile
    from slopeshift.null import study as null
    from slopeshift.sensitivity import study as sensitivity
    from slopeshift.trial import Trial

SENSITIVITY = "sensitivity"


def model_files(folder: Path) -> list[Path]:
    """List the model files of a folder. Raises FileNotFoundError where there is none."""
    paths = sorted(folder.glob("*.py"))
    if not paths:
        raise FileNotFoundError(f"{folder}: no model file (*.py) there; name the folder with --models")
    return paths


def current_fit(path: Path, trial: Trial, folder: Path) -> Fit:
    """Open a fit for reporting; refuse one that was made from other data, another model or another engine."""
    from slopeshift.fit import store
    from slopeshift.model.files import source_of

    stored = folder / f"{path.stem}.nc"
    fit = _opened(folder, path.stem, stored.stat().st_mtime_ns if stored.exists() else 0)
    made_from = dict(fit.record["inputs"])
    at_hand = store.inputs(trial.files, source_of(path), store.Settings(**made_from["settings"]))
    changed = [name for name, value in at_hand.items() if made_from[name] != value]
    if changed:
        raise store.FitError(
            f"{folder / path.stem}: this fit was made from another {' and '.join(changed)} than at hand; "
            "make it anew with `slopeshift fit`"
        )
    return fit


@lru_cache
def _opened(folder: Path, model: str, written: int) -> Fit:
    """Open a fit once, however many of a command's parts read it, as it was written at that time."""
    from slopeshift.fit.store import open_fit

    return open_fit(folder, model)


@lru_cache
def _loaded(path: Path, written: int) -> ModelFile:
    """Run a model file once."""
    from slopeshift.model.files import load_model

    return load_model(path)


def _models(folder: Path) -> dict[Path, ModelFile]:
    return {path: _loaded(path, path.stat().st_mtime_ns) for path in model_files(folder)}


def null_study(trial: Trial, models: Path, folder: Path) -> Mapping[str, pd.DataFrame]:
    """Read the tables of the null study, those made from other data or fits left out."""
    from slopeshift.null.study import stored

    if not (folder / "null").is_dir():
        return {}
    current, stale = stored(trial, null_candidates(trial, models, folder), folder / "null")
    if stale:
        typer.echo(f"left out, made from other data or fits: {', '.join(stale)}; make them anew with `slopeshift null`")
    return current


def null_candidates(trial: Trial, models: Path, folder: Path) -> list[null.Candidate]:
    """Load the models that answer the question of a trial, with the posterior of their fits where that may be used."""
    from slopeshift.fit.store import FitError
    from slopeshift.model.files import leading
    from slopeshift.null.study import Candidate

    files = _models(models)
    first = leading({file.name: file.outcome for file in files.values()})
    found = []
    for path, file in files.items():
        if file.outcome not in trial.outcomes or file.name not in first:
            continue
        try:
            fit = current_fit(path, trial, folder)
        except FitError as error:
            typer.echo(f"{file.name}: its fit is not drawn from; {error}")
            found.append(Candidate(file, None))
            continue
        passed = fit.record["status"] == "sampled" and fit.record["gate"]["passed"]
        if not passed:
            typer.echo(f"{file.name}: its fit failed the diagnostics gate and is not drawn from")
        posterior = fit.tree["posterior"].to_dataset() if passed else None
        found.append(Candidate(file, posterior, fit.record["inputs"]))
    return found


def sensitivity_study(trial: Trial, models: Path, folder: Path) -> Mapping[str, pd.DataFrame]:
    """Read the tables of the sensitivity study, those made from other data or fits left out."""
    from slopeshift.sensitivity.study import stored

    if not (folder / SENSITIVITY).is_dir():
        return {}
    found = sensitivity_candidates(trial, models, folder, lambda _: None)
    current, stale = stored(trial, found, folder / SENSITIVITY)
    if stale:
        typer.echo(
            f"left out, made from other data or fits: {', '.join(stale)}; make them anew with `slopeshift sensitivity`"
        )
    return current


def sensitivity_candidates(
    trial: Trial, models: Path, folder: Path, say: Callable[[str], object]
) -> list[sensitivity.Candidate]:
    """Find the models that answer the question for an outcome of the trial, with their fits that are up to date.

    With each goes the model of the same outcome that states a grid of lags and half-lives, the first by name.
    """
    from slopeshift.fit.store import FitError
    from slopeshift.model.files import leading
    from slopeshift.sensitivity.study import Candidate

    files = _models(models)
    first = leading({file.name: file.outcome for file in files.values()})
    grids = {file.outcome: file for file in reversed(files.values()) if file.grid}
    found = []
    for path, file in files.items():
        if file.outcome not in trial.outcomes or file.name not in first:
            continue
        try:
            fit = current_fit(path, trial, folder)
        except FitError as error:
            say(f"{file.name}: {error}")
            fit = None
        found.append(Candidate(file, fit, grids.get(file.outcome)))
    return found

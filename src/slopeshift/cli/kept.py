"""What is kept beside the data of a trial: fits that are up to date, and the studies made from them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pandas as pd

    from slopeshift.fit.candidates import Candidate
    from slopeshift.model.files import ModelFile
    from slopeshift.trial import Trial

SENSITIVITY = "sensitivity"
FAILED = "its fit failed the diagnostics gate and is not drawn from"


def model_files(folder: Path) -> list[Path]:
    """List the model files of a folder. Raises FileNotFoundError where there is none."""
    paths = sorted(folder.glob("*.py"))
    if not paths:
        raise FileNotFoundError(f"{folder}: no model file (*.py) there; name the folder with --models")
    return paths


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
        typer.echo(f"left out, made from other data or fits: {', '.join(stale)}; run `slopeshift null` to update them")
    return current


def null_candidates(trial: Trial, models: Path, folder: Path) -> list[Candidate]:
    """Find the models that answer the question of a trial, and say which of their fits are not drawn from."""
    from slopeshift.fit.candidates import candidates

    found = candidates(_models(models), trial, folder)
    for each in found:
        if each.usable is None:
            why = f"its fit is not drawn from; {each.problem}" if each.problem else FAILED
            typer.echo(f"{each.file.name}: {why}")
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
            f"left out, made from other data or fits: {', '.join(stale)}; run `slopeshift sensitivity` to update them"
        )
    return current


def sensitivity_candidates(trial: Trial, models: Path, folder: Path, say: Callable[[str], object]) -> list[Candidate]:
    """Find the models that answer the question for an outcome of the trial, and say which have no fit to use."""
    from slopeshift.fit.candidates import candidates

    found = candidates(_models(models), trial, folder)
    for each in found:
        if each.problem:
            say(f"{each.file.name}: {each.problem}")
    return found

"""Which fits may be used: those that are up to date, and of them those that studies start from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from slopeshift.fit import store
from slopeshift.fit.packed import unpacked
from slopeshift.fit.posterior import Posterior, posterior_of
from slopeshift.model.files import ModelFile, leading, source_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from slopeshift.fit.store import Fit
    from slopeshift.trial import Trial


@dataclass(frozen=True, eq=False)
class Candidate:
    """A model that answers the question for an outcome, with the posterior of its fit.

    `posterior` is None where there is no fit that is up to date, and `problem` then says why; `made_from` says by
    content what the fit was made from. `grid` is the model of the same outcome that states lags and half-lives to
    compare, where there is one.
    """

    file: ModelFile
    posterior: Posterior | None = None
    made_from: Mapping[str, Any] | None = None
    grid: ModelFile | None = None
    problem: str = ""

    @property
    def usable(self) -> Posterior | None:
        """The posterior, where its fit passed the diagnostics gate."""
        return self.posterior if self.posterior is not None and self.posterior.passed else None


def candidates(files: Mapping[Path, ModelFile], trial: Trial, folder: Path) -> list[Candidate]:
    """Find the models that answer the question for the outcomes of a trial, with their fits in `folder`.

    `files` are all models by their paths. Of several that state a grid for an outcome, the first is taken.
    """
    fitting = {path: file for path, file in files.items() if not file.misfit(trial)}
    first = leading({file.name: file.outcome for file in fitting.values()})
    grids = {file.outcome: file for file in reversed([*fitting.values()]) if file.grid}
    chosen = {path: file for path, file in fitting.items() if file.name in first}
    return [_candidate(path, file, grids.get(file.outcome), trial, folder) for path, file in chosen.items()]


def _candidate(path: Path, file: ModelFile, grid: ModelFile | None, trial: Trial, folder: Path) -> Candidate:
    try:
        fit = current_fit(path, trial, folder)
        return Candidate(file, posterior_of(trial, fit), fit.record["inputs"], grid)
    except store.FitError as error:
        return Candidate(file, grid=grid, problem=str(error))


def current_fit(path: Path, trial: Trial, folder: Path) -> Fit:
    """Open the fit of the model file at `path`, for reporting. Raises FitError as `current_record` does."""
    current_record(path, trial, folder)
    stored = folder / f"{path.stem}.nc"
    return _opened(folder, path.stem, stored.stat().st_mtime_ns if stored.exists() else 0, trial)


def current_record(path: Path, trial: Trial, folder: Path) -> Mapping[str, Any]:
    """Read the record of the fit of the model file at `path`. Raises as `record_of` does."""
    return record_of(path.stem, source_of(path), trial, folder)


def record_of(model: str, source: str, trial: Trial, folder: Path) -> Mapping[str, Any]:
    """Read the record of the fit of a model, by its name and text (`ModelFile.source`).

    Raises FitError where there is none, or it was made from other data, another model or another engine than at hand.
    """
    # Without a record, opening the fit says what is wrong with it.
    record = store.read_record(folder, model) or store.open_fit(folder, model).record
    made_from = record["inputs"]
    at_hand = store.inputs(trial.files, source, store.Settings(**made_from["settings"]))
    changed = [name for name, value in at_hand.items() if made_from[name] != value]
    if changed:
        raise store.FitError(
            f"{folder / model}: this fit was made with a different {' and '.join(changed)}; "
            "run `slopeshift fit` to refit"
        )
    return record


@lru_cache
def _opened(folder: Path, model: str, written: int, trial: Trial) -> Fit:
    """Open a fit once, however many readers it has, as it was written at that time, with what was left out of it."""
    return unpacked(store.open_fit(folder, model), trial)

"""The calibration of a folder of models: replicates, ranks, figures and page, each kept as soon as it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slopeshift.calibration.figures import rank_figure, save_figure
from slopeshift.calibration.job import CalibrationJob
from slopeshift.calibration.page import page
from slopeshift.calibration.record import ranks_of, save, stored
from slopeshift.calibration.uniformity import OUTSIDE, differences
from slopeshift.engine.exact import integrated_out
from slopeshift.keep.atomic import locked, replacing
from slopeshift.keep.replicates import replicates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from slopeshift.model.files import ModelFile
    from slopeshift.trial import Trial

RANKS, PLOTS, REPLICATES, PAGE = "ranks", "plots", "replicates", "README.md"


@dataclass(frozen=True)
class Counts:
    """How many trials are drawn: of models that integrate their coefficients out, and of those that sample them."""

    exact: int
    sampled: int

    def of(self, file: ModelFile, trial: Trial) -> int:
        """Say how many of a model."""
        return self.exact if integrated_out(file.build(trial)) else self.sampled


def run(
    trial: Trial,
    files: Sequence[ModelFile],
    counts: Counts,
    seed: int,
    folder: Path,
    *,
    say: Callable[[str], None],
    scheduler: str | None = None,
    processes: int | None = None,
    progress: bool = False,
) -> list[str]:
    """Calibrate models on the design of a trial, and write the folder's page.

    Models that are not for the trial are passed over, and said to be. Replicates that are done are kept
    in the folder, so that the same command goes on where it was stopped. Returns the models of the page that are not
    calibrated. Raises CalibrationError where a model that was fitted is not the one simulated from.
    """
    with locked(folder, say):
        for file in files:
            if why := file.misfit(trial):
                say(f"{file.name}: passed over, {why}")
                continue
            count = counts.of(file, trial)
            say(f"{file.name}: {count} trials from its prior")
            job = CalibrationJob(trial, file.name, file.source, seed)
            place = folder / REPLICATES
            rows = replicates(job, count, place, scheduler=scheduler, processes=processes, progress=progress)
            save(ranks_of(job, rows, file), folder / RANKS)
        return publish(folder)


def publish(folder: Path) -> list[str]:
    """Write figures and page of all ranks that a folder has; return the models that are not calibrated."""
    models, figures, failed = stored(folder / RANKS), {}, []
    for of in models:
        found = differences(of.mixed)
        figures[of.model] = f"{PLOTS}/{of.model}.svg"
        save_figure(rank_figure(found), folder / figures[of.model])
        if any(difference.verdict == OUTSIDE for difference in found.values()):
            failed.append(of.model)
    with replacing(folder / PAGE) as path:
        path.write_text(page(models, figures), encoding="utf-8")
    return failed

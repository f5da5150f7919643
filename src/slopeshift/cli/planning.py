"""The command `plan`: what designs of the next trial would show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slopeshift.cli.answers import input_errors, show_progress
from slopeshift.cli.fits import MODELS, Models

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slopeshift.model.files import ModelFile
    from slopeshift.planning.tables import Study

PLANS = Path("reports")


def plan(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="PLAN", help="File of the plan; slopeshift init --plan writes one.")],
    out: Annotated[Path | None, typer.Option(help="Folder to write. Default: reports/NAME of the file.")] = None,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler to refit on.")] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Processes to refit on. Default: one a core.")] = None,
    examples: Annotated[
        bool, typer.Option("--examples", help="Report three trials of each simulated scenario.")
    ] = False,
    models: Models = MODELS,
) -> None:
    """Plan the next trial: power, false alarms, sample size and looks of its designs, and a page on them."""
    from slopeshift.planning.study import run

    folder = PLANS / file.stem if out is None else out
    with input_errors(context):
        how = {"scheduler": scheduler, "processes": processes, "progress": show_progress()}
        written = run(file, models, folder, say=typer.echo, examples=_examples if examples else None, **how)  # type: ignore[arg-type]
    for path in written:
        typer.echo(f"wrote {path}")


def _examples(study: Study, files: Mapping[str, ModelFile], folder: Path) -> list[tuple[str, str]]:
    """Fit and report three trials of each job: name and link of every report."""
    from slopeshift.notebook import fit_model, write_report
    from slopeshift.planning.examples import DRAWS, EXAMPLES, TUNE, written
    from slopeshift.planning.simulated import jobs

    found = []
    for place, job in jobs(study, files):
        for replicate in range(EXAMPLES):
            trial = written(job, replicate, folder / "examples")
            typer.echo(f"{trial.name}: fitting and reporting an example")
            fit = fit_model(files[job.model], trial, seed=job.seed, draws=DRAWS, tune=TUNE)
            page = write_report([fit], folder / "examples" / f"{trial.name}-report")
            found.append((f"design {place}, {job.scenario.name}, {replicate + 1}", str(page.relative_to(folder))))
    return found

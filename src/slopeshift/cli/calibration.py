"""The command `calibrate`: are the models' posteriors those that their own priors imply?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slopeshift.cli.answers import GATE_FAILED, input_errors, show_progress
from slopeshift.cli.fits import MODELS, Models
from slopeshift.cli.kept import model_files

TRIAL, OUT = Path("data/synthetic-msc-als"), Path("validation/calibration")


def calibrate(
    context: typer.Context,
    trial: Annotated[Path, typer.Argument(metavar="TRIAL", help="Trial whose design is simulated.")] = TRIAL,
    model: Annotated[list[Path] | None, typer.Option(help="Model file; repeatable. Default: all of --models.")] = None,
    models: Models = MODELS,
    replicates: Annotated[int, typer.Option(min=20, help="Trials to draw from each model's prior and fit.")] = 1000,
    sampled: Annotated[
        int,
        typer.Option(min=20, help="The same, for models whose coefficients are sampled, which takes 20 times as long."),
    ] = 300,
    processes: Annotated[int | None, typer.Option(min=1, help="Processes. Default: one a core.")] = None,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler to work on.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of ranks, figures and page.")] = OUT,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random step.")] = 1,
) -> None:
    """Fit trials drawn from each model's own prior, and say whether the true values rank as they should."""
    from slopeshift.calibration.study import Counts, run
    from slopeshift.model.files import load_model
    from slopeshift.trial import read_trial

    with input_errors(context):
        read = read_trial(trial)
        files = [load_model(path) for path in model or model_files(models)]
        failed = run(
            read,
            files,
            Counts(replicates, sampled),
            seed,
            out,
            say=typer.echo,
            scheduler=scheduler,
            processes=processes,
            progress=show_progress(),
        )
    typer.echo(f"wrote {out / 'README.md'}")
    if failed:
        typer.echo(f"not calibrated: {', '.join(failed)}", err=True)
        raise typer.Exit(GATE_FAILED)

"""The command `sensitivity`."""

from __future__ import annotations

from typing import Annotated

import typer

from slopeshift.cli.answers import input_errors, show_progress
from slopeshift.cli.fits import FITS, MODELS, Fits, Models, TrialFolder
from slopeshift.cli.kept import SENSITIVITY, sensitivity_candidates


def sensitivity(
    context: typer.Context,
    trial: TrialFolder,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler to refit on.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random step.")] = 1,
    models: Models = MODELS,
    fits: Fits = FITS,
) -> None:
    """Show what moves the answer: other priors, values left out, values after leaving, bias."""
    from slopeshift.sensitivity.study import Options, run
    from slopeshift.trial import read_trial

    with input_errors(context):
        read = read_trial(trial)
        folder = fits / read.name
        found = sensitivity_candidates(read, models, folder, typer.echo)
        options = Options(seed, scheduler)
        written = run(read, found, options, folder / SENSITIVITY, say=typer.echo, progress=show_progress())
    for path in written:
        typer.echo(f"wrote {path}")

"""The commands on fits: `fit`, `report` and `null`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slopeshift.cli import made, said
from slopeshift.cli.answers import BAD_INPUT, GATE_FAILED, aside, input_errors, show_progress
from slopeshift.cli.fitting import Run
from slopeshift.cli.kept import model_files, null_candidates

MODELS, FITS, REPORTS = Path("models"), Path("fits"), Path("reports")

TrialFolder = Annotated[Path, typer.Argument(metavar="TRIAL", help="Folder with the trial's tables.")]
Models = Annotated[Path, typer.Option(help="Folder with the model files.")]
Fits = Annotated[Path, typer.Option(help="Folder that holds a folder of fits per trial.")]


def fit(
    context: typer.Context,
    trial: TrialFolder,
    model: Annotated[list[Path] | None, typer.Option(help="Model file; repeatable. Default: all of --models.")] = None,
    models: Models = MODELS,
    fits: Fits = FITS,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of every random step.")] = None,
    draws: Annotated[int | None, typer.Option(min=1, help="Posterior draws per chain.")] = None,
    tune: Annotated[int | None, typer.Option(min=1, help="Warm-up draws per chain.")] = None,
    chains: Annotated[int | None, typer.Option(min=1, help="Chains.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Sample even where the fit is up to date.")] = False,
) -> None:
    """Sample every model that is out of date, those that answer first, and hold the results to the diagnostics gate."""
    from slopeshift.fit.store import Settings
    from slopeshift.keep.atomic import locked
    from slopeshift.trial import read_trial

    given = {"seed": seed, "draws": draws, "tune": tune, "chains": chains}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})

    with input_errors(context):
        paths = model or model_files(models)
        read = read_trial(trial)
        run = Run(read, fits / read.name, settings, force)
        with locked(run.folder, typer.echo):
            status = run.all_of(paths, models) if model is None else run.brought_up_to_date(paths)
    if any(status):
        raise typer.Exit(BAD_INPUT if BAD_INPUT in status else GATE_FAILED)


def checks(context: typer.Context, trial: TrialFolder, models: Models = MODELS, fits: Fits = FITS) -> None:
    """Check whether the fits of a trial fit its data, where data, fit or checks have changed."""
    from slopeshift.trial import read_trial

    with input_errors(context):
        read = read_trial(trial)
        found, _ = made.answered_fits(model_files(models), read, fits / read.name, aside)
        unchecked = made.checks(found, fits / read.name, typer.echo)
    if unchecked:
        raise typer.Exit(BAD_INPUT)


def report(
    context: typer.Context,
    trial: TrialFolder,
    models: Models = MODELS,
    fits: Fits = FITS,
    out: Annotated[Path | None, typer.Option(help="Folder to write. Default: reports/<trial>.")] = None,
) -> None:
    """Write the report and its tables from what is kept of a trial's fits, checks and studies."""
    from slopeshift.report.page import write
    from slopeshift.trial import read_trial

    with input_errors(context):
        read = read_trial(trial)
        given = made.report(read, models, fits / read.name, aside)
        index = write(given, out or REPORTS / read.name)
    typer.echo(f"wrote {index}")
    if failed := [a.record["model"] for a in given.analyses if not a.passed]:
        typer.echo(f"diagnostics gate failed: {', '.join(failed)}; the report shows no effect of these", err=True)
        raise typer.Exit(GATE_FAILED)
    if any(record["status"] == "stale" for record in given.skipped):
        raise typer.Exit(BAD_INPUT)


def answer(
    context: typer.Context,
    trial: TrialFolder,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Model. Default: those that answer.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
    models: Models = MODELS,
    fits: Fits = FITS,
) -> None:
    """Print what the fits of a trial answer, after each injection, from the tables that are kept beside them."""
    from slopeshift.trial import read_trial

    with input_errors(context):
        read = read_trial(trial)
        found = made.stored_models(read, models, fits / read.name, model, aside)
    if as_json:
        typer.echo(said.as_json([tables["population"] for _, tables in found]))
    else:
        typer.echo(said.in_words(read, found))
    if not all(record["gate"]["passed"] for record, _ in found):
        raise typer.Exit(GATE_FAILED)


def null(
    context: typer.Context,
    trial: TrialFolder,
    published: Annotated[str | None, typer.Option(metavar="NAME", help="Published counts to set beside.")] = None,
    pseudo: Annotated[bool, typer.Option("--pseudo", help="Also move injections to where nothing happened.")] = False,
    replicates: Annotated[int, typer.Option(min=1, help="Null trials to analyse as the trial itself was.")] = 10_000,
    refits: Annotated[int, typer.Option(min=0, help="Null trials, and sets of pseudo-injections, to refit.")] = 200,
    lead_in: Annotated[str, typer.Option(help="least_squares, end_to_end or from_onset.")] = "least_squares",
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler to refit on.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random step.")] = 1,
    models: Models = MODELS,
    fits: Fits = FITS,
) -> None:
    """Show what the same trial would give had no injection changed anything."""
    from slopeshift.classical import Rules
    from slopeshift.null.study import Options, run
    from slopeshift.null.trials import NullError
    from slopeshift.published import names
    from slopeshift.trial import read_trial

    if published is not None and published not in names():
        raise typer.BadParameter(f"{published!r}; there are {', '.join(names())}", param_hint="--published")
    if pseudo and not refits:
        raise typer.BadParameter("it refits the models: give --refits 1 or more", param_hint="--pseudo")
    try:
        rules = Rules(lead_in)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--lead-in") from None
    options = Options(rules, replicates, refits, published, pseudo, scheduler, seed)
    with input_errors(context):
        read = read_trial(trial)
        if read.compares:
            raise NullError(
                f"trial {read.name}: it compares two arms, of which the control shows what chance and time give; the "
                "answer has a permutation test, and null trials of one group would say nothing of the difference"
            )
        candidates = null_candidates(read, models, fits / read.name)
        written = run(read, candidates, options, fits / read.name / "null", say=typer.echo, progress=show_progress())
    for path in written:
        typer.echo(f"wrote {path}")

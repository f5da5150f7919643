"""The command line: `slopeshift check | fit | report | simulate | import | export | init`. Only it knows folder names.

Exit status: 0 done, 1 bad input, 2 wrong usage, 3 a fit failed its diagnostics gate, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slopeshift.cli import formats, workspace
from slopeshift.cli.answers import (
    EXIT_STATUSES,
    GATE_FAILED,
    answer_json,
    counted,
    described,
    input_errors,
    listed,
    set_up,
)

if TYPE_CHECKING:
    from slopeshift.fit import Fit, Settings
    from slopeshift.trial import Trial

LISTED = 10
MODELS, FITS, REPORTS = Path("models"), Path("fits"), Path("reports")

app = typer.Typer(no_args_is_help=True, epilog=EXIT_STATUSES, pretty_exceptions_enable=False)

TrialFolder = Annotated[Path, typer.Argument(metavar="TRIAL", help="Folder with the trial's tables.")]
Models = Annotated[Path, typer.Option(help="Folder with the model files.")]
Fits = Annotated[Path, typer.Option(help="Folder that holds a folder of fits per trial.")]


app.command("import")(formats.import_source)
app.command()(formats.export)
app.command()(workspace.init)


@app.callback()
def main(
    context: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Did the slope change after each injection, by how much, for whom, and how sure can we be?"""
    set_up(context, quiet=quiet, debug=debug)


@app.command()
def check(
    context: typer.Context,
    trial: TrialFolder,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
) -> None:
    """Read a trial's tables and list everything that is wrong with them."""
    from slopeshift.trial import TrialError

    with input_errors(context):
        try:
            read = _read(trial)
        except TrialError as error:
            if as_json:
                answer_json({"trial": str(trial), "problems": listed(error.problems)})
            raise
    if as_json:
        answer_json({"trial": str(trial), **counted(read), "problems": []})
    else:
        typer.echo(f"{trial}: {described(read)}. Nothing wrong.")


@app.command()
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
    """Sample every model that is out of date, and hold the result to the diagnostics gate."""
    from slopeshift.fit import Settings

    given = {"seed": seed, "draws": draws, "tune": tune, "chains": chains}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    with input_errors(context):
        paths = model or _model_files(models)
        read = _read(trial)
        passed = [_fit_one(path, read, fits / read.name, settings, force) for path in paths]
    if not all(passed):
        raise typer.Exit(GATE_FAILED)


@app.command()
def report(
    context: typer.Context,
    trial: TrialFolder,
    models: Models = MODELS,
    fits: Fits = FITS,
    out: Annotated[Path | None, typer.Option(help="Folder to write. Default: reports/<trial>.")] = None,
) -> None:
    """Write the report and its tables from the fits of a trial."""
    from slopeshift import report as page

    with input_errors(context):
        read = _read(trial)
        found = [_current_fit(path, read, fits / read.name) for path in _model_files(models)]
        index = page.write(read, found, out or REPORTS / read.name)
    typer.echo(f"wrote {index}")
    failed = [
        fit.record["model"] for fit in found if fit.record["status"] == "sampled" and not fit.record["gate"]["passed"]
    ]
    if failed:
        typer.echo(f"diagnostics gate failed: {', '.join(failed)}; the report shows no effect of these", err=True)
        raise typer.Exit(GATE_FAILED)


@app.command()
def simulate(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder to write.")],
    seed: Annotated[int | None, typer.Option(min=0, help="Seed. Default: that of the committed trial.")] = None,
) -> None:
    """Write a synthetic trial of the default design, with the truth it was drawn from."""
    from slopeshift.simulate import DEFAULT_DESIGN, DEFAULT_SEED, DEFAULT_SETTINGS, DEFAULT_TRUTH, write
    from slopeshift.simulate import simulate as draw

    with input_errors(context):
        simulated = draw(DEFAULT_DESIGN, DEFAULT_TRUTH, DEFAULT_SEED if seed is None else seed)
        write(simulated, DEFAULT_SETTINGS, folder)
    typer.echo(f"wrote {folder}")


def _read(folder: Path) -> Trial:
    from slopeshift.trial import read_trial

    return read_trial(folder)


def _model_files(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("*.py"))
    if not paths:
        raise FileNotFoundError(f"{folder}: no model file (*.py) there; name the folder with --models")
    return paths


def _fit_one(path: Path, trial: Trial, folder: Path, settings: Settings, force: bool) -> bool:
    """Bring one fit up to date; say what was done; return whether its gate is passed."""
    from slopeshift import fit as fitting
    from slopeshift.model import file_sha256

    record: Mapping[str, Any] | None = fitting.read_record(folder, path.stem)
    if force or record is None or record["inputs"] != fitting.inputs(trial.files, file_sha256(path), settings):
        record = _sample(path, trial, folder, settings)
    else:
        typer.echo(f"{path.stem}: up to date")
        fitting.save_record(record, folder)
    if record["status"] == "skipped":
        typer.echo(f"{path.stem}: skipped, {record['reason']}")
        return True
    _print_failures(path.stem, record["gate"]["failures"])
    return bool(record["gate"]["passed"])


def _print_failures(model: str, failures: list[str]) -> None:
    for failure in failures[:LISTED]:
        typer.echo(f"{model}: GATE FAILED: {failure}", err=True)
    if len(failures) > LISTED:
        typer.echo(f"{model}: GATE FAILED: and {len(failures) - LISTED} more, listed in the report", err=True)


def _sample(path: Path, trial: Trial, folder: Path, settings: Settings) -> Mapping[str, Any]:
    from slopeshift import fit as fitting
    from slopeshift.model import load_model
    from slopeshift.results import results_of

    file = load_model(path)
    if file.outcome not in trial.outcomes:
        skipped = fitting.skipped(file, trial, settings)
        fitting.save_record(skipped.record, folder)
        return skipped.record
    typer.echo(f"{path.stem}: sampling {settings.chains} chains of {settings.tune} + {settings.draws} draws")
    fit = fitting.sample(file, trial, settings, progress=sys.stderr.isatty())
    fit = fitting.judged(fit, results_of(fit).failures)
    fitting.save(fit, folder)
    seconds = fit.record["seconds"]
    typer.echo(f"{path.stem}: done in {seconds['total']:.0f} s ({seconds['sample']:.1f} s of it sampling)")
    return fit.record


def _current_fit(path: Path, trial: Trial, folder: Path) -> Fit:
    """Open a fit for reporting; refuse one that was made from other data, another model or another engine."""
    from slopeshift import fit as fitting
    from slopeshift.model import file_sha256

    fit = fitting.open_fit(folder, path.stem)
    made_from = dict(fit.record["inputs"])
    at_hand = fitting.inputs(trial.files, file_sha256(path), fitting.Settings(**made_from["settings"]))
    changed = [name for name, value in at_hand.items() if made_from[name] != value]
    if changed:
        raise fitting.FitError(
            f"{folder / path.stem}: this fit was made from another {' and '.join(changed)} than at hand; "
            "make it anew with `slopeshift fit`"
        )
    return fit

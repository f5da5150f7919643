"""The command line, `slopeshift check | show | fit | answer | checks | report | null ...`, and folder names.

Exit status: 0 done, 1 bad input, 2 wrong usage, 3 a fit failed its diagnostics gate, 4 a fault of slopeshift itself,
130 interrupted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slopeshift.cli import calibration, doctor, fits, formats, models, planning, sensitivity, workspace
from slopeshift.cli.answers import (
    EXIT_STATUSES,
    Commands,
    answer_json,
    counted,
    described,
    input_errors,
    listed,
    notes_on,
    say_notes,
    set_up,
)

app = typer.Typer(cls=Commands, no_args_is_help=True, epilog=EXIT_STATUSES, pretty_exceptions_enable=False)

app.command()(fits.fit)
app.command()(fits.answer)
app.command()(fits.checks)
app.command()(fits.report)
app.command()(fits.null)
app.command()(sensitivity.sensitivity)
app.command()(planning.plan)
app.command()(calibration.calibrate)
app.command("import")(formats.import_source)
app.command()(formats.export)
app.command()(workspace.init)
app.command()(models.show)
app.command()(doctor.doctor)


@app.callback()
def main(
    context: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=doctor.print_versions, is_eager=True, help="Print the versions that decide a number."
        ),
    ] = False,
) -> None:
    """Did the slope change after each injection, by how much, for whom, and how sure can we be?"""
    set_up(context, quiet=quiet, debug=debug)


@app.command()
def check(
    context: typer.Context,
    trial: fits.TrialFolder,
    strict: Annotated[bool, typer.Option("--strict", help="Take notes for problems.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
) -> None:
    """Read a trial's tables; list everything that is wrong with them, and what is worth a look."""
    from slopeshift.trial import TrialError, read_trial

    with input_errors(context):
        try:
            read = read_trial(trial)
            notes = notes_on(read)
            if strict and len(notes):
                raise TrialError(read.name, notes)
        except TrialError as error:
            if as_json:
                answer_json({"trial": str(trial), "problems": listed(error.problems), "notes": []})
            raise
    if as_json:
        answer_json({"trial": str(trial), **counted(read), "problems": [], "notes": listed(notes)})
    else:
        typer.echo(f"{trial}: {described(read)}. Nothing wrong.")
        say_notes(notes)


@app.command()
def simulate(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder to write.")],
    seed: Annotated[int | None, typer.Option(min=0, help="Seed. Default: that of the committed trial.")] = None,
    arms: Annotated[bool, typer.Option("--arms", help="Two randomised arms, one with sham injections.")] = False,
) -> None:
    """Write a synthetic trial of the default design, with the truth it was drawn from."""
    from slopeshift.simulate import DEFAULT_DESIGN, DEFAULT_SEED, DEFAULT_SETTINGS, DEFAULT_TRUTH, write
    from slopeshift.simulate import arms as controlled
    from slopeshift.simulate import simulate as draw

    with input_errors(context):
        if arms:
            controlled.write_controlled(folder, controlled.SEED if seed is None else seed)
        else:
            simulated = draw(DEFAULT_DESIGN, DEFAULT_TRUTH, DEFAULT_SEED if seed is None else seed)
            write(simulated, DEFAULT_SETTINGS, folder)
    typer.echo(f"wrote {folder}")

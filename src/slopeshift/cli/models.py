"""The command on model files: `show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slopeshift.cli.answers import answer_json, input_errors


def show(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file.")],
    trial: Annotated[Path | None, typer.Option(help="Trial folder: show the priors as they are on this trial.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
) -> None:
    """Print a whole model: equations, family, and every prior with unit, reason and class of justification."""
    from slopeshift.model.described import described, text
    from slopeshift.model.files import load_model
    from slopeshift.model.stated import statement
    from slopeshift.trial import read_trial

    with input_errors(context):
        file = load_model(model)
        found = described(file, None if trial is None else statement(file.build(read_trial(trial))))
    if as_json:
        answer_json({"model": file.name, "outcome": file.outcome, **found})
    else:
        typer.echo(text(found), nl=False)

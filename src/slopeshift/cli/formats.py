"""The commands on formats: `import` and `export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slopeshift.cli.answers import BAD_INPUT, answer_json, counted, described, input_errors, listed, say_notes

if TYPE_CHECKING:
    from slopeshift.formats import Imported, Request


class Format(StrEnum):
    """The formats, by the names they have on the command line."""

    PROACT = "proact"
    SDTM = "sdtm"
    ADAM = "adam"
    REDCAP = "redcap"
    TABLE = "table"


Form = Annotated[Format, typer.Argument(metavar="FORMAT", help="proact, sdtm, adam, redcap or table.")]


def import_source(
    context: typer.Context,
    form: Form,
    source: Annotated[Path | None, typer.Argument(metavar="SOURCE", help="File or folder to read.")] = None,
    destination: Annotated[Path | None, typer.Argument(metavar="DEST", help="Folder to write.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="Mapping file (redcap, table) or code map (sdtm, adam).")] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Use the guessed mapping without looking at it.")] = False,
    write_codemap: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the code map to edit.")] = None,
    dates: Annotated[str, typer.Option(help="How days are written: iso, dmy, mdy or excel.")] = "iso",
    decimal: Annotated[str, typer.Option(help="How decimals are written: auto, point or comma.")] = "auto",
    sheet: Annotated[str | None, typer.Option(help="Sheet of a spreadsheet.")] = None,
    title: Annotated[str | None, typer.Option(help="Title of the trial. Default: the name of DEST.")] = None,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="The data are not of real patients.")] = False,
    pseudonymise: Annotated[Path | None, typer.Option(metavar="KEYFILE", help="Replace names, by this key.")] = None,
    drop_identifiers: Annotated[
        bool, typer.Option("--drop-identifiers", help="Leave identifying columns out.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an earlier import.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
) -> None:
    """Turn somebody else's tables into a trial, with a line for every source row in import.log."""
    if write_codemap is not None:
        _write_codemap(form.value, write_codemap)
        return
    if source is None or destination is None:
        raise typer.BadParameter("give SOURCE and DEST", param_hint="import")
    from slopeshift.formats import Notation, Request

    try:
        notation = Notation(dates, decimal)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    request = Request(
        form.value,
        source,
        destination,
        notation,
        mapping,
        accept,
        sheet,
        title,
        synthetic,
        drop_identifiers,
        pseudonymise,
        replace,
    )
    with input_errors(context):
        done = _imported(request, as_json)
    if as_json:
        counts = done.ledger.dropna(subset="row")["fate"].value_counts()
        answer = {"trial": str(destination), **counted(done.trial), "rows": counts.to_dict()}
        answer_json(answer | {"left_out": done.reasons, "problems": [], "notes": listed(done.notes)})
    else:
        _say(done, destination)


def _imported(request: Request, as_json: bool) -> Imported:
    from slopeshift.formats import UnconfirmedError, import_trial
    from slopeshift.trial import TrialError

    try:
        return import_trial(request)
    except UnconfirmedError as guess:
        file = request.destination.with_name(f"{request.destination.name}-mapping.yaml")
        _confirm(file, guess.text, request)
        raise typer.Exit(BAD_INPUT) from None
    except TrialError as error:
        if as_json:
            said = {"left_out": getattr(error, "reasons", ()), "problems": listed(error.problems)}
            answer_json({"trial": str(request.destination), **said})
        raise


def _confirm(file: Path, text: str, request: Request) -> None:
    if file.exists():
        typer.echo(f"{file} is there already: give it with --mapping, or move it away for a new guess", err=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    typer.echo(text)
    typer.echo(
        f"Nothing was imported. The mapping above was guessed and written to {file}: correct it, then\n"
        f"  slopeshift import {request.format} {request.source} {request.destination} --mapping {file}",
        err=True,
    )


def _say(done: Imported, destination: Path) -> None:
    rows = done.ledger.dropna(subset="row")
    used = (rows["fate"] == "used").sum()
    typer.echo(f"{destination}: {described(done.trial)}.")
    typer.echo(f"{used} of {len(rows)} source rows used; {destination}/import.log has a line for each.")
    for reason in done.reasons:
        typer.echo(f"  {reason}")
    say_notes(done.notes)


def _write_codemap(form: str, file: Path) -> None:
    from slopeshift.formats import codemap

    if form not in ("sdtm", "adam"):
        raise typer.BadParameter(f"{form} has no codes to map; sdtm and adam have", param_hint="--write-codemap")
    if file.exists():
        typer.echo(f"{file}: there already; nothing was written", err=True)
        raise typer.Exit(BAD_INPUT)
    file.write_text(codemap.default_text(form), encoding="utf-8")
    typer.echo(f"wrote {file}: edit it, then give it with --mapping")


def export(
    context: typer.Context,
    form: Form,
    trial: Annotated[Path, typer.Argument(metavar="TRIAL", help="Folder with the trial's tables.")],
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="Folder to write.")],
) -> None:
    """Write a trial in a format it could have come in: an example of that format."""
    with input_errors(context):
        from slopeshift.formats.export import export_trial

        left_out = export_trial(form.value, trial, destination)
    typer.echo(f"wrote {destination}")
    if left_out:
        typer.echo(f"{form.value} has no place for {', '.join(left_out)}")

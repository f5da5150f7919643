"""How a command answers: exit statuses, errors in words, and what a script can read."""

from __future__ import annotations

import io
import json
import platform
import sys
import traceback
from contextlib import contextmanager, redirect_stdout
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from slopeshift.trial import Trial

BAD_INPUT, GATE_FAILED, FAULT, INTERRUPTED = 1, 3, 4, 130
EXIT_STATUSES = (
    "Exit status: 0 done, 1 bad input, 2 wrong usage, 3 a fit failed its diagnostics gate, "
    "4 a fault of slopeshift itself, 130 interrupted."
)
PACKAGE = Path(__file__).parents[1]


class Commands(TyperGroup):
    """The commands, none of which ends in a traceback: an error that nobody foresaw is one line and a status."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; say of an unforeseen error what happened, where, and how to report it."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            # Wrong usage and statuses of exit are raised too; they say themselves how they end.
            if hasattr(error, "exit_code") or isinstance(error, typer.Abort) or (ctx.obj or {}).get("debug"):
                raise
            typer.echo(fault(error), err=True)
            raise typer.Exit(FAULT) from None


def fault(error: Exception) -> str:
    """Say in one line what happened, in which line of the package, and what a report of it needs."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE)] or frames
    where = f"{Path(own[-1].filename).name}, line {own[-1].lineno}" if own else "an unknown place"
    what = " ".join(f"{type(error).__name__}: {error}".split())
    versions = f"slopeshift {metadata.version('slopeshift')}, Python {platform.python_version()}"
    return (
        f"slopeshift failed: {what[:LONGEST_FAULT]} ({where}; {versions}). The fault is not in your data alone: report "
        "this line with the command, and what --debug before the command prints."
    )


LONGEST_FAULT = 300
"""Characters of an error's own text that are shown."""


class Silence(io.StringIO):
    """Where the words of a quiet run go."""


def show_progress() -> bool:
    """Say whether to draw how far a long step has come: in a terminal, and not where --quiet was asked for."""
    return sys.stderr.isatty() and not isinstance(sys.stdout, Silence)


def set_up(context: typer.Context, *, quiet: bool, debug: bool) -> None:
    """Let the commands of a run say nothing but errors, or show where an error came from; find caches a place."""
    from slopeshift.keep.caches import use_writable

    context.obj = {"debug": debug}
    for line in use_writable():
        typer.echo(line, err=True)
    if quiet:
        context.with_resource(redirect_stdout(Silence()))


@contextmanager
def input_errors(context: typer.Context | None = None) -> Iterator[None]:
    """Answer what is wrong with the input by its text and an exit status; by a traceback only with --debug."""
    from slopeshift.calibration import CalibrationError
    from slopeshift.design.covariates import CovariateError
    from slopeshift.fit.compiled import RefitError
    from slopeshift.fit.store import FitError
    from slopeshift.keep.processes import WorkError
    from slopeshift.model.files import ModelError
    from slopeshift.null.trials import NullError
    from slopeshift.planning.plan import PlanError
    from slopeshift.trial import TrialError

    try:
        yield
    except (
        *(
            TrialError,
            ModelError,
            CovariateError,
            FitError,
            NullError,
            RefitError,
            CalibrationError,
            WorkError,
            PlanError,
        ),
        OSError,
    ) as error:
        if context is not None and (context.find_root().obj or {}).get("debug"):
            raise
        typer.echo(error, err=True)
        raise typer.Exit(BAD_INPUT) from None
    except KeyboardInterrupt:
        typer.echo("interrupted; the fits made before are kept", err=True)
        raise typer.Exit(INTERRUPTED) from None


def aside(words: str) -> None:
    """Say on the side what is not shown, where a script that reads the output does not see it."""
    typer.echo(words, err=True)


def counted(trial: Trial) -> dict[str, int]:
    """Count what a trial holds."""
    tables = {name: len(getattr(trial, name)) for name in ("patients", "visits", "injections", "events")}
    return tables | {name: int(trial.visits[name].count()) for name in trial.outcomes}


def described(trial: Trial) -> str:
    """Say what a trial holds."""
    counts = {name: len(getattr(trial, name)) for name in ("patients", "visits", "injections", "events")}
    values = ", ".join(f"{trial.visits[name].count()} {outcome.label}" for name, outcome in trial.outcomes.items())
    return ", ".join(f"{n} {name}" for name, n in counts.items()) + f"; values: {values}"


def notes_on(trial: Trial) -> pd.DataFrame:
    """List what is allowed in a trial and worth a look, an entry rule that may not have been stated among it."""
    import pandas as pd

    from slopeshift.classical.losses import smallest_loss
    from slopeshift.design.visits import visits_of
    from slopeshift.report.words.entry import asked, seen
    from slopeshift.trial.columns import Problem, as_frame
    from slopeshift.trial.keys import FILE

    unstated = [o for o in trial.outcomes.values() if not any(rule.outcome == o.name for rule in trial.entry)]
    losses = [(outcome, smallest_loss(visits_of(trial, outcome.name))) for outcome in unstated]
    found = [
        Problem(FILE, None, "entry", seen(outcome, least.patients, least.loss), asked(outcome, least.loss))
        for outcome, least in losses
        if least.suspicious
    ]
    return pd.concat([trial.notes, as_frame(found)], ignore_index=True) if found else trial.notes


def say_notes(notes: pd.DataFrame) -> None:
    """Print what is allowed in a trial and worth a look, if anything."""
    from slopeshift.trial import as_table

    if len(notes):
        typer.echo(f"Allowed, and worth a look:\n\n{as_table(notes)}")


def answer_json(content: Mapping[str, Any]) -> None:
    """Print an answer for a script."""
    typer.echo(json.dumps(content, indent=1, ensure_ascii=False, default=str))


def listed(problems: pd.DataFrame) -> list[dict[str, Any]]:
    """Return problems as records, with nothing where there is no row or column."""
    table = problems.astype(object)
    return [
        {str(key): value for key, value in line.items()}
        for line in table.where(problems.notna(), None).to_dict("records")
    ]

"""Tables in a folder beside the fit that they were made from: written, and read where that is still so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slopeshift.keep.made_from import code

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import Any

    import pandas as pd

    from slopeshift.fit.store import Fit
    from slopeshift.trial import Trial

    Tables = Mapping[str, pd.DataFrame]

ANSWERS = "answers"
"""The folder, beside the fits of a trial, of every model's answers."""


def judged(fit: Fit, tables: Tables) -> Fit:
    """Add the gate's verdict on a fit to its record, by its tables (`stored.tables_of`)."""
    from slopeshift.answers.convergence import failures
    from slopeshift.fit import store

    return store.judged(fit, failures(tables["diagnostics"]))


def save(trial: Trial, fit: Fit, tables: Tables, folder: Path) -> None:
    """Store a fit that was judged, without what can be made again, and its tables beside it.

    `folder` is that of the trial's fits.
    """
    from slopeshift.fit import store
    from slopeshift.fit.packed import packed

    store.save(packed(fit, trial), folder)
    write(tables, made_from(fit.record, "answers.stored"), folder / ANSWERS / fit.record["model"])


def stored_answers(record: Mapping[str, Any], folder: Path) -> Tables | None:
    """Read the tables of a fit's answers; None where they are missing or were made from something else."""
    from slopeshift.answers.stored import NAMES

    return read(folder / ANSWERS / record["model"], NAMES, made_from(record, "answers.stored"))


def made_from(record: Mapping[str, Any], module: str) -> dict[str, Any]:
    """Say what tables are made from that a module makes of the fit with this record."""
    return {"fit": record["inputs"], "code": code(module)}


def read(folder: Path, names: Iterable[str], made_from: Mapping[str, Any]) -> Tables | None:
    """Read tables of a folder by name; None where one of them is missing or was made from something else."""
    from slopeshift.keep.tables import current

    found, _ = current(folder, lambda _: made_from)
    return {name: found[name] for name in names} if set(names) <= set(found) else None


def write(tables: Tables, made_from: Mapping[str, Any], folder: Path) -> None:
    """Write tables into a folder, each whole or not at all, with what they were made from."""
    from slopeshift.keep.tables import save

    for name, table in tables.items():
        save(name, table, made_from, folder)

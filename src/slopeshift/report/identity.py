"""What a report is about and what it was made from: the study, its files, programs, seeds and times."""

from __future__ import annotations

import json
import platform
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING

from slopeshift.report.wording import Table, counted, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import pandas as pd

    from slopeshift.report.analysis import Analysis
    from slopeshift.trial import Trial

SHORT = 12
"""Digits of a hash that are printed where the whole stands elsewhere in the page."""


def study(trial: Trial, analyses: Sequence[Analysis]) -> Table:
    """Print what the report is about, and what it rests on."""
    patients, visits = len(trial.patients), len(trial.visits)
    injections = len(trial.injections)
    rows = [
        ["Study", trial.title],
        ["Trial folder", trial.name],
        ["Data", "SYNTHETIC: no patient is real" if trial.synthetic else "said to be of real patients"],
        ["Source", trial.source],
        ["Size", listed([counted(patients, "patient"), counted(visits, "visit"), counted(injections, "injection")])],
        ["Outcomes", listed([f"{o.label} ({o.unit})" for o in trial.outcomes.values()])],
        ["Pre-specified or exploratory", "not stated: the settings of a trial have no place for it"],
        ["SHA-256 of the data", digest(trial.files)],
        ["slopeshift", version("slopeshift")],
        ["Seeds", listed(sorted({str(a.record["inputs"]["settings"].get("seed", "–")) for a in analyses}))],
        ["Fits", listed([_made(a) for a in analyses]) or "none"],
    ]
    return Table("Study, data and programs", "ll", ["Item", "Value"], rows)


def digest(contents: Mapping[str, Any]) -> str:
    """Hash named contents in the order of their names; words where there is nothing to hash."""
    if not contents:
        return "none: made in memory"
    return sha256(json.dumps(dict(sorted(contents.items()))).encode()).hexdigest()


def models(analyses: Sequence[Analysis]) -> Table:
    """Print by model what was made, when, in how long, and from which text and settings."""
    rows = []
    for analysis in analyses:
        record = analysis.record
        made = record["inputs"]
        rows.append(
            [
                f"{record['model']}.py",
                analysis.visits.outcome.label,
                "passed" if analysis.passed else "FAILED",
                str(record["created"]),
                f"{record['seconds'].get('total', float('nan')):.0f} s",
                made["model"][:SHORT],
                digest(made["settings"])[:SHORT],
            ]
        )
    columns = ["Model file", "Outcome", "Gate", "Sampled (UTC)", "Wall time", "SHA-256 of the file", "of the settings"]
    return Table("Fits of this report; hashes are cut to 12 digits, whole under the gate", "llllrll", columns, rows)


def commands(trial: Trial, analyses: Sequence[Analysis], study: Mapping[str, pd.DataFrame]) -> list[str]:
    """Write the commands that make the fits, the null study and this report again, from the folder of the workspace."""
    lines = [f"slopeshift check data/{trial.name}"]
    lines += [f"slopeshift fit data/{trial.name} --model models/{a.record['model']}.py{_options(a)}" for a in analyses]
    if study:
        lines.append(f"slopeshift null data/{trial.name}{_of_study(study)}")
    return [*lines, f"slopeshift report data/{trial.name}"]


def _of_study(study: Mapping[str, pd.DataFrame]) -> str:
    """Write the options that a null study was made with, as far as its tables tell."""
    counts = (("replicates", "null_reference", "n_trials"), ("refits", "null_refits", "n_refits"))
    options = [f" --{name} {study[table][column].max():.0f}" for name, table, column in counts if table in study]
    if "published_claim" in study:
        options.append(" --published petrou2021")
    return "".join(options) + (" --pseudo" if "pseudo_injection" in study else "")


def files(tables: Mapping[str, pd.DataFrame]) -> Table:
    """Print which files travel with the page, and how many rows each has."""
    rows = [
        [f"tables/{name}.csv", f"{len(table):,}", listed(list(map(str, table.columns[:6])))]
        for name, table in tables.items()
    ]
    return Table("Tables beside this page, six digits", "lrl", ["File", "Rows", "First columns"], rows)


def environment(analyses: Sequence[Analysis]) -> Table:
    """Print the versions that the fits were sampled with, and where; fits that agree share a row."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for analysis in analyses:
        record = analysis.record
        versions = "; ".join(f"{name} {number}" for name, number in record["versions"].items())
        found.setdefault((versions, str(record["platform"]), str(record["inputs"]["engine"])), []).append(
            record["model"]
        )
    rows = [[listed(names), *what] for what, names in found.items()]
    rows.append(["this page", f"python {platform.python_version()}; slopeshift {version('slopeshift')}", "", ""])
    return Table("Environment", "llll", ["Model", "Versions", "Platform", "SHA-256 of the engine"], rows)


def _made(analysis: Analysis) -> str:
    settings = analysis.record["inputs"]["settings"]
    drawn = (
        f"{settings['chains']} × {settings['draws']} draws"
        if {"chains", "draws"} <= set(settings)
        else "draws not stated"
    )
    return f"{analysis.record['model']} ({drawn})"


def _options(analysis: Analysis) -> str:
    settings = analysis.record["inputs"]["settings"]
    return "".join(f" --{name} {settings[name]}" for name in ("seed", "draws", "tune", "chains") if name in settings)

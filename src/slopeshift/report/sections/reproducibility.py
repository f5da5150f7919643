"""How to make a report again: commands, programs, and the files that travel with the page."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from slopeshift.report.analysis import Analysis, Around, Report, Tables
from slopeshift.report.words.numbers import Table, listed
from slopeshift.trial import Trial


def commands(trial: Trial, analyses: Sequence[Analysis], study: Tables) -> list[str]:
    """Write the commands that make the fits, the null study and this report again, from the folder of the workspace."""
    lines = [f"slopeshift check data/{trial.name}"]
    lines += [f"slopeshift fit data/{trial.name} --model models/{a.record['model']}.py{_options(a)}" for a in analyses]
    lines.append(f"slopeshift checks data/{trial.name}")
    if study:
        lines.append(f"slopeshift null data/{trial.name}{_of_study(study)}")
    return [*lines, f"slopeshift report data/{trial.name}"]


def _of_study(study: Tables) -> str:
    """Write the options that a null study was made with, as far as its tables tell."""
    counts = (("replicates", "null_reference", "n_trials"), ("refits", "null_refits", "n_refits"))
    options = [f" --{name} {study[table][column].max():.0f}" for name, table, column in counts if table in study]
    if "published_claim" in study:
        options.append(" --published petrou2021")
    return "".join(options) + (" --pseudo" if "pseudo_injection" in study else "")


def files(tables: Tables) -> Table:
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


def _options(analysis: Analysis) -> str:
    settings = analysis.record["inputs"]["settings"]
    return "".join(f" --{name} {settings[name]}" for name in ("seed", "draws", "tune", "chains") if name in settings)


def context(report: Report, page: Around) -> dict[str, Any]:
    """Show how to make the fits and this page again, and which files travel with it."""
    return {
        "commands": commands(report.trial, report.analyses, report.study),
        "environment": environment(report.analyses) if report.analyses else None,
        "files": files(page.tables),
    }

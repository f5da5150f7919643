"""What a report is about and what it was made from: the study, its fits, seeds and times."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from typing import Any

from slopeshift.report.analysis import Analysis, Report
from slopeshift.report.words.numbers import Table, counted, listed
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


def _made(analysis: Analysis) -> str:
    settings = analysis.record["inputs"]["settings"]
    drawn = (
        f"{settings['chains']} × {settings['draws']} draws"
        if {"chains", "draws"} <= set(settings)
        else "draws not stated"
    )
    return f"{analysis.record['model']} ({drawn})"


def context(report: Report) -> dict[str, Any]:
    """Show what the report is about, and the fits that it is made of."""
    fits = models(report.analyses) if report.analyses else None
    return {"study_table": study(report.trial, report.analyses), "shown": fits}

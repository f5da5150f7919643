"""What the one-page summary says below the answer: what it rests on."""

from __future__ import annotations

from typing import Any

from slopeshift.report.analysis import Report
from slopeshift.report.sections.data import steps
from slopeshift.report.sections.identity import digest
from slopeshift.report.words.numbers import counted


def context(report: Report) -> dict[str, Any]:
    """Count what the answer rests on, and name the data by their hash."""
    sizes = [("patients", "patient"), ("visits", "visit"), ("injections", "injection")]
    return {
        "size": ", ".join(counted(len(getattr(report.trial, name)), noun) for name, noun in sizes),
        "steps": steps(report.trial),
        "digest": digest(report.trial.files)[:16],
    }

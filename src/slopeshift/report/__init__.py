"""The report of a trial: one self-contained page, and the tables behind it as CSV files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.atomic import replacing
from slopeshift.report import analysis, flow, glossary, limitations, pictures, sections, wording
from slopeshift.report.analysis import analyse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from slopeshift.fit import Fit
    from slopeshift.report.analysis import Analysis
    from slopeshift.trial import Trial

TABLES = ("population", "patients", "responders", "diagnostics", "change_curve")

_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def write(trial: Trial, fits: Sequence[Fit], folder: Path) -> Path:
    """Write `index.html` and `tables/*.csv` into `folder`, each whole or not at all; return the path of the page.

    `fits` are the trial's fits in the order of the page; of a model that was skipped, only the record is looked at. A
    fit that failed its gate is reported by its diagnostics alone. The same input gives the same bytes.
    """
    sampled = [fit for fit in fits if fit.record["status"] != "skipped"]
    skipped = [fit.record for fit in fits if fit.record["status"] == "skipped"]
    analyses = [analyse(trial, fit, f"m{number}") for number, fit in enumerate(sampled, 1)]
    for name in TABLES:
        with replacing(folder / "tables" / f"{name}.csv") as path:
            path.write_text(csv(table(analyses, name)), encoding="utf-8", newline="")
    index = folder / "index.html"
    with replacing(index) as path:
        path.write_text(page(trial, analyses, skipped), encoding="utf-8", newline="")
    return index


def table(analyses: Sequence[Analysis], name: str) -> pd.DataFrame:
    """Put the rows of one table of all models under each other."""
    tables = [getattr(each.results, name) for each in analyses]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["model", "outcome"])


def csv(frame: pd.DataFrame) -> str:
    """Write a table as CSV, six significant digits; text that a spreadsheet would run gets an apostrophe in front."""
    safe = frame.assign(**{name: frame[name].map(_inert) for name in frame.select_dtypes(["object", "string"])})
    return str(safe.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def page(trial: Trial, analyses: Sequence[Analysis], skipped: Sequence[object]) -> str:
    """Write the page; `skipped` are the records of the models that do not apply to the trial."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("slopeshift.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "analysis": analysis,
        "flow": flow,
        "glossary": glossary,
        "limitations": limitations,
        "pictures": pictures,
        "sections": sections,
        "wording": wording,
    }
    template = environment.get_template("report.html.j2")
    return _typeset(template.render(trial=trial, analyses=analyses, skipped=skipped))


def _typeset(html: str) -> str:
    """Keep numbers and their percent signs on one line, but for preformatted text."""
    parts = re.split(r"(<pre.*?</pre>)", html, flags=re.DOTALL)
    return "".join(part if i % 2 else re.sub(r"(?<=\d) (?=%)", "\u00a0", part) for i, part in enumerate(parts))


def _inert(cell: object) -> object:
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return "'" + cell
    return cell

"""The report of a trial: one self-contained page, and the tables behind it as CSV files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.atomic import replacing
from slopeshift.classical import model_free
from slopeshift.missing.departures import departures
from slopeshift.model import leading
from slopeshift.report import (
    analysis,
    chance,
    check_section,
    flow,
    glossary,
    interval_section,
    limitations,
    missing_section,
    own_analysis,
    pictures,
    sections,
    sensitivity_section,
    sensitivity_words,
    wording,
)
from slopeshift.report.analysis import analyse
from slopeshift.safety import safety_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slopeshift.checks import Checks
    from slopeshift.fit import Fit
    from slopeshift.report.analysis import Analysis
    from slopeshift.trial import Trial

OF_A_FIT = ("population", "patients", "responders", "diagnostics", "change_curve")
STUDY = ("null_reference", "null_refits", "pseudo_injection", "published_claim")
"""Tables of the null study that are published with the report; its others are for figures."""

VARIED = ("sensitivity_tipping", "sensitivity_curves", "dropout_tipping", "waning")
"""Tables of the sensitivity study, besides its first, that are published with the report."""

_FORMULA = re.compile(r"[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def write(
    trial: Trial,
    fits: Sequence[Fit],
    folder: Path,
    study: Mapping[str, pd.DataFrame] | None = None,
    second_stage: pd.DataFrame | None = None,
    varied: Mapping[str, pd.DataFrame] | None = None,
) -> Path:
    """Write `index.html` and `tables/*.csv` into `folder`, each whole or not at all; return the path of the page.

    `fits` are the trial's fits, of which those that answer the question come first; of a model that was skipped, only
    the record is looked at. A fit that failed its gate is reported by its diagnostics alone. `study` are the tables of
    the null study of the trial, by name, `second_stage` the rows of the two-stage regression, and `varied` the tables of
    the sensitivity study, where there are any.
    The same input gives the same bytes.
    """
    first = leading({fit.record["model"]: fit.record["outcome"] for fit in fits})
    sampled = sorted(
        (fit for fit in fits if fit.record["status"] != "skipped"), key=lambda fit: fit.record["model"] not in first
    )
    skipped = [fit.record for fit in fits if fit.record["status"] == "skipped"]
    analyses = [analyse(trial, fit, f"m{number}") for number, fit in enumerate(sampled, 1)]
    checked = check_section.checked(analyses)
    tables = {name: table(analyses, name) for name in OF_A_FIT} | {
        "interval": interval_section.table(analyses, second_stage),
        "classical": model_free(trial),
        "safety": safety_table(trial),
        **check_section.tables(analyses, checked),
        **{name: study[name] for name in STUDY if study and name in study},
        "sensitivity": sensitivity_section.table(analyses, study or {}, varied or {}),
        "missing": departures(trial),
        **{name: varied[name] for name in VARIED if varied and name in varied},
    }
    for name, content in tables.items():
        with replacing(folder / "tables" / f"{name}.csv") as path:
            path.write_text(csv(content), encoding="utf-8", newline="")
    index = folder / "index.html"
    with replacing(index) as path:
        path.write_text(
            page(trial, analyses, skipped, tables, study or {}, checked, varied or {}), encoding="utf-8", newline=""
        )
    return index


def table(analyses: Sequence[Analysis], name: str) -> pd.DataFrame:
    """Put the rows of one table of all models under each other."""
    tables = [getattr(each.results, name) for each in analyses]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["model", "outcome"])


def csv(frame: pd.DataFrame) -> str:
    """Write a table as CSV, six significant digits; text that a spreadsheet would run gets an apostrophe in front."""
    safe = frame.assign(**{name: frame[name].map(_inert) for name in frame.select_dtypes(["object", "string"])})
    return str(safe.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def page(
    trial: Trial,
    analyses: Sequence[Analysis],
    skipped: Sequence[object],
    tables: Mapping[str, pd.DataFrame],
    study: Mapping[str, pd.DataFrame],
    checked: Mapping[str, Checks],
    varied: Mapping[str, pd.DataFrame],
) -> str:
    """Write the page; `skipped` are the records of the models that do not apply to the trial.

    `checked` are the checks of the fits that passed their gate, by the short name of the analysis.
    """
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
        "chance": chance,
        "check_section": check_section,
        "flow": flow,
        "glossary": glossary,
        "interval_section": interval_section,
        "limitations": limitations,
        "missing_section": missing_section,
        "own_analysis": own_analysis,
        "pictures": pictures,
        "sections": sections,
        "sensitivity_section": sensitivity_section,
        "sensitivity_words": sensitivity_words,
        "wording": wording,
    }
    template = environment.get_template("report.html.j2")
    context = {"trial": trial, "analyses": analyses, "skipped": skipped, "tables": tables, "study": study}
    context |= {"checked": checked, "varied": varied}
    return _typeset(template.render(context))


def _typeset(html: str) -> str:
    """Keep numbers and their percent signs on one line, but for preformatted text."""
    parts = re.split(r"(<pre.*?</pre>)", html, flags=re.DOTALL)
    return "".join(part if i % 2 else re.sub(r"(?<=\d) (?=%)", "\u00a0", part) for i, part in enumerate(parts))


def _inert(cell: object) -> object:
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return "'" + cell
    return cell

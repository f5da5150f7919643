"""The report of a trial: one self-contained page, and its tables and figures as files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift.answers import covariates
from slopeshift.answers.safety import safety_table
from slopeshift.classical import model_free
from slopeshift.keep.atomic import replacing
from slopeshift.missing.departures import departures
from slopeshift.model.files import leading
from slopeshift.report import (
    analysis,
    answer,
    chance,
    check_section,
    contents,
    covariate_section,
    crosswalk,
    data_checks,
    estimand,
    files,
    flow,
    flow_figures,
    glossary,
    identity,
    interval_section,
    limitations,
    missing_section,
    own_analysis,
    patient_view,
    pictures,
    prior_table,
    sampling,
    sections,
    sensitivity_section,
    sensitivity_words,
    wording,
)
from slopeshift.report.analysis import analyse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from slopeshift.checks import Checks
    from slopeshift.fit.store import Fit
    from slopeshift.report.analysis import Analysis
    from slopeshift.report.pictures import Picture
    from slopeshift.trial import Trial

OF_A_FIT = ("population", "patients", "responders", "diagnostics", "change_curve")
STUDY = ("null_reference", "null_refits", "pseudo_injection", "published_claim")
"""Tables of the null study that are published with the report; its others are for figures."""

VARIED = ("sensitivity_tipping", "sensitivity_curves", "dropout_tipping", "waning")
"""Tables of the sensitivity study, besides its first, that are published with the report."""

PAGE, SUMMARY = "report.html.j2", "summary.html.j2"
"""Templates of the page, and of the one that prints on one sheet."""

_MODULES = (
    *(
        analysis,
        answer,
        chance,
        check_section,
        contents,
        covariate_section,
        crosswalk,
        data_checks,
        estimand,
        flow,
        flow_figures,
        glossary,
        identity,
    ),
    *(interval_section, limitations, missing_section, own_analysis, patient_view, pictures, prior_table, sampling),
    *(sections, sensitivity_section, sensitivity_words, wording),
)
"""What templates may call, by the module's name."""


@dataclass(frozen=True)
class Report:
    """What a page is written from.

    `skipped` are the records of the models that do not apply to the trial, `study` the tables of the null study by
    name, `checked` the checks of the fits that passed their gate by the short name of the analysis, and `varied` the
    tables of the sensitivity study by name.
    """

    trial: Trial
    analyses: Sequence[Analysis]
    skipped: Sequence[Mapping[str, Any]]
    tables: Mapping[str, pd.DataFrame]
    study: Mapping[str, pd.DataFrame]
    checked: Mapping[str, Checks]
    varied: Mapping[str, pd.DataFrame]


def write(
    trial: Trial,
    fits: Sequence[Fit],
    folder: Path,
    study: Mapping[str, pd.DataFrame] | None = None,
    second_stage: pd.DataFrame | None = None,
    varied: Mapping[str, pd.DataFrame] | None = None,
    *,
    figures: bool = True,
) -> Path:
    """Write a report into `folder`, each file whole or not at all, the page last; return the path of the page.

    Written are `index.html`, its first screen on one sheet as `summary.html`, every table as `tables/NAME.csv` and in
    `tables.xlsx`, and every figure of the page as `figures/NAME.svg` and `figures/NAME.png` unless `figures` is False.
    What an earlier report left there is deleted.

    `fits` are the trial's fits, of which those that answer the question come first; of a model that was skipped, only
    the record is looked at. A fit that failed its gate is reported by its diagnostics alone. `study` are the tables of
    the null study of the trial, by name, `second_stage` the rows of the two-stage regression, and `varied` the tables
    of the sensitivity study, where there are any. The same input gives the same bytes.
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
        "covariates": covariates.table([each.posterior for each in analyses]),
        "classical": model_free(trial),
        "safety": safety_table(trial),
        **check_section.tables(analyses, checked),
        **{name: study[name] for name in STUDY if study and name in study},
        "sensitivity": sensitivity_section.table(analyses, study or {}, varied or {}),
        "missing": departures(trial),
        **{name: varied[name] for name in VARIED if varied and name in varied},
    }
    written = Report(trial, analyses, skipped, tables, study or {}, checked, varied or {})
    shown: list[Picture] = []
    html, short = page(written, shown), page(written, [], SUMMARY)
    drawn = files.figure_table(shown if figures else [], {each.anchor: each.record["model"] for each in analyses})
    files.write_tables(trial, tables | {"figures": drawn}, folder)
    files.write_figures(trial, shown if figures else [], list(drawn["file"]), folder)
    with replacing(folder / "summary.html") as path:
        path.write_text(_of_the_page(short), encoding="utf-8", newline="")
    index = folder / "index.html"
    with replacing(index) as path:
        path.write_text(html, encoding="utf-8", newline="")
    return index


def table(analyses: Sequence[Analysis], name: str) -> pd.DataFrame:
    """Put the rows of one table of all models under each other."""
    tables = [getattr(each.results, name) for each in analyses]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["model", "outcome"])


def page(report: Report, shown: list[Picture], template: str = PAGE) -> str:
    """Write the page, or what else `template` makes of the same.

    The figures of the page are added to `shown`, in its order.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("slopeshift.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {module.__name__.rpartition(".")[2]: module for module in _MODULES}
    return _typeset(environment.get_template(template).render({**vars(report), "shown": shown}))


def _of_the_page(html: str) -> str:
    """Let links of the summary lead into the page beside it; what figures refer to is in themselves."""
    return re.sub(r'(<a [^>]*?href=")#', r"\1index.html#", html)


def _typeset(html: str) -> str:
    """Keep numbers and their percent signs on one line, but for preformatted text and the script, which is hashed."""
    parts = re.split(r"(<pre.*?</pre>|<script>.*?</script>)", html, flags=re.DOTALL)
    return "".join(part if i % 2 else re.sub(r"(?<=\d) (?=%)", "\u00a0", part) for i, part in enumerate(parts))

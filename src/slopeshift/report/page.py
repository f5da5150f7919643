"""The pages of a report, three depths of one answer, and the files that are written beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment
from markupsafe import Markup

from slopeshift.keep.atomic import replacing
from slopeshift.report import files
from slopeshift.report.analysis import Around, Report, Tables
from slopeshift.report.figures.picture import Picture
from slopeshift.report.markup import Section, ids, led, linked, numbered, policy, templates, typeset
from slopeshift.report.parts import INDEX, SUMMARY, TAILS, TECHNICAL, Part, bodies, common, part
from slopeshift.report.sections import answer, chance, checks, covariates, interval, patient_view, sensitivity, summary
from slopeshift.report.words.numbers import stacked

OF_A_FIT = ("population", "patients", "responders", "diagnostics", "change_curve")
STUDY = ("null_reference", "null_refits", "pseudo_injection", "published_claim")
"""Tables of the null study that are published with the report; its others are for figures."""

VARIED = ("sensitivity_tipping", "sensitivity_curves", "dropout_tipping", "waning", "borrowing")
"""Tables of the sensitivity study, besides its first, that are published with the report."""

OF_ARMS = ("baseline", "safety_arms")
"""Tables of a trial whose patients have arms that are compared."""

OF_ANSWERS = ("operating", "any_change", "unchanged", "borrowed", "permutation", "arms")
"""Tables of the answers that stand beside each other by model."""


def write(report: Report, folder: Path, *, figures: bool = True) -> Path:
    """Write a report into `folder`, each file whole or not at all, the page last; return the path of the page.

    Written are `index.html` (the answer and its grounds), `technical.html` (everything else), the first screen on one
    sheet as `summary.html`, every table as `tables/NAME.csv` and in `tables.xlsx`, and every figure of the pages as
    `figures/NAME.svg` and `figures/NAME.png` unless `figures` is False. What an earlier report left there is deleted. A
    fit that failed its gate is reported by its diagnostics alone. The same input gives the same bytes.
    """
    tables = published(report)
    texts, pictures = pages(report, tables)
    shown = pictures if figures else []
    drawn = files.figure_table(shown, {each.anchor: each.record["model"] for each in report.analyses})
    files.write_tables(report.trial, tables | {"figures": drawn}, folder)
    files.write_figures(report.trial, shown, list(drawn["file"]), folder)
    for name in (SUMMARY, TECHNICAL, INDEX):
        with replacing(folder / name) as whole:
            whole.write_text(texts[name], encoding="utf-8", newline="")
    return folder / INDEX


def published(report: Report) -> dict[str, pd.DataFrame]:
    """Put the tables that travel with the pages together, by name."""
    study, varied = report.study, report.varied
    return {
        **{name: stacked([getattr(a.results, name) for a in report.analyses]) for name in OF_A_FIT},
        "interval": interval.table(report),
        "covariates": covariates.table(report),
        **{name: chance.of_answers(report.analyses, name) for name in OF_ANSWERS},
        **{name: report.own[name] for name in ("classical", "safety") if name in report.own},
        **{name: of_arms for name in OF_ARMS if len(of_arms := report.own.get(name, ()))},
        **checks.tables(report.analyses, report.compared),
        **{name: study[name] for name in STUDY if name in study},
        "sensitivity": sensitivity.table(report.analyses, study, varied),
        **{name: report.own[name] for name in ("missing",) if name in report.own},
        **({"subscores": of_items} if len(of_items := report.own.get("subscores", ())) else {}),
        **{name: varied[name] for name in VARIED if name in varied},
    }


class Body(NamedTuple):
    """The sections of a page, numbered, with the figures in them, and the ids of those that could not be made."""

    html: Markup
    contents: list[Section]
    pictures: list[Picture]
    absent: frozenset[str]


def pages(report: Report, tables: Tables) -> tuple[dict[str, str], list[Picture]]:
    """Write the three pages; return them by the names of their files, with the figures in the order of the pages."""
    environment = templates()
    front = part(environment, report, answer)
    found = {page: _body(parts) for page, parts in bodies(environment, report).items()}
    whole = {page: _with_tail(environment, report, page, front, found, tables) for page in found}
    texts = {
        INDEX: _long(environment, report, "report.html.j2", whole[INDEX], front.html, str(patient_view.script())),
        TECHNICAL: _long(environment, report, "technical.html.j2", whole[TECHNICAL]),
        SUMMARY: environment.get_template("summary.html.j2").render(
            common(report) | {"front": front.html, "policy": policy(), **summary.context(report)}
        ),
    }
    at = _places(texts)
    pictures = [*front.pictures, *(each for body in whole.values() for each in body.pictures)]
    return {name: typeset(led(text, at)) for name, text in texts.items()}, pictures


def _places(texts: Mapping[str, str]) -> dict[str, str]:
    """Say which file has an id: that of the shorter page where both have it."""
    return {id: page for page in (TECHNICAL, INDEX) for id in ids(texts[page])}


def _body(parts: Sequence[Part], first: int = 1) -> Body:
    html, contents = numbered("\n".join(each.html for each in parts), first)
    drawn = [picture for each in parts for picture in each.pictures]
    return Body(html, contents, drawn, frozenset(each.id for each in parts if not each.made))


def _with_tail(
    environment: Environment, report: Report, page: str, front: Part, found: Mapping[str, Body], tables: Tables
) -> Body:
    """Add to a page the sections that look back at what the pages have."""
    body = found[page]
    everything = front.html + Markup("").join(each.html for each in found.values())
    absent = frozenset[str]().union(*(each.absent for each in found.values()))
    titles = {"answer": Markup("The answer")} | {s.id: s.title for each in found.values() for s in each.contents}
    there = ids(everything) - absent | {"reproducibility", "definitions"}
    parts: list[Part] = []
    for module in TAILS[page]:
        tail_so_far = Markup("").join(each.html for each in parts)
        links = linked(everything + tail_so_far)
        mine = frozenset(links if page == TECHNICAL else linked(front.html + body.html))
        around = Around(there, titles, tables, links, mine, page == TECHNICAL)
        parts.append(part(environment, report, module, around))
    tail = _body(parts, len(body.contents) + 1)
    drawn = body.pictures + tail.pictures
    return Body(body.html + tail.html, body.contents + tail.contents, drawn, body.absent | tail.absent)


def _long(
    environment: Environment, report: Report, template: str, body: Body, front: str = "", script: str = ""
) -> str:
    """Write one of the two long pages."""
    content: dict[str, Any] = {"body": body.html, "contents": body.contents, "policy": policy(script)}
    return environment.get_template(template).render(common(report) | content | {"front": front})

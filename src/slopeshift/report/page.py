"""The page of a report: its sections in their order, their numbers, and the files that are written beside it.

A section that cannot be made says so in its place, and the console says why; the others stand.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment
from markupsafe import Markup

from slopeshift.keep.atomic import replacing
from slopeshift.report import files
from slopeshift.report.analysis import Around, Report, Tables, reason
from slopeshift.report.figures.picture import Picture
from slopeshift.report.sections import (
    answer,
    chance,
    checks,
    covariates,
    crosswalk,
    data,
    data_checks,
    decision,
    definitions,
    diagnostics,
    identity,
    interval,
    limitations,
    missing,
    model,
    own,
    patient_view,
    patients,
    population,
    priors,
    question,
    reproducibility,
    safety,
    sensitivity,
    summary,
    trajectories,
)
from slopeshift.report.words.glossary import anchor, link
from slopeshift.report.words.numbers import stacked

BODY = (
    *(identity, question, data, data_checks, trajectories, model, priors, diagnostics, checks, population),
    *(patients, patient_view, covariates, chance, interval, own, sensitivity, missing, decision, safety, limitations),
)
"""Sections in the order of the page, after the answer; each has the name of its template."""

OF_INJECTIONS = (patients, chance, interval, own, sensitivity, missing)
"""Sections that have nothing to say where nobody had an injection."""

TAIL = (crosswalk, reproducibility, definitions)
"""Sections that look back at what the page has."""

OF_A_FIT = ("population", "patients", "responders", "diagnostics", "change_curve")
STUDY = ("null_reference", "null_refits", "pseudo_injection", "published_claim")
"""Tables of the null study that are published with the report; its others are for figures."""

VARIED = ("sensitivity_tipping", "sensitivity_curves", "dropout_tipping", "waning", "borrowing")
"""Tables of the sensitivity study, besides its first, that are published with the report."""

_SECTION = re.compile(r'(<section id="([\w-]+)"[^>]*>\s*<h2[^>]*>)(.*?)(</h2>)', re.DOTALL)
_IDS = re.compile(r'\sid="([^"]+)"')


class Part(NamedTuple):
    """A section as written, the figures in it, and whether it could be made."""

    html: Markup
    pictures: list[Picture]
    made: bool


class Section(NamedTuple):
    """A section of the page: its id, number and title."""

    id: str
    number: int
    title: Markup


def write(report: Report, folder: Path, *, figures: bool = True) -> Path:
    """Write a report into `folder`, each file whole or not at all, the page last; return the path of the page.

    Written are `index.html`, its first screen on one sheet as `summary.html`, every table as `tables/NAME.csv` and in
    `tables.xlsx`, and every figure of the page as `figures/NAME.svg` and `figures/NAME.png` unless `figures` is False.
    What an earlier report left there is deleted. A fit that failed its gate is reported by its diagnostics alone. The
    same input gives the same bytes.
    """
    tables = published(report)
    html, short, pictures = pages(report, tables)
    shown = pictures if figures else []
    drawn = files.figure_table(shown, {each.anchor: each.record["model"] for each in report.analyses})
    files.write_tables(report.trial, tables | {"figures": drawn}, folder)
    files.write_figures(report.trial, shown, list(drawn["file"]), folder)
    index = folder / "index.html"
    for path, text in ((folder / "summary.html", _of_the_page(short)), (index, html)):
        with replacing(path) as whole:
            whole.write_text(text, encoding="utf-8", newline="")
    return index


OF_ANSWERS = ("operating", "any_change", "unchanged", "borrowed", "permutation", "arms")
"""Tables of the answers that stand beside each other by model."""


def published(report: Report) -> dict[str, pd.DataFrame]:
    """Put the tables that travel with the page together, by name."""
    study, varied = report.study, report.varied
    return {
        **{name: stacked([getattr(a.results, name) for a in report.analyses]) for name in OF_A_FIT},
        "interval": interval.table(report),
        "covariates": covariates.table(report),
        **{name: chance.of_answers(report.analyses, name) for name in OF_ANSWERS},
        **{name: report.own[name] for name in ("classical", "safety") if name in report.own},
        **checks.tables(report.analyses, report.compared),
        **{name: study[name] for name in STUDY if name in study},
        "sensitivity": sensitivity.table(report.analyses, study, varied),
        **{name: report.own[name] for name in ("missing",) if name in report.own},
        **{name: varied[name] for name in VARIED if name in varied},
    }


def pages(report: Report, tables: Tables) -> tuple[str, str, list[Picture]]:
    """Write the page and its summary; return them with the figures of the page, in its order."""
    environment = _environment()
    front = _part(environment, report, answer)
    parts = {module: _part(environment, report, module) for module in _sections(report)}
    body, found = numbered("\n".join(part.html for part in parts.values()))
    absent = {_id(module) for module, part in parts.items() if not part.made}
    there = ids(body) - absent | {"reproducibility", "definitions"}
    around = Around(there, titles(found), tables)
    ends = [_part(environment, report, module, around) for module in TAIL]
    tail, last = numbered("\n".join(part.html for part in ends), len(found) + 1)
    whole = {"front": front.html, "body": body, "tail": tail, "contents": found + last, "policy": policy()}
    html = environment.get_template("report.html.j2").render(_common(report) | whole)
    basis = {"front": front.html, **summary.context(report)}
    short = environment.get_template("summary.html.j2").render(_common(report) | basis)
    pictures = [picture for part in (front, *parts.values(), *ends) for picture in part.pictures]
    return _typeset(html), _typeset(short), pictures


def numbered(html: str, first: int = 1) -> tuple[Markup, list[Section]]:
    """Number the headings of the sections in the order of the page, from `first`; return the page and the sections."""
    found: list[Section] = []

    def number(match: re.Match[str]) -> str:
        opening, name, title, closing = match.groups()
        found.append(Section(name, first + len(found), Markup(title.strip())))
        return f"{opening}{found[-1].number}. {title}{closing}"

    return Markup(_SECTION.sub(number, html)), found


def titles(sections: list[Section]) -> dict[str, Markup]:
    """Give the title of every section by its id, that of the first screen among them."""
    return {"answer": Markup("The answer")} | {section.id: section.title for section in sections}


def ids(html: str) -> frozenset[str]:
    """List the ids that a page has, for what may be linked to."""
    return frozenset(_IDS.findall(html))


def policy() -> str:
    """Write the Content-Security-Policy of the page: it may run this one script, and load nothing from anywhere."""
    digest = b64encode(sha256(patient_view.script().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
    )


def in_css(text: str) -> Markup:
    """Write any text as the inside of a string of a style sheet."""
    return Markup("".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):x} " for c in text))


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("slopeshift.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"definition": link, "defined": anchor, "in_css": in_css}
    return environment


def _sections(report: Report) -> list[ModuleType]:
    return [module for module in BODY if report.treated or module not in OF_INJECTIONS]


def _common(report: Report) -> dict[str, Any]:
    """What every template knows."""
    names = ("trial", "treated", "primary", "analyses", "others", "skipped")
    return {name: getattr(report, name) for name in names} | {"study": bool(report.study)}


def _part(environment: Environment, report: Report, module: ModuleType, *more: Around) -> Part:
    """Make one section; where that fails, say so in its place and on the console."""
    name = _name(module)
    template = f"sections/{name}.html.j2"
    try:
        made = module.context(report, *more)
        return Part(Markup(environment.get_template(template).render(_common(report) | made)), [*_pictures(made)], True)
    except Exception as error:  # one section never takes the page with it
        report.say(f"section {_id(module)}: not shown: {reason(error)}")
        source, *_ = environment.loader.get_source(environment, template)  # type: ignore[union-attr]
        title = Markup(re.search(r"<h2[^>]*>(.*?)</h2>", source).group(1))  # type: ignore[union-attr]
        stub = environment.get_template("not_shown.html.j2")
        return Part(Markup(stub.render(id=_id(module), title=title, wrong=reason(error))), [], False)


def _name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


def _id(module: ModuleType) -> str:
    return _name(module).replace("_", "-")


def _pictures(content: object) -> Iterator[Picture]:
    """Find the figures in what a section shows, in its order."""
    if isinstance(content, Picture):
        yield content
    elif isinstance(content, dict):
        for part in content.values():
            yield from _pictures(part)
    elif isinstance(content, list | tuple):
        for part in content:
            yield from _pictures(part)


def _of_the_page(html: str) -> str:
    """Let links of the summary lead into the page beside it; what figures refer to is in themselves."""
    return re.sub(r'(<a [^>]*?href=")#', r"\1index.html#", html)


def _typeset(html: str) -> str:
    """Keep numbers and their percent signs on one line, but for preformatted text and the script, which is hashed."""
    parts = re.split(r"(<pre.*?</pre>|<script>.*?</script>)", html, flags=re.DOTALL)
    return "".join(part if i % 2 else re.sub(r"(?<=\d) (?=%)", "\u00a0", part) for i, part in enumerate(parts))

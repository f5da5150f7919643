"""The sections of the pages of a report: which stand where, and how one is made.

A section that cannot be made says so in its place, and the console says why; the others stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

from jinja2 import Environment
from markupsafe import Markup

from slopeshift.report.analysis import Around, Report, reason
from slopeshift.report.figures.picture import Picture
from slopeshift.report.sections import (
    beside,
    chance,
    checks,
    covariates,
    crosswalk,
    data,
    data_checks,
    decision,
    definitions,
    diagnostics,
    directory,
    identity,
    interval,
    limitations,
    missing,
    model,
    null_models,
    others,
    own,
    patient_view,
    patients,
    population,
    priors,
    question,
    reproducibility,
    safety,
    sensitivity,
    trajectories,
    truth,
)

INDEX, TECHNICAL, SUMMARY = "index.html", "technical.html", "summary.html"
"""Files of the report's three depths: the answer and its grounds, everything else, and one sheet."""

BODIES: dict[str, tuple[ModuleType, ...]] = {
    INDEX: (
        *(truth, beside, question, data, trajectories, population, patients, patient_view, covariates, chance),
        *(sensitivity, missing, decision, safety, limitations),
    ),
    TECHNICAL: (
        *(directory, identity, data, data_checks, trajectories, model, priors, diagnostics, checks, others, patients),
        *(chance, null_models, own, interval, sensitivity, missing, safety),
    ),
}
"""Sections of a page in their order, after the answer; each has the name of its template.

A section that both pages have is made for the second by its `details`, with the template of that name.
"""

TAILS: dict[str, tuple[ModuleType, ...]] = {INDEX: (definitions,), TECHNICAL: (crosswalk, reproducibility, definitions)}
"""Sections that look back at what the pages have."""

OF_INJECTIONS = (patients, chance, null_models, interval, own, sensitivity, missing)
"""Sections that have nothing to say where nobody had an injection."""


class Part(NamedTuple):
    """A section as written: its id, its text, the figures in it, and whether it could be made."""

    id: str
    html: Markup
    pictures: list[Picture]
    made: bool


def bodies(environment: Environment, report: Report) -> dict[str, list[Part]]:
    """Make the sections of the two long pages, by file."""
    return {
        page: [
            part(environment, report, module, detailed=page == TECHNICAL and module in BODIES[INDEX])
            for module in modules
            if report.treated or module not in OF_INJECTIONS
        ]
        for page, modules in BODIES.items()
    }


def part(environment: Environment, report: Report, module: ModuleType, *more: Around, detailed: bool = False) -> Part:
    """Make one section, or its details; where that fails, say so in its place and on the console."""
    name = module.__name__.rpartition(".")[2]
    template = f"{'details' if detailed else 'sections'}/{name}.html.j2"
    id = name.replace("_", "-") + ("-details" if detailed else "")
    try:
        made = module.details(report) if detailed else module.context(report, *more)
        html = environment.get_template(template).render(common(report) | made)
        return Part(id, Markup(html), [*pictures(made)], True)
    except Exception as error:  # one section never takes the page with it
        report.say(f"section {id}: not shown: {reason(error)}")
        source, *_ = environment.loader.get_source(environment, template)  # type: ignore[union-attr]
        title = Markup(re.search(r"<h2[^>]*>(.*?)</h2>", source).group(1))  # type: ignore[union-attr]
        stub = environment.get_template("not_shown.html.j2")
        return Part(id, Markup(stub.render(id=id, title=title, wrong=reason(error))), [], False)


def common(report: Report) -> dict[str, Any]:
    """What every template knows."""
    names = ("trial", "treated", "primary", "analyses", "others", "skipped")
    return {name: getattr(report, name) for name in names} | {"study": bool(report.study)}


def pictures(content: object) -> Iterator[Picture]:
    """Find the figures in what a section shows, in its order."""
    if isinstance(content, Picture):
        yield content
    elif isinstance(content, dict):
        for each in content.values():
            yield from pictures(each)
    elif isinstance(content, list | tuple):
        for each in content:
            yield from pictures(each)

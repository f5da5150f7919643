"""Which items of reporting standards a report meets, and where: filled from what the page really has.

BARG: Kruschke 2021, doi 10.1038/s41562-021-01177-7. E9(R1): the estimand addendum of ICH. WAMBS: Depaoli and van de
Schoot 2017, doi 10.1037/met0000065. CONSORT 2025, of a randomised trial alone: Hopewell et al. 2025, doi
10.1136/bmj-2024-081123. Their items are said in our own words, shortened.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from slopeshift.report.analysis import Around, Report
from slopeshift.report.words.people import has_control_group


class Item(NamedTuple):
    """An item of a standard; it is met where the page has all of the ids `needs`; `unmet` says what would meet it."""

    standard: str
    item: str
    needs: tuple[str, ...]
    unmet: str


class Place(NamedTuple):
    """An item and where the page meets it: links (id, title), none where it does not."""

    item: Item
    links: tuple[tuple[str, str], ...]


class Standard(NamedTuple):
    """A standard: its name and title, its items in their order, and whether it is of randomised trials alone."""

    name: str
    title: str
    items: tuple[Item, ...]
    randomised: bool


def _standards() -> Iterator[Standard]:
    """Read every standard, in the order of the page."""
    text = files("slopeshift.report.words").joinpath("standards.toml").read_text(encoding="utf-8")
    for each in tomllib.loads(text)["standard"]:
        items = (Item(each["name"], i["item"], tuple(i["needs"]), i["unmet"]) for i in each["items"])
        yield Standard(each["name"], each["title"], tuple(items), each.get("randomised", False))


STANDARDS = {standard.name: standard for standard in _standards()}

ITEMS = tuple(item for standard in STANDARDS.values() for item in standard.items)
"""Every item, those last that no standard asks for and this kind of trial needs. Ids without a section: see `found`."""


def found(page_ids: Collection[str], titles: Mapping[str, str], items: Sequence[Item] = ITEMS) -> list[Place]:
    """Place every item: links to the ids it needs where the page has all of them, none where one is missing.

    `titles` names the sections by id; an id without a title is called by itself.
    """
    return [
        Place(
            item,
            tuple((i, titles.get(i, _PARTS.get(i, i.replace("-", " ")))) for i in item.needs if i not in _FLAGS)
            if set(item.needs) <= set(page_ids)
            else (),
        )
        for item in items
    ]


def by_standard(places: Sequence[Place]) -> dict[str, list[Place]]:
    """Put the places of each standard together, in the order of the items."""
    standards = dict.fromkeys(place.item.standard for place in places)
    return {name: [place for place in places if place.item.standard == name] for name in standards}


_PARTS = {
    "why": "Why Bayesian",
    "estimand": "The estimand",
    "intercurrent-events": "Intercurrent events",
    "prior-implied": "What the priors imply",
    "null-study": "Null trials",
    "null-refits": "Refitted null trials",
    "pseudo-injections": "Moved injections",
    "reproducibility": "Reproducibility",
    "definitions": "Definitions",
}

_FLAGS = (
    *("results-shown", "control-group", "justification", "prior-sensitivity", "sensitivity-study"),
    *("entry-rules", "arms-of-patients", "ends-known", "events-known"),
)


def flags(report: Report, page: Around) -> set[str]:
    """Name what a page or its trial has that is no place in the page: of _FLAGS."""
    trial = report.trial
    known = {
        "results-shown": any(a.passed for a in report.analyses),
        "control-group": trial.compares or has_control_group(trial),
        "justification": all(prior["basis"] for a in report.analyses for prior in a.record["priors"]),
        "prior-sensitivity": not page.tables["prior_sensitivity"].empty,
        "sensitivity-study": "dropout_tipping" in report.varied,
        "entry-rules": bool(trial.entry),
        "arms-of-patients": "baseline" in page.tables,
        "ends-known": "end_reason" in trial.patients,
        "events-known": "safety_arms" in page.tables,
    }
    return {name for name in _FLAGS if known[name]}


def context(report: Report, page: Around) -> dict[str, Any]:
    """Place every item of the standards that concern the trial among the sections of this page."""
    arms = report.trial.arms
    randomised = arms is not None and arms.randomised and report.trial.compares
    asked = [item for each in STANDARDS.values() if randomised or not each.randomised for item in each.items]
    places = found(page.ids | flags(report, page), page.titles, asked)
    standards = [(STANDARDS[name].title, name, items) for name, items in by_standard(places).items()]
    return {"standards": standards, "n": len(places), "unmet": sum(not place.links for place in places)}

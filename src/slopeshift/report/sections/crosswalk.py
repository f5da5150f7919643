"""Which items of three reporting standards a report meets, and where: filled from what the page really has.

BARG: Kruschke 2021, doi 10.1038/s41562-021-01177-7. E9(R1): the estimand addendum of ICH. WAMBS: Depaoli and van de
Schoot 2017, doi 10.1037/met0000065. Their items are said in our own words, shortened.
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


def _standards() -> Iterator[tuple[str, str, tuple[Item, ...]]]:
    """Read every standard, in the order of the page: name, title, and items in the order of the standard."""
    text = files("slopeshift.report.words").joinpath("standards.toml").read_text(encoding="utf-8")
    for standard in tomllib.loads(text)["standard"]:
        items = (Item(standard["name"], i["item"], tuple(i["needs"]), i["unmet"]) for i in standard["items"])
        yield standard["name"], standard["title"], tuple(items)


STANDARDS = {name: title for name, title, _ in _standards()}

ITEMS = tuple(item for _, _, items in _standards() for item in items)
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

_FLAGS = ("results-shown", "control-group", "prior-sensitivity", "sensitivity-study")


def flags(passed: bool, control: bool, prior_sensitivity: bool, sensitivity_study: bool) -> set[str]:
    """Name what a page has that is no place in it."""
    known = (passed, control, prior_sensitivity, sensitivity_study)
    return {name for name, has in zip(_FLAGS, known, strict=True) if has}


def context(report: Report, page: Around) -> dict[str, Any]:
    """Place every item of the standards among the sections of this page."""
    passed = any(a.passed for a in report.analyses)
    moved = not page.tables["prior_sensitivity"].empty
    has = flags(passed, has_control_group(report.trial), moved, "dropout_tipping" in report.varied)
    places = found(page.ids | has, page.titles)
    standards = [(STANDARDS[name], name, items) for name, items in by_standard(places).items()]
    return {"standards": standards, "n": len(places), "unmet": sum(not place.links for place in places)}

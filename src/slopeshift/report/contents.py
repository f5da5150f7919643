"""The sections of a page that was rendered: their numbers, and the table of contents that leads to them."""

from __future__ import annotations

import re
from typing import NamedTuple

from markupsafe import Markup

_SECTION = re.compile(r'(<section id="([\w-]+)"[^>]*>\s*<h2[^>]*>)(.*?)(</h2>)', re.DOTALL)
_IDS = re.compile(r'\sid="([^"]+)"')


class Section(NamedTuple):
    """A section of the page: its id, number and title."""

    id: str
    number: int
    title: Markup


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


def in_css(text: str) -> Markup:
    """Write any text as the inside of a string of a style sheet."""
    return Markup("".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):x} " for c in text))

"""The text of a page: its templates, headings that are numbered, links led to their targets, numbers on one line."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from slopeshift.report.words.glossary import anchor, link

if TYPE_CHECKING:
    from jinja2 import Environment

_SECTION = re.compile(r'(<section id="([\w-]+)"[^>]*>\s*<h2[^>]*>)(.*?)(</h2>)', re.DOTALL)
_PIECES = re.compile(r'<section id="([\w-]+)".*?</section>', re.DOTALL)
_IDS = re.compile(r'\sid="([^"]+)"')
_LINKS = re.compile(r'(<a [^>]*?href=")#([^"]+)"')


class Section(NamedTuple):
    """A section of a page: its id, number and title."""

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


def ids(html: str) -> frozenset[str]:
    """List the ids that a text has, for what may be linked to."""
    return frozenset(_IDS.findall(html))


def linked(html: str) -> dict[str, list[str]]:
    """Find where a text links to: for every target the ids of the sections that do, in their order."""
    found: dict[str, dict[str, None]] = {}
    for piece in _PIECES.finditer(html):
        for _, target in _LINKS.findall(piece[0]):
            found.setdefault(target, {})[piece[1]] = None
    return {target: list(sections) for target, sections in found.items()}


def led(html: str, elsewhere: Mapping[str, str]) -> str:
    """Lead links whose target the page lacks to the file that has it. `elsewhere` names a file by id.

    What figures refer to is in themselves, and left alone.
    """
    own = ids(html)

    def lead(link: re.Match[str]) -> str:
        file = "" if link[2] in own else elsewhere.get(link[2], "")
        return f'{link[1]}{file}#{link[2]}"'

    return _LINKS.sub(lead, html)


def typeset(html: str) -> str:
    """Keep numbers and their percent signs on one line, but for preformatted text and the script, which is hashed."""
    parts = re.split(r"(<pre.*?</pre>|<script>.*?</script>)", html, flags=re.DOTALL)
    return "".join(part if i % 2 else re.sub(r"(?<=\d) (?=%)", "\u00a0", part) for i, part in enumerate(parts))


def policy(script: str = "") -> str:
    """Write the Content-Security-Policy of a page: it may run this one script, if any, and load nothing."""
    runs = f"script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'; " if script else ""
    return f"default-src 'none'; style-src 'unsafe-inline'; {runs}base-uri 'none'; form-action 'none'"


def in_css(text: str) -> Markup:
    """Write any text as the inside of a string of a style sheet."""
    return Markup("".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):x} " for c in text))


@cache
def templates(*packages: str) -> Environment:
    """Open the templates of the pages, with the filters that they use; those of other packages come before them."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in (*packages, "slopeshift.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"definition": link, "defined": anchor, "in_css": in_css}
    return environment

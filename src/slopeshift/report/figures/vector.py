"""A figure as a compact SVG element of a page: what Matplotlib writes, without what a page does not need.

Numbers keep a tenth of a point, texts take the page's font, and ids that nothing refers to are dropped: a figure is
then less than half as large and looks the same.
"""

from __future__ import annotations

import io
import re
import warnings
from xml.etree import ElementTree

from markupsafe import Markup, escape
from matplotlib.figure import Figure

from slopeshift.report.figures.style import styled

_SVG, _LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"

_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")

_URL = re.compile(r"url\(#([^)]*)\)")

_LEFT_TO_THE_PAGE = ("font-family", "stroke-linejoin", "stroke-linecap", "stroke-dashoffset")

_BACKGROUND = "fill: #ffffff"


@styled
def svg(figure: Figure, name: str, description: str) -> Markup:
    """Write a figure as an SVG element for a page; `name` makes its ids unique there, `description` is read aloud."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # The browser has glyphs that Matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    root = ElementTree.fromstring(buffer.getvalue())
    body = "".join(_written(child) for child in _compact(root, name))
    return Markup(
        f'<svg id="{escape(name)}" viewBox="{root.get("viewBox")}" role="img" aria-label="{escape(description)}">'
        f"{body}</svg>"
    )


def _compact(root: ElementTree.Element, name: str) -> ElementTree.Element:
    """Shorten a tree in place: groups that say nothing give way to what is in them."""
    targets = _renamed(root, name)
    for parent in list(root.iter()):
        for child in list(parent):
            _shorten(child, targets)
    _unwrap(root)
    return root


def _renamed(root: ElementTree.Element, name: str) -> dict[str, str]:
    """Give every id that is referred to a short one, unique in the page."""
    text = "".join(value for element in root.iter() for value in (*element.attrib.values(), ""))
    told = [element.get("id", "") for element in root.iter() if element.get("id")]
    referred = [i for i in told if f"#{i}" in text]
    return {old: f"{name}-{number}" for number, old in enumerate(dict.fromkeys(referred))}


def _shorten(element: ElementTree.Element, targets: dict[str, str]) -> None:
    """Round numbers, and drop whatever is the default or is left to the style sheet of the page."""
    given = dict(element.attrib)
    element.attrib.clear()
    for key, value in given.items():
        if key == "id":
            if value in targets:
                element.set("id", targets[value])
        elif key == _LINK:
            element.set("href", f"#{targets[value[1:]]}")
        elif key == "clip-path":
            element.set(key, f"url(#{targets[value[5:-1]]})")
        elif key == "style":
            if style := _style(_URL.sub(lambda found: f"url(#{targets[found[1]]})", value)):
                element.set("style", style)
        elif key == "d":
            digits = 2 if "C" in value else 1
            element.set("d", _rounded(re.sub(r"\s*([MLCQZz])\s*", r"\1", value.replace("\n", " ")), digits))
        elif not (key == "transform" and value.startswith("rotate(-0 ")):
            element.set(key, _rounded(value, 1))


def _style(value: str) -> str:
    kept = [part for part in value.split("; ") if not part.startswith(_LEFT_TO_THE_PAGE)]
    return _rounded(";".join(part.replace(": ", ":") for part in kept), 2)


def _rounded(text: str, digits: int) -> str:
    return _NUMBER.sub(lambda found: f"{round(float(found[0]), digits) + 0.0:g}", text)


def _unwrap(parent: ElementTree.Element) -> None:
    for child in list(parent):
        _unwrap(child)
    children: list[ElementTree.Element] = []
    for child in parent:
        tag, said = child.tag.removeprefix(_SVG), dict(child.attrib)
        if tag == "path" and said.get("style") == _BACKGROUND.replace(" ", "") and "id" not in said:
            continue
        if tag in ("metadata", "style") or (tag in ("g", "defs") and not len(child)):
            continue
        children += list(child) if tag in ("g", "defs") and not said and not _is_definition(child) else [child]
    parent[:] = children


def _is_definition(element: ElementTree.Element) -> bool:
    return element.tag == f"{_SVG}defs"


def _written(element: ElementTree.Element) -> str:
    """Write an element without namespaces, and without white space between elements."""
    tag = element.tag.removeprefix(_SVG)
    attributes = "".join(f' {key}="{escape(value)}"' for key, value in element.attrib.items())
    text = element.text or "" if tag in ("text", "tspan") else ""
    inside = escape(text) + Markup("".join(_written(child) for child in element))
    return f"<{tag}{attributes}>{inside}</{tag}>" if inside else f"<{tag}{attributes}/>"

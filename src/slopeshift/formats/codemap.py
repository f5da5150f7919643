"""Code maps: what the codes of a sponsor's CDISC datasets mean. A default is shipped, the user's is read strictly."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from slopeshift.formats.notation import finite
from slopeshift.trial.columns import END_REASONS, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_SHAPES: Mapping[str, Mapping[str, str]] = {
    "alsfrsr": {"total": "list", "items": "lists"},
    "fvc": {"codes": "list"},
    "injections": {
        "treatments": "list",
        "routes": "list",
        "dose_units": "texts",
        "codes": "list",
        "periods": "text",
        "same_day": "text",
    },
    "ends": {},
    "dispositions": {},
    "patients": {},
}
SCOPES = ("study", "treatment")
SAME_DAY = ("refuse", "add")
_FITS: Mapping[str, Callable[[Any], bool]] = {
    "list": lambda value: isinstance(value, list) and all(isinstance(part, str) for part in value),
    "lists": lambda value: isinstance(value, dict) and all(_FITS["list"](part) for part in value.values()),
    "texts": lambda value: isinstance(value, dict) and all(isinstance(part, str) for part in value.values()),
    "text": lambda value: isinstance(value, str),
}
_WORDS = {
    "list": "a list of codes in brackets: [A, B]",
    "lists": "a list of codes for each item: `1: [A, B]`",
    "texts": "`KEY: VALUE`, one a line",
    "text": "one word",
}


def default_text(form: str) -> str:
    """Return the text of the code map that is shipped for a format: `sdtm` or `adam`."""
    return (files("slopeshift.formats") / "codemaps" / f"{form}.yaml").read_text(encoding="utf-8")


def default(form: str) -> dict[str, Any]:
    """Return the shipped code map of a format as a document."""
    import yaml

    document: dict[str, Any] = yaml.load(default_text(form), yaml.BaseLoader)  # BaseLoader makes texts only
    return document


def codemap_problems(file: str, document: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with a code map: first its shape, then, where that is right, its values."""
    yield from _shape_problems(file, document)
    if not any(_shape_problems(file, document)):
        yield from _value_problems(file, document)


def _shape_problems(file: str, document: Mapping[str, Any]) -> Iterator[Problem]:
    for section, value in document.items():
        if section not in _SHAPES:
            yield Problem(file, None, section, f"unknown key {section!r}", f"delete it; known are {', '.join(_SHAPES)}")
        elif not isinstance(value, dict):
            yield Problem(file, None, section, "not a section", "write `key: value`, one a line, indented")
        elif not (known := _SHAPES[section]):
            if not _FITS["texts"](value):
                yield Problem(file, None, section, "a value that is not a text", f"write {_WORDS['texts']}")
        else:
            yield from _entries(file, section, value, known)


def _entries(file: str, section: str, value: Mapping[str, Any], known: Mapping[str, str]) -> Iterator[Problem]:
    for key, part in value.items():
        if key not in known:
            yield Problem(file, None, f"{section}.{key}", f"unknown key {key!r}", f"known are {', '.join(known)}")
        elif not _FITS[known[key]](part):
            yield Problem(file, None, f"{section}.{key}", "not the right shape", f"write {_WORDS[known[key]]}")


def _value_problems(file: str, document: Mapping[str, Any]) -> Iterator[Problem]:
    for code, reason in document.get("ends", {}).items():
        if reason not in END_REASONS:
            yield Problem(file, None, f"ends.{code}", repr(reason), f"write one of: {', '.join(END_REASONS)}")
    for unit, factor in document.get("injections", {}).get("dose_units", {}).items():
        if not finite(factor) > 0:
            remedy = "write how many 10^6 cells one unit is, as a number above zero"
            yield Problem(file, None, f"injections.dose_units.{unit}", repr(factor), remedy)
    for subcategory, scope in document.get("dispositions", {}).items():
        if scope not in SCOPES:
            yield Problem(file, None, f"dispositions.{subcategory}", repr(scope), f"write one of: {', '.join(SCOPES)}")
    if (same_day := document.get("injections", {}).get("same_day", SAME_DAY[0])) not in SAME_DAY:
        yield Problem(file, None, "injections.same_day", repr(same_day), f"write one of: {', '.join(SAME_DAY)}")
    items = document.get("alsfrsr", {}).get("items", {})
    if items and set(items) != {str(item) for item in range(1, 13)}:
        yield Problem(
            file, None, "alsfrsr.items", f"items {', '.join(items)}", "give all twelve items, 1 to 12, or none"
        )
    codes = [code for _, codes in score_codes(document) for code in codes]
    for code in dict.fromkeys(code for code in codes if codes.count(code) > 1):
        yield Problem(file, None, "alsfrsr", f"{code!r} for two things", "give every code one meaning")


def score_codes(document: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return the column of visits that each list of codes stands for."""
    alsfrsr = document.get("alsfrsr", {})
    items = [(f"alsfrsr_{item}", codes) for item, codes in alsfrsr.get("items", {}).items()]
    return [("alsfrsr", alsfrsr.get("total", [])), *items, ("fvc", document.get("fvc", {}).get("codes", []))]

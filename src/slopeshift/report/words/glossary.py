"""The reported quantities by name: what each is called in print, what it means, and where its numbers come from."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from slopeshift.answers.quantities import CLAIMED
from slopeshift.design.cycles import OVERALL
from slopeshift.model.families import UNITS

POPULATION = ("level", "lead_in_slope", "curvature", *CLAIMED)
"""Quantities of the population whose priors are set beside what the data made of them."""

SPREAD = (
    "sd_level",
    "sd_slope",
    "curvature_by_level",
    "curvature_by_slope",
    "sd_curvature",
    "sd_response",
    "sd_cycle",
    *UNITS,
    "correlation_level_slope",
    "correlation_level_response",
    "correlation_slope_response",
)
"""Quantities of how patients differ, and their values from their lines, in all families."""

PLAIN = (
    *("Patient", "Patients", "Injection", "Injections", "Model", "Period", "Quantity", "Unit", "Note", "Source", "Of"),
    *("Item", "Value", "n", "Published", "Statistic", "Analysis", "Term", "Related", "Kind", "Detail", "All cycles"),
    *("Overall", "First to last injection", "Check", "Found", "Verdict", "Covariate", "Doubt", "What it is", "Where"),
    *("Gate",),
)
"""Heads of columns that say themselves what they are."""


@dataclass(frozen=True)
class Definition:
    """A quantity: `label` is its name, `printed` are other names of it in tables."""

    key: str
    label: str
    meaning: str
    formula: str
    unit: str
    table: str
    code: str
    printed: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """Where in the page it is defined."""
        return f"def-{self.key}"


@cache
def definitions() -> dict[str, Definition]:
    """Read every definition, by key, in the order of the page."""
    text = files("slopeshift.report.words").joinpath("definitions.toml").read_text(encoding="utf-8")
    read = tomllib.loads(text)
    return {
        key: Definition(key=key, **(entry | {"printed": tuple(entry.get("printed", ()))}))
        for key, entry in read.items()
    }


def anchor(text: str) -> str:
    """Find where a head of a table, or the name of one of its rows, is defined: an id, or nothing.

    A unit, injection or model after the last commas of the name is overlooked.
    """
    names = _names()
    plain = re.sub(r"\s+", " ", text.replace("\u00a0", " ")).strip()
    while plain:
        if plain in names:
            return names[plain]
        plain = plain.rpartition(",")[0].strip()
    return ""


def link(key: str) -> str:
    """Point to a definition by its key. Raises KeyError for a key that is not defined."""
    return f"#{definitions()[key].anchor}"


def label(quantity: str, injection: str) -> str:
    """Name a row of the population table in print."""
    after = {"": "", OVERALL: ", all injections"}.get(injection, f", injection {injection}")
    known = definitions().get(quantity)
    return (known.label if known else quantity) + after


@cache
def _names() -> dict[str, str]:
    return {
        name: definition.anchor
        for definition in definitions().values()
        for name in (definition.label, *definition.printed)
    }

"""A model in words: equations, family, and every prior with its reason, what it varies marked.

`slopeshift show` prints it from a model file, and the report from the record of a fit, which holds the same.
"""

from __future__ import annotations

from dataclasses import fields
from textwrap import indent
from typing import TYPE_CHECKING, Any

from slopeshift.design.shape import PLAIN
from slopeshift.model.priors import MODEL_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slopeshift.design.shape import Shape
    from slopeshift.model.files import ModelFile
    from slopeshift.model.stated import Statement

MARK = "* "
"""Before what differs from the model that is varied."""

ABOUT = ("distribution", "numbers", "unit", "why", "basis")


def described(file: ModelFile, recorded: Statement | None = None) -> dict[str, Any]:
    """Describe a model in values that JSON has: as its file states it, or as was `recorded` when it was built.

    Keys: title, description (the docstring), family, shape (empty where it is the plain one), varies (the name of the
    file that it varies, or empty), dropped (the priors of that file that it does without) and priors, rows of
    `stated.row` with `differs`: whether it is not as there. Raises ModelError where only a built model shows its
    priors, and none was recorded.
    """
    base = file.varies
    parts = {"family": _family(file) if recorded is None else recorded.family, "shape": _shape(file.shape)}
    theirs = parts if base is None else {"family": _family(base), "shape": _shape(base.shape)}
    return {
        "title": file.title,
        "description": file.description,
        **parts,
        "varies": "" if base is None else f"{base.name}.py",
        "dropped": [] if base is None else _dropped(file, base),
        "differs": [part for part, value in parts.items() if value != theirs[part]],
        "priors": _marked(file, file.stated() if recorded is None else recorded.priors),
    }


def _dropped(file: ModelFile, base: ModelFile) -> list[str]:
    """Name the priors of the varied file that this one does without."""
    ours = {row["name"] for row in file.stated()}
    return [row["name"] for row in base.stated() if row["name"] not in ours]


def _marked(file: ModelFile, priors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say of every prior whether the file states another one than the file that it varies."""
    both = (file, file.varies or file)
    ours, theirs = ({row["name"]: _about(row) for row in each.stated()} if file.varies else {} for each in both)
    return [row | {"differs": ours.get(row["name"]) != theirs.get(row["name"])} for row in priors]


def _about(row: Mapping[str, Any]) -> list[Any]:
    return [row[key] for key in ABOUT]


def _shape(shape: Shape) -> str:
    """Name what a shape has that the plain one has not."""
    numbers = {each.name: (getattr(shape, each.name), getattr(PLAIN, each.name)) for each in fields(shape)}
    return ", ".join(f"{name}={value}" for name, (value, plain) in numbers.items() if value != plain)


def _family(file: ModelFile) -> str:
    return str(getattr(getattr(file.build, "family", None), "name", "normal"))


def text(model: Mapping[str, Any]) -> str:
    """Print a model as `described` gives it, or as the record of a fit does: several lines, the last one ended."""
    lines = [str(model["description"]), ""]
    if model["varies"]:
        lines += [f"Varies {model['varies']}; what differs is marked {MARK.strip()}.", ""]
    for part in ("family", "shape"):
        if model[part]:
            lines.append(f"{MARK if part in model['differs'] else '  '}{part.capitalize()}: {model[part]}")
    if model.get("dropped"):
        lines.append(f"{MARK}Without: {', '.join(model['dropped'])}")
    lines += ["", "Priors:"]
    for row in model["priors"]:
        lines += [(MARK if row["differs"] else "  ") + _heading(row), indent(_reason(row), "      ")]
    return "\n".join(lines) + "\n"


def distribution(row: Mapping[str, Any]) -> str:
    """Print the density of a row of the prior table: `Normal(mean=35, sd=4)`."""
    numbers = ", ".join(f"{name}={value:.4g}" for name, value in row["numbers"].items())
    return f"{row['distribution']}({numbers})"


def _heading(row: Mapping[str, Any]) -> str:
    return f"{row['name']} ~ {distribution(row)}, {row['unit']}: {row['label']}"


def _reason(row: Mapping[str, Any]) -> str:
    source = "" if row["source"] == MODEL_FILE else f" (source: {row['source']})"
    return f"{row['basis']}; {row['why']}{source}"

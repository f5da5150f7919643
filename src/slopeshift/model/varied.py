"""Variations of a model that are stated in a session, written as the text that a model file of them would have.

A fit records the text of its model. With a text, a model varied in a notebook is told apart from the one it varies by
whatever reads the fit, and can be saved as a file.
"""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.model import families
from slopeshift.model.files import ModelError, ModelFile, loaded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def varied(file: ModelFile, name: str, **changes: Any) -> ModelFile:
    """Vary a model: return it under another name, with other priors, family, shape or covariates.

    `changes` are fields of `program.LineModel`, as in `files.variation`. The `source` of what is returned begins with
    the text of a model file that says the same, to be saved beside the one it varies. Raises ModelError where the name
    is no new one, a change is of nothing that the model has, or a value cannot be written as text.
    """
    if not name.isidentifier() or name == file.name or f'__file__ = "{name}.py"\n' in file.source:
        raise ModelError(f"{name!r} names no variation of {file.name}; give it another name, of letters, digits and _")
    words = dict(sorted(_words(changes)))
    text = [
        f'"""{name}: {file.name}.py with another {", ".join(changes) or "name"}.\n\nAll else as there.\n"""\n',
        "from slopeshift.model.files import variation",
        *(f"from {module} import {word}" for word, module in words.items()),
        f"\nOUTCOME = {file.outcome!r}\n",
        f'build = variation("{file.name}.py", {_arguments(changes)})',
        f'\n__file__ = "{file.name}.py"\n{file.source}',
    ]
    return loaded(name, "\n".join(text))


def _arguments(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_written(value)}" for name, value in values.items())


def _written(value: object) -> str:
    """Write a value as Python text. Raises ModelError where a text cannot hold it."""
    match value:
        case float() | np.floating():
            return repr(float(value)) if np.isfinite(value) else f'float("{value}")'
        case None | bool() | int() | str():
            return repr(value)
        case tuple():
            return f"({''.join(f'{_written(each)}, ' for each in value)})"
        case _ if is_dataclass(value) and not isinstance(value, type):
            return f"{_word(type(value))[0]}({_arguments(_stated(value))})"
    raise ModelError(f"{value!r}: a {type(value).__name__} cannot be written as text; state it in a model file")


def _stated(value: Any) -> dict[str, Any]:
    """Take what a value states: its fields that are not as they are by default."""
    given = {each.name: getattr(value, each.name) for each in fields(value)}
    usual = {each.name: each.default for each in fields(value)}
    return {name: each for name, each in given.items() if usual[name] is MISSING or each is not usual[name]}


def _words(value: object) -> Iterator[tuple[str, str]]:
    """Yield the words that a text needs to state a value, each with the module that it is imported from."""
    if is_dataclass(value) and not isinstance(value, type):
        yield _word(type(value))
        value = _stated(value)
    if isinstance(value, dict | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _words(each)


def _word(kind: type) -> tuple[str, str]:
    """Name a class as model files do, and the module that they import it from."""
    lower = [name for name, each in vars(families).items() if each is kind and name.islower()]
    return (lower[0], families.__name__) if lower else (kind.__name__, kind.__module__)

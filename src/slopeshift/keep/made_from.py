"""What an answer was made from, by content.

The code that decides an answer is computed, not listed: the modules that make it and everything that they import, to
the end. It is hashed as syntax, without comments and docstrings, so that changed words make nothing out of date.
"""

from __future__ import annotations

import ast
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PACKAGE = Path(__file__).parents[1]
"""The folder of this package, whose modules are followed; other packages are recorded by their versions."""


def code(*modules: str) -> str:
    """Hash the code of modules of this package and of all that they import: 64 hexadecimal digits.

    Modules are named without the package: `fit.sample`. Imports are followed wherever they stand, in functions and for
    types too, so that what is hashed is never less than what is run. Raises LookupError where there is no such module.
    """
    return _hashed(frozenset(modules))


def program(source: str) -> str:
    """Hash a program's text, such as that of a model file, without its words: 64 hexadecimal digits."""
    return sha256(without_docstrings(source).encode()).hexdigest()


def key(*parts: str, modules: Iterable[str]) -> str:
    """Hash texts together with the code of modules: 24 hexadecimal digits, to name what is kept of a job by.

    Raises LookupError as `code` does.
    """
    return sha256("\0".join([*parts, code(*modules)]).encode()).hexdigest()[:24]


@cache
def _hashed(modules: frozenset[str]) -> str:
    texts = (f"{name}\0{without_docstrings(_text(name))}" for name in sorted(closure(modules)))
    return sha256("\0".join(texts).encode()).hexdigest()


def closure(modules: frozenset[str]) -> frozenset[str]:
    """Add to modules all that they import, to the end. Raises LookupError where there is no such module."""
    found, new = set[str](), set(modules)
    while new:
        found |= new
        new = set[str]().union(*(imported(_text(name)) for name in new)) - found
    return frozenset(found)


def imported(source: str, *, types: bool = False) -> frozenset[str]:
    """Name the modules of this package that a text imports, and the packages around them: anywhere in what runs.

    What is imported for `types` alone decides nothing, and is left out unless it is asked for.
    """
    return _imported(ast.parse(source), types=types) if types else _read(source)[0]


def without_docstrings(source: str) -> str:
    """Write a program out without comments, docstrings and layout: what is left decides what it does."""
    return _read(source)[1]


@cache
def _read(source: str) -> tuple[frozenset[str], str]:
    """Read a text once, as every command does with most of the package: what it imports, and what decides."""
    tree = ast.parse(source)
    found = _imported(tree)
    for node in (tree, *_statements(tree)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [line for line in node.body if not _is_text(line)] or [ast.Pass()]
    return found, ast.unparse(tree)


def _imported(tree: ast.Module, *, types: bool = False) -> frozenset[str]:
    found = set[str]()
    for statement in _statements(tree, types=types):
        match statement:
            case ast.ImportFrom(module=str(module), names=names) if module.partition(".")[0] == PACKAGE.name:
                found |= {*_named(module), *(name for a in names for name in _named(f"{module}.{a.name}"))}
            case ast.Import(names=names):
                found |= {name for a in names if a.name.startswith(f"{PACKAGE.name}.") for name in _named(a.name)}
    return frozenset(found)


def _statements(node: ast.AST, *, types: bool = True) -> Iterator[ast.stmt]:
    """Walk through the statements in a statement, which are few beside expressions; with those for `types` or not."""
    for part in ("body", "handlers", "cases", "orelse", "finalbody"):
        if part == "body" and not types and _is_of_types(node):
            continue
        for inner in getattr(node, part, ()):
            if isinstance(inner, ast.stmt):
                yield inner
            yield from _statements(inner, types=types)


def _is_text(statement: ast.stmt) -> bool:
    """Say whether a statement is a docstring, of an attribute too: a text that nothing is done with."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_of_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _named(dotted: str) -> set[str]:
    """Name the module and the packages around it, as far as there are files; the package itself is no module of it."""
    parts = dotted.split(".")[1:]
    return {name for n in range(1, len(parts) + 1) if _path(name := ".".join(parts[:n])) is not None}


@cache
def _path(module: str) -> Path | None:
    place = PACKAGE.joinpath(*module.split("."))
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)


def _text(module: str) -> str:
    path = _path(module)
    if path is None:
        raise LookupError(f"{PACKAGE.name} has no module {module!r}")
    return path.read_text(encoding="utf-8")

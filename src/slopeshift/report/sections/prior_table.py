"""The priors as a model file states them: read from its text, with the comment that stands beside each."""

from __future__ import annotations

import ast
import inspect
import io
import tokenize
from typing import TYPE_CHECKING

from slopeshift.model import priors
from slopeshift.report.words.numbers import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slopeshift.report.analysis import Analysis

_KINDS = {name for name, _ in inspect.getmembers(priors, inspect.isclass)} | {"Prior"}


def stated(analysis: Analysis) -> Table:
    """Print every prior of the model file: what it is of, its numbers, and what the file says of unit and source.

    A model whose text has no prior in it gets an empty table.
    """
    borrowed = analysis.trial.control is not None
    rows = [
        [name, text, comment or "none beside it", "not stated"]
        for name, text, comment in _found(str(analysis.record["source"]), borrowed)
    ]
    columns = ["Parameter", "Prior", "Unit and source, as the model file says", "Class of justification"]
    return Table("Priors, as stated in the model file", "llll", columns, rows)


def _found(source: str, borrowed: bool) -> Iterator[tuple[str, str, str]]:
    """Yield name, text and comment of every prior in the text of a model file; nothing where it cannot be read."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    comments = _comments(source)
    for name, node in _named(tree, ""):
        text = ast.unparse(node).replace("bmb.Prior", "Prior")
        if borrowed and name == "slope":
            text = "taken from the trial’s control: see limitations"
        yield name, text, comments.get(node.end_lineno or 0, comments.get(node.lineno, ""))


def _named(node: ast.AST, name: str) -> Iterator[tuple[str, ast.Call]]:
    """Walk a tree for calls that make a prior; each goes by the keyword, key or first text that it stands beside."""
    if isinstance(node, ast.Call):
        texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        if _called(node) in _KINDS:
            if not any(keyword.arg == "observed" for keyword in node.keywords):
                yield name or (texts[0] if texts else ""), node
            return
        own = texts[0] if texts else name
        for argument in node.args:
            yield from _named(argument, own)
        for keyword in node.keywords:
            yield from _named(keyword.value, keyword.arg or own)
        return
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            label = key.value if isinstance(key, ast.Constant) else name
            yield from _named(value, str(label))
        return
    for child in ast.iter_child_nodes(node):
        yield from _named(child, name)


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _comments(source: str) -> dict[int, str]:
    """Find the comment of every line that has one."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}

"""The priors as a model file states them: read from its text, with the comment that stands beside each."""

from __future__ import annotations

import ast
import inspect
import io
import tokenize
from typing import TYPE_CHECKING

from slopeshift.answers import quantities
from slopeshift.design.cycles import OVERALL
from slopeshift.fit.posterior import SAMPLES
from slopeshift.model import priors
from slopeshift.report.analysis import prior_base_rate
from slopeshift.report.wording import Table, probability, share

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


def implied(analysis: Analysis) -> Table:
    """Print what the priors say of patients before any data: of slopes, of slowing, and of values beyond the scale."""
    prior = analysis.prior_patients
    slope = analysis.posterior.prior.draws["coefficients"].sel(coefficient="slope")
    rows = [["A patient’s slope before treatment is above 0", probability(float((slope > 0).mean()))]]
    if analysis.posterior.design.sizes.get("injection", 0) and prior.sizes["row"]:
        cycles = prior.sel(row=(prior["injection"] != OVERALL).to_numpy())
        half = quantities.slows(cycles["change"], cycles["slope"], float(cycles["sign"]), 50.0).mean((*SAMPLES, "row"))
        rows += [
            ["A patient slows by 25 % or more after an injection", probability(prior_base_rate(analysis))],
            ["A patient slows by 50 % or more after an injection", probability(float(half))],
        ]
    outcome = analysis.visits.outcome
    predicted = analysis.fit.tree["prior_predictive"][analysis.record["outcome"]]
    for end, beyond in (
        (outcome.minimum, predicted < (outcome.minimum or 0.0)),
        (outcome.maximum, predicted > (outcome.maximum or 0.0)),
    ):
        if end is not None:
            side = "below" if end == outcome.minimum else "above"
            rows.append([f"A predicted value lies {side} {end:g}", share(float(beyond.mean()))])
    return Table("What the priors imply, before any data", "lr", ["Statement", "Probability or share"], rows)


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

"""Change one line of the code at a time, and see whether the tests notice.

Mutants are made by rules from the code as it stands: comparisons are flipped or moved by one, signs and constants
changed, guards deleted, one method of an estimate exchanged for another. Each is written into a copy of the tree, never
into the tree itself, and the test files of its target are run there. A mutant that no test notices is printed: it is
either a promise that nothing holds, or equivalent to the code, which EQUIVALENT then says, with the reason.

    python scripts/mutants.py [TARGET ...] [--number N] [--seed S] [--workers W]
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import fnmatch
import importlib
import importlib.util
import multiprocessing
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "src/slopeshift"


@dataclass(frozen=True)
class Target:
    """Code that is mutated, and the test files that must notice: patterns of paths below the package and `tests`."""

    code: tuple[str, ...]
    tests: tuple[str, ...]


TARGETS = {
    "design": Target(("design/*.py",), ("test_pinned_design.py", "test_pinned_covariates.py")),
    "quantities": Target(("answers/quantities*",), ("test_promises.py", "test_pinned_answers.py")),
    "convergence": Target(("answers/convergence.py",), ("test_promises.py",)),
    "tables": Target(("answers/tables.py", "answers/stored.py"), ("test_pinned_answers.py", "test_pinned_stored.py")),
    "rules": Target(("checks/rules.py", "sensitivity/rules.py"), ("test_pinned_rules.py",)),
    "families": Target(("model/families/*.py",), ("test_pinned_families.py",)),
}
"""Only tests that compile no model, so that a mutant costs seconds."""

_FLOORED = 'by_size, by_chance = distance / (MOVED_SDS * one["sd"]), distance / (MOVED_Z * np.sqrt(max(extra, {})))'

EQUIVALENT: dict[tuple[str, str], str] = {
    ("BLOCK = 1000", "BLOCK = 1001"): "how many rows are summarised at a time changes no number",
    (
        'return closed[["patient", "injection", ACTUAL, PLANNED]].reset_index(drop=True)',
        'return closed[["patient", "injection", ACTUAL, PLANNED]].reset_index(drop=False)',
    ): "a column more, which nobody reads",
    (
        "for number in range(1, int(order.number.max(initial=0)) + 1):",
        "for number in range(1, int(order.number.max(initial=0)) + 2):",
    ): "one step more, of no visit",
    **{
        (_FLOORED.format("1e-12"), _FLOORED.format(other)): "a floor far below any variance, against a division by zero"
        for other in ("1.25e-12", "8e-13")
    },
}
"""Mutants that compute the same, by the line before and after: why. Two kinds are never made: of what only types need,
and of `strict` in a zip of columns of one table, which have one length."""

SECONDS = 60
"""Processor time of the tests of one mutant, beyond which it counts as killed: a loop that never ends. Not time on the
clock, which on a busy machine would kill every mutant."""

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
WORDS = {
    "any": "all",
    "all": "any",
    "max": "min",
    "min": "max",
    "mean": "median",
    "median": "mean",
    "sum": "mean",
    "minimum": "maximum",
    "maximum": "minimum",
    "fmin": "fmax",
    "inverted_cdf": "nearest",
    "bulk": "tail",
    "tail": "bulk",
    "left": "right",
}
"""Methods of an estimate, as attributes or texts, each with one that it must not be taken for."""


@dataclass(frozen=True, order=True)
class Mutant:
    """One changed line of one file: its path from the root, the line's number from 1, and both texts."""

    path: str
    line: int
    before: str
    after: str

    @property
    def equivalent(self) -> bool:
        """Whether it is known to compute the same."""
        return (self.before.strip(), self.after.strip()) in EQUIVALENT

    def __str__(self) -> str:
        """Return what a reader needs to find it."""
        return f"{self.path}:{self.line}\n    - {self.before.strip()}\n    + {self.after.strip()}"


def alternatives(node: ast.AST) -> Iterator[ast.AST]:
    """Make every mutant of one expression or statement, itself only."""
    changed = copy.deepcopy(node)
    match changed:
        case ast.Compare(ops=[op]):
            for other in COMPARISONS[type(op)]:
                changed.ops = [other()]
                yield changed
        case ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in ARITHMETIC:
            changed.op = ARITHMETIC[type(op)]()
            yield changed
        case ast.UnaryOp(op=ast.USub() | ast.Not() | ast.Invert(), operand=operand):
            yield operand
        case ast.Attribute(value=of, attr=name) if name in WORDS and (name not in ("mean", "median") or _is_numpy(of)):
            changed.attr = WORDS[name]
            yield changed
        case ast.Constant(value=value):
            yield from map(ast.Constant, _other_values(value))


def _is_numpy(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "np"


def _other_values(value: object) -> Iterator[object]:
    """Shift a number, turn a truth value round, exchange the name of a method."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, float):
        yield from (value * 1.25 + (value == 0), value * 0.8 - (value == 0))
    elif isinstance(value, str) and value in WORDS:
        yield WORDS[value]


def _code(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk through what is computed: no docstring, annotation, import or text of a message."""
    for name, field in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list") or _is_text(tree, name):
            continue
        for node in field if isinstance(field, list) else [field]:
            if isinstance(node, ast.AST) and not isinstance(node, ast.Raise | ast.JoinedStr | ast.Import):
                yield node
                yield from _code(node)


def _is_text(tree: ast.AST, name: str) -> bool:
    lone = isinstance(tree, ast.Expr) and isinstance(tree.value, ast.Constant)
    strict = isinstance(tree, ast.keyword) and tree.arg == "strict"
    return (
        lone
        or strict
        or _types_only(tree)
        or (isinstance(tree, ast.Subscript) and name == "slice" and _is_name(tree.slice))
    )


def _types_only(tree: ast.AST) -> bool:
    return isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING"


def _is_name(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def mutants_of(path: str, text: str) -> list[Mutant]:
    """Make every mutant of a file: each changes one line and still parses."""
    lines, found = text.splitlines(), set()
    for node in _code(ast.parse(text)):
        if isinstance(node, ast.If) and node.test.lineno == node.test.end_lineno and not _types_only(node):
            found.add(_written(path, lines, node.test, "False"))
        if getattr(node, "lineno", 0) == getattr(node, "end_lineno", -1):
            for other in alternatives(node):
                # In brackets, an expression means the same wherever it stands.
                plain = isinstance(other, ast.Constant | ast.Attribute)
                found.add(_written(path, lines, node, ast.unparse(other) if plain else f"({ast.unparse(other)})"))
    return sorted(each for each in found if _parses(lines, each) and not each.equivalent)


def _written(path: str, lines: Sequence[str], node: ast.expr | ast.stmt, new: str) -> Mutant:
    line = lines[node.lineno - 1].encode()
    after = line[: node.col_offset] + new.encode() + line[node.end_col_offset :]
    return Mutant(path, node.lineno, line.decode(), after.decode())


def _parses(lines: Sequence[str], mutant: Mutant) -> bool:
    with contextlib.suppress(SyntaxError):
        ast.parse("\n".join([*lines[: mutant.line - 1], mutant.after, *lines[mutant.line :]]))
        return mutant.before != mutant.after
    return False


def files_of(target: Target) -> list[str]:
    """List the files of a target, from the root. Raises LookupError where its patterns find none."""
    every = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / PACKAGE).rglob("*.py"))
    found: set[str] = set()
    for pattern in target.code:
        found |= set(fnmatch.filter(every, f"{PACKAGE}/{pattern}"))
    if not found:
        raise LookupError(f"no file of {PACKAGE} is like {' or '.join(target.code)}: say in TARGETS where it went")
    return sorted(path for path in found if not path.endswith("__init__.py") or mutants_of_file(path))


def mutants_of_file(path: str) -> list[Mutant]:
    """Make every mutant of a file of the tree."""
    return mutants_of(path, (ROOT / path).read_text())


def chosen(target: Target, number: int, seed: int) -> list[Mutant]:
    """Draw `number` mutants of a target, no two of one line while there are other lines, the same for the same seed."""
    rng = random.Random(seed)
    every = [mutant for path in files_of(target) for mutant in mutants_of_file(path)]
    rng.shuffle(every)
    lines: dict[tuple[str, int], int] = {}
    turn = {}
    for mutant in every:
        lines[mutant.path, mutant.line] = turn[mutant] = lines.get((mutant.path, mutant.line), 0) + 1
    return sorted(every, key=turn.__getitem__)[:number]


def copied(folder: Path) -> Path:
    """Copy what git knows of the tree, edited or new files included, into a folder."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def _run(tree: Path, tests: Sequence[str], kept: bool) -> None:
    """Run test files in a copied tree and leave with pytest's code: for a process of its own.

    `kept`: bytecode is kept for later runs. Never that of a mutant: two texts of one length and one second would be
    taken for the same.
    """
    files = sorted({str(path) for pattern in tests for path in (tree / "tests").glob(pattern)})
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    os.chdir(tree)
    sys.path[:0] = [str(tree / "src"), str(tree / "tests")]
    sys.dont_write_bytecode = not kept
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    import pytest

    options = ["-x", "-q", "-p", "no:cacheprovider", "--assert=plain", "--hypothesis-seed=0"]
    os._exit(int(pytest.main([*options, *files])))


def passes(tree: Path, tests: Sequence[str], kept: bool = False) -> bool:
    """Say whether the test files pass in a copied tree; a run of more than SECONDS does not."""
    process = multiprocessing.get_context("fork").Process(target=_run, args=(tree, tests, kept))
    process.start()
    process.join()
    return process.exitcode == 0


def survives(tree: Path, mutant: Mutant, tests: Sequence[str]) -> bool:
    """Say whether the tests pass with the mutant in the copied tree, which is then as it was."""
    file = tree / mutant.path
    text = file.read_text()
    lines = text.split("\n")
    lines[mutant.line - 1] = mutant.after
    file.write_text("\n".join(lines))
    Path(importlib.util.cache_from_source(str(file))).unlink(missing_ok=True)
    try:
        return passes(tree, tests)
    finally:
        file.write_text(text)


def study(names: Sequence[str], number: int, seed: int, workers: int = 2) -> tuple[int, list[Mutant]]:
    """Run `number` mutants of each target. Returns how many were made, and those that survived.

    Raises RuntimeError where a test fails without any mutant.
    """
    _load_once()
    jobs = [(mutant, TARGETS[name].tests) for name in names for mutant in chosen(TARGETS[name], number, seed)]
    with tempfile.TemporaryDirectory() as folder:
        trees = [copied(Path(folder) / str(k)) for k in range(workers)]
        every = sorted({test for name in names for test in TARGETS[name].tests})
        if not passes(trees[0], every, kept=True):
            raise RuntimeError(f"a test fails as it is: run {' '.join(every)}")
        processes = [_Worker(trees[k], jobs[k::workers]) for k in range(workers)]
        survivors = [mutant for process in processes for mutant in process.survivors()]
    return len(jobs), sorted(survivors)


class _Worker:
    """A process that runs its share of the mutants in a tree of its own."""

    def __init__(self, tree: Path, jobs: Sequence[tuple[Mutant, Sequence[str]]]) -> None:
        context = multiprocessing.get_context("fork")
        self._found, out = context.Pipe(duplex=False)
        self._process = context.Process(target=self._work, args=(out, tree, jobs))
        self._process.start()
        out.close()

    @staticmethod
    def _work(out: object, tree: Path, jobs: Sequence[tuple[Mutant, Sequence[str]]]) -> None:
        found = []
        for number, (mutant, tests) in enumerate(jobs, 1):
            alive = survives(tree, mutant, tests)
            found += [mutant] * alive
            print(f"{number}/{len(jobs)} {'SURVIVED' if alive else 'killed'} {mutant}", flush=True)
        out.send(found)

    def survivors(self) -> list[Mutant]:
        found: list[Mutant] = self._found.recv()
        self._process.join()
        return found


def _load_once() -> None:
    """Load what every run needs, so that each begins as a fork of this process: but nothing of the package."""
    for name in ("hypothesis", "jinja2", "matplotlib.figure", "pydantic", "pytest", "scipy.stats", "typer"):
        importlib.import_module(name)
    import arviz
    import numpy as np
    import pymc
    from pytensor.compile.mode import Mode

    draws = arviz.from_dict({"posterior": {"energy": np.random.default_rng(0).normal(size=(2, 10))}})
    for diagnostic in (arviz.rhat, arviz.ess, arviz.mcse):  # each loads more when it is first called
        diagnostic(draws)
    arviz.bfmi(draws["posterior"].to_dataset())
    law = pymc.Normal.dist(0.0, 1.0)
    pymc.logp(law, 0.0).eval(mode=Mode(linker="py", optimizer=None))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mutants that were asked for and print those that survived; 1 where fewer than 90 % were killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", default=list(TARGETS), metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--number", type=int, default=14, help="mutants of each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args(arguments)
    made, survivors = study(asked.targets, asked.number, asked.seed, asked.workers)
    print(f"{made - len(survivors)} of {made} mutants killed ({1 - len(survivors) / made:.0%})")
    return int(len(survivors) > 0.1 * made)


if __name__ == "__main__":
    sys.exit(main())

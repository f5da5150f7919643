"""Model files: loaded by path, checked against their contract, and printed.

A model file is a Python program with a docstring whose first line is `Name: sentence.`, a string `OUTCOME` that names
the outcome it is for, and `build`, a function or a value that is called with a trial and returns a `pymc.Model`. A
`SHAPE` says how changes act in time, unless `build` knows, and a `GRID` of shapes which others are compared with it:
all with the same coefficients, so that one compiled model serves them. A file that varies another states only what
differs: `build = variation("alsfrsr.py", family=student_t(nu=...))`.
"""

from __future__ import annotations

import ast
import posixpath
import re
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from slopeshift.design.shape import PLAIN, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pymc as pm

    from slopeshift.design.visits import Visits
    from slopeshift.model.program import LineModel
    from slopeshift.trial import Trial


class ModelError(ValueError):
    """A model file does not keep the contract; the text lists every point in which it does not."""


@dataclass(frozen=True)
class ModelFile:
    """A loaded model file: its name (the file's stem), text, outcome, and `build`, from a trial to a pymc.Model.

    `source` is the text of the file with those of the files that it varies (see `source_of`), and `varies` is the model
    that it varies, if any. `shape` says how changes act in time; `grid` are the shapes to compare it with, itself among
    them, or empty.
    """

    name: str
    title: str
    description: str
    source: str
    outcome: str
    shape: Shape
    grid: tuple[Shape, ...]
    build: Callable[[Trial], pm.Model]
    varies: ModelFile | None = None

    @cached_property
    def sha256(self) -> str:
        """Hash of all of its text."""
        return sha256(self.source.encode()).hexdigest()

    def misfit(self, trial: Trial) -> str:
        """Say why the model is not for a trial: empty where it is."""
        if self.outcome not in trial.outcomes:
            return f"the trial records no {self.outcome}"
        by_arm = getattr(self.build, "arms", None) is not None
        if by_arm and not trial.compares:
            return "the trial has no two arms that are injected, or agents, to compare"
        if trial.compares and not by_arm:
            return "made for one group of patients, and this trial compares two arms"
        return ""

    def visits(self, trial: Trial) -> Visits:
        """Take what the model is about from a trial. Raises LookupError where the trial does not record the outcome."""
        from slopeshift.design.visits import visits_of

        return visits_of(trial, self.outcome, self.shape)

    def stated(self) -> list[dict[str, Any]]:
        """List the priors as the file states them, whatever the trial: rows of the prior table (see `stated.row`).

        Raises ModelError where `build` is a function, whose priors are known once it has built a model.
        """
        if not hasattr(self.build, "stated"):
            raise ModelError(f"{self.name}: its build is a function, whose priors show on a trial; name one: --trial")
        rows: list[dict[str, Any]] = self.build.stated()
        return rows


def leading(outcomes: Mapping[str, str]) -> list[str]:
    """Choose the models that answer the question: of each outcome the one named after it, else all of its models.

    `outcomes` gives the outcome of each model that is for the trial. The other models vary these, check them or ask
    something else. See `names_of`.
    """
    named = {outcome for model, outcome in outcomes.items() if model in names_of(outcome)}
    return [model for model, outcome in outcomes.items() if model in names_of(outcome) or outcome not in named]


def names_of(outcome: str) -> tuple[str, str]:
    """Name the models that answer for an outcome: of one group of patients, and of two arms, each for its trials."""
    return outcome, f"{outcome}_arms"


# ---- the text of a file and of those that it varies ----

VARIED = re.compile(r'^__file__ = "(.+)"\n', flags=re.M)
"""The line of a model's source after which the text of a file that it varies begins."""


def source_of(path: Path) -> str:
    """Read a model file, and after it the files that it varies, each after a line that names it: one Python text.

    Nothing is run. Names are relative to the folder of the model file. Raises FileNotFoundError, also for a file that
    is varied and not there, UnicodeDecodeError, SyntaxError, or ModelError where files vary each other in a circle.
    """
    texts, name = {"": path.read_text(encoding="utf-8")}, ""
    while (stated := _varied(texts[name])) is not None:
        name = _beside(name, stated)
        if name in texts or name == path.name:
            raise ModelError(f"{path}: it varies {name}, which varies it in turn; let one of them be a full model")
        texts[name] = (path.parent / name).read_text(encoding="utf-8")
    return "".join(text if not name else f'\n__file__ = "{name}"\n{text}' for name, text in texts.items())


def _beside(name: str, stated: str) -> str:
    """Name a file that is stated in another one, relative to the folder of the model file."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), stated))


def _varied(text: str) -> str | None:
    """Find the file that a model file varies, None where it is a full model."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(func=ast.Name(id="variation"), args=[ast.Constant(value=str(file)), *_]):
                return file
    return None


def load_model(path: Path) -> ModelFile:
    """Run a model file and return what it defines.

    Raises ModelError, with every breach of the contract at once, what `source_of` raises, or what running it raises.
    """
    return loaded(path.stem, source_of(path), str(path))


def loaded(name: str, source: str, path: str = "") -> ModelFile:
    """Run the source of a model, as `source_of` gives it, and return what it defines. Raises as `load_model` does."""
    text, *rest = VARIED.split(source)
    beside = source[len(text) :]
    token = _RUNNING.set(_Running({"": text} | dict(zip(rest[::2], rest[1::2], strict=True))))
    try:
        module = _run(path or f"{name}.py", text)
        file = _checked(name, path or f"{name}.py", module, text + beside)
        return replace(file, varies=_RUNNING.get().varied)
    finally:
        _RUNNING.reset(token)


# ---- running a file ----


@dataclass
class _Running:
    """The texts that a model that is being loaded may name; `name` is that of the file, `varied` what it varies."""

    texts: dict[str, str]
    name: str = ""
    varied: ModelFile | None = None


_RUNNING: ContextVar[_Running] = ContextVar("running")


def variation(file: str, **changes: Any) -> LineModel:
    """Vary the model of another file, named relative to this one: return it with other priors, family or shape.

    `changes` are fields of `program.LineModel`. A family whose prior of `sigma` is not stated keeps the one varied.
    Raises ModelError where the file is no line model, a change is of nothing that it has, or it is called outside of a
    model file.
    """
    from slopeshift.model.program import LineModel

    running = _RUNNING.get(None)
    name = None if running is None else _beside(running.name, file)
    if running is None or name not in running.texts:
        raise ModelError(f'variation("{file}"): call it in a model file, with the name written out')
    inner = _Running(running.texts, name)
    token = _RUNNING.set(inner)
    try:
        path = Path(name)
        base = _checked(path.stem, name, _run(name, running.texts[name]), running.texts[name])
        running.varied = replace(base, varies=inner.varied)
    finally:
        _RUNNING.reset(token)
    if not isinstance(base.build, LineModel):
        raise ModelError(f"{file}: only a line model can be varied, and its build is another function")
    try:
        return base.build.varied(**changes)
    except TypeError as error:
        raise ModelError(f'variation("{file}"): {error}') from None


def _run(path: str, text: str) -> ModuleType:
    """Run a text, rather than importing its file, which could take stale bytecode instead of what is hashed."""
    module = ModuleType(f"slopeshift_model_{Path(path).stem}")
    module.__file__ = path
    exec(compile(text, path, "exec"), module.__dict__)
    return module


def _checked(name: str, path: str, module: ModuleType, source: str) -> ModelFile:
    """Check what a file defines against the contract."""
    description = (module.__doc__ or "").strip()
    title, colon, _ = description.partition("\n")[0].partition(":")
    build, outcome = getattr(module, "build", None), getattr(module, "OUTCOME", None)
    breaches = []
    if not colon:
        breaches.append("its docstring must begin with a line `Name: sentence.`")
    if not isinstance(outcome, str):
        breaches.append('it must name its outcome: OUTCOME = "alsfrsr"')
    elif (other := getattr(build, "outcome", outcome)) != outcome:
        breaches.append(f"its OUTCOME is {outcome!r}, and that of what it builds {other!r}")
    if not callable(build):
        breaches.append("it must define build(trial), returning a pymc.Model")
    shape, grid = getattr(build, "shape", getattr(module, "SHAPE", PLAIN)), tuple(getattr(module, "GRID", ()))
    breaches += _breaches_of_shape(shape, grid)
    if breaches:
        raise ModelError(f"{path}: " + "; ".join(breaches))
    return ModelFile(name, title, description, source, module.OUTCOME, shape, grid, module.build)


def _breaches_of_shape(shape: object, grid: tuple[object, ...]) -> list[str]:
    if not all(isinstance(each, Shape) for each in (shape, *grid)):
        return ["its SHAPE must be a shape, and its GRID a tuple of them: SHAPE = Shape(window=3.0)"]
    if grid and shape not in grid:
        return ["its SHAPE must be one of its GRID"]
    if len({(each.natural, each.changes((1,))) for each in grid if isinstance(each, Shape)}) > 1:
        return ["the shapes of its GRID must have the same coefficients: either all or none with a window, or curved"]
    return []

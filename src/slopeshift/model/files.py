"""Model files: loaded by path, held to their contract.

A model file is a Python program with a docstring whose first line is `Name: sentence.`, a string `OUTCOME` that names
the outcome it is for, and a function `build(trial)` that returns a `pymc.Model`. A `SHAPE` says, where it is there, how
changes act in time, and a `GRID` of shapes which others are compared with it: all with the same coefficients, so that
one compiled model serves them.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from types import ModuleType
from typing import TYPE_CHECKING

from slopeshift.design.shape import PLAIN, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pymc as pm

    from slopeshift.design.visits import Visits
    from slopeshift.trial import Trial


class ModelError(ValueError):
    """A model file does not keep the contract; the text lists every point in which it does not."""


@dataclass(frozen=True)
class ModelFile:
    """A loaded model file: its name (the file's stem), text, outcome, and `build`, from a trial to a pymc.Model.

    `shape` says how changes act in time; `grid` are the shapes to compare it with, itself among them, or empty.
    """

    name: str
    title: str
    description: str
    source: str
    sha256: str
    outcome: str
    shape: Shape
    grid: tuple[Shape, ...]
    build: Callable[[Trial], pm.Model]

    def visits(self, trial: Trial) -> Visits:
        """Take what the model is about from a trial. Raises LookupError where the trial does not record the outcome."""
        from slopeshift.design.visits import visits_of

        return visits_of(trial, self.outcome, self.shape)


def leading(outcomes: Mapping[str, str]) -> list[str]:
    """Choose the models that answer the question: of each outcome the one named after it, else all of its models.

    `outcomes` gives each model's outcome. The other models vary these, check them or ask something else.
    """
    named = {outcome for model, outcome in outcomes.items() if model == outcome}
    return [model for model, outcome in outcomes.items() if model == outcome or outcome not in named]


def load_model(path: Path) -> ModelFile:
    """Run a model file and return what it defines.

    Raises ModelError, with every breach of the contract at once, FileNotFoundError, or what running the file raises.
    """
    content = path.read_bytes()
    source = content.decode("utf-8")
    module = ModuleType(f"slopeshift_model_{path.stem}")
    module.__file__ = str(path)
    # Run the text that is hashed, rather than importing the file, which could take stale bytecode instead.
    exec(compile(source, path, "exec"), module.__dict__)
    description = (module.__doc__ or "").strip()
    title, colon, _ = description.partition("\n")[0].partition(":")
    breaches = []
    if not colon:
        breaches.append("its docstring must begin with a line `Name: sentence.`")
    if not isinstance(getattr(module, "OUTCOME", None), str):
        breaches.append('it must name its outcome: OUTCOME = "alsfrsr"')
    if not callable(getattr(module, "build", None)):
        breaches.append("it must define build(trial), returning a pymc.Model")
    shape, grid = getattr(module, "SHAPE", PLAIN), tuple(getattr(module, "GRID", ()))
    breaches += _breaches_of_shape(shape, grid)
    if breaches:
        raise ModelError(f"{path}: " + "; ".join(breaches))
    digest = sha256(content).hexdigest()
    return ModelFile(path.stem, title, description, source, digest, module.OUTCOME, shape, grid, module.build)


def _breaches_of_shape(shape: object, grid: tuple[object, ...]) -> list[str]:
    if not all(isinstance(each, Shape) for each in (shape, *grid)):
        return ["its SHAPE must be a shape, and its GRID a tuple of them: SHAPE = Shape(window=3.0)"]
    if grid and shape not in grid:
        return ["its SHAPE must be one of its GRID"]
    if len({(each.natural, each.changes((1,))) for each in grid if isinstance(each, Shape)}) > 1:
        return ["the shapes of its GRID must have the same coefficients: either all or none with a window, or curved"]
    return []

"""What a model states, recorded on the PyMC model as it is built: its family, and every prior with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import pymc as pm
    from pytensor.tensor import TensorVariable

    from slopeshift.model.priors import Prior

NOT_STATED = "not stated"


@dataclass(frozen=True)
class Parameter:
    """What a parameter is called in print, and its unit, in which `{unit}` stands for that of the outcome."""

    label: str
    unit: str


@dataclass
class Statement:
    """What is recorded while a model is built: the name of its `family`, empty before, and its prior table.

    `entry` says whether it knows the rules by which patients entered. `priors` has a row for each: see `row`.
    """

    family: str = ""
    entry: bool = False
    priors: list[dict[str, Any]] = field(default_factory=list)


def row(name: str, prior: Prior, label: str) -> dict[str, Any]:
    """Lay a prior out as a row of the prior table, of values that JSON has; what is not stated says so.

    Keys: name, label, distribution, numbers (by name), unit, why, basis (class of justification), source.
    """
    said = {key: getattr(prior, key) or NOT_STATED for key in ("unit", "why", "basis", "source")}
    numbers = {key: float(value) for key, value in prior.numbers.items()}
    return {"name": name, "label": label, "distribution": type(prior).__name__, "numbers": numbers, **said}


def statement(model: pm.Model | None = None) -> Statement:
    """Find what a model states, the current PyMC model by default."""
    import pymc as pm

    model = pm.modelcontext(model)
    if not hasattr(model, "statement"):
        model.statement = Statement()
    return cast("Statement", model.statement)


def record(name: str, prior: Prior, label: str) -> None:
    """Add a prior to the table of the current PyMC model."""
    statement().priors.append(row(name, prior, label))


def sampled(name: str, prior: Any, label: str) -> TensorVariable:
    """Sample a scalar from its prior in the current PyMC model, and record the prior."""
    record(name, prior, label)
    return prior.variable(name)

"""Priors as values: numbers, unit, reason and class of justification, as a model file states them.

A prior is described once, in a model file, and read by whatever needs it: as a random variable where a quantity is
sampled, as two numbers where it is integrated out, as a row of the prior table where it is printed.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field, fields
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

BASES = ("weak", "historical", "expert")
"""Classes of justification: weakly informative, from earlier data, or from what experts know."""

MODEL_FILE = "model file"
"""Where the numbers of a prior come from unless it says otherwise."""


@dataclass(frozen=True)
class Prior:
    """Say of a prior what its numbers do not: its `unit`, `why` it is so, and the `basis` of that, one of BASES.

    Each is empty where the model file does not state it; `source` says where the numbers come from. None of them is
    part of the density: priors are equal where their numbers are. Raises ValueError for a basis that is none of BASES.
    """

    _: KW_ONLY
    unit: str = field(default="", compare=False)
    why: str = field(default="", compare=False)
    basis: Literal["", "weak", "historical", "expert"] = field(default="", compare=False)
    source: str = field(default=MODEL_FILE, compare=False)
    positive: ClassVar[tuple[str, ...]] = ("sd",)
    """Numbers that must be finite and above 0."""

    def __post_init__(self) -> None:
        for name in self.positive:
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{self!s}: {name} is {value}; give a finite number above 0")
        if self.basis not in ("", *BASES):
            raise ValueError(f"{self!s}: its basis is {self.basis!r}; give one of {', '.join(BASES)}")

    def __str__(self) -> str:
        """Print the prior as it is written, without unit and reason: `Normal(mean=35, sd=4)`."""
        return f"{type(self).__name__}({', '.join(f'{name}={value:g}' for name, value in self.numbers.items())})"

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers of the density by name, in the order in which they are written."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.compare}

    @property
    def exact(self) -> dict[str, np.float64]:
        """The same in double precision: PyMC takes a Python number for single precision where that can hold it."""
        return {name: np.float64(value) for name, value in self.numbers.items()}


@dataclass(frozen=True)
class Normal(Prior):
    """A normal prior, in the units of what it describes.

    Raises ValueError where `sd` is not a finite number above 0.
    """

    mean: float
    sd: float

    def variable(self, name: str) -> TensorVariable:
        """Add a scalar of this distribution to the current PyMC model."""
        import pymc as pm

        return pm.Normal(name, self.exact["mean"], self.exact["sd"])


@dataclass(frozen=True)
class HalfNormal(Prior):
    """The positive half of Normal(0, sd), for a standard deviation that may be zero.

    Raises ValueError where `sd` is not a finite number above 0.
    """

    sd: float
    may_be_zero: ClassVar[bool] = True

    def variable(self, name: str) -> TensorVariable:
        """Add a scalar of this distribution to the current PyMC model, sampled on the log scale."""
        import pymc as pm

        return pm.HalfNormal(name, sigma=self.exact["sd"])


@dataclass(frozen=True)
class Gamma(Prior):
    """A gamma prior by its mean and standard deviation, for a standard deviation that is known not to be zero.

    Raises ValueError where `mean` or `sd` is not a finite number above 0.
    """

    mean: float
    sd: float
    may_be_zero: ClassVar[bool] = False
    positive: ClassVar[tuple[str, ...]] = ("mean", "sd")

    def variable(self, name: str) -> TensorVariable:
        """Add a scalar of this distribution to the current PyMC model, sampled on the log scale."""
        import pymc as pm

        return pm.Gamma(name, mu=self.exact["mean"], sigma=self.exact["sd"])


@dataclass(frozen=True)
class Beta(Prior):
    """A beta prior with density proportional to x**(a - 1) (1 - x)**(b - 1), for a share or a correlation from 0 to 1.

    Raises ValueError where `a` or `b` is not a finite number above 0.
    """

    a: float
    b: float
    positive: ClassVar[tuple[str, ...]] = ("a", "b")

    def variable(self, name: str) -> TensorVariable:
        """Add a scalar of this distribution to the current PyMC model, sampled on the log-odds scale."""
        import pymc as pm

        return pm.Beta(name, self.exact["a"], self.exact["b"])


@dataclass(frozen=True)
class LKJ(Prior):
    """Density of a correlation matrix R proportional to det(R)**(eta - 1).

    Lewandowski, Kurowicka and Joe (2009), J Multivariate Anal 100:1989-2001. Uniform at eta = 1, closer to zero
    correlation above. Raises ValueError where `eta` is not a finite number above 0.
    """

    eta: float
    positive: ClassVar[tuple[str, ...]] = ("eta",)

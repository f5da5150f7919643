"""Priors as values: what a model file states, with its numbers, before anything is sampled.

A prior is described once, in a model file, and read by whatever needs it: as a random variable where a quantity is
sampled, as two numbers where it is integrated out, as text where it is printed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


def _positive(prior: object, *names: str) -> None:
    for name in names:
        value = getattr(prior, name)
        if not 0 < value < float("inf"):
            raise ValueError(f"{prior!s}: {name} is {value}; give a finite number above 0")


def _text(prior: Normal | HalfNormal | Gamma | Beta | LKJ) -> str:
    return f"{type(prior).__name__}({', '.join(f'{f.name}={getattr(prior, f.name):g}' for f in fields(prior))})"


@dataclass(frozen=True)
class Normal:
    """A normal prior, in the units of what it describes.

    Raises ValueError where `sd` is not a finite number above 0.
    """

    mean: float
    sd: float
    __str__ = _text

    def __post_init__(self) -> None:
        _positive(self, "sd")


@dataclass(frozen=True)
class HalfNormal:
    """The positive half of Normal(0, sd), for a standard deviation that may be zero.

    Raises ValueError where `sd` is not a finite number above 0.
    """

    sd: float
    may_be_zero: ClassVar[bool] = True
    __str__ = _text

    def __post_init__(self) -> None:
        _positive(self, "sd")

    def variable(self, name: str) -> TensorVariable:
        """Add a scalar of this distribution to the current PyMC model, sampled on the log scale."""
        import pymc as pm

        return pm.HalfNormal(name, sigma=self.sd)


@dataclass(frozen=True)
class Gamma:
    """A gamma prior by its mean and standard deviation, for a standard deviation that is known not to be zero.

    Raises ValueError where `mean` or `sd` is not a finite number above 0.
    """

    mean: float
    sd: float
    may_be_zero: ClassVar[bool] = False
    __str__ = _text

    def __post_init__(self) -> None:
        _positive(self, "mean", "sd")

    def variable(self, name: str) -> TensorVariable:
        """Add a scalar of this distribution to the current PyMC model, sampled on the log scale."""
        import pymc as pm

        return pm.Gamma(name, mu=self.mean, sigma=self.sd)


@dataclass(frozen=True)
class Beta:
    """A beta prior with density proportional to x**(a - 1) (1 - x)**(b - 1), for a share or a correlation from 0 to 1.

    Raises ValueError where `a` or `b` is not a finite number above 0.
    """

    a: float
    b: float
    __str__ = _text

    def __post_init__(self) -> None:
        _positive(self, "a", "b")

    def variable(self, name: str) -> TensorVariable:
        """Add a scalar of this distribution to the current PyMC model, sampled on the log-odds scale."""
        import pymc as pm

        return pm.Beta(name, self.a, self.b)


@dataclass(frozen=True)
class LKJ:
    """Density of a correlation matrix R proportional to det(R)**(eta - 1).

    Lewandowski, Kurowicka and Joe (2009), J Multivariate Anal 100:1989-2001. Uniform at eta = 1, closer to zero
    correlation above. Raises ValueError where `eta` is not a finite number above 0.
    """

    eta: float
    __str__ = _text

    def __post_init__(self) -> None:
        _positive(self, "eta")

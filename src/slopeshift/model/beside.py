"""A regression beside the line, as a word of model files: one that the engine knows, so that nothing is compiled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pymc as pm

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


@dataclass(frozen=True)
class Regression:
    """The names that a regression beside the line has in its model, see `regression_by_patient`; `known` is a number.

    `scalars` are mean, slope, sd_patient and sd, `data` are value, on and patient.
    """

    observed: str
    z: str
    scalars: tuple[str, ...]
    data: tuple[str, ...]
    known: float


def regression_by_patient(
    name: str,
    value: TensorVariable,
    on: TensorVariable,
    patient: TensorVariable,
    *,
    mean: TensorVariable,
    slope: TensorVariable,
    sd_patient: TensorVariable,
    sd: TensorVariable,
    known: float,
    z: str,
) -> None:
    """Observe values of patients by a regression, in the current PyMC model.

        value_n ~ Normal(mean + slope on_n + sd_patient z[patient_n], sqrt(sd^2 + known^2)),     z ~ Normal(0, 1)

    `value`, `on` and `patient`, the place of each value's patient, are data of the model, (any,) each; `known` is a
    standard deviation below which that of the values cannot fall. The others are sampled scalars, which nothing else
    of the model may depend on. Adds `z` (patient) and the observed variable `name`, and records the regression.
    """
    model = pm.modelcontext(None)
    scatter = pm.math.sqrt(sd**2 + known**2)
    own = sd_patient * pm.Normal(z, dims="patient")
    pm.Normal(
        name, mean + slope * on + own[patient], scatter, observed=value, dims=model.named_vars_to_dims[value.name]
    )
    scalars = tuple(each.name for each in (mean, slope, sd_patient, sd))
    model.regression_beside = Regression(name, z, scalars, tuple(each.name for each in (value, on, patient)), known)


def regression_of(model: pm.Model) -> Regression | None:
    """Find the regression beside the line of a model, None where it has none."""
    return cast("Regression | None", getattr(model, "regression_beside", None))

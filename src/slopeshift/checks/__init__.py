"""Whether a model fits its data, by checks with fixed rules: computed from one stored fit, or from draws of a refit.

`checks_of` is for a stored fit, `checks_of_draws` for a refit to other values; neither reads or writes a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.checks import added, loo, predictive, prior
from slopeshift.checks.comparison import comparison
from slopeshift.checks.loo import LeaveOneOut, leave_one_out
from slopeshift.checks.material import Material, material_of, material_of_draws
from slopeshift.checks.power_scaling import prior_sensitivity
from slopeshift.checks.predictive import Quantity
from slopeshift.checks.rules import FIRES, PRIOR, UNIFORM, UNRELIABLE, Rule, rules

if TYPE_CHECKING:
    import xarray as xr

    from slopeshift.design.visits import Visits
    from slopeshift.fit.store import Fit
    from slopeshift.trial import Trial

__all__ = [
    "FIRES",
    "PRIOR",
    "UNIFORM",
    "UNRELIABLE",
    "Checks",
    "LeaveOneOut",
    "Material",
    "Quantity",
    "Rule",
    "checks_of",
    "checks_of_draws",
    "comparison",
    "fired",
]

SEED = 41
"""Of the noise in the prior's scores."""


@dataclass(frozen=True, eq=False)
class Checks:
    """Everything that was checked of one model's fit.

    `loo` is None where the model stores no log likelihood. `prior_words`, `contraction` and `sensitivity` are None for
    the draws of a refit, which have no prior; `sensitivity` is empty where a fit stores no `log_prior`.
    """

    material: Material
    loo: LeaveOneOut | None
    quantities: list[Quantity]
    rules: tuple[Rule, ...]
    prior_words: pd.DataFrame | None
    contraction: pd.DataFrame | None
    sensitivity: pd.DataFrame | None

    @property
    def loo_table(self) -> pd.DataFrame:
        """The table `loo`; empty where nothing could be left out."""
        empty = pd.DataFrame(columns=loo.COLUMNS.split())
        return empty if self.loo is None else loo.loo_table(self.loo, self.material)

    @property
    def predictive_table(self) -> pd.DataFrame:
        """The table `predictive_checks`."""
        return predictive.table(self.quantities)


def checks_of(trial: Trial, fit: Fit) -> Checks:
    """Check a stored fit. Raises FitError where it is of other values than the trial's."""
    material = material_of(trial, fit)
    sensitivity, contraction = prior_sensitivity(fit, material), prior.contraction(fit)
    found = _checked(material, sensitivity, contraction)
    return Checks(
        material,
        *found,
        prior_words=prior.prior_in_words(fit, material.visits, SEED),
        contraction=contraction,
        sensitivity=sensitivity,
    )


def checks_of_draws(trial: Trial, visits: Visits, draws: xr.Dataset, seed: int) -> Checks:
    """Check the draws of a refit (`refit.Compiled.fit`) to the values of `visits`, which are a trial's or simulated."""
    material = material_of_draws(trial, visits, draws, seed)
    return Checks(material, *_checked(material), prior_words=None, contraction=None, sensitivity=None)


def fired(checks: Checks) -> tuple[str, ...]:
    """Name the checks that fired."""
    return tuple(rule.check for rule in checks.rules if rule.fired)


def _checked(
    material: Material, sensitivity: pd.DataFrame | None = None, contraction: pd.DataFrame | None = None
) -> tuple[LeaveOneOut | None, list[Quantity], tuple[Rule, ...]]:
    left_out, quantities = leave_one_out(material), predictive.quantities(material)
    probabilities = predictive.tail_probabilities(quantities) | added.probabilities(material)
    unreliable = float("nan")
    if left_out is not None:
        probabilities[UNIFORM] = loo.uniformity(left_out.pit)
        unreliable = float(left_out.unreliable)
    if contraction is not None:
        probabilities[prior.CONFLICT] = prior.conflict_probability(contraction)
    return left_out, quantities, rules(probabilities, unreliable, sensitivity)

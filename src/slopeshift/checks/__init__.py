"""Whether a model fits its data, by checks with fixed rules: computed from the posterior of a stored fit or of a refit.

No file is read or written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.checks import added, loo, predictive, prior
from slopeshift.checks.comparison import comparison
from slopeshift.checks.loo import LeaveOneOut, leave_one_out
from slopeshift.checks.power_scaling import prior_sensitivity
from slopeshift.checks.predictive import Quantity
from slopeshift.checks.rules import FIRES, PRIOR, UNIFORM, UNRELIABLE, Rule, rules
from slopeshift.checks.thinned import thinned, with_predictions

if TYPE_CHECKING:
    from slopeshift.fit.posterior import Posterior

__all__ = [
    "FIRES",
    "PRIOR",
    "UNIFORM",
    "UNRELIABLE",
    "Checks",
    "LeaveOneOut",
    "Quantity",
    "Rule",
    "checks_of",
    "comparison",
    "fired",
    "with_predictions",
]

SEED = 41
"""Of the noise in the prior's scores."""


@dataclass(frozen=True, eq=False)
class Checks:
    """Everything that was checked of one model's fit.

    `posterior` has the draws that were looked at. `loo` is None where the model stores no log likelihood.
    `prior_words`, `contraction` and `sensitivity` are None for a refit, of which no prior is stored; `sensitivity` is
    empty where a fit stores no `log_prior`.
    """

    posterior: Posterior
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
        return empty if self.loo is None else loo.loo_table(self.loo, self.posterior)

    @property
    def predictive_table(self) -> pd.DataFrame:
        """The table `predictive_checks`."""
        return predictive.table(self.quantities)


def checks_of(posterior: Posterior) -> Checks:
    """Check a posterior that predictions are stored of; to that of a refit, `with_predictions` adds them.

    Raises LookupError where nothing is predicted.
    """
    some = thinned(posterior)
    if "prior" not in posterior.groups:
        return Checks(some, *_checked(some), prior_words=None, contraction=None, sensitivity=None)
    sensitivity, contraction = prior_sensitivity(some), prior.contraction(posterior)
    found = _checked(some, sensitivity, contraction)
    words = prior.prior_in_words(posterior, SEED)
    return Checks(some, *found, prior_words=words, contraction=contraction, sensitivity=sensitivity)


def fired(checks: Checks) -> tuple[str, ...]:
    """Name the checks that fired."""
    return tuple(rule.check for rule in checks.rules if rule.fired)


def _checked(
    posterior: Posterior, sensitivity: pd.DataFrame | None = None, contraction: pd.DataFrame | None = None
) -> tuple[LeaveOneOut | None, list[Quantity], tuple[Rule, ...]]:
    left_out, quantities = leave_one_out(posterior), predictive.quantities(posterior)
    probabilities = predictive.tail_probabilities(quantities) | added.probabilities(posterior)
    unreliable = float("nan")
    if left_out is not None:
        probabilities[UNIFORM] = loo.uniformity(left_out.pit)
        unreliable = float(left_out.unreliable)
    if contraction is not None:
        probabilities[prior.CONFLICT] = prior.conflict_probability(contraction)
    return left_out, quantities, rules(probabilities, unreliable, sensitivity)

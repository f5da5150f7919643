"""The rules by which a check fires: fixed before any data are seen, and the same for every model.

A check that fires says that the model gets something wrong about these data, not that its answer is wrong; one that is
silent says only that it saw nothing. With eighteen checks of a probability of 0.01 each, one fires on its own in
fewer than one in six of trials in which the model holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from slopeshift.answers.quantities import CLAIMED
from slopeshift.checks.power_scaling import SENSITIVE
from slopeshift.design.cycles import OVERALL

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

FIRES = 0.01
"""Probability of data as far out, in either direction, below which a check fires."""

UNIFORM = "uniformity of leave-one-out probabilities"
UNRELIABLE = "leave-one-out that cannot be relied on"
PRIOR = "prior that moves the change"


@dataclass(frozen=True)
class Rule:
    """One check of one model: the number it is judged by, the limit, and whether it fired. NaN: not computed."""

    check: str
    value: float
    limit: float
    fired: bool


def rules(
    probabilities: Mapping[str, float], unreliable: float, sensitivity: pd.DataFrame | None = None
) -> tuple[Rule, ...]:
    """Hold every check against its limit.

    `probabilities` are of data as far out, by check: below FIRES it fires. `unreliable` is the number of values whose
    Pareto k is above the limit: any fires. `sensitivity` is the table `prior_sensitivity`: that of the overall change
    to any prior fires from SENSITIVE on.
    """
    found = [Rule(check, value, FIRES, value < FIRES) for check, value in probabilities.items()]
    found.append(Rule(UNRELIABLE, unreliable, 0, unreliable > 0))
    if sensitivity is not None and not sensitivity.empty:
        overall = sensitivity[sensitivity["quantity"].isin(CLAIMED) & (sensitivity["injection"] == OVERALL)]
        largest = float(overall["sensitivity"].max()) if len(overall) else float("nan")
        found.append(Rule(PRIOR, largest, SENSITIVE, largest >= SENSITIVE))
    return tuple(found)

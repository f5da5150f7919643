"""The pre-specified decision of a trial: its probability, by the model that decides, and whether it is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slopeshift.answers import quantities
from slopeshift.trial.roles import improvement

if TYPE_CHECKING:
    from slopeshift.fit.posterior import Posterior


def chance_above(posterior: Posterior, margin: float) -> float:
    """Give Pr(overall change for the better > margin), `margin` in outcome units a month.

    The change is that of `quantities.change`: with arms, their difference. Raises LookupError where nothing informs it.
    """
    change = improvement(quantities.change(posterior), float(posterior.visits.outcome.sign))
    return float((change > margin).mean())

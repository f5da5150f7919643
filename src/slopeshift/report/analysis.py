"""One fit with everything that the report derives from it, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.answers import quantities
from slopeshift.answers.tables import results_of
from slopeshift.checks.residuals import NEAR_END_SDS
from slopeshift.design.cycles import OVERALL
from slopeshift.fit.posterior import SAMPLES, posterior_of
from slopeshift.model.files import leading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import xarray as xr

    from slopeshift.answers.tables import Results
    from slopeshift.design.visits import Visits
    from slopeshift.fit.posterior import Posterior
    from slopeshift.fit.store import Fit
    from slopeshift.trial import Trial

NEAR_END_SHARE = 0.05
"""A bounded model is preferable where more than this share of values lies near an end of the scale."""


@dataclass(frozen=True)
class Analysis:
    """One fit with what the report derives from it. `anchor` is its short name in the page."""

    anchor: str
    fit: Fit
    results: Results
    posterior: Posterior
    prior_patients: xr.Dataset

    @property
    def record(self) -> Mapping[str, Any]:
        """The record of the fit's making."""
        return self.fit.record

    @property
    def passed(self) -> bool:
        """Whether anything but diagnostics may be shown."""
        return self.results.passed

    @property
    def sign(self) -> int:
        """What changes are multiplied by so that above 0 is better: the sign of the outcome."""
        return self.visits.outcome.sign

    @property
    def rate(self) -> str:
        """Unit of slopes."""
        return self.posterior.rate

    @property
    def visits(self) -> Visits:
        """The values of the fit."""
        return self.posterior.visits

    @property
    def trial(self) -> Trial:
        """The trial of the fit."""
        return self.posterior.trial


def analyse(trial: Trial, fit: Fit, anchor: str) -> Analysis:
    """Derive everything that the report needs of one fit.

    Raises FitError where the fit was made from other data than this trial's.
    """
    posterior = posterior_of(trial, fit)
    return Analysis(anchor, fit, results_of(posterior), posterior, quantities.patients(posterior.prior))


def primary(analyses: Sequence[Analysis]) -> list[Analysis]:
    """Choose the analyses that answer the question (`model.leading`); the others stand beside them."""
    chosen = leading({a.record["model"]: a.record["outcome"] for a in analyses})
    return [a for a in analyses if a.record["model"] in chosen]


def prior_base_rate(analysis: Analysis) -> float:
    """Average, over informed cycles, the prior probability that a patient slows by 25 % or more; NaN without any."""
    prior = analysis.prior_patients
    by_row = quantities.slows(prior["change"], prior["slope"], float(prior["sign"])).mean(SAMPLES)
    return float(by_row[(prior["injection"] != OVERALL).to_numpy()].mean()) if by_row.size else float("nan")


def prior_expected_slowed(analysis: Analysis) -> float:
    """Expect, from the prior alone, the number of patients who slow by 25 % or more on average over their cycles."""
    table = quantities.responders(analysis.prior_patients)
    return float(
        table.loc[
            (table["injection"] == OVERALL) & (table["threshold"] == quantities.SLOWING_PERCENT), "expected"
        ].sum()
    )


def end_of_scale_share(analysis: Analysis) -> float:
    """Share of the values that lie within two residual SDs of an end of the scale; NaN where the gate was failed."""
    if not analysis.passed:
        return float("nan")
    outcome, value = analysis.visits.outcome, analysis.visits.value
    reach = NEAR_END_SDS * float(analysis.posterior.draws["sigma"].mean())
    low = value <= (-np.inf if outcome.minimum is None else outcome.minimum + reach)
    high = value >= (np.inf if outcome.maximum is None else outcome.maximum - reach)
    return float((low | high).mean())

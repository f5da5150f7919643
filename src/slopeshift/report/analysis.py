"""One fit with everything that the report derives from it, computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from slopeshift.answers import quantities
from slopeshift.answers.quantities import OVERALL, SAMPLES
from slopeshift.answers.tables import results_of
from slopeshift.design.shape import shape_of
from slopeshift.design.visits import visits_of
from slopeshift.fit.store import FitError
from slopeshift.model.files import leading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import xarray as xr

    from slopeshift.answers.tables import Results
    from slopeshift.design.visits import Visits
    from slopeshift.fit.store import Fit
    from slopeshift.trial import Trial

NEAR_END_SDS, NEAR_END_SHARE = 2.0, 0.05
"""A bounded model is preferable where more than this share of values lies within so many residual SDs of an end."""


@dataclass(frozen=True)
class Analysis:
    """One fit with what the report derives from it. `anchor` is its short name in the page; `visits` are its data."""

    anchor: str
    fit: Fit
    results: Results
    visits: Visits
    trial: Trial
    prior_population: xr.DataArray
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
    def rate(self) -> str:
        """Unit of slopes."""
        return f"{self.visits.outcome.unit}/month"

    @property
    def posterior(self) -> xr.Dataset:
        """The posterior draws."""
        return self.fit.tree["posterior"].to_dataset()

    @property
    def design(self) -> xr.Dataset:
        """The constant data of the fit."""
        return self.fit.tree["constant_data"].to_dataset()


def analyse(trial: Trial, fit: Fit, anchor: str) -> Analysis:
    """Derive everything that the report needs of one fit.

    Raises FitError where the fit was made from other data than this trial's.
    """
    if fit.record["inputs"]["data"] != trial.files:
        raise FitError(
            f"{fit.record['model']}: this fit was made from other data than trial {trial.name}; fit it again"
        )
    prior, design = fit.tree["prior"].to_dataset(), fit.tree["constant_data"].to_dataset()
    return Analysis(
        anchor=anchor,
        fit=fit,
        results=results_of(fit),
        visits=visits_of(trial, fit.record["outcome"], shape_of(design)),
        trial=trial,
        prior_population=quantities.population(prior, design, fit.record["unit"]),
        prior_patients=quantities.patients(prior, design),
    )


def primary(analyses: Sequence[Analysis]) -> list[Analysis]:
    """Choose the analyses that answer the question (`model.leading`); the others stand beside them."""
    chosen = leading({a.record["model"]: a.record["outcome"] for a in analyses})
    return [a for a in analyses if a.record["model"] in chosen]


def prior_base_rate(analysis: Analysis) -> float:
    """Average, over informed cycles, the prior probability that a patient slows by 25 % or more; NaN without any."""
    prior = analysis.prior_patients
    by_row = quantities.slows(prior["change"], prior["slope"]).mean(SAMPLES)
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
    reach = NEAR_END_SDS * float(analysis.posterior["sigma"].mean())
    low = value <= (-np.inf if outcome.minimum is None else outcome.minimum + reach)
    high = value >= (np.inf if outcome.maximum is None else outcome.maximum - reach)
    return float((low | high).mean())

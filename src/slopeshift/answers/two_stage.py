"""The two-stage answer: patients' changes, estimated first, then regressed on the interval between injections.

    change_ik = intercept + interval (x_ik - xbar) + patient_i + e_ik
    patient_i ~ Normal(0, sd_patient),   e_ik ~ Normal(0, sigma)

Every posterior draw of the changes is a data set of its own, and the coefficient is drawn once from the posterior of
each; these draws together carry the uncertainty of the first stage into the second. The first stage did not know the
interval, and drew patients and cycles towards each other whatever their interval: hence the coefficient is nearer to
zero, and its interval narrower, than those of one model for both, beside which it belongs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from slopeshift.answers import convergence, quantities
from slopeshift.answers.covariates import HARDLY
from slopeshift.answers.random_intercept import Regression
from slopeshift.fit.posterior import SAMPLES
from slopeshift.keep import tables
from slopeshift.keep.made_from import code
from slopeshift.model.priors import HalfNormal, Normal
from slopeshift.trial.roles import improvement

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior
    from slopeshift.fit.store import Fit

    Floats = NDArray[np.float64]

COLUMNS = (
    "analysis quantity unit mean sd lower upper prob_positive prob_shorter_better rhat ess_bulk ess_tail mcse "
    "n_cycles n_patients note"
).split()

READ_AS = (
    "uncertainty of the first stage carried over; nearer to zero and narrower than it should be, because the first "
    "stage did not know the interval: read it beside the one-stage coefficient"
)

TABLE = "two_stage"
"""What the answer is called among the tables that are kept beside the fits."""


@dataclass(frozen=True)
class RegressionPriors:
    """Priors of the second stage: outcome units per month, and `interval` those per month of interval."""

    intercept: Normal
    interval: Normal
    sd_patient: HalfNormal
    sigma: HalfNormal


ALSFRSR = RegressionPriors(Normal(0, 0.5), Normal(0, 0.1), HalfNormal(0.3), HalfNormal(0.5))
"""For ALSFRS-R, in points; the coefficient has the prior of the one-stage model."""


def two_stage(
    posterior: Posterior, lengths: pd.DataFrame, *, seed: int, priors: RegressionPriors = ALSFRSR
) -> pd.DataFrame:
    """Regress the changes of a fit on the interval: one row, with COLUMNS.

    `lengths` is `cycles.cycle_lengths` of the trial. The coefficient `interval` is in outcome units per month, per
    month of interval: above 0, the slope is higher in a longer cycle; `prob_shorter_better` is the probability that a
    shorter cycle goes with a slower worsening. Changes are those of patients, with what the fit's own covariates say of
    them. Where the trial says nothing about it, a stage fails the gate, or the fit's own model already regresses on
    cycles, there is no number and the note says why.
    """
    design = posterior.design
    cycles, changes = closed_changes(posterior, lengths)
    row = {
        "analysis": "two-stage",
        "quantity": "interval",
        "unit": f"{posterior.rate} per month",
        "n_cycles": len(cycles),
        "n_patients": cycles["patient"].nunique(),
        "note": _why_not(posterior, cycles),
    }
    if not row["note"]:
        coefficient = regression_draws(cycles, changes, priors, seed)
        row |= _summary(coefficient, priors, quantities.sign_of(design))
    return pd.DataFrame([row]).reindex(columns=COLUMNS)


def save(fit: Fit, found: pd.DataFrame, folder: Path) -> None:
    """Keep the answer in `folder`, whole or not at all, with what it was made from."""
    tables.save(TABLE, found, _made_from(fit), folder)


def saved(fit: Fit, folder: Path) -> pd.DataFrame | None:
    """Read the answer that was kept of this fit, with its model and outcome; None where there is none of it."""
    rows = tables.current(folder, lambda _: _made_from(fit))[0].get(TABLE)
    return None if rows is None else rows.assign(model=fit.record["model"], outcome=fit.record["outcome"])


def _made_from(fit: Fit) -> dict[str, object]:
    """Say, by content, what decides the answer: the first stage and the code of the second."""
    return {"model": fit.record["model"], "inputs": fit.record["inputs"], "program": code("answers.two_stage")}


def closed_changes(posterior: Posterior, lengths: pd.DataFrame) -> tuple[pd.DataFrame, Floats]:
    """Take out the changes of cycles that have a length and a value.

    Returns the cycles (patient, injection, months), and the draws of their changes (chain, draw, cycle).
    """
    drawn = quantities.patients(posterior)["change"].transpose(*SAMPLES, "row")
    labels = pd.DataFrame({name: drawn[name].to_numpy() for name in ("patient", "injection")})
    labels["row"] = range(len(labels))
    length = lengths.assign(injection=lengths["injection"].astype(str))[["patient", "injection", "months"]]
    cycles = labels.astype({"injection": object}).merge(length, on=["patient", "injection"], validate="one_to_one")
    return cycles[["patient", "injection", "months"]], drawn.to_numpy()[..., cycles["row"]]


def regression_draws(cycles: pd.DataFrame, changes: Floats, priors: RegressionPriors, seed: int) -> Floats:
    """Draw `interval` once from the posterior that each draw of the changes (chain, draw, cycle) gives: (chain, draw).

    Chains stay apart, so that R-hat and effective sample size are those of the first stage's chains too.
    """
    months, terms = cycles["months"].to_numpy(dtype=float), (priors.intercept, priors.interval)
    regression = Regression(
        rows=np.column_stack([np.ones(len(months)), months - months.mean()]),
        group=pd.factorize(cycles["patient"])[0],
        mean=np.array([prior.mean for prior in terms], dtype=float),
        sd=np.array([prior.sd for prior in terms], dtype=float),
        sd_between=priors.sd_patient.sd,
        sd_within=priors.sigma.sd,
    )
    values = changes.reshape(-1, len(months))
    return regression.draw(values, np.random.default_rng(seed))[:, 1].reshape(changes.shape[:2])


def _why_not(posterior: Posterior, cycles: pd.DataFrame) -> str:
    """Say why there can be no number: empty where there can."""
    if not posterior.passed:
        return "not shown: the first stage failed its diagnostics gate"
    if "cycle" in posterior.design.get("covariate_by", ()):
        return "not computed: the model regresses the changes on cycles itself, which is the one-stage answer"
    if cycles.empty:
        return "not informed: no cycle with a value was followed by another injection"
    first = cycles.iloc[0]
    if (cycles["patient"] == first["patient"]).all():
        return f"not informed: only patient {first['patient']} has a cycle that was followed by another injection"
    if np.ptp(cycles["months"].round(3)) == 0:
        return f"not informed: all intervals are {first['months']:.1f} months"
    return ""


def _summary(coefficient: Floats, priors: RegressionPriors, sign: float) -> dict[str, object]:
    """Summarise the pooled draws, or say which limit of the gate they do not keep."""
    values = xr.DataArray(coefficient[..., None], dims=(*SAMPLES, "row"))
    found = quantities.summarise(values).iloc[0]
    limits = {
        f"R-hat {found['rhat']:.3f}": found["rhat"] <= convergence.RHAT_MAX,
        f"bulk ESS {found['ess_bulk']:.0f}": found["ess_bulk"] >= convergence.ESS_MIN,
        f"tail ESS {found['ess_tail']:.0f}": found["ess_tail"] >= convergence.ESS_MIN,
    }
    failed = [text for text, kept in limits.items() if not kept]
    if failed:
        return {"note": f"not shown: the second stage failed the limits of the gate ({', '.join(failed)})"}
    hardly = 1 - (found["sd"] / priors.interval.sd) ** 2 < HARDLY
    note = f"hardly informed by the data; {READ_AS}" if hardly else READ_AS
    numbers = {name: float(found[name]) for name in COLUMNS if name in found}
    return {**numbers, "prob_shorter_better": float((improvement(coefficient, sign) < 0).mean()), "note": note}

"""The two-stage answer: patients' changes, estimated first, then regressed on the interval between injections.

    change_ik = intercept + interval (x_ik - xbar) + patient_i + e_ik
    patient_i ~ Normal(0, sd_patient),   e_ik ~ Normal(0, sigma)

Every posterior draw of the changes is a data set of its own, to which one Bambi model is fitted; the draws of all these
fits together carry the uncertainty of the first stage into the second. The first stage did not know the interval, and
drew patients and cycles towards each other whatever their interval: hence the coefficient is nearer to zero, and its
interval narrower, than those of one model for both, beside which it belongs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from slopeshift.answers import convergence, quantities
from slopeshift.answers.covariates import HARDLY
from slopeshift.fit import nuts
from slopeshift.fit.posterior import SAMPLES
from slopeshift.keep import tables
from slopeshift.keep.made_from import code
from slopeshift.model.priors import HalfNormal, Normal
from slopeshift.trial.roles import improvement

if TYPE_CHECKING:
    from pathlib import Path

    import pymc as pm
    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

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

FORMULA = "change ~ interval + (1 | patient)"
TUNE, KEPT = 300, 25
"""Warm-up draws of each second-stage fit, and draws kept of it."""


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
    posterior: Posterior, lengths: pd.DataFrame, *, seed: int, priors: RegressionPriors = ALSFRSR, number: int = 400
) -> pd.DataFrame:
    """Regress the changes of a fit on the interval: one row, with COLUMNS.

    `lengths` is `interval.cycle_lengths` of the trial; `number` of the posterior draws are taken, evenly spaced. The
    coefficient `interval` is in outcome units per month, per month of interval: above 0, the slope is higher in a
    longer cycle; `prob_shorter_better` is the probability that a shorter cycle goes with a slower worsening. Changes
    are those of patients, with what the fit's own covariates say of them. Where the trial says nothing about it, a
    stage fails the gate, or the fit's own model already regresses on cycles, there is no number and the note says why.
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
        coefficient, diverging = regression_draws(cycles, _evenly(changes, number), priors, seed)
        row |= _summary(coefficient, diverging, priors, quantities.sign_of(design))
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


def regression_draws(
    cycles: pd.DataFrame, changes: Floats, priors: RegressionPriors, seed: int
) -> tuple[Floats, float]:
    """Fit the second stage to every draw of the changes (chain, draw, cycle), and pool what is drawn of `interval`.

    Returns (chain, draws of all fits to that chain) and the share of diverging draws. Chains stay apart, so that R-hat
    and effective sample size are about both stages.
    """
    compiled = nuts.compile_model(second_stage(cycles, changes[0, 0], priors))
    seeds = np.random.SeedSequence(seed).generate_state(changes.shape[0] * changes.shape[1])
    drawn = np.empty((*changes.shape[:2], KEPT))
    diverging = 0
    for at, its_seed in zip(np.ndindex(changes.shape[:2]), seeds, strict=True):
        data = nuts.with_data(compiled, values=changes[at])
        tree = nuts.draw(data, draws=KEPT, tune=TUNE, chains=1, seed=int(its_seed), target_accept=0.9)
        drawn[at] = tree["posterior"]["interval"].to_numpy()[0]
        diverging += int(tree["sample_stats"]["diverging"].sum())
    return drawn.reshape(len(drawn), -1), diverging / drawn.size


def second_stage(cycles: pd.DataFrame, change: Floats, priors: RegressionPriors) -> pm.Model:
    """Build Bambi's model of FORMULA, its `change` (cycle,) held as data under the name `values`, to be swapped."""
    import bambi as bmb
    import pymc as pm

    def observed(
        name: str, mu: TensorVariable, sigma: TensorVariable, observed: Floats, dims: tuple[str, ...]
    ) -> TensorVariable:
        return pm.Normal(name, mu, sigma, observed=pm.Data("values", observed), dims=dims)

    likelihood = bmb.Likelihood("Normal", params=["mu", "sigma"], parent="mu", dist=observed)
    table = pd.DataFrame(
        {
            "change": change,
            "interval": (cycles["months"] - cycles["months"].mean()).to_numpy(),
            "patient": pd.Categorical(cycles["patient"]),
        }
    )
    model = bmb.Model(
        FORMULA,
        table,
        family=bmb.Family("normal_of_swapped_values", likelihood, {"mu": "identity", "sigma": "identity"}),
        priors={
            "Intercept": bmb.Prior("Normal", mu=priors.intercept.mean, sigma=priors.intercept.sd),
            "interval": bmb.Prior("Normal", mu=priors.interval.mean, sigma=priors.interval.sd),
            "1|patient": bmb.Prior("Normal", mu=0, sigma=bmb.Prior("HalfNormal", sigma=priors.sd_patient.sd)),
            "sigma": bmb.Prior("HalfNormal", sigma=priors.sigma.sd),
        },
        center_predictors=False,
    )
    model.build()
    return model.backend.model


def _evenly(changes: Floats, number: int) -> Floats:
    """Keep `number` draws in all, evenly spaced, as many of each chain."""
    kept = min(max(number // len(changes), 1), changes.shape[1])
    return changes[:, np.linspace(0, changes.shape[1] - 1, kept).round().astype(int)]


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


def _summary(coefficient: Floats, diverging: float, priors: RegressionPriors, sign: float) -> dict[str, object]:
    """Summarise the pooled draws, or say which limit of the gate they do not keep."""
    values = xr.DataArray(coefficient[..., None], dims=(*SAMPLES, "row"))
    found = quantities.summarise(values).iloc[0]
    limits = {
        f"R-hat {found['rhat']:.3f}": found["rhat"] <= convergence.RHAT_MAX,
        f"bulk ESS {found['ess_bulk']:.0f}": found["ess_bulk"] >= convergence.ESS_MIN,
        f"tail ESS {found['ess_tail']:.0f}": found["ess_tail"] >= convergence.ESS_MIN,
        f"share of divergences {diverging:.4f}": diverging <= convergence.DIVERGING_MAX,
    }
    failed = [text for text, kept in limits.items() if not kept]
    if failed:
        return {"note": f"not shown: the second stage failed the limits of the gate ({', '.join(failed)})"}
    hardly = 1 - (found["sd"] / priors.interval.sd) ** 2 < HARDLY
    note = f"hardly informed by the data; {READ_AS}" if hardly else READ_AS
    numbers = {name: float(found[name]) for name in COLUMNS if name in found}
    return {**numbers, "prob_shorter_better": float((improvement(coefficient, sign) < 0).mean()), "note": note}

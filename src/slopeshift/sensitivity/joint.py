"""The control's patients in the same likelihood, instead of a prior that is made of them.

Level, slope and, on a curved course, curvature of the control's patients are those of the trial's plus a difference of
the two studies, Normal(0, between-study SD) as `trial.toml` states it: a commensurate prior whose SD is fixed (Hobbs,
Carlin, Mandrekar and Sargent 2011, Biometrics 67:1047). Both studies then share the spreads between
patients and the residual, which a prior of the mean slope leaves to the trial alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.design.visits import visits_of
from slopeshift.model.control import lead_in_of
from slopeshift.model.program import LineModel
from slopeshift.sensitivity.refits import Variation
from slopeshift.trial.columns import EXEMPT

if TYPE_CHECKING:
    from slopeshift.sensitivity.subject import Subject
    from slopeshift.trial import Trial

JOINT = "control in the likelihood"
STUDY, OWN, OTHER = "study", "trial", "control"
UNKNOWN = 1.0
"""Between-study SD of the curvature, units a month per month, where `trial.toml` states none: nothing is borrowed."""

_VARIED = """
from slopeshift.model.covariates import Covariate as _Covariate
from slopeshift.model.priors import Normal as _Normal
build = build.varied(covariates=(*build.covariates, {covariates}))
"""
_COVARIATE = "_Covariate({study!r}, on={on!r}, reference={own!r}, prior=_Normal(0.0, {sd!r}))"


def with_control(subject: Subject) -> list[Variation]:
    """List the analysis in which the control's patients are part of the likelihood: none without a control to share.

    Of a line model of one group; where arms are compared, patients of another study have no arm.
    """
    trial, build = subject.posterior.trial, subject.file.build
    outcome, control = subject.posterior.outcome, trial.control
    if control is None or not isinstance(build, LineModel) or build.arms is not None:
        return []
    if not build.family.integrated_out or outcome not in control.spreads("slope"):
        return []
    spreads = {"level": float(build.level.sd), "slope": control.spreads("slope")[outcome]}
    if build.shape.curved:
        spreads["curvature"] = control.spreads("curvature").get(outcome, UNKNOWN)
    stated = ", ".join(_COVARIATE.format(study=STUDY, on=on, own=OWN, sd=float(sd)) for on, sd in spreads.items())
    together = joined(trial, outcome)
    detail = f"{len(together.patients) - len(trial.patients)} patients of {control.source}, instead of a prior"
    data = visits_of(together, outcome, build.shape)
    return [Variation(JOINT, detail, (data,), trial=together, varied=_VARIED.format(covariates=stated))]


def joined(trial: Trial, outcome: str) -> Trial:
    """Put the untreated values of the control's patients into the trial; `study` of patients says whose they are.

    Their month 0 is as long after their first value as the first injection of the trial's patients is on average, so
    that a curved course is compared at the same time. Entry rules are those of the trial, which they did not have to
    meet.
    """
    assert trial.control is not None
    history = trial.control.trial.natural_history(outcome)
    history = history.assign(patient=f"{OTHER}: " + history["patient"].astype(str))
    first = history.groupby("patient")["month"].transform("min")
    history["month"] = history["month"] - first - lead_in_of(trial, outcome)
    others = pd.DataFrame({"patient": history["patient"].unique(), STUDY: OTHER, EXEMPT: "yes"})
    own = trial.patients.assign(**{STUDY: OWN})
    exempt = own.get(EXEMPT, "no")
    tables = {
        **trial._tables,
        "patients": pd.concat([own.assign(**{EXEMPT: exempt}), others], ignore_index=True),
        "visits": pd.concat([trial.visits, history], ignore_index=True),
    }
    return replace(trial, _tables=tables, control=None)

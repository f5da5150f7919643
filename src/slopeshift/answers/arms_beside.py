"""Usual analyses of two arms, beside the model's difference: the same question asked in other ways.

A random-slopes model (REML) has a line per patient, with a change of slope at the first injection, common to the arms
or not; an analysis of covariance compares values at one visit, given those at the first injection. Neither knows of
selection at entry, of the injections after the first, or of an end of the scale. They are maximum likelihood and least
squares, with 95 % confidence intervals and two-sided p values, and are shown for comparison.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.answers import arms
from slopeshift.design.arms import treated
from slopeshift.trial.arms import PATIENT

if TYPE_CHECKING:
    from slopeshift.fit.posterior import Posterior

SLOPES, COVARIANCE = "random slopes", "analysis of covariance"
COLUMNS = ("method", "month", "estimate", "lower", "upper", "p", "unit", "patients")

WINDOW = 1.0
"""Months around the visit that is compared, and around the first injection, within which a value counts."""

FEWEST = 4
"""Patients of an arm with a value, below which visits are not compared."""


def table(posterior: Posterior) -> pd.DataFrame:
    """Compare the arms of a trial as it is usually done: a row for each method, as COLUMNS.

    Empty where no arms of patients are compared. A method that cannot be done is left out.
    """
    stated = posterior.trial.arms
    if stated is None or stated.unit != PATIENT or not arms.compares(posterior.design):
        return pd.DataFrame(columns=list(COLUMNS))
    visits = posterior.visits
    in_arm = treated(posterior.trial, visits).effect.max(axis=1)
    values = pd.DataFrame(
        {
            "patient": visits.patient_index,
            "month": visits.month,
            "value": visits.value,
            "arm": in_arm[visits.patient_index],
        }
    )
    rows = [_random_slopes(values, posterior.rate), _at_a_visit(values, arms.horizon(posterior), posterior.unit)]
    return pd.DataFrame([row for row in rows if row is not None], columns=list(COLUMNS))


def _random_slopes(values: pd.DataFrame, rate: str) -> tuple[object, ...] | None:
    """Estimate how much more the slope changes at the first injection in the treated, by REML."""
    import statsmodels.formula.api as smf

    data = values.assign(since=values["month"].clip(lower=0.0))
    data["treated"] = data["since"] * data["arm"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a variance at zero, which the estimate does not depend on much
        try:
            model = smf.mixedlm("value ~ month + since + treated", data, groups="patient", re_formula="~ month")
            found = model.fit(method=["lbfgs", "powell"])
        except (np.linalg.LinAlgError, ValueError):
            return None
    lower, upper = found.conf_int().loc["treated"]
    numbers = float(found.params["treated"]), float(lower), float(upper), float(found.pvalues["treated"])
    return (SLOPES, np.nan, *numbers, rate, data["patient"].nunique())


def _at_a_visit(values: pd.DataFrame, month: float, unit: str) -> tuple[object, ...] | None:
    """Compare values nearest to a month, given those nearest to the first injection, by least squares."""
    import statsmodels.formula.api as smf

    both = pd.concat({name: _nearest(values, at) for name, at in (("before", 0.0), ("after", month))}, axis=1).dropna()
    data = both.assign(arm=values.groupby("patient")["arm"].first())
    if month <= 0 or data.groupby("arm").size().reindex([0.0, 1.0], fill_value=0).min() < FEWEST:
        return None
    found = smf.ols("after ~ before + arm", data).fit()
    lower, upper = found.conf_int().loc["arm"]
    numbers = float(found.params["arm"]), float(lower), float(upper), float(found.pvalues["arm"])
    return (COVARIANCE, month, *numbers, unit, len(data))


def _nearest(values: pd.DataFrame, month: float) -> pd.Series[float]:
    """Take each patient's value that is nearest to a month, and within WINDOW of it."""
    away = (values["month"] - month).abs()
    near = values.assign(away=away)[away <= WINDOW].sort_values("away", kind="stable")
    return near.groupby("patient")["value"].first()

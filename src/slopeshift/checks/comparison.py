"""Models of the same values compared by how well each predicts a value that was left out.

A density of a continuous residual and a probability of a whole number are comparable where the values are whole: the
probability of a number is the density's mean over a width of 1.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slopeshift.answers.quantities import CONTROL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slopeshift.checks.loo import LeaveOneOut
    from slopeshift.fit.posterior import Posterior

COLUMNS = (
    "outcome model log_predictive_density standard_error difference_from_best standard_error_of_difference "
    "effective_parameters unreliable_values integrated left_out_because"
)


def comparison(
    outcome: str, posteriors: Mapping[str, Posterior], found: Mapping[str, LeaveOneOut | None]
) -> pd.DataFrame:
    """Compare the models of one outcome by leave-one-out: the table `model_comparison`, best first.

    `posteriors` and `found` are by model, the one that answers the question first. Columns as in COLUMNS: the expected
    log predictive density of all values together, with its standard error; its difference from the best model and the
    standard error of that; the effective number of parameters, which where `integrated` is "yes" counts those of the
    population alone; and how many values' contributions are not reliable. A model that cannot be compared stands at the
    end, with the reason. A difference of less than 4, or of less than twice its standard error, tells no model from
    another (Sivula et al. 2025, doi 10.48550/arXiv.2008.10296).
    """
    reasons = {name: _reason(posteriors, found, name) for name in posteriors}
    good = {name: one for name in posteriors if not reasons[name] and (one := found[name]) is not None}
    rows: list[dict[str, Any]] = []
    if good:
        order = _compared(good)
        rows = [
            {"outcome": outcome, "model": str(name), **_row(good[str(name)], row)} for name, row in order.iterrows()
        ]
    left_out = {name: {"integrated": "", "left_out_because": why} for name, why in reasons.items() if why}
    rows += [{"outcome": outcome, "model": name, **row} for name, row in left_out.items()]
    return pd.DataFrame(rows, columns=COLUMNS.split())


def _compared(good: Mapping[str, LeaveOneOut]) -> pd.DataFrame:
    """Have ArviZ order the models, or, where there is one, put it by itself."""
    if len(good) == 1:
        return pd.DataFrame({"elpd_diff": [0.0], "dse": [0.0]}, index=list(good))
    import arviz as az

    # ArviZ copies what it is given; the weights of every draw are not needed here.
    slim = {name: replace(one.by_visit, log_weights=None) for name, one in good.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what it warns of stands in the table
        compared: pd.DataFrame = az.compare(slim, method="pseudo-BMA", round_to="none")
    return compared


def _row(one: LeaveOneOut, row: pd.Series[Any]) -> dict[str, Any]:
    return {
        "log_predictive_density": float(one.by_visit.elpd),
        "standard_error": float(one.by_visit.se),
        "difference_from_best": float(row["elpd_diff"]),
        "standard_error_of_difference": float(row["dse"]),
        "effective_parameters": float(one.by_visit.p),
        "unreliable_values": one.unreliable,
        "integrated": "yes" if one.integrated else "no",
        "left_out_because": "",
    }


def _reason(posteriors: Mapping[str, Posterior], found: Mapping[str, LeaveOneOut | None], name: str) -> str:
    """Say why a model cannot be compared with the first one; empty where it can."""
    first, other = next(iter(posteriors.values())).visits, posteriors[name].visits
    if CONTROL in posteriors[name].draws:
        return "its likelihood holds the intervals besides the values"
    if found[name] is None:
        return "it stores no log likelihood of single values"
    same = all(np.array_equal(getattr(first, p), getattr(other, p)) for p in ("value", "month", "patient_index"))
    return "" if same else "it is about other values"

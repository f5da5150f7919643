"""The checks of one fit as tables: what is kept of them, and what the report prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.checks import comparison, predictive

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slopeshift.checks import Checks

NAMES = ("loo", "predictive_checks", "prior_sensitivity", "rules", "prior_words", "counts", "left_out")
"""Tables of a fit's checks. `rules`: a row per check, with what it is judged by; `prior_words`: what the priors expect
of the trial's own visits; `counts`: how often each count of improved patients is predicted; `left_out`: one row on how
values were left out, none where they could not be."""

COMPARISON = "model_comparison"


def tables_of(checks: Checks) -> dict[str, pd.DataFrame]:
    """Lay the checks of a fit out as tables, by name as in NAMES."""
    words = pd.DataFrame(columns=["statement", "value", "lower", "upper", "unit"])
    return {
        "loo": checks.loo_table,
        "predictive_checks": checks.predictive_table,
        "prior_sensitivity": pd.DataFrame() if checks.sensitivity is None else checks.sensitivity,
        "rules": _rules(checks),
        "prior_words": words if checks.prior_words is None else checks.prior_words,
        "counts": _counts(checks),
        "left_out": _left_out(checks),
    }


def compared(outcome: str, found: Mapping[str, Checks]) -> pd.DataFrame:
    """Compare the models of one outcome: the table `model_comparison`.

    `found` are their checks by model, the one that answers the question first.
    """
    posteriors = {name: checks.posterior for name, checks in found.items()}
    return comparison(outcome, posteriors, {name: checks.loo for name, checks in found.items()})


def _rules(checks: Checks) -> pd.DataFrame:
    rows = [(rule.check, rule.value, rule.limit, rule.fired) for rule in checks.rules]
    return pd.DataFrame(rows, columns=["check", "value", "limit", "fired"])


def _counts(checks: Checks) -> pd.DataFrame:
    """Say how often each count of improved patients is predicted: columns period, of, observed, count, share."""
    columns = ["period", "of", "observed", "count", "share"]
    parts = [pd.DataFrame(columns=columns)]
    for q in checks.quantities:
        if q.check == predictive.RESPONDERS:
            share = np.bincount(q.predicted.astype(int), minlength=q.n_values + 1) / len(q.predicted)
            known = {"period": q.where, "of": q.n_values, "observed": q.observed}
            parts.append(pd.DataFrame({**known, "count": range(len(share)), "share": share}))
    return pd.concat(parts[1:], ignore_index=True) if len(parts) > 1 else parts[0]


def _left_out(checks: Checks) -> pd.DataFrame:
    """Say how values were left out: columns integrated, remade, unreliable, unreliable_patients, good_k."""
    loo, columns = checks.loo, ["integrated", "remade", "unreliable", "unreliable_patients", "good_k"]
    if loo is None:
        return pd.DataFrame(columns=columns)
    row = (loo.integrated, loo.remade, loo.unreliable, loo.unreliable_patients, float(loo.by_visit.good_k))
    return pd.DataFrame([row], columns=columns)

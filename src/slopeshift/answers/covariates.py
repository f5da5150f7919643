"""What is reported of covariates: how level, slope or changes differ with them, between patients or cycles.

A coefficient is in outcome units (a month, of slopes and changes), per unit of a number or between two levels. It is an
association in the patients of the trial, and no effect: they differ in much else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.answers import quantities
from slopeshift.answers.quantities import BETWEEN, WITHIN
from slopeshift.design.arms import is_effect
from slopeshift.fit.posterior import SAMPLES
from slopeshift.trial.roles import chance_of_better

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import xarray as xr

    from slopeshift.fit.posterior import Posterior

NUMBERS = tuple("mean sd lower upper prob_positive prob_better rhat ess_bulk ess_tail mcse contraction".split())
COLUMNS = ("model", "outcome", "quantity", "label", "on", "step", "unit", *NUMBERS, "prior_sd", "n_patients", "note")

HARDLY = 0.1
"""Share of the prior variance that the data must remove, or a coefficient is called hardly informed."""

GATE = "not shown: the fit failed its diagnostics gate"
PRIOR_ONLY = "not informed: no two patients with values that inform it differ; prior only"


def table(posteriors: Sequence[Posterior]) -> pd.DataFrame:
    """Put the coefficients of all models in one table, with COLUMNS, a row each, but for those of the interval.

    A coefficient that the trial cannot inform, and those of a fit that failed its gate, have no numbers and a note that
    says so; the note also says how patients without a value were counted. Empty where no model has such a covariate.
    """
    found = [part for posterior in posteriors if not (part := _of_model(posterior)).empty]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS)


def beside_the_interval(design: xr.Dataset) -> list[str]:
    """Name the coefficients of neither interval nor arms; `design` is the `constant_data` of a fit."""
    names = map(str, design.indexes.get("covariate", ()))
    return [name for name in names if name not in (WITHIN, BETWEEN) and not is_effect(name)]


def summarised(names: Sequence[str], posterior: Posterior) -> pd.DataFrame:
    """Summarise some coefficients of a model: quantity, unit, NUMBERS, prior_sd and `informed`, a row each.

    The draws of the posterior and of its prior hold `regression` (covariate), or the negative control. `prob_better` is
    Pr(more of the covariate goes with what is better); `contraction` is the share of the prior variance that the data
    removed. What is not informed has no numbers but `prior_sd`. Raises LookupError where no draws of the prior are
    stored.
    """
    informed = quantities.informed_regression(posterior)
    values = quantities.regression_draws(posterior).sel(row=list(names))
    spread = quantities.regression_draws(posterior.prior).sel(row=list(names)).std(SAMPLES, ddof=1).to_numpy()
    labels = ("row", np.array(list(names), dtype=object))
    found = quantities.summarise(values.drop_vars("row").assign_coords(quantity=labels))
    found = found.assign(
        unit=[quantities.regression_unit(name, posterior.design, posterior.rate) for name in names],
        prob_better=chance_of_better(found["prob_positive"], quantities.sign_of(posterior.design)),
        prior_sd=spread,
        contraction=1 - (found["sd"] / spread) ** 2,
        informed=found["quantity"].isin(informed),
    )
    found.loc[~found["informed"], list(NUMBERS)] = np.nan
    return found


def _of_model(posterior: Posterior) -> pd.DataFrame:
    design, names = posterior.design, beside_the_interval(posterior.design)
    if not names:
        return pd.DataFrame(columns=COLUMNS)
    found = summarised(names, posterior)
    said = {name: design[f"covariate_{name}"].sel(covariate=names).to_numpy() for name in ("label", "on", "step")}
    rules = design["covariate_rule"].sel(covariate=names).to_numpy()
    notes = [_note(row.informed, row.contraction) for row in found.itertuples()]
    if not posterior.passed:
        found[list(NUMBERS)], notes = np.nan, [GATE] * len(names)
    return found.assign(
        **posterior.labels,
        **said,
        n_patients=len(np.unique(design["patient_index"].to_numpy())),
        note=[_joined((note, str(rule))) for note, rule in zip(notes, rules, strict=True)],
    )[list(COLUMNS)]


def _note(informed: bool, contraction: float) -> str:
    if not informed:
        return PRIOR_ONLY
    return "hardly informed: mostly the prior" if contraction < HARDLY else ""


def _joined(notes: Iterable[str]) -> str:
    return "; ".join(note for note in notes if note)

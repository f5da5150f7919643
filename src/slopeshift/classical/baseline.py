"""Who is compared: the patients of either arm at baseline, as the report of a controlled trial shows them.

Nothing is tested. Between randomised arms every difference is one of chance, so a test would ask what is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.trial.arms import ARM, PATIENT
from slopeshift.trial.columns import EXEMPT
from slopeshift.trial.roles import AFTERWARDS, is_numeric, numbers_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slopeshift.trial import Trial

COLUMNS = "quantity level unit arm n_patients n_known n mean sd median lower_quartile upper_quartile"
ONSET = "onset_month"
FIRST, LAST = "first value", "last value up to the first injection"


def baseline(trial: Trial) -> pd.DataFrame:
    """Describe the patients of every arm: the table `baseline`, with a row for every quantity, level and arm.

    Quantities are the columns of patients.csv that say nothing of what came after, the months from onset to the first
    injection, and of every outcome the first value and the last one up to the first injection. `level` is empty for
    numbers, which have mean, sd, median and quartiles in `unit`; of a level, `n` of the `n_known` patients have it. The
    control's rows come last. No row where patients have no arms that are compared.
    """
    if trial.arms is None or trial.arms.unit != PATIENT:
        return pd.DataFrame(columns=COLUMNS.split())
    arm, control = trial.patients.set_index("patient")[ARM], trial.arms.control
    rows = [
        (quantity, level, unit, name, *figures)
        for quantity, unit, values in _quantities(trial)
        for level in _levels(values)
        for name in sorted(arm.unique(), key=lambda each: (each == control, each))
        for figures in [_figures(values[arm == name], level)]
    ]
    return pd.DataFrame(rows, columns=COLUMNS.split())


def _quantities(trial: Trial) -> Iterator[tuple[str, str, pd.Series]]:
    """Yield every quantity with its name, its unit and the values of all patients, by patient."""
    patients = trial.patients.set_index("patient")
    for name in patients:
        if name == ONSET:
            yield "time since onset", "months", -patients[ONSET]
        elif name not in {ARM, EXEMPT, *AFTERWARDS} and patients[name].notna().any():
            role = trial.covariates.get(str(name))
            yield (role.label if role else str(name).replace("_", " ")), (role.unit if role else ""), patients[name]
    for outcome in trial.outcomes.values():
        before = trial.natural_history(outcome.name).sort_values("month").groupby("patient")[outcome.name]
        for name, values in ((FIRST, before.first()), (LAST, before.last())):
            yield f"{outcome.label}, {name}", outcome.unit, values.reindex(patients.index)


def _levels(values: pd.Series) -> list[str]:
    """List the levels of a quantity, of yes and no the yes alone; one without a name for numbers."""
    if is_numeric(values):
        return [""]
    levels = sorted(values.dropna().astype(str).unique())
    return ["yes"] if set(levels) <= {"yes", "no"} else levels


def _figures(values: pd.Series, level: str) -> tuple[float, ...]:
    """Describe the values of one arm: those of COLUMNS from `n_patients` on."""
    known = values.dropna()
    counted = (len(values), len(known))
    if level:
        return (*counted, int((known.astype(str) == level).sum()), *(float("nan"),) * 5)
    x = numbers_of(known)
    return (*counted, len(known), x.mean(), x.std(), x.median(), x.quantile(0.25), x.quantile(0.75))

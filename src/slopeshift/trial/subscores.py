"""Sub-scores of the ALSFRS-R: sums of three items each, by the function they rate.

The functions are the four that Bakker et al. 2017 (doi 10.1007/s00415-017-8538-4) find, bulbar, fine motor, gross motor
and respiratory, each with its three items; items that load on two there count in one here. No model reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slopeshift.trial.columns import ITEMS

if TYPE_CHECKING:
    import pandas as pd

SUBSCORES = {
    "bulbar": ITEMS[0:3],
    "fine_motor": ITEMS[3:6],
    "gross_motor": ITEMS[6:9],
    "respiratory": ITEMS[9:12],
}
"""The items that each sub-score adds up, 0 to 12 points."""


def subscores_of(items: pd.DataFrame) -> pd.DataFrame:
    """Add up items to sub-scores: `patient`, `month` and a column for each, in points; a row for a row of `items`.

    A sub-score is NaN where one of its items is.
    """
    sums = {name: items[list(of)].sum(axis=1, skipna=False) for name, of in SUBSCORES.items()}
    return items[["patient", "month"]].assign(**sums)

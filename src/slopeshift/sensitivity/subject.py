"""What a sensitivity study starts from: the model that answers the question for one outcome, and its fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.answers import quantities
from slopeshift.answers.quantities import OVERALL
from slopeshift.sensitivity.alternatives import overall_weights
from slopeshift.sensitivity.curves import Posterior
from slopeshift.sensitivity.evidence import evidence_of
from slopeshift.sensitivity.rows import MAIN, labelled, of_draws

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.model.files import ModelFile
    from slopeshift.trial import Trial


@dataclass(frozen=True, eq=False)
class Subject:
    """The main analysis of one outcome: a model that integrates its coefficients out, and its posterior.

    `draws` and `design` are the groups `posterior` and `constant_data` of its fit; `seed` is that of every random step.
    """

    trial: Trial
    file: ModelFile
    draws: xr.Dataset
    design: xr.Dataset
    seed: int

    @cached_property
    def visits(self) -> Visits:
        """The values that the model was fitted to."""
        return self.file.visits(self.trial)

    @property
    def unit(self) -> str:
        """Unit of the outcome."""
        return self.visits.outcome.unit

    @cached_property
    def model(self) -> Any:
        """The built model."""
        return self.file.build(self.trial)

    @property
    def labels(self) -> Mapping[str, str]:
        """What every row of a table about it is labelled with."""
        return {"outcome": self.file.outcome, "model": self.file.name}

    @property
    def counts(self) -> Mapping[str, int]:
        """Patients with a value, and values."""
        return {"n_patients": len(np.unique(self.visits.patient_index)), "n_values": len(self.visits.value)}

    @cached_property
    def posterior(self) -> Posterior:
        """What other priors are derived from."""
        evidence = evidence_of(self.draws, self.visits, self.design, self.seed)
        return Posterior(evidence, self.design, overall_weights(self.design, self.design, self.unit))

    @cached_property
    def main(self) -> pd.DataFrame:
        """The rows of the main analysis."""
        table = of_draws(self.draws, self.design, self.unit)
        return labelled(table, analysis=MAIN, detail="", **self.labels, **self.counts)

    @cached_property
    def overall(self) -> xr.DataArray:
        """Draws of the change overall: (chain, draw)."""
        return overall_change(self.draws, self.design, self.unit)


def overall_change(draws: xr.Dataset, design: xr.Dataset, unit: str) -> xr.DataArray:
    """Draw the mean change over all informed cycles: (chain, draw)."""
    rows = quantities.population(draws, design, unit)
    chosen = ((rows["quantity"] == "change") & (rows["injection"] == OVERALL)).to_numpy()
    return rows.isel(row=int(np.flatnonzero(chosen)[0]), drop=True)


def flat(values: xr.DataArray) -> NDArray[np.float64]:
    """Put chains after each other: (draw,)."""
    return np.asarray(values.transpose("chain", "draw").to_numpy().ravel())

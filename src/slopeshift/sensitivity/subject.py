"""What a sensitivity study varies: the model that answers the question for one outcome, and its posterior."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.sensitivity.alternatives import overall_weights
from slopeshift.sensitivity.evidence import evidence_of
from slopeshift.sensitivity.rows import MAIN, labelled, of_draws

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior
    from slopeshift.model.files import ModelFile
    from slopeshift.sensitivity.evidence import Evidence


@dataclass(frozen=True, eq=False)
class Subject:
    """A model that integrates its coefficients out, its posterior, and the seed of every random step."""

    file: ModelFile
    posterior: Posterior
    seed: int

    @cached_property
    def model(self) -> Any:
        """The built model."""
        return self.file.build(self.posterior.trial)

    @property
    def counts(self) -> Mapping[str, int]:
        """Patients with a value, and values."""
        visits = self.posterior.visits
        return {"n_patients": len(np.unique(visits.patient_index)), "n_values": len(visits.value)}

    @cached_property
    def evidence(self) -> Evidence:
        """What other priors are derived from."""
        return evidence_of(self.posterior, self.seed)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """The change overall as weights of the population's terms: (term,)."""
        return overall_weights(self.posterior)

    @cached_property
    def main(self) -> pd.DataFrame:
        """The rows of the main analysis."""
        return labelled(of_draws(self.posterior), analysis=MAIN, detail="", **self.posterior.labels, **self.counts)

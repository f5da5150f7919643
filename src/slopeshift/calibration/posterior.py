"""A model compiled once and sampled given the values of simulated trials, and whether these were its own."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.calibration import CalibrationError
from slopeshift.calibration.graph import data_of, with_exchangeable_values
from slopeshift.engine.exact import integrated_out
from slopeshift.engine.sequence import apart
from slopeshift.fit import nuts

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

    from slopeshift.calibration.simulated import Prior, Simulated
    from slopeshift.design.visits import Visits
    from slopeshift.fit.compiled import Sampling
    from slopeshift.fit.posterior import Posterior
    from slopeshift.model.files import ModelFile
    from slopeshift.trial import Trial

    Floats = NDArray[np.float64]

TOLERANCE = 1e-5
"""Two evaluations of a log density, of some hundreds, agree better than this where they are of one model."""


@dataclass(frozen=True, eq=False)
class Compiled:
    """A compiled model of a design, the data it was built on; `terms` is None where its coefficients are sampled."""

    name: str
    model: Any
    data: Mapping[str, Floats]
    terms: xr.Dataset | None

    def sample(self, simulated: Simulated, sampling: Sampling, seed: int) -> Posterior:
        """Draw from the posterior given simulated values; `sample_stats` has `logp` and `diverging`."""
        from slopeshift.engine import exact

        for_nuts, for_coefficients = (int(state) for state in np.random.SeedSequence(seed).generate_state(2))
        # What a model merely records, such as the terms, is no part of what was compiled.
        known = nuts.data_names(self.model)
        other = {
            name: values
            for name, values in simulated.data.items()
            if name in known and not np.array_equal(values, self.data[name])
        }
        tree = nuts.draw(nuts.with_data(self.model, **other), **asdict(sampling), seed=for_nuts, cores=1)
        draws, visits = tree["posterior"].to_dataset(), simulated.truth.visits
        if self.terms is not None:
            draws = exact.with_posterior_coefficients(draws, visits, self.terms, for_coefficients)[0]
        stats = tree["sample_stats"].to_dataset()[["logp", "diverging"]]
        return replace(simulated.truth, draws=draws, model=self.name, groups={"sample_stats": stats})


def compile_model(file: ModelFile, trial: Trial) -> Compiled:
    """Compile a model for the design of a trial."""
    from slopeshift.engine.terms import terms_of
    from slopeshift.fit.precompiled import ready
    from slopeshift.fit.written_out import as_stated

    visits = file.visits(trial)
    model = with_exchangeable_values(as_stated(file.build(trial), visits), file.outcome)
    terms = terms_of(model) if integrated_out(model) else None
    return Compiled(file.name, ready(model, visits), data_of(model), terms)


def check_same_density(prior: Prior, simulated: Simulated, posterior: Posterior) -> None:
    """Hold what NUTS evaluated to the density of the model that the trial was simulated from, at a draw of each chain.

    The latter is evaluated apart from the former: priors and residuals by PyMC, on the model that was simulated from
    and the values that were, and what the exact engine integrates out as one dense normal of all values, from the terms
    that were drawn from. Raises CalibrationError where they differ: another prior, other values, or another order of
    them, would make a false alarm of every rank, or hide a true one.
    """
    draws, stats = posterior.draws, posterior.groups["sample_stats"]
    for chain in range(draws.sizes["chain"]):
        last = {"chain": slice(chain, chain + 1), "draw": slice(-1, None)}
        one = draws.isel(last)
        used = float(stats["logp"].isel(last).squeeze())
        expected = float(np.sum(prior.graph.log_densities(one, simulated.data)))
        if prior.terms is not None:
            expected += dense_log_density(posterior.visits, prior.terms, one.squeeze(("chain", "draw")))
        if not abs(used - expected) < TOLERANCE * max(1.0, abs(expected) / 100):
            raise CalibrationError(
                f"{prior.file.name}: the log density that was sampled is {used:.6f} where that of the model simulated "
                f"from is {expected:.6f}; simulate from the priors that are fitted, and fit the values simulated"
            )


def dense_log_density(visits: Visits, terms: xr.Dataset, draw: xr.Dataset) -> float:
    """Log density of all values as one normal: population, patients and residuals in its covariance (visit, visit).

    The slow and obvious version of what the exact engine computes, at one draw of `loading` (coefficient, source),
    `sigma`, the terms that were sampled and, where residuals are correlated in time, `autocorrelation`. `terms` is
    `terms.terms_of` the model.
    """
    from scipy.stats import Covariance, multivariate_normal

    from slopeshift.engine.terms import sampled_name

    columns = visits.basis @ terms["term_design"].to_numpy()
    if "covariates" in terms:
        shift = terms["covariates"].transpose("covariate", "patient", "coefficient").to_numpy()
        moved = np.einsum("vc,kvc->vk", visits.basis, shift[:, visits.patient_index])
        columns[:, -moved.shape[1] :] += moved
    mean, sd = terms["term_mean"].to_numpy().copy(), terms["term_sd"].to_numpy().copy()
    for place, name in enumerate(map(sampled_name, terms.indexes["term"])):
        if name in draw:
            mean[place], sd[place] = mean[place] + sd[place] * float(draw[name]), 0.0
    same = visits.patient_index[:, None] == visits.patient_index
    differing = visits.basis @ draw["loading"].to_numpy()
    covariance = (columns * sd**2) @ columns.T + np.where(same, differing @ differing.T, 0.0)
    covariance += float(draw["sigma"]) ** 2 * _residual_correlation(visits, draw)
    factored = Covariance.from_cholesky(np.linalg.cholesky(covariance))
    return float(multivariate_normal.logpdf(visits.value, columns @ mean, factored))


def _residual_correlation(visits: Visits, draw: xr.Dataset) -> Floats:
    """Correlate residuals as a draw says: (visit, visit)."""
    correlation = np.eye(len(visits.value))
    if "autocorrelation" in draw:
        for patient in range(len(visits.patients)):
            mine = np.flatnonzero(visits.patient_index == patient)
            correlation[np.ix_(mine, mine)] = float(draw["autocorrelation"]) ** apart(visits.month[mine])
    return correlation

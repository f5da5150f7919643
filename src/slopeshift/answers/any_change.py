"""Whether anything changed at all: the model beside the same model without any change, weighed by the data.

The other model has no changes of slope, in the mean or in any patient, and all else alike; of a model with arms, it is
the difference that it does not have. With parameters phi of the spreads, phi_0 among them those of natural history,
which have one prior in both, the Bayes factor is

    BF = p(y | changes) / p(y | none),    1 / BF = E[p(y | phi_0, none) / p(y | phi, changes) | y, changes]

so that draws of the posterior give it exactly: no other model is sampled. Spreads of changes, which the other model
does not have, may be weighed by any density of them in the place of their prior (Chen 1994, doi
10.1080/01621459.1994.10476815): a narrow one lets no draw of large spreads carry the average.
The factor depends on the prior of the changes, as every Bayes factor does: under a wider prior a change of moderate
size is less expected, and its absence more likely.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.answers import arms
from slopeshift.answers.operating import in_closed_form
from slopeshift.answers.weights import LARGEST_K, smoothed
from slopeshift.design.arms import is_effect
from slopeshift.design.shape import NATURAL
from slopeshift.engine.draws import evenly, flat

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior

    Floats = NDArray[np.float64]

SCALES = (0.5, 1.0, 2.0)
"""What the prior SDs of the changes' means are multiplied by."""

PRIOR_PROBABILITIES = (0.2, 0.5, 0.8)
"""Probabilities, before the data, that anything changed."""

DRAWS, WORK = 4000, 4_000_000
"""Draws that are averaged over: DRAWS, or fewer where draws times patients would be more than WORK."""

SPREADS = ("sd_response", "sd_cycle")
"""Standard deviations of changes between patients, and between a patient's: a model without changes has none."""

NARROWER = 0.7
"""The density q of each is half-normal, with this times the root mean square of its draws for a scale."""

COLUMNS = ("prior_sd", "prior_probability", "bayes_factor", "log_mc_error", "probability", "pareto_k")


def table(posterior: Posterior) -> pd.DataFrame:
    """Weigh change against none: a row for each scale of the prior of changes and prior probability, as COLUMNS.

    `prior_sd` is that of the change common to all injections, units a month; `bayes_factor` that of change against no
    change for anybody, with the Monte Carlo error of its log; `probability` that anything changed. NaN where
    `pareto_k` is above LARGEST_K. Empty where the model is not linear given the spreads, or no value informs a change.
    """
    if not in_closed_form(posterior):
        return pd.DataFrame(columns=list(COLUMNS))
    from scipy.special import expit

    known, changes = _Known(posterior), _of_change(posterior.design)
    stated = known.densities()
    without = known.densities(without=changes) - stated
    # Where the data say little of the spreads, their own prior is the better one.
    none = min((without, without + _weighed(posterior, known.place)), key=lambda ratio: smoothed(ratio)[1])
    common = float(posterior.design["term_sd"].to_numpy()[changes][0])
    rows = []
    for scale in SCALES:
        other = np.zeros_like(stated) if scale == 1.0 else known.densities(changes, scale) - stated
        log_factor, error, k = _log_ratio(other, none)
        for before in PRIOR_PROBABILITIES:
            odds = log_factor + np.log(before / (1 - before))
            after = float(expit(odds))
            with np.errstate(over="ignore"):  # infinite is what it then is to any reader
                bayes_factor = float(np.exp(log_factor))
            rows.append((common * scale, before, bayes_factor, error, after, k))
    found = pd.DataFrame(rows, columns=list(COLUMNS))
    trusted = found["pareto_k"] <= LARGEST_K
    for name in ("bayes_factor", "log_mc_error", "probability"):
        found[name] = found[name].where(trusted)
    return found


def _weighed(posterior: Posterior, place: NDArray[np.intp]) -> Floats:
    """Take log q - log prior of the spreads of changes at draws (draw,): 0 where the priors at the draws are not known.

    Of arms that are compared, patients have spreads of changes without a difference too.
    """
    from scipy.stats import halfnorm

    found = np.zeros(len(place))
    if "log_prior" not in posterior.groups or arms.compares(posterior.design):
        return found
    for name in (name for name in SPREADS if name in posterior.draws):
        sd = flat(posterior.draws[name])[place]
        scale = NARROWER * float(np.sqrt(np.mean(sd**2)))
        found += halfnorm.logpdf(sd, scale=scale) - flat(posterior.groups["log_prior"][name])[place]
    return found


def _log_ratio(above: Floats, below: Floats) -> tuple[float, float, float]:
    """Take log(mean exp above / mean exp below) over draws, its Monte Carlo error, and the heavier tail's shape."""
    means, errors, shapes = zip(*(_log_mean(each) for each in (above, below)), strict=True)
    return means[0] - means[1], float(np.hypot(*errors)), max(shapes)


def _log_mean(log_ratio: Floats) -> tuple[float, float, float]:
    _, k = smoothed(log_ratio)
    top = log_ratio.max()
    ratio = np.exp(log_ratio - top)
    return float(top + np.log(ratio.mean())), float(ratio.std() / ratio.mean() / np.sqrt(len(ratio))), k


def _of_change(design: xr.Dataset) -> NDArray[np.intp]:
    """Find the terms that act on nothing but changes, covariates of changes among them: their places.

    Where the model compares arms, those of their difference.
    """
    if arms.compares(design):
        return np.flatnonzero([is_effect(str(name)) for name in design.indexes["term"]])
    names, picked = design.indexes["coefficient"], design["term_design"].to_numpy()
    natural = [k for k, name in enumerate(names) if name in NATURAL]
    acts = ~(picked[natural] != 0).any(axis=0)
    for name in design.indexes.get("covariate", ()):
        on = str(design["covariate_on"].sel(covariate=name).item())
        acts[design.indexes["term"].get_loc(str(name))] = on == "change"
    return np.flatnonzero(acts)


class _Known:
    """The draws that a density of all values is taken at, and what it needs besides."""

    def __init__(self, posterior: Posterior) -> None:
        from slopeshift.engine.exact import sampled_apart, statistics_of, widened
        from slopeshift.engine.terms import terms_from

        self.place = place = evenly(posterior.draws, min(DRAWS, WORK // len(posterior.visits.patients)))
        known = terms_from(posterior.design, posterior.visits)
        self.picked = widened(posterior.visits, posterior.design)[1]
        self.packed = statistics_of(posterior.visits, posterior.design)
        loading = flat(posterior.draws["loading"])[place]
        self.loading = np.pad(loading, ((0, 0), (0, len(self.picked) - loading.shape[1]), (0, 0)))
        self.variance = flat(posterior.draws["sigma"])[place] ** 2
        self.sd = known.sd
        apart, moved = sampled_apart(posterior.draws, known)
        self.inside, self.offset = ~apart, moved[place] @ self.picked.T
        alike = arms.compares(posterior.design)  # patients then differ in their changes without a difference of arms
        self.natural = sum(name in NATURAL or alike for name in posterior.design.indexes["coefficient"])

    def densities(
        self, of: NDArray[np.intp] | None = None, scale: float = 1.0, without: NDArray[np.intp] | None = None
    ) -> Floats:
        """Take log p(y) at each draw (draw,): with the prior SDs of terms multiplied, or `without` changes.

        Terms that were sampled are given. What entry rules divide by is that of natural history, and the same in all.
        """
        from slopeshift.engine import kernel

        sd, inside, loading = self.sd.copy(), self.inside.copy(), self.loading
        if of is not None:
            sd[of] *= scale
        if without is not None:
            inside[without] = False
            loading = loading.copy()
            loading[:, self.natural :] = 0.0
        picked, precision = np.ascontiguousarray(self.picked[:, inside]), sd[inside] ** -2.0
        draws = zip(loading, self.variance, self.offset, strict=True)
        return np.array([kernel.density(each, v, o, self.packed, picked, precision)[0] for each, v, o in draws])

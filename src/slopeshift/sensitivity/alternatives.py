"""Other priors of the same model: halved, doubled, sceptical, enthusiastic, without the control.

A sceptical prior is centred at no change and gives 5 % to a slowing by more than a quarter of the decline; an
enthusiastic one is centred at that slowing and gives 5 % to no slowing (Spiegelhalter, Freedman and Parmar 1994,
J R Stat Soc A 157:357-416, doi 10.2307/2983527). Both are about the mean change over the injections.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.answers import arms
from slopeshift.answers.quantities import CHANGE, claim_weights, sign_of
from slopeshift.design.arms import EFFECT, is_effect
from slopeshift.design.cycles import OVERALL
from slopeshift.engine.draws import flat
from slopeshift.sensitivity.evidence import NormalPrior
from slopeshift.trial.roles import improvement

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from slopeshift.fit.posterior import Posterior
    from slopeshift.model.files import ModelFile
    from slopeshift.trial import Trial

    Floats = NDArray[np.float64]

QUARTER = 0.25
"""Share of the decline that a treatment worth having would take away: the slowing of 25 % that is counted elsewhere."""

ONE_SIDED_5 = 1.6448536269514722
"""95 % quantile of the standard normal."""


@dataclass(frozen=True, eq=False)
class Scaled:
    """The prior of a standard deviation with its scale multiplied by `factor`."""

    name: str
    factor: float


@dataclass(frozen=True, eq=False)
class Alternative:
    """Another prior: of the population's terms, of one standard deviation, or of both; in words, `analysis: detail`."""

    analysis: str
    detail: str
    prior: NormalPrior
    scaled: Scaled | None = None


def own_prior(terms: xr.Dataset) -> NormalPrior:
    """Take the prior of the terms that a model states; `terms` has term_mean and term_sd."""
    return NormalPrior(terms["term_mean"].to_numpy(), terms["term_sd"].to_numpy())


def is_change(terms: xr.Dataset) -> NDArray[np.bool_]:
    """Say which terms make up what is claimed: the common one, and what each injection differs by (term,).

    These are the changes or, where arms are compared, their differences.
    """
    if arms.compares(terms):
        return np.array([is_effect(str(name)) for name in terms["term"].to_numpy()])
    others = set(terms.indexes.get("covariate", ()))
    return np.array([str(name).startswith("change") and name not in others for name in terms["term"].to_numpy()])


def common_term(terms: xr.Dataset) -> str:
    """Name the term that is common to all of what is claimed."""
    return EFFECT if arms.compares(terms) else CHANGE


def overall_weights(posterior: Posterior) -> Floats:
    """Write what is claimed of all informed cycles as weights of the terms: (term,)."""
    design = posterior.design
    weights = claim_weights(design)[OVERALL]
    if arms.compares(design):
        return np.array([weights.get(str(name), 0.0) for name in design["term"].to_numpy()])
    columns = design["term_design"].sel(coefficient=list(weights)).transpose("term", "coefficient")
    return np.asarray(columns.to_numpy() @ list(weights.values()))


def expected_decline(terms: xr.Dataset) -> float:
    """Take how fast the model's prior expects patients to worsen before treatment, in units a month, > 0."""
    slope = float(terms["term_mean"].sel(term="slope"))
    return float(-improvement(slope, sign_of(terms)))


def scaled_changes(prior: NormalPrior, terms: xr.Dataset, weights: Floats, sd: float, mean: float = 0.0) -> NormalPrior:
    """Give the mean change over injections another mean and SD, by scaling the priors of all terms it is made of."""
    ours, names = is_change(terms), terms["term"].to_numpy()
    factor = sd / overall_sd(prior, weights)
    means = np.where(names == common_term(terms), mean, np.where(ours, 0.0, prior.mean))
    return NormalPrior(means, np.where(ours, factor * prior.sd, prior.sd))


def overall_sd(prior: NormalPrior, weights: Floats) -> float:
    """Prior SD of the mean change over injections."""
    return float(np.sqrt(((weights * prior.sd) ** 2).sum()))


def alternatives(file: ModelFile, posterior: Posterior, weights: Floats) -> list[Alternative]:
    """List the other priors that a model is looked at under; `weights` are `overall_weights`."""
    terms, rate = posterior.design, posterior.rate
    own, names, decline = own_prior(terms), list(terms["term"].to_numpy()), expected_decline(terms)
    name = common_term(terms)
    common, what = own.sd[names.index(name)], "change" if name == CHANGE else "difference"
    found = []
    for word, factor in (("halved", 0.5), ("doubled", 2.0)):
        sd = own.sd.copy()
        sd[names.index(name)] *= factor
        detail = f"SD {factor * common:.3g} instead of {common:.3g} {rate}"
        found.append(Alternative(f"prior of the common {what} {word}", detail, NormalPrior(own.mean, sd)))
    for word, factor in (("halved", 0.5), ("doubled", 2.0)):
        detail = f"scale of the SD of patients' changes, times {factor:g}"
        scaled = Scaled("sd_response", factor)
        found.append(Alternative(f"prior of how patients' changes differ {word}", detail, own, scaled))
    found += _bends(own, names, posterior.rate)
    if decline > 0:
        found += _sceptic_and_enthusiast(own, terms, weights, decline, rate)
    without = _without_control(file, posterior.trial, own)
    return [*found, *([without] if without else [])]


def _bends(own: NormalPrior, names: list[str], rate: str) -> list[Alternative]:
    """Let the mean curvature of a curved course vary less, or more, between cohorts: 0.02 or 0.05 instead of 0.03."""
    if "curvature" not in names:
        return []
    place = names.index("curvature")
    found = []
    for word, factor in (("narrower", 2 / 3), ("wider", 5 / 3)):
        sd = np.where(np.arange(len(names)) == place, factor * own.sd, own.sd)
        detail = f"SD {sd[place]:.2g} instead of {own.sd[place]:.2g} {rate}^2"
        found.append(Alternative(f"prior of the mean curvature {word}", detail, NormalPrior(own.mean, sd)))
    return found


def _sceptic_and_enthusiast(
    own: NormalPrior, terms: xr.Dataset, weights: Floats, decline: float, rate: str
) -> list[Alternative]:
    quarter = improvement(QUARTER * decline, sign_of(terms))
    sd = abs(quarter) / ONE_SIDED_5
    beyond, short = ("above", "below") if quarter > 0 else ("below", "above")
    share = f"a quarter of the {'decline' if quarter > 0 else 'rise'} expected"
    return [
        Alternative(
            "sceptical prior",
            f"mean change 0, 5 % {beyond} {quarter:.3g} {rate}, {share} (SD {sd:.3g})",
            scaled_changes(own, terms, weights, sd),
        ),
        Alternative(
            "enthusiastic prior",
            f"mean change {quarter:.3g} {rate}, {share}, 5 % {short} 0 (SD {sd:.3g})",
            scaled_changes(own, terms, weights, sd, quarter),
        ),
    ]


def _without_control(file: ModelFile, trial: Trial, own: NormalPrior) -> Alternative | None:
    other = without_control(file, trial, own)
    if other is None:
        return None
    return Alternative("control not used", "natural history: the model's own prior instead of the control's", other)


def without_control(file: ModelFile, trial: Trial, own: NormalPrior) -> NormalPrior | None:
    """Take the prior that the model has for a trial without control; None where this one's control changes nothing."""
    if trial.control is None:
        return None
    from slopeshift.engine.terms import terms_of

    other = own_prior(terms_of(file.build(replace(trial, control=None))))
    return None if np.array_equal(other.mean, own.mean) and np.array_equal(other.sd, own.sd) else other


def log_ratio_of(model: Any, posterior: Posterior, scaled: Scaled | None) -> Floats | float:
    """Log ratio of the scaled prior's density to the model's own, at every draw of the standard deviation (draw,).

    A prior f(s) with its scale multiplied by c is f(s / c) / c.
    """
    if scaled is None:
        return 0.0
    import pymc as pm

    name = sampled_as(model, scaled.name)
    values = flat(posterior.draws[name])
    # A function of one number is not worth compiling.
    before, after = (pm.logp(model[name], x).eval(mode="FAST_COMPILE") for x in (values, values / scaled.factor))
    return np.asarray(after - before - np.log(scaled.factor))


def sampled_as(model: Any, name: str) -> str:
    """Name the variable that a standard deviation is sampled as: itself, or a number with a sign."""
    signed = f"{name}_signed"
    return signed if signed in model.named_vars else name

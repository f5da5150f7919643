"""The model of a formula with everything but standard deviations integrated out, where its terms allow that.

Given its standard deviations, a formula of normal terms is linear and Gaussian. Its common terms are those of a
population (see `engine.terms`), and each of its terms by patient is a column of the loading:

    coefficients_i = sum_t share_t beta_t + sum_g share_g sd_g z_ig,     z_ig ~ Normal(0, 1)

The model as Bambi states it is kept beside, as what the other is compared with before it is sampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from slopeshift.engine.later import later
from slopeshift.engine.terms import Terms
from slopeshift.model.covariates import record_regressors
from slopeshift.model.formula_terms import INTERVALS, BetweenPatients
from slopeshift.model.line import signed_scale
from slopeshift.model.priors import Gamma, HalfNormal, Normal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pymc as pm
    import pytensor.tensor as pt
    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

    from slopeshift.design.visits import Visits
    from slopeshift.model.covariates import Regressor
    from slopeshift.model.formula_terms import Stated, Term

    Floats = NDArray[np.float64]
else:
    pm, pt = later("pymc"), later("pytensor.tensor")


class NotExactError(ValueError):
    """A formula has something in it that cannot be integrated out; the text says what."""


@dataclass(frozen=True, eq=False)
class WrittenOut:
    """A formula's model as Bambi states it, every parameter a variable, and what its parameters are multiplied by.

    `common` are the terms that all patients share, with the prior `mean` and `sd` (term,) of their parameters, and
    `own` those by patient; `scales` names the standard deviation of each of the latter, and `standardised` says whether
    its parameters are sampled as standard normals times that.
    """

    model: pm.Model
    common: tuple[Term, ...]
    mean: Floats
    sd: Floats
    own: tuple[Term, ...]
    scales: tuple[str, ...]
    standardised: tuple[bool, ...]


def written_out(model: pm.Model) -> WrittenOut | None:
    """Find what Bambi states of a model that is a formula with its terms integrated out; None of any other model."""
    return cast("WrittenOut | None", getattr(model, "written_out", None))


def patterns_of(model: pm.Model) -> dict[str, Floats] | None:
    """Find what each standard deviation of a formula is multiplied by in the loading; None of any other model.

    By the name of the sampled variable, (coefficient, source) each.
    """
    return cast("dict[str, Floats] | None", getattr(model, "patterns", None))


def compile_as_written(model: pm.Model, why: str) -> pm.Model:
    """Record why a formula's model has to be compiled as Bambi states it, for `not_exact`, and return it."""
    model.not_exact = why
    return model


def not_exact(model: pm.Model) -> str:
    """Say why a formula's model has to be compiled as Bambi states it; empty of any other model."""
    return cast("str", getattr(model, "not_exact", ""))


def integrated_out(
    written: pm.Model,
    terms: Sequence[Term],
    stated: Mapping[str, Stated],
    visits: Visits,
    regressors: tuple[Regressor, ...],
) -> pm.Model:
    """Build the model of a formula with all its terms integrated out, to be drawn back exactly after sampling.

    `written` is the model as Bambi states it, `terms` are its evaluated terms, and `stated` has their priors by name.
    Samples each standard deviation and `sigma`, as `written` does, and adds what `exact.observe` adds. Raises
    NotExactError, with everything that stands in the way, where a term is not normal, not of patients, or moves them
    apart by anything but the interval.
    """
    from slopeshift.engine import exact

    common = sorted((term for term in terms if term.group is None), key=lambda term: term.name in INTERVALS)
    own = [term for term in terms if term.group is not None]
    _refuse(common, own, stated)
    laid_out = _population(common, own, stated, regressors, visits)
    deviations = [cast("BetweenPatients", stated[term.name]) for term in own]
    with pm.Model(coords=visits.coords) as model:
        scales = {each.name: _scale(each, written) for each in deviations}
        patterns = _patterns(own, [scales[each.name].name for each in deviations])
        loading = pt.tensordot(pt.stack([model[name] for name in patterns]), np.array([*patterns.values()]), axes=1)
        exact.observe(visits, laid_out, loading, cast("HalfNormal | Gamma", stated["sigma"]).variable("sigma"))
        record_regressors(regressors)
    model.patterns, model.statement = patterns, written.statement
    model.written_out = WrittenOut(
        written,
        tuple(common),
        laid_out.mean,
        laid_out.sd,
        tuple(own),
        tuple(scales[each.name].name for each in deviations),
        tuple(not each.known_to_differ for each in deviations),
    )
    return model


def _refuse(common: Sequence[Term], own: Sequence[Term], stated: Mapping[str, Stated]) -> None:
    """Refuse what the engine cannot integrate out, or does not know."""
    wrong = [f"the prior of {term.name} is not normal" for term in common if type(stated[term.name]) is not Normal]
    wrong += [f"{term.name} is more than a number at a visit" for term in (*common, *own) if _parts(term) != 1]
    wrong += [
        f"{term.name} differs between patients by more than the interval"
        for term in common
        if term.name not in INTERVALS and not _same_for_all(term)
    ]
    wrong += [why for term in own if (why := _unlike_a_patient(term, stated[term.name]))]
    if type(stated["sigma"]) not in (HalfNormal, Gamma):
        wrong.append("the prior of sigma is neither half-normal nor gamma")
    if not own or not common:
        wrong.append("it has no terms of patients, or none that they share")
    elif not wrong and np.linalg.matrix_rank(_design(common)) < len(common[0].typical[0]):
        wrong.append("some of its population's coefficients are fixed by others")
    if wrong:
        raise NotExactError("; ".join(wrong))


def _unlike_a_patient(term: Term, stated: Stated) -> str:
    """Say why a term by groups is no normal deviation of each patient; empty where it is one."""
    if not isinstance(stated, BetweenPatients) or type(stated.prior) not in (HalfNormal, Gamma):
        return f"{term.name} is not normal with a standard deviation that is half-normal or gamma"
    if term.group is None or not np.array_equal(term.group, np.arange(len(term.share))):
        return f"{term.name} is not by patient"
    return "" if _same_for_all(term) else f"{term.name} differs between patients by more than one number"


def _parts(term: Term) -> int:
    """Count the columns of a term."""
    return int(term.column.shape[1])


def _same_for_all(term: Term) -> bool:
    return np.array_equal(term.share, np.broadcast_to(term.share[:1], term.share.shape))


def _design(common: Sequence[Term]) -> Floats:
    """Lay out what common terms are to the population's coefficients: (coefficient, term)."""
    return np.column_stack([term.typical[0, :, 0] for term in common])


def _population(
    common: Sequence[Term],
    own: Sequence[Term],
    stated: Mapping[str, Stated],
    regressors: tuple[Regressor, ...],
    visits: Visits,
) -> Terms:
    """Lay the common terms out as those of a population: the interval's, which come last, are covariates."""
    priors = [cast("Normal", stated[term.name]) for term in common]
    shifts = {regressor.name: regressor.shift for regressor in regressors}
    moved = [shifts[term.name] for term in common if term.name in INTERVALS]
    return Terms(
        names=tuple(term.name for term in common),
        sources=tuple(term.name.partition("|")[0] for term in own),
        mean=np.array([float(prior.mean) for prior in priors]),
        sd=np.array([float(prior.sd) for prior in priors]),
        design=_design(common),
        shift=np.array(moved).reshape(len(moved), len(visits.patients), len(visits.coefficients)),
    )


def _scale(stated: BetweenPatients, written: pm.Model) -> TensorVariable:
    """Sample a standard deviation as Bambi's model does, once whatever the number of its terms."""
    model, signed = pm.modelcontext(None), f"{stated.name}_signed"
    name = signed if signed in written.named_vars else stated.name
    if name in model.named_vars:
        return model[name]
    return signed_scale(stated.name, stated.prior.sd) if name == signed else stated.prior.variable(name)


def _patterns(own: Sequence[Term], scales: Sequence[str]) -> dict[str, Floats]:
    """Lay out what each standard deviation is multiplied by in the loading: (coefficient, source)."""
    found = {name: np.zeros((own[0].share.shape[1], len(own))) for name in scales}
    for source, (term, name) in enumerate(zip(own, scales, strict=True)):
        found[name][:, source] = term.share[0, :, 0]
    return found

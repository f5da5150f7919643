"""A model compiled once and fitted to many data sets of the same shape, as null trials and sensitivity need it.

Only models whose coefficients are integrated out can do this: their data enter through sums that can be exchanged.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from slopeshift.design.shape import PLAIN
from slopeshift.engine.terms import CORRELATED
from slopeshift.fit import nuts
from slopeshift.fit.posterior import NORMAL, Posterior
from slopeshift.keep.made_from import imported, key, without_docstrings
from slopeshift.model.files import loaded
from slopeshift.model.formula_exact import written_out
from slopeshift.trial.arms import AGENT

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr

    from slopeshift.design.shape import Shape
    from slopeshift.design.visits import Visits
    from slopeshift.model.files import ModelFile
    from slopeshift.trial import Trial

CLAIMED = 0.975
"""Probability above which a change is taken for positive: a one-sided error of 2.5 %."""

MORE = "this model has more in it than a change of slope at each injection; it is not refitted"


class RefitError(ValueError):
    """A model cannot be fitted to exchanged data; the text says why."""


@dataclass(frozen=True)
class Sampling:
    """How a refit is sampled: `draws` and `tune` per chain. Less than for publication: only changes are looked at.

    With fewer steps of warm-up, and longer steps, than a fit has, changes mix as well: of 100 null trials of either
    outcome, no R-hat is above 1.01 and no effective sample size below 1,000.
    """

    chains: int = 2
    draws: int = 750
    tune: int = 300
    target_accept: float = 0.8

    def __str__(self) -> str:
        """Return what tables say of it: chains x (warm-up + draws)."""
        return f"{self.chains} x ({self.tune} + {self.draws})"


SMALL = Sampling()


@dataclass(frozen=True, eq=False)
class Compiled:
    """A compiled model by its name, the priors of its terms, how it is sampled, and its own shape."""

    name: str
    model: Any
    terms: xr.Dataset
    sampling: Sampling
    shape: Shape

    def fit(self, trial: Trial, visits: Visits, seed: int) -> Posterior:
        """Draw from the posterior given the values of `visits`, which are those of a trial or stand for them.

        `visits` are of as many patients, with as many injections, as the model was compiled for. The gate is not asked.
        """
        from slopeshift.design.entry import selection
        from slopeshift.engine import exact

        for_nuts, for_coefficients = np.random.SeedSequence(seed).generate_state(2)
        terms, rules = exact.entered(visits, self.terms, selection(trial, visits))
        swapped = nuts.with_data(self.model, statistics=exact.statistics_of(visits, terms), **rules)
        tree = nuts.draw(swapped, **asdict(self.sampling), seed=int(for_nuts), cores=1)
        sampled = tree["posterior"].to_dataset()
        draws, _ = exact.with_posterior_coefficients(sampled, visits, terms, int(for_coefficients))
        design = visits.dataset().merge(terms, join="exact")
        return Posterior(trial, visits, design, draws, self.name, family=NORMAL)


def compile_once(name: str, source: str, trial: Trial, sampling: Sampling) -> Compiled:
    """Compile the model that the source of a model file (`files.source_of`) builds for a trial.

    It can then be fitted to visits of any shape that has the same coefficients. Raises RefitError where the model
    cannot be refitted, and what `load_model` raises.
    """
    from slopeshift.engine.terms import terms_of
    from slopeshift.fit.precompiled import ready
    from slopeshift.model.covariates import labelled

    file = loaded(name, source)
    model = file.build(trial)
    reason = _not_exchangeable(model)
    if reason:
        raise RefitError(f"{name}: {reason}")
    return Compiled(name, ready(model, file.visits(trial)), labelled(model, terms_of(model)), sampling, file.shape)


def refusal(file: ModelFile, trial: Trial) -> str:
    """Say why a model cannot be refitted to null trials of a trial; empty where it can.

    It can where it is a course per patient that may change at each injection, for the whole cycle, integrated out;
    covariates of patients may act on it, those of cycles may not.
    """
    from slopeshift.model.covariates import by_cycle

    model = file.build(trial)
    more = replace(file.shape, curved=False) != PLAIN or by_cycle(model)
    return _not_exchangeable(model) or (MORE if more else "")


def _not_exchangeable(model: pm.Model) -> str:
    """Say why a compiled model cannot take other data: empty where all that it knows of them are the sums of visits."""
    if written_out(model) is not None:
        return "this model is a formula, whose terms may be others than those of a line; only a line can be refitted"
    if "statistics" not in model.named_vars:
        return "this model samples its coefficients; only one that integrates them out can be refitted"
    if CORRELATED in model.named_vars:
        return "this model's residuals depend on each other in time; only one of independent residuals can be refitted"
    return MORE if len(model.observed_RVs) > 1 else ""


class ModelJob:
    """Work on a trial with a model, given by the text of its file: a `keep.replicates.Job`, equal where its content is.

    Neither the words of the model file nor those of the code count (see `keep.made_from`).
    """

    trial: Trial
    source: str

    @property
    def settings(self) -> tuple[object, ...]:
        """What else decides the results: values that print as all that they are."""
        raise NotImplementedError

    @cached_property
    def key(self) -> str:
        """Hash of everything that decides the results: the module of the job, model, trial and settings."""
        return self._hashed(type(self).__module__.partition(".")[2], self.settings)

    @cached_property
    def program(self) -> str:
        """Hash of what is compiled."""
        return self._hashed("fit.compiled")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, ModelJob) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def _hashed(self, module: str, *more: object) -> str:
        texts = (without_docstrings(self.source), trial_content(self.trial), repr(more))
        return key(*texts, modules=(module, *imported(self.source)))


def trial_content(trial: Trial) -> str:
    """Write out what of a trial decides a refit: patients, visits, injections, what is stated of them, and control."""
    given = [name for name in ("patient", "injection", "month", AGENT) if name in trial.injections]
    tables = (trial.patients, trial.visits, trial.injections[given])
    texts = [
        repr((list(trial.outcomes.values()), list(trial.covariates.values()), trial.entry, trial.arms)),
        *(table.to_csv(index=False) for table in tables),
    ]
    if trial.control is not None:
        texts += [repr(sorted(trial.control.spreads(of).items())) for of in ("slope", "curvature")]
        texts.append(trial_content(trial.control.trial))
    return "\n".join(texts)

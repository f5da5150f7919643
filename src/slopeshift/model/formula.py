"""A Bambi formula fitted as any other model: the columns it may name, and the names that results are read from.

Bambi turns a formula into a PyMC model whose parameters have Bambi's names. Which of them make up a patient's lead-in
slope, or change in a cycle, is read off the formula itself: every term is evaluated where one column of the basis is 1
and the others are 0. A formula that is not a line whose slope changes at injections is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd

from slopeshift.design.cycles import split
from slopeshift.design.visits import visits_of
from slopeshift.engine.foreign import extract_deterministics, freeze_dims_and_data
from slopeshift.engine.later import later
from slopeshift.engine.terms import SHIFT
from slopeshift.model.covariates import CHANGE, Covariate, record_regressors, regressors_of
from slopeshift.model.families.normal import Normal
from slopeshift.model.formula_exact import NotExactError, compile_as_written, integrated_out
from slopeshift.model.formula_terms import (
    INTERVALS,
    BetweenPatients,
    Columns,
    FormulaError,
    Stated,
    check_line,
    terms_of_formula,
)
from slopeshift.model.line import signed_scale
from slopeshift.model.priors import Gamma, HalfNormal
from slopeshift.model.stated import row, statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    import bambi as bmb
    import formulae
    import pymc as pm
    import pytensor.tensor as pt
    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

    from slopeshift.model.covariates import Regressor
    from slopeshift.model.formula_terms import Term
    from slopeshift.model.priors import Normal as NormalPrior
    from slopeshift.trial import Trial

    Floats = NDArray[np.float64]
else:
    bmb, formulae, pm, pt = later("bambi"), later("formulae"), later("pymc"), later("pytensor.tensor")

EVERY_CYCLE = re.compile(r"b1\s*\+\s*\.\.\.\s*\+\s*bK")
"""What stands in a formula for the months in every cycle."""

DIMS = {"__obs__": "visit", "patient__factor_dim": "patient"}
"""Bambi's dims, and what they are called here."""


def between_patients(name: str, prior: HalfNormal | Gamma, *, known_to_differ: bool = False) -> BetweenPatients:
    """Let patients differ in a term as Normal(0, sd), with `prior` for the standard deviation.

    The posterior has the standard deviation as `name`; terms given the same name share one. `known_to_differ` says how
    to sample, and changes no answer: patients' values around the population's where visits determine them well, else
    standard normals times a standard deviation, a half-normal one with a sign (see `line.signed_scale`).
    """
    return BetweenPatients(name, prior, known_to_differ)


@dataclass(frozen=True)
class Formula:
    """A Bambi formula with its priors, a value that builds the model on a trial: see `formula_model`."""

    formula: str
    priors: Mapping[str, Stated]

    @property
    def outcome(self) -> str:
        """The outcome, which is the response of the formula."""
        return self.formula.partition("~")[0].strip()

    def __call__(self, trial: Trial) -> pm.Model:
        """Build the model on a trial, without compiling anything. Raises as `formula_model` does."""
        return formula_model(self.formula, self.priors, trial)

    def stated(self) -> list[dict[str, Any]]:
        """List the priors as rows of the prior table: see `stated.row`."""
        return _rows(self.priors)


def _rows(priors: Mapping[str, Stated]) -> list[dict[str, Any]]:
    rows = []
    for term, prior in priors.items():
        if isinstance(prior, BetweenPatients):
            rows.append(row(prior.name, prior.prior, f"SD between patients of the term {term.partition('|')[0]}"))
        else:
            rows.append(row(term, prior, "residual SD" if term == "sigma" else f"coefficient of the term {term}"))
    return rows


def _bambi(prior: Stated) -> bmb.Prior:
    """Write a prior down as Bambi does."""
    if isinstance(prior, BetweenPatients):
        return _scaled(prior.name, prior.prior, known_to_differ=prior.known_to_differ)
    names = {"mean": "mu", "sd": "sigma", "a": "alpha", "b": "beta"}
    return bmb.Prior(type(prior).__name__, **{names[name]: value for name, value in prior.exact.items()})


def _scaled(name: str, stated: HalfNormal | Gamma, *, known_to_differ: bool) -> bmb.Prior:
    prior = _bambi(stated)

    def scale(_: str, dims: object = None, **arguments: object) -> TensorVariable:
        signed = stated.may_be_zero and not known_to_differ
        sd = pm.modelcontext(None).named_vars.get(f"{name}_signed" if signed else name)
        if sd is None:
            sd = signed_scale(name, stated.sd) if signed else stated.variable(name)
            sd.tag.prior = str(stated)
        if sd.tag.prior != str(stated):
            raise FormulaError(f"{name}: has priors {sd.tag.prior} and {stated}; give it one, or the terms two names")
        return sd

    return bmb.Prior(
        "Normal",
        mu=0,
        sigma=bmb.Prior(prior.name, dist=scale, **prior.args),
        dist=_around_the_population,
        noncentered=not known_to_differ,
    )


def _around_the_population(label: str, *, mu: float, sigma: TensorVariable, dims: list[str]) -> TensorVariable:
    """Sample what a population's parameter and a patient's deviation from it add up to, and return the deviation."""
    parameter = label.partition("|")[0]
    population = pm.modelcontext(None).named_vars.get("Intercept" if parameter == "1" else parameter, 0.0)
    value = pm.Normal(f"{label}_value", population + mu, sigma, dims=dims)
    return pm.Deterministic(label, value - population, dims=dims)


def formula_model(formula: str, priors: Mapping[str, Stated], trial: Trial) -> pm.Model:
    """Build the PyMC model of a Bambi formula on a trial, with the names that results are read from.

    The response is the outcome. The formula may name `month` (since the first injection), `since` (the same, 0 before
    it), `b1` ... `bK` (months spent while injection k is the latest), `interval_within` and `interval_between` (those
    months times the parts of `interval.split`), `patient`, and columns of the patients' table. "b1 + ... + bK" stands
    for every cycle, as `bk` does in the name of a prior. Terms of which the trial has nothing are left out: a cycle
    that no value informs keeps the other terms, and is not reported.
    Its terms are integrated out where `formula_exact` can, and else are variables, to be compiled: see `not_exact`.
    Records its priors, and the family as normal. Gives `population` (coefficient; at the mean interval), `coefficients`
    (patient, coefficient) and, where the formula names intervals, `regression` (covariate).
    Raises FormulaError where a term has no prior, a prior no term, or the formula is no such line, and LookupError
    where the trial does not record the outcome.
    """
    outcome = formula.partition("~")[0].strip()
    visits = visits_of(trial, outcome)
    columns = Columns(visits, dict(zip(INTERVALS, split(trial, visits), strict=True)), _covariates(trial, formula))
    table = columns.table(visits.patient_index, visits.basis).assign(**{outcome: visits.value})
    written, stated = _for_trial(formula, priors, table, visits.injections)
    own = {name: _bambi(prior) for name, prior in stated.items()}
    spec = bmb.Model(written, table, priors=own, center_predictors=False)
    spec.build()
    terms = terms_of_formula(spec, columns)
    check_line(terms, visits)
    # The means of visits are a function of what is stored, and larger than all of it.
    model, _ = extract_deterministics(freeze_dims_and_data(spec.backend.model), spec.family.likelihood.parent)
    dims = model.named_vars_to_dims
    dims.update({name: tuple(DIMS.get(dim, dim) for dim in of) for name, of in dims.items()})
    model.add_coords(visits.coords)
    regressors = _regressors({term.name: stated[term.name] for term in terms if term.name in INTERVALS}, columns)
    with model:
        statement().family = Normal.name
        statement().priors.extend(_rows({name: prior for name, prior in priors.items() if _used(name, stated)}))
        _add_coefficients(terms)
        _add_regression(regressors)
    try:
        return integrated_out(model, terms, stated, visits, regressors)
    except NotExactError as reason:
        return compile_as_written(model, str(reason))


def _covariates(trial: Trial, formula: str) -> pd.DataFrame:
    """Take the columns of the patients' table that a formula names."""
    about = trial.patients.drop(columns="patient")
    return about[[name for name in about if re.search(rf"\b{re.escape(name)}\b", formula)]]


def _for_trial(
    formula: str, priors: Mapping[str, Stated], table: pd.DataFrame, injections: tuple[int, ...]
) -> tuple[str, dict[str, Stated]]:
    """Write a formula and its priors out for a trial's injections, without the terms of which it has nothing."""
    cycles = [f"b{k}" for k in injections or (1,)]
    formula = EVERY_CYCLE.sub(" + ".join(cycles), formula)
    stated = {re.sub(r"\bbk\b", cycle, name): prior for name, prior in priors.items() for cycle in cycles}
    names = {term.name: term.var_names for term in formulae.model_description(formula).terms} | {"sigma": set()}
    wrong = [f"no prior for {name}" for name in names if name not in stated]
    wrong += [f"a prior for {name}, which is not in the formula" for name in stated if name not in names]
    if wrong:
        raise FormulaError(f"{formula}: {'; '.join(wrong)}; state one prior for each term, and one for sigma")
    nothing = {"since", *cycles, *INTERVALS} - {name for name in table.select_dtypes("number") if table[name].any()}
    empty = [name for name, variables in names.items() if variables & nothing]
    left_out = "".join(f" - (0 + {name})" if "|" in name else f" - {name}" for name in empty)
    return formula + left_out, {name: prior for name, prior in stated.items() if name not in empty}


def _used(name: str, stated: Mapping[str, Stated]) -> bool:
    """Say whether a trial has the term of a prior, or for `bk` that of any cycle."""
    return any(re.fullmatch(re.sub(r"\bbk\b", r"b\\d+", re.escape(name)), each) for each in stated)


def _add_coefficients(terms: list[Term]) -> None:
    """Add up the terms' parameters into `population` and `coefficients`, in the current PyMC model.

    Where what is common differs between patients by a covariate, the population has its mean over them.
    """
    model = pm.modelcontext(None)
    population, patients = [], []
    for term in terms:
        parameter = model[term.name]
        if term.group is None:
            population.append((term.typical * pt.atleast_1d(parameter)).sum(axis=2).mean(axis=0))
            patients.append((term.share * pt.atleast_1d(parameter)).sum(axis=2))
        else:
            own = parameter[term.group].reshape((len(term.group), 1, -1))
            patients.append((term.share * own).sum(axis=2))
    size = len(model.coords["coefficient"])
    pm.Deterministic("population", sum(population, pt.zeros(size)), dims="coefficient")
    pm.Deterministic("coefficients", sum(patients, pt.zeros(size)), dims=("patient", "coefficient"))


def _regressors(priors: Mapping[str, Stated], columns: Columns) -> tuple[Regressor, ...]:
    """Take the intervals for covariates of the changes: how far each moves a patient's coefficients."""
    covariates = [
        Covariate(name, on=CHANGE, by_cycle=columns.intervals[name], unit="month", prior=cast("NormalPrior", prior))
        for name, prior in priors.items()
    ]
    return regressors_of(covariates, columns.visits)


def _add_regression(regressors: tuple[Regressor, ...]) -> None:
    """Repeat the coefficients of the intervals as `regression`, and how far each moves a patient's coefficients."""
    if not regressors:
        return
    record_regressors(regressors)
    pm.modelcontext(None).add_coord("covariate", [regressor.name for regressor in regressors])
    pm.Deterministic("regression", pt.stack([pm.modelcontext(None)[r.name] for r in regressors]), dims="covariate")
    pm.Data("covariates", np.stack([regressor.shift for regressor in regressors]), dims=SHIFT)

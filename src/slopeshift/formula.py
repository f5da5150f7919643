"""A Bambi formula fitted as any other model: the columns it may name, and the names that results are read from.

Bambi turns a formula into a PyMC model whose parameters have Bambi's names. Which of them make up a patient's lead-in
slope, or change in a cycle, is read off the formula itself: every term is evaluated where one column of the basis is 1
and the others are 0. A formula that is not a line whose slope changes at injections is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import bambi as bmb
import formulae
import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from pymc.model.transform.deterministic import extract_deterministics
from pymc.model.transform.optimization import freeze_dims_and_data

from slopeshift.basis import visits_of
from slopeshift.curves import signed_scale

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

    from slopeshift.basis import Visits
    from slopeshift.trial import Trial

    Floats = NDArray[np.float64]

EVERY_CYCLE = re.compile(r"b1\s*\+\s*\.\.\.\s*\+\s*bK")
"""What stands in a formula for the months in every cycle."""

DIMS = {"__obs__": "visit", "patient__factor_dim": "patient"}
"""Bambi's dims, and what they are called here."""


class FormulaError(ValueError):
    """A formula and its priors do not describe a line whose slope changes at injections; the text says where."""


@dataclass(frozen=True)
class Term:
    """A term of a formula, evaluated.

    `column` (visit, part) and `share` (patient, coefficient, part): what its parameters are multiplied by at a visit,
    and in a patient's coefficient. `group` (patient,) is the place of the patient's own parameters, None where the term
    is common to all.
    """

    name: str
    column: Floats
    share: Floats
    group: NDArray[np.intp] | None


def between_patients(name: str, prior: bmb.Prior, *, known_to_differ: bool = False) -> bmb.Prior:
    """Let patients differ in a term as Normal(0, sd), with `prior` for the standard deviation.

    The posterior has the standard deviation as `name`; terms given the same name share one. `known_to_differ` says how
    to sample, and changes no answer: patients' values around the population's where visits determine them well, else
    standard normals times a standard deviation, a half-normal one with a sign (see `curves.signed_scale`).
    """

    def scale(_: str, dims: object = None, **arguments: object) -> TensorVariable:
        signed = prior.name == "HalfNormal" and not known_to_differ
        have, stored = pm.modelcontext(None).named_vars, f"{name}_signed" if signed else name
        if stored in have:
            return have[stored]
        return signed_scale(name, prior.args["sigma"]) if signed else getattr(pm, prior.name)(name, **arguments)

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


def formula_model(formula: str, priors: Mapping[str, bmb.Prior], trial: Trial) -> pm.Model:
    """Build the PyMC model of a Bambi formula on a trial, with the names that results are read from.

    The response is the outcome. The formula may name `month` (since the first injection), `since` (the same, 0 before
    it), `b1` ... `bK` (months spent while injection k is the latest), `patient`, and columns of the patients' table;
    "b1 + ... + bK" stands for every cycle, as `bk` does in the name of a prior. Terms of which the trial has nothing,
    such as a cycle that no value informs, are left out, and their coefficients with them. Adds `population`
    (coefficient) and `coefficients` (patient, coefficient). Raises FormulaError where a term has no prior, a prior no
    term, or the formula is no such line, and LookupError where the trial does not record the outcome.
    """
    outcome = formula.partition("~")[0].strip()
    visits = visits_of(trial, outcome)
    columns = _columns_of(trial, visits, formula)
    table = columns(visits.patient_index, visits.basis).assign(**{outcome: visits.value})
    written, stated = _for_trial(formula, priors, table, len(visits.injections))
    spec = bmb.Model(written, table, priors=stated, center_predictors=False)
    spec.build()
    # Means of visits are a function of what is stored, and larger than all of it.
    model, _ = extract_deterministics(freeze_dims_and_data(spec.backend.model), spec.family.likelihood.parent)
    informed = _informed(visits)
    terms = _terms(spec, table, columns, informed, visits)
    _check_line(terms, visits, informed)
    model.named_vars_to_dims.update(
        {name: tuple(DIMS.get(dim, dim) for dim in dims) for name, dims in model.named_vars_to_dims.items()}
    )
    model.add_coords({**visits.coords, "coefficient": [visits.coefficients[place] for place in informed]})
    with model:
        _add_coefficients(terms)
    return model


def _informed(visits: Visits) -> list[int]:
    """Place, among the coefficients, of level, slope and the changes of those cycles that a value informs."""
    return [0, 1, *(2 + np.flatnonzero(visits.visits_in_cycle.sum(axis=0))).tolist()]


def _columns_of(trial: Trial, visits: Visits, formula: str) -> Callable[[NDArray[np.intp], Floats], pd.DataFrame]:
    """Return what lays rows of the basis, of given patients, out as the columns that a formula may name."""
    about = trial.patients.drop(columns="patient")
    about = about[[name for name in about if re.search(rf"\b{re.escape(name)}\b", formula)]]

    def columns(patient: NDArray[np.intp], basis: Floats) -> pd.DataFrame:
        cycles = {f"b{k}": basis[:, 1 + k] for k in visits.injections}
        line = pd.DataFrame({"month": basis[:, 1], "since": basis[:, 2:].sum(axis=1), **cycles})
        who = pd.Categorical.from_codes(patient, list(visits.patients))
        return line.assign(patient=who, **about.iloc[patient].reset_index(drop=True))

    return columns


def _for_trial(
    formula: str, priors: Mapping[str, bmb.Prior], table: pd.DataFrame, last: int
) -> tuple[str, dict[str, bmb.Prior]]:
    """Write a formula and its priors out for a trial with injections 1..last, without what it has nothing of."""
    cycles = [f"b{k}" for k in range(1, max(last, 1) + 1)]
    formula = EVERY_CYCLE.sub(" + ".join(cycles), formula)
    stated = {re.sub(r"\bbk\b", cycle, name): prior for name, prior in priors.items() for cycle in cycles}
    terms = formulae.model_description(formula).terms
    nothing = {"since", *cycles} - {name for name in table if name == "patient" or table[name].any()}
    empty = {term.name for term in terms if term.var_names & nothing}
    unmatched = {term.name for term in terms} ^ (set(stated) - {"sigma"})
    if unmatched or "sigma" not in stated:
        names = {term.name for term in terms}
        without = sorted(names - set(stated)) + ([] if "sigma" in stated else ["sigma"])
        wrong = [f"no prior for {name}" for name in without]
        wrong += [f"a prior for {name}, which is not in the formula" for name in sorted(set(stated) - names - {"sigma"})]
        raise FormulaError(f"{formula}: {'; '.join(wrong)}; state one prior for each term, and one for sigma")
    left_out = "".join(f" - (0 + {name})" if "|" in name else f" - {name}" for name in sorted(empty))
    return formula + left_out, {name: prior for name, prior in stated.items() if name not in empty}


def _terms(
    spec: bmb.Model,
    table: pd.DataFrame,
    columns: Callable[[NDArray[np.intp], Floats], pd.DataFrame],
    informed: list[int],
    visits: Visits,
) -> list[Term]:
    """Evaluate every term at the visits, and where one column of the basis is 1 and the others are 0."""
    number = len(visits.patients)
    unit = np.eye(len(visits.coefficients))[informed]
    unit[0] = 0.0
    rows = columns(np.repeat(np.arange(number), len(unit)), np.tile(unit, (number, 1)))

    def term(of: Any, expression: Any, group: NDArray[np.intp] | None) -> Term:
        share = np.array(expression.eval_new_data(rows), dtype=float).reshape(number, len(unit), -1)
        share[:, 1:] -= share[:, :1]
        return Term(of.name, np.asarray(expression.data, dtype=float).reshape(len(table), -1), share, group)

    design = spec.parameters[spec.family.likelihood.parent].design
    common = [term(of, of, None) for of in (design.common.terms.values() if design.common else ())]
    first = rows.iloc[:: len(unit)]
    return common + [
        term(of, of.expr, np.asarray(of.factor.eval_new_data(first)).argmax(axis=1))
        for of in (design.group.terms.values() if design.group else ())
    ]


def _check_line(terms: list[Term], visits: Visits, informed: list[int]) -> None:
    """Refuse terms that are not, patient by patient, linear in the basis."""
    basis = visits.basis[:, informed]
    bent = [
        term.name
        for term in terms
        if not np.allclose(np.einsum("vc,vcj->vj", basis, term.share[visits.patient_index]), term.column)
    ]
    if bent:
        raise FormulaError(
            f"{', '.join(bent)}: not a straight line between injections, so no slope or change can be read from it; "
            "write a formula that is linear in month, since and b1 ... bK"
        )


def _add_coefficients(terms: list[Term]) -> None:
    """Add up the terms' parameters into `population` and `coefficients`, in the current PyMC model.

    Where what is common differs between patients, the population has its mean over them.
    """
    model = pm.modelcontext(None)
    common: Any = 0.0
    own: Any = 0.0
    for term in terms:
        parameter = model[term.name]
        if term.group is None:
            common += (term.share * pt.atleast_1d(parameter)).sum(axis=-1)
        else:
            its = parameter[term.group]
            own += (term.share * (its[:, None, None] if its.ndim == 1 else its[:, None, :])).sum(axis=-1)
    pm.Deterministic("population", common.mean(axis=0), dims="coefficient")
    pm.Deterministic("coefficients", common + own, dims=("patient", "coefficient"))

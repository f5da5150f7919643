"""What a formula is made of: the columns it may name, and what each of its terms multiplies its parameters by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slopeshift.model.priors import Gamma, HalfNormal, Prior

if TYPE_CHECKING:
    from collections.abc import Mapping

    import bambi as bmb
    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits

    Floats = NDArray[np.float64]

INTERVALS = ("interval_within", "interval_between")
"""What the parts of `interval.split` are called in a formula."""


class FormulaError(ValueError):
    """A formula and its priors do not describe a line whose slope changes at injections; the text says where."""


@dataclass(frozen=True)
class Term:
    """A term of a formula, evaluated: what its parameters are multiplied by.

    `column` (visit, part): at a visit. `share` (patient, coefficient, part): in a patient's coefficient. `typical`: the
    same at the mean interval. `group` (patient,): the place of a patient's own parameters; None where all share them.
    """

    name: str
    column: Floats
    share: Floats
    typical: Floats
    group: NDArray[np.intp] | None


@dataclass(frozen=True)
class BetweenPatients:
    """Patients differ in a term as Normal(0, sd), with `prior` for the standard deviation, called `name`.

    See `between_patients`, which makes it.
    """

    name: str
    prior: HalfNormal | Gamma
    known_to_differ: bool


Stated = Prior | BetweenPatients


@dataclass(frozen=True)
class Columns:
    """The columns that a formula may name: `intervals` (patient, injection) by name, `covariates` a row per patient."""

    visits: Visits
    intervals: Mapping[str, Floats]
    covariates: pd.DataFrame

    def table(self, patient: NDArray[np.intp], basis: Floats, *, mean_interval: bool = False) -> pd.DataFrame:
        """Lay rows of the basis, of given patients, out as these columns; optionally at the mean interval."""
        cycles = basis[:, 2:]
        weight = 0.0 if mean_interval else 1.0
        return pd.DataFrame(
            {
                "month": basis[:, 1],
                "since": cycles.sum(axis=1),
                **{f"b{k}": cycles[:, k - 1] for k in self.visits.injections},
                **{name: weight * (cycles * part[patient]).sum(axis=1) for name, part in self.intervals.items()},
                # Ordered, lest formulae forget patients without a value and the order of the others.
                "patient": pd.Categorical.from_codes(patient, list(self.visits.patients), ordered=True),
                **self.covariates.iloc[patient].reset_index(drop=True),
            }
        )


def terms_of_formula(spec: bmb.Model, columns: Columns) -> list[Term]:
    """Evaluate every term at the visits, and where one column of the basis is 1 and the others are 0."""
    number, size = len(columns.visits.patients), len(columns.visits.coefficients)
    unit = np.eye(size)
    unit[0] = 0.0
    patient, basis = np.repeat(np.arange(number), size), np.tile(unit, (number, 1))
    own, typical = columns.table(patient, basis), columns.table(patient, basis, mean_interval=True)

    def share(expression: Any, rows: pd.DataFrame) -> Floats:
        values = np.array(expression.eval_new_data(rows), dtype=float).reshape(number, size, -1)
        values[:, 1:] -= values[:, :1]
        return values

    def term(name: str, expression: Any, group: NDArray[np.intp] | None) -> Term:
        column = np.asarray(expression.data, dtype=float).reshape(len(columns.visits.value), -1)
        return Term(name, column, share(expression, own), share(expression, typical), group)

    design = spec.parameters[spec.family.likelihood.parent].design
    common = design.common.terms.values() if design.common else ()
    varying = design.group.terms.values() if design.group else ()
    group = {of.name: np.asarray(of.factor.eval_new_data(own[::size])).argmax(axis=1) for of in varying}
    return [term(of.name, of, None) for of in common] + [term(of.name, of.expr, group[of.name]) for of in varying]


def check_line(terms: list[Term], visits: Visits) -> None:
    """Refuse terms that are not, patient by patient, linear in the basis."""
    lines = {term.name: np.einsum("vc,vcj->vj", visits.basis, term.share[visits.patient_index]) for term in terms}
    bent = [term.name for term in terms if not np.allclose(lines[term.name], term.column)]
    if bent:
        raise FormulaError(
            f"{', '.join(bent)}: not a straight line between injections, so no slope or change can be read from it; "
            "write a formula that is linear in month, since, b1 ... bK and the intervals"
        )

"""The answer of an exact model as a linear function of the values: what it would say of any trial of a design.

Given the loading and sigma, the posterior mean of anything linear in the population, v'mu, is linear in the values, and
its posterior SD does not depend on them at all. With Omega_i = W_i V W_i' + sigma^2 I,
Q = B' (sum_i W_i'Omega_i^-1 W_i) B + C^-1 and prior mean m of the terms,

    E[v'mu | y] = v'Q^-1 C^-1 m + sum_i a H_i W_i'y_i,     a = v'Q^-1 B',     H_i = (sigma^2 I + S_i V)^-1
    SD[v'mu | y] = sqrt(v'Q^-1 v)

so that its mean and variance are known under any truth that is linear in columns X_i: a course X_i c common to all,
patients who differ by Normal(0, V*) from it, and residuals Normal(0, sigma). No trial has to be simulated. Symbols are
those of `kernel`; H_i W_i' is W_i'Omega_i^-1 (matrix inversion lemma).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits

    Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measured:
    """What a design measures of each patient: sums of products of columns over the patient's visits.

    `grams` (patient, p, p) are W'W of the model's columns, and `cross` (patient, p, e) are W'X with those of a truth.
    `number` (patient,) says how many patients each stands for: of alike patients of a plan, one is looked at.
    """

    grams: Floats
    cross: Floats
    number: Floats


def measured(visits: Visits, basis: Floats, truth: Floats, number: Floats | None = None) -> Measured:
    """Measure a design: `basis` (visit, p) are the model's columns, `truth` (visit, e) those of a truth.

    `number` (patient,) is how many patients each of `visits` stands for; without it, one.
    """
    patients, p = len(visits.patients), basis.shape[1]
    both = np.zeros((patients, p, p + truth.shape[1]))
    np.add.at(both, visits.patient_index, basis[:, :, None] * np.column_stack([basis, truth])[:, None, :])
    return Measured(both[..., :p], both[..., p:], np.ones(patients) if number is None else number)


@dataclass(frozen=True, eq=False)
class Answer:
    """Posterior means of functionals of the population as linear functions of the values, for each draw of the spreads.

    `constant` and `sd`, the posterior SD, are (draw, functional); `gain` (draw, functional, patient, p) is a H_i.
    """

    design: Measured
    variance: Floats
    constant: Floats
    sd: Floats
    gain: Floats

    def of_values(self, moments: Floats) -> Floats:
        """Answer for values, by their sums W'y (patient, p), over all whom a patient stands for: (draw, functional)."""
        found: Floats = self.constant + np.einsum("dfip,ip->df", self.gain, moments)
        return found

    @property
    def response(self) -> Floats:
        """What a unit of each of the truth's columns, common to all patients, adds: (draw, functional, e)."""
        cross = self.design.number[:, None, None] * self.design.cross
        found: Floats = np.einsum("dfip,ipe->dfe", self.gain, cross)
        return found

    def scatter(self, spread: Floats) -> Floats:
        """Give the SD of the answer (draw, functional) where patients differ by V* (draw, e, e), with residuals."""
        number, moved = self.design.number, np.einsum("dfip,ipe->dfie", self.gain, self.design.cross)
        between = np.einsum("dfie,deg,dfig,i->df", moved, spread, moved, number, optimize=True)
        grams = number[:, None, None] * self.design.grams
        within = np.einsum("dfip,ipq,dfiq->df", self.gain, grams, self.gain, optimize=True)
        found: Floats = np.sqrt(between + self.variance[:, None] * within)
        return found


def answer(
    design: Measured, loading: Floats, sigma: Floats, terms: tuple[Floats, Floats, Floats], functionals: Floats
) -> Answer:
    """Find the linear answer for every draw of loading (draw, p, source) and sigma (draw,).

    `terms` are the terms' prior mean (m,), prior SD (m,) and design (p, m); `functionals` (functional, p) are weights
    of the columns' population coefficients. Values are not less their prior mean here.
    """
    mean, sd, picked = terms
    variance = sigma**2
    spread = loading @ loading.transpose(0, 2, 1)
    identity = np.eye(picked.shape[0])
    weight = np.linalg.inv(variance[:, None, None, None] * identity + design.grams @ spread[:, None])
    information = (design.number[:, None, None] * (weight @ design.grams)).sum(axis=1)
    posterior = np.linalg.inv(picked.T @ information @ picked + np.diag(sd**-2.0))
    wanted = functionals @ picked
    by_term = wanted @ posterior
    gain = np.einsum("dfp,dipq->dfiq", by_term @ picked.T, weight, optimize=True)
    return Answer(
        design, variance, by_term @ (mean * sd**-2.0), np.sqrt(np.einsum("dfm,fm->df", by_term, wanted)), gain
    )

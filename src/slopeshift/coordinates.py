"""Coordinates in which what patients differ by is nearly standard normal again, once their values are known.

Patients are standard normals z_i before their values are seen. Sampled as such, or as coefficients around those of the
population, they form a funnel with the standard deviations that scale them, one way or the other, depending on how much
a patient's values say. Here NUTS moves z_i in coordinates u_i instead,

    z_i = m_i + R_i u_i,     R_i R_i' = (I + D_i' D_i)^-1,     m_i = R_i R_i' D_i' e_i,

where e_i = D_i z_i + Normal(0, I) is taken for the density of a patient's values, standardised. Where it is that, the
u_i are standard normals that depend on nothing, and what is left to explore are the parameters of the population, as if
patients had been integrated out. Where it is near, little is left of the funnel. The density that is sampled is that of
the model in either case, for the Jacobian of the map is part of it (Papaspiliopoulos, Roberts and Sköld 2007, doi
10.1214/088342307000000014, on the parametrisation of hierarchical models).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.transforms import Transform

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

SIGNATURE = "(patient,source),(patient,source,source)->(patient,source)"


class Informed(Transform):  # type: ignore[misc]  # PyMC has no types here
    """The map z = m + R u of every patient: m (patient, source), R (patient, source, source) upper triangular.

    PyMC hands in the inputs of the variable: its size, m, R, and its generator of random numbers.
    """

    name = "informed"
    ndim_supp = 1

    def backward(self, value: TensorVariable, _: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        """Return z at u."""
        mean, root = inputs[:2]
        return mean + _times(root, value)

    def forward(self, value: TensorVariable, _: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        """Return u at z."""
        mean, root = inputs[:2]
        return pt.linalg.solve_triangular(root, value - mean, lower=False, b_ndim=1)

    def log_jac_det(self, _: TensorVariable, __: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        """Return log |det R|: (patient,)."""
        return pt.log(pt.diagonal(inputs[1], axis1=-2, axis2=-1)).sum(axis=-1)


def standard_normals(
    name: str, design: TensorVariable, residual: TensorVariable, patient: NDArray[np.intp], dims: tuple[str, str]
) -> TensorVariable:
    """Add z ~ Normal(0, 1), sampled in coordinates that what is known of `residual` suggests: (patient, source).

    `residual` (visit,) is taken for design (visit, source) times the z of the visit's `patient` (visit,), plus a
    standard normal. Both may depend on anything that is sampled, and say only how z is sampled, not what it is. `dims`
    names patients and sources, whose coordinates the current PyMC model has.
    """
    rows = _places(patient, len(pm.modelcontext(None).coords[dims[0]]))
    by_patient, known = _padded(design, rows), _padded(residual[:, None], rows)
    across = by_patient.transpose(0, 2, 1)
    one = np.eye(len(pm.modelcontext(None).coords[dims[1]]))
    factor = pt.linalg.cholesky(one + pt.matmul(across, by_patient))
    inverse = pt.linalg.solve_triangular(factor, np.broadcast_to(one, (len(rows), *one.shape)), lower=True)
    root = inverse.transpose(0, 2, 1)
    mean = _times(root, _times(inverse, pt.matmul(across, known)[..., 0]))

    def generate(mean: TensorVariable, _: TensorVariable, __: TensorVariable) -> TensorVariable:
        return pm.Normal.dist(pt.zeros_like(mean))

    def log_density(value: TensorVariable, _: TensorVariable, __: TensorVariable) -> TensorVariable:
        return pm.logp(pm.Normal.dist(), value)

    def start(_: TensorVariable, __: TensorVariable, mean: TensorVariable, ___: TensorVariable) -> TensorVariable:
        return mean

    return pm.CustomDist(
        name,
        mean,
        root,
        dist=generate,
        logp=log_density,
        support_point=start,
        signature=SIGNATURE,
        transform=Informed(),
        dims=dims,
    )


def _places(patient: NDArray[np.intp], patients: int) -> NDArray[np.intp]:
    """Find the visits of every patient, filled up with the number of visits, which is no visit: (patient, n)."""
    count = np.bincount(patient, minlength=patients)
    order = np.argsort(patient, kind="stable")
    number = np.arange(len(patient)) - np.repeat(np.cumsum(count) - count, count)
    places = np.full((patients, count.max(initial=0)), len(patient))
    places[patient[order], number] = order
    return places


def _padded(rows: TensorVariable, places: NDArray[np.intp]) -> TensorVariable:
    """Sort rows (visit, column) by patient, with zeros in the places that are no visit: (patient, n, column)."""
    return pt.concatenate([rows, pt.zeros((1, rows.shape[1]))])[places]


def _times(matrix: TensorVariable, vector: TensorVariable) -> TensorVariable:
    """Multiply a matrix and a vector per patient."""
    return (matrix * vector[:, None, :]).sum(axis=2)

"""Coordinates in which what patients differ by is nearly standard normal again, once their values are known.

Patients are standard normals z_i before their values are seen. Sampled as such, or as coefficients around those of the
population, they form a funnel with the standard deviations that scale them, one way or the other, depending on how much
a patient's values say. Here NUTS moves z_i in coordinates u_i instead,

    z_i = L_i'^-1 (u_i + L_i^-1 D_i' e_i),     L_i L_i' = I + D_i' D_i,     L_i lower triangular,

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
    """The map z = L'^-1 (u + s) of every patient: s (patient, source), L (patient, source, source) lower triangular.

    PyMC hands in the inputs of the variable: its size, s, L, and its generator of random numbers.
    """

    name = "informed"
    ndim_supp = 1

    def backward(self, value: TensorVariable, _: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        """Return z at u."""
        shift, factor = inputs[:2]
        return pt.linalg.solve_triangular(factor.transpose(0, 2, 1), value + shift, lower=False, b_ndim=1)

    def forward(self, value: TensorVariable, _: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        """Return u at z."""
        shift, factor = inputs[:2]
        return (factor * value[:, :, None]).sum(axis=1) - shift

    def log_jac_det(self, _: TensorVariable, __: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        """Return log |det L^-1|: (patient,)."""
        return -pt.log(pt.diagonal(inputs[1], axis1=-2, axis2=-1)).sum(axis=-1)


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
    shift = pt.linalg.solve_triangular(factor, pt.matmul(across, known)[..., 0], lower=True, b_ndim=1)
    informed = Informed()

    def generate(shift: TensorVariable, _: TensorVariable, __: TensorVariable) -> TensorVariable:
        return pm.Normal.dist(pt.zeros_like(shift))

    def log_density(value: TensorVariable, _: TensorVariable, __: TensorVariable) -> TensorVariable:
        return pm.logp(pm.Normal.dist(), value)

    def start(_: TensorVariable, size: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        return informed.backward(pt.zeros_like(inputs[0]), size, *inputs)

    return pm.CustomDist(
        name,
        shift,
        factor,
        dist=generate,
        logp=log_density,
        support_point=start,
        signature=SIGNATURE,
        transform=informed,
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

"""Coordinates in which what patients differ by is nearly standard normal again, once their values are known.

Patients are standard normals z_i before their values are seen. Sampled as such, or as coefficients around those of the
population, they form a funnel with the standard deviations that scale them, one way or the other, depending on how much
a patient's values say. Here NUTS moves z_i in coordinates u_i instead,

    z_i = L_i'^-1 (u_i + L_i^-1 D_i' e_i),     L_i L_i' = I + D_i' D_i,     L_i lower triangular,

where e_i = D_i z_i + Normal(0, I) is taken for the density of a patient's values, standardised. Where it is that, the
u_i are standard normals that depend on nothing, and what is left to explore are the parameters of the population, as if
patients had been integrated out. Where it is near, little is left of the funnel. The density that is sampled is that of
the model in either case, for the Jacobian of the map is part of it (Papaspiliopoulos, Roberts and Sköld 2007, doi
10.1214/088342307000000014, on the parametrisation of hierarchical models). `coordinate_kernel` has the arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from slopeshift.engine import reparametrise_kernel
from slopeshift.engine.foreign import (
    Apply,
    Op,
    Transform,
    cache_version,
    disconnected_type,
    numba_njit,
    register_funcify_default_op_cache_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

    Shapes = list[tuple[object, ...]]

SIGNATURE = "(visit,source),(visit),(visit)->(patient,source)"
"""Of z in its design, its residuals, and whose visits they are."""


class KernelOp(Op):  # type: ignore[misc]  # PyTensor has no types here
    """A function of `reparametrise_kernel` as an operation on tensors, by its name.

    `returned` names what the function returns: "z", shaped as the input z or u, "log_jacobian" (patient,), and
    "design" and "residual", shaped as the inputs.
    """

    __props__ = ("name", "returned")

    def __init__(self, name: str, *returned: str) -> None:
        self.name, self.returned = name, returned

    @property
    def function(self) -> Any:
        """The compiled function."""
        return getattr(reparametrise_kernel, self.name)

    def make_node(self, *inputs: TensorVariable) -> Apply:
        """Make the node: matrices of design and z, vectors of residuals and log Jacobians."""
        outputs = [pt.dmatrix() if name in ("design", "z") else pt.dvector() for name in self.returned]
        return Apply(self, tuple(map(pt.as_tensor_variable, inputs)), outputs)

    def infer_shape(self, node: Apply, shapes: Shapes) -> Shapes:
        """Take every shape from the inputs: design, residual, patient and z or u."""
        known = {"design": shapes[0], "residual": shapes[1], "z": shapes[3], "log_jacobian": shapes[3][:1]}
        return [known[name] for name in self.returned]

    def perform(self, node: Apply, inputs: Sequence[NDArray[Any]], outputs: list[list[object]]) -> None:
        """Evaluate outside compiled graphs."""
        found = self.function(*map(np.ascontiguousarray, inputs))
        for storage, value in zip(outputs, found if len(outputs) > 1 else (found,), strict=True):
            storage[0] = value


class Moved(KernelOp):
    """z (patient, source) and the log Jacobian (patient,), of design, residual, patient and u."""

    def pullback(
        self, inputs: Sequence[TensorVariable], outputs: Sequence[TensorVariable], cotangents: Sequence[TensorVariable]
    ) -> list[TensorVariable]:
        """Pull gradients back through the map; whose visit it is has none."""
        given = [
            pt.zeros_like(output) if isinstance(cotangent.type, type(disconnected_type)) else cotangent
            for output, cotangent in zip(outputs, cotangents, strict=True)
        ]
        by_design, by_residual, by_u = pulled_back(*inputs, *given)
        return [by_design, by_residual, disconnected_type(), by_u]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Connect both with design and residual, and z with u too."""
        return [[True, True], [True, True], [False, False], [True, True]]


moved = Moved("moved", "z", "log_jacobian")
moved_back = KernelOp("moved_back", "z")
pulled_back = KernelOp("pulled_back", "design", "residual", "z")


@register_funcify_default_op_cache_key(KernelOp)  # type: ignore[untyped-decorator]
def _compiled(op: KernelOp, node: Apply, **_: object) -> tuple[object, int]:
    """Hand PyTensor the compiled function, and a number that changes with its code, for the cache on disk."""
    function = op.function

    @numba_njit
    def run(*inputs):  # type: ignore[no-untyped-def]
        return function(*inputs)

    return run, cache_version("engine.reparametrise_kernel")


class Informed(Transform):  # type: ignore[misc]  # PyMC has no types here
    """The map from u to z, both (patient, source).

    PyMC hands in the inputs of the variable: its size, design, residual, patient, and what else it has.
    """

    name = "informed"
    ndim_supp = 1

    def backward(self, value: TensorVariable, _: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        """Return z at u."""
        return moved(*inputs[:3], value)[0]

    def forward(self, value: TensorVariable, _: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        """Return u at z."""
        return moved_back(*inputs[:3], value)

    def log_jac_det(self, value: TensorVariable, _: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        """Return log |det dz/du|: (patient,)."""
        return moved(*inputs[:3], value)[1]


def standard_normals(
    name: str, design: TensorVariable, residual: TensorVariable, patient: NDArray[np.intp], dims: tuple[str, str]
) -> TensorVariable:
    """Add z ~ Normal(0, 1), sampled in coordinates that what is known of `residual` suggests: (patient, source).

    `residual` (visit,) is taken for design (visit, source) times the z of the visit's `patient` (visit,), plus a
    standard normal. Both may depend on anything that is sampled, and say only how z is sampled, not what it is. `dims`
    names patients and sources, whose coordinates the current PyMC model has.
    """
    patients, sources = (len(pm.modelcontext(None).coords[dim]) for dim in dims)
    informed, origin = Informed(), np.zeros((patients, sources))

    def generate(*_: TensorVariable) -> TensorVariable:
        return pm.Normal.dist(origin)

    def log_density(value: TensorVariable, *_: TensorVariable) -> TensorVariable:
        return pm.logp(pm.Normal.dist(), value)

    def start(_: TensorVariable, size: TensorVariable, *inputs: TensorVariable) -> TensorVariable:
        return informed.backward(pt.as_tensor(origin), size, *inputs)

    return pm.CustomDist(
        name,
        design,
        residual,
        patient.astype(np.int64),
        dist=generate,
        logp=log_density,
        support_point=start,
        signature=SIGNATURE,
        transform=informed,
        dims=dims,
    )

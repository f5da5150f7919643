"""What is used of PyTensor and PyMC that they do not promise to keep: named here, and imported from nowhere else.

`engine.simd` is the same for numba and llvmlite, `fit.nuts` for nutpie and `answers.arviz_stats` for ArviZ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymc as pm
from pymc.logprob.transforms import Transform
from pymc.model.transform.deterministic import extract_deterministics
from pymc.model.transform.optimization import freeze_dims_and_data
from pytensor.gradient import disconnected_type
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key
from pytensor.tensor.random.type import random_generator_type

from slopeshift.keep.made_from import code

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

__all__ = [
    "Apply",
    "Op",
    "Transform",
    "cache_version",
    "disconnected_type",
    "extract_deterministics",
    "freeze_dims_and_data",
    "numba_njit",
    "observe_data",
    "random_generator_type",
    "register_funcify_default_op_cache_key",
]


def cache_version(module: str) -> int:
    """Give PyTensor's cache on disk a number that changes with the code of a module and of what it imports."""
    return int(code(module)[:8], 16)


def observe_data(model: pm.Model, observed: TensorVariable, name: str) -> None:
    """Let a model's observed variable take its values from data named `name`, where they were a constant: in place."""
    old: Any = model.rvs_to_values[observed]
    values: NDArray[Any] = old.data
    with model:
        data = pm.Data(name, values, dims=model.named_vars_to_dims[observed.name])
    model.rvs_to_values[observed] = data
    model.values_to_rvs[data] = model.values_to_rvs.pop(old)

"""What is used of PyTensor and PyMC that they do not promise to keep: named here, and imported from nowhere else.

`engine.compiling` and `engine.simd` are the same for numba and llvmlite, `fit.nuts` for nutpie, and
`answers.arviz_stats` for ArviZ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pymc as pm
import pytensor
from pymc.logprob.transforms import Transform
from pymc.model.transform.deterministic import extract_deterministics
from pymc.model.transform.optimization import freeze_dims_and_data
from pytensor.compile.mode import Mode
from pytensor.gradient import disconnected_type
from pytensor.graph.basic import Apply, Constant
from pytensor.graph.op import Op
from pytensor.graph.traversal import graph_inputs
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key
from pytensor.tensor.random.type import random_generator_type

from slopeshift.keep.made_from import code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pytensor.tensor import TensorVariable

__all__ = [
    "Apply",
    "Op",
    "Transform",
    "cache_version",
    "constant",
    "disconnected_type",
    "extract_deterministics",
    "freeze_dims_and_data",
    "interpreted",
    "numba_njit",
    "observe_data",
    "random_generator_type",
    "register_funcify_default_op_cache_key",
]


def cache_version(module: str) -> int:
    """Give PyTensor's cache on disk a number that changes with the code of a module and of what it imports."""
    return int(code(module)[:8], 16)


def constant(tensors: Sequence[TensorVariable]) -> bool:
    """Say whether tensors depend on constants alone."""
    return all(isinstance(each, Constant) for each in graph_inputs(tensors))


def interpreted(inputs: Sequence[TensorVariable], outputs: Any) -> Any:
    """Make a function of tensors that is interpreted as it is stated: nothing is compiled, and nothing rewritten."""
    return pytensor.function(inputs, outputs, mode=Mode(linker="py", optimizer=None), on_unused_input="ignore")


def observe_data(model: pm.Model, observed: TensorVariable, name: str) -> None:
    """Let a model's observed variable take its values from data named `name`, where they were a constant: in place."""
    old: Any = model.rvs_to_values[observed]
    values: NDArray[Any] = old.data
    with model:
        data = pm.Data(name, values, dims=model.named_vars_to_dims[observed.name])
    model.rvs_to_values[observed] = data
    model.values_to_rvs[data] = model.values_to_rvs.pop(old)

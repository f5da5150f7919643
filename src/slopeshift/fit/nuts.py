"""The door to nutpie: the one place where a model is compiled for NUTS and sampled by it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import accumulate, pairwise
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    import pymc as pm
    import xarray as xr
    from numpy.typing import NDArray

    from slopeshift.engine.buffer import Density

ADAPTATION = "draw_diag"
"""How nutpie scales its steps: by the variance of draws, as Stan does. By the draws' gradients, its default, sampled
coefficients of a small trial mix half as well; where they are integrated out, either does."""


@dataclass(frozen=True, eq=False)
class Precompiled:
    """A model that needs no compiling: the engine has its density, and what differs between models is in `arrays`.

    `dims` and `coords` are those of what is reported of a draw, by name, in the order in which the density reports it.
    """

    arrays: Density
    dims: dict[str, tuple[str, ...]]
    coords: dict[str, list[Any]]

    def __post_init__(self) -> None:
        # The C function would write beyond what there is room for.
        if (room := self._layout()[1][-1].stop) != self.arrays.width:
            raise ValueError(f"what is named of a draw are {room} numbers, and {self.arrays.width} are reported")

    def with_data(self, **data: NDArray[Any]) -> Precompiled:
        """Exchange data of the density by name. Raises KeyError where it has none of this name."""
        if unknown := set(data) - set(self.arrays.exchangeable):
            known = ", ".join(self.arrays.exchangeable)
            raise KeyError(f"the density has no data {', '.join(sorted(unknown))}; it has {known}")
        return replace(self, arrays=self.arrays.exchanged(**data))

    def prior(self, draws: int, seed: int) -> xr.Dataset:
        """Draw from the prior what NUTS draws from the posterior: dims chain (1), draw, and those of each variable."""
        import numpy as np
        import xarray as xr

        names, places, shapes = self._layout()
        values = self.arrays.prior(draws, np.random.default_rng(seed))
        found = {
            name: (("chain", "draw", *self.dims[name]), values[:, place].reshape(1, draws, *shape))
            for name, place, shape in zip(names, places, shapes, strict=True)
        }
        return xr.Dataset(found, {"chain": [0], "draw": range(draws)} | self.coords)

    def program(self) -> Any:
        """Fill in by hand what nutpie otherwise has compiled of a PyMC model: C functions and their data.

        Its public way for densities of one's own goes through Python at every evaluation: it takes ten times as long.
        """
        import numpy as np
        import pandas as pd

        names, places, shapes = self._layout()
        start = self.arrays.start()
        return nutpie().compile_pymc.CompiledPyMCModel(
            dims=self.dims,
            reparameterized_names=[],
            compiled_logp_func=self.arrays.c_density(),
            compiled_expand_func=self.arrays.c_report(),
            initial_point_func=lambda seed: start + np.random.default_rng(seed).uniform(-1.0, 1.0, len(start)),
            shared_data={},
            shared_var_keys={},
            user_data=self.arrays.buffer(),
            n_expanded=places[-1].stop,
            shape_info=(names, places, shapes),
            logp_func=None,
            expand_func=None,
            _n_dim=len(start),
            _shapes=dict(zip(names, shapes, strict=True)),
            _coords={dim: pd.Index(labels) for dim, labels in self.coords.items()},
        )

    def _layout(self) -> tuple[list[str], list[slice], list[tuple[int, ...]]]:
        """Name what is reported of a draw, with its places and its shape."""
        shapes = [tuple(len(self.coords[dim]) for dim in dims) for dims in self.dims.values()]
        ends = accumulate(map(prod, shapes), initial=0)
        return list(self.dims), [slice(a, b) for a, b in pairwise(ends)], shapes


def nutpie() -> ModuleType:
    """Import nutpie without ArviZ's figures, which take it a second: it uses only what `arviz_base` has."""
    if "nutpie" not in sys.modules and "arviz" not in sys.modules:
        sys.modules["arviz"] = import_module("arviz_base")
        try:
            return import_module("nutpie")
        finally:
            del sys.modules["arviz"]
    return import_module("nutpie")


def compile_model(model: pm.Model) -> Any:
    """Compile a model for `draw`. What PyMC holds as its data can then be exchanged (see `with_data`)."""
    return nutpie().compile_pymc_model(model)


def data_names(compiled: Any) -> set[str]:
    """Name the data that the density of a compiled model uses; what the model merely records is not among them."""
    if isinstance(compiled, Precompiled):
        return set(compiled.arrays.exchangeable)
    return {variable.name for variable in compiled.shared_var_keys}


def with_data(compiled: Any, **data: NDArray[Any]) -> Any:
    """Exchange data of a compiled model by name. Raises KeyError where its density uses none of this name."""
    return compiled.with_data(**data)


def draw(
    compiled: Any,
    *,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
    target_accept: float,
    cores: int | None = None,
    progress: bool = False,
) -> xr.DataTree:
    """Draw from the posterior of a compiled model with NUTS: the groups `posterior` and `sample_stats`, no warm-up.

    `draws` and `tune` are per chain; as many chains run at once as there are `cores` (default: nutpie's choice).
    Raises KeyboardInterrupt, without a result, where sampling is interrupted.
    """
    sampler = nutpie().sample(
        compiled.program() if isinstance(compiled, Precompiled) else compiled,
        draws=draws,
        tune=tune,
        chains=chains,
        seed=seed,
        target_accept=target_accept,
        adaptation=ADAPTATION,
        cores=cores,
        save_warmup=False,
        progress_bar=progress,
        blocking=False,
    )
    try:
        tree: xr.DataTree = sampler.wait()
    except BaseException:
        # nutpie's own blocking call would answer Ctrl-C with the draws so far, as if they were the result.
        sampler.cancel()
        raise
    return tree

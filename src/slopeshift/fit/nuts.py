"""The door to nutpie: the one place where a model is compiled for NUTS and sampled by it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import accumulate, pairwise
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    import numpy as np
    import pymc as pm
    import xarray as xr
    from numpy.typing import NDArray

    from slopeshift.engine.buffer import Density

    Floats = NDArray[np.float64]

ADAPTATION = "draw_diag"
"""How nutpie scales its steps: by the variance of draws, as Stan does. By the draws' gradients, its default, sampled
coefficients of a small trial mix half as well; where they are integrated out, either does."""

DESCENT = 10
"""Steps that a chain takes uphill before it begins."""

FAR = 1e300
"""Stands for a log density that is not finite, turned round: L-BFGS steps back from it."""

STATISTICS = ("diverging", "energy", "logp", "n_steps", "step_size", "depth", "maxdepth_reached")
"""What is taken of nutpie's statistics of every draw."""


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
        import pandas as pd

        names, places, shapes = self._layout()
        return nutpie().compile_pymc.CompiledPyMCModel(
            dims=self.dims,
            reparameterized_names=[],
            compiled_logp_func=self.arrays.c_density(),
            compiled_expand_func=self.arrays.c_report(),
            initial_point_func=self.initial,
            shared_data={},
            shared_var_keys={},
            user_data=self.arrays.buffer,
            n_expanded=places[-1].stop,
            shape_info=(names, places, shapes),
            logp_func=None,
            expand_func=None,
            _n_dim=len(self.arrays.start()),
            _shapes=dict(zip(names, shapes, strict=True)),
            _coords={dim: pd.Index(labels) for dim, labels in self.coords.items()},
        )

    def initial(self, seed: int) -> Floats:
        """Choose where a chain begins: a random point near the middle of the prior, then some steps uphill.

        Chains begin apart, and still do after DESCENT steps of L-BFGS. From the random points themselves, values may
        lie hundreds of units of log density below where they belong: NUTS then takes as many steps to come near as for
        all the draws of a refit.
        """
        import numpy as np
        from scipy.optimize import minimize

        def down(point: Floats) -> tuple[float, Floats]:
            value, gradient = self.arrays.evaluate(point)
            usable = np.isfinite(value) and np.isfinite(gradient).all()
            return (-value, -gradient) if usable else (FAR, np.zeros_like(point))

        start = self.arrays.start()
        begun = start + np.random.default_rng(seed).uniform(-1.0, 1.0, len(start))
        found: Floats = minimize(down, begun, jac=True, method="L-BFGS-B", options={"maxiter": DESCENT}).x
        return found

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

    `sample_stats` has STATISTICS, by nutpie's names. `draws` and `tune` are per chain; as many chains run at once as
    there are `cores` (default: nutpie's choice).
    Raises KeyboardInterrupt, without a result, where sampling is interrupted.
    """
    program = compiled.program() if isinstance(compiled, Precompiled) else compiled
    sampler = nutpie().sample(
        program,
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
        return_raw_trace=True,
    )
    try:
        trace = sampler.wait()
    except BaseException:
        # nutpie's own blocking call would answer Ctrl-C with the draws so far, as if they were the result.
        sampler.cancel()
        raise
    return _tree(program, *trace.get_arrow_trace())


def _tree(program: Any, draws: Sequence[Any], statistics: Sequence[Any]) -> xr.DataTree:
    """Lay out what nutpie recorded, a batch of Arrow a chain, as ArviZ would, which takes a fifth of a refit.

    Draws of the warm-up are among them, even where nutpie is asked to leave them out.
    """
    import numpy as np
    import xarray as xr

    kept = [~np.asarray(each.column("tuning")) for each in statistics]
    coords = {"chain": range(len(kept)), "draw": range(int(kept[0].sum()))} | dict(program.coords)
    transformed = set(program.reparameterized_names or ())

    def dataset(batches: Sequence[Any], names: Sequence[str]) -> xr.Dataset:
        found = {name: _variable(name, [batch.column(name) for batch in batches], kept) for name in names}
        dims = {dim for each, _ in found.values() for dim in each}
        return xr.Dataset(found, {dim: labels for dim, labels in coords.items() if dim in dims})

    groups = {
        "posterior": dataset(draws, [name for name in draws[0].column_names if name not in transformed]),
        "sample_stats": dataset(statistics, STATISTICS),
    }
    return xr.DataTree.from_dict(groups)


def _variable(
    name: str, columns: Sequence[Any], kept: Sequence[NDArray[np.bool_]]
) -> tuple[tuple[str, ...], NDArray[Any]]:
    """Read the draws of one variable, a column of Arrow a chain: dims chain, draw and its own, and values."""
    import numpy as np
    import pyarrow as pa

    about = {key.decode(): text.decode() for key, text in columns[0].field.metadata.items()}
    shape = [int(size) for size in about.get("shape", "").split(",") if size]
    dims = [dim for dim in about.get("dims", "").split(",") if dim] or [f"{name}_dim_{i}" for i in range(len(shape))]
    values = [pa.array(column) for column in columns]
    numbers = [(each.flatten() if shape else each).to_numpy(zero_copy_only=False) for each in values]
    chains = [each.reshape(len(keep), *shape)[keep] for each, keep in zip(numbers, kept, strict=True)]
    return ("chain", "draw", *dims), np.stack(chains)

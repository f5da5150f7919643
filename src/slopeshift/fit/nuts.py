"""The door to nutpie: the one place where a model is compiled for NUTS and sampled by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pymc as pm
    import xarray as xr
    from numpy.typing import NDArray

ADAPTATION = "draw_diag"
"""How nutpie scales its steps: by the variance of draws, as Stan does. By the draws' gradients, its default, sampled
coefficients of a small trial mix half as well; where they are integrated out, either does."""


def compile_model(model: pm.Model) -> Any:
    """Compile a model for `draw`. What PyMC holds as its data can then be exchanged (see `with_data`)."""
    import nutpie

    return nutpie.compile_pymc_model(model)


def data_names(compiled: Any) -> set[str]:
    """Name the data that the density of a compiled model uses; what the model merely records is not among them."""
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
    import nutpie

    sampler = nutpie.sample(
        compiled,
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

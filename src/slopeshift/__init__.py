"""slopeshift: did a patient's slope change after each injection, by how much, for whom, and how sure can we be?

`import slopeshift as ss` gives the names of `__all__`, which docs/python.md shows at work. Each loads when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slopeshift.notebook import (
        Gamma,
        HalfNormal,
        ModelFit,
        Normal,
        fit_model,
        load_model,
        open_fit,
        plan,
        plot_forest,
        plot_trajectory,
        read_trial,
        report_trial,
        simulate_trial,
        trial_from_tables,
        vary_model,
        write_report,
    )

__version__ = "0.2.0"

__all__ = [
    "Gamma",
    "HalfNormal",
    "ModelFit",
    "Normal",
    "fit_model",
    "load_model",
    "open_fit",
    "plan",
    "plot_forest",
    "plot_trajectory",
    "read_trial",
    "report_trial",
    "simulate_trial",
    "trial_from_tables",
    "vary_model",
    "write_report",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first used, so that importing the package costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import_module(f"{__name__}.keep.caches").use_writable()
    found: object = getattr(import_module(f"{__name__}.notebook"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})

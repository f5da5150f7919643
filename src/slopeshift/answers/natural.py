"""The slope that a course would have without any injection: what changes are counted from, and percentages are of.

On a straight course it is the slope of the lead-in. A curved one has another slope at every time: over what was seen of
a cycle, on average that in the middle, as of any parabola.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr


def natural_slope(coefficients: xr.DataArray, month: float | xr.DataArray) -> xr.DataArray:
    """Take the slope that a course would have at a month without any injection; on a straight one, at any."""
    slope = coefficients.sel(coefficient="slope", drop=True)
    if "curvature" not in coefficients.indexes["coefficient"]:
        return slope
    return slope + coefficients.sel(coefficient="curvature", drop=True) * month


def middle(design: xr.Dataset, injection: int) -> float:
    """Average the middles of the informed cycles after an injection: months."""
    middles = design["middle_of_cycle"].where(design["visits_in_cycle"] > 0)
    return float(middles.sel(injection=injection).mean())

"""Fits without what follows from the rest of them, which is made again when they are opened.

A model whose patients are integrated out samples about ten numbers a draw. All else that its fit shows is a function of
these, the data and a seed: coefficients, predictions and log densities. It takes a hundred times as much space as they
do, and less than a second to make. What is left out is compared, to the last bit, with what will be made in its place;
what would come out otherwise is stored as it is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from slopeshift.design.shape import shape_of
from slopeshift.design.visits import visits_of
from slopeshift.fit.store import Fit, FitError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from slopeshift.design.visits import Visits
    from slopeshift.trial import Trial

    Groups = Mapping[str, xr.Dataset]

LEFT_OUT = "left_out"
"""The attribute of a stored tree that says what was left out: by group and variable, its mean."""

ENTRIES, PLACES = "loading_entries", "loading_places"
"""The few different numbers of a loading (chain, draw, loading_entry), and which of them stands where."""

SHORTENED = "single_precision"
"""The attribute of a stored group that names the variables that are double precision once they are opened."""

CLOSE = 1e-6
"""Relative difference of a mean up to which what was made again is what was left out: another machine rounds otherwise,
but another stream of random numbers moves it by more."""


def packed(fit: Fit, trial: Trial) -> Fit:
    """Leave out of a fit what can be made again, unless that was done. Raises as `visits_of_fit`."""
    if fit.record["status"] == "skipped" or LEFT_OUT in fit.tree.attrs:
        return fit
    groups, visits = _groups(fit.tree), visits_of_fit(fit, trial)
    made = _made(groups, visits, fit.record)
    left_out = {name: _same(group, made[name]) for name, group in groups.items() if name in made}
    kept = {name: group.drop_vars(left_out.get(name, [])) for name, group in groups.items()}
    means = {name: {v: float(groups[name][v].mean()) for v in left} for name, left in left_out.items()}
    tree = xr.DataTree.from_dict({name: _folded(group) for name, group in kept.items() if group.data_vars})
    tree.attrs = fit.tree.attrs | {LEFT_OUT: json.dumps(means)}
    return Fit(tree, fit.record)


def unpacked(fit: Fit, trial: Trial) -> Fit:
    """Make again what was left out of a fit; one of which nothing was is returned as it is.

    Raises FitError where what is made differs from what was left out, and as `visits_of_fit`.
    """
    if LEFT_OUT not in fit.tree.attrs:
        return fit
    left_out = json.loads(fit.tree.attrs[LEFT_OUT])
    groups, visits = _groups(fit.tree), visits_of_fit(fit, trial)
    made = _made(groups, visits, fit.record)
    for name, means in left_out.items():
        again = {variable: made[name][variable] for variable in means}
        if wrong := [v for v, mean in means.items() if not _close(float(again[v].mean()), mean)]:
            raise FitError(
                f"{fit.record['model']}: {', '.join(wrong)} of {name} came out otherwise than when this fit was made, "
                "as with other versions of its packages; run `slopeshift fit --force` to refit"
            )
        groups[name] = groups.get(name, xr.Dataset()).assign(again)
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {key: value for key, value in fit.tree.attrs.items() if key != LEFT_OUT}
    return Fit(tree, fit.record)


def visits_of_fit(fit: Fit, trial: Trial) -> Visits:
    """Take the visits that a fit was made from out of its trial. Raises FitError where they are others."""
    record = fit.record
    if record["inputs"]["data"] != trial.files:
        raise FitError(f"{record['model']}: this fit was made from other data than trial {trial.name}; fit it again")
    design = fit.tree["constant_data"].to_dataset()
    visits = visits_of(trial, record["outcome"], shape_of(design))
    if "month" in design and not np.array_equal(design["month"], visits.month):
        raise FitError(f"{record['model']}: this fit was made from other visits than the trial has; fit it again")
    return visits


def _made(groups: Groups, visits: Visits, record: Mapping[str, Any]) -> dict[str, xr.Dataset]:
    """Make all that follows from the rest of a fit's groups, by group."""
    from slopeshift.fit.sample import remade

    design = visits.dataset()
    data = design.drop_vars([str(name) for name, values in design.data_vars.items() if not values.ndim])
    known = {**groups, "constant_data": groups["constant_data"].assign(data)}
    settings = record["inputs"].get("settings")
    return {"constant_data": data} | (
        {} if settings is None else remade(record["family"], known, visits, settings["seed"])
    )


def _groups(tree: xr.DataTree) -> dict[str, xr.Dataset]:
    return {name: _unfolded(node.to_dataset()) for name, node in tree.children.items()}


def _same(group: xr.Dataset, made: xr.Dataset) -> list[str]:
    """Name the variables of a group that were made again to the last bit."""
    common = [str(name) for name in group.data_vars if name in made]
    return [name for name in common if group[name].dtype == made[name].dtype and group[name].equals(made[name])]


def _close(mean: float, known: float) -> bool:
    return bool(np.isclose(mean, known, rtol=CLOSE, atol=1e-9, equal_nan=True))


def _folded(group: xr.Dataset) -> xr.Dataset:
    """Write a group down in less space, without a loss: what single precision holds is stored in it."""
    group = _with_entries(group)
    short = [str(name) for name, values in group.data_vars.items() if values.dims and _single(values.to_numpy())]
    shorter = {name: group[name].astype(np.float32) for name in short}
    return group.assign(shorter).assign_attrs({SHORTENED: json.dumps(short)})


def _single(values: NDArray[Any]) -> bool:
    return values.dtype == np.float64 and np.array_equal(values, values.astype(np.float32), equal_nan=True)


def _unfolded(group: xr.Dataset) -> xr.Dataset:
    """Write a group out again."""
    short = json.loads(group.attrs.get(SHORTENED, "[]"))
    longer = _without_entries(group.assign({name: group[name].astype(np.float64) for name in short}))
    longer.attrs = {key: value for key, value in group.attrs.items() if key != SHORTENED}
    return longer


def _with_entries(group: xr.Dataset) -> xr.Dataset:
    """Keep the different numbers of a loading once: most of its entries are zero, or those of another coefficient."""
    if "loading" not in group or group["loading"].dims[:2] != ("chain", "draw"):
        return group
    loading = group["loading"]
    values = loading.to_numpy().reshape(-1, loading[0, 0].size)
    entries, places = np.unique(values, axis=1, return_inverse=True)
    shape = loading.shape[:2]
    folded = {
        ENTRIES: (("chain", "draw", "loading_entry"), entries.reshape(*shape, -1)),
        PLACES: (loading.dims[2:], places.reshape(loading.shape[2:])),
    }
    return group.drop_vars("loading").assign(folded)


def _without_entries(group: xr.Dataset) -> xr.Dataset:
    """Lay the loading out again."""
    if PLACES not in group:
        return group
    values = group[ENTRIES].to_numpy()[..., group[PLACES].to_numpy()]
    dims = ("chain", "draw", *group[PLACES].dims)
    return group.drop_vars([ENTRIES, PLACES]).assign(loading=(dims, values))

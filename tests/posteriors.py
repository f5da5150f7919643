"""Posteriors for the tests: of made-up draws, and with other things stored."""

from dataclasses import replace
from types import SimpleNamespace

import xarray as xr

from slopeshift.fit.posterior import Posterior, posterior_of
from slopeshift.fit.store import Fit


def posterior_from(draws, design=None, *, unit="points", trial=None, visits=None, prior=None, **more):
    """Wrap draws up: `visits` and `design` may be left out where only the other, or neither, is looked at."""
    if design is None:
        design = xr.Dataset() if visits is None else visits.dataset()
    if visits is None:
        visits = SimpleNamespace(outcome=SimpleNamespace(name="alsfrsr", unit=unit, sign=1))
    groups = {} if prior is None else {"prior": prior}
    return Posterior(trial, visits, design, draws, **{"model": "alsfrsr", "groups": groups} | more)


def stored(trial, fit, **groups):
    """Take the posterior out of a fit in whose tree groups were put in the place of others."""
    tree = fit.tree.copy()
    for name, group in groups.items():
        tree[name] = xr.DataTree(group)
    return posterior_of(trial, Fit(tree, fit.record))


def with_stored(posterior, **arrays):
    """Store other arrays of the outcome, by group; None takes a group away."""
    groups = {name: group for name, group in posterior.groups.items() if name not in arrays}
    added = {name: array.to_dataset(name=posterior.outcome) for name, array in arrays.items() if array is not None}
    return replace(posterior, groups=groups | added)

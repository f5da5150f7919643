"""Figures of the sampler's diagnostics: draws in, a Matplotlib figure out."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from slopeshift.answers.convergence import ESS_MIN
from slopeshift.report.figures.style import BLUE, CARD, GREEN, GREY, INK, LOOKS, SMALL, VERMILLION, panel, styled

Floats = NDArray[np.float64]


@styled
def ranks(draws: Floats) -> Figure:
    """Draw how the ranks of each chain's draws spread over all draws; `draws` is (chain, draw). Flat is well mixed."""
    figure, ax = panel(1.25, CARD)
    order = draws.ravel().argsort().argsort().reshape(draws.shape)
    bins = min(20, max(draws.shape[1] // 20, 2))
    expected = draws.shape[1] / bins
    for chain, (colour, dash) in zip(order, cycle(LOOKS), strict=False):
        height, edges = np.histogram(chain, bins=bins, range=(0, draws.size))
        ax.stairs(height / expected, edges, baseline=None, color=colour, linestyle=dash, linewidth=1.2)
    ax.axhline(1, color=INK, linewidth=0.8)
    ax.set(ylim=(0, 2), xticks=[], yticks=[0, 1, 2])
    ax.tick_params(labelsize=SMALL)
    return figure


_LINES = ((BLUE, "-", "o"), (VERMILLION, (0, (5, 1.5)), "s"), (GREEN, (0, (1.5, 1)), "D"))


@styled
def energy(energy: Floats) -> Figure:
    """Draw the energy of the draws (chain, draw), less its mean, and its change from draw to draw."""
    figure, ax = panel(2.3)
    centred = (energy - energy.mean()).ravel()
    steps = np.diff(energy, axis=1).ravel()
    low, high = np.quantile(np.concatenate([centred, steps]), (0.001, 0.999))
    edges = np.linspace(float(low), float(high), 41)
    for values, colour, dash, name in ((centred, BLUE, "-", "energy"), (steps, VERMILLION, (0, (5, 1.5)), "its steps")):
        ax.stairs(np.histogram(values, edges)[0] / values.size, edges, color=colour, linestyle=dash, label=name)
    ax.set(yticks=[], ylim=0, xlabel="energy less its mean, and change from draw to draw")
    ax.spines["left"].set_visible(False)
    ax.legend(loc="upper right", fontsize=SMALL)
    return figure


@styled
def growth(grown: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw the bulk ESS of each quantity by the number of draws used: columns draws and ess, by name."""
    figure, ax = panel(2.3)
    for (name, rows), (colour, dash, marker) in zip(grown.items(), _LINES, strict=False):
        ax.plot(rows["draws"], rows["ess"], color=colour, linestyle=dash, marker=marker, markersize=4, label=name)
    ax.axhline(ESS_MIN, color=INK, linestyle=":", linewidth=1)
    ax.set(ylim=0, xlim=0, xlabel="draws of all chains", ylabel="bulk ESS")
    ax.spines["bottom"].set_color(GREY)
    ax.legend(loc="upper left", fontsize=SMALL)
    return figure

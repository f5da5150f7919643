"""How the sampler moved, in pictures: energy of the draws, and how the effective sample size grew with their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from slopeshift.answers import quantities
from slopeshift.answers.convergence import ESS_MIN
from slopeshift.design.cycles import OVERALL
from slopeshift.fit.posterior import SAMPLES
from slopeshift.report import glossary
from slopeshift.report.pictures import picture
from slopeshift.report.plots import BLUE, GREEN, GREY, INK, PANEL, VERMILLION, styled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from slopeshift.report.analysis import Analysis
    from slopeshift.report.pictures import Picture

    Floats = NDArray[np.float64]

FRACTIONS = (0.1, 0.25, 0.5, 0.75, 1.0)
GROWN = (("lead_in_slope", ""), ("change", OVERALL), ("sd_response", ""))
_LINES = ((BLUE, "-", "o"), (VERMILLION, (0, (5, 1.5)), "s"), (GREEN, (0, (1.5, 1)), "D"))


def pictures(analysis: Analysis) -> list[Picture]:
    """Show the energy of the draws and the growth of the effective sample size; needs no passed gate."""
    stats = analysis.fit.tree["sample_stats"].to_dataset()
    energy = stats["energy"].transpose(*SAMPLES).to_numpy()
    grown = growth(analysis)
    last = ", ".join(f"{name} {values[-1]:.0f}" for name, values in grown.items())
    return [
        picture(
            _energy(energy),
            f"{analysis.anchor}-energy",
            "The two should be alike: steps as wide as the energies that there are to visit (BFMI).",
            "Energy of the draws, and its change from draw to draw, as two distributions around zero.",
        ),
        picture(
            _growth(grown, energy.size),
            f"{analysis.anchor}-ess",
            f"Bulk ESS by the number of draws used: it should grow steadily. Dotted: the limit, {ESS_MIN:.0f}.",
            f"Effective sample size against the number of draws; at the end {last}.",
        ),
    ]


def growth(analysis: Analysis) -> Mapping[str, Floats]:
    """Compute the bulk ESS of main quantities from the first part of the draws, for every part of FRACTIONS."""
    import arviz as az

    draws = quantities.population(analysis.posterior)
    names = list(zip(draws["quantity"].to_numpy(), draws["injection"].to_numpy(), strict=True))
    chosen = {glossary.label(*name): names.index(name) for name in GROWN if name in names}
    values = draws.transpose(*SAMPLES, "row").to_numpy()[..., list(chosen.values())]
    found = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for part in FRACTIONS:
            some = values[:, : max(int(part * values.shape[1]), 4)]
            found.append(az.ess(xr.Dataset({"x": ((*SAMPLES, "row"), some)}), method="bulk")["x"].to_numpy())
    return dict(zip(chosen, np.array(found).T, strict=True))


@styled
def _energy(energy: Floats) -> Figure:
    figure = Figure(figsize=(PANEL, 2.3), layout="constrained")
    ax = figure.subplots()
    centred = (energy - energy.mean()).ravel()
    steps = np.diff(energy, axis=1).ravel()
    low, high = np.quantile(np.concatenate([centred, steps]), (0.001, 0.999))
    edges = np.linspace(float(low), float(high), 41)
    for values, colour, dash, name in ((centred, BLUE, "-", "energy"), (steps, VERMILLION, (0, (5, 1.5)), "its steps")):
        ax.stairs(np.histogram(values, edges)[0] / values.size, edges, color=colour, linestyle=dash, label=name)
    ax.set(yticks=[], ylim=0, xlabel="energy less its mean, and change from draw to draw")
    ax.spines["left"].set_visible(False)
    ax.legend(loc="upper right", fontsize=9)
    return figure


@styled
def _growth(grown: Mapping[str, Floats], draws: int) -> Figure:
    figure = Figure(figsize=(PANEL, 2.3), layout="constrained")
    ax = figure.subplots()
    for (name, values), (colour, dash, marker) in zip(grown.items(), _LINES, strict=False):
        ax.plot(
            np.array(FRACTIONS) * draws, values, color=colour, linestyle=dash, marker=marker, markersize=4, label=name
        )
    ax.axhline(ESS_MIN, color=INK, linestyle=":", linewidth=1)
    ax.set(ylim=0, xlim=0, xlabel="draws of all chains", ylabel="bulk ESS")
    ax.spines["bottom"].set_color(GREY)
    ax.legend(loc="upper left", fontsize=8)
    return figure

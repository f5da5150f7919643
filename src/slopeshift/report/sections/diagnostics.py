"""Whether the draws of every fit can be trusted: the gate, how the sampler moved, and how the fit was made."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from slopeshift.answers import quantities
from slopeshift.answers.convergence import ESS_MIN
from slopeshift.fit.posterior import SAMPLES
from slopeshift.report.analysis import Analysis, Report
from slopeshift.report.figures import diagnostics as diagnostics_figures
from slopeshift.report.figures.picture import Picture, picture
from slopeshift.report.words.glossary import label
from slopeshift.report.words.numbers import Table, number

Floats = NDArray[np.float64]

_HIGHER_IS_WORSE = ("rhat", "share_diverging")


def gate_table(analysis: Analysis) -> Table:
    """Print the worst value of every diagnostic, where it was found, and whether it passes."""
    rows = []
    for diagnostic, found in analysis.results.diagnostics.groupby("diagnostic", sort=False):
        worse = found["value"] if diagnostic in _HIGHER_IS_WORSE else -found["value"]
        worst = found.loc[worse.fillna(np.inf).idxmax()]
        decimals = (
            {"rhat": 3, "share_diverging": 4, "bfmi": 2, "share_meeting": 2}.get(str(diagnostic), 0)
            if worst["value"]
            else 0
        )
        limit = f"{'at most' if diagnostic in _HIGHER_IS_WORSE else 'at least'} {worst['limit']:g}"
        verdict = "passed" if found["ok"].all() else f"FAILED ({(~found['ok']).sum()} of {len(found)})"
        rows.append(
            [_DIAGNOSTICS[str(diagnostic)], limit, number(worst["value"], decimals), str(worst["quantity"]), verdict]
        )
    if len(precise := analysis.results.population.query("sd > 0")):
        error = precise["mcse"] / precise["sd"]
        worst = precise.loc[error.idxmax()]
        name = label(worst["quantity"], worst["injection"])
        rows.append(["Largest Monte Carlo error", "none set", f"{100 * error.max():.1f} % of the SD", name, "told"])
    return Table("Diagnostics gate", "lrrll", ["Diagnostic", "Limit", "Worst value", "Of", "Verdict"], rows)


def provenance(analysis: Analysis) -> Table:
    """Print what the fit was made from and how."""
    record = analysis.record
    made = record["inputs"]
    rows = [
        ["Model file", f"{record['model']}.py"],
        ["Trial", str(record["trial"])],
        ["Sampled", str(record["created"])],
        ["Settings", "; ".join(f"{name} {value}" for name, value in made["settings"].items())],
        ["Seconds", "; ".join(f"{name} {value:.1f}" for name, value in record["seconds"].items())],
        ["Versions", "; ".join(f"{name} {value}" for name, value in record["versions"].items())],
        ["Platform", str(record["platform"])],
        ["SHA-256 of the model file", made["model"]],
        ["SHA-256 of the engine", made["engine"]],
        *([f"SHA-256 of {name}", digest] for name, digest in made["data"].items()),
    ]
    return Table("How this fit was made", "ll", ["Item", "Value"], rows)


_DIAGNOSTICS = {
    "share_diverging": "Divergent transitions (share of draws)",
    "bfmi": "BFMI, each chain",
    "rhat": "R-hat, each reported quantity",
    "ess_bulk": "Bulk ESS, each reported quantity",
    "ess_tail": "Tail ESS, each reported quantity",
    "share_meeting": "Entry rules met by the screened (share)",
}

RANKED = ("lead_in_slope", *quantities.CLAIMED, "sd_slope", "sd_response", "sd_cycle", "sigma")


def rank_plots(analysis: Analysis) -> list[Picture]:
    """Show how well the chains of the main population quantities mix; needs no passed gate."""
    draws = quantities.population(analysis.posterior)
    chosen = draws.sel(row=draws["quantity"].isin(RANKED)).transpose("row", *SAMPLES)
    pictures = []
    for i, (quantity, injection) in enumerate(
        zip(chosen["quantity"].to_numpy(), chosen["injection"].to_numpy(), strict=True)
    ):
        title = label(quantity, injection)
        pictures.append(
            picture(
                diagnostics_figures.ranks(chosen[i].to_numpy()),
                f"{analysis.anchor}-rank-{i}",
                title,
                f"Ranks of chains: {title}.",
            )
        )
    return pictures


def pictures(analysis: Analysis) -> list[Picture]:
    """Show the energy of the draws and the growth of the effective sample size; needs no passed gate."""
    energy = analysis.posterior.groups["sample_stats"]["energy"].transpose(*SAMPLES).to_numpy()
    table = analysis.answered.tables["growth"]
    grown = {label(*name): rows for name, rows in table.groupby(["quantity", "injection"], sort=False)}
    last = ", ".join(f"{name} {rows['ess'].iloc[-1]:.0f}" for name, rows in grown.items())
    return [
        picture(
            diagnostics_figures.energy(energy),
            f"{analysis.anchor}-energy",
            "The two should be alike: steps as wide as the energies that there are to visit (BFMI).",
            "Energy of the draws, and its change from draw to draw, as two distributions around zero.",
        ),
        picture(
            diagnostics_figures.growth(grown),
            f"{analysis.anchor}-ess",
            f"Bulk ESS by the number of draws used: it should grow steadily. Dotted: the limit, {ESS_MIN:.0f}.",
            f"Effective sample size against the number of draws; at the end {last}.",
        ),
    ]


LISTED = 20
"""Failures that are listed; the others are counted."""


def context(report: Report) -> dict[str, Any]:
    """Show of every fit whether its draws can be trusted, and how it was made."""

    def of_fit(a: Analysis) -> dict[str, Any]:
        return {
            "failures": a.results.failures[:LISTED],
            "more": len(a.results.failures) - LISTED,
            "gate": gate_table(a),
            "sampling": pictures(a) if a in report.primary or not a.passed else [],
            "ranks": rank_plots(a),
            "made": provenance(a),
        }

    return {"shown": report.of_each(report.analyses, of_fit, failed=True)}

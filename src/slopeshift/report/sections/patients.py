"""Every patient, by injection: how the slope of each changed, and how many slowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slopeshift.answers import quantities
from slopeshift.answers.quantities import CLAIM
from slopeshift.design.cycles import OVERALL
from slopeshift.report.figures import patients as patients_figures
from slopeshift.report.figures.picture import Picture, picture
from slopeshift.report.words.chance import by_chance, named_by_chance
from slopeshift.report.words.numbers import Table, between, count, counted, number, probability

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from slopeshift.report.analysis import Analysis, Report


def missing_cycles(analysis: Analysis) -> pd.DataFrame:
    """List the cycles that are no result of their patient: columns patient, injection, words (why)."""
    visits = analysis.visits
    rows = []
    for patient, given, seen in zip(
        visits.patients, ~np.isnan(visits.injection_month), visits.visits_in_cycle > 0, strict=True
    ):
        for k in visits.injections:
            if not seen[k - 1]:
                rows.append((patient, str(k), "not informed" if given[k - 1] else "not reached"))
        if not seen.any():
            rows.append((patient, OVERALL, "not informed" if given.any() else "no injection"))
    return pd.DataFrame(rows, columns=["patient", "injection", "words"])


def patients(analysis: Analysis) -> Table:
    """Print every patient by injection, in the trial's order; a cycle that is no result says why and has no number."""
    table = pd.concat([analysis.results.patients, missing_cycles(analysis)])
    place = {patient: i for i, patient in enumerate(analysis.visits.patients)}
    table = table.sort_values(
        ["patient", "injection"], key=lambda c: c.map(place) if c.name == "patient" else c.map(injection_rank)
    )
    rows = []
    for row in table.itertuples():
        if isinstance(row.words, str):
            rows.append([row.patient, row.injection, row.words])
            continue
        rows.append(
            [
                row.patient,
                row.injection,
                number(row.n_visits, 0),
                number(row.mean),
                between(row.lower, row.upper, analysis.rate),
                probability(row.prob_better),
                probability(row.prob_slowing_25),
                probability(row.prior_prob_slowing_25),
                number(row.contraction),
                row.flag,
            ]
        )
    columns = [
        "Patient",
        "Injection",
        "Values",
        f"Change, {analysis.rate}",
        "95 % interval",
        "Pr(slower)",
        "Pr(slowing ≥ 25 %)",
    ]
    columns += ["Prior Pr(slowing ≥ 25 %)", "Contraction", "Flag"]
    return Table("Every patient, by injection", "llrrrrrrrl", columns, rows)


def responders(analysis: Analysis) -> Table:
    """Print how many patients slowed, and how many could be named."""
    rows = [
        [
            row.injection,
            str(row.n_patients),
            f"≥ {row.threshold:.0f} %",
            count(row.expected),
            f"{row.lower} to {row.upper}",
            str(row.n_called),
            number(row.expected_false_claims, 1),
        ]
        for row in analysis.results.responders.itertuples()
    ]
    columns = [
        "Injection",
        "Patients",
        "Slowing",
        "Expected number",
        "95 % interval",
        "Probability above 0.8",
        "Expected false claims",
    ]
    return Table("How many patients slowed", "lrlrrrr", columns, rows)


def injection_rank(injection: str) -> float:
    """Order injections by number, the mean over them last."""
    return np.inf if injection == OVERALL else int(injection)


def forests(analysis: Analysis) -> list[Picture]:
    """Show every patient's change after each injection that any patient informs."""
    table = _called(analysis)
    pictures = []
    for injection in sorted(table["injection"].unique(), key=injection_rank):
        rows = table[table["injection"] == injection]
        description = (
            f"Change of slope by patient, {_after(injection)}: {counted(len(rows), 'estimate')} with 95 % intervals, "
            f"from {number(rows['mean'].min(), sign=True)} to {number(rows['mean'].max(), sign=True)} {analysis.rate}; "
            f"{rows['called'].sum()} filled."
        )
        name = f"{analysis.anchor}-forest-{injection}"
        pictures.append(picture(forest(analysis, injection), name, _after(injection).capitalize(), description))
    return pictures


def forest(analysis: Analysis, injection: str) -> Figure:
    """Draw every patient's change after one injection, or `overall`, on an axis that all injections share."""
    table, missing = _called(analysis), missing_cycles(analysis)
    words = missing[missing["injection"] == injection].set_index("patient")["words"].to_dict()
    span = (min(0.0, table["lower"].min()) - 0.05, max(0.0, table["upper"].max()) + 0.05)
    whole = analysis.results.population.query("quantity == 'change'").set_index("injection")["mean"]
    of = (span, analysis.rate, whole.get(injection), analysis.sign)
    return patients_figures.forest(table[table["injection"] == injection], analysis.visits.patients, words, *of)


def _called(analysis: Analysis) -> pd.DataFrame:
    """Take the table of patients, with whether one would name them."""
    return analysis.results.patients.assign(called=lambda t: t["prob_slowing_25"] > CLAIM)


def slowed(analysis: Analysis) -> Picture:
    """Show the distribution of the number of patients who slowed by 25 % or more, before and after the data."""
    posterior = _counts(quantities.patients(analysis.posterior))
    prior = quantities.patients(analysis.posterior.prior)
    patients = analysis.results.responders.groupby("injection")["n_patients"].first().to_dict()
    means = ", ".join(f"{_after(k)} {number(n.mean(), 1)} of {patients[k]}" for k, n in posterior.items())
    figure = patients_figures.counts(posterior, _counts(prior), patients)
    caption = "How probable each number of slowed patients is (bars); dashed: before seeing the data."
    return picture(
        figure, f"{analysis.anchor}-counts", caption, f"Expected number of patients slowed by 25 % or more: {means}."
    )


def _counts(patients: xr.Dataset) -> dict[str, NDArray[np.intp]]:
    slowed = quantities.slows(patients["change"], patients["slope"], sign=float(patients["sign"]))
    return {str(k): group.sum("row").to_numpy().ravel().astype(np.intp) for k, group in slowed.groupby("injection")}


def _after(injection: str) -> str:
    return "all injections" if injection == OVERALL else f"injection {injection}"


def context(report: Report) -> dict[str, Any]:
    """Show every patient by injection, how many slowed, and how many are named by chance."""

    def of_fit(a: Analysis) -> dict[str, Any]:
        return {
            "drawn": [*forests(a), slowed(a)],
            "responders": responders(a),
            "by_chance": named_by_chance(by_chance(report.study, a.record["model"])),
            "table": patients(a),
        }

    return {"shown": report.of_each(report.primary, of_fit), "claim": CLAIM}

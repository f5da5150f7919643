"""Every patient, by injection: how the slope of each changed, and how many slowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from slopeshift.answers import quantities
from slopeshift.answers.quantities import CLAIM
from slopeshift.design.cycles import OVERALL, injection_rank
from slopeshift.report.analysis import Analysis, Report
from slopeshift.report.figures import patients as patients_figures
from slopeshift.report.figures.picture import Picture, picture
from slopeshift.report.figures.style import ROWS, held
from slopeshift.report.words.chance import by_chance, named_by_chance
from slopeshift.report.words.numbers import Table, after, between, count, counted, in_columns, number, probability


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
    whole = in_columns(
        "Every patient, by injection",
        table,
        ("Patient", "l", "patient"),
        ("Injection", "l", "injection"),
        ("Values", "r", lambda row: number(row.n_visits, 0)),
        (f"Change, {analysis.rate}", "r", lambda row: number(row.mean)),
        ("95 % interval", "r", lambda row: between(row.lower, row.upper, analysis.rate)),
        ("Pr(slower)", "r", lambda row: probability(row.prob_better)),
        ("Pr(slowing ≥ 25 %)", "r", lambda row: probability(row.prob_slowing_25)),
        ("Prior Pr(slowing ≥ 25 %)", "r", lambda row: probability(row.prior_prob_slowing_25)),
        ("Contraction", "r", lambda row: number(row.contraction)),
        ("Flag", "l", "flag"),
    )
    pairs = zip(whole.rows, table["words"], strict=True)
    return replace(whole, rows=[[*row[:2], words] if isinstance(words, str) else row for row, words in pairs])


def responders(analysis: Analysis) -> Table:
    """Print how many patients slowed, and how many could be named."""
    return in_columns(
        "How many patients slowed",
        analysis.results.responders,
        ("Injection", "l", "injection"),
        ("Patients", "r", "n_patients"),
        ("Slowing", "l", lambda row: f"≥ {row.threshold:.0f} %"),
        ("Expected number", "r", lambda row: count(row.expected)),
        ("95 % interval", "r", lambda row: f"{row.lower} to {row.upper}"),
        ("Probability above 0.8", "r", "n_called"),
        ("Expected false claims", "r", lambda row: number(row.expected_false_claims, 1)),
    )


def forests(analysis: Analysis, injection: str) -> list[Picture]:
    """Show every patient's change after an injection that any patient informs, or `overall`.

    Figures hold ROWS patients at most, and as many as each other.
    """
    table = _called(analysis)
    rows = table[table["injection"] == injection]
    description = (
        f"Change of slope by patient, {after(injection)}: {counted(len(rows), 'estimate')} with 95 % intervals, "
        f"from {number(rows['mean'].min(), sign=True)} to {number(rows['mean'].max(), sign=True)} {analysis.rate}; "
        f"{rows['called'].sum()} filled."
    )
    found = []
    every = analysis.visits.patients
    for first in range(0, len(every), length := in_one(len(every), ROWS)):
        shown = every[first : first + length]
        of = "" if len(shown) == len(every) else f", patients {first + 1} to {first + len(shown)}"
        name = f"{analysis.anchor}-forest-{injection}" + (f"-{first + 1}" if first else "")
        caption = after(injection).capitalize() + of
        found.append(picture(forest(analysis, injection, shown), name, caption, description))
    return found


def in_one(number: int, most: int) -> int:
    """Say how many of `number` rows one figure holds, at most `most`: as few figures as can be, of about one length."""
    return ceil(number / ceil(number / most))


def forest(analysis: Analysis, injection: str, patients: Sequence[str] | None = None) -> Figure:
    """Draw the change of patients after one injection, or `overall`, on an axis that all of these share.

    `patients` chooses some of them; without it, all are drawn.
    """
    whole_table, missing = _called(analysis), missing_cycles(analysis)
    shown = analysis.visits.patients if patients is None else patients
    span = held(*(whole_table[name].to_numpy(dtype=float) for name in ("lower", "upper", "mean")))
    table = whole_table[whole_table["patient"].isin(shown)]
    words = missing[(missing["injection"] == injection) & missing["patient"].isin(shown)]
    said = words.set_index("patient")["words"].to_dict()
    whole = analysis.results.population.query("quantity == 'change'").set_index("injection")["mean"]
    of = (span, analysis.rate, whole.get(injection), analysis.sign)
    return patients_figures.forest(table[table["injection"] == injection], shown, said, *of)


def _called(analysis: Analysis) -> pd.DataFrame:
    """Take the table of patients, with whether one would name them."""
    return analysis.results.patients.assign(called=lambda t: t["prob_slowing_25"] > CLAIM)


def slowed(analysis: Analysis) -> Picture:
    """Show the distribution of the number of patients who slowed by 25 % or more, before and after the data."""
    posterior = _counts(quantities.patients(analysis.posterior))
    prior = quantities.patients(analysis.posterior.prior)
    patients = analysis.results.responders.groupby("injection")["n_patients"].first().to_dict()
    means = ", ".join(f"{after(k)} {number(n.mean(), 1)} of {patients[k]}" for k, n in posterior.items())
    figure = patients_figures.counts(posterior, _counts(prior), patients)
    caption = "How probable each number of slowed patients is (bars); dashed: before seeing the data."
    return picture(
        figure, f"{analysis.anchor}-counts", caption, f"Expected number of patients slowed by 25 % or more: {means}."
    )


def _counts(patients: xr.Dataset) -> dict[str, NDArray[np.intp]]:
    slowed = quantities.slows(patients["change"], patients["slope"], sign=float(patients["sign"]))
    of_row = slowed["injection"]
    return {
        k: slowed.sel(row=of_row == k).sum("row").to_numpy().ravel().astype(np.intp)
        for k in sorted(map(str, set(of_row.to_numpy().tolist())), key=injection_rank)
    }


def context(report: Report) -> dict[str, Any]:
    """Show every patient by injection, how many slowed, and how many are named by chance."""

    def of_fit(a: Analysis) -> dict[str, Any]:
        drawn = forests(a, OVERALL) if OVERALL in set(a.results.patients["injection"]) else []
        return {
            "drawn": [*drawn, slowed(a)],
            "responders": responders(a),
            "by_chance": named_by_chance(by_chance(report.study, a.record["model"])),
        }

    return {"shown": report.of_each(report.primary, of_fit), "claim": CLAIM}


def details(report: Report) -> dict[str, Any]:
    """Show every patient after every single injection, with all numbers."""

    def of_fit(a: Analysis) -> dict[str, Any]:
        injections = sorted(set(a.results.patients["injection"]) - {OVERALL}, key=injection_rank)
        drawn = [drawn for injection in injections for drawn in forests(a, injection)]
        return {"drawn": drawn, "table": patients(a)}

    return {"shown": report.of_each(report.primary, of_fit), "claim": CLAIM}

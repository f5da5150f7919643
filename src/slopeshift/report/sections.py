"""The tables of the report about one fit, as printed.

A fit that failed its gate keeps its diagnostics, prior and data; the other tables are withheld with its results.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.answers import quantities
from slopeshift.answers.quantities import INTERVAL
from slopeshift.design.cycles import OVERALL
from slopeshift.fit.posterior import SAMPLES
from slopeshift.report import glossary
from slopeshift.report.wording import Table, between, count, course, in_unit, number, point, probability, share

if TYPE_CHECKING:
    from slopeshift.report.analysis import Analysis

_HIGHER_IS_WORSE = ("rhat", "share_diverging")


def prior_posterior(analysis: Analysis) -> Table:
    """Print what was assumed before the data and what is believed after them, side by side."""
    prior = quantities.population(analysis.posterior.prior)
    lower, upper = prior.quantile(INTERVAL, dim=SAMPLES).transpose("quantile", "row").to_numpy()
    before = pd.DataFrame({name: prior[name].to_numpy() for name in ("quantity", "injection", "unit")})
    before = before.assign(prior_mean=prior.mean(SAMPLES).to_numpy(), prior_lower=lower, prior_upper=upper)
    before = before[before["quantity"].isin(["level", "lead_in_slope", "change", *glossary.SPREAD])]
    both = before.merge(analysis.results.population, on=["quantity", "injection", "unit"], how="left")
    rows = [
        [
            glossary.label(row.quantity, row.injection),
            row.unit,
            in_unit(row.prior_mean, row.unit),
            between(row.prior_lower, row.prior_upper, row.unit),
            in_unit(row.mean, row.unit) if analysis.passed else "withheld",
            between(row.lower, row.upper, row.unit) if analysis.passed else "withheld",
        ]
        for row in both.itertuples()
    ]
    columns = ["Quantity", "Unit", "Prior mean", "Prior 95 % range", "Posterior mean", "Posterior 95 % interval"]
    return Table("Before and after the data", "llrrrr", columns, rows)


def gate_table(analysis: Analysis) -> Table:
    """Print the worst value of every diagnostic, where it was found, and whether it passes."""
    rows = []
    for diagnostic, found in analysis.results.diagnostics.groupby("diagnostic", sort=False):
        worse = found["value"] if diagnostic in _HIGHER_IS_WORSE else -found["value"]
        worst = found.loc[worse.fillna(np.inf).idxmax()]
        decimals = {"rhat": 3, "share_diverging": 4, "bfmi": 2}.get(str(diagnostic), 0) if worst["value"] else 0
        limit = f"{'at most' if diagnostic in _HIGHER_IS_WORSE else 'at least'} {worst['limit']:g}"
        verdict = "passed" if found["ok"].all() else f"FAILED ({(~found['ok']).sum()} of {len(found)})"
        rows.append(
            [_DIAGNOSTICS[str(diagnostic)], limit, number(worst["value"], decimals), str(worst["quantity"]), verdict]
        )
    if len(precise := analysis.results.population.query("sd > 0")):
        error = precise["mcse"] / precise["sd"]
        worst = precise.loc[error.idxmax()]
        name = glossary.label(worst["quantity"], worst["injection"])
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


def population(analysis: Analysis) -> Table:
    """Print the quantities of an average patient: a row per quantity, a column per injection."""
    cells: dict[str, dict[str, str]] = {}
    for row in analysis.results.population.itertuples():
        if row.quantity == "prob_slowing_25":
            cells.setdefault("Pr(slowing ≥ 25 %)", {})[row.injection] = probability(row.mean)
        elif row.quantity in _AVERAGE_PATIENT:
            unit = "" if row.unit == "ratio" else f", {row.unit}"
            value = f"{in_unit(point(row), row.unit)} ({between(row.lower, row.upper, row.unit)})"
            label = _AVERAGE_PATIENT[row.quantity].replace("decline", course(analysis.sign))
            cells.setdefault(label + unit, {})[row.injection] = value
        if row.quantity == "change":
            better = f"Pr(change {'>' if analysis.sign > 0 else '<'} 0): slower {course(analysis.sign)}"
            cells.setdefault(better, {})[row.injection] = probability(row.prob_better)
    injections = list(dict.fromkeys(injection for cell in cells.values() for injection in cell))
    rows = [[label, *(cell.get(k, "") for k in injections)] for label, cell in cells.items()]
    heads = [{"": "Before", OVERALL: "Overall"}.get(k, f"Injection {k}") for k in injections]
    return Table(
        "An average patient: estimate (95 % interval)",
        "l" + "r" * len(heads),
        ["Quantity", *heads],
        rows,
    )


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


def outside_scale(analysis: Analysis) -> Table | None:
    """Print the share of recorded and predicted values beyond either end of the scale; None where it has no end."""
    outcome, name = analysis.visits.outcome, analysis.record["outcome"]
    groups = {
        group: analysis.fit.tree[group][name].to_numpy() for group in ("posterior_predictive", "prior_predictive")
    }
    columns = {"recorded": analysis.visits.value, **groups}
    rows = []
    if outcome.minimum is not None:
        rows.append([f"below {outcome.minimum:g}", *(share((v < outcome.minimum).mean()) for v in columns.values())])
    if outcome.maximum is not None:
        rows.append([f"above {outcome.maximum:g}", *(share((v > outcome.maximum).mean()) for v in columns.values())])
    heads = [f"{outcome.label}, {outcome.unit}", "Recorded", "Predicted, posterior", "Predicted, prior"]
    return Table("Values beyond the ends of the scale", "lrrr", heads, rows) if rows else None


_AVERAGE_PATIENT = {
    "level": "Level at month 0",
    "lead_in_slope": "Slope",
    "segment_slope": "Slope",
    "change": "Change of slope from before",
    "increment": "Change of slope from the previous cycle",
    "percent_slowing": "Slowing of the decline",
    "rate_ratio": "Rate ratio (slope / slope before)",
}
_DIAGNOSTICS = {
    "share_diverging": "Divergent transitions (share of draws)",
    "bfmi": "BFMI, each chain",
    "rhat": "R-hat, each reported quantity",
    "ess_bulk": "Bulk ESS, each reported quantity",
    "ess_tail": "Tail ESS, each reported quantity",
}


def injection_rank(injection: str) -> float:
    """Order injections by number, the mean over them last."""
    return np.inf if injection == OVERALL else int(injection)

"""Whether the models fit, as the report shows it: verdicts, figures, tables, and the models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slopeshift.checks import PRIOR, UNRELIABLE
from slopeshift.checks import predictive as p
from slopeshift.fit.posterior import SAMPLES
from slopeshift.report.analysis import Analysis, Report
from slopeshift.report.figures import checks as checks_figures
from slopeshift.report.figures.courses import sampled
from slopeshift.report.figures.picture import Picture, picture
from slopeshift.report.words.checks import MEANING, left_out, missed_by, priors_that_matter, verdict
from slopeshift.report.words.numbers import Table, in_columns, known, number, share, stacked

Floats = NDArray[np.float64]


OF_A_MODEL = ("loo", "predictive_checks", "prior_sensitivity")
"""Published tables of single models."""

COMPARISON = "model_comparison"


def tables(analyses: Sequence[Analysis], compared: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Put the tables of all models under each other: loo, predictive_checks, prior_sensitivity, model_comparison."""
    made = [a for a in analyses if a.tables is not None]
    found = {name: [_named(a, a.checks[name]) for a in made] for name in OF_A_MODEL}
    return {name: stacked(parts) for name, parts in found.items()} | {COMPARISON: compared}


def judged(rules: pd.DataFrame) -> Table:
    """Print every check with the number it is judged by, and whether it fired."""
    return in_columns(
        "What was checked, by rules fixed beforehand",
        rules,
        ("Check", "l", lambda rule: rule.check[0].upper() + rule.check[1:]),
        ("Found", "r", lambda rule: _judged_by(rule.check, rule.value)),
        ("Fires", "r", lambda rule: _limit(rule.check, rule.limit)),
        (
            "Verdict",
            "l",
            lambda rule: "FIRED" if rule.fired else "not computed" if rule.value != rule.value else "silent",
        ),
    )


def quantities(table: pd.DataFrame) -> Table:
    """Print the test quantities behind the checks: recorded, and predicted."""
    return in_columns(
        "Test quantities, recorded and predicted",
        table,
        ("Check", "l", "check"),
        ("Quantity", "l", lambda row: f"{row.quantity}, {row.where}" if row.where != "all" else row.quantity),
        ("Values or patients", "r", "n_values"),
        ("Recorded", "r", lambda row: number(row.observed)),
        (
            "Predicted (95 %)",
            "r",
            lambda row: (
                f"{number(row.predicted_mean)} ({number(row.predicted_lower)} to {number(row.predicted_upper)})"
            ),
        ),
        ("Two-sided tail probability", "r", lambda row: _chance(row.tail_probability)),
    )


def prior_table(words: pd.DataFrame) -> Table | None:
    """Print what the priors say of the trial's own visits before any data; None where there is no prior."""
    if words.empty:
        return None

    def middle(row: Any) -> str:
        return share(row.value) if row.unit == "share" else f"{number(row.value, _places(row.unit))} {row.unit}"

    def span(row: Any) -> str:
        return known(row.lower, " to ".join(number(v, _places(row.unit)) for v in (row.lower, row.upper)))

    return in_columns(
        "What the priors expect of these visits",
        words,
        ("Before any data", "l", "statement"),
        ("Mean or share", "r", middle),
        ("95 % range", "r", span),
    )


def compared(analyses: Sequence[Analysis], table: pd.DataFrame) -> Table | None:
    """Print the models of each outcome side by side, with what fired; None where there is one of each at most."""
    rules = {a.record["model"]: a.checks["rules"] for a in analyses if a.tables is not None}
    if not table["outcome"].duplicated().any():
        return None
    rows = [
        [
            row.model,
            row.outcome,
            *_side_by_side(row),
            "; ".join(check for check in missed_by(rules[row.model]) if check in MEANING) or "none",
        ]
        for row in table.itertuples()
    ]
    heads = "Model|Outcome|Log predictive density|Difference from the best|Pareto k too high|Checks that fired"
    return Table("All models, by how well each value is predicted from the others", "llrrrl", heads.split("|"), rows)


def pictures(analysis: Analysis) -> list[Picture]:
    """Draw what the checks saw: residuals by time and by score, the classical count, and what leaving out shows."""
    checks = analysis.checks
    drawn = [_binned(analysis, checks["predictive_checks"], *parts) for parts in _BINNED]
    if len(counts := checks["counts"]):
        told = "; ".join(
            f"{period} {rows['observed'].iloc[0]:.0f} of {rows['of'].iloc[0]}, predicted "
            f"{number(float((rows['count'] * rows['share']).sum()), 1)}"
            for period, rows in counts.groupby("period", sort=False)
        )
        caption = (
            "The trial’s own count of improved patients (line) among those of trials that the model predicts (bars)."
        )
        drawn.append(
            picture(checks_figures.counts(counts), f"{analysis.anchor}-count", caption, f"Improved patients: {told}.")
        )
    if len(checks["left_out"]):
        values = checks["loo"].query("left_out == 'value'")
        patients = checks["loo"].query("left_out == 'patient'")["pareto_k"].to_numpy()
        limit = float(checks["left_out"]["good_k"].iloc[0])
        drawn += [
            _uniform(analysis, values["probability_of_lower"].to_numpy()),
            _pareto(analysis, values["pareto_k"].to_numpy(), patients if len(patients) else None, limit),
        ]
    return drawn


_BINNED = (
    (
        "by-time",
        (p.MEAN_BY_TIME, p.SD_BY_TIME),
        "Residuals by time since the latest injection. Dots beyond their bars: the course after an injection is not as "
        "the model has it.",
    ),
    (
        "by-score",
        (p.MEAN_BY_SCORE, p.SD_BY_SCORE),
        "Residuals by expected score. Dots beyond their bars: the ends of the scale, or unequal scatter.",
    ),
)


def _binned(analysis: Analysis, table: pd.DataFrame, name: str, parts: Sequence[str], caption: str) -> Picture:
    rows = table[table["check"].isin(parts)]
    beyond = rows[(rows["observed"] < rows["predicted_lower"]) | (rows["observed"] > rows["predicted_upper"])]
    named = "; ".join(f"{row.quantity} {row.where}" for row in beyond.itertuples()) or "none"
    words = f"Mean and SD of residuals, {len(rows)} dots; beyond their predicted 95 % ranges: {named}."
    figure = checks_figures.binned(rows, parts, analysis.visits.outcome.unit)
    return picture(figure, f"{analysis.anchor}-{name}", caption, words)


def _uniform(analysis: Analysis, pit: Floats) -> Picture:
    caption = (
        "How often values lie low or high among what all others say of them. Inside the band: as often as they should. "
        "The verdict uses a test that knows that these probabilities depend on each other."
    )
    words = (
        f"Of {len(pit)} values, {share(float((pit < 0.05).mean()))} lie below the 5 % point and "
        f"{share(float((pit > 0.95).mean()))} above the 95 % point of their prediction from all others."
    )
    return picture(checks_figures.uniform(pit), f"{analysis.anchor}-uniform", caption, words)


def _pareto(analysis: Analysis, k: Floats, patients: Floats | None, limit: float) -> Picture:
    caption = "How far leaving out a value, or a patient, moves the fit: beyond the line only a refit would tell."
    words = f"Pareto k of {len(k)} values, largest {number(float(k.max()))}"
    words += "." if patients is None else f", and of {len(patients)} patients, largest {number(float(patients.max()))}."
    figure = checks_figures.pareto(k, patients, limit)
    return picture(figure, f"{analysis.anchor}-pareto", caption, words)


def _side_by_side(row: object) -> tuple[str, str, str]:
    why = row.left_out_because  # type: ignore[attr-defined]
    if why:
        return "–", f"not compared: {why}", "–"
    difference = row.difference_from_best  # type: ignore[attr-defined]
    against = (
        "best" if difference == 0 else f"{number(difference, 1)} ± {number(row.standard_error_of_difference, 1)}"  # type: ignore[attr-defined]
    )
    return number(row.log_predictive_density, 1), against, f"{row.unreliable_values:.0f}"  # type: ignore[attr-defined]


def _judged_by(check: str, value: float) -> str:
    if value != value:
        return "–"
    if check == UNRELIABLE:
        return f"{value:.0f} values"
    return f"sensitivity {number(value)}" if check == PRIOR else f"probability {_chance(value)}"


def _limit(check: str, limit: float) -> str:
    if check == UNRELIABLE:
        return "above 0"
    return f"from {limit:g}" if check == PRIOR else f"below {limit:g}"


def _places(unit: str) -> int:
    """Decimals of a prior's numbers: slopes have two, values none."""
    return 2 if unit.endswith("/month") else 0


def _chance(value: float) -> str:
    """Write a probability with three decimals, and never as 0."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _named(analysis: Analysis, table: pd.DataFrame) -> pd.DataFrame:
    who = {"model": analysis.record["model"], "outcome": analysis.record["outcome"]}
    return table.assign(**who)[[*who, *table.columns]]


PREDICTED_DRAWS = 500


def drawn_fit(analysis: Analysis) -> list[Picture]:
    """Show recorded against predicted values, and residuals against time."""
    visits, name = analysis.visits, analysis.record["outcome"]
    prior, posterior = (
        sampled(analysis.posterior.groups[group][name], PREDICTED_DRAWS, "visit")
        for group in ("prior_predictive", "posterior_predictive")
    )
    mean = analysis.posterior.draws["coefficients"].mean(SAMPLES).transpose("patient", "coefficient").to_numpy()
    residual = visits.value - (visits.basis * mean[visits.patient_index]).sum(axis=1)
    sd = float(analysis.posterior.draws["sigma"].mean())
    label = f"{visits.outcome.label}, {visits.outcome.unit}"
    return [
        picture(
            checks_figures.predictive(visits.value, prior, posterior, label),
            f"{analysis.anchor}-predictive",
            "Dots should lie in the band: the recorded values look like those the fitted model would produce.",
            f"Distribution of {visits.value.size} recorded values of {visits.outcome.label} against model predictions.",
        ),
        picture(
            checks_figures.residuals(visits.month, residual, sd, visits.outcome.unit),
            f"{analysis.anchor}-residuals",
            "No trend should remain: where the mean leaves 0, lines do not follow the data. Dotted: two residual SDs.",
            f"Residuals against months since the first injection; residual SD {number(sd)} {visits.outcome.unit}.",
        ),
    ]


def outside_scale(analysis: Analysis) -> Table | None:
    """Print the share of recorded and predicted values beyond either end of the scale; None where it has no end."""
    outcome, said = analysis.visits.outcome, analysis.answered.number
    rows = [
        [f"{side} {end:g}", *(share(said(f"{group}_{side}")) for group in ("recorded", "posterior", "prior"))]
        for side, end in (("below", outcome.minimum), ("above", outcome.maximum))
        if end is not None
    ]
    heads = [f"{outcome.label}, {outcome.unit}", "Recorded", "Predicted, posterior", "Predicted, prior"]
    return Table("Values beyond the ends of the scale", "lrrr", heads, rows) if rows else None


def context(report: Report) -> dict[str, Any]:
    """Show of every outcome whether its model fits, and all models side by side."""

    def of_fit(a: Analysis) -> dict[str, Any]:
        found = a.checks
        tables = [prior_table(found["prior_words"]), outside_scale(a)]
        return {
            "verdict": verdict(found["rules"]),
            "drawn": [*drawn_fit(a), *pictures(a)],
            "judged": judged(found["rules"]),
            "left_out": left_out(found["left_out"]),
            "priors": priors_that_matter(found["prior_sensitivity"]),
            "tables": [table for table in tables if table],
            "quantities": quantities(found["predictive_checks"]),
        }

    return {
        "shown": report.of_each(report.primary, of_fit),
        "side_by_side": compared(report.analyses, report.compared),
    }

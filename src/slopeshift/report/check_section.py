"""Whether the models fit, as the report shows it: verdicts, figures, tables, and the models side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.checks import PRIOR, UNRELIABLE, checks_of, comparison, fired
from slopeshift.checks import predictive as p
from slopeshift.report import check_figures
from slopeshift.report.check_words import MEANING, alarm, left_out, priors_that_matter, verdict
from slopeshift.report.pictures import picture
from slopeshift.report.wording import Table, number, share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from slopeshift.checks import Checks, LeaveOneOut
    from slopeshift.fit.posterior import Posterior
    from slopeshift.report.analysis import Analysis
    from slopeshift.report.pictures import Picture

    Checked = Mapping[str, Checks]

__all__ = [
    "alarm",
    "checked",
    "compared",
    "judged",
    "left_out",
    "pictures",
    "prior_table",
    "priors_that_matter",
    "quantities",
    "tables",
    "verdict",
]

OF_A_MODEL = {"loo": "loo_table", "predictive_checks": "predictive_table", "prior_sensitivity": "sensitivity"}
"""Published tables of single models, and where they come from."""

COMPARISON = "model_comparison"
PUBLISHED = (*OF_A_MODEL, COMPARISON)
"""Tables that are published with the report."""


def checked(analyses: Sequence[Analysis]) -> dict[str, Checks]:
    """Check every fit that passed its gate, by the short name of its analysis."""
    return {a.anchor: checks_of(a.posterior) for a in analyses if a.passed}


def tables(analyses: Sequence[Analysis], found: Checked) -> dict[str, pd.DataFrame]:
    """Put the tables of all models under each other: loo, predictive_checks, prior_sensitivity, model_comparison."""
    own = {
        name: [_named(a, getattr(found[a.anchor], source)) for a in analyses if a.anchor in found]
        for name, source in OF_A_MODEL.items()
    }
    side_by_side = [comparison(outcome, *_materials(group, found)) for outcome, group in _by_outcome(analyses, found)]
    return {name: _stacked(parts) for name, parts in {**own, COMPARISON: side_by_side}.items()}


def judged(checks: Checks) -> Table:
    """Print every check with the number it is judged by, and whether it fired."""
    rows = [
        [
            rule.check[0].upper() + rule.check[1:],
            _judged_by(rule.check, rule.value),
            _limit(rule.check, rule.limit),
            "FIRED" if rule.fired else "not computed" if rule.value != rule.value else "silent",
        ]
        for rule in checks.rules
    ]
    return Table("What was checked, by rules fixed beforehand", "lrrl", ["Check", "Found", "Fires", "Verdict"], rows)


def quantities(checks: Checks) -> Table:
    """Print the test quantities behind the checks: recorded, and predicted."""
    rows = [
        [
            row.check,
            f"{row.quantity}, {row.where}" if row.where != "all" else row.quantity,
            str(row.n_values),
            number(row.observed),
            f"{number(row.predicted_mean)} ({number(row.predicted_lower)} to {number(row.predicted_upper)})",
            _chance(row.tail_probability),
        ]
        for row in checks.predictive_table.itertuples()
    ]
    heads = ["Check", "Quantity", "Values or patients", "Recorded", "Predicted (95 %)", "Two-sided tail probability"]
    return Table("Test quantities, recorded and predicted", "llrrrr", heads, rows)


def prior_table(checks: Checks) -> Table | None:
    """Print what the priors say of the trial's own visits before any data; None where there is no prior."""
    words = checks.prior_words
    if words is None:
        return None
    rows = [
        [
            row.statement,
            share(row.value) if row.unit == "share" else f"{number(row.value, _places(row.unit))} {row.unit}",
            "" if row.lower != row.lower else " to ".join(number(v, _places(row.unit)) for v in (row.lower, row.upper)),
        ]
        for row in words.itertuples()
    ]
    return Table(
        "What the priors expect of these visits", "lrr", ["Before any data", "Mean or share", "95 % range"], rows
    )


def compared(analyses: Sequence[Analysis], found: Checked, table: pd.DataFrame) -> Table | None:
    """Print the models of each outcome side by side, with what fired; None where there is one of each at most."""
    checks = {a.record["model"]: found[a.anchor] for a in analyses if a.anchor in found}
    if not table["outcome"].duplicated().any():
        return None
    rows = [
        [
            row.model,
            row.outcome,
            *_side_by_side(row),
            "; ".join(check for check in fired(checks[row.model]) if check in MEANING) or "none",
        ]
        for row in table.itertuples()
    ]
    heads = "Model|Outcome|Log predictive density|Difference from the best|Pareto k too high|Checks that fired"
    return Table("All models, by how well each value is predicted from the others", "llrrrl", heads.split("|"), rows)


def pictures(analysis: Analysis, checks: Checks) -> list[Picture]:
    """Draw what the checks saw: residuals by time and by score, the classical count, and what leaving out shows."""
    drawn = [_binned(analysis, checks, *parts) for parts in _BINNED]
    counts = [q for q in checks.quantities if q.check == p.RESPONDERS]
    if counts:
        told = "; ".join(
            f"{q.where} {q.observed:.0f} of {q.n_values}, predicted {number(float(q.predicted.mean()), 1)}"
            for q in counts
        )
        caption = (
            "The trial’s own count of improved patients (line) among those of trials that the model predicts (bars)."
        )
        drawn.append(
            picture(check_figures.counts(counts), f"{analysis.anchor}-count", caption, f"Improved patients: {told}.")
        )
    if checks.loo is not None:
        drawn += [_uniform(analysis, checks), _pareto(analysis, checks)]
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


def _binned(analysis: Analysis, checks: Checks, name: str, parts: Sequence[str], caption: str) -> Picture:
    table = checks.predictive_table
    rows = table[table["check"].isin(parts)]
    beyond = rows[(rows["observed"] < rows["predicted_lower"]) | (rows["observed"] > rows["predicted_upper"])]
    named = "; ".join(f"{row.quantity} {row.where}" for row in beyond.itertuples()) or "none"
    words = f"Mean and SD of residuals, {len(rows)} dots; beyond their predicted 95 % ranges: {named}."
    figure = check_figures.binned(rows, parts, analysis.visits.outcome.unit)
    return picture(figure, f"{analysis.anchor}-{name}", caption, words)


def _uniform(analysis: Analysis, checks: Checks) -> Picture:
    assert checks.loo is not None
    pit = checks.loo.pit
    caption = (
        "How often values lie low or high among what all others say of them. Inside the band: as often as they should. "
        "The verdict uses a test that knows that these probabilities depend on each other."
    )
    words = (
        f"Of {len(pit)} values, {share(float((pit < 0.05).mean()))} lie below the 5 % point and "
        f"{share(float((pit > 0.95).mean()))} above the 95 % point of their prediction from all others."
    )
    return picture(check_figures.uniform(pit), f"{analysis.anchor}-uniform", caption, words)


def _pareto(analysis: Analysis, checks: Checks) -> Picture:
    loo = checks.loo
    assert loo is not None
    k = loo.by_visit.pareto_k.to_numpy()
    patients = None if loo.by_patient is None else loo.by_patient.pareto_k.to_numpy()
    caption = "How far leaving out a value, or a patient, moves the fit: beyond the line only a refit would tell."
    words = f"Pareto k of {len(k)} values, largest {number(float(k.max()))}"
    words += "." if patients is None else f", and of {len(patients)} patients, largest {number(float(patients.max()))}."
    figure = check_figures.pareto(k, patients, float(loo.by_visit.good_k))
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


def _by_outcome(analyses: Sequence[Analysis], found: Checked) -> list[tuple[str, list[Analysis]]]:
    outcomes = dict.fromkeys(a.record["outcome"] for a in analyses if a.anchor in found)
    return [(o, [a for a in analyses if a.record["outcome"] == o and a.anchor in found]) for o in outcomes]


def _materials(group: Sequence[Analysis], found: Checked) -> tuple[dict[str, Posterior], dict[str, LeaveOneOut | None]]:
    names = {a.record["model"]: found[a.anchor] for a in group}
    return {n: c.posterior for n, c in names.items()}, {n: c.loo for n, c in names.items()}


def _named(analysis: Analysis, table: pd.DataFrame) -> pd.DataFrame:
    who = {"model": analysis.record["model"], "outcome": analysis.record["outcome"]}
    return table.assign(**who)[[*who, *table.columns]]


def _stacked(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    filled = [part for part in parts if not part.empty]
    if filled:
        return pd.concat(filled, ignore_index=True)
    return parts[0] if parts else pd.DataFrame(columns=["model", "outcome"])

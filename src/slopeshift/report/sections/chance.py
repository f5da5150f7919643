"""What chance alone gives, as the report shows it: tables, sentences and figures of the null study of a trial.

The study is made apart from the report; each of its tables may be missing, and then says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from slopeshift.answers.quantities import CLAIM
from slopeshift.design.cycles import OVERALL
from slopeshift.report.analysis import Analysis, Report, Tables, rows_of
from slopeshift.report.figures import chance as chance_figures
from slopeshift.report.figures.picture import Picture, picture
from slopeshift.report.sections.own import LABELS, period_name, statistic
from slopeshift.report.words.numbers import Table, course, in_columns, known, number, probability, share, stacked
from slopeshift.trial import Trial
from slopeshift.trial.roles import chance_of_better

PLACED = (
    "improved",
    "improved_of_defined",
    "mean_percent",
    "mean_change",
    "sd_change",
    "wilcoxon_p",
    "rose",
    "interval_correlation",
)
"""Statistics that are placed among those of null trials in print; `null_reference.csv` has all."""

DRAWN = ("improved", "mean_change", "interval_correlation")

DRAWN_TOO = tuple(name for name in PLACED if name not in DRAWN)
"""Statistics that are drawn at once, and those that unfold: a mean percentage has tails that no axis holds."""

PSEUDO_RULE = (
    "The check fires where the model claims a change that cannot be: where Pr(change > 0), averaged over all moves, is "
    "above 0.975 or below 0.025."
)

PSEUDO_BLIND = (
    "A few months before a first injection hardly show a bend, so that silence there says little. Untreated patients "
    "who are followed for a year do: name their trial as the control of this one."
)


def sources(study: Tables, outcome: str) -> list[str]:
    """Name what null trials of an outcome were drawn from, the fit of its own model first."""
    found = list(dict.fromkeys(rows_of(study, "null_reference", outcome=outcome).get("source", ())))
    return sorted(found, key=lambda source: (source != f"fit of {outcome}", not source.startswith("fit of")))


def headline(study: Tables, outcome: str) -> str:
    """Say what the trial's own count of improved patients would be had nothing changed; empty where it is not known."""
    row = _counted(study, outcome)
    if row is None:
        return ""
    return (
        f"{row['observed']:.0f} improved by more than 25 %; with no change at all, {number(row['mean'], 1)} "
        f"(95 % range {row['lower']:.0f} to {row['upper']:.0f}) would."
    )


def placed(study: Tables, outcome: str, source: str) -> Table:
    """Place the statistics of an outcome among those of null trials from one source."""
    mine = rows_of(study, "null_reference", outcome=outcome, source=source)
    order = {name: i for i, name in enumerate(PLACED)}
    mine = mine[mine["statistic"].isin(PLACED)].sort_values(
        "statistic", key=lambda names: names.map(order), kind="stable"
    )
    trials = int(mine["n_trials"].max()) if len(mine) else 0
    return in_columns(
        f"{trials:,} trials without any change, drawn from: {source}",
        mine,
        ("Statistic", "l", lambda row: LABELS[row.statistic]),
        ("Period", "l", lambda row: period_name(row.injection)),
        ("This trial", "r", lambda row: statistic(row.statistic, row.observed)),
        ("Null mean", "r", lambda row: number(row.mean, 0 if row.statistic == "mean_percent" else 2)),
        ("Null 95 % range", "r", _range),
        ("Null at or above", "r", lambda row: known(row.share_at_or_above, share(row.share_at_or_above)) or "–"),
    )


def distributions(study: Tables, analysis: Analysis, names: Sequence[str]) -> list[Picture]:
    """Draw the null distributions of statistics, from the fit of the outcome's model where there is one."""
    outcome, unit = analysis.record["outcome"], analysis.visits.outcome.unit
    if "null_distribution" not in study or not sources(study, outcome):
        return []
    source = sources(study, outcome)[0]
    bins, observed = (
        rows_of(study, name, outcome=outcome, source=source) for name in ("null_distribution", "null_reference")
    )
    return [
        picture(
            chance_figures.null_distribution(bins, observed, name, unit),
            f"{analysis.anchor}-null-{name}",
            f"{LABELS[name]}: in trials without any change (bars), and in this one (line).",
            _aloud(observed, name),
        )
        for name in names
        if (bins["statistic"] == name).any()
    ]


def _aloud(observed: pd.DataFrame, name: str) -> str:
    """Say what a figure of null distributions shows."""
    said = [
        f"{period_name(row.injection)}: {statistic(name, row.observed)} in this trial, null 95 % {_range(row)}"
        for row in observed[observed["statistic"] == name].itertuples()
    ]
    return f"Null distribution of: {LABELS[name]}. {'; '.join(said)}."


def of_answers(analyses: Sequence[Analysis], name: str) -> pd.DataFrame:
    """Put a table of every fit's answers under each other, with columns model and outcome before the others."""
    parts = []
    for a in analyses:
        table = a.answered.tables[name].copy()
        table.insert(0, "model", a.record["model"])
        table.insert(1, "outcome", a.record["outcome"])
        parts.append(table)
    return stacked(parts)


def closed_form(analyses: Sequence[Analysis]) -> Table | None:
    """Print what each model shows of this design where nothing changed; None where no model has a closed form."""
    table = of_answers(analyses, "operating")
    if table.empty:
        return None
    return in_columns(
        "What each model says of this design where nothing changed, in closed form",
        table,
        ("Model", "l", lambda row: f"{row.model}, {period_name(row.injection).lower()}"),
        ("Courses", "l", "course"),
        ("Estimate: mean (SD)", "r", lambda row: f"{number(row.null_mean, sign=True)} ({number(row.null_sd)})"),
        ("Called a claim", "r", lambda row: _percent(row.prob_claim)),
        ("At least as much", "r", lambda row: _percent(row.prob_at_least)),
        ("Cut for 2.5 %", "r", lambda row: number(row.cut, 3)),
        ("Tipping bend", "r", lambda row: number(row.tipping_bend, 3)),
    )


def refits(study: Tables) -> Table | None:
    """Print how often the models' own rules fired in refitted null trials; None where none was refitted."""
    table = rows_of(study, "null_refits")
    if table.empty:
        return None
    return in_columns(
        "The models' own rules in trials without any change",
        table,
        ("Model", "l", lambda row: f"{row.model}, {period_name(str(row.injection)).lower()}"),
        ("Refits that passed", "r", lambda row: f"{row.n_refits - row.n_failed} of {row.n_refits}"),
        ("Pr(change > 0) above 0.975", "r", lambda row: _percent(row.share_positive)),
        ("Pr(change < 0) above 0.975", "r", lambda row: _percent(row.share_negative)),
        ("95 % interval covers 0", "r", lambda row: _percent(row.share_covering_zero)),
        ("Mean change", "r", lambda row: number(row.mean_change)),
        ("Patients called, a trial", "r", lambda row: number(row.mean_called)),
        ("False claims it expects", "r", lambda row: number(row.expected_false_claims)),
    )


def claims_in_refits(study: Tables) -> list[str]:
    """Say of every refitted model how many patients it called in null trials, and how many it knew to be false."""
    return [
        f"With {row.model}, {number(row.mean_called)} patients a trial have a probability above {CLAIM:g} of having "
        f"slowed by 25 % or more over their cycles. All of them are false; the model, whose prior holds effects "
        f"possible, expects {number(row.expected_false_claims)} to be: the two agree on average over all that its "
        f"prior holds possible, not where nothing is. Anybody is called in {share(row.share_any_called)} of trials. "
        f"Judged by their own slopes alone, without prior or other patients, {number(row.mean_called_alone)} would be "
        f"called and {number(row.expected_false_alone)} expected to be false: so much does the prior move both."
        for row in rows_of(study, "null_refits", injection=OVERALL).itertuples()
    ]


def pseudo(study: Tables) -> Table | None:
    """Print what injections that were never given did; None where none was moved."""
    table = rows_of(study, "pseudo_injection")
    if table.empty:
        return None
    return in_columns(
        "Injections moved to where nothing happened",
        table,
        ("Model", "l", "model"),
        ("Of", "l", "trial"),
        ("Patients", "r", "n_patients"),
        ("Moves that passed", "r", lambda row: f"{row.n_moves - row.n_failed} of {row.n_moves}"),
        (
            "Mean change (95 % of moves)",
            "r",
            lambda row: f"{number(row.mean_change)} ({number(row.lower_change)} to {number(row.upper_change)})",
        ),
        ("Pr(change > 0) above 0.975", "r", lambda row: _percent(row.share_positive)),
        ("95 % interval covers 0", "r", lambda row: _percent(row.share_covering_zero)),
        (
            "Mean Pr(change > 0)",
            "r",
            lambda row: f"{probability(row.mean_prob_positive)}{', fires' if row.finds_change else ''}",
        ),
    )


def _slower(row: Any, trial: Trial) -> str:
    sign = trial.outcomes[row.outcome].sign
    return f"{course(sign)} {probability(chance_of_better(row.mean_prob_positive, sign))}"


def pseudo_words(study: Tables, trial: Trial) -> list[str]:
    """Say for whom moved injections found a change, by the rule of the check, and what its silence is worth."""
    table = rows_of(study, "pseudo_injection")
    if table.empty:
        return []
    found = [
        f"Warning: in {row.trial}, model {row.model} finds a change of "
        f"{number(row.mean_change, sign=True)} where no injection was given (mean probability of a slower "
        f"{_slower(row, trial)}). Courses that bend without treatment do this, and a change after the "
        "real injections may be no more than that."
        for row in table[table["finds_change"].astype(bool)].itertuples()
    ]
    return [PSEUDO_RULE, *(found or ["It found none here."]), *([] if trial.injections.empty else [PSEUDO_BLIND])]


def pseudo_pictures(study: Tables, analyses: Sequence[Analysis]) -> list[Picture]:
    """Draw what every set of injections moved within this trial did, a figure per model."""
    own = {a.anchor: rows_of(study, "pseudo_moves", model=a.record["model"], trial=a.trial.name) for a in analyses}
    return [
        picture(
            chance_figures.pseudo_changes(own[a.anchor], a.visits.outcome.unit),
            f"{a.anchor}-pseudo",
            f"Model {a.record['model']}: the population change after each set of moved injections, in order.",
            f"Changes of slope after injections that were never given, by model {a.record['model']}.",
        )
        for a in analyses
        if len(own[a.anchor])
    ]


def claim_pictures(study: Tables) -> list[Picture]:
    """Draw the null ranges of every published count."""
    table = rows_of(study, "published_claim")
    periods = [column.removeprefix("published_") for column in table if column.startswith("published_")]
    return [
        picture(
            chance_figures.published_claim(table, period),
            f"claim-{period}",
            f"{period_name(period)}: null 95 % ranges (grey) and means (dots) under every entry rule and rule for the "
            "lead-in slope, and the published count (line).",
            f"Published count and its null ranges, {period_name(period).lower()}.",
        )
        for period in periods
    ]


def _counted(study: Tables, outcome: str) -> pd.Series | None:
    of = {"outcome": outcome, "source": next(iter(sources(study, outcome)), "")}
    rows = rows_of(study, "null_reference", **of, statistic="improved", injection=OVERALL)
    return rows.iloc[0] if len(rows) and rows["observed"].notna().all() else None


def _percent(value: float) -> str:
    return "–" if value != value else f"{100 * value:.1f} %"


def context(report: Report) -> dict[str, Any]:
    """Show what null trials, refits of them, moved injections and a published count give by chance."""
    study = report.study
    return {
        "study": bool(study),
        "shown": report.of_each(report.primary, lambda a: _of_outcome(study, a), failed=True) if study else [],
        "closed_form": closed_form(report.primary),
        "refits": refits(study),
        "claims": claims_in_refits(study),
        "pseudo_words": pseudo_words(study, report.trial),
        "pseudo_drawn": pseudo_pictures(study, report.primary),
        "pseudo": pseudo(study),
        "claim": report.claim,
        "claim_drawn": claim_pictures(study),
    }


def _of_outcome(study: Tables, a: Analysis) -> dict[str, Any]:
    outcome = a.record["outcome"]
    return {
        "label": a.visits.outcome.label,
        "drawn": distributions(study, a, DRAWN),
        "drawn_too": distributions(study, a, DRAWN_TOO),
        "placed": [(source, placed(study, outcome, source)) for source in sources(study, outcome)],
    }


def _range(row: Any) -> str:
    return f"{statistic(row.statistic, row.lower)} to {statistic(row.statistic, row.upper)}"

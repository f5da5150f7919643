"""What the models themselves find where nothing happened: refitted null trials, moved injections, a published count.

The study is made apart from the report; each of its tables may be missing, and then says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slopeshift.answers.quantities import CLAIM
from slopeshift.design.cycles import OVERALL
from slopeshift.report.analysis import Analysis, Report, Tables, rows_of
from slopeshift.report.figures import chance as chance_figures
from slopeshift.report.figures.picture import Picture, picture
from slopeshift.report.sections.own import period_name
from slopeshift.report.words.numbers import Table, course, in_columns, number, percent, probability, share
from slopeshift.trial import Trial
from slopeshift.trial.roles import chance_of_better

PSEUDO_RULE = (
    "The check fires where the model claims a change that cannot be: where Pr(change > 0), averaged over all moves, is "
    "above 0.975 or below 0.025."
)

PSEUDO_BLIND = (
    "A few months before a first injection hardly show a bend, so that silence there says little. Untreated patients "
    "who are followed for a year do: name their trial as the control of this one."
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
        ("Pr(change > 0) above 0.975", "r", lambda row: percent(row.share_positive)),
        ("Pr(change < 0) above 0.975", "r", lambda row: percent(row.share_negative)),
        ("95 % interval covers 0", "r", lambda row: percent(row.share_covering_zero)),
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
        ("Pr(change > 0) above 0.975", "r", lambda row: percent(row.share_positive)),
        ("95 % interval covers 0", "r", lambda row: percent(row.share_covering_zero)),
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


def context(report: Report) -> dict[str, Any]:
    """Show what refitted null trials, moved injections and a published count give by chance."""
    study = report.study
    return {
        "refits": refits(study),
        "claims": claims_in_refits(study),
        "pseudo_words": pseudo_words(study, report.trial),
        "pseudo_drawn": pseudo_pictures(study, report.primary),
        "pseudo": pseudo(study),
        "claim": report.claim,
        "claim_drawn": claim_pictures(study),
    }

"""The missing data of a trial in the report: who left, what their later values could have been, who was left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from slopeshift.design.cycles import OVERALL
from slopeshift.report.analysis import Analysis, Report, Tables, rows_of
from slopeshift.report.figures import sensitivity as sensitivity_figures
from slopeshift.report.figures.picture import Picture, picture
from slopeshift.report.words.numbers import Table, counted, course, estimate, in_columns, number, probability, share
from slopeshift.sensitivity import curves
from slopeshift.sensitivity.study import DELTA
from slopeshift.trial.roles import chance_of_better


def left(table: pd.DataFrame, outcome: str) -> Table:
    """Print by cycle who was there, what was recorded of them, and why they did not go on."""
    rows = [
        [
            "Before injection 1" if row.cycle == 0 else f"After injection {row.cycle}",
            *(str(value) for value in row[3:]),
        ]
        for row in table[table["outcome"] == outcome].itertuples()
    ]
    reasons = [str(name).removeprefix("n_").replace("_", " ").capitalize() for name in table.columns[6:]]
    heads = ["Period", "At risk", "With values", "Values", "Went on", *reasons]
    return Table("Who was there, and why they did not go on", "l" + "r" * (len(heads) - 1), heads, rows)


def sentences(endings: pd.DataFrame, varied: Tables, main: Analysis) -> list[str]:
    """Say who left, what is assumed of what was not recorded, and what would undo the answer.

    `endings` is that of `missing.tables.tables_of_trial`.
    """
    reasons = [f"{row.n} ({row.reason})" for row in endings.itertuples()]
    said = (
        f"Of {counted(endings['n_injected'].iloc[0], 'injected patient')}, {endings['n'].sum()} left: "
        f"{', '.join(reasons)}. "
        "The answer is about the course that would have been seen had nobody left: unrecorded values are taken to "
        "continue as the patient's recorded values and the other patients suggest."
    )
    follow_up = float(endings["planned_follow_up"].iloc[0])
    return [said, *_tipping(follow_up, varied, main), *_leaving(main), *_warnings(main)]


def _tipping(follow_up: float, varied: Tables, main: Analysis) -> list[str]:
    if not {"dropout_tipping", "sensitivity_tipping"} <= set(varied):
        return []
    mine = _overall(varied, main)
    if mine.empty:
        return ["Nobody left long enough before the planned end for a value to be imputed."]
    first = mine.iloc[0]
    said = (
        f"Those who completed were followed for {number(follow_up, 1)} months after their last "
        f"injection. For the {int(first['n_left'])} who left a month or more before that, {int(first['n_imputed'])} "
        "monthly values were imputed from their own lines, for those who died as well, with a decline faster than "
        f"expected by delta. The model was refitted to {int(first['n_imputations'])} imputations for each delta."
    )
    point = rows_of(varied, "sensitivity_tipping", model=main.record["model"], kind=DELTA).iloc[0]
    unit, above = point["unit"], float(point["tips_above"])
    if point["prob_better"] < curves.HEADLINE:
        return [said, f"The probability of slower {course(main.sign)} is below 0.8 even without any such departure."]
    if np.isnan(above):
        return [said, f"No delta up to {number(point['searched_to'])} {unit} brings the probability below 0.8."]
    return [
        said,
        f"The probability of slower {course(main.sign)} overall falls below 0.8 once those who left declined faster "
        f"than expected by {number(above)} {unit} or more.",
    ]


def _leaving(main: Analysis) -> list[str]:
    """Say whether those who decline fast leave."""
    found = next(main.checks["leaving"].itertuples())
    if found.probability != found.probability:
        return [
            "Whether those who decline fast leave earlier was not tested: that needs a residual SD, and at least "
            f"{found.fewest} patients who left while others, whose slopes differ, were followed."
        ]
    how = f"{counted(found.n_left, 'patient')} left while others were followed"
    chance = f"probability of at least as much by chance {probability(found.probability)}"
    if found.fires:
        return [
            f"Warning: those who decline fast leave earlier. {how}, and had declined faster before treatment than "
            f"those who then stayed, by {number(found.faster)} {main.rate} on average ({chance}). What is seen late is "
            "seen in slower patients, and the values that are missing would mostly have come from faster ones."
        ]
    return [
        f"Those who left are not shown to have declined faster before treatment than those who then stayed ({how}; "
        f"{chance}; a warning is given below {found.fires_below:g})."
    ]


def _warnings(main: Analysis) -> list[str]:
    table = main.checks["survivors"]
    slopes = table[table["quantity"] == "lead_in_slope"]
    flatter = chance_of_better(slopes["prob_higher"], main.sign)
    said = [
        f"Warning: those who reached injection {row.cycle} had declined more slowly before any treatment than those "
        f"who did not, by {number(abs(row.mean))} {main.rate} (probability {probability(flatter[row.Index])}). What is "
        f"seen after injection {row.cycle} is seen in slower patients; do not read it without the lead-in."
        for row in slopes[slopes["warns"].astype(bool)].itertuples()
    ]
    if len(slopes) and not said:
        limit = float(slopes["warns_above"].iloc[0])
        said = [
            "Those who reached later injections are not shown to have declined more slowly before treatment than those "
            f"who did not (largest probability {probability(float(flatter.max()))}; a warning is given "
            f"above {limit:g})."
        ]
    return said


def survivor_table(table: pd.DataFrame) -> Table | None:
    """Print how those who reached a later cycle differed from the others before treatment; None without groups."""
    if table.empty:
        return None
    names = {"lead_in_slope": "Slope before injection 1", "level": "Level at injection 1"}
    return in_columns(
        "Those who reached a later injection, and those who did not",
        table,
        ("Reached", "l", lambda row: f"Injection {row.cycle}"),
        ("Quantity", "l", lambda row: names[row.quantity]),
        ("Patients who did", "r", "n_reached"),
        ("Who did not", "r", "n_not"),
        ("Difference, 95 %", "r", estimate),
        ("Pr(higher)", "r", lambda row: probability(row.prob_higher)),
    )


def deltas(varied: Tables, main: Analysis) -> Table | None:
    """Print the change overall by delta; None where nothing was imputed."""
    mine = _overall(varied, main)
    if mine.empty:
        return None
    return in_columns(
        "If those who left declined faster than expected by delta",
        mine,
        (f"Delta, {main.rate}", "r", lambda row: number(row.delta)),
        ("Change, overall (95 %)", "r", estimate),
        ("Pr(slower)", "r", lambda row: probability(row.prob_better)),
        ("Pr(slowing ≥ 25 %)", "r", lambda row: probability(row.prob_slowing_25)),
        ("Below the scale", "r", lambda row: share(row.share_below_scale)),
    )


def drawn(varied: Tables, main: Analysis) -> list[Picture]:
    """Draw the probability of slower decline against delta."""
    mine = _overall(varied, main)
    if mine.empty or mine["mean"].isna().all():
        return []
    known = mine.dropna(subset="mean").rename(columns={"delta": "x"})
    return [
        picture(
            sensitivity_figures.curve(known, 0.0, f"Delta, {main.rate}", sign=main.sign),
            f"{main.anchor}-missing-delta",
            f"The probability of slower {course(main.sign)} overall, by how much faster than expected those who left "
            "declined. Dashed: a probability of 0.8.",
            f"Probability of a slower {course(main.sign)} against delta.",
        )
    ]


def _overall(varied: Tables, main: Analysis) -> pd.DataFrame:
    return rows_of(varied, "dropout_tipping", model=main.record["model"], injection=OVERALL)


def context(report: Report) -> dict[str, Any]:
    """Show of every outcome who left, and what that may hide."""

    def of_fit(a: Analysis) -> dict[str, Any]:
        return {
            "sentences": sentences(report.own["endings"], report.varied, a),
            "drawn": drawn(report.varied, a),
        }

    return {"shown": report.of_each(report.primary, of_fit), "varied": bool(report.varied)}


def details(report: Report) -> dict[str, Any]:
    """Show who was there by cycle, what values after leaving would change, and how those who went on differed."""

    def of_fit(a: Analysis) -> dict[str, Any]:
        return {"deltas": deltas(report.varied, a), "groups": survivor_table(a.checks["survivors"])}

    tables = {a.anchor: left(report.own["missing"], a.record["outcome"]) for a in report.primary}
    return {"left": tables, "shown": report.of_each(report.primary, of_fit)}

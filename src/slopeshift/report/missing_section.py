"""The missing data of a trial in the report: who left, what their later values could have been, who was left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.checks import FIRES
from slopeshift.design.cycles import OVERALL
from slopeshift.missing.departures import LEFT, REASONS, departures, endings, planned_follow_up
from slopeshift.missing.leaving import FEWEST, leaving
from slopeshift.missing.survivors import WARNED, survivors
from slopeshift.report import sensitivity_figures as figures
from slopeshift.report.pictures import picture
from slopeshift.report.wording import Table, between, counted, course, number, probability, share
from slopeshift.sensitivity import curves
from slopeshift.sensitivity.study import DELTA
from slopeshift.trial.roles import chance_of_better

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slopeshift.report.analysis import Analysis
    from slopeshift.report.pictures import Picture
    from slopeshift.trial import Trial

    Varied = Mapping[str, pd.DataFrame]


def left(trial: Trial, outcome: str) -> Table:
    """Print by cycle who was there, what was recorded of them, and why they did not go on."""
    table = departures(trial)
    rows = [
        [
            "Before injection 1" if row.cycle == 0 else f"After injection {row.cycle}",
            *(str(value) for value in row[3:]),
        ]
        for row in table[table["outcome"] == outcome].itertuples()
    ]
    heads = ["Period", "At risk", "With values", "Values", "Went on", *(reason.capitalize() for reason in REASONS)]
    return Table("Who was there, and why they did not go on", "l" + "r" * (len(heads) - 1), heads, rows)


def sentences(trial: Trial, varied: Varied, main: Analysis) -> list[str]:
    """Say who left, what is assumed of what was not recorded, and what would undo the answer."""
    ended = endings(trial)
    injected = ended[ended["injections"] > 0]
    reasons = [f"{int((injected['reason'] == r).sum())} ({r})" for r in LEFT]
    gone = int(injected["reason"].isin(LEFT).sum())
    said = [
        f"Of {counted(len(injected), 'injected patient')}, {gone} left: {', '.join(reasons)}. "
        "The answer is about the course that would have been seen had nobody left: what was not recorded is taken to "
        "go on as the patient's recorded values and the other patients say."
    ]
    return [*said, *_tipping(trial, varied, main), *_leaving(trial, main), *_warnings(trial, main)]


def _tipping(trial: Trial, varied: Varied, main: Analysis) -> list[str]:
    dropout, points = varied.get("dropout_tipping"), varied.get("sensitivity_tipping")
    if dropout is None or points is None:
        return []
    mine = dropout[(dropout["model"] == main.record["model"]) & (dropout["injection"] == OVERALL)]
    if mine.empty:
        return ["Nobody left long enough before the planned end for a value to be imputed."]
    first = mine.iloc[0]
    said = (
        f"Those who completed were followed for {number(planned_follow_up(trial), 1)} months after their last "
        f"injection. For the {int(first['n_left'])} who left a month or more before that, {int(first['n_imputed'])} "
        "monthly values were imputed from their own lines, those of the dead among them, with a decline faster by "
        f"delta than expected, and the model was refitted to {int(first['n_imputations'])} imputations for each delta."
    )
    point = points[(points["model"] == main.record["model"]) & (points["kind"] == DELTA)].iloc[0]
    unit, above = point["unit"], float(point["tips_above"])
    if point["prob_better"] < curves.HEADLINE:
        return [said, f"The probability of slower {course(main.sign)} is below 0.8 without any such departure."]
    if np.isnan(above):
        return [said, f"No delta up to {number(point['searched_to'])} {unit} brings the probability below 0.8."]
    return [
        said,
        f"The probability of slower {course(main.sign)} overall falls below 0.8 once those who left declined faster "
        f"than expected by {number(above)} {unit} or more.",
    ]


def _leaving(trial: Trial, main: Analysis) -> list[str]:
    """Say whether those who decline fast leave."""
    if not main.passed:
        return []
    found = leaving(main.posterior)
    if found.probability != found.probability:
        return [
            "Whether those who decline fast leave was not tested: that needs a residual SD, and at least "
            f"{FEWEST} patients who left while others, whose slopes differ, were followed."
        ]
    how = f"{counted(found.n_left, 'patient')} left while others were followed"
    chance = f"probability of as much, or more, by chance {probability(found.probability)}"
    if found.fires:
        return [
            f"Warning: those who decline fast leave. {how}, and had declined faster before treatment than those who "
            f"then stayed, by {number(found.faster)} {main.rate} on average ({chance}). What is seen late is seen in "
            "slower patients, and what was not recorded would mostly have been that of faster ones."
        ]
    return [
        f"Those who left are not shown to have declined faster before treatment than those who then stayed ({how}; "
        f"{chance}; below {FIRES:g} it would be warned of)."
    ]


def _warnings(trial: Trial, main: Analysis) -> list[str]:
    if not main.passed:
        return []
    table = survivors(main.posterior)
    slopes = table[table["quantity"] == "lead_in_slope"]
    flatter = chance_of_better(slopes["prob_higher"], main.sign)
    said = [
        f"Warning: those who reached injection {row.cycle} had declined more slowly before any treatment than those "
        f"who did not, by {number(abs(row.mean))} {main.rate} (probability {probability(flatter[row.Index])}). What is "
        f"seen after injection {row.cycle} is seen in slower patients; do not read it without the lead-in."
        for row in slopes[slopes["warns"]].itertuples()
    ]
    if len(slopes) and not said:
        said = [
            "Those who reached later injections are not shown to have declined more slowly before treatment than those "
            f"who did not (largest probability {probability(float(flatter.max()))}; above {WARNED:g} it "
            "would be warned of)."
        ]
    return said


def survivor_table(trial: Trial, main: Analysis) -> Table | None:
    """Print how those who reached a later cycle differed from the others before treatment; None without groups."""
    if not main.passed:
        return None
    table = survivors(main.posterior)
    if table.empty:
        return None
    names = {"lead_in_slope": "Slope before injection 1", "level": "Level at injection 1"}
    rows = [
        [
            f"Injection {row.cycle}",
            names[row.quantity],
            str(row.n_reached),
            str(row.n_not),
            f"{number(row.mean, sign=True)} ({between(row.lower, row.upper, '', sign=True)})",
            probability(row.prob_higher),
        ]
        for row in table.itertuples()
    ]
    heads = ["Reached", "Quantity", "Patients who did", "Who did not", "Difference, 95 %", "Pr(higher)"]
    return Table("Those who reached a later injection, and those who did not", "llrrrr", heads, rows)


def deltas(varied: Varied, main: Analysis) -> Table | None:
    """Print the change overall by delta; None where nothing was imputed."""
    mine = _overall(varied, main)
    if mine.empty:
        return None
    rows = [
        [
            number(row.delta),
            f"{number(row.mean, sign=True)} ({between(row.lower, row.upper, '', sign=True)})",
            probability(row.prob_better),
            probability(row.prob_slowing_25),
            share(row.share_below_scale),
        ]
        for row in mine.itertuples()
    ]
    heads = [f"Delta, {main.rate}", "Change, overall (95 %)", "Pr(slower)", "Pr(slowing ≥ 25 %)", "Below the scale"]
    return Table("If those who left declined faster than expected by delta", "rrrrr", heads, rows)


def drawn(varied: Varied, main: Analysis) -> list[Picture]:
    """Draw the probability of slower decline against delta."""
    mine = _overall(varied, main).dropna(subset="mean")
    if mine.empty:
        return []
    return [
        picture(
            figures.curve(mine.rename(columns={"delta": "x"}), 0.0, f"Delta, {main.rate}", sign=main.sign),
            f"{main.anchor}-missing-delta",
            "The probability of slower decline overall, by how much faster than expected those who left declined. "
            "Dashed: a probability of 0.8.",
            "Probability of a slower decline against delta.",
        )
    ]


def _overall(varied: Varied, main: Analysis) -> pd.DataFrame:
    dropout = varied.get("dropout_tipping", pd.DataFrame(columns=["model", "injection", "mean"]))
    return dropout[(dropout["model"] == main.record["model"]) & (dropout["injection"] == OVERALL)]

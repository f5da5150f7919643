"""The first screen: what the data support of each outcome beside what chance alone gives, and what they cannot show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from slopeshift.answers import quantities
from slopeshift.design.cycles import OVERALL
from slopeshift.fit.posterior import SAMPLES
from slopeshift.report import answer_figures, flow
from slopeshift.report.pictures import picture
from slopeshift.report.wording import between, number
from slopeshift.trial.roles import improvement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slopeshift.report.analysis import Analysis
    from slopeshift.report.pictures import Picture
    from slopeshift.report.wording import Finding
    from slopeshift.trial import Trial

    Study = Mapping[str, pd.DataFrame]

QUANTILES = (0.025, 0.25, 0.75, 0.975)
NULL_SDS = 2.0
"""Half the width of what chance gives, in standard deviations of the model's estimates over null trials."""


_READING = "Thick, thin line: 50 %, 95 % interval."
_CHANCE = " Hatched: chance alone."


def by_chance(study: Study, analysis: Analysis) -> pd.DataFrame:
    """Say what the model finds after each injection where nothing changed: columns injection, lower, upper, n, called.

    `lower` and `upper` are mean less and plus NULL_SDS standard deviations of its estimates over `n` null trials, in
    units a month; `called` is the mean number of patients it names in one. Empty where no null trial was refitted.
    """
    table = study.get("null_refits")
    if table is None or table.empty:
        return pd.DataFrame(columns=["injection", "lower", "upper", "n", "called"])
    mine = table[(table["model"] == analysis.record["model"]) & table["minimum_loss"].isna()]
    mine = mine.drop_duplicates("injection")
    return pd.DataFrame(
        {
            "injection": mine["injection"].astype(str),
            "lower": mine["mean_change"] - NULL_SDS * mine["sd_change"],
            "upper": mine["mean_change"] + NULL_SDS * mine["sd_change"],
            "n": mine["n_refits"] - mine["n_failed"],
            "called": mine["mean_called"],
        }
    )


def beside_chance(finding: Finding, mean: float, chance: pd.DataFrame, unit: str) -> str:
    """Write what chance gives, and on which side of it the estimate over all injections lies; empty if not known."""
    found = chance[chance["injection"] == finding.injection]
    if found.empty or found[["lower", "upper"]].isna().any(axis=None):
        return ""
    low, high = found["lower"].iloc[0], found["upper"].iloc[0]
    if finding.injection != OVERALL:
        return f"by chance {between(low, high, unit, sign=True)}"
    where = "above" if mean > high else "below" if mean < low else "within"
    return f"{where} what chance gives ({between(low, high, unit, sign=True)})"


def mean_change(analysis: Analysis, injection: str) -> float:
    """Take the estimate of the change after an injection out of the table, in units a month."""
    table = analysis.results.population
    return float(table.loc[(table["quantity"] == "change") & (table["injection"] == injection), "mean"].iloc[0])


def named_by_chance(chance: pd.DataFrame) -> str:
    """Say how many patients the same model names in trials where nobody changed; empty where it is not known."""
    found = chance[chance["injection"] == OVERALL]
    if found.empty or found["called"].isna().any():
        return ""
    row = found.iloc[0]
    return (
        f"In {row['n']:.0f} such trials in which nobody changed, the model named {number(row['called'], 1)} a trial, "
        "all wrongly."
    )


def figure(analysis: Analysis, chance: pd.DataFrame) -> Picture:
    """Show the change after every injection with its intervals, and what chance alone gives behind each."""
    draws = quantities.population(analysis.posterior)
    change = draws.sel(row=draws["quantity"] == "change")
    values = change.transpose(*SAMPLES, "row").to_numpy().reshape(-1, change.sizes["row"])
    low, inner_low, inner_high, high = np.quantile(values, QUANTILES, axis=0)
    rows = pd.DataFrame({"injection": change["injection"].to_numpy(), "mean": values.mean(axis=0)})
    rows = rows.assign(lower=low, inner_lower=inner_low, inner_upper=inner_high, upper=high)
    rows = rows.assign(probability=(improvement(values, analysis.sign) > 0).mean(axis=0))
    given = chance[["injection", "lower", "upper"]].rename(columns={"lower": "null_lower", "upper": "null_upper"})
    rows = rows.merge(given, on="injection", how="left").sort_values(
        "injection", key=lambda k: k != OVERALL, kind="stable"
    )
    said = "; ".join(
        f"{'all injections' if row.injection == OVERALL else f'injection {row.injection}'} "
        f"{number(row.mean, sign=True)} ({between(row.lower, row.upper, analysis.rate, sign=True)})"
        for row in rows.itertuples()
    )
    return picture(
        answer_figures.changes(rows, analysis.rate, analysis.sign),
        f"{analysis.anchor}-answer",
        _READING + (_CHANCE if rows["null_lower"].notna().any() else ""),
        f"Change of slope of {analysis.visits.outcome.label} in {analysis.rate} with 95 % intervals: {said}.",
    )


def cannot_show(trial: Trial) -> list[str]:
    """List what the design leaves open, whichever way the numbers point."""
    if trial.injections.empty:
        return []
    control = (
        "Whether patients without injection compare with the others: who was injected may not have been left to chance."
        if flow.has_control_group(trial)
        else "What would have happened without injections: there was no control group. A change is neither proof that "
        "the injections did something, nor is its absence proof that they did nothing."
    )
    return [
        control,
        "Whether hope, care or raters changed the values, or the decline bent by itself: it can bend either way, and "
        "hide an effect as well as feign one.",
        "Whether later injections did more, or went to patients who did better anyway; and which of the patients named "
        "are named rightly.",
    ]

"""What chance alone gives, in words: the model's own estimates over null trials."""

from __future__ import annotations

import pandas as pd

from slopeshift.design.cycles import OVERALL
from slopeshift.report.analysis import Tables, rows_of
from slopeshift.report.words.numbers import number

NULL_SDS = 2.0
"""Half the width of what chance gives, in standard deviations of the model's estimates over null trials."""


def by_chance(study: Tables, model: str) -> pd.DataFrame:
    """Say what the model finds after each injection where nothing changed: columns injection, lower, upper, n, called.

    `lower` and `upper` are mean less and plus NULL_SDS standard deviations of its estimates over `n` null trials, in
    units a month; `called` is the mean number of patients it names in one. Empty where no null trial was refitted.
    """
    mine = rows_of(study, "null_refits", model=model)
    if mine.empty:
        return pd.DataFrame(columns=["injection", "lower", "upper", "n", "called"])
    mine = mine[mine["minimum_loss"].isna()].drop_duplicates("injection")
    return pd.DataFrame(
        {
            "injection": mine["injection"].astype(str),
            "lower": mine["mean_change"] - NULL_SDS * mine["sd_change"],
            "upper": mine["mean_change"] + NULL_SDS * mine["sd_change"],
            "n": mine["n_refits"] - mine["n_failed"],
            "called": mine["mean_called"],
        }
    )


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

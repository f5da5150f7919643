"""What chance alone gives, in words: the model's own estimates over null trials."""

from __future__ import annotations

import pandas as pd

from slopeshift.answers.quantities import CLAIMED, DIFFERENCE
from slopeshift.answers.unchanged import called
from slopeshift.answers.weights import LARGEST_K
from slopeshift.design.cycles import OVERALL
from slopeshift.report.analysis import Tables, rows_of
from slopeshift.report.words.numbers import number, probability, share

NULL_SDS = 2.0
"""Half the width of what chance gives, in standard deviations of the model's estimates over null trials."""

EVEN, PROBABLE = 0.5, 0.9
"""Probabilities: that anything changed, below which the factor is against it, and of a direction that is probable."""


def by_chance(study: Tables, model: str) -> pd.DataFrame:
    """Say what the model finds after each injection where nothing changed: columns injection, lower, upper, n, called.

    `lower` and `upper` are mean less and plus NULL_SDS standard deviations of its estimates over `n` null trials, in
    units a month; `called` is the mean number of patients it names in one. Empty where no null trial was refitted.
    """
    mine = rows_of(study, "null_refits", model=model)
    if mine.empty:
        return pd.DataFrame(columns=["injection", "lower", "upper", "n", "called"])
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


def named_by_chance(chance: pd.DataFrame) -> str:
    """Say how many patients the same model names in trials where nobody changed; empty where it is not known."""
    found = chance[chance["injection"] == OVERALL]
    if found.empty or found["called"].isna().any():
        return ""
    row = found.iloc[0]
    return (
        f"In {row['n']:.0f} such trials in which nobody changed, the model named {number(row['called'], 1)} patients a "
        "trial on average, all of them wrongly."
    )


def by_design(answer: Tables, injection: str, rate: str) -> str:
    """Say how often this design shows as much where nothing changed; empty where there is no closed form of it.

    `answer` are the tables of a fit, `rate` the unit of its slopes.
    """
    rows = rows_of(answer, "operating", injection=injection)
    if rows.empty:
        return ""
    straight, bent = (rows[rows["course"] == kind].iloc[0] for kind in ("straight", "bent"))
    compared = not rows_of(answer, "population", quantity=DIFFERENCE).empty
    nothing = "the arms did not differ" if compared else "nothing changed"
    tipping = straight["tipping_bend"]
    enough = (
        f" A natural bend of {number(abs(tipping), 3)} {rate} every month would be enough to produce it."
        if tipping == tipping and not compared
        else ""
    )
    return (
        f"Of 100 such trials in which {nothing}, {of_hundred(straight['prob_at_least'])} would show at least as "
        f"much. Of 100 whose courses bend by themselves, {of_hundred(bent['prob_at_least'])} would, and 2.5 would give "
        f"a probability above {number(bent['cut'], 3)}.{enough}"
    )


def changed_at_all(answer: Tables) -> str:
    """Say how probable it is that anything changed at all, at even odds beforehand; empty where it is not known."""
    rows = rows_of(answer, "any_change", prior_probability=0.5)
    if rows.empty:
        return ""
    if rows["bayes_factor"].isna().any():
        return (
            f"Could not be computed reliably from these draws (Pareto k {number(rows['pareto_k'].max())}, limit "
            f"{LARGEST_K:g}). That speaks neither for a change nor against one."
        )
    stated, factors = rows.iloc[len(rows) // 2], rows["bayes_factor"]
    return (
        f"Probability {probability(stated['probability'])}, starting from even odds; Bayes factor "
        f"{factor(stated['bayes_factor'])} ({factor(factors.min())} to {factor(factors.max())} with a prior of the "
        f"change half to twice as wide).{no_contradiction(answer)}"
    )


def no_contradiction(answer: Tables) -> str:
    """Explain a factor against any change beside a change that is probable by its sign: empty where there is none.

    Evidence against a model with changes is evidence against all that its prior expects of them (Lindley 1957, doi
    10.1093/biomet/44.1-2.187).
    """
    rows = rows_of(answer, "any_change", prior_probability=0.5)
    overall = rows_of(answer, "population", injection=OVERALL)
    by_sign = overall.loc[overall["quantity"].isin(CLAIMED), "prob_positive"] if len(overall) else overall
    if rows.empty or not len(by_sign) or rows["probability"].iloc[len(rows) // 2] >= EVEN:
        return ""
    if max(by_sign.iloc[0], 1 - by_sign.iloc[0]) <= PROBABLE:
        return ""
    return (
        " This does not contradict the probability of a change in one direction: it weighs the whole prior of changes, "
        "which expects them to be larger, or to differ more."
    )


def named_if_unchanged(answer: Tables) -> str:
    """Say whom the fit would name if any patient may be untouched; empty where it is not known."""
    rows = answer.get("unchanged", pd.DataFrame())
    if rows.empty or rows["prob_changed"].isna().any():
        return ""
    n, false = called(rows)
    whom = "nobody" if not n else f"{n}, {number(false, 1)} of them wrongly"
    return (
        f"If the model allows that any patient was left untouched, {share(rows['share_changed'].iloc[0])} of patients "
        f"are expected to have changed at all, and it names {whom}."
    )


def factor(value: float) -> str:
    """Write a Bayes factor: one below 1 as a fraction, none beyond 1,000."""
    if value < 1:
        return "< 1/1,000" if value < 1e-3 else f"1/{number(1 / value, 1)}"
    return "> 1,000" if value > 1e3 else number(value, 1)


def of_hundred(value: float) -> str:
    """Write a share of trials as a number of 100."""
    return "fewer than 1" if value < 0.005 else f"{100 * value:.0f}"

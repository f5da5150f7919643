"""The reported quantities by name: what each is called in print, and what it means in plain language."""

from __future__ import annotations

from typing import NamedTuple

from slopeshift.effects import CLAIM, OVERALL


class Entry(NamedTuple):
    """A quantity's printed name, its definition, and whether Pr(quantity > 0) says anything."""

    label: str
    meaning: str
    signed: bool = False


POPULATION = {
    "lead_in_slope": Entry(
        "Slope before the first injection",
        "Units gained (+) or lost (−) a month by an average patient before treatment.",
    ),
    "change": Entry(
        "Change of slope",
        "Slope during the cycle after an injection minus slope before the first injection. Above 0: slower decline.",
        signed=True,
    ),
    "segment_slope": Entry(
        "Slope in the cycle", "Units gained or lost a month by an average patient between this injection and the next."
    ),
    "increment": Entry(
        "Change from the previous cycle", "Slope in this cycle minus slope in the one before it.", signed=True
    ),
    "percent_slowing": Entry(
        "Slowing",
        "Change of slope as a percentage of the decline before treatment, draw by draw: 100 % is a standstill.",
        signed=True,
    ),
    "rate_ratio": Entry(
        "Rate ratio", "Slope in the cycle divided by slope before treatment: below 1 is slower decline."
    ),
    "prob_slowing_25": Entry(
        "Pr(slowing ≥ 25 %)", "Probability that the population's decline slowed by a quarter or more."
    ),
    "interval_within": Entry(
        "Change per month of interval, within patients",
        "How much more the slope changed in a patient's longer cycles, per month that they were longer. Above 0: "
        "slower decline in longer cycles. The changes of slope beside it are then those at the mean interval.",
        signed=True,
    ),
    "interval_between": Entry(
        "Change per month of interval, between patients",
        "How much more the slope changed in patients with longer cycles, per month of their mean interval.",
        signed=True,
    ),
    "interval_control": Entry(
        "Interval per change seen before",
        "Negative control: by how many months the next injection was later, per unit of the change of slope that was "
        "seen before it. Other than 0, the interval was chosen from the response, or both have one cause.",
        signed=True,
    ),
    "level": Entry("Level at month 0", "Expected value of an average patient at the first injection."),
}
"""Quantities of an average patient."""

SPREAD = {
    "sd_level": Entry("SD of levels", "How much patients differ in level."),
    "sd_slope": Entry("SD of slopes", "How much patients differ in slope before treatment."),
    "sd_response": Entry(
        "SD of responses", "How much patients differ in their change of slope, the same in all their cycles."
    ),
    "sd_cycle": Entry("SD between cycles", "How much the changes of one patient differ from cycle to cycle."),
    "sigma": Entry("Residual SD", "How far a recorded value lies from the patient's line."),
    "correlation_level_slope": Entry(
        "Correlation of level and slope", "Whether patients who start high decline faster or slower.", signed=True
    ),
    "correlation_level_response": Entry(
        "Correlation of level and response", "Whether patients who start high change more or less.", signed=True
    ),
    "correlation_slope_response": Entry(
        "Correlation of slope and response",
        "Whether fast decliners change more; in the model, lest regression to the mean be taken for an effect.",
        signed=True,
    ),
}
"""How patients differ."""

TERMS = {
    "95 % interval": "The range that holds the quantity with probability 95 %, given the model and the data.",
    "Pr(…)": "The probability of a statement, given the model and the data: the share of draws in which it is true.",
    "Cycle": "The time from one injection to the next, or to the last visit; informed where a value falls in it.",
    "Overall": "The mean over all cycles that were informed.",
    "Not reached": "The injection was not given. What the model would predict is not a result, and is not shown.",
    "Not informed": "The injection was given, but no value was recorded before the next one or the end.",
    "Prior": "What the model assumes before it sees the data. A posterior probability close to its prior is no news.",
    "Contraction": "How much of the prior variance of a patient's change the data removed: 0 nothing, 1 all.",
    "Expected number": "How many patients slowed by so much, averaged over all draws; the interval is of these counts.",
    "Expected false claims": f"Of the patients with a probability above {CLAIM:g}, how many did not slow by so much.",
    "Percent undefined": "The patient's slope before treatment may be near zero: a percentage of it means little, "
    "although the patient still counts among those who may have slowed.",
    "Short lead-in": "Fewer than two values up to the first injection: the slope is mostly that of other patients.",
    "R-hat": "Agreement of independent chains: 1 is agreement.",
    "ESS": "Effective sample size: how many independent draws the draws are worth, in the bulk and in the tails.",
    "BFMI": "Whether the sampler moves freely between regions of low and high probability: above 0.3 it does.",
}
"""Terms that are not quantities of the population."""


def label(quantity: str, injection: str) -> str:
    """Name a row of the population table in print."""
    after = {"": "", OVERALL: ", all injections"}.get(injection, f", injection {injection}")
    return entry(quantity).label + after


def entry(quantity: str) -> Entry:
    """Look a quantity of the population table up; one that is not listed is printed by its name."""
    return (POPULATION | SPREAD).get(quantity, Entry(quantity, "", signed=False))

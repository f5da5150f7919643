"""What a plan comes to, in words: which design to choose and why, and the statement that can go into a protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from slopeshift.planning.plan import CLAIM, NONE
from slopeshift.planning.tables import BEYOND, NEVER, OK
from slopeshift.report.words.numbers import number, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from slopeshift.planning.plan import Design, Plan, Rule


ENOUGH = 50
"""Trials below which a closed form is not said to agree with what was simulated: Monte Carlo errors are too large."""


@dataclass(frozen=True)
class Choice:
    """The design that is proposed: its place in the grid from 1, the model and rule, and its rows of `scenarios`.

    `wanted` says whether every scenario ends as it should.
    """

    place: int
    design: Design
    model: str
    rule: Rule
    rows: pd.DataFrame
    wanted: bool


def choice(plan: Plan, scenarios: pd.DataFrame) -> Choice:
    """Choose among the designs by the first model: the fewest patients, then visits, that end as wanted throughout.

    Where none does, the one whose scenarios err least in sum: claims above the false alarms that are allowed, and power
    below what is wanted.
    """
    of_model = scenarios[scenarios["model"] == plan.models[0]]
    cells = []
    for keys, rows in of_model.groupby(["design", "probability"], sort=False):
        errs = sum(
            _errs(plan, expected, claims) for expected, claims in zip(rows["expected"], rows["claims"], strict=True)
        )
        wanted = bool((rows["flag"] == OK).all())
        cost = (rows["patients"].iloc[0], rows["visits"].iloc[0])
        cells.append(((not wanted, 0.0 if wanted else errs, *cost), keys, rows, wanted))
    _, (place, level), rows, wanted = min(cells, key=lambda cell: cell[0])
    rule = next(rule for rule in plan.rules if rule.probability == level)
    return Choice(int(place), plan.designs[int(place) - 1], plan.models[0], rule, rows, wanted)


def _errs(plan: Plan, expected: str, claims: float) -> float:
    if expected == CLAIM:
        return max(plan.target.power - claims, 0.0)
    return max(claims - plan.target.false_alarms, 0.0)


def recommendation(plan: Plan, chosen: Choice, unit: str) -> list[str]:
    """Say in sentences which design to choose and why, and what it does not reach."""
    rows = chosen.rows
    power, alarms = rows[rows["expected"] == CLAIM], rows[rows["expected"] == NONE]
    number_of, found = len(plan.designs), f"design {chosen.place}"
    said = [
        f"Of {number_of} designs, {found} is the smallest in which every scenario ends as it should: {chosen.design}."
        if chosen.wanted
        else f"None of {number_of} designs ends as it should in every scenario; {found} comes nearest: {chosen.design}."
    ]
    said.append(
        f"It claims where {chosen.rule} by the model {chosen.model}. Its 95 % interval is expected to be "
        f"{number(rows['width'].iloc[0])} {unit} wide."
    )
    said += [
        f"Scenario “{row.scenario}”, with a true change of {number(row.effect)} {unit}: {share(row.claims)} of trials "
        f"claim; {share(plan.target.power)} are wanted."
        for row in power.itertuples()
    ]
    said += [
        f"Scenario “{row.scenario}”: {number(100 * row.claims, 1)} % of trials claim, which would be wrong; "
        f"{number(100 * plan.target.false_alarms, 1)} % are allowed."
        for row in alarms.itertuples()
    ]
    return said + _cautions(rows, unit, bends=chosen.design.control_share is None)


def _cautions(rows: pd.DataFrame, unit: str, *, bends: bool) -> list[str]:
    # A bend that both arms share cancels, but for what the prior of the control's change does not believe of it.
    first, said = rows.iloc[0], []
    if first["assurance"] == first["assurance"]:
        said.append(
            f"Averaged over the prior of the effect, {share(first['assurance'])} of trials claim: its assurance."
        )
    if bends and first["tipping_bend"] == first["tipping_bend"]:
        said.append(
            "Without any effect, half of the trials would claim one if courses bent by "
            f"{number(first['tipping_bend'], 3)} {unit} every month by themselves."
        )
    if first["cut"] == first["cut"]:
        said.append(
            "Averaged over the scenarios that should end without a claim, a probability of "
            f"{number(first['cut'], 3)} would hold the false alarms that are allowed."
        )
    return said


def refitted(plan: Plan, chosen: Choice, simulated: pd.DataFrame) -> list[str]:
    """Say of the proposed design what refits of simulated trials found, and where they contradict the proposal.

    They do where false alarms are above those allowed, or power below that wanted, by more than two Monte Carlo errors.
    """
    if simulated.empty:
        return []
    of = simulated[(simulated["design"] == chosen.place) & (simulated["model"] == chosen.model)]
    said = []
    for row in of[of["probability"] == chosen.rule.probability].itertuples():
        least, most = row.claims - 2 * row.mc_error, row.claims + 2 * row.mc_error
        wrong = most < plan.target.power if row.expected == CLAIM else least > plan.target.false_alarms
        claims = f"{number(100 * row.claims, 1)} ± {number(100 * row.mc_error, 1)} %"
        against = ". This contradicts the proposal" if wrong else ""
        said.append(f"Simulated and refitted, scenario “{row.scenario}”: {claims} of trials claim{against}.")
    return said


def statement(plan: Plan, chosen: Choice, unit: str) -> str:
    """Write the decision rule as a statement that can go into a protocol, with its operating characteristics."""
    difference = "difference of the arms in the change of slope" if chosen.design.control_share else "change of slope"
    found = "; ".join(
        f"“{row.scenario}”, {number(100 * row.claims, 1)} %" for row in chosen.rows.sort_values("expected").itertuples()
    )
    basis = (
        "compared with the control arm"
        if chosen.design.control_share
        else "within patients, without a control group, so that it shows a change and not its cause"
    )
    return (
        f"The {difference} over all injections is claimed to be for the better if its posterior probability of being "
        f"above {number(chosen.rule.margin)} {unit} exceeds {chosen.rule.probability:g}, by the model "
        f"{chosen.model}, {basis}. With {chosen.design}, the shares of trials that claim, by scenario, worked out in "
        f"closed form with spreads that are {_spreads(plan)}, are: {found}."
    )


def _spreads(plan: Plan) -> str:
    return {
        "prior": "drawn from the model's prior",
        "stated": "stated in the plan",
        "published": f"those published as {plan.population.get('name')}",
        "fit": f"drawn from the posterior of {plan.population.get('model')} on an earlier trial",
    }[plan.population["source"]]


def section(plan: Plan, chosen: Choice, outcome: str) -> str:
    """Write the section `[decision]` of `trial.toml` that the chosen rule makes."""
    power = chosen.rows[chosen.rows["expected"] == CLAIM]["claims"]
    alarms = chosen.rows[chosen.rows["expected"] == NONE]["claims"]
    lines = [
        "[decision]",
        f'outcome = "{outcome}"',
        f'model = "{chosen.model}"',
        f"probability = {chosen.rule.probability:g}",
        f"margin = {chosen.rule.margin:g}",
    ]
    lines += [f"power = {power.min():.3f}"] if len(power) else []
    lines += [f"false_alarms = {alarms.max():.3f}"] if len(alarms) else []
    return "\n".join([*lines, f'source = "plan: {plan.title}, design {chosen.place}"'])


def size_words(row: pd.Series) -> str:
    """Say what a search for a sample size ended in."""
    what = f"a power of {share(row['wanted'])}" if row["target"] == "power" else f"a width of {number(row['wanted'])}"
    apart = str(row["interval"]).replace(" ", " or ")
    of = (
        f"{row['model']}, {row['lead_in']:g} months of lead-in, injections {apart} months apart, "
        f"claims above {row['probability']:g}"
    )
    if row["verdict"] == NEVER:
        return (
            f"{of}: no number of patients reaches {what}; what differs between trials stays as large with more of them"
        )
    if row["verdict"] == BEYOND:
        return f"{of}: {what} needs more patients than the largest number that was looked at"
    return f"{of}: {row['patients']} patients for {what}"


def designs_in_words(designs: Sequence[Design]) -> list[str]:
    """Number the designs of a plan and say what each is."""
    return [f"{place}: {design}" for place, design in enumerate(designs, start=1)]


def compared(row: pd.Series) -> str:
    """Say whether what was simulated agrees with a closed form: in words, by three Monte Carlo errors."""
    if row["closed_form"] != row["closed_form"]:
        return "by simulation alone"
    if row["trials"] < ENOUGH:
        return f"fewer than {ENOUGH} trials: too few to say"
    error = max(row["mc_error"], (row["closed_form"] * (1 - row["closed_form"]) / row["trials"]) ** 0.5)
    apart = abs(row["claims"] - row["closed_form"])
    return "agrees" if apart <= 3 * error else "differs: refits learn the spreads, which the closed form takes as known"

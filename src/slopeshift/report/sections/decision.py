"""The decision: by the rule that was fixed before the data were seen; none where there was no rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slopeshift.answers.decision import chance_above
from slopeshift.report.words.numbers import number, probability, share

if TYPE_CHECKING:
    from slopeshift.report.analysis import Report
    from slopeshift.trial.decision import Decision


def context(report: Report) -> dict[str, Any]:
    """Say what was decided, or why nothing is, and whether false alarms of the models' own rules are known."""
    return {"refitted": "null_refits" in report.study, "said": words(report), "pre_specified": report.trial.decision}


def words(report: Report) -> list[str]:
    """State rule, probability and decision in sentences; empty where no rule was fixed beforehand.

    A fit that failed its gate, or is not there, decides nothing.
    """
    rule = report.trial.decision
    if rule is None:
        return []
    analysis = next((a for a in report.analyses if a.record["model"] == rule.model), None)
    unit = f"{report.trial.outcomes[rule.outcome].unit}/month" if rule.outcome in report.trial.outcomes else "a month"
    compares = analysis is not None and report.trial.compares
    what = "the difference of the arms in the change of slope" if compares else "the change of slope"
    said = [
        f"Fixed beforehand ({rule.source}): a claim that {what} over all injections is for the better by more than "
        f"{number(rule.margin)} {unit}, if its probability by the model {rule.model} exceeds {rule.probability:g}."
    ]
    if analysis is None or analysis.record["outcome"] != rule.outcome:
        return [*said, f"No decision: there is no fit of {rule.model} for {rule.outcome}."]
    if not analysis.passed:
        return [*said, f"No decision: the fit of {rule.model} failed its diagnostics gate."]
    found = chance_above(analysis.posterior, rule.margin)
    verdict = "The claim is made" if found > rule.probability else "The claim is not made"
    said.append(f"{verdict}: the probability is {_exact(found, rule.probability)}.")
    said.append(_expected(rule))
    if not compares:
        said.append("There is no control group: a claim is of a change within patients, and not of its cause.")
    return said


def _expected(rule: Decision) -> str:
    """Say what the plan expected of the rule."""
    parts = []
    if rule.power is not None:
        parts.append(f"a claim in {share(rule.power)} of trials where there should be one")
    if rule.false_alarms is not None:
        parts.append(f"a claim in {number(100 * rule.false_alarms, 1)} % of trials where there should be none")
    return f"The plan expected {', and '.join(parts)}." if parts else "No operating characteristics are stated."


def _exact(found: float, limit: float) -> str:
    """Write a probability so that it can be told from the limit: with four decimals where two would not do."""
    if abs(found - limit) > 0.01 and 0.01 <= found <= 0.99:
        return probability(found)
    if not 0.0001 <= found <= 0.9999:
        return "< 0.0001" if found < 0.5 else "> 0.9999"
    return f"{found:.4f}"

"""The decision that was fixed before the data were seen, as `[decision]` of `trial.toml` states it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from slopeshift.trial.columns import Problem
from slopeshift.trial.keys import FILE, Key, is_inner, is_line, is_number, is_share, key_problems

KEYS = {
    "outcome": Key(is_line, 'the outcome that is decided on: outcome = "alsfrsr"', required=True),
    "model": Key(is_line, 'the model that decides: model = "alsfrsr_arms"', required=True),
    "probability": Key(is_inner, "a probability between 0 and 1: probability = 0.975", required=True),
    "margin": Key(is_number, "outcome units a month, above 0 for the better: margin = 0"),
    "power": Key(is_share, "the share of trials that claim where they should, from 0 to 1: power = 0.8"),
    "false_alarms": Key(is_share, "the share that claim where they should not, from 0 to 1: false_alarms = 0.025"),
    "source": Key(is_line, 'where and when it was fixed: source = "protocol 9.2, 3 May 2026"', required=True),
}


@dataclass(frozen=True)
class Decision:
    """A rule: claim where Pr(change for the better > `margin`), by the named `model`, is above `probability`.

    The change is that over all injections, in units of the `outcome` a month; with arms, their difference. `power` and
    `false_alarms` are what the plan expected of it, None where it is not stated. `source` says where it was fixed.
    """

    outcome: str
    model: str
    probability: float
    source: str
    margin: float = 0.0
    power: float | None = None
    false_alarms: float | None = None


def decision_of(settings: Mapping[str, Any] | None) -> Decision | None:
    """Return what the settings state of the decision: None without a section, or where it has a fault."""
    given = (settings or {}).get("decision")
    if not isinstance(given, Mapping) or any(key_problems(given, KEYS, "decision.")):
        return None
    return Decision(**given)


def decision_problems(given: Mapping[str, Any], outcomes: Collection[str]) -> Iterator[Problem]:
    """Yield what is wrong with the section, `outcomes` being those that visits may record."""
    yield from key_problems(given, KEYS, "decision.")
    outcome = given.get("outcome")
    if is_line(outcome) and outcome not in outcomes:
        yield Problem(FILE, None, "decision.outcome", f"no outcome {outcome!r}", f"name one of {', '.join(outcomes)}")

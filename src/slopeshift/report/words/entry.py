"""Entry rules in words: which are stated, what a model makes of them, and the question where none is stated."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from slopeshift.checks.predictive import ENTRY
from slopeshift.design.entry import MODELLED, conditions, known_to
from slopeshift.design.visits import visits_of
from slopeshift.fit.posterior import Posterior
from slopeshift.report.words.numbers import counted, listed
from slopeshift.trial import Outcome, Trial
from slopeshift.trial.columns import EXEMPT


def stated(trial: Trial) -> list[str]:
    """Say every rule in words, with its source, and at last how many patients are exempt."""
    rules = [rule.words(trial.outcomes[rule.outcome]) for rule in trial.entry]
    exempt = [] if EXEMPT not in trial.patients else [p for p, e in _exempt(trial) if e == "yes"]
    return rules + ([f"exempt: {listed(exempt)}"] if rules and exempt else [])


def _exempt(trial: Trial) -> zip[tuple[str, str]]:
    return zip(trial.patients["patient"], trial.patients[EXEMPT], strict=True)


def unmodelled(trial: Trial, outcome: Outcome) -> list[str]:
    """Say what no model of an outcome makes of the rules that are stated: empty where all can be taken into account."""
    others = dict.fromkeys(trial.outcomes[r.outcome].label for r in trial.entry if r.outcome != outcome.name)
    found = []
    if others:
        found.append(
            f"Rules about {listed(list(others))} are not in the model of {outcome.label}. As far as "
            f"the outcomes go together, they also chose patients by {outcome.label}."
        )
    known = conditions(trial, visits_of(trial, outcome.name))
    if known is None:
        return found
    if (more := len(known.rules)) > MODELLED:
        found.append(
            f"Of {more} conditions on {outcome.label} the model can know {MODELLED}: the first ones in trial.toml."
        )
    return found


def taken_into_account(trial: Trial, posterior: Posterior) -> str:
    """Say whether the likelihood of a fit is of patients whom rules chose: empty where no rule is about its outcome."""
    outcome = posterior.visits.outcome
    if not any(rule.outcome == outcome.name for rule in trial.entry):
        return ""
    if not known_to(posterior.design):
        return (
            "This model does not know the entry rule that is stated: after a required loss, decline appears to slow by "
            "regression to the mean alone."
        )
    return (
        "The likelihood takes the stated entry rule into account. Population level, slope and SDs are of those "
        f"screened, not of the {len(posterior.visits.patients)} enrolled, and rest on normal distributions of them."
    )


def question(trial: Trial, outcome: Outcome, checks: Mapping[str, pd.DataFrame]) -> str:
    """Ask, in a sentence, for a rule that is not stated, where its trace is seen: empty where there is none.

    `checks` are the tables of a fit's checks.
    """
    if any(rule.outcome == outcome.name for rule in trial.entry):
        return ""
    rules, quantities = checks["rules"], checks["predictive_checks"]
    row = quantities[quantities["check"] == ENTRY]
    fired = bool(rules.loc[rules["check"] == ENTRY, "fired"].any())
    if not fired or row.empty or not row["observed"].iloc[0] > row["predicted_mean"].iloc[0]:
        return ""
    return f"Patients lost more before injection 1 than the model predicts. {asked(outcome, row['observed'].iloc[0])}"


def seen(outcome: Outcome, patients: int, loss: float) -> str:
    """Say that none of so many patients lost less than `loss` before injection 1."""
    return (
        f"each of {counted(patients, 'patient')} lost {loss:g} {outcome.unit} of {outcome.label} or more before "
        "injection 1"
    )


def asked(outcome: Outcome, loss: float) -> str:
    """Ask for the rule that the losses before injection 1 look like."""
    return (
        "If a rule of entry asked for a loss, state it in trial.toml: "
        f'[[entry]] outcome = "{outcome.name}", quantity = "loss", from = "first", to = "injection", '
        f'at_least = {loss:g}, source = "..." (with the limit of the protocol).'
    )

"""The settings of a trial, `trial.toml`: what it is, its outcomes, covariates, entry rules, arms, decision, control."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slopeshift.trial.arms import KEYS as ARMS
from slopeshift.trial.columns import ITEMS, Problem
from slopeshift.trial.decision import decision_problems
from slopeshift.trial.entry_settings import entry_problems, rules_of
from slopeshift.trial.keys import (
    FILE,
    NAME,
    Key,
    is_blocks,
    is_flag,
    is_line,
    is_number,
    is_section,
    is_size,
    is_table,
    is_text,
    key_problems,
)
from slopeshift.trial.roles import HIGHER, LOWER, CovariateRole, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slopeshift.trial.entry import EntryRule

BUILT_IN = {
    "alsfrsr": Outcome("alsfrsr", "ALSFRS-R", "points", 0.0, 48.0, integer=True),
    "fvc": Outcome("fvc", "FVC", "% predicted", 0.0, 200.0, integer=False),
}

_TAKEN = ("patient", "month", "date", *BUILT_IN, *ITEMS)


def _is_direction(value: Any) -> bool:
    return isinstance(value, str) and value in (HIGHER, LOWER)


def _is_spread(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(is_size, value.values()))


# What each section may hold, by key: the reference of the documentation is made from these.
TRIAL = {
    "title": Key(is_line, 'one line of text in quotes: title = "..."', required=True),
    "synthetic": Key(is_flag, "true or false, without quotes: synthetic = false", required=True),
    "source": Key(is_text, 'a text in quotes: source = "..."'),
    "outcomes": Key(is_table, "one section for each outcome: [outcomes.NAME]"),
    "covariates": Key(is_table, "one section for each column of patients.csv: [covariates.NAME]"),
    "entry": Key(is_blocks, "one block for each entry rule: [[entry]]"),
    "arms": Key(is_section, "a section [arms] with control and randomised"),
    "decision": Key(is_section, "a section [decision] with outcome, model, probability and source"),
    "control": Key(is_section, "a section [control] with source and between_study_sd"),
}
CONTROL = {
    "source": Key(is_line, 'the folder of another trial, from this one: source = "../other"', required=True),
    "between_study_sd": Key(
        _is_spread, "an SD above 0 for each outcome, in its units a month: { alsfrsr = 0.15 }", required=True
    ),
    "between_study_sd_curvature": Key(
        _is_spread, "an SD above 0 for each outcome, in its units a month, per month: { alsfrsr = 0.015 }"
    ),
}
OUTCOME = {
    "unit": Key(is_line, 'one line of text in quotes: unit = "..."', required=True),
    "label": Key(is_line, 'one line of text in quotes: label = "..."'),
    "min": Key(is_number, "a finite number: min = 0"),
    "max": Key(is_number, "a finite number: max = 100"),
    "integer": Key(is_flag, "true or false, without quotes: integer = true"),
    "better": Key(_is_direction, f'"{HIGHER}" or "{LOWER}", whichever is good for a patient: better = "{LOWER}"'),
}
NUMERIC_COVARIATE = {
    "unit": Key(is_line, 'one line of text in quotes: unit = "years"'),
    "centre": Key(is_number, "a finite number, at which the covariate counts as 0: centre = 60"),
    "per": Key(is_size, "a number above 0, for which the coefficient stands: per = 10"),
}
COVARIATE = {
    "label": Key(is_line, 'one line of text in quotes: label = "..."'),
    "reference": Key(is_line, 'the level that others are compared with: reference = "limb"'),
    **NUMERIC_COVARIATE,
}


def settings_problems(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the settings: keys missing, unknown or of the wrong type, names that cannot be."""
    yield from key_problems(settings, TRIAL, "")
    if isinstance(control := settings.get("control"), Mapping):
        yield from key_problems(control, CONTROL, "control.")
    if isinstance(arms := settings.get("arms"), Mapping):
        yield from key_problems(arms, ARMS, "arms.")
    if isinstance(decision := settings.get("decision"), Mapping):
        yield from decision_problems(decision, outcomes_of(settings))
    for name, outcome in _declared(settings, "outcomes").items():
        yield from _outcome_problems(name, outcome)
    for name, covariate in _declared(settings, "covariates").items():
        yield from _covariate_problems(name, covariate)
    yield from entry_problems(_entry_blocks(settings), outcomes_of(settings))


def settings_notes(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what the settings may leave out and readers will miss."""
    if "source" not in settings:
        remedy = 'say where the data are from: source = "..."; the report prints it'
        yield Problem(FILE, None, "source", "no such key", remedy)


def outcomes_of(settings: Mapping[str, Any] | None) -> dict[str, Outcome]:
    """Return the outcomes that visits may record: the built-in ones, then those declared.

    A declaration with a fault counts, without unit and limits, so that its column is not reported as unknown besides.
    """
    declared = {
        name: _outcome(name, outcome if not any(_outcome_problems(name, outcome)) else {})
        for name, outcome in _declared(settings or {}, "outcomes").items()
        if name not in _TAKEN
    }
    return BUILT_IN | declared


def covariates_of(settings: Mapping[str, Any]) -> dict[str, CovariateRole]:
    """Return what the settings declare of columns of patients.csv, by name; those with a fault are left out."""
    declared = _declared(settings, "covariates")
    good = {name: given for name, given in declared.items() if not any(_covariate_problems(name, given))}
    return {name: CovariateRole(**{"name": name, "label": name, **given}) for name, given in good.items()}


def entry_rules_of(settings: Mapping[str, Any] | None) -> dict[int, EntryRule]:
    """Return the entry rules by the place of their block, from 0; those with a fault are left out."""
    return rules_of(_entry_blocks(settings or {}), outcomes_of(settings))


def _entry_blocks(settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    blocks = settings.get("entry", [])
    return blocks if is_blocks(blocks) else []


def _outcome(name: str, given: Mapping[str, Any]) -> Outcome:
    low, high = given.get("min"), given.get("max")
    return Outcome(
        name=name,
        label=given.get("label", name),
        unit=given.get("unit", ""),
        minimum=None if low is None else float(low),
        maximum=None if high is None else float(high),
        integer=given.get("integer", False),
        better=given.get("better", HIGHER),
    )


def _declared(settings: Mapping[str, Any], what: str) -> Mapping[str, Mapping[str, Any]]:
    sections = settings.get(what, {})
    return sections if is_table(sections) else {}


def _outcome_problems(name: str, given: Mapping[str, Any]) -> Iterator[Problem]:
    section = f"outcomes.{name}"
    if name in BUILT_IN:
        yield Problem(FILE, None, section, f"{name!r} is built in", "delete this section, or choose another name")
    elif name in _TAKEN or not NAME.fullmatch(name):
        remedy = "choose another name: a letter, then letters, digits and underscores"
        yield Problem(FILE, None, section, f"{name!r} cannot name an outcome", remedy)
    yield from key_problems(given, OUTCOME, f"{section}.")
    limits = [given[key] for key in ("min", "max") if is_number(given.get(key))]
    if len(limits) == 2 and limits[0] >= limits[1]:
        yield Problem(FILE, None, section, f"min = {limits[0]} and max = {limits[1]}", "let min be below max")


def _covariate_problems(name: str, given: Mapping[str, Any]) -> Iterator[Problem]:
    section = f"covariates.{name}"
    yield from key_problems(given, COVARIATE, f"{section}.")
    numeric = [key for key in NUMERIC_COVARIATE if key in given]
    if "reference" in given and numeric:
        found = f"reference beside {', '.join(numeric)}"
        remedy = f"give a reference (levels) or {', '.join(NUMERIC_COVARIATE)} (numbers), not both"
        yield Problem(FILE, None, section, found, remedy)

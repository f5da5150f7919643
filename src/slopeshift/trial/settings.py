"""The settings of a trial, `trial.toml`: title, synthetic, source, outcomes that are not built in, covariates."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from slopeshift.trial.cells import has_control_character
from slopeshift.trial.columns import ITEMS, Problem
from slopeshift.trial.roles import HIGHER, LOWER, CovariateRole, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FILE = "trial.toml"
BUILT_IN = {
    "alsfrsr": Outcome("alsfrsr", "ALSFRS-R", "points", 0.0, 48.0, integer=True),
    "fvc": Outcome("fvc", "FVC", "% predicted", 0.0, 200.0, integer=False),
}

_TAKEN = ("patient", "month", "date", *BUILT_IN, *ITEMS)
_OUTCOME_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class _Entry(NamedTuple):
    fits: Callable[[Any], bool]
    expected: str
    required: bool = False


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not has_control_character(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and _is_line(re.sub(r"[\r\n\t]", " ", value))


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_size(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_direction(value: Any) -> bool:
    return isinstance(value, str) and value in (HIGHER, LOWER)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(entry, Mapping) for entry in value.values())


def _is_section(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_spread(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_size, value.values()))


_TRIAL = {
    "title": _Entry(_is_line, 'one line of text in quotes: title = "..."', required=True),
    "synthetic": _Entry(_is_flag, "true or false, without quotes: synthetic = false", required=True),
    "source": _Entry(_is_text, 'a text in quotes: source = "..."'),
    "outcomes": _Entry(_is_table, "one section for each outcome: [outcomes.NAME]"),
    "covariates": _Entry(_is_table, "one section for each column of patients.csv: [covariates.NAME]"),
    "control": _Entry(_is_section, "a section [control] with source and between_study_sd"),
}
_CONTROL = {
    "source": _Entry(_is_line, 'the folder of another trial, from this one: source = "../other"', required=True),
    "between_study_sd": _Entry(
        _is_spread, "an SD above 0 for each outcome, in its units a month: { alsfrsr = 0.15 }", required=True
    ),
}
_OUTCOME = {
    "unit": _Entry(_is_line, 'one line of text in quotes: unit = "..."', required=True),
    "label": _Entry(_is_line, 'one line of text in quotes: label = "..."'),
    "min": _Entry(_is_number, "a finite number: min = 0"),
    "max": _Entry(_is_number, "a finite number: max = 100"),
    "integer": _Entry(_is_flag, "true or false, without quotes: integer = true"),
    "better": _Entry(_is_direction, f'"{HIGHER}" or "{LOWER}", whichever is good for a patient: better = "{LOWER}"'),
}
_NUMERIC_COVARIATE = {
    "unit": _Entry(_is_line, 'one line of text in quotes: unit = "years"'),
    "centre": _Entry(_is_number, "a finite number, at which the covariate counts as 0: centre = 60"),
    "per": _Entry(_is_size, "a number above 0, for which the coefficient stands: per = 10"),
}
_COVARIATE = {
    "label": _Entry(_is_line, 'one line of text in quotes: label = "..."'),
    "reference": _Entry(_is_line, 'the level that others are compared with: reference = "limb"'),
    **_NUMERIC_COVARIATE,
}


def settings_problems(settings: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the settings: keys missing, unknown or of the wrong type, names that cannot be."""
    yield from _entries(settings, _TRIAL, "")
    if isinstance(control := settings.get("control"), Mapping):
        yield from _entries(control, _CONTROL, "control.")
    for name, outcome in _declared(settings, "outcomes").items():
        yield from _outcome_problems(name, outcome)
    for name, covariate in _declared(settings, "covariates").items():
        yield from _covariate_problems(name, covariate)


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
    return sections if _is_table(sections) else {}


def _outcome_problems(name: str, given: Mapping[str, Any]) -> Iterator[Problem]:
    section = f"outcomes.{name}"
    if name in BUILT_IN:
        yield Problem(FILE, None, section, f"{name!r} is built in", "delete this section, or choose another name")
    elif name in _TAKEN or not _OUTCOME_NAME.fullmatch(name):
        remedy = "choose another name: a letter, then letters, digits and underscores"
        yield Problem(FILE, None, section, f"{name!r} cannot name an outcome", remedy)
    yield from _entries(given, _OUTCOME, f"{section}.")
    limits = [given[key] for key in ("min", "max") if _is_number(given.get(key))]
    if len(limits) == 2 and limits[0] >= limits[1]:
        yield Problem(FILE, None, section, f"min = {limits[0]} and max = {limits[1]}", "let min be below max")


def _covariate_problems(name: str, given: Mapping[str, Any]) -> Iterator[Problem]:
    section = f"covariates.{name}"
    yield from _entries(given, _COVARIATE, f"{section}.")
    numeric = [key for key in _NUMERIC_COVARIATE if key in given]
    if "reference" in given and numeric:
        found = f"reference beside {', '.join(numeric)}"
        remedy = f"give a reference (levels) or {', '.join(_NUMERIC_COVARIATE)} (numbers), not both"
        yield Problem(FILE, None, section, found, remedy)


def _entries(given: Mapping[str, Any], known: Mapping[str, _Entry], section: str) -> Iterator[Problem]:
    for key, entry in known.items():
        if entry.required and key not in given:
            yield Problem(FILE, None, section + key, "no such key", f"give {entry.expected}")
        if key in given and not entry.fits(given[key]):
            yield Problem(FILE, None, section + key, repr(given[key]), f"write {entry.expected}")
    for key in given:
        if key not in known:
            remedy = f"delete it; known are {', '.join(known)}"
            yield Problem(FILE, None, section + key, f"unknown key {key!r}", remedy)

"""The keys of `plan.toml`: what may stand in every section, and what is expected of it in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slopeshift.planning.plan import CLAIM, NONE
from slopeshift.trial.keys import Key, is_blocks, is_count, is_inner, is_line, is_number, is_section, is_share, is_size

if TYPE_CHECKING:
    from collections.abc import Callable


def _is_reach(value: Any) -> bool:
    return is_share(value) and value > 0


def _is_at_least_two(value: Any) -> bool:
    return is_count(value) and value >= 2


def _is_positive(value: Any) -> bool:
    return is_number(value) and value >= 0


def _is_pair(value: Any) -> bool:
    return is_section(value) and set(value) == {"mean", "sd"} and is_number(value["mean"]) and is_size(value["sd"])


def _is_place(value: Any) -> bool:
    return is_count(value) and value >= 1


def listed(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Say of a value whether it is a list of at least one, all of which fit."""
    return lambda value: isinstance(value, list) and bool(value) and all(map(fits, value))


def _several(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Say of a value, or of a list of values of which each is planned, whether all of them fit."""
    return lambda value: fits(value) or listed(fits)(value)


_DESIGN = {
    "patients": Key(
        _several(_is_at_least_two), "whole numbers from 2, of all arms: patients = [20, 40]", required=True
    ),
    "control_share": Key(_several(is_inner), "shares between 0 and 1: control_share = 0.5"),
    "lead_in": Key(_several(is_size), "months above 0: lead_in = [3, 6]", required=True),
    "lead_in_visits": Key(_several(_is_at_least_two), "whole numbers from 2: lead_in_visits = 3", required=True),
    "visit_spacing": Key(_several(is_size), "months above 0: visit_spacing = 1", required=True),
    "interval": Key(
        _several(lambda value: is_size(value) or listed(is_size)(value)),
        "months above 0, and a list in the list where randomised: interval = [4.5, [3, 4.5, 6]]",
        required=True,
    ),
    "reach": Key(
        lambda value: listed(_is_reach)(value) or listed(listed(_is_reach))(value),
        "the share that receives each injection, from 1 on: reach = [1, 0.6, 0.5]",
        required=True,
    ),
    "follow_up": Key(_several(is_size), "months above 0: follow_up = 4", required=True),
    "longest": Key(is_size, "the most months from first injection to last visit: longest = 18"),
}
_RULE = {
    "probability": Key(_several(is_inner), "probabilities between 0 and 1: probability = 0.975", required=True),
    "margin": Key(is_number, "outcome units a month: margin = 0.1"),
}
SCENARIO = {
    "name": Key(is_line, 'one line of text: name = "nothing changes"', required=True),
    "expected": Key(lambda value: value in (CLAIM, NONE), f'"{CLAIM}" or "{NONE}"', required=True),
    "effect": Key(is_number, "outcome units a month: effect = 0.35"),
    "bend": Key(is_number, "outcome units a month, per month: bend = 0.05"),
    "bend_sd": Key(_is_positive, "an SD from 0, as the bend: bend_sd = 0.02"),
    "mismatch": Key(is_number, "outcome units a month: mismatch = 0.2"),
    "mismatch_bend": Key(is_number, "outcome units a month, per month: mismatch_bend = 0.02"),
}
_TARGET = {
    "power": Key(is_inner, "a probability between 0 and 1: power = 0.8"),
    "scenario": Key(is_line, 'the name of a scenario: scenario = "effect of 0.35"'),
    "width": Key(is_size, "outcome units a month: width = 0.4"),
    "most": Key(_is_at_least_two, "a whole number of patients: most = 1000"),
    "false_alarms": Key(is_inner, "a share between 0 and 1: false_alarms = 0.025"),
}
_PAIR = {
    "mean": Key(is_number, "outcome units a month: mean = 0.3", required=True),
    "sd": Key(is_size, "an SD above 0: sd = 0.2", required=True),
}
_CONTROL = {name: Key(_is_pair, f"{name} = {{ mean = -1, sd = 0.15 }}") for name in ("slope", "curvature")}
_REGRESSION = {
    "prior_sd": Key(is_size, "an SD above 0: prior_sd = 0.1", required=True),
    "true": Key(is_number, "outcome units a month, per month or doubling: true = 0.1", required=True),
}
_DOSE = _REGRESSION | {"levels": Key(listed(is_size), "doses above 0: levels = [30, 60, 120]", required=True)}
_LOOKS = {
    "months": Key(listed(is_size), "months from the first injection of all: months = [12, 18]", required=True),
    "recruitment": Key(is_size, "patients a month: recruitment = 2", required=True),
    "probability": Key(listed(is_inner), "a probability for each look: probability = [0.999, 0.99]", required=True),
    "futility": Key(lambda value: value == 0 or is_inner(value), "a probability from 0: futility = 0.05"),
    "replicates": Key(_is_at_least_two, "a whole number of trials: replicates = 100000"),
}
_SIMULATION = {
    "replicates": Key(_is_at_least_two, "a whole number of trials: replicates = 200", required=True),
    "designs": Key(listed(_is_place), "places from 1: designs = [1]"),
    "scenarios": Key(listed(is_line), 'names of scenarios: scenarios = ["nothing changes"]'),
    "minimum_loss": Key(is_size, "points above 0: minimum_loss = 3"),
    "dropout": Key(_is_positive, "a hazard a month from 0: dropout = 0.03"),
    "death": Key(_is_positive, "a hazard a month from 0: death = 0.01"),
    "interval_on_response": Key(is_number, "log odds per point a month: interval_on_response = 2"),
}
_SPREADS = ("sd_level", "sd_slope", "sd_response", "sd_cycle", "sd_curvature")
_OPTIONAL = ("level", "slope", "correlation_level_slope", "correlation_level_response", "correlation_slope_response")
POPULATIONS = {
    "prior": {"draws": Key(_is_at_least_two, "a whole number from 2: draws = 50")},
    "stated": {
        **{name: Key(_is_positive, f"an SD from 0: {name} = 0.5", required=True) for name in _SPREADS},
        "sigma": Key(is_size, "an SD above 0: sigma = 1.8", required=True),
        **{name: Key(is_number, f"a number: {name} = 0.3") for name in _OPTIONAL},
    },
    "published": {
        "name": Key(is_line, 'a natural history: name = "PRO-ACT placebo, normal"', required=True),
        **{n: Key(_is_positive, f"an SD from 0: {n} = 0.2") for n in ("sd_response", "sd_cycle", "sd_curvature")},
    },
    "fit": {
        **{n: Key(is_line, f'a path from this file: {n} = "..."', required=True) for n in ("trial", "folder")},
        "model": Key(is_line, 'the name of a fitted model: model = "alsfrsr"', required=True),
        "draws": Key(_is_at_least_two, "a whole number from 2: draws = 50"),
    },
}
"""Where spreads may come from, and what has to be said of each; the key `source` chooses one."""

PLAN = {
    "title": Key(is_line, 'one line of text: title = "..."', required=True),
    "model": Key(_several(is_line), 'names of model files: model = ["alsfrsr"]', required=True),
    "seed": Key(is_count, "a whole number from 0: seed = 1", required=True),
    "design": Key(is_section, "a section [design]", required=True),
    "decision": Key(is_section, "a section [decision] with a probability", required=True),
    "population": Key(is_section, "a section [population] with a source", required=True),
    "scenario": Key(is_blocks, "one block for each scenario: [[scenario]]", required=True),
    "target": Key(is_section, "a section [target]"),
    "control": Key(is_section, "a section [control] with priors of slope and curvature"),
    "effect_prior": Key(is_section, "a section [effect_prior] with mean and sd"),
    "interval_effect": Key(is_section, "a section [interval_effect] with prior_sd and true"),
    "dose": Key(is_section, "a section [dose] with levels, prior_sd and true"),
    "looks": Key(is_section, "a section [looks] with months, recruitment and probability"),
    "simulation": Key(is_section, "a section [simulation] with replicates"),
}
SECTIONS = {
    "design": _DESIGN,
    "decision": _RULE,
    "target": _TARGET,
    "control": _CONTROL,
    "effect_prior": _PAIR,
    "interval_effect": _REGRESSION,
    "dose": _DOSE,
    "looks": _LOOKS,
    "simulation": _SIMULATION,
}
"""The sections that are made of keys, by name; those of `population` depend on its source."""

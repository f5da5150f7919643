"""A plan read from a file: every key checked, and everything that is wrong said at once, by file and key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Any

from slopeshift.planning.keys import PLAN, POPULATIONS, SCENARIO, SECTIONS
from slopeshift.planning.plan import (
    Design,
    Looks,
    Plan,
    PlanError,
    Regression,
    Rule,
    Scenario,
    Simulation,
    Target,
    grid,
)
from slopeshift.trial import TrialError
from slopeshift.trial.columns import Problem, as_frame
from slopeshift.trial.keys import Key, is_blocks, key_problems

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_CELLS = 100_000
"""Designs times models times rules times scenarios beyond which a grid is a mistake."""


def read_plan(path: Path) -> Plan:
    """Read a plan from its file.

    Raises PlanError with everything that is wrong, by file and key: what was found, and what to do.
    """
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanError(f"{path}: no TOML: {error}; `slopeshift init --plan` writes an example") from None
    return plan_of(settings, path.name)


def plan_of(settings: Mapping[str, Any], file: str) -> Plan:
    """Make a plan of settings; `file` is what problems name. Raises as `read_plan` does."""
    problems = [*_key_problems(settings, file)]
    if not problems:
        plan = _plan(settings)
        problems = [Problem(file, None, key, found, remedy) for key, found, remedy in _contradictions(plan, settings)]
    if problems:
        raise PlanError(str(TrialError(file, as_frame(problems))).replace("trial ", "plan ", 1))
    return plan


def _key_problems(settings: Mapping[str, Any], file: str) -> Iterator[Problem]:
    yield from key_problems(settings, PLAN, "", file)
    for name, keys in SECTIONS.items():
        if isinstance(given := settings.get(name), Mapping):
            yield from key_problems(given, keys, f"{name}.", file)
    blocks = settings.get("scenario", [])
    for place, block in enumerate(blocks if is_blocks(blocks) else []):
        yield from key_problems(block, SCENARIO, f"scenario[{place + 1}].", file)
    if isinstance(population := settings.get("population"), Mapping):
        source = population.get("source")
        one_of = Key(lambda value: value in POPULATIONS, f"one of {', '.join(POPULATIONS)}, in quotes", required=True)
        known = POPULATIONS.get(source, {}) if isinstance(source, str) else {}
        told = population if known else {"source": source} if "source" in population else {}
        yield from key_problems(told, {"source": one_of, **known}, "population.", file)


def _plan(settings: Mapping[str, Any]) -> Plan:
    design = dict(settings["design"])
    design.pop("longest", None)
    rule = settings["decision"]
    regressions = {n: Regression(**_frozen(settings[n])) for n in ("interval_effect", "dose") if n in settings}
    prior = settings.get("effect_prior")
    return Plan(
        title=settings["title"],
        models=_choices("model", settings["model"]),
        designs=tuple(Design(**values) for values in grid({name: _choices(name, v) for name, v in _ordered(design)})),
        rules=tuple(Rule(p, rule.get("margin", 0.0)) for p in _choices("probability", rule["probability"])),
        scenarios=tuple(Scenario(**block) for block in settings["scenario"]),
        population=settings["population"],
        target=Target(**settings.get("target", {})),
        seed=settings["seed"],
        control={name: (of["mean"], of["sd"]) for name, of in settings.get("control", {}).items()},
        effect_prior=None if prior is None else (prior["mean"], prior["sd"]),
        looks=Looks(**_frozen(settings["looks"])) if "looks" in settings else None,
        simulation=Simulation(**_frozen(settings["simulation"])) if "simulation" in settings else None,
        **regressions,
    )


def _frozen(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in section.items()}


def _ordered(design: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Put the number of patients last, so that designs that differ in nothing else stand together."""
    stated = {"control_share": None} | dict(design)
    return sorted(stated.items(), key=lambda item: item[0] == "patients")


def _choices(name: str, value: Any) -> tuple[Any, ...]:
    """List the alternatives that a key gives: one value, or each of a list; of `interval`, each a tuple of lengths."""
    if name == "reach":
        lists = value if isinstance(value[0], list) else [value]
        return tuple(tuple(float(share) for share in each) for each in lists)
    values = value if isinstance(value, list) else [value]
    if name == "interval":
        return tuple(tuple(map(float, each)) if isinstance(each, list) else (float(each),) for each in values)
    return tuple(values)


def _contradictions(plan: Plan, settings: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield what cannot be together: key, what was found, what to do."""
    yield from _of_designs(plan, settings["design"].get("longest", inf))
    yield from _of_names(plan)
    cells = len(plan.designs) * len(plan.models) * len(plan.rules) * len(plan.scenarios)
    if cells > MOST_CELLS:
        yield "design", f"a grid of {cells:,} cells", f"plan at most {MOST_CELLS:,}"
    if plan.looks is not None:
        looks = plan.looks
        if list(looks.months) != sorted(set(looks.months)):
            yield "looks.months", f"{list(looks.months)}", "let months rise"
        if len(looks.months) != len(looks.probability):
            found = f"{len(looks.probability)} for {len(looks.months)} looks"
            yield "looks.probability", found, "give one for each look; the end is judged by [decision]"
    if plan.interval_effect is not None and not any(len(design.interval) > 1 for design in plan.designs):
        yield "interval_effect", "no design randomises the interval", "add one: interval = [[3, 4.5, 6]]"
    if plan.dose is not None and len(set(plan.dose.levels)) < 2:
        yield "dose.levels", f"{list(plan.dose.levels)}", "give at least two different doses"


def _of_designs(plan: Plan, longest: float) -> Iterator[tuple[str, str, str]]:
    """Yield each reason why designs cannot be carried out once, however many designs have it."""
    found = {problem: None for design in plan.designs for problem in design.problems(longest)}
    yield from ((f"design.{key}", what, remedy) for key, what, remedy in found)
    for design in plan.designs:
        if design.reach[0] != 1:
            yield "design.reach", f"{design.reach[0]:g} first", "let the first share be 1: patients are those injected"
            break


def _of_names(plan: Plan) -> Iterator[tuple[str, str, str]]:
    names = [scenario.name for scenario in plan.scenarios]
    for twice in sorted({name for name in names if names.count(name) > 1}):
        yield "scenario.name", f"{twice!r} twice", "give every scenario a name of its own"
    asked = [("target.scenario", plan.target.scenario)] if plan.target.scenario else []
    if plan.simulation is not None:
        asked += [("simulation.scenarios", name) for name in plan.simulation.scenarios]
        for place in plan.simulation.designs:
            if place > len(plan.designs):
                yield "simulation.designs", f"{place}", f"there are designs 1 to {len(plan.designs)}"
    for key, name in asked:
        if name not in names:
            yield key, f"no scenario {name!r}", f"name one of {', '.join(names)}"

"""The page of a plan: what to choose and why, and everything that this rests on."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pandas as pd

import slopeshift
from slopeshift.planning import figures, printed, words
from slopeshift.planning.plan import CLAIM, NONE
from slopeshift.report.figures.picture import Picture, picture
from slopeshift.report.markup import templates
from slopeshift.report.words.numbers import number, share

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from slopeshift.planning.tables import Study

    Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Contents:
    """What a page is written from: the study, its tables by name, the plan's text, and example trials by name."""

    study: Study
    tables: Tables
    text: str
    priors: Mapping[str, Sequence[Mapping[str, Any]]]
    examples: Sequence[tuple[str, str]] = field(default_factory=list)

    @property
    def unit(self) -> str:
        """The unit of changes of slope."""
        return f"{self.study.models[0].outcome.unit}/month"

    def table(self, name: str) -> pd.DataFrame:
        """Take a table by its name; an empty one where it was not asked for."""
        return self.tables.get(name, pd.DataFrame())


def page(contents: Contents) -> str:
    """Write the page: one self-contained file; the same contents give the same text."""
    plan = contents.study.plan
    chosen = words.choice(plan, contents.table("scenarios"))
    simulated, looks = contents.table("simulated"), contents.table("looks")
    of_looks = looks[looks["design"] == chosen.place] if len(looks) else looks
    of_looks = of_looks[of_looks["model"] == chosen.model] if len(of_looks) else of_looks
    return (
        templates("slopeshift.planning")
        .get_template("plan.html.j2")
        .render(
            plan=plan,
            said=words.recommendation(plan, chosen, contents.unit) + words.refitted(plan, chosen, simulated),
            statement=words.statement(plan, chosen, contents.unit),
            section=words.section(plan, chosen, contents.study.models[0].outcome.name),
            pictures=list(_pictures(contents, chosen)),
            sizes=[words.size_words(row) for _, row in contents.table("sizes").iterrows()],
            power=share(plan.target.power),
            alarms=f"{number(100 * plan.target.false_alarms, 1)} %",
            scenarios=list(printed.scenarios(contents.table("scenarios"), contents.unit)),
            designs=words.designs_in_words(plan.designs),
            regressions=printed.regressions(contents.table("regressions")),
            simulated=printed.simulated(simulated),
            about_simulation=_about_simulation(contents),
            examples=contents.examples,
            looks=printed.looks(of_looks),
            about_looks=_about_looks(of_looks),
            stopping=_stopping(of_looks),
            assumptions=list(_assumptions(contents)),
            priors=[printed.priors(name, rows) for name, rows in contents.priors.items()],
            standards=_standards(contents),
            version=slopeshift.__version__,
            text=contents.text,
        )
    )


def _pictures(contents: Contents, chosen: words.Choice) -> Iterator[Picture]:
    """Draw power over effects for designs like the chosen one, and over patients and lead-in where both vary."""
    plan, scenarios = contents.study.plan, contents.table("scenarios")
    alike = _alike(scenarios, chosen, but=("patients",))
    curves = contents.table("curves")
    curves = curves[
        curves["design"].isin(alike["design"])
        & (curves["model"] == chosen.model)
        & (curves["probability"] == chosen.rule.probability)
    ]
    simulated = contents.table("simulated")
    if len(simulated):
        effect = {scenario.name: scenario.effect for scenario in plan.scenarios if _is_plain(scenario)}
        simulated = simulated[(simulated["design"] == chosen.place) & (simulated["model"] == chosen.model)]
        simulated = simulated[simulated["scenario"].isin(effect) & simulated["closed_form"].notna()]
        simulated = simulated.assign(effect=simulated["scenario"].map(effect))
    yield picture(
        figures.power_curves(curves, plan.target.power, contents.unit, simulated),
        "power-curves",
        "Share of trials that claim by the true change, in closed form; grey: the power that is wanted.",
        "Power curves by the number of patients",
    )
    powered = plan.target.scenario or next((s.name for s in plan.scenarios if s.expected == CLAIM), None)
    grid = _alike(scenarios, chosen, but=("patients", "lead_in"))
    grid = grid[grid["scenario"] == powered]
    if len(set(grid["patients"])) > 1 and len(set(grid["lead_in"])) > 1:
        yield picture(
            figures.contour(grid, plan.target.power),
            "contour",
            f"Share of trials that claim, scenario “{powered}”; red: the power that is wanted. Points are the designs.",
            "Contours of power over patients and months of lead-in",
        )


def _is_plain(scenario: Any) -> bool:
    return not (scenario.bend or scenario.bend_sd or scenario.mismatch or scenario.mismatch_bend)


def _alike(scenarios: pd.DataFrame, chosen: words.Choice, but: tuple[str, ...]) -> pd.DataFrame:
    """Take the rows of designs that are the chosen one in everything else, by its model and rule."""
    labels = {name: value for name, value in chosen.design.labels.items() if name not in but}
    found = scenarios[(scenarios["model"] == chosen.model) & (scenarios["probability"] == chosen.rule.probability)]
    for name, value in labels.items():
        found = found[found[name] == value]
    return found


def _about_simulation(contents: Contents) -> str:
    simulation = contents.study.plan.simulation
    if simulation is None:
        return ""
    said = "Trials of the plan were simulated by a program that shares nothing with the models, and refitted."
    if simulation.as_planned:
        return said
    more = [
        (simulation.minimum_loss is not None, f"patients had to lose {simulation.minimum_loss} points to enter"),
        (simulation.dropout > 0, f"{number(100 * simulation.dropout, 1)} % left a month"),
        (simulation.death > 0, f"{number(100 * simulation.death, 1)} % died a month"),
        (simulation.interval_on_response != 0, "the response decided when the next injection was given"),
    ]
    return f"{said} In them, {', '.join(words for true, words in more if true)}, for which there is no closed form."


def _about_looks(table: pd.DataFrame) -> str:
    if table.empty:
        return ""
    return (
        "Trials were drawn from the joint distribution of the estimates at all looks, and led through the rules. "
        "Nothing was refitted: spreads are taken as known. Errors are Monte Carlo standard errors. The claims at the "
        "end alone are those of a trial without looks; what looks add to false alarms is the difference."
    )


def _stopping(table: pd.DataFrame) -> Picture | None:
    if table.empty:
        return None
    caption = "How trials end, look after look, the darkest first; blue with a claim, purple and hatched without."
    return picture(figures.stopping(table), "stopping", caption, "Shares of trials by how they end")


def _assumptions(contents: Contents) -> Iterator[str]:
    plan, spreads = contents.study.plan, contents.study.spreads
    source = {"prior": "the prior of the first model", "stated": "numbers in the plan", "fit": "the posterior of a fit"}
    told = source.get(plan.population["source"], f"the published natural history {plan.population.get('name')}")
    several = len(spreads) > 1
    yield f"Spreads between patients are from {told}{f', {len(spreads)} draws of them' if several else ''}."
    for name, label in (
        ("sd_level", "SD of levels"),
        ("sd_slope", "SD of slopes"),
        ("sd_response", "SD of changes between patients"),
        ("sd_cycle", "SD of changes between cycles"),
        ("sd_curvature", "SD of curvatures given level and slope"),
        ("sigma", "SD of a residual"),
    ):
        values = getattr(spreads, name)
        yield f"{label}: {number(float(values.mean()), 3)}{', on average over draws' if several else ''}."
    yield f"Mean slope before treatment: {number(float(spreads.slope.mean()))} {contents.unit}."
    for name, (mean, sd) in plan.control.items():
        yield f"The prior of {name} is Normal({mean:g}, {sd:g}), from a control; its mismatch is a scenario."
    if not any(design.control_share for design in plan.designs):
        yield "Without a control group, what is claimed is a change within patients: an association."
    if plan.effect_prior is not None:
        yield f"Assurance averages over an effect of Normal({plan.effect_prior[0]:g}, {plan.effect_prior[1]:g})."


def _standards(contents: Contents) -> list[dict[str, Any]]:
    """Say of every item of draft guidance whether the plan has what it needs."""
    plan = contents.study.plan
    has = {"decision", "scenarios", "priors", "reproducible"}
    has |= {"null"} if any(scenario.expected == NONE for scenario in plan.scenarios) else set()
    has |= {"assurance"} if plan.effect_prior is not None else set()
    has |= {name for name in ("simulation", "looks") if getattr(plan, name) is not None}
    text = files("slopeshift.planning").joinpath("standards.toml").read_text(encoding="utf-8")
    return [
        {
            "title": standard["title"],
            "entries": [item | {"met": set(item["needs"]) <= has} for item in standard["items"]],
        }
        for standard in tomllib.loads(text)["standard"]
    ]

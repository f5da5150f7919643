"""A plan with what it names found: its model files, and where its spreads come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slopeshift.model.files import load_model
from slopeshift.model.priors import Normal
from slopeshift.model.program import LineModel
from slopeshift.planning import spreads
from slopeshift.planning.closed_form import Model
from slopeshift.planning.plan import PlanError
from slopeshift.planning.tables import Study
from slopeshift.trial.settings import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from slopeshift.model.files import ModelFile
    from slopeshift.planning.plan import Plan
    from slopeshift.planning.spreads import Spreads


def prepared(plan: Plan, models: Path, beside: Path) -> tuple[Study, dict[str, ModelFile]]:
    """Find what a plan names: model files in the folder `models`, and an earlier fit by paths from `beside`.

    Returns what is to be studied, and the model files by name. Raises PlanError, with everything that is wrong.
    """
    files, found, wrong = _files(plan, models), [], []
    for name, file in files.items():
        try:
            found.append(_model(name, file, plan.control))
        except PlanError as error:
            wrong.append(str(error))
    if not wrong and len({model.outcome.name for model in found}) > 1:
        wrong.append(f"model: {', '.join(files)} are of several outcomes; write a plan for each")
    if not wrong:
        wrong += _not_of_arms(plan, found)
    if not wrong:
        wrong += _by_alsfrsr(plan, found[0].outcome.name)
    if wrong:
        raise PlanError("\n".join(wrong))
    return Study(plan, tuple(found), spreads_of(plan, found[0], files[found[0].name], models, beside)), files


def _files(plan: Plan, models: Path) -> dict[str, ModelFile]:
    """Load the model files. Raises PlanError where some are not there, and what `load_model` raises."""
    missing = [name for name in plan.models if not (models / f"{name}.py").exists()]
    if missing:
        there = ", ".join(sorted(path.stem for path in models.glob("*.py"))) or "none"
        raise PlanError(f"model: no file of {', '.join(missing)} in {models}; there are {there}")
    return {name: load_model(models / f"{name}.py") for name in plan.models}


def _model(name: str, file: ModelFile, control: Mapping[str, tuple[float, float]]) -> Model:
    if not isinstance(file.build, LineModel):
        raise PlanError(f"model {name}: it is no line model, whose priors are known before there are data")
    if file.outcome not in BUILT_IN:
        raise PlanError(f"model {name}: plans are of {' or '.join(BUILT_IN)}, not of {file.outcome}")
    told = {of: Normal(mean, sd) for of, (mean, sd) in control.items() if of in file.build.shape.natural}
    return Model(name, file.build, BUILT_IN[file.outcome], told)


def _not_of_arms(plan: Plan, models: list[Model]) -> list[str]:
    """Say of which models the designs do not have the arms that they compare, or have arms that they do not."""
    wrong = []
    for model in models:
        lacking = [design for design in plan.designs if (design.control_share is None) == (model.line.arms is not None)]
        if lacking and model.line.arms is not None:
            wrong.append(f"model {model.name}: it compares two arms; state control_share in [design]")
        elif lacking:
            wrong.append(f"model {model.name}: it is of one arm; leave control_share out of [design]")
    return wrong


def _by_alsfrsr(plan: Plan, outcome: str) -> list[str]:
    """Say what of a simulation is decided by the ALSFRS-R, where that is not the outcome."""
    simulation = plan.simulation
    if simulation is None or outcome == "alsfrsr":
        return []
    asked = {
        "minimum_loss": simulation.minimum_loss is not None,
        "interval_on_response": simulation.interval_on_response,
    }
    named = " and ".join(name for name, given in asked.items() if given)
    return [f"simulation: {named} go by the ALSFRS-R; leave them out of a plan of {outcome}"] if named else []


def spreads_of(plan: Plan, model: Model, file: ModelFile, models: Path, beside: Path) -> Spreads:
    """Take the spreads from where the plan says: those of a prior are of its first model."""
    given = {key: value for key, value in plan.population.items() if key != "source"}
    draws = int(given.get("draws", spreads.DRAWS))
    match plan.population["source"]:
        case "prior":
            return spreads.from_prior(model.line, draws, plan.seed)
        case "stated":
            return spreads.stated(given, model.line)
        case "published":
            return spreads.published(given, file.outcome, model.line)
        case _:
            return _of_fit(given, draws, models, beside)


def _of_fit(given: Mapping[str, Any], draws: int, models: Path, beside: Path) -> Spreads:
    """Take the spreads from a stored fit that passed its gate. Raises PlanError, FitError or TrialError."""
    from slopeshift.fit.candidates import current_fit
    from slopeshift.fit.posterior import posterior_of
    from slopeshift.trial import read_trial

    trial = read_trial(beside / given["trial"])
    fit = current_fit(models / f"{given['model']}.py", trial, beside / given["folder"])
    posterior = posterior_of(trial, fit)
    if not posterior.passed:
        raise PlanError(f"population: the fit of {given['model']} failed its gate; no spreads are taken from it")
    return spreads.of_fit(posterior, draws)

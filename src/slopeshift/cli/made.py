"""The tables that are kept beside the fits of a trial: made where what they are made from has changed, or read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slopeshift.answers import kept
from slopeshift.cli.kept import model_files, null_study, sensitivity_study
from slopeshift.keep.made_from import code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    import pandas as pd

    from slopeshift.answers.stored import Answered
    from slopeshift.checks import Checks
    from slopeshift.fit.store import Fit
    from slopeshift.report.analysis import Report
    from slopeshift.trial import Trial

    Tables = Mapping[str, pd.DataFrame]

CHECKS, TRIAL = "checks", "trial"
"""Folders beside the fits: of every model's checks, and of the trial's own tables."""


def judged(trial: Trial, fit: Fit, folder: Path) -> Fit:
    """Make the tables of a fit, judge it by them, and store both. `folder` is that of the trial's fits."""
    from slopeshift.answers.stored import tables_of
    from slopeshift.fit.posterior import posterior_of

    tables = tables_of(posterior_of(trial, fit))
    fit = kept.judged(fit, tables)
    kept.save(trial, fit, tables, folder)
    return fit


def rejudged(trial: Trial, record: Mapping[str, Any], folder: Path, say: Callable[[str], object]) -> Mapping[str, Any]:
    """Make the tables of a stored fit anew, without sampling, where their code has changed; return its record."""
    from slopeshift.fit import store

    store.save_record(record, folder)
    if record["status"] == "skipped" or kept.stored_answers(record, folder) is not None:
        return record
    say(f"{record['model']}: updating its answers")
    return judged(trial, store.open_fit(folder, record["model"]), folder).record


def answered(trial: Trial, fit: Fit, folder: Path) -> Answered:
    """Put a fit and its stored tables together. Raises FitError where these are missing or out of date."""
    from slopeshift.answers import stored
    from slopeshift.fit.store import FitError

    if (tables := kept.stored_answers(fit.record, folder)) is None:
        model = fit.record["model"]
        raise FitError(f"{folder / kept.ANSWERS / model}: no answers of this fit; make them with `slopeshift fit`")
    return stored.answered(trial, fit, tables)


def answered_fits(
    paths: Sequence[Path], trial: Trial, folder: Path, say: Callable[[str], object]
) -> tuple[list[Answered], list[Mapping[str, Any]]]:
    """Open the fits of models with their answers; besides, list the models without: model, and the reason.

    What is out of date is left out, and `say` is told why. Raises FitError, which says all of it, where nothing is
    left.
    """
    from slopeshift.fit.candidates import current_fit
    from slopeshift.fit.store import FitError

    found, without, wrong = [], [], []
    for path in paths:
        try:
            fit = current_fit(path, trial, folder)
            if fit.record["status"] == "skipped":
                without.append(fit.record)
            else:
                found.append(answered(trial, fit, folder))
        except FitError as error:
            wrong.append(f"{path.stem}: {error}")
            without.append({"model": path.stem, "status": "stale", "reason": _STALE})
    if wrong and len(wrong) == len(paths):
        raise FitError("\n".join(wrong))
    for text in wrong:
        say(f"left out: {text}")
    return found, without


_STALE = "there is no fit of it that is up to date with data, model and code; make it with slopeshift fit"


def stored_models(
    trial: Trial, models: Path, folder: Path, name: str | None, say: Callable[[str], object]
) -> list[tuple[Mapping[str, Any], Tables]]:
    """Read the records and tables of the models that answer the question, or of the one named.

    Raises FitError where nothing can be read; what is out of date beside others is left out, and `say` is told.
    """
    from slopeshift.fit.candidates import current_record
    from slopeshift.fit.store import FitError

    found, wrong, skipped = [], [], []
    for path in [models / f"{name}.py"] if name else leading_files(models, folder):
        try:
            if not path.exists():
                raise FitError(f"{path}: no such model file; name the folder with --models")
            record = current_record(path, trial, folder)
            if record["status"] == "skipped":
                skipped.append(f"{path.stem}: skipped, {record['reason']}")
            elif (tables := kept.stored_answers(record, folder)) is None:
                wrong.append(f"{path.stem}: no answers of this fit are kept; make them with `slopeshift fit`")
            else:
                found.append((record, tables))
        except FitError as error:
            wrong.append(str(error))
    if not found:
        raise FitError(
            "\n".join([*wrong, *skipped]) or f"{models}: no model there answers the question of {trial.name}"
        )
    for text in wrong:
        say(text)
    return found


def leading_files(models: Path, folder: Path) -> list[Path]:
    """List the model files that answer the question, by the outcomes that the records of their fits name."""
    from slopeshift.fit.store import read_record
    from slopeshift.model.files import leading

    paths = {path.stem: path for path in model_files(models)}
    records = {name: read_record(folder, name) for name in paths}
    outcomes = {name: name if record is None else str(record["outcome"]) for name, record in records.items()}
    fitted = {outcomes[name] for name, record in records.items() if record and record["status"] != "skipped"}
    skipped = {name for name, record in records.items() if record and record["status"] == "skipped"}
    asked = {name: of for name, of in outcomes.items() if name not in skipped or of not in fitted}
    return [paths[name] for name in leading(asked) if records[name] is not None]


def report(trial: Trial, models: Path, folder: Path, say: Callable[[str], object]) -> Report:
    """Gather everything that a report is written from; what is missing or out of date is left out and said."""
    from slopeshift.answers.two_stage import saved
    from slopeshift.null.claim import claim_text
    from slopeshift.report.analysis import Report, analyses_of

    found, without = answered_fits(model_files(models), trial, folder, say)
    checked = {a.record["model"]: tables for a in found if (tables := stored_checks(a, folder)) is not None}
    first = first_stage(trial, models, folder)
    study = null_study(trial, models, folder)
    return Report(
        trial=trial,
        analyses=analyses_of(found, checked),
        skipped=without,
        own=of_trial(trial, folder),
        compared=_compared(found, folder),
        study=study,
        claim=claim_text(study["published_claim"]) if "published_claim" in study else "",
        varied=sensitivity_study(trial, models, folder),
        second_stage=None if first is None else saved(first, folder),
        say=say,
    )


def second_stage(trial: Trial, models: Path, folder: Path, seed: int, say: Callable[[str], object]) -> None:
    """Bring the two-stage regression on the interval up to date, where the trial and its models ask for one."""
    from slopeshift.answers.two_stage import save, saved, two_stage

    fit = first_stage(trial, models, folder)
    if fit is None or saved(fit, folder) is not None:
        return
    from slopeshift.design.cycles import cycle_lengths
    from slopeshift.fit.posterior import posterior_of

    say("two-stage regression on the interval: fitting the second stage to draws of the first")
    try:
        found = two_stage(posterior_of(trial, fit), cycle_lengths(trial), seed=seed)
    except ValueError as error:  # a main model with covariates of its own
        say(f"two-stage regression on the interval: left out; {error}")
        return
    save(fit, found, folder)


def first_stage(trial: Trial, models: Path, folder: Path) -> Fit | None:
    """Open the fit that the second stage takes patients' changes from; None where there is no use for one."""
    from slopeshift.fit.candidates import current_fit
    from slopeshift.fit.store import FitError

    first = models / "alsfrsr.py"  # the outcome that the second stage has priors for
    if not (first.exists() and (models / "interval.py").exists() and "alsfrsr" in trial.outcomes):
        return None
    try:
        fit = current_fit(first, trial, folder)
    except FitError:
        return None
    return fit if len(trial.injections) and fit.record["status"] != "skipped" else None


def checks(found: Sequence[Answered], folder: Path, say: Callable[[str], object]) -> list[str]:
    """Check the fits of a trial that passed their gate, those of one outcome together, where anything has changed.

    Returns the models that could not be checked, after `say` was told why; the others are.
    """
    from slopeshift.checks import tables as own
    from slopeshift.keep.tables import save

    unchecked: list[str] = []
    for outcome, group in _by_outcome(found).items():
        if stored_comparison(group, folder) is not None and all(stored_checks(a, folder) for a in group):
            say(f"checks of {outcome}: up to date")
            continue
        made: dict[str, Checks] = {}
        for a in group:
            say(f"{a.record['model']}: checking")
            try:
                made[a.record["model"]] = _checked(a, folder)
            except (ArithmeticError, LookupError, ValueError) as error:
                say(f"{a.record['model']}: not checked: {type(error).__name__}: {error}")
                unchecked.append(a.record["model"])
        if len(made) == len(group):
            save(f"{own.COMPARISON}_{outcome}", own.compared(outcome, made), _of_group(group), folder / CHECKS)
    return unchecked


def _checked(answered: Answered, folder: Path) -> Checks:
    """Check one fit, and keep the tables."""
    from slopeshift.checks import checks_of
    from slopeshift.checks import tables as own
    from slopeshift.missing import tables as missing

    found, place = checks_of(answered.posterior), folder / CHECKS / answered.record["model"]
    kept.write(own.tables_of(found), kept.made_from(answered.record, "checks.tables"), place)
    kept.write(missing.tables_of_fit(answered.posterior), kept.made_from(answered.record, "missing.tables"), place)
    return found


def stored_checks(answered: Answered, folder: Path) -> Tables | None:
    """Read the tables of a fit's checks; None where they are missing or were made from something else."""
    from slopeshift.checks import tables as own
    from slopeshift.missing import tables as missing

    place, record = folder / CHECKS / answered.record["model"], answered.record
    one = kept.read(place, own.NAMES, kept.made_from(record, "checks.tables"))
    other = kept.read(place, missing.OF_FIT, kept.made_from(record, "missing.tables"))
    return None if one is None or other is None else {**one, **other}


def stored_comparison(group: Sequence[Answered], folder: Path) -> pd.DataFrame | None:
    """Read the comparison of the models of one outcome; None where it is missing or of other fits."""
    from slopeshift.checks.tables import COMPARISON

    name = f"{COMPARISON}_{group[0].record['outcome']}"
    found = kept.read(folder / CHECKS, [name], _of_group(group))
    return None if found is None else found[name]


def _by_outcome(found: Sequence[Answered]) -> dict[str, list[Answered]]:
    """Put the fits that passed their gate together by outcome, the one that answers the question first."""
    from slopeshift.model.files import leading

    first = leading({a.record["model"]: a.record["outcome"] for a in found})
    ordered = sorted((a for a in found if a.results.passed), key=lambda a: a.record["model"] not in first)
    outcomes = dict.fromkeys(a.record["outcome"] for a in ordered)
    return {outcome: [a for a in ordered if a.record["outcome"] == outcome] for outcome in outcomes}


def _compared(found: Sequence[Answered], folder: Path) -> pd.DataFrame:
    """Put the comparisons of all outcomes that are up to date under each other."""
    import pandas as pd

    kept = [table for group in _by_outcome(found).values() if (table := stored_comparison(group, folder)) is not None]
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=["outcome", "model"])


def of_trial(trial: Trial, folder: Path) -> Tables:
    """Read the tables of a trial that need no fit, or make them: the classical analysis, safety, and who left."""
    from slopeshift.notebook import published_tables, trial_tables

    return published_tables() | {
        name: table
        for module, (names, make) in trial_tables(trial).items()
        for name, table in _kept(folder / TRIAL, names, {"data": trial.files, "code": code(module)}, make).items()
    }


def _of_group(group: Sequence[Answered]) -> dict[str, Any]:
    return {"fits": {a.record["model"]: a.record["inputs"] for a in group}, "code": code("checks.tables")}


def _kept(folder: Path, names: Iterable[str], made_from: Mapping[str, Any], make: Callable[[], Tables]) -> Tables:
    """Read tables, or make, save and read them: what is printed is what is stored, made now or before."""
    if (found := kept.read(folder, names, made_from)) is None:
        kept.write(make(), made_from, folder)
        found = kept.read(folder, names, made_from)
    assert found is not None
    return found

"""The Python interface, `import slopeshift as ss`: what the command line does, as functions that give values.

Nothing is read from or written to a folder that is not an argument, and no effect is given of a fit that failed its
diagnostics gate.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slopeshift.fit.store import FitError, Settings
from slopeshift.model.priors import Gamma, HalfNormal, Normal
from slopeshift.trial import trial_from_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike

    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

    from slopeshift.answers.stored import Answered
    from slopeshift.fit.posterior import Posterior
    from slopeshift.fit.store import Fit
    from slopeshift.model.files import ModelFile
    from slopeshift.report.analysis import Analysis, Report
    from slopeshift.simulate import Design, Truth
    from slopeshift.trial import Trial

    Folder = str | PathLike[str]
    Tables = Mapping[str, pd.DataFrame]

__all__ = [
    "Gamma",
    "HalfNormal",
    "ModelFit",
    "Normal",
    "fit_model",
    "load_model",
    "open_fit",
    "plan",
    "plot_forest",
    "plot_trajectory",
    "read_trial",
    "report_trial",
    "simulate_trial",
    "trial_from_tables",
    "vary_model",
    "write_report",
]

PUBLISHED_TRIAL, PUBLISHED_RELATIVES = "petrou2021", "untreated"
"""Collections of published figures: the trial whose kind of analysis this is, and trials to compare it with."""


# ---- trials and models ----


def read_trial(folder: Folder) -> Trial:
    """Read a trial from a folder of CSV tables, which data/README.md describes.

    Raises TrialError with everything that is wrong in any of the files.
    """
    from slopeshift import trial

    return trial.read_trial(Path(folder))


def simulate_trial(seed: int, *, design: Design | None = None, truth: Truth | None = None) -> Trial:
    """Simulate a synthetic trial in memory; the same arguments give the same trial.

    `design` and `truth` are by default those of the trial that comes with the repository: 20 patients and up to three
    injections, after which decline is slower. Raises ValueError as `simulate.simulate` does.
    """
    from slopeshift import simulate as of

    drawn = of.simulate(design or of.DEFAULT_DESIGN, truth or of.DEFAULT_TRUTH, seed)
    return trial_from_tables("simulated", drawn.tables, of.DEFAULT_SETTINGS)


def load_model(path: Folder) -> ModelFile:
    """Load a model from its file.

    Raises ModelError where it breaks the contract of model files, FileNotFoundError, or what running it raises.
    """
    from slopeshift.model import files

    return files.load_model(Path(path))


def vary_model(model: ModelFile, name: str, **changes: Any) -> ModelFile:
    """Vary a model: return it under a new name, with other priors, family, shape or covariates.

    `changes` are fields of the model, such as `change=Normal(0, 0.1)`; the model given stays as it is. Raises
    ModelError where the name is not new, or a change is of nothing that the model has.
    """
    from slopeshift.model.varied import varied

    return varied(model, name, **changes)


# ---- fits ----


@dataclass(frozen=True, eq=False)
class ModelFit:
    """One model fitted to one trial and judged by the diagnostics gate; tables, draws and figures are taken from it.

    `passed` says whether the gate let it through, and `failures` say in words why not. Where it did not, every table
    but `diagnostics` is empty. Tables are copies, with the columns of the report's tables of the same names.
    """

    _fit: Fit
    _answered: Answered

    @property
    def model(self) -> str:
        """Name of the model."""
        return str(self._fit.record["model"])

    @property
    def trial(self) -> Trial:
        """The trial that the model was fitted to."""
        return self._answered.posterior.trial

    @property
    def failures(self) -> list[str]:
        """What failed of the gate, in words, worst first within each diagnostic: empty where it was passed."""
        return list(self._answered.results.failures)

    @property
    def passed(self) -> bool:
        """Whether the gate let this fit through."""
        return self._answered.results.passed

    @property
    def population(self) -> pd.DataFrame:
        """The average patient: a row per quantity and injection, in the `unit` of the row."""
        return self._answered.results.population.copy()

    @property
    def patients(self) -> pd.DataFrame:
        """Every patient's change of slope: a row per patient and informed cycle, in outcome units a month."""
        return self._answered.results.patients.copy()

    @property
    def responders(self) -> pd.DataFrame:
        """How many patients slowed: a row per injection and threshold, in percent."""
        return self._answered.results.responders.copy()

    @property
    def diagnostics(self) -> pd.DataFrame:
        """What the gate is judged by: a row per quantity and diagnostic, with its limit and whether it was met."""
        return self._answered.results.diagnostics.copy()

    def table(self, name: str) -> pd.DataFrame:
        """Take any table that is kept beside a fit, such as `operating`, `any_change`, `permutation` or `covariates`.

        Raises LookupError for a name that is none, and lists those that are.
        """
        if name not in self._answered.tables:
            raise LookupError(f"no table {name!r}; there are {', '.join(sorted(self._answered.tables))}")
        return self._answered.tables[name].copy()

    def posterior(self) -> Posterior:
        """Take the draws with what is needed to interpret them. Raises FitError where the gate was failed."""
        self._must_have_passed()
        return self._answered.posterior

    def datatree(self, *, failed_too: bool = False) -> xr.DataTree:
        """Take everything that was sampled, as ArviZ reads it: `posterior`, `prior`, `sample_stats` and more.

        Raises FitError where the gate was failed, unless `failed_too` asks for its draws to find out why. They are no
        result.
        """
        if not failed_too:
            self._must_have_passed()
        return self._fit.tree.copy()

    def save(self, folder: Folder) -> None:
        """Store the fit and its tables in `folder`, as `slopeshift fit` does in `fits/TRIAL`, which then takes it.

        Raises FitError for a trial made in memory: nothing would tell its fit from that of another one.
        """
        from slopeshift.answers import kept
        from slopeshift.keep.atomic import locked

        if not self.trial.files:
            raise FitError(f"{self.model}: its trial {self.trial.name} was made in memory; write it to a folder first")
        with locked(Path(folder), print):
            kept.save(self.trial, self._fit, self._answered.tables, Path(folder))

    def __repr__(self) -> str:
        verdict = "passed its gate" if self.passed else f"FAILED ITS GATE: {'; '.join(self.failures[:3])}"
        return f"<ModelFit of {self.model} to {self.trial.name}: {verdict}>"

    def _repr_html_(self) -> str:
        """Show the answer in a notebook, as `slopeshift answer` prints it: of a fit that failed its gate, none."""
        from slopeshift.notebook.shown import html, shown
        from slopeshift.report.words.people import cannot_show_in_short

        found = shown(self.trial, self._answered.record, self._answered.tables)
        return html(self.trial, found, [*self.failures, cannot_show_in_short(self.trial)])

    def _must_have_passed(self) -> None:
        if not self.passed:
            raise FitError(f"{self!r}: no effect is given; `failures` and `diagnostics` say what to look at")


def fit_model(
    model: ModelFile,
    trial: Trial,
    *,
    seed: int,
    draws: int,
    tune: int = Settings.tune,
    chains: int = Settings.chains,
    progress: bool = False,
) -> ModelFit:
    """Fit a model to a trial and judge the result by the diagnostics gate.

    `draws` and `tune` are per chain; 2500 draws are what `slopeshift fit` takes. The first fit of a model compiles it,
    which takes half a minute. Raises LookupError where the trial does not record the model's outcome.
    """
    from slopeshift.answers import kept, stored
    from slopeshift.fit.posterior import posterior_of
    from slopeshift.fit.sample import sample

    fit = sample(model, trial, Settings(seed=seed, draws=draws, tune=tune, chains=chains), progress=progress)
    tables = stored.tables_of(posterior_of(trial, fit))
    fit = kept.judged(fit, tables)
    return ModelFit(fit, stored.answered(trial, fit, tables))


def open_fit(folder: Folder, model: ModelFile, trial: Trial) -> ModelFit:
    """Open a fit that was saved in `folder`, by `ModelFit.save` or by `slopeshift fit`.

    Raises FitError where there is none, or it was made from other data, another model or other code than at hand.
    """
    from slopeshift.answers import kept, stored
    from slopeshift.fit import store
    from slopeshift.fit.candidates import record_of
    from slopeshift.fit.packed import unpacked

    record = record_of(model.name, model.source, trial, Path(folder))
    fit = unpacked(store.open_fit(Path(folder), model.name), trial)
    return ModelFit(fit, stored.answered(trial, fit, kept.stored_answers(record, Path(folder))))


# ---- figures and the report ----


def plot_trajectory(fit: ModelFit, patient: str) -> Figure:
    """Draw one patient: recorded values, injections, and the fitted course with its 95 % band.

    Of a fit that failed its gate, only what was recorded is drawn. Raises LookupError for a patient without a value.
    """
    from slopeshift.report.figures.courses import courses
    from slopeshift.report.sections.trajectories import figure

    analysis = _analysis(fit)
    for course in courses(analysis):
        if course.patient == patient:
            return _marked(fit.trial, figure(analysis, course))
    known = ", ".join(analysis.visits.patients)
    raise LookupError(f"{fit.trial.name} records no {analysis.visits.outcome.name} of {patient!r}; there are {known}")


def plot_forest(fit: ModelFit, injection: str | int = "overall") -> Figure:
    """Draw every patient's change of slope after one injection, or on average over all of a patient's.

    Raises FitError where the fit failed its gate, and LookupError for an injection that no patient informs.
    """
    from slopeshift.report.sections.patients import forest

    fit._must_have_passed()
    if (known := set(fit.patients["injection"])) and str(injection) in known:
        return _marked(fit.trial, forest(_analysis(fit), str(injection)))
    raise LookupError(f"no patient informs injection {injection!r}; there are {', '.join(sorted(known)) or 'none'}")


def write_report(fits: Sequence[ModelFit], folder: Folder, *, check: bool = True) -> Path:
    """Write the report on the fits of one trial into `folder`, and return the path of its page.

    `check` asks whether the models fit their data, which takes some seconds a model; a report without says so. Raises
    ValueError where `fits` are none, or of several trials.
    """
    from slopeshift.report import page

    if len({id(fit.trial) for fit in fits}) != 1:
        raise ValueError("write_report: give one fit or more, all of one trial as it was read once")
    return page.write(_report(fits, check), Path(folder))


def report_trial(
    trial: Folder, models: Folder, folder: Folder, *, seed: int, draws: int, check: bool = True, progress: bool = False
) -> Path:
    """Read a trial, fit every model of a folder that is for it, and write the report into `folder`: all in one call.

    Nothing is kept but the report; returns the path of its page. `seed` and `draws` are as in `fit_model`, `check` as
    in `write_report`. Raises TrialError or ModelError for what is wrong with the files, and LookupError where no model
    is for the trial.
    """
    from slopeshift.model.files import load_model as load

    read = read_trial(trial)
    files = [load(path) for path in sorted(Path(models).glob("*.py"))]
    if not (suited := [file for file in files if not file.misfit(read)]):
        raise LookupError(f"{models}: no model is for the trial {read.name}; there are {[file.name for file in files]}")
    fits = [fit_model(file, read, seed=seed, draws=draws, progress=progress) for file in suited]
    return write_report(fits, folder, check=check)


def _report(fits: Sequence[ModelFit], check: bool) -> Report:
    from slopeshift.report.analysis import Report, analyses_of

    trial = fits[0].trial
    own = {name: table for _, make in trial_tables(trial).values() for name, table in make().items()}
    checked, compared = _checks(fits) if check else ({}, None)
    given: dict[str, Any] = {} if compared is None else {"compared": compared}
    found = analyses_of([fit._answered for fit in fits], checked)
    return Report(trial=trial, analyses=found, own=own | published_tables(), **given)


def _checks(fits: Sequence[ModelFit]) -> tuple[dict[str, Tables], pd.DataFrame | None]:
    """Check the fits that passed their gate: tables by model, and the models of each outcome side by side."""
    import pandas as pd

    from slopeshift.checks import checks_of, tables
    from slopeshift.missing import tables as missing
    from slopeshift.report.analysis import analyses_of

    ordered = analyses_of([fit._answered for fit in fits if fit.passed])
    made = {a.record["model"]: (a, checks_of(a.posterior)) for a in ordered}
    found: dict[str, Tables] = {
        name: tables.tables_of(of) | missing.tables_of_fit(a.posterior) for name, (a, of) in made.items()
    }
    outcomes = dict.fromkeys(a.record["outcome"] for a in ordered)
    groups = {o: {n: of for n, (a, of) in made.items() if a.record["outcome"] == o} for o in outcomes}
    compared = [tables.compared(outcome, group) for outcome, group in groups.items()]
    return found, pd.concat(compared, ignore_index=True) if compared else None


def plan(
    file: Folder, *, models: Folder, folder: Folder | None = None, processes: int | None = None
) -> dict[str, pd.DataFrame]:
    """Plan the next trial: return the tables that need no refits, by name, such as `scenarios`, `sizes` and `looks`.

    `file` is a plan, as `slopeshift init --plan` writes one, and `models` the folder of the model files that it names.
    With `folder`, everything is carried out and written there, what is simulated and refitted included, as
    `slopeshift plan` does. Raises PlanError with everything that is wrong with the plan.
    """
    from slopeshift.planning.prepared import prepared
    from slopeshift.planning.reading import read_plan
    from slopeshift.planning.study import closed, run

    path = Path(file)
    if folder is not None:
        run(path, Path(models), Path(folder), say=print, processes=processes)
    return closed(prepared(read_plan(path), Path(models), path.parent)[0])


def trial_tables(trial: Trial) -> dict[str, tuple[Sequence[str], Callable[[], Tables]]]:
    """Name the tables of a trial that need no fit, and how they are made, by the module that decides them."""
    from slopeshift.answers.control import control_table
    from slopeshift.answers.safety import safety_by_arm, safety_table
    from slopeshift.classical import model_free
    from slopeshift.classical.baseline import baseline
    from slopeshift.missing import tables as missing
    from slopeshift.trial.subscores import subscores_of

    return {
        "trial.subscores": (["subscores"], lambda: {"subscores": subscores_of(trial.items)}),
        "classical": (["classical"], lambda: {"classical": model_free(trial)}),
        "classical.baseline": (["baseline"], lambda: {"baseline": baseline(trial)}),
        "answers.safety": (
            ["safety", "safety_arms"],
            lambda: {"safety": safety_table(trial), "safety_arms": safety_by_arm(trial)},
        ),
        "missing.tables": (missing.OF_TRIAL, lambda: missing.tables_of_trial(trial)),
        "answers.control": (["control"], lambda: {"control": control_table(trial)}),
    }


def published_tables() -> dict[str, pd.DataFrame]:
    """Read the published figures that a report compares a trial with."""
    from slopeshift.published import figures

    return {"published_trial": figures(PUBLISHED_TRIAL), "published_relatives": figures(PUBLISHED_RELATIVES)}


def _analysis(fit: ModelFit) -> Analysis:
    from slopeshift.report.analysis import Analysis

    return Analysis("fit", fit._answered)


def _marked(trial: Trial, figure: Figure) -> Figure:
    """Say of synthetic data that they are, in the corner of a figure that is seen without the page."""
    if trial.synthetic:
        figure.text(0.995, 0.005, "SYNTHETIC DATA", fontsize=6, ha="right", va="bottom")
    return figure

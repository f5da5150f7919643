"""Simulated trials of one kind, fitted and checked: each replicate gives a row per check, and whether it fired."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from slopeshift import checks, simulate
from slopeshift.answers import interval, quantities
from slopeshift.answers.quantities import NEAR_END_SDS
from slopeshift.checks import added, power_scaling
from slopeshift.checks.prior import CONFLICT, conflict, conflict_probability
from slopeshift.classical import Rules, improvements, layout_of
from slopeshift.design.cycles import OVERALL
from slopeshift.design.visits import visits_of
from slopeshift.engine import exact
from slopeshift.engine.terms import terms_of
from slopeshift.fit import compiled, nuts
from slopeshift.fit.posterior import Posterior
from slopeshift.keep import made_from
from slopeshift.model.files import load_model
from slopeshift.null.population import Fitted, entry_of, fitted
from slopeshift.null.pseudo import PseudoJob, before_treatment, moved, pseudo_table, refitted
from slopeshift.null.trials import null_values
from slopeshift.report.analysis import NEAR_END_SHARE
from slopeshift.sensitivity import rules
from slopeshift.sensitivity.subject import Subject
from slopeshift.trial import Control, trial_from_tables
from slopeshift.trial.columns import EXEMPT
from slopeshift.trial.entry import EntryRule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from trap_cells import Cell

    from slopeshift.design.visits import Visits
    from slopeshift.model.files import ModelFile
    from slopeshift.trial import Trial

MODELS = Path(__file__).parents[1] / "models"
OUTCOME = "alsfrsr"
SAMPLING = compiled.Sampling(chains=2, draws=400, tune=250)
MORE = replace(SAMPLING, draws=2000)
"""For the interval, where posterior SDs are compared: as many draws as a stored fit has."""

MOVES = replace(SAMPLING, draws=750, tune=500)
"""For pseudo-injections, whose refits are held to the gate."""

EVERY = 2
"""One draw in so many is used for predictive checks: with 400 of them, a probability below 0.01 can be told."""

NEEDED = {
    "patients": "patient end_month end_reason",
    "visits": "patient month alsfrsr",
    "injections": "patient injection month",
}

NULL_TRIALS = 400
CHANCE = 0.025
"""Share of null trials with as many improved patients, or more, up to which a count is above chance."""

LEARNT = 0.5
"""Share of a prior's variance that the data must take away lest a result be the prior's."""

MOVED = 6
"""Sets of pseudo-injections into each natural history."""

SETTINGS = {"title": "simulated", "synthetic": True, "source": "simulated"}
CONTROL_PATIENTS, CONTROL_MONTHS, BETWEEN_STUDIES = 100, 6.0, 0.15

NEAR_END, CLAIM, CALLED = "values near an end of the scale", "slower decline claimed", "patients called slowed"
FLAGGED, WITHHELD = "percentages flagged for half of the patients", "percentage of the population withheld"
DECIDED = "interval depends on the response before it"
UNLEARNT, UNSPLIT = "change mostly from its prior", "SD of {} mostly from its prior"
ABOVE, EXPLAINED = "classical count {} above chance", "classical count {} that chance explains"
PATIENTS, CYCLES = "changes between patients", "changes between cycles"
SURVIVORS, LEAVERS, BENT = (
    "survivors in later cycles",
    "leaving by the rate of decline",
    "courses that bend by themselves",
)
BY_WINDOW = "interval, whole cycles against a fixed window"
INTERVAL_CLAIM = "interval said to matter"
PSEUDO = "change after pseudo-injections into untreated patients"
KNOWN = ", entry rule known"
FIRST, EVER = "after injection 1", "in any cycle"

Found = tuple[str, float, bool]


@dataclass(frozen=True)
class Seen:
    """One simulated trial, and its posterior where it is looked at."""

    cell: Cell
    trial: Trial
    seed: int

    @cached_property
    def visits(self) -> Visits:
        """The values of the outcome."""
        return visits_of(self.trial, OUTCOME)

    @cached_property
    def compiled(self) -> compiled.Compiled:
        """The model, compiled for trials of this size."""
        return _compiled(self.cell)

    @cached_property
    def posterior(self) -> Posterior:
        """The posterior of the model."""
        return self.compiled.fit(self.trial, self.visits, self.seed)

    @cached_property
    def subject(self) -> Subject:
        """What sensitivity checks start from."""
        return Subject(_file(OUTCOME), self.posterior, self.seed)

    @property
    def predicted(self) -> Posterior:
        """The draws that predictive checks use, with what is predicted from them."""
        fewer = self.posterior.with_draws(self.posterior.draws.isel(draw=slice(None, None, EVERY)))
        return checks.with_predictions(fewer, self.seed)


@dataclass(frozen=True)
class TrapJob:
    """Trials of a cell: replicate r is simulated from `seed` + r, which cells with and without a trap share."""

    cell: Cell
    seed: int

    @cached_property
    def key(self) -> str:
        """Hash of everything that decides the results."""
        texts = [path.read_text(encoding="utf-8") for path in (Path(__file__), *sorted(MODELS.glob("*.py")))]
        modules = {module for text in texts for module in made_from.imported(text)}
        return made_from.key(
            "traps", repr(self), repr(SAMPLING), *map(made_from.without_docstrings, texts), modules=modules
        )

    @property
    def program(self) -> str:
        """Nothing is compiled beforehand: rates do not depend on the last digit."""
        return ""

    def rows(self, replicate: int) -> list[dict[str, Any]]:
        """Simulate, fit and check one trial: a row per check, with the number it is judged by."""
        seed = self.seed + replicate
        seen = Seen(self.cell, trial_of(self.cell, seed), seed)
        rows = [row for name in self.cell.looks for row in LOOKS[name](seen)]
        found = {check: {"check": check, "value": float(value), "fired": bool(fired)} for check, value, fired in rows}
        return list(found.values())


def trial_of(cell: Cell, seed: int) -> Trial:
    """Simulate one trial of a cell, with what the checks need."""
    effect = cell.interval_effect and simulate.IntervalEffect(within=cell.interval_effect, between=cell.interval_effect)
    simulated = simulate.simulate(cell.design, cell.population, seed, effect or None).tables
    tables = {name: simulated[name][columns.split()] for name, columns in NEEDED.items()}
    if cell.raised:
        visits = tables["visits"]
        days = visits[["patient", "month"]].merge(
            tables["injections"][["patient", "month"]].assign(day=True), how="left"
        )
        raised = visits[OUTCOME] + np.where(days["day"].notna(), cell.raised, 0.0)
        tables["visits"] = visits.assign(**{OUTCOME: raised.clip(0, 48)})
    trial = trial_from_tables("simulated", tables, SETTINGS)
    return trial if cell.control is None else replace(trial, control=_control(cell))


@lru_cache(maxsize=4)
def _natural_history(slope: float, cell: Cell) -> Trial:
    conducted = simulate.Design(enrolled=CONTROL_PATIENTS, lead_in=CONTROL_MONTHS, visit_jitter=3, follow_up=1.0)
    truth = replace(cell, truth=replace(cell.truth, slope=slope)).population
    tables = simulate.simulate(conducted, truth, 1).tables
    return trial_from_tables(
        "control", {name: tables[name][columns.split()] for name, columns in NEEDED.items()}, SETTINGS
    )


def _control(cell: Cell) -> Control:
    """The same natural history for all trials of a cell, of a seed of its own: priors are compiled once."""
    assert cell.control is not None
    return Control("simulated", {OUTCOME: BETWEEN_STUDIES}, _natural_history(cell.control, replace(cell, looks=())))


@lru_cache(maxsize=8)
def _file(name: str) -> ModelFile:
    return load_model(MODELS / f"{name}.py")


_PROGRAMS: dict[tuple[object, ...], Any] = {}
"""What this process has compiled: by model, number of patients and injections, and control."""


def _size(cell: Cell) -> tuple[object, ...]:
    return cell.design.enrolled, len(cell.truth.change), cell.control


def _compiled(cell: Cell) -> compiled.Compiled:
    """Compile the model for trials of a size; which trial it is built for does not matter but for its control."""
    key = (OUTCOME, *_size(cell))
    if key not in _PROGRAMS:
        _PROGRAMS[key] = compiled.compile_once(OUTCOME, _file(OUTCOME).source, trial_of(cell, 0), SAMPLING)
    found: compiled.Compiled = _PROGRAMS[key]
    return found


# ---- looks ----


def usual(seen: Seen) -> Iterator[Found]:
    """The checks of a fit, and the claim that decline is slower overall."""
    found = checks.checks_of(seen.predicted)
    yield from ((rule.check, rule.value, rule.fired) for rule in found.rules)
    reach = NEAR_END_SDS * float(seen.posterior.draws["sigma"].mean())
    near = float(((seen.visits.value <= reach) | (seen.visits.value >= 48 - reach)).mean())
    yield NEAR_END, near, near > NEAR_END_SHARE
    yield from _claim(seen)


def only_added(seen: Seen) -> Iterator[Found]:
    """The score tests of added columns alone."""
    for check, probability in added.probabilities(seen.predicted).items():
        yield check, probability, probability < checks.FIRES
    yield from _claim(seen)


def _claim(seen: Seen) -> Iterator[Found]:
    probability = float((quantities.change(seen.posterior) > 0).mean())
    yield CLAIM, probability, probability > compiled.CLAIMED


def chance(seen: Seen) -> Iterator[Found]:
    """Counts of improved patients, those who improved in any cycle too, among null trials of the same design."""
    yield from _among_null_trials(seen, fitted(OUTCOME, seen.posterior), "")
    patients = quantities.patients(seen.posterior)
    claims = quantities.responders(patients, [quantities.SLOWING_PERCENT]).set_index("injection").loc[OVERALL]
    yield CALLED, claims["n_called"], claims["n_called"] > 0
    yield "false calls expected", claims["expected_false_claims"], False


def entry(seen: Seen) -> Iterator[Found]:
    """The same counts among null trials whose patients were chosen by the rule that was applied, from all screened."""
    truth = seen.cell.truth
    parts = (truth.level, truth.slope, truth.sd_level, truth.sd_slope, truth.correlation_level_slope, truth.sigma)
    screened = Fitted("truth", *np.array(parts)[:, None], np.empty((1, 0)), np.empty((0, 0, 2)), screened=True)
    yield from _among_null_trials(seen, screened, KNOWN)


def _chosen(seen: Seen) -> Trial:
    """State the rule in the trial: for all but those without an injection, who have no value on its day."""
    patients = seen.trial.patients
    injected = patients["patient"].isin(seen.trial.injections["patient"])
    patients[EXEMPT] = np.where(injected, "no", "yes")
    rule = EntryRule(OUTCOME, "loss", "first", "design", "injection", at_least=seen.cell.design.minimum_loss)
    return replace(seen.trial, entry=(rule,), _tables={**seen.trial._tables, "patients": patients})


def _among_null_trials(seen: Seen, population: Fitted, words: str) -> Iterator[Found]:
    plan = layout_of(seen.trial, seen.visits, Rules())
    conditions = entry_of(_chosen(seen), seen.visits, population)
    (null,) = null_values(seen.visits, population, NULL_TRIALS, seen.seed, conditions)
    counts = [_counts(plan, values) for values in (seen.visits.value[None], null)]
    for name, own, others in zip((FIRST, EVER), *counts, strict=True):
        share = float((others >= own[0]).mean())
        yield ABOVE.format(name) + words, share, share <= CHANCE
        yield EXPLAINED.format(name) + words, share, share > CHANCE
        yield f"classical count {name}", own[0], False


def _counts(plan: Any, values: Any) -> list[Any]:
    improved = improvements(plan, values) > plan.rules.threshold
    cycles = [place for place, period in enumerate(plan.periods) if period.isdigit()]
    return [improved[:, :, cycles[0]].sum(axis=1), improved[:, :, cycles].any(axis=2).sum(axis=1)]


def boundary(seen: Seen) -> Iterator[Found]:
    """The change without the values on days of injections."""
    verdict = rules.boundary_visit(seen.subject, seen.compiled)
    yield verdict.check, verdict.value, verdict.fired


def survivors(seen: Seen) -> Iterator[Found]:
    """The lead-in slopes of those who reached a later cycle, and of those who left at any time."""
    for verdict in (rules.survivor(seen.subject), rules.leavers(seen.subject)):
        yield verdict.check, verdict.value, verdict.fired


def curvature(seen: Seen) -> Iterator[Found]:
    """A curvature that all courses share."""
    verdict = rules.curvature(seen.subject)
    yield verdict.check, verdict.value, verdict.fired


def percent(seen: Seen) -> Iterator[Found]:
    """Percentages withheld of the population, and flagged of at least half of the patients."""
    patients = quantities.patients(seen.posterior)
    flagged = np.mean([bool(text) for text in quantities.flags(patients, seen.posterior)])
    yield FLAGGED, flagged, flagged >= 0.5
    falls = float((seen.posterior.draws["population"].sel(coefficient="slope") < 0).mean())
    yield WITHHELD, falls, falls <= 0.999


def decided(seen: Seen) -> Iterator[Found]:
    """The negative control: does the response seen before decide the next interval?"""
    draws, _ = _sampled("interval_negative_control", ("statistics", "seen_change", "interval", "seen_patient"), seen)
    values = draws[quantities.CONTROL].to_numpy().ravel()
    yield DECIDED, values.mean(), _excludes_zero(values)


def _excludes_zero(values: Any) -> bool:
    low, high = np.quantile(values, quantities.INTERVAL)
    return bool(low > 0 or high < 0)


def _sampled(name: str, data: tuple[str, ...], seen: Seen) -> tuple[xr.Dataset, Any]:
    """Sample a model whose covariates are those of this trial: built for it, compiled once for its size."""
    model = _file(name).build(seen.trial)
    size = (name, *_size(seen.cell))
    if size not in _PROGRAMS:
        _PROGRAMS[size] = nuts.compile_model(model)
    program = nuts.with_data(_PROGRAMS[size], **{each: model[each].get_value() for each in data})
    tree = nuts.draw(program, **asdict(SAMPLING), seed=seen.seed, cores=1)
    return tree["posterior"].to_dataset(), model


def by_window(seen: Seen) -> Iterator[Found]:
    """The coefficients of the interval from whole cycles, and from the first months of each."""
    found = pd.concat([_coefficients(name, seen) for name in ("interval", "interval_fixed_window")])
    yield BY_WINDOW, interval.window_value(found), interval.window_fires(found)
    whole = found[found["analysis"] == interval.WHOLE]
    apart = (whole["lower"] > 0) | (whole["upper"] < 0)
    yield INTERVAL_CLAIM, apart.sum(), apart.any()


def _coefficients(name: str, seen: Seen) -> pd.DataFrame:
    """Fit a model of the interval, compiled once for its size, with the covariates of this trial."""
    file, size = _file(name), (name, *_size(seen.cell))
    terms = terms_of(file.build(seen.trial))
    if size not in _PROGRAMS:
        _PROGRAMS[size] = compiled.compile_once(name, file.source, seen.trial, MORE)
    visits = file.visits(seen.trial)
    posterior = replace(_PROGRAMS[size], terms=terms).fit(seen.trial, visits, seen.seed)
    prior = exact.with_prior_coefficients(posterior.draws, visits, terms, seen.seed)
    return interval.coefficients(replace(posterior, groups={"prior": prior})).assign(model=name)


def pseudo(seen: Seen) -> Iterator[Found]:
    """Injections moved to where nothing happened, in a trial of untreated patients."""
    file = _file(OUTCOME)
    untreated = before_treatment(seen.trial, OUTCOME)
    size = ("pseudo", len(untreated.patients))
    if size not in _PROGRAMS:
        first = moved(untreated, OUTCOME, np.random.default_rng(seen.seed))
        _PROGRAMS[size] = compiled.compile_once(OUTCOME, file.source, first, MOVES)
    job = PseudoJob(seen.trial, OUTCOME, OUTCOME, file.source, seen.seed, MOVES)
    rows = [row for move in range(MOVED) for row in refitted(untreated, OUTCOME, _PROGRAMS[size], [seen.seed, move])]
    (found,) = pseudo_table(job, rows).to_dict("records")
    yield PSEUDO, found["mean_prob_positive"], found["finds_change"]
    yield "pseudo-injections that failed the gate", found["n_failed"], False


def contradiction(seen: Seen) -> Iterator[Found]:
    """Priors of level, lead-in slope and change against the data."""
    probability = conflict_probability(_learnt(seen))
    yield CONFLICT, probability, probability < checks.FIRES


def _learnt(seen: Seen) -> pd.DataFrame:
    """The table `prior.contraction` of the population's coefficients, whose priors are normal and known."""
    terms = seen.compiled.terms
    columns = terms["term_design"].transpose("coefficient", "term").to_numpy()
    mean, sd = columns @ terms["term_mean"].to_numpy(), terms["term_sd"].to_numpy()
    weights = np.zeros((3, len(columns)))
    weights[[0, 1], [0, 1]] = 1.0
    number = (seen.visits.visits_in_cycle > 0).sum(axis=0)
    weights[2, 2:] = number / number.sum()
    prior_mean, prior_sd = weights @ mean, np.sqrt(((weights @ columns) ** 2) @ sd**2)
    draws = (
        seen.posterior.draws["population"]
        .transpose("chain", "draw", "coefficient")
        .to_numpy()
        .reshape(-1, len(columns))
    )
    found = draws @ weights.T
    moved, learnt = (found.mean(axis=0) - prior_mean) / prior_sd, 1 - found.var(axis=0) / prior_sd**2
    named = {"quantity": ["level", "lead_in_slope", "change"], "injection": ["", "", OVERALL]}
    return pd.DataFrame({**named, "contraction": learnt, "moved": moved, "conflict": conflict(moved, learnt)})


def prior(seen: Seen) -> Iterator[Found]:
    """How far the priors of the population's coefficients move the change, and what the data took of its variance."""
    change = quantities.change(seen.posterior).expand_dims(row=1)
    largest = max(
        float(power_scaling.sensitivity(change, density)[0])
        for density in power_scaling.of_population(seen.posterior).values()
    )
    yield checks.PRIOR, largest, largest >= power_scaling.SENSITIVE
    learnt = float(_learnt(seen)["contraction"].iloc[2])
    yield UNLEARNT, learnt, learnt < LEARNT
    yield from _claim(seen)


def split(seen: Seen) -> Iterator[Found]:
    """What the data took of the prior variance of the SDs of changes, between patients and between cycles."""
    for name, word, scale in (("sd_response", PATIENTS, 0.3), ("sd_cycle", CYCLES, 0.15)):
        learnt = 1 - float(seen.posterior.draws[name].var()) / (scale**2 * (1 - 2 / np.pi))
        yield UNSPLIT.format(word), learnt, learnt < LEARNT


LOOKS: Mapping[str, Callable[[Seen], Iterator[Found]]] = {
    "usual": usual,
    "added": only_added,
    "chance": chance,
    "entry": entry,
    "boundary": boundary,
    "survivors": survivors,
    "curvature": curvature,
    "percent": percent,
    "decided": decided,
    "window": by_window,
    "pseudo": pseudo,
    "conflict": contradiction,
    "prior": prior,
    "split": split,
}

"""The null study of a trial: everything that is asked of chance, table by table, each kept as soon as it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from slopeshift import published
from slopeshift.classical import Rules
from slopeshift.fit.compiled import refusal
from slopeshift.keep import tables
from slopeshift.keep.atomic import locked
from slopeshift.keep.made_from import code, imported, program
from slopeshift.keep.replicates import replicates
from slopeshift.null.claim import claim_table, claim_text
from slopeshift.null.population import NATURAL_HISTORIES, Population, fitted
from slopeshift.null.pseudo import PseudoJob, pseudo_table
from slopeshift.null.rates import RefitJob, rates_table
from slopeshift.null.reference import Reference, distribution_table, reference, reference_table
from slopeshift.null.trials import NullError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from slopeshift.fit.candidates import Candidate
    from slopeshift.keep.replicates import Job, Rows
    from slopeshift.model.files import ModelFile
    from slopeshift.trial import Trial

CLAIM = "published_claim"
CODE = {
    CLAIM: "null.claim",
    "null_reference": "null.reference",
    "null_distribution": "null.reference",
    "null_refits": "null.rates",
    "pseudo_injection": "null.pseudo",
    "pseudo_moves": "null.pseudo",
}
"""The module that makes each table."""


@dataclass(frozen=True)
class Options:
    """What is asked: the names of the command line's options.

    `replicates` null trials are analysed as the trial was, and a fifth as many simulated for each combination that a
    published count is set against; `refits` of them are refitted with every model, and as many times pseudo-injections
    are moved, in the trial and in the control that it names, where `pseudo` is set. `published` names figures to set
    against the null.
    """

    rules: Rules
    replicates: int = 10_000
    refits: int = 200
    published: str | None = None
    pseudo: bool = False
    scheduler: str | None = None
    seed: int = 1


def run(
    trial: Trial,
    candidates: Sequence[Candidate],
    options: Options,
    folder: Path,
    *,
    say: Callable[[str], None],
    progress: bool = False,
) -> list[Path]:
    """Make every table that is asked for, write it into `folder` as CSV, and return the files.

    What does not apply to the trial or a model is left out, and `say` is told why. Chunks of replicates are kept in
    `folder`, in `chunks`. Raises NullError where nothing could be made, and LookupError where `published` is unknown.
    """

    def work(job: Job) -> Rows:
        chunks = folder / "chunks"
        return replicates(job, options.refits, chunks, scheduler=options.scheduler, progress=progress)

    usable = [candidate for candidate in candidates if _is_plain(candidate.file, trial, say)]
    with locked(folder, say):
        written = [
            tables.save(name, table, _made_from(name, trial, candidates), folder)
            for name, table in _Study(trial, usable, options, say, work).tables()
        ]
    if not written:
        raise NullError(f"trial {trial.name}: nothing to make of what was asked")
    return written


def stored(trial: Trial, candidates: Sequence[Candidate], folder: Path) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Read the tables of a study that were made from this trial and these fits.

    Returns them by name, and the names of those that were made from others, and are left where they are.
    """
    return tables.current(folder, lambda name: _made_from(name, trial, candidates))


def _made_from(name: str, trial: Trial, candidates: Sequence[Candidate]) -> dict[str, Any]:
    """Say what decides a table, but for how much of it was asked; a published claim has nothing of the trial in it."""
    if name == CLAIM:
        return {"program": code(CODE[name]), "data": published.content()}
    words = {module for candidate in candidates for module in imported(candidate.file.source)}
    models = {candidate.file.name: [program(candidate.file.source), candidate.made_from] for candidate in candidates}
    return {"program": code(CODE[name], *words), "data": dict(trial.files), "made_from": models}


def _is_plain(file: ModelFile, trial: Trial, say: Callable[[str], None]) -> bool:
    reason = refusal(file, trial)
    if reason:
        say(f"{file.name}: {reason}")
    return not reason


def populations(outcome: str, candidates: Sequence[Candidate]) -> list[Population]:
    """List what null trials of an outcome can be drawn from: fits first, then published natural histories."""
    fits = [
        fitted(f"fit of {candidate.file.name}", posterior)
        for candidate in candidates
        if candidate.file.outcome == outcome and (posterior := candidate.usable) is not None
    ]
    return [*fits, *(history for history in NATURAL_HISTORIES if history.outcome == outcome)]


@dataclass(frozen=True)
class _Study:
    """What is asked of a trial, of whom, and who is told and does the work."""

    trial: Trial
    candidates: Sequence[Candidate]
    options: Options
    say: Callable[[str], None]
    work: Callable[[Job], Rows]

    def tables(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield every table that is asked for, by name."""
        trial, options = self.trial, self.options
        if options.published:
            claim = claim_table(options.published, trials=max(options.replicates // 5, 1), seed=options.seed)
            self.say(claim_text(claim))
            yield CLAIM, claim
        if not len(trial.injections):
            self.say(f"trial {trial.name} has no injections, so there is no statistic to place and no change to refit")
        else:
            found = list(self.references())
            if found:
                yield "null_reference", pd.concat(map(reference_table, found), ignore_index=True)
                yield "null_distribution", pd.concat(map(distribution_table, found), ignore_index=True)
            refitted = list(self.refits()) if options.refits else []
            if refitted:
                yield "null_refits", pd.concat(refitted, ignore_index=True)
        moves = list(self.moves()) if options.pseudo and options.refits else []
        if moves:
            yield "pseudo_injection", pd.concat([table for table, _ in moves], ignore_index=True)
            yield "pseudo_moves", pd.concat([each for _, each in moves], ignore_index=True)

    def references(self) -> Iterator[Reference]:
        """Place the trial's statistics among those of null trials, by outcome and population."""
        asked = {"trials": self.options.replicates, "seed": self.options.seed}
        for outcome in self.trial.outcomes:
            sources = populations(outcome, self.candidates)
            if not sources:
                self.say(f"{outcome}: neither a fit nor a published natural history to draw null trials from")
            for source in sources:
                yield reference(self.trial, outcome, source, self.options.rules, **asked)

    def refits(self) -> Iterator[pd.DataFrame]:
        """Refit null trials with every model."""
        for file in (candidate.file for candidate in self.candidates):
            sources = populations(file.outcome, self.candidates)
            if not sources:
                self.say(f"{file.name}: not refitted, there is nothing to draw null trials of {file.outcome} from")
                continue
            population = self.drawn_from(file, sources)
            job = RefitJob(self.trial, file.outcome, file.name, file.source, population, self.options.seed)
            self.say(f"{file.name}: refitting {self.options.refits} null trials drawn from {population.name}")
            yield rates_table(job, self.work(job))

    def moves(self) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        """Move pseudo-injections, with every model into every trial: a table, and what each move found."""
        pairs = ((each.file, of) for each in self.candidates for of in _untreated(self.trial, each.file.outcome))
        for file, of in pairs:
            job = PseudoJob(of, file.outcome, file.name, file.source, self.options.seed)
            try:
                job.check()
            except NullError as error:
                self.say(f"{file.name}: no pseudo-injections, {error}")
                continue
            self.say(f"{file.name}: refitting with {self.options.refits} sets of pseudo-injections into {of.name}")
            rows = self.work(job)
            each = pd.DataFrame(rows).assign(model=file.name, outcome=file.outcome, trial=of.name)
            yield pseudo_table(job, rows), each

    def drawn_from(self, file: ModelFile, sources: Sequence[Population]) -> Population:
        """Choose what refits are drawn from: the model's own fit, if entry rules can still choose from it."""
        own = [source for source in sources if source.name == f"fit of {file.name}"]
        if not any(rule.outcome == file.outcome for rule in self.trial.entry):
            return (own or sources)[0]
        screened = [source for source in (*own, *sources) if source.screened]
        if not screened:
            self.say(f"{file.name}: null trials are drawn from those who entered, so that entry rules choose nobody")
        return (screened or own or sources)[0]


def _untreated(trial: Trial, outcome: str) -> list[Trial]:
    """List the trials whose untreated values pseudo-injections are moved into: itself, and the control it names."""
    control = trial.control.trial if trial.control is not None else None
    return [trial] if control is None or outcome not in control.outcomes else [trial, control]

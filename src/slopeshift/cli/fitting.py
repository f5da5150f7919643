"""Fits brought up to date: of the models that answer first, so that the answer need not wait for the others."""

from __future__ import annotations

from concurrent.futures import wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from slopeshift.cli import made, said
from slopeshift.cli.answers import BAD_INPUT, GATE_FAILED, aside, show_progress
from slopeshift.keep.processes import cores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from slopeshift.fit.store import Settings
    from slopeshift.model.files import ModelFile
    from slopeshift.trial import Trial

SMALL = 5_000
"""Visits of a trial up to which models are sampled side by side: of more, chains keep all cores busy, and memory is
what runs out."""

LISTED = 10
"""Failures of a gate that are printed one by one."""

MINUTE = 60.0
LONG = 1.5
"""Minutes from which on a time is told in minutes."""


@dataclass
class Run:
    """One run of `slopeshift fit`: `folder` is that of the trial's fits; `force` samples what is up to date too.

    `seconds` are those that the models sampled in this run took, whole; `done` are the records of those that were
    sampled side by side.
    """

    trial: Trial
    folder: Path
    settings: Settings
    force: bool
    seconds: list[float] = field(default_factory=list)
    done: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def all_of(self, paths: Sequence[Path], models: Path) -> list[int]:
        """Bring the fits of all models of a folder up to date, and print the answer as soon as there is one.

        Returns exit statuses.
        """
        from slopeshift.model.files import names_of

        answering = [name for outcome in self.trial.outcomes for name in names_of(outcome)]
        first = [path for path in paths if path.stem in answering]
        others = [path for path in paths if path not in first]
        self._begin_to_compile(self._to_sample(first))
        waiting = self._to_sample(others)
        status = self.brought_up_to_date(first, len(waiting))
        if first:
            self._print_answer(models)
        if (number := at_a_time(len(waiting), len(self.trial.visits))) > 1:
            self._sample_side_by_side(waiting, number)
        status += self.brought_up_to_date(others)
        made.second_stage(self.trial, models, self.folder, self.settings.seed, typer.echo)
        if self._answers_among(others, models):
            self._print_answer(models)
        return status

    def _begin_to_compile(self, files: Mapping[Path, ModelFile]) -> dict[Path, str | None]:
        """Begin to have compiled what models share; name, for each, the part that is being compiled, if any is."""
        from slopeshift.fit.compiled_once import begin, part_of

        parts = {path: part_of(file.build, self.trial) for path, file in files.items()}
        return {path: part if part and begin(part) else None for path, part in parts.items()}

    def _sample_side_by_side(self, files: Mapping[Path, ModelFile], number: int) -> None:
        """Fit a number of models at a time, the compiled ones first; what fails is left to be done, and said, later.

        Sampling four chains keeps some cores busy, but all that is done before and after it only one.
        """
        from slopeshift.fit.compiled_once import compiled_once
        from slopeshift.keep.processes import workers

        typer.echo(f"sampling {len(files)} models, {number} at a time")
        compiling, left = self._begin_to_compile(files), set(files)

        def end(path: Path, one: Future[Mapping[str, Any]]) -> None:
            left.remove(path)
            if not one.cancelled() and one.exception() is None:
                self.done[path.stem] = one.result()
                self._say_done(one.result(), len(left), number)

        with workers(number) as pool:
            running = []
            for path in sorted(files, key=lambda path: compiling[path] or ""):
                if part := compiling[path]:
                    compiled_once(part, typer.echo)
                running.append(pool.submit(sampled, path, self.trial, self.settings, self.folder))
                running[-1].add_done_callback(partial(end, path))
            wait(running)

    def _say_done(self, record: Mapping[str, Any], left: int, number: int = 1) -> None:
        """Say what a model that was sampled took, and the `left` ones will, when a `number` is sampled at a time."""
        seconds = record["seconds"]
        self.seconds.append(seconds["total"])
        typer.echo(
            f"{record['model']}: done in {seconds['total']:.0f} s ({seconds['sample']:.1f} s of it sampling)"
            + remaining(left, [each / number for each in self.seconds])
        )

    def _answers_among(self, others: Sequence[Path], models: Path) -> bool:
        """Say whether some of the models not named after an outcome answer, as where no model of it has its name."""
        from slopeshift.fit import store

        records = (
            store.read_record(self.folder, p.stem) for p in made.leading_files(models, self.folder) if p in others
        )
        return any(record is not None and record["status"] != "skipped" for record in records)

    def brought_up_to_date(self, paths: Sequence[Path], waiting: int = 0) -> list[int]:
        """Bring fits up to date, say what was done, and return exit statuses: a broken model leaves the others alone.

        `waiting` is the number of models to sample after these.
        """
        stale = self._to_sample(paths)
        later = [sum(path in stale for path in paths[at + 1 :]) for at in range(len(paths))]
        return [self._one(path, left + waiting) for path, left in zip(paths, later, strict=True)]

    def _out_of_date(self, path: Path) -> bool:
        from slopeshift.fit import store
        from slopeshift.model.files import ModelError, source_of

        if path.stem in self.done:
            return False
        record = store.read_record(self.folder, path.stem)
        if self.force or record is None:
            return True
        try:
            at_hand = store.inputs(self.trial.files, source_of(path), self.settings)
        except (ModelError, OSError, SyntaxError, ValueError):
            return True  # what is wrong with it is said when it is loaded
        return bool(record["inputs"] != at_hand)

    def _to_sample(self, paths: Sequence[Path]) -> dict[Path, ModelFile]:
        """Load those of these models that are to be sampled: what is wrong with one is said when it is its turn."""
        from slopeshift.model.files import ModelError, load_model

        found = {}
        for path in filter(self._out_of_date, paths):
            with suppress(ModelError, OSError, SyntaxError, ValueError):
                found[path] = load_model(path)
        return {path: file for path, file in found.items() if not file.misfit(self.trial)}

    def _one(self, path: Path, left: int) -> int:
        from slopeshift.fit import store
        from slopeshift.model.files import ModelError

        stale = self._out_of_date(path)
        record = self.done.get(path.stem) or (None if stale else store.read_record(self.folder, path.stem))
        if record is None:
            try:
                record = self._sampled(path, left)
            except ModelError as error:
                aside(str(error))
                return BAD_INPUT
        elif path.stem not in self.done:
            typer.echo(f"{path.stem}: up to date")
            record = made.rejudged(self.trial, record, self.folder, typer.echo)
        if record["status"] == "skipped":
            typer.echo(f"{path.stem}: skipped, {record['reason']}")
            return 0
        _print_failures(path.stem, record["gate"]["failures"])
        return 0 if record["gate"]["passed"] else GATE_FAILED

    def _sampled(self, path: Path, left: int) -> Mapping[str, Any]:
        """Sample a model, after which `left` others are to be sampled; return its record."""
        from slopeshift.fit import sample as fitting
        from slopeshift.fit import store
        from slopeshift.fit.compiled_once import compiled_once, part_of
        from slopeshift.model.files import load_model

        file, settings = load_model(path), self.settings
        if file.misfit(self.trial):
            skipped = fitting.skipped(file, self.trial, settings)
            store.save_record(skipped.record, self.folder)
            return skipped.record
        if part := part_of(file.build, self.trial):
            compiled_once(part, typer.echo)
        typer.echo(f"{path.stem}: sampling {settings.chains} chains of {settings.tune} + {settings.draws} draws")
        record = sampled(path, self.trial, settings, self.folder, progress=show_progress())
        self._say_done(record, left)
        return record

    def _print_answer(self, models: Path) -> None:
        """Print the answer of the models that give one, as far as there is one: what `slopeshift answer` prints."""
        from slopeshift.fit.store import FitError

        try:
            found = made.stored_models(self.trial, models, self.folder, None, aside)
        except FitError as error:
            aside(str(error))
        else:
            typer.echo(said.in_words(self.trial, found))


def at_a_time(models: int, visits: int) -> int:
    """Say how many of a number of models are sampled at a time, of a trial with so many visits."""
    return 1 if visits > SMALL else min(cores(), models)


def sampled(path: Path, trial: Trial, settings: Settings, folder: Path, *, progress: bool = False) -> Mapping[str, Any]:
    """Sample a model, judge the fit and store it in `folder`, that of the trial's fits; return its record."""
    from slopeshift.fit.sample import sample
    from slopeshift.model.files import load_model

    return made.judged(trial, sample(load_model(path), trial, settings, progress=progress), folder).record


def remaining(left: int, seconds: Sequence[float]) -> str:
    """Say how many models are left, and about how long they take, by what the models of this run took on average."""
    if not left:
        return ""
    whole = left * sum(seconds) / len(seconds)
    about = f"{whole / MINUTE:.0f} min" if whole >= LONG * MINUTE else f"{whole:.0f} s"
    return f"; {left} model{'s' if left > 1 else ''} left, about {about}"


def _print_failures(model: str, failures: Sequence[str]) -> None:
    for failure in failures[:LISTED]:
        aside(f"{model}: GATE FAILED: {failure}")
    if len(failures) > LISTED:
        aside(f"{model}: GATE FAILED: and {len(failures) - LISTED} more, listed in the report")

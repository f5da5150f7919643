"""The ranks of a model as they are kept: a CSV file of them, and a JSON file that says what they are of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from slopeshift.calibration.ranks import RANKED
from slopeshift.fit.store import PACKAGES
from slopeshift.keep.atomic import replacing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from slopeshift.calibration.job import CalibrationJob
    from slopeshift.model.files import ModelFile
    from slopeshift.trial import Trial

CHAINS = ("replicate", "passed", "longer", "rhat", "ess", "divergences")
"""Columns that say how a replicate was sampled; the others are ranks."""

DIGITS = 9
"""Significant digits to which a log density is kept; machines differ in the last few of sixteen."""


@dataclass(frozen=True, eq=False)
class Ranks:
    """The ranks of a model: `table` a row per replicate, `record` what they were made from and how."""

    model: str
    table: pd.DataFrame
    record: Mapping[str, Any]

    @property
    def quantities(self) -> list[str]:
        """Name what was ranked."""
        return [str(name) for name in self.table if name not in CHAINS]

    @property
    def mixed(self) -> dict[str, NDArray[np.int64]]:
        """The ranks of the replicates whose chains mixed, by quantity.

        Whether chains mix depends on values and seeds, not on the true parameters given these; so leaving the others
        out leaves ranks uniform where they were.
        """
        good = self.table[self.table["passed"]]
        return {name: good[name].to_numpy() for name in self.quantities}


def ranks_of(job: CalibrationJob, rows: list[dict[str, Any]], file: ModelFile) -> Ranks:
    """Put together the rows of a job and what they were made from."""
    record = {
        "model": job.model,
        "title": file.title,
        "outcome": file.outcome,
        "trial": job.trial.name,
        "replicates": len(rows),
        "seed": job.seed,
        "sampling": str(job.sampling),
        "target_accept": job.sampling.target_accept,
        "ranked_among": RANKED,
        "log_density": fingerprint(file, job.trial),
        "versions": {name: version(name) for name in PACKAGES},
    }
    return Ranks(job.model, pd.DataFrame(rows), record)


def fingerprint(file: ModelFile, trial: Trial) -> list[float]:
    """Evaluate the log density of a model on a trial at three points: numbers that change with its priors.

    Unlike a hash of its text they stay where only words or their order change.
    """
    model = file.build(trial)
    evaluate = model.compile_logp(mode="FAST_COMPILE")
    start, rng = model.initial_point(), np.random.default_rng(1)
    found = []
    for scale in (0.0, 0.3, 0.6):
        point = {name: start[name] + scale * rng.normal(size=np.shape(start[name])) for name in sorted(start)}
        found.append(float(f"{float(evaluate(point)):.{DIGITS}g}"))
    return found


def save(ranks: Ranks, folder: Path) -> list[Path]:
    """Write `<model>.csv` and `<model>.json`, each whole or not at all."""
    table = ranks.table.astype({"passed": int, "longer": int})
    with replacing(csv := folder / f"{ranks.model}.csv") as path:
        table.to_csv(path, index=False, lineterminator="\n")
    with replacing(record := folder / f"{ranks.model}.json") as path:
        path.write_text(json.dumps(ranks.record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [csv, record]


def stored(folder: Path) -> list[Ranks]:
    """Read the ranks of every model that a folder has, by name."""
    found = []
    for csv in sorted(folder.glob("*.csv")):
        table = pd.read_csv(csv).astype({"passed": bool, "longer": bool})
        record = json.loads(csv.with_suffix(".json").read_text(encoding="utf-8"))
        found.append(Ranks(csv.stem, table, record))
    return found

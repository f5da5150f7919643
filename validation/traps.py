"""Switch each statistical trap on in simulated trials, count how often the checks fire, and write traps.csv and traps.md.

Run by `make validate`. Interrupted, it goes on where it stopped; the next run, of the same code, takes what is there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from trap_cells import STANDS_IN, TRAPS, Cell
from trap_checks import SAMPLING, TrapJob

from slopeshift.atomic import replacing
from slopeshift.work import replicates

HERE = Path(__file__).parent
STORE = HERE / ".cache" / "traps"
SEED = 20_260_000
REPLICATES = 120
NOTABLE = 0.2
"""By how much more often a check must fire with a trap than without to be named beside the checks meant for it."""


def main() -> None:
    """Do what is missing, and write the table and its page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--replicates", type=int, default=REPLICATES, help="simulated trials of each kind")
    options.add_argument("--seed", type=int, default=SEED)
    options.add_argument("--processes", type=int, default=2)
    given = options.parse_args()
    cells = list(dict.fromkeys(cell for trap in TRAPS for cell in (trap.on, trap.off)))
    rates = {}
    for number, cell in enumerate(cells, 1):
        print(f"{number} of {len(cells)}: {cell.design.enrolled} patients, {', '.join(cell.looks)}", flush=True)
        job = TrapJob(cell, given.seed)
        rows = replicates(job, given.replicates, STORE, processes=given.processes, progress=True)
        rates[cell] = rates_of(pd.DataFrame(rows))
    table = pd.concat([_row(trap.number, trap, rates) for trap in TRAPS], ignore_index=True)
    with replacing(HERE / "traps.csv") as path:
        table.to_csv(path, index=False, float_format="%.4g")
    with replacing(HERE / "traps.md") as path:
        path.write_text(page(table, given.replicates, given.seed))


def rates_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Share of trials in which each check fired, of those in which it could be computed: index check."""
    computed = rows.dropna(subset=["value"]).groupby("check", sort=False)
    return pd.DataFrame({"fired": computed["fired"].mean(), "n": computed.size(), "mean": computed["value"].mean()})


def _row(number: int, trap: object, rates: dict[Cell, pd.DataFrame]) -> pd.DataFrame:
    on, off = rates[trap.on], rates[trap.off]
    both = on.join(off, how="inner", lsuffix="_on", rsuffix="_off")
    both.insert(0, "check", both.index)
    labels = {
        "trap": number,
        "name": trap.name,
        "patients_on": trap.on.design.enrolled,
        "patients_off": trap.off.design.enrolled,
    }
    table = both.assign(**labels, meant=both["check"].isin(trap.checks)).reset_index(drop=True)
    names = "trap name patients_on patients_off check meant fired_on fired_off n_on n_off mean_on mean_off"
    return table[names.split()]

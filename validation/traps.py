"""Switch each statistical trap on in simulated trials, count how often checks fire, and write traps.csv and traps.md.

Run by `make validate`. Interrupted, it goes on where it stopped; run again with the same code, it takes what is there.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from trap_cells import TRAPS
from trap_checks import TrapJob
from trap_page import page

from slopeshift.keep.atomic import replacing
from slopeshift.keep.replicates import replicates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trap_cells import Cell, Trap

HERE = Path(__file__).parent
STORE = HERE / ".cache" / "traps"
SEED, REPLICATES = 20_260_000, 100
COLUMNS = "trap name patients_on patients_off check meant fired_on fired_off n_on n_off mean_on mean_off"


def main() -> None:
    """Do what is missing, and write the table and its page."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--replicates", type=int, default=REPLICATES, help="simulated trials of each kind")
    options.add_argument("--seed", type=int, default=SEED)
    options.add_argument("--processes", type=int, default=2)
    given = options.parse_args()
    rates: dict[Cell, pd.DataFrame] = {}
    for cell, found in by_cell(TRAPS, given.replicates, given.seed, given.processes):
        rates[cell] = found
        done = [trap for trap in TRAPS if trap.on in rates and trap.off in rates]
        if done:
            write(pd.concat([rows_of(trap, rates) for trap in done], ignore_index=True), given.seed)


def write(table: pd.DataFrame, seed: int) -> None:
    """Write the table and its page: of the traps that are done."""
    with replacing(HERE / "traps.csv") as path:
        table.to_csv(path, index=False, float_format="%.4g")
    with replacing(HERE / "traps.md") as path:
        path.write_text(page(pd.read_csv(HERE / "traps.csv"), seed))


def by_cell(traps: Sequence[Trap], count: int, seed: int, processes: int) -> Iterator[tuple[Cell, pd.DataFrame]]:
    """Simulate, fit and check `count` trials of every kind, each kind in one process."""
    cells = list(dict.fromkeys(cell for trap in traps for cell in (trap.on, trap.off)))
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from zip(cells, pool.map(partial(_rates, count=count, seed=seed), cells), strict=True)


def _rates(cell: Cell, count: int, seed: int) -> pd.DataFrame:
    rows = replicates(TrapJob(cell, seed), count, STORE, processes=1)
    print(f"{cell.design.enrolled} patients, {', '.join(cell.looks)}: {count} trials", flush=True)
    return rates_of(pd.DataFrame(rows))


def rates_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Share of trials in which each check fired, of those in which it could be computed: index check."""
    computed = rows.dropna(subset=["value"]).groupby("check", sort=False)
    return pd.DataFrame({"fired": computed["fired"].mean(), "n": computed.size(), "mean": computed["value"].mean()})


def rows_of(trap: Trap, rates: Mapping[Cell, pd.DataFrame]) -> pd.DataFrame:
    """Set the rates with and without a trap side by side: a row per check made with it, columns as in COLUMNS."""
    on, off = (rates[cell].add_suffix(end) for cell, end in ((trap.on, "_on"), (trap.off, "_off")))
    table = on.join(off).rename_axis("check").reset_index()
    return table.assign(
        trap=trap.number,
        name=trap.name,
        patients_on=trap.on.design.enrolled,
        patients_off=trap.off.design.enrolled,
        meant=table["check"].isin(trap.checks),
    )[COLUMNS.split()]


if __name__ == "__main__":
    main()

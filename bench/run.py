"""Time the exact engine beside its alternatives, in one run on one machine, and write the tables of README.md.

Run by `make bench`. Ratios of one run are what to read: the machine is whatever it is today.
"""

from __future__ import annotations

import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import arviz as az
import bambi as bmb
import commands
import numpy as np
import pandas as pd
import pymc as pm
import statsmodels.formula.api as smf
import xarray as xr

from slopeshift.answers.tables import results_of
from slopeshift.design.visits import visits_of
from slopeshift.engine import exact, kernel
from slopeshift.engine.terms import terms_of
from slopeshift.fit import nuts
from slopeshift.fit.posterior import posterior_of
from slopeshift.fit.precompiled import ready
from slopeshift.fit.sample import sample
from slopeshift.fit.store import Settings
from slopeshift.model.files import load_model
from slopeshift.simulate import DEFAULT_DESIGN, DEFAULT_TRUTH, default_trial, simulate
from slopeshift.trial import trial_from_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from slopeshift.trial import Trial

ROOT = Path(__file__).parents[1]
README = Path(__file__).with_name("README.md")
MODEL = ROOT / "models" / "alsfrsr.py"
DRAWS, TUNE, CHAINS, SEED, REPEATS = 1000, 1000, 4, 1, 5
SIZES = (10, 19, 100, 1000, 10_000)
FAMILIES = {"student_t": "alsfrsr_student", "bounded": "alsfrsr_bounded", "autocorrelated": "alsfrsr_autocorrelated"}
REFITS = 1000
SETTINGS = {"title": "bench", "synthetic": True, "source": "simulated"}
SPREADS = ("sd_level", "sd_slope", "sd_response", "sd_cycle", "sigma")


def trial_of(patients: int) -> Trial:
    """Simulate a trial of the default design with this number of patients."""
    share = tuple(round(patients * n / 20) for n in DEFAULT_DESIGN.patients_per_cycle)
    design = replace(DEFAULT_DESIGN, enrolled=patients, patients_per_cycle=share)
    return trial_from_tables("bench", simulate(design, DEFAULT_TRUTH, SEED).tables, SETTINGS)


def seconds(run: Callable[[], object]) -> tuple[float, object]:
    """Time one call."""
    began = time.perf_counter()
    result = run()
    return time.perf_counter() - began, result


def smallest_ess(draws: xr.Dataset) -> float:
    """Take the smallest bulk or tail effective sample size of any value."""
    return min(
        float(values.min()) for method in ("bulk", "tail") for values in az.ess(draws, method=method).data_vars.values()
    )


def row(name: str, times: tuple[float, float], means: xr.Dataset, spreads: xr.Dataset, diverging: float) -> dict:
    """Summarise one contender: seconds to compile and to sample, and what the sampling was worth."""
    of_means, of_spreads = smallest_ess(means), smallest_ess(spreads)
    return {
        "engine": name,
        "compile, s": times[0],
        "sample, s": times[1],
        "smallest ESS: means": of_means,
        "SDs": of_spreads,
        "ESS/s: means": of_means / times[1],
        "SDs ": of_spreads / times[1],
        "divergences": int(diverging),
    }


def with_nutpie(name: str, path: Path, trial: Trial, target_accept: float) -> dict:
    """Sample one of our models with nutpie, and draw back what was integrated out; the latter counts as sampling.

    Sampling takes a fraction of a second, so it is done REPEATS times with other seeds, and medians are reported. A
    first short run, which loads and compiles what sampling needs, counts as compiling.
    """
    visits = visits_of(trial, "alsfrsr")
    model = load_model(path).build(trial)
    began = time.perf_counter()
    compiled = ready(model, visits)

    def sample(seed: int, draws: int, tune: int) -> xr.DataTree:
        tree = nuts.draw(compiled, draws=draws, tune=tune, chains=CHAINS, seed=seed, target_accept=target_accept)
        posterior = tree["posterior"].to_dataset()
        if exact.integrated_out(model):
            posterior = exact.with_posterior_coefficients(posterior, visits, terms_of(model), seed)[0]
        return xr.DataTree.from_dict({"posterior": posterior, "sample_stats": tree["sample_stats"].to_dataset()})

    sample(SEED, 10, 10)
    compiling = time.perf_counter() - began
    runs = []
    for seed in range(SEED, SEED + REPEATS):
        sampling, tree = seconds(partial(sample, seed, DRAWS, TUNE))
        draws, diverging = tree["posterior"].to_dataset(), float(tree["sample_stats"]["diverging"].sum())
        runs.append(row(name, (compiling, sampling), draws[["population"]], draws[list(SPREADS)], diverging))
    table = pd.DataFrame(runs).drop(columns="engine")
    return {"engine": name} | table.median().to_dict() | {"divergences": int(table["divergences"].max())}


def with_pymc(path: Path, trial: Trial) -> dict:
    """Sample the written-out model with PyMC's own NUTS at its defaults; compiling cannot be told apart."""
    with load_model(path).build(trial):
        took, tree = seconds(
            lambda: pm.sample(DRAWS, tune=TUNE, chains=CHAINS, random_seed=SEED, nuts_sampler="pymc", progressbar=False)
        )
    sampling = float(tree["posterior"].attrs.get("sampling_time", took))
    draws, diverging = tree["posterior"].to_dataset(), float(tree["sample_stats"]["diverging"].sum())
    times = (took - sampling, sampling)
    return row("written out, PyMC's NUTS", times, draws[["population"]], draws[list(SPREADS)], diverging)


def long_table(trial: Trial) -> pd.DataFrame:
    """Lay the ALSFRS-R out as others want it: patient, score, month, b1..bK and since, the months since injection 1."""
    visits = visits_of(trial, "alsfrsr")
    hinges = visits.basis[:, 2:]
    table = pd.DataFrame(hinges, columns=[f"b{k}" for k in visits.injections])
    patient = np.array(visits.patients)[visits.patient_index]
    return table.assign(score=visits.value, month=visits.month, since=hinges.sum(axis=1), patient=patient)


def formula(table: pd.DataFrame) -> str:
    """Write the fixed part of the nearest formula."""
    return "score ~ month + " + " + ".join(column for column in table if column.startswith("b"))


def with_bambi(trial: Trial) -> dict:
    """Sample Bambi's nearest model at its defaults: no correlations, no cycle deviations, its own priors."""
    table = long_table(trial)
    model = bmb.Model(f"{formula(table)} + (1 + month + since | patient)", table)
    model.build()
    took, tree = seconds(lambda: model.fit(draws=DRAWS, tune=TUNE, chains=CHAINS, random_seed=SEED, progressbar=False))
    sampling = float(tree["posterior"].attrs.get("sampling_time", took))
    draws, diverging = tree["posterior"].to_dataset(), float(tree["sample_stats"]["diverging"].sum())
    scalars = [name for name in draws if draws[name].ndim == 2]
    means, spreads = ([name for name in scalars if str(name).endswith("sigma") == kind] for kind in (False, True))
    return row("Bambi, nearest formula", (took - sampling, sampling), draws[means], draws[spreads], diverging)


def with_brms(trial: Trial, folder: Path, family: str = "normal") -> dict | str:
    """Sample brms's nearest model of a family at a setting without divergences; where that cannot be, say why."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return "R was not found on this machine, so brms is left out."
    long_table(trial).to_csv(folder / "table.csv", index=False)
    numbers = [str(number) for number in (CHAINS, TUNE, DRAWS, SEED)]
    script = Path(__file__).with_name("nearest.R")
    command = [rscript, str(script), str(folder / "table.csv"), str(folder / "draws.csv"), *numbers, family]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        why = next((line for line in lines if "rror" in line), lines[-1])
        return f"R was found, but brms did not run and is left out: {why}"
    compiling, sampling, diverging, *name = done.stdout.splitlines()[-1].split()
    table = pd.read_csv(folder / "draws.csv").set_index([".chain", ".iteration"])
    draws = table.drop(columns=".draw").to_xarray().rename({".chain": "chain", ".iteration": "draw"})
    means, spreads = ([n for n in draws if str(n).startswith("b_") == kind] for kind in (True, False))
    label = f"{' '.join(name)} / Stan, adapt_delta 0.99"
    return row(label, (float(compiling), float(sampling)), draws[means], draws[spreads], float(diverging))


def families(trial: Trial, folder: Path) -> tuple[pd.DataFrame, list[str]]:
    """Sample every other residual family, beside brms where it can state it: a table, and why rows are left out."""
    found, left_out = [], []
    for family, model in FAMILIES.items():
        ours = with_nutpie(model, ROOT / "models" / f"{model}.py", trial, 0.95)
        theirs = (
            with_brms(trial, folder, family) if family != "autocorrelated" else "brms has no such residual in time."
        )
        found.append(ours)
        if isinstance(theirs, str):
            left_out.append(f"{family}: {theirs}")
        else:
            for kind, column in (("means", "ESS/s: means"), ("SDs", "SDs ")):
                theirs[f"ratio: {kind}"] = ours[column] / theirs[column]
            found.append(theirs | {"engine": f"{theirs['engine']}, {family}"})
        print(found[-1], flush=True)
    return pd.DataFrame(found), left_out


def with_mixedlm(trial: Trial) -> float:
    """Time statsmodels' point estimate of the nearest model."""
    table = long_table(trial)
    model = smf.mixedlm(formula(table), table, groups="patient", re_formula="~month + since")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return seconds(lambda: model.fit())[0]


def cost_of_a_gradient(patients: int, visits: int = 14) -> float:
    """Time one evaluation of density and gradient, in seconds."""
    rng = np.random.default_rng(SEED)
    design = np.concatenate([np.ones((patients, visits, 1)), rng.normal(size=(patients, visits, 4))], axis=2)
    values = rng.normal(size=(patients, visits))
    statistics = (
        np.einsum("iva,ivb->iab", design, design),
        np.einsum("iva,iv->ia", design, values),
        (values**2).sum(axis=1),
        np.full(patients, float(visits)),
    )
    terms = np.hstack([np.eye(5), np.array([[0], [0], [1], [1], [1]], dtype=float)])
    arguments = (rng.normal(size=(5, 6)), 1.0, np.zeros(5), kernel.pack(*statistics), terms, np.ones(6))
    kernel.density(*arguments)
    number = max(20_000 // patients, 5)
    return min(seconds(lambda: [kernel.density(*arguments) for _ in range(number)])[0] for _ in range(5)) / number


def whole_fit(patients: int) -> dict:
    """Fit a trial of this size up to the gate's verdict."""
    trial = trial_of(patients)
    settings = Settings(draws=600 if patients > 1000 else 1000, tune=1000)
    took, found = seconds(lambda: sample(load_model(MODEL), trial, settings, progress=False))
    judging, results = seconds(lambda: results_of(posterior_of(trial, found)))
    worst = results.diagnostics.set_index("diagnostic")["value"]
    return {
        "patients": patients,
        "draws a chain": settings.draws,
        "visits": len(visits_of(trial, "alsfrsr").value),
        "compile, s": found.record["seconds"]["compile"],
        "sample, s": found.record["seconds"]["sample"],
        "whole fit, s": took,
        "tables and gate, s": judging,
        "smallest ESS": float(min(worst["ess_bulk"].min(), worst["ess_tail"].min())),
        "share diverging": float(worst["share_diverging"]),
        "gate": "passed" if results.passed else "FAILED",
        "peak memory, GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def markdown(table: pd.DataFrame) -> str:
    """Write a table in Markdown, numbers to three digits."""

    def text(cell: object) -> str:
        if not isinstance(cell, float):
            return str(cell)
        return f"{cell:.3g}" if abs(cell) < 1000 else f"{cell:,.0f}"

    lines = ["| " + " | ".join(map(str, table.columns)) + " |", "|" + " --- |" * len(table.columns)]
    return "\n".join([*lines, *("| " + " | ".join(map(text, r)) + " |" for r in table.itertuples(index=False))])


def main() -> None:
    """Run everything and write the README."""
    trial = trial_from_tables("bench", default_trial().tables, SETTINGS)
    with tempfile.TemporaryDirectory() as folder:
        written_out = Path(folder) / "written_out.py"
        source = MODEL.read_text(encoding="utf-8")
        written_out.write_text(source.replace("import normal\n", "import normal_written_out as normal\n"))
        rows = []
        for run in (
            lambda: with_nutpie("exact engine, nutpie", MODEL, trial, 0.9),
            lambda: with_nutpie("written out, nutpie", written_out, trial, 0.95),
            lambda: with_pymc(written_out, trial),
            lambda: with_bambi(trial),
            lambda: with_brms(trial, Path(folder)),
        ):
            rows.append(run())
            print(rows[-1], flush=True)
        others, without = families(trial, Path(folder))
        waited = pd.DataFrame(commands.rows(Path(folder) / "commands", REFITS))
    left_out = "\n".join(found for found in rows if isinstance(found, str))
    rows = [found for found in rows if not isinstance(found, str)]
    table = pd.DataFrame(rows)
    for kind, column in (("means", "ESS/s: means"), ("SDs", "SDs ")):
        table[f"ratio: {kind}"] = table[column].iloc[0] / table[column]
    point = with_mixedlm(trial)
    costs = {n: cost_of_a_gradient(n) for n in SIZES}
    large = {n: c for n, c in costs.items() if n >= 100}
    exponent = float(np.polyfit(np.log(list(large)), np.log(list(large.values())), 1)[0])
    more_visits = cost_of_a_gradient(1000, visits=56) / costs[1000]
    cost = pd.DataFrame({"patients": list(costs), "microseconds a patient": [1e6 * c / n for n, c in costs.items()]})
    sizes = []
    # A process each, so that memory is that of one size.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for found in pool.map(whole_fit, SIZES):
            sizes.append(found)
            print(found, flush=True)
    README.write_text(
        f"""# Benchmarks

Written by `make bench` on {platform.processor() or platform.machine()}, Python {platform.python_version()}, PyMC {pm.__version__}, nutpie {version("nutpie")}, Bambi {bmb.__version__}.
Compare ratios, not seconds: all rows of a table are from one run on one machine.

## The 20 patients of `data/synthetic-msc-als`, ALSFRS-R, {CHAINS} chains of {TUNE} + {DRAWS} draws

{markdown(table)}

ESS is the smallest effective sample size, bulk or tail, of the population means (level, slope, changes) and of the standard deviations.
ESS/s divides it by the seconds of sampling, drawing back included; the ratio is that of the first row to this one. Rows of nutpie are medians of {REPEATS} runs.
Bambi's model has no correlations, no cycle deviations and its own priors, so it is easier to sample.
statsmodels' MixedLM gives a point estimate of a similar model, without uncertainty of the variances, in {point:.2g} s.
{left_out}
## The other residual families, same trial

{markdown(others)}

{" ".join(without)}

## Commands as a user waits for them

{markdown(waited)}

Each command has a process of its own. "Nothing compiled" is with empty caches of numba and PyTensor; all others have warm ones.

## Cost of one density and gradient

{markdown(cost)}

From 100 patients on, the cost grows with their number to the power {exponent:.2f}; with fewer, fixed costs dominate.
Four times the visits per patient change it by a factor of {more_visits:.2f}.

## Whole fits, from tables to the gate's verdict

{markdown(pd.DataFrame(sizes))}

Each size has its own process, with warm caches. Memory is the peak of the whole process.
""",
        encoding="utf-8",
    )
    print(f"wrote {README}")


if __name__ == "__main__":
    sys.exit(main())

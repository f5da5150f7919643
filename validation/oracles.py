"""Compare the posteriors of the package with those of independent programs, and write oracles.csv and oracles.md.

Run by `make validate`. Each comparison is of the same model on the same data; a difference of two posterior means is
counted in Monte Carlo standard errors of that difference.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
import xarray as xr

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from plain_alsfrsr import plain_posterior  # noqa: E402
from test_bambi import SPREAD, plain_bambi, uncorrelated  # noqa: E402
from trials import as_bambi_states_it, line_trial  # noqa: E402

from slopeshift.answers import quantities  # noqa: E402
from slopeshift.design.visits import visits_of  # noqa: E402
from slopeshift.fit.sample import sample  # noqa: E402
from slopeshift.fit.store import Settings  # noqa: E402
from slopeshift.model.files import load_model  # noqa: E402
from slopeshift.simulate import DEFAULT_DESIGN, DEFAULT_TRUTH, simulate  # noqa: E402
from slopeshift.trial import read_trial, trial_from_tables  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slopeshift.trial import Trial

HERE = Path(__file__).parent
TRIAL = ROOT / "data" / "synthetic-msc-als"
MODEL = ROOT / "models" / "alsfrsr.py"
RATS = ROOT / "tests" / "rats"
LIMIT = 3.0
BENDS = ("sd_curvature", "curvature_by_level", "curvature_by_slope")
SETTINGS = Settings(seed=1, draws=5000, tune=1000, chains=4, prior_draws=10)
DIGITS = {"mean": 4, "oracle mean": 4, "MCSE of the difference": 5, "difference": 2, "sd": 4, "oracle sd": 4}


def main() -> None:
    """Run every comparison, or those named, and write what they found."""
    wanted = sys.argv[1:] or list(ORACLES)
    path = HERE / "oracles.csv"
    kept = pd.read_csv(path) if path.exists() else pd.DataFrame(columns=["oracle"])
    for name in wanted:
        title, compare = ORACLES[name]
        table = compare().assign(oracle=name)
        kept = pd.concat([kept[kept["oracle"] != name], table], ignore_index=True)
        print(f"{name}: {title}\n{table.to_string(index=False)}", flush=True)
        rounded = kept.round(DIGITS)
        rounded[["oracle", *(c for c in rounded if c != "oracle")]].to_csv(path, index=False, lineterminator="\n")
    (HERE / "oracles.md").write_text(part(pd.read_csv(path)), encoding="utf-8")
    print(f"wrote {path} and oracles.md")


# ---- what is compared ----


def exact(file_path: Path, trial: Trial, settings: Settings = SETTINGS) -> dict[str, np.ndarray]:
    """Fit with the package: draws (chain, draw) of what is said of the population, and of the first patient."""
    draws = sample(load_model(file_path), trial, settings, progress=False).tree["posterior"].to_dataset()
    return by_name(draws)


def by_name(draws: xr.Dataset) -> dict[str, np.ndarray]:
    """Lay a posterior out by quantity."""
    found = {str(c): draws["population"].sel(coefficient=c) for c in draws.indexes["coefficient"]}
    found |= {name: draws[name] for name in (*SPREAD, *BENDS) if name in draws}
    if "correlation" in draws:
        found |= {f"correlation {p}": draws["correlation"].sel(pair=p) for p in draws.indexes["pair"]}
    if "coefficients" in draws:
        first = draws["coefficients"].isel(patient=0)
        changes = [c for c in draws.indexes["coefficient"] if str(c).startswith("change")]
        found |= {f"first patient's {c}": first.sel(coefficient=c) for c in changes}
    return {name: values.transpose("chain", "draw").to_numpy() for name, values in found.items()}


def summary(draws: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Mean, SD and Monte Carlo error of each quantity: a row each, by name."""
    stacked = np.stack(list(draws.values()), axis=-1)
    table = quantities.summarise(xr.DataArray(stacked, dims=("chain", "draw", "row")))
    return table.set_index(pd.Index(draws, name="quantity"))


def compared(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Set two summaries side by side: the difference of means in Monte Carlo errors of it."""
    rows = []
    for name in [name for name in theirs.index if name in ours.index]:
        one, other = ours.loc[name], theirs.loc[name]
        error = float(np.hypot(one["mcse"], other["mcse"]))
        rows.append(
            {
                "quantity": name,
                "mean": one["mean"],
                "oracle mean": other["mean"],
                "MCSE of the difference": error,
                "difference": (one["mean"] - other["mean"]) / error,
                "sd": one["sd"],
                "oracle sd": other["sd"],
            }
        )
    return pd.DataFrame(rows)


def plain_pymc() -> pd.DataFrame:
    """The whole model, on the synthetic trial, against plain PyMC that shares no code with the package."""
    return compared(summary(exact(MODEL, read_trial(TRIAL))), summary(plain_posterior(TRIAL)))


def bambi() -> pd.DataFrame:
    """Without correlations and cycle deviations, against a formula that Bambi alone fits."""
    trial = line_trial(patients=10, injections=2, seed=5)
    theirs = plain_bambi(trial)
    draws = {str(c): theirs["population"].sel(coefficient=c) for c in theirs["population"].indexes["coefficient"]}
    draws |= {name: theirs[name] for name in SPREAD if name in theirs}
    by_bambi = {name: values.transpose("chain", "draw").to_numpy() for name, values in draws.items()}
    with tempfile.TemporaryDirectory() as folder:
        file = uncorrelated(Path(folder), sd_cycle="HalfNormal(0.005)")
        ours = sample(file, trial, SETTINGS, progress=False).tree["posterior"].to_dataset()
    return compared(summary(by_name(ours)), summary(by_bambi))


def formula() -> pd.DataFrame:
    """Without correlations, the deviations of cycles included: the exact engine against Bambi's statement of models/formula.py."""
    trial = line_trial(patients=10, injections=2, seed=5)
    settings = replace(SETTINGS, draws=4000, tune=1500)
    written_out = as_bambi_states_it(load_model(ROOT / "models" / "formula.py"))
    theirs = by_name(sample(written_out, trial, settings, progress=False).tree["posterior"].to_dataset())
    with tempfile.TemporaryDirectory() as folder:
        file = uncorrelated(Path(folder))
        ours = by_name(sample(file, trial, SETTINGS, progress=False).tree["posterior"].to_dataset())
    return compared(summary(ours), summary({n: v for n, v in theirs.items() if not n.startswith("correlation")}))


def rats() -> pd.DataFrame:
    """The rats of Gelfand et al. (1990) against a long Stan posterior of the same model."""
    reference = json.loads((RATS / "reference.json").read_text())
    names = {"cor_level_slope": "correlation level, slope"}
    theirs = pd.DataFrame(reference["parameters"]).T.rename(index=names).rename(columns={"mcse_mean": "mcse"})
    posterior = sample(load_model(RATS / "weight.py"), read_trial(RATS), SETTINGS, progress=False).tree["posterior"]
    ours = by_name(posterior.to_dataset())
    ours["weight_at_age_22"] = ours["level"] + 22 * ours["slope"]
    for coefficient in ("level", "slope"):
        for rat in ("rat01", "rat15", "rat30"):
            values = posterior["coefficients"].sel(patient=rat, coefficient=coefficient)
            ours[f"{rat} {coefficient}"] = values.transpose("chain", "draw").to_numpy()
            of_rat = pd.Series(reference["patients"][rat][coefficient]).rename({"mcse_mean": "mcse"})
            theirs.loc[f"{rat} {coefficient}"] = of_rat
    return compared(summary(ours), theirs)


def mixedlm() -> pd.DataFrame:
    """With priors too wide to matter, on 80 simulated patients, against REML by statsmodels.

    REML has estimates in place of a posterior: the differences are counted in posterior SDs.
    """
    share = tuple(round(80 * n / 20) for n in DEFAULT_DESIGN.patients_per_cycle)
    design = replace(DEFAULT_DESIGN, enrolled=80, patients_per_cycle=share)
    settings = {"title": "Eighty", "synthetic": True, "source": "simulated"}
    trial = trial_from_tables("eighty", simulate(design, DEFAULT_TRUTH, 1).tables, settings)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "alsfrsr.py").write_text(with_priors(MODEL.read_text(), WIDE))
        ours = summary(exact(Path(shutil.copy(MODEL.with_name("alsfrsr_straight.py"), folder)), trial))
    theirs = reml(trial)
    rows = []
    for name, (estimate, error) in theirs.items():
        one = ours.loc[name]
        away = (one["mean"] - estimate) / one["sd"]
        row = {"quantity": name, "mean": one["mean"], "oracle mean": estimate, "difference": away}
        rows.append(row | {"sd": one["sd"], "oracle sd": error})
    return pd.DataFrame(rows)


WIDE = {
    "level": "Normal(35, 1000)",
    "slope": "Normal(-1, 100)",
    "change": "Normal(0, 100)",
    "change_by_injection": "Normal(0, 100)",
    "sd_level": "HalfNormal(100)",
    "sd_slope": "HalfNormal(20)",
    "sd_response": "HalfNormal(20)",
    "sd_cycle": "HalfNormal(0.001)",
    "correlation": "LKJ(1)",
    "sigma": "HalfNormal(100)",
}
"""Priors that say next to nothing; MixedLM has no deviations of cycles, so these are kept at zero."""


def with_priors(text: str, priors: Mapping[str, str]) -> str:
    """Replace priors of a model file, and the prior that a trial's control could give."""
    text = re.sub(r"FromControl\(\s*otherwise=(Normal\([^)]*\))\s*\)", r"\1", text)
    for argument, prior in priors.items():
        text, count = re.subn(rf"\b{argument}=\w+\([^)]*\)", f"{argument}={prior}", text)
        if count != 1:
            raise SystemExit(f"{argument}: stated {count} times in {MODEL}; one was expected")
    return text


def reml(trial: Trial) -> dict[str, tuple[float, float]]:
    """Estimates and standard errors by REML; NaN where statsmodels gives no error."""
    visits = visits_of(trial, "alsfrsr")
    hinges = visits.basis[:, 2:]
    table = pd.DataFrame(hinges, columns=[f"b{k}" for k in visits.injections]).assign(
        score=visits.value, month=visits.month, since=hinges.sum(axis=1), patient=visits.patient_index
    )
    fixed = " + ".join(f"b{k}" for k in visits.injections)
    model = smf.mixedlm(f"score ~ month + {fixed}", table, groups="patient", re_formula="~month + since")
    with warnings.catch_warnings():
        # The estimate of this covariance is singular, or nearly, and statsmodels says so at every step.
        warnings.simplefilter("ignore")
        found = model.fit(reml=True, method="bfgs")
    if not found.converged:
        raise SystemExit("MixedLM did not converge, so its estimates are no oracle: try another optimizer in reml()")
    names = {"Intercept": "level", "month": "slope"} | {f"b{k}": f"change {k}" for k in visits.injections}
    estimates = {names[n]: (float(found.fe_params[n]), float(found.bse_fe[n])) for n in names}
    sds = np.sqrt(np.diag(found.cov_re))
    estimates |= dict(zip(("sd_level", "sd_slope", "sd_response"), ((float(sd), np.nan) for sd in sds), strict=True))
    return estimates | {"sigma": (float(np.sqrt(found.scale)), np.nan)}


ORACLES = {
    "plain-pymc": ("plain PyMC, sharing no code with the package, on data/synthetic-msc-als", plain_pymc),
    "bambi": ("Bambi alone, without correlations and deviations of cycles", bambi),
    "formula": ("models/formula.py, sampled, against the exact engine without correlations", formula),
    "rats": ("Stan (brms 2.18), the rats of Gelfand et al. 1990, J Am Stat Assoc 85:972-985", rats),
    "mixedlm": ("statsmodels' MixedLM by REML, priors too wide to matter, 80 simulated patients", mixedlm),
}
"""Comparisons by name: what stands on the other side, and what makes the table."""


# ---- what is written ----

INTRODUCTION = f"""## Oracles

Each table compares posterior means of the package with those of an independent program for the same model, priors and data.
The difference is in Monte Carlo standard errors (MCSE) of the difference. Of so many comparisons a few lie beyond 2 by chance, and all should lie within {LIMIT:g}.
MixedLM has no posterior, so its differences are in posterior standard deviations. Fixed effects should agree within a tenth of one. Standard deviations should agree within one: their posterior is skewed, and REML gives its mode.
`make validate` runs all of them in some minutes."""


def part(table: pd.DataFrame) -> str:
    """Write the tables as a part of the page."""
    parts = [INTRODUCTION, overview(table)]
    for name, (title, _) in ORACLES.items():
        found = table[table["oracle"] == name].drop(columns="oracle").dropna(axis=1, how="all")
        if len(found):
            parts.append(f"### {name}: {title}\n\n{markdown(found)}")
    return "\n\n".join(parts) + "\n"


def overview(table: pd.DataFrame) -> str:
    """Say of every oracle how many quantities agree."""
    rows = []
    for name in ORACLES:
        found = table[table["oracle"] == name]
        if not len(found):
            continue
        largest = found["difference"].abs().max()
        unit = "posterior SD" if name == "mixedlm" else "MCSE"
        within = int((found["difference"].abs() <= (1 if name == "mixedlm" else LIMIT)).sum())
        rows.append({"oracle": name, "quantities": len(found), "within": within, "largest": f"{largest:.2f} {unit}"})
    return markdown(pd.DataFrame(rows))


def markdown(table: pd.DataFrame) -> str:
    """Lay a table out in Markdown."""
    text = table.astype(object).where(table.notna(), "")
    lines = [list(text.columns), ["---"] * len(text.columns), *text.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


if __name__ == "__main__":
    main()

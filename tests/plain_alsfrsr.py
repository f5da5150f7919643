"""The model of models/alsfrsr.py written again in plain PyMC, from the equations in its docstring and CSV files alone.

It imports nothing of the package. Patients are written out and not centred, R is built by PyMC's own LKJ distribution,
and standard deviations are sampled on the log scale: another basis, other variables and another geometry than those
of the exact engine, for the same posterior.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt


def months_while_latest(month, given):
    """Count the months by `month` that each injection, given at the months `given`, was the latest one."""
    ends = [*given[1:], np.inf] if given else []
    return [max(0.0, min(month, end) - start) for start, end in zip(given, ends, strict=True)]


def tables(folder):
    """Read scores, months since the first injection, months while each injection was the latest, and whose they are."""
    visits, injections = (pd.read_csv(Path(folder) / f"{name}.csv") for name in ("visits", "injections"))
    patients = list(pd.read_csv(Path(folder) / "patients.csv")["patient"])
    number = int(injections["injection"].max())
    score, month, hinges, whose = [], [], [], []
    for _, row in visits.dropna(subset=["alsfrsr"]).iterrows():
        given = sorted(injections.loc[injections["patient"] == row["patient"], "month"])
        first = given[0] if given else 0.0
        spent = months_while_latest(row["month"], given)
        score.append(row["alsfrsr"])
        month.append(row["month"] - first)
        hinges.append(spent + [0.0] * (number - len(spent)))
        whose.append(patients.index(row["patient"]))
    return np.array(score), np.array(month), np.array(hinges), np.array(whose), len(patients)


def plain_model(folder):
    """Build the model of the trial in a folder."""
    score, month, hinges, whose, patients = tables(folder)
    injections = hinges.shape[1]
    with pm.Model() as model:
        level = pm.Normal("level", 35, 4)
        slope = pm.Normal("slope", -1, 0.4)
        curvature = pm.Normal("curvature", 0, 0.03)
        change = pm.Normal("change_common", 0, 0.3) + pm.Normal("change_own", 0, 0.15, shape=injections)
        pm.Deterministic("change", change)
        sd_level = pm.HalfNormal("sd_level", 5)
        sd_slope = pm.Gamma("sd_slope", mu=0.75, sigma=0.25)
        sd_response = pm.HalfNormal("sd_response", 0.3)
        sd_cycle = pm.HalfNormal("sd_cycle", 0.15)
        sd_curvature = pm.HalfNormal("sd_curvature", 0.06)
        by_level, by_slope = (
            pm.Normal("curvature_by_level", -0.004, 0.003),
            pm.Normal("curvature_by_slope", -0.04, 0.03),
        )
        sigma = pm.Gamma("sigma", mu=2, sigma=0.4)
        # Only the correlations of this covariance are used; its own standard deviations are independent of them.
        _, correlation, _ = pm.LKJCholeskyCov(
            "covariance", n=3, eta=2, sd_dist=pm.HalfNormal.dist(1, size=3), compute_corr=True
        )
        pm.Deterministic("correlation", pt.stack([correlation[0, 1], correlation[0, 2], correlation[1, 2]]))
        root = pt.linalg.cholesky(correlation)
        own = pm.Normal("own", size=(patients, 3)) @ (root * pt.stack([sd_level, sd_slope, sd_response])[:, None]).T
        cycle = sd_cycle * pm.Normal("cycle", size=(patients, injections))
        changes = pm.Deterministic("patient_change", change + own[:, 2:3] + cycle)
        bend = by_level * own[:, 0] + by_slope * own[:, 1] + sd_curvature * pm.Normal("own_bend", shape=patients)
        mean = level + own[whose, 0] + (slope + own[whose, 1]) * month + (changes[whose] * hinges).sum(axis=1)
        pm.Normal("score", mean + (curvature + bend[whose]) * month**2 / 2, sigma, observed=score)
    return model


def plain_posterior(folder, draws=4000, tune=1500, chains=4, seed=1):
    """Sample it: the posterior's variables, by the names that the package gives them."""
    with plain_model(folder):
        tree = pm.sample(
            draws,
            tune=tune,
            chains=chains,
            random_seed=seed,
            target_accept=0.95,
            nuts_sampler="nutpie",
            progressbar=False,
            compute_convergence_checks=False,
        )
    posterior = tree["posterior"].to_dataset()
    found = {name: posterior[name] for name in ("level", "slope", "sd_level", "sd_slope", "sd_response", "sd_cycle")}
    bend = ("curvature", "sd_curvature", "curvature_by_level", "curvature_by_slope")
    found |= {name: posterior[name] for name in ("sigma", *bend)}
    for k in range(posterior.sizes["change_dim_0"]):
        found[f"change {k + 1}"] = posterior["change"].isel(change_dim_0=k)
    for i, pair in enumerate(("level, slope", "level, response", "slope, response")):
        found[f"correlation {pair}"] = posterior["correlation"].isel(correlation_dim_0=i)
    first = posterior["patient_change"].isel(patient_change_dim_0=0)
    for k in range(posterior.sizes["change_dim_0"]):
        found[f"first patient's change {k + 1}"] = first.isel(patient_change_dim_1=k)
    return {name: values.transpose("chain", "draw").to_numpy() for name, values in found.items()}

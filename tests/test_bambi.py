"""Bambi as an oracle: a formula fitted by Bambi alone, and by the exact engine with the correlation switched off.

Two programs that share no code but PyMC's, with other parametrisations and other samplers, on the same priors.
"""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from trials import ROOT, as_bambi_states_it, line_trial

from slopeshift.design.visits import visits_of
from slopeshift.fit.sample import sample
from slopeshift.fit.store import Settings
from slopeshift.model.files import load_model
from slopeshift.trial import trial_from_tables

pytestmark = pytest.mark.slow

SETTINGS = Settings(seed=1, draws=1000, tune=1000, chains=4, prior_draws=10)
SPREAD = ["sd_level", "sd_slope", "sd_response", "sd_cycle", "sigma"]


@pytest.fixture(scope="module")
def trial():
    return line_trial(patients=10, injections=2, seed=5)


def uncorrelated(folder, **replaced):
    """Load the straight model, every prior as it ships but for those replaced, with correlations of 0 to 0.02 or so."""
    text = (ROOT / "models" / "alsfrsr.py").read_text()
    for argument, prior in {"correlation": "LKJ(1e4)", **replaced}.items():
        text, count = re.subn(rf"\b{argument}=\w+\([^)]*\)", f"{argument}={prior}", text)
        assert count == 1, argument
    (folder / "alsfrsr.py").write_text(text)
    return load_model(Path(shutil.copy(ROOT / "models" / "alsfrsr_straight.py", folder)))


def population(draws):
    """Stack what is said of the population: (chain, draw, quantity)."""
    parts = [draws["population"].rename(coefficient="quantity")]
    parts += [draws[name].expand_dims(quantity=[name]) for name in SPREAD if name in draws]
    return xr.concat(parts, "quantity", coords="minimal", compat="override").rename("x")


def assert_same_posterior(one, other):
    """Compare means within 4.5 Monte Carlo errors of their difference, and standard deviations within 15 %."""
    import arviz as az

    one, other = (values.sel(quantity=other["quantity"]) for values in (one, other))
    mcse = [az.mcse(values.to_dataset())["x"].to_numpy() for values in (one, other)]
    z = (one.mean(("chain", "draw")) - other.mean(("chain", "draw"))).to_numpy() / np.hypot(*mcse)
    ratio = (one.std(("chain", "draw")) / other.std(("chain", "draw"))).to_numpy()
    found = pd.DataFrame({"z": z, "ratio of sd": ratio}, index=one["quantity"].to_numpy())
    assert (abs(z) < 4.5).all(), found
    assert (abs(np.log(ratio)) < np.log(1.15)).all(), found
    # A sampler that hardly moved would agree with anything.
    for error, values in zip(mcse, (one, other), strict=True):
        assert (error < 0.1 * values.std(("chain", "draw"))).all()


def plain_bambi(trial):
    """Fit the formula with nothing but Bambi: its own parameters, its own parametrisation, PyMC's own sampler."""
    visits = visits_of(trial, "alsfrsr")
    table = pd.DataFrame(
        {
            "score": visits.value,
            "month": visits.month,
            "since": visits.basis[:, 2:].sum(axis=1),
            "b1": visits.basis[:, 2],
            "b2": visits.basis[:, 3],
            "patient": np.array(visits.patients)[visits.patient_index],
        }
    )

    import bambi as bmb

    def differing(name, **numbers):
        return bmb.Prior("Normal", mu=0, sigma=bmb.Prior(name, **numbers))

    model = bmb.Model(
        "score ~ 1 + month + since + b1 + b2 + (1 + month + since | patient)",
        table,
        priors={
            "Intercept": bmb.Prior("Normal", mu=35, sigma=4),
            "month": bmb.Prior("Normal", mu=-1, sigma=0.4),
            "since": bmb.Prior("Normal", mu=0, sigma=0.3),
            "b1": bmb.Prior("Normal", mu=0, sigma=0.15),
            "b2": bmb.Prior("Normal", mu=0, sigma=0.15),
            "1|patient": differing("HalfNormal", sigma=5),
            "month|patient": differing("Gamma", mu=0.75, sigma=0.25),
            "since|patient": differing("HalfNormal", sigma=0.3),
            "sigma": bmb.Prior("Gamma", mu=2, sigma=0.4),
        },
        center_predictors=False,
    )
    fitted = model.fit(
        draws=1500, tune=1000, chains=4, random_seed=1, inference_method="nutpie", nuts={"target_accept": 0.95},
        progressbar=False,
    )  # fmt: skip
    draws = fitted["posterior"].to_dataset()
    line = [draws["Intercept"], draws["month"], draws["since"] + draws["b1"], draws["since"] + draws["b2"]]
    names = ["level", "slope", "change 1", "change 2"]
    found = {"population": xr.concat(line, "coefficient").assign_coords(coefficient=names)}
    of = {"sd_level": "1|patient_sigma", "sd_slope": "month|patient_sigma", "sd_response": "since|patient_sigma"}
    return found | {name: draws[bambi] for name, bambi in of.items()} | {"sigma": draws["sigma"]}


def test_bambi_alone_and_the_exact_engine_give_one_posterior(trial, tmp_path):
    """Without deviations of single cycles, which have no plain formula: their SD is kept below a hundredth."""
    exact = sample(uncorrelated(tmp_path, sd_cycle="HalfNormal(0.005)"), trial, SETTINGS, progress=False)
    assert_same_posterior(population(exact.tree["posterior"].to_dataset()), population(plain_bambi(trial)))


def everything(draws):
    """Stack population, spread, regression and the coefficients of two patients: (chain, draw, quantity)."""
    parts = [population(draws), draws["regression"].rename(covariate="quantity")]
    of = draws["coefficients"].isel(patient=[0, 1]).stack(quantity=["patient", "coefficient"])
    names = [f"{patient} {name}" for patient, name in of["quantity"].to_numpy()]
    parts.append(of.drop_vars(["quantity", "patient", "coefficient"]).assign_coords(quantity=names))
    return xr.concat([part.transpose("chain", "draw", "quantity") for part in parts], "quantity", coords="minimal")


def test_a_formula_gives_one_posterior_whether_its_terms_are_integrated_out_or_sampled():
    """The intervals included, which differ between patients, and what is drawn back of patients."""
    given = pd.DataFrame([(f"P{i}", k, m) for i in range(1, 9) for k, m in ((1, 0.0), (2, 3.0 + i % 3))])
    tables = line_trial(patients=8, injections=2, seed=5)
    trial = trial_from_tables(
        "uneven",
        {
            "patients": tables.patients[["patient"]],
            "visits": tables.visits[["patient", "month", "alsfrsr"]],
            "injections": given.set_axis(["patient", "injection", "month"], axis=1),
        },
        {"title": "Uneven", "synthetic": True, "source": "test"},
    )
    file = load_model(ROOT / "models" / "formula.py")
    exact = sample(file, trial, SETTINGS, progress=False)
    sampled = sample(as_bambi_states_it(file), trial, SETTINGS, progress=False)
    assert "loading" in exact.tree["posterior"]
    assert "since" in sampled.tree["posterior"]
    assert_same_posterior(*(everything(fit.tree["posterior"].to_dataset()) for fit in (exact, sampled)))


def test_the_formula_model_and_the_exact_engine_give_one_posterior(trial, tmp_path):
    """As they ship, every prior and the deviations of cycles included, but for the correlation.

    All intervals of this trial are equal, so the formula's terms for them drop out.
    """
    ours = sample(load_model(ROOT / "models" / "formula.py"), trial, replace(SETTINGS, draws=2000), progress=False)
    exact = sample(uncorrelated(tmp_path), trial, SETTINGS, progress=False)
    assert_same_posterior(*(population(fit.tree["posterior"].to_dataset()) for fit in (exact, ours)))

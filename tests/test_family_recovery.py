"""Families and shapes against truths that the plain model does not know, over many simulated trials."""

from dataclasses import replace

import numpy as np
import nutpie
import pandas as pd
import pytest
from trials import ROOT

from slopeshift.basis import visits_of
from slopeshift.fit import Settings, sample
from slopeshift.model import load_model
from slopeshift.refit import Sampling, compile_once, population_changes
from slopeshift.results import results_of
from slopeshift.shape import Shape
from slopeshift.trial import read_trial, trial_from_tables

pytestmark = pytest.mark.slow

MODELS = ROOT / "models"
SETTINGS = {"title": "Simulated", "synthetic": True, "source": "test"}
SAMPLING = Sampling(draws=400, tune=400)


def design(patients=20, injections=2, before=3, cycle=4):
    """Monthly visits from `before` months before the first of injections that are `cycle` months apart."""
    names = [f"P{i}" for i in range(1, patients + 1)]
    visits = [(name, float(m)) for name in names for m in range(-before, cycle * injections + 1)]
    given = [(name, k + 1, float(cycle * k)) for name in names for k in range(injections)]
    tables = {
        "patients": pd.DataFrame({"patient": names}),
        "visits": pd.DataFrame(visits, columns=["patient", "month"]).assign(alsfrsr=24),
        "injections": pd.DataFrame(given, columns=["patient", "injection", "month"]),
    }
    return trial_from_tables("simulated", tables, SETTINGS)


def scores(trial, rng, shape=Shape(), level=(35, 5), change=0.0, curvature=(0.0, 0.0), residual=None):
    """Scores of patients drawn by hand, with one change of the population for all injections."""
    visits = visits_of(trial, "alsfrsr", Shape(shape.window, shape.lag, shape.half_life, curved=True))
    n, k = len(visits.patients), len(visits.injections)
    theta = np.column_stack(
        [
            rng.normal(*level, n),
            rng.normal(-1.1, 0.5, n),
            rng.normal(*curvature, n),
            change + rng.normal(0, 0.15, n)[:, None] + rng.normal(0, 0.08, (n, k)),
        ]
    )
    mean = (visits.basis * theta[visits.patient_index]).sum(axis=1)
    noise = rng.normal(0, 2, len(mean)) if residual is None else residual(rng, visits)
    return np.clip(np.round(mean + noise), 0, 48)


def written_out(name, trial, edit=lambda text: text):
    """Compile a model that samples its coefficients, to be fitted to other values of the same trial."""
    compiled = nutpie.compile_pymc_model(_build(name, trial, edit))

    def fit(values, seed):
        tree = nutpie.sample(
            compiled.with_data(recorded=values),
            draws=SAMPLING.draws,
            tune=SAMPLING.tune,
            chains=2,
            seed=seed,
            target_accept=SAMPLING.target_accept,
            save_warmup=False,
            progress_bar=False,
        )
        return tree["posterior"].to_dataset()

    return fit


def _build(name, trial, edit):
    text, path = edit((MODELS / f"{name}.py").read_text()), MODELS / f"{name}.py"
    file = load_model(path)
    namespace = {}
    exec(compile(text, path, "exec"), namespace)
    assert file.outcome == "alsfrsr"
    return namespace["build"](trial)


def overall(draws, visits):
    return population_changes(draws, visits).set_index("injection").loc["overall"]


LOW = "Normal(35, 4)", "Normal(12, 4)"


@pytest.mark.parametrize("change", [0.0, -0.3])
def test_near_the_floor_the_bounded_model_finds_the_change_that_the_normal_one_misses(change, record_property):
    """At levels of 12 a line that goes on reaches the floor of the scale, where scores cannot fall any further."""
    trial, number = design(), 20
    visits = visits_of(trial, "alsfrsr")
    low = lambda text: text.replace(*LOW)  # noqa: E731
    normal = compile_once("alsfrsr", low((MODELS / "alsfrsr.py").read_text()), trial, SAMPLING)
    bounded = written_out("alsfrsr_bounded", trial, low)
    rows = []
    for seed in range(number):
        values = scores(trial, np.random.default_rng([seed, 7]), level=(12, 3.5), change=change)
        of_normal = overall(normal.fit(replace(visits, value=values), seed), visits)
        of_bounded = overall(bounded(values, seed), visits)
        rows.append((values == 0).mean())
        rows[-1] = (rows[-1], of_normal["mean"], of_normal["lower"], of_bounded["mean"], of_bounded["lower"],
                    of_normal["upper"], of_bounded["upper"])  # fmt: skip
    found = pd.DataFrame(rows, columns="floor normal n_lower bounded b_lower n_upper b_upper".split())
    missed = {
        name: int((~found[f"{name[0]}_lower"].le(change) | ~found[f"{name[0]}_upper"].ge(change)).sum())
        for name in ("normal", "bounded")
    }
    means = found[["floor", "normal", "bounded"]].mean()
    record_property("means", f"true {change}: {means.round(3).to_dict()}, missed of {number}: {missed}")
    print(f"true {change}: {means.round(3).to_dict()}, intervals that miss it, of {number}: {missed}")
    assert means["normal"] - change > 0.2
    assert abs(means["bounded"] - change) < 0.1
    assert missed["normal"] > number / 3
    assert missed["bounded"] <= 3

"""Where things are, and small trials for the tests."""

from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]


def line_trial(patients=6, injections=2, seed=0, **settings):
    """A trial of straight lines: monthly visits from -3, injections at months 0, 4, 8, ...; one patient untreated."""
    from slopeshift.trial import trial_from_tables

    rng = np.random.default_rng(seed)
    names = [f"P{i}" for i in range(1, patients + 1)]
    treated = names[:-1] if injections and patients > 1 else names
    last = 4.0 * max(injections, 1)
    visits = [(name, m) for name in names for m in np.arange(-3.0, (last if name in treated else 0.0) + 1)]
    table = pd.DataFrame(visits, columns=["patient", "month"])
    level, slope = (dict(zip(names, rng.normal(*of, patients), strict=True)) for of in ((35, 5), (-1, 0.7)))
    mean = table["patient"].map(level) + table["patient"].map(slope) * table["month"]
    table["alsfrsr"] = (mean + rng.normal(0, 2, len(table))).round().clip(0, 48)
    given = [(name, k + 1, 4.0 * k) for name in treated for k in range(injections)]
    tables = {
        "patients": pd.DataFrame({"patient": names}),
        "visits": table,
        "injections": pd.DataFrame(given, columns=["patient", "injection", "month"]),
    }
    return trial_from_tables("lines", tables, {"title": "Lines", "synthetic": True, "source": "test", **settings})


def posterior(draws=200, **fixed):
    """Draws as a fit has them, of a population of lines that is known within a point and 0.2 points a month."""
    import xarray as xr

    rng = np.random.default_rng(3)
    dims, shape = ("chain", "draw"), (2, draws)
    centre = rng.normal([35, -1.0], [1.0, 0.2], (*shape, 2))
    values = {"sd_level": 5.0, "sd_slope": 0.7, "sigma": 2.0} | fixed
    return xr.Dataset(
        {
            "population": ((*dims, "coefficient"), centre),
            "correlation": ((*dims, "pair"), np.full((*shape, 1), 0.5)),
            **{name: (dims, np.full(shape, value)) for name, value in values.items()},
        },
        coords={"coefficient": ["level", "slope"], "pair": ["level, slope"]},
    )


def varied(name, **changes):
    """A line model of models/ with other parts, as a variation of it would state them."""
    from dataclasses import replace

    from slopeshift.model.files import load_model

    file = load_model(ROOT / "models" / f"{name}.py")
    return replace(file, build=file.build.varied(**changes))


def as_bambi_states_it(file):
    """A formula's model file with every parameter a variable, which has to be compiled."""
    from dataclasses import replace

    from slopeshift.model.formula_exact import compile_as_written
    from slopeshift.model.formula_exact import written_out as of

    return replace(file, build=lambda trial: compile_as_written(of(file.build(trial)).model, "to be compared"))


def written_out(name):
    """A model of models/ with its coefficients sampled, whatever its family."""
    from slopeshift.model.families import normal_written_out

    file = varied(name)
    return varied(name, family=normal_written_out()) if file.build.family.integrated_out else file

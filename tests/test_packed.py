"""What is left out of a stored fit: only what comes out the same when it is made again, and it is told where not."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from trials import ROOT, line_trial

from slopeshift.fit import sample as fitting
from slopeshift.fit import store
from slopeshift.fit.packed import LEFT_OUT, packed, unpacked
from slopeshift.fit.posterior import posterior_of
from slopeshift.fit.store import Fit, FitError, Settings
from slopeshift.model.files import load_model

SMALL = Settings(seed=3, draws=60, tune=60, chains=2, prior_draws=50)
DRAWN_BACK = {"posterior": {"population", "coefficients"}, "prior": {"population", "coefficients"}}
MADE = ("posterior_predictive", "prior_predictive", "log_likelihood", "log_likelihood_of_patient")


@pytest.fixture(scope="module")
def trial():
    return line_trial()


@pytest.fixture(scope="module")
def fit(trial):
    """The model whose patients are integrated out, sampled: a fit as it is before it is stored."""
    return fitting.sample(load_model(ROOT / "models" / "alsfrsr.py"), trial, SMALL, progress=False)


@pytest.fixture(scope="module")
def written_out(trial):
    return fitting.sample(load_model(ROOT / "models" / "alsfrsr_student.py"), trial, SMALL, progress=False)


def stored(fit, trial, folder):
    """A fit after a way to the disk and back."""
    store.save(packed(fit, trial), folder)
    return store.open_fit(folder, fit.record["model"])


def test_all_of_a_fit_is_there_again_to_the_last_bit(fit, trial, tmp_path):
    again = unpacked(stored(fit, trial, tmp_path), trial)
    assert again.tree.children.keys() == fit.tree.children.keys()
    for name, group in fit.tree.children.items():
        xr.testing.assert_identical(group.to_dataset(), again.tree[name].to_dataset())
        assert all(group[v].dtype == again.tree[name][v].dtype for v in group.data_vars)


def test_what_follows_from_the_rest_is_not_stored(fit, trial, tmp_path):
    small = stored(fit, trial, tmp_path).tree
    left_out = {name: set(means) for name, means in json.loads(small.attrs[LEFT_OUT]).items()}
    assert left_out == DRAWN_BACK | {name: {"alsfrsr"} for name in MADE} | {"constant_data": left_out["constant_data"]}
    assert not set(MADE) & set(small.children)
    assert not {"coefficients", "population"} & set(small["posterior"].data_vars)


def test_a_stored_fit_that_is_judged_anew_and_stored_again_loses_nothing(fit, trial, tmp_path):
    again = stored(stored(fit, trial, tmp_path), trial, tmp_path / "again")
    xr.testing.assert_identical(
        unpacked(again, trial).tree["posterior"].to_dataset(), fit.tree["posterior"].to_dataset()
    )


def test_draws_that_were_changed_are_stored_as_they_are(fit, trial, tmp_path):
    """A fit whose coefficients are not those of its seed keeps them, and so does what is computed from them."""
    tree = fit.tree.copy()
    moved = tree["posterior"].to_dataset()
    tree["posterior"] = xr.DataTree(moved.assign(coefficients=moved["coefficients"] + 1e-9))
    found = stored(Fit(tree, fit.record), trial, tmp_path)
    assert "coefficients" in found.tree["posterior"]
    again = unpacked(found, trial).tree["posterior"]["coefficients"]
    np.testing.assert_array_equal(again, moved["coefficients"] + 1e-9)


def test_a_change_of_seed_leaves_nothing_out_that_would_come_out_otherwise(fit, trial):
    settings = fit.record["inputs"]["settings"] | {"seed": 4}
    other = Fit(fit.tree, {**fit.record, "inputs": fit.record["inputs"] | {"settings": settings}})
    assert not set(json.loads(packed(other, trial).tree.attrs[LEFT_OUT])["posterior"])


def test_other_random_numbers_than_when_it_was_made_are_noticed(fit, trial, tmp_path, monkeypatch):
    small = stored(fit, trial, tmp_path)
    made = fitting.remade
    monkeypatch.setattr(fitting, "remade", lambda *given: made(*given[:-1], given[-1] + 1))
    with pytest.raises(FitError, match=r"^alsfrsr: .*coefficients.* came out otherwise .*`slopeshift fit --force`"):
        unpacked(small, trial)


def test_a_fit_of_other_data_is_refused_before_anything_is_made(fit, trial, tmp_path):
    small = stored(fit, trial, tmp_path)
    other = Fit(small.tree, {**small.record, "inputs": small.record["inputs"] | {"data": {"visits.csv": "x"}}})
    for read in (unpacked, lambda fit, trial: posterior_of(trial, fit)):
        with pytest.raises(FitError, match="this fit was made from other data than trial lines"):
            read(other, trial)


def test_a_posterior_is_the_same_from_a_fit_and_from_what_is_stored_of_it(fit, trial, tmp_path):
    one, other = posterior_of(trial, fit), posterior_of(trial, stored(fit, trial, tmp_path))
    xr.testing.assert_identical(one.draws, other.draws)
    xr.testing.assert_identical(one.design, other.design)
    assert one.groups.keys() == other.groups.keys()


def test_where_patients_are_sampled_their_coefficients_are_kept_and_nothing_changes_on_the_way(
    written_out, trial, tmp_path
):
    again = unpacked(stored(written_out, trial, tmp_path), trial)
    for name, group in written_out.tree.children.items():
        xr.testing.assert_identical(group.to_dataset(), again.tree[name].to_dataset())
    posterior = written_out.tree["posterior"]
    assert {n for n, values in posterior.data_vars.items() if "patient" in values.dims} == {"coefficients"}
    draws = posterior["coefficients"].to_numpy()
    assert draws.dtype == np.float64
    np.testing.assert_array_equal(draws, draws.astype(np.float32))


def test_predictions_of_sampled_patients_are_those_that_the_checks_look_at():
    visit = xr.Dataset({"y": (("chain", "draw", "visit"), np.random.default_rng(1).normal(size=(4, 2500, 3)))})
    kept = fitting.smaller(visit.assign_coords(draw=range(2500)))
    assert kept["draw"].to_numpy().tolist() == list(range(0, 2500, 5))
    assert kept["y"].dtype == np.float32
    few = fitting.smaller(visit.isel(draw=slice(400)))
    assert few.sizes["draw"] == 400


def test_an_older_format_is_told_from_a_damaged_file(fit, trial, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "CURRENT", 1)
    store.save(packed(fit, trial), tmp_path)
    monkeypatch.undo()
    assert store.read_record(tmp_path, "alsfrsr") is None
    told = r"alsfrsr\.nc: stored in format 1 by another version of slopeshift, which reads 2 now; make it with `slopesh"
    with pytest.raises(FitError, match=told):
        store.open_fit(tmp_path, "alsfrsr")


def test_a_fit_without_a_format_number_is_of_the_first_one(fit, tmp_path):
    import netCDF4

    store.save(fit, tmp_path)
    with netCDF4.Dataset(tmp_path / "alsfrsr.nc", "a") as file:
        file.delncattr(store.FORMAT)
    with pytest.raises(FitError, match="stored in format 1"):
        store.open_fit(tmp_path, "alsfrsr")


def test_the_format_of_today_is_read(fit, trial, tmp_path):
    assert store.read_record(tmp_path, "alsfrsr") is None
    shutil.rmtree(tmp_path)
    assert stored(fit, trial, Path(tmp_path)).record["model"] == "alsfrsr"

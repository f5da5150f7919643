"""Fits: whole or not there, up to date by content, and never half a run passed off as a result."""

import json
import re
import socket
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from trials import ROOT, line_trial

from slopeshift.fit import sample as fitting
from slopeshift.fit import store
from slopeshift.fit.store import Fit, FitError, Settings
from slopeshift.model.files import load_model


def tiny(model="m", value=0.0, **record):
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"x": (("chain", "draw"), np.full((2, 3), value))})})
    return Fit(tree, {"model": model, "status": "sampled", "inputs": {}, **record})


def test_what_is_saved_is_what_is_opened(tmp_path):
    store.save(tiny(value=1.5, note="é"), tmp_path)
    again = store.open_fit(tmp_path, "m")
    np.testing.assert_array_equal(again.tree["posterior"]["x"], 1.5)
    assert again.record == tiny(note="é").record == store.read_record(tmp_path, "m")


def test_a_write_that_is_cut_short_leaves_the_last_good_fit_and_nothing_else(tmp_path, monkeypatch):
    store.save(tiny(value=1.0), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def dies(self, path, **_):
        Path(path).write_bytes(b"half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(xr.DataTree, "to_netcdf", dies)
    with pytest.raises(KeyboardInterrupt):
        store.save(tiny(value=2.0), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_a_killed_process_left_behind_is_swept_up(tmp_path):
    (tmp_path / f".m.nc.{re.sub(r'\W', '_', socket.gethostname())}-999999-abcd").write_bytes(b"half a file")
    store.save(tiny(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.json", "m.nc"]


def test_a_missing_fit_is_said_to_be_missing(tmp_path):
    with pytest.raises(FitError, match=r"m\.nc: no such fit; make it with `slopeshift fit`"):
        store.open_fit(tmp_path, "m")
    assert store.read_record(tmp_path, "m") is None


def test_a_record_without_its_fit_counts_as_no_fit(tmp_path):
    store.save(tiny(), tmp_path)
    (tmp_path / "m.nc").unlink()
    assert store.read_record(tmp_path, "m") is None


def test_a_stop_between_the_two_files_leaves_a_fit_that_says_what_it_is(tmp_path, monkeypatch):
    store.save(tiny(value=1.0, note="old"), tmp_path)
    monkeypatch.setattr(store, "save_record", lambda *_: None)
    store.save(tiny(value=2.0, note="new"), tmp_path)
    assert json.loads((tmp_path / "m.json").read_text())["note"] == "old"
    assert store.read_record(tmp_path, "m")["note"] == store.open_fit(tmp_path, "m").record["note"] == "new"


@pytest.mark.parametrize("keep", [0, 100, 3000])
def test_a_damaged_fit_counts_as_none_and_is_named(tmp_path, keep):
    store.save(tiny(), tmp_path)
    (tmp_path / "m.nc").write_bytes((tmp_path / "m.nc").read_bytes()[:keep])
    assert store.read_record(tmp_path, "m") is None
    with pytest.raises(FitError, match=r"m\.nc: damaged, or not a fit; make it with `slopeshift fit`"):
        store.open_fit(tmp_path, "m")


def test_a_damaged_record_of_a_skipped_model_counts_as_none(tmp_path, lines):
    file = load_model(ROOT / "models" / "fvc.py")
    store.save_record(fitting.skipped(file, lines, Settings()).record, tmp_path)
    (tmp_path / "fvc.json").write_text('{"status": "ski')
    assert store.read_record(tmp_path, "fvc") is None


def test_a_record_that_is_there_already_is_not_written_again(tmp_path):
    store.save(tiny(), tmp_path)
    before = (tmp_path / "m.json").stat().st_mtime_ns
    store.save_record(tiny().record, tmp_path)
    assert (tmp_path / "m.json").stat().st_mtime_ns == before


def test_skipping_a_model_removes_the_fit_of_earlier_data(tmp_path, lines):
    file = load_model(ROOT / "models" / "fvc.py")
    store.save(tiny("fvc"), tmp_path)
    store.save_record(fitting.skipped(file, lines, Settings()).record, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["fvc.json"]
    assert store.open_fit(tmp_path, "fvc").record["reason"] == "the trial records no fvc"


def test_inputs_change_with_data_model_settings_and_nothing_else():
    base = store.inputs({"visits.csv": "a", "patients.csv": "b"}, "m", Settings())
    assert base == store.inputs({"patients.csv": "b", "visits.csv": "a"}, "m", Settings())
    assert base != store.inputs({"patients.csv": "b", "visits.csv": "c"}, "m", Settings())
    assert base != store.inputs({"visits.csv": "a", "patients.csv": "b"}, "n", Settings())
    assert base != store.inputs({"visits.csv": "a", "patients.csv": "b"}, "m", Settings(seed=2))
    assert json.loads(json.dumps(base)) == base


@pytest.fixture(scope="module")
def lines():
    return line_trial()


class Interrupted:
    """A sampler whose user presses Ctrl-C."""

    cancelled = False

    def wait(self):
        raise KeyboardInterrupt

    def cancel(self):
        self.cancelled = True


def test_an_interrupted_run_is_cancelled_and_gives_no_result(monkeypatch):
    """nutpie's own blocking call returns the draws so far, which would look like a short but complete run."""
    sampler = Interrupted()
    import nutpie

    monkeypatch.setattr(nutpie, "sample", lambda compiled, **settings: sampler)
    with pytest.raises(KeyboardInterrupt):
        fitting.posterior_draws("a model", Settings(), progress=False)
    assert sampler.cancelled

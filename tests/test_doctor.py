"""The machine is looked at before it fails: caches that cannot be written, packages of other versions."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slopeshift.cli import app, doctor
from slopeshift.keep import caches


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A home and a package that cannot be written; what is set is forgotten afterwards."""
    for name in ("NUMBA_CACHE_DIR", "PYTENSOR_FLAGS", "MPLCONFIGDIR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(caches.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(caches, "can_write", lambda folder: Path(folder).is_relative_to(tmp_path))
    return tmp_path


def test_a_healthy_machine_is_ok_in_every_line():
    done = run("doctor")
    assert done.exit_code == 0, done.stdout
    assert "!!" not in done.stdout
    for what in ("Python", "packages", "BLAS", "Numba's cache", "PyTensor's cache", "cores", "memory"):
        assert what in done.stdout
    assert all(line["ok"] for line in json.loads(run("doctor", "--json").stdout)["checks"])


def test_caches_go_to_a_temporary_folder_where_nothing_else_can_be_written(nowhere):
    said = caches.use_writable()
    assert len(said) == 2
    assert all("cannot be written" in line for line in said)
    assert Path(os.environ["NUMBA_CACHE_DIR"]).is_relative_to(nowhere)
    assert caches.pytensor_place().is_relative_to(nowhere)
    assert caches.use_writable() == ()


def test_a_place_that_the_user_named_and_cannot_be_written_is_left_with_a_note(nowhere, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/read-only/cache")
    assert "/read-only/cache cannot be written" in caches.use_writable()[0]


def test_other_flags_of_pytensor_are_kept(nowhere, monkeypatch):
    monkeypatch.setenv("PYTENSOR_FLAGS", "floatX=float64,base_compiledir=/read-only")
    caches.use_writable()
    assert os.environ["PYTENSOR_FLAGS"].startswith("floatX=float64,base_compiledir=")
    assert "/read-only" not in os.environ["PYTENSOR_FLAGS"]


@pytest.mark.parametrize(
    ("requirement", "right"), [("numpy>=2,<99", True), ("numpy>=99", False), ("numpy<1", False), ("nosuch>=1", False)]
)
def test_packages_are_held_to_the_versions_that_are_wanted(requirement, right):
    assert (doctor._package(requirement).remedy == "") == right


def test_what_is_wrong_has_a_remedy_and_an_exit_status(monkeypatch):
    monkeypatch.setattr(doctor, "LEAST_MEMORY", 1e9)
    done = run("doctor")
    assert done.exit_code == 1
    assert "memory" in done.stdout.partition("!!")[0].splitlines()[-1]

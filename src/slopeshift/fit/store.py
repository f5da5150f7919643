"""Fits as they are kept: the draws with the record of their making, in files that are whole or not there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from slopeshift.keep.atomic import replacing
from slopeshift.keep.made_from import code, imported, program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import xarray as xr

RECORD, FORMAT = "slopeshift", "slopeshift_format"
"""The attributes of the stored tree that hold the record, and the number of its format."""

CURRENT = 2
"""The format that is written and read. 1 had everything in it; in 2, what follows from the rest is left out."""

ENGINE: Final = "netcdf4"
"""What xarray writes and reads fits with: the C library, several times as fast as h5netcdf."""

PACKAGES = ("slopeshift", "pymc", "pytensor", "nutpie", "arviz", "numpy", "pandas", "xarray")


class FitError(RuntimeError):
    """A fit is missing, incomplete, or was made from other inputs than those at hand."""


@dataclass(frozen=True)
class Settings:
    """How to sample. The defaults are meant for publication.

    `draws` and `tune` are per chain; `prior_draws` in all; `target_accept` is the mean acceptance NUTS aims at.
    """

    seed: int = 1
    draws: int = 2500
    tune: int = 1500
    chains: int = 4
    target_accept: float = 0.9
    prior_draws: int = 4000


@dataclass(frozen=True)
class Fit:
    """A fit as stored: the ArviZ tree (`posterior`, `sample_stats`, `prior`, ...) and the record of its making.

    The tree of a model that was skipped is empty.
    """

    tree: xr.DataTree
    record: Mapping[str, Any]


def inputs(trial_files: Mapping[str, str], source: str, settings: Settings) -> dict[str, Any]:
    """Describe, by content, all that decides a fit: data, model, the code that it is made with, and settings.

    `source` is that of the model, with the files that it varies (`files.source_of`). Neither its words nor those of the
    code count.
    """
    return {
        "data": dict(sorted(trial_files.items())),
        "model": program(source),
        "engine": code("fit.sample", *imported(source)),
        "settings": asdict(settings),
    }


def judged(fit: Fit, failures: list[str]) -> Fit:
    """Add the gate's verdict to the record of a fit."""
    return Fit(fit.tree, {**fit.record, "gate": {"passed": not failures, "failures": failures}})


def save(fit: Fit, folder: Path) -> None:
    """Write `<model>.nc` and `<model>.json` into `folder`, each whole or not at all.

    The tree carries the record, and is what is read; the `.json` is its copy for people and for make, so a stop between
    the two files leaves a fit that still says truly what it is.
    """
    name = fit.record["model"]
    tree = fit.tree.copy()
    tree.attrs = {**tree.attrs, FORMAT: str(CURRENT), RECORD: json.dumps(fit.record)}
    encoding = {f"/{group}": _encoding(node.to_dataset()) for group, node in tree.children.items()}
    with replacing(folder / f"{name}.nc") as path:
        tree.to_netcdf(path, engine=ENGINE, encoding=encoding)
    save_record(fit.record, folder)


def save_record(record: Mapping[str, Any], folder: Path) -> None:
    """Write `<model>.json` into `folder`, whole or not at all, unless it is there already.

    Of a model that was skipped, the fit of earlier data is removed.
    """
    if record["status"] == "skipped":
        (folder / f"{record['model']}.nc").unlink(missing_ok=True)
    target, text = folder / f"{record['model']}.json", json.dumps(record, indent=1) + "\n"
    if not target.exists() or target.read_bytes() != text.encode():
        with replacing(target) as path:
            path.write_bytes(text.encode())


def _encoding(dataset: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Compress arrays, and keep what is large and derived in single precision."""
    packed = {"zlib": True, "complevel": 1, "shuffle": True}
    derived = {"dtype": "float32"} if "visit" in dataset.dims and "draw" in dataset.dims else {}
    return {str(name): packed | derived for name, values in dataset.data_vars.items() if values.ndim}


def read_record(folder: Path, model: str) -> dict[str, Any] | None:
    """Read the record of a fit, or of a model that was skipped; None where there is neither or it cannot be read.

    Nor can one of another format.
    """
    path = folder / f"{model}.nc"
    try:
        if path.exists():
            attributes = _attributes(path)
            return dict(json.loads(attributes[RECORD])) if _format(attributes) == CURRENT else None
        record = json.loads((folder / f"{model}.json").read_bytes())
    except (OSError, KeyError, ValueError):
        return None
    return dict(record) if record["status"] == "skipped" else None


def _attributes(path: Path) -> dict[str, Any]:
    """Read what a stored tree says of itself, and none of its draws. Raises OSError where it is damaged."""
    import netCDF4

    with netCDF4.Dataset(path) as file:
        return {name: file.getncattr(name) for name in file.ncattrs()}


def _format(attributes: Mapping[str, Any]) -> int:
    return int(attributes.get(FORMAT, 1))


def open_fit(folder: Path, model: str) -> Fit:
    """Open a stored fit, or the record of a model that was skipped.

    Raises FitError where there is neither, or the file is damaged or of another format.
    """
    import xarray as xr

    record, path = read_record(folder, model), folder / f"{model}.nc"
    if record is None:
        raise FitError(f"{path}: {_wrong(path)}; make it with `slopeshift fit`")
    if record["status"] == "skipped":
        return Fit(xr.DataTree(), record)
    return Fit(xr.load_datatree(path, engine=ENGINE), record)


def _wrong(path: Path) -> str:
    """Say what is wrong with a fit that has no record that can be read."""
    if not path.exists():
        return "no such fit"
    try:
        attributes = _attributes(path)
    except OSError:
        attributes = {}
    if RECORD in attributes and _format(attributes) != CURRENT:
        return f"stored in format {_format(attributes)} by another version of slopeshift, which reads {CURRENT} now"
    return "damaged, or not a fit"

"""The doors to other packages: what is used of them beyond what they promise stands in one file each, and is there."""

import ast
import inspect
import sys
import tomllib
from importlib.metadata import packages_distributions

import nutpie
import pymc as pm
import pytest
from nutpie.compile_pymc import CompiledPyMCModel
from packaging.requirements import Requirement
from trials import ROOT

from slopeshift.engine import density
from slopeshift.keep.made_from import code

PACKAGE = ROOT / "src/slopeshift"
SOURCES = {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in PACKAGE.rglob("*.py")}

DOORS = {
    "pytensor": ["engine/foreign.py"],
    "pymc": ["engine/foreign.py"],
    "numba": ["engine/compiling.py", "engine/simd.py"],
    "llvmlite": ["engine/simd.py"],
    "nutpie": ["fit/nuts.py"],
    "arviz_stats": ["answers/arviz_stats.py"],
}
"""Packages of which more is used than they promise, and the files that may import it: of numba, one for what is kept of
its programs and one for its types."""

PROMISED = {"pytensor", "pytensor.tensor", "pymc", "numba"}
"""Modules of these that any file may import."""


def imports(source):
    """List the modules of other packages that a text imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(module)):
                found.add(module)
    return found


def past_the_door(sources):
    """List what is imported of another package's insides elsewhere than in its door."""
    return {
        (file, module)
        for file, source in sources.items()
        for module in imports(source)
        if file not in DOORS.get(module.partition(".")[0], [file]) and module not in PROMISED
    }


def test_insides_of_other_packages_are_imported_by_their_door_alone():
    assert past_the_door(SOURCES) == set()


@pytest.mark.parametrize(
    "text",
    [
        "from pytensor.graph.op import Op",
        "import nutpie",
        "def f():\n    from arviz_stats.base.array import array_stats",
    ],
)
def test_an_import_past_the_door_is_seen(text):
    assert past_the_door({"fit/sample.py": text})


@pytest.mark.parametrize(("package", "door"), [(package, door) for package in DOORS for door in DOORS[package]])
def test_what_a_door_imports_is_there(package, door):
    """So that an upgrade that takes a name away breaks here, by the name."""
    for node in ast.walk(ast.parse(SOURCES[door])):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if module.partition(".")[0] == package:
                there = __import__(module, fromlist=["_"])
                gone = [alias.name for alias in names if not hasattr(there, alias.name)]
                assert not gone, f"{module} has no {gone}: {door} needs another way"


def test_pymc_keeps_values_and_variables_where_the_door_exchanges_them():
    assert {"rvs_to_values", "values_to_rvs", "named_vars_to_dims"} <= set(vars(pm.Model()))


def test_numba_keeps_programs_by_a_stamp():
    cache = density.log_density._cache
    assert (cache._cache_file._source_stamp, cache._py_func.__name__) == (code("engine.density"), "log_density")


def test_nutpie_takes_what_the_door_hands_it():
    taken = {"draws", "tune", "chains", "cores", "seed", "adaptation", "save_warmup", "progress_bar", "blocking"}
    assert taken | {"return_raw_trace"} <= set(inspect.signature(nutpie.sample).parameters)
    assert {"shared_var_keys", "with_data"} <= set(dir(CompiledPyMCModel)) | set(CompiledPyMCModel.__annotations__)
    assert {"wait", "cancel"} <= set(dir(nutpie.sample.__globals__["_BackgroundSampler"]))


@pytest.mark.parametrize("name", ["nutpie().sample", "nutpie().compile_pymc_model"])
def test_nutpie_is_called_in_one_place(name):
    """Its settings then hold for every posterior: of fits, refits, calibrations and second stages."""
    places = [ROOT / "bench", ROOT / "validation", PACKAGE]
    calls = [
        path.name
        for place in places
        for path in place.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name
    ]
    assert calls == ["nuts.py"]


def test_interrupted_sampling_has_no_result(monkeypatch):
    """nutpie would give the draws so far."""
    from slopeshift.fit import nuts

    cancelled = []

    class Sampler:
        def wait(self):
            raise KeyboardInterrupt

        def cancel(self):
            cancelled.append(True)

    monkeypatch.setattr(nutpie, "sample", lambda *_, blocking, **__: Sampler() if not blocking else None)
    with pytest.raises(KeyboardInterrupt):
        nuts.draw(None, draws=1, tune=1, chains=1, seed=1, target_accept=0.9)
    assert cancelled


# ---- what is declared ----

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
REQUIRED = {Requirement(line).name: Requirement(line) for line in PYPROJECT["dependencies"]}
OPTIONAL = {Requirement(line).name for line in PYPROJECT["optional-dependencies"]["cluster"]}


def test_every_package_that_is_imported_is_declared():
    names = {module.partition(".")[0] for source in SOURCES.values() for module in imports(source)}
    foreign = names - set(sys.stdlib_module_names) - {"slopeshift"}
    of_package = packages_distributions()
    distributions = {of_package[name][0].lower().replace("_", "-") for name in foreign}
    assert distributions - set(REQUIRED) - OPTIONAL == set()


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_no_version_that_may_break_the_package_is_let_in(name):
    assert any(bound.operator == "<" for bound in REQUIRED[name].specifier)

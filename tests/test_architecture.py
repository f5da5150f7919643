"""The shape of the package: imports run downward, importing is cheap, folder names and seeds are where they belong."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from slopeshift.keep.made_from import closure, imported

ROOT = Path(__file__).parents[1]

LAYERS = """
    keep trial design simulate engine model fit answers published classical checks missing null sensitivity report
    planning calibration formats notebook cli
""".split()
"""The folders and files of the package: each may import itself and those before it, and no other."""

PACKAGE = ROOT / "src/slopeshift"


def module_name(path: Path) -> str:
    """Name a module without the package: `published`, `trial` for a folder, `trial.door` for a part of it."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


SOURCES = {module_name(path): path.read_text() for path in PACKAGE.rglob("*.py") if module_name(path)}


# ---- imports ----


def upward(sources: Mapping[str, str]) -> list[str]:
    """List the imports that do not run downward, those for types only included."""
    place = {name: i for i, name in enumerate(LAYERS)}
    pairs = [(name, other) for name in sources for other in sorted(imported(sources[name], types=True))]
    layers = [(name, other, name.partition(".")[0], other.partition(".")[0]) for name, other in pairs]
    return [f"{name} imports {other}" for name, other, mine, its in layers if place[its] > place[mine]]


def test_every_entry_of_the_package_is_a_layer():
    assert {name.partition(".")[0] for name in SOURCES} == set(LAYERS)


def test_a_newcomer_can_read_the_list_of_layers():
    entries = [path for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 21


def test_architecture_lists_the_layers_in_their_order():
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "ARCHITECTURE.md").read_text(), flags=re.M)
    assert table == LAYERS


def test_imports_run_downward():
    assert upward(SOURCES) == []


def test_no_modules_import_each_other():
    """Within a layer too; a package's own module comes after its parts."""
    parts = {name: imported(text, types=True) - {name} for name, text in SOURCES.items()}
    within = {name: {other for other in others if not name.startswith(f"{other}.")} for name, others in parts.items()}
    assert len([*TopologicalSorter(within).static_order()]) >= len(SOURCES)


@pytest.mark.parametrize(
    "text",
    [
        "from slopeshift.report import Page",
        "from slopeshift import report",
        "import slopeshift.report",
        "def f():\n    from slopeshift import report",
        "if TYPE_CHECKING:\n    from slopeshift.report import Page",
    ],
)
def test_an_upward_import_is_seen_in_every_form(text):
    assert upward({"fit": text}) == ["fit imports report"]


def test_the_simulator_shares_no_code_with_the_models():
    """So that a mistake in one cannot hide in the other."""
    for name in [name for name in SOURCES if name.startswith("simulate")]:
        assert all(other.startswith("simulate") for other in imported(SOURCES[name], types=True)), name


def test_relative_imports_are_refused():
    relative = [name for name, text in SOURCES.items() if re.search(r"^\s*from \.", text, flags=re.M)]
    assert relative == []


def test_what_only_reads_fits_does_not_decide_them():
    decides = {name.partition(".")[0] for name in closure(frozenset({"fit.sample", "model.formula", "model.families"}))}
    assert decides == {"keep", "trial", "design", "engine", "model", "fit"}


OF_THE_REPORT = {name: text for name, text in SOURCES.items() if name.partition(".")[0] == "report"}


def test_the_report_stands_on_at_most_eight_layers():
    found = {other for text in OF_THE_REPORT.values() for other in imported(text, types=True)}
    below = {other.partition(".")[0] for other in found} - {"report"}
    assert len(below) <= 8, sorted(below)


def test_the_report_takes_nothing_of_statistics_from_a_library_but_a_curve_to_draw():
    """A smoothed histogram: every number that is printed comes from the layers below."""
    taken = [
        alias.name
        for text in OF_THE_REPORT.values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if {"scipy", "arviz", "arviz_stats", "statsmodels", "pymc", "nutpie"}
        & {(getattr(node, "module", None) or alias.name).partition(".")[0]}
    ]
    assert taken == ["gaussian_kde"]


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("slopeshift", {"pymc", "pytensor", "nutpie", "arviz", "matplotlib", "pandas", "pandera", "scipy", "xarray"}),
        (
            "slopeshift.cli",
            {"pymc", "pytensor", "nutpie", "arviz", "matplotlib", "pandas", "pandera", "scipy", "xarray"},
        ),
        ("slopeshift.trial", {"pymc", "pytensor", "nutpie", "arviz", "matplotlib"}),
        ("slopeshift.engine.exact", {"pymc", "pytensor", "nutpie"}),
        ("slopeshift.answers.stored", {"pymc", "pytensor", "nutpie"}),
        ("slopeshift.report.page", {"pymc", "pytensor", "nutpie"}),
    ],
)
def test_import_is_light(module, heavy):
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert heavy & set(done.stdout.split()) == set()


# ---- folder names ----


def folder_names(source: str) -> list[str]:
    """List the string literals that name a folder of the repository or a path in one."""
    strings = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    return [
        text
        for text in strings
        if isinstance(text, str) and re.fullmatch(r"(\./)?(fits|reports|models|data/)(/\S*)?", text)
    ]


@pytest.mark.parametrize("name", sorted(name for name in SOURCES if name.partition(".")[0] != "cli"))
def test_only_cli_knows_folder_names(name):
    assert folder_names(SOURCES[name]) == []


@pytest.mark.parametrize("text", ["Path('fits')", "open('./reports/x.html')", "folder / 'models'"])
def test_a_folder_name_is_seen(text):
    assert folder_names(text)


# ---- randomness ----

SEED = {
    "np.random.default_rng": "seed",
    "np.random.SeedSequence": "entropy",
    "pm.sample": "random_seed",
    "pm.sample_prior_predictive": "random_seed",
    "pm.sample_posterior_predictive": "random_seed",
    "pm.draw": "random_seed",
    "nutpie.sample": "seed",
}
"""What starts a stream of random numbers, and the name of its seed. numpy's may stand first and without the name."""

TYPES = {"np.random.Generator", "np.random.BitGenerator"}


def seed_of(call: ast.Call, name: str) -> ast.expr | None:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if name.startswith("np.") and call.args:
        return call.args[0]
    return given.get(SEED[name])


def unseeded(source: str) -> Iterator[str]:
    """Yield what draws random numbers without an explicit seed, or from a state that all code shares."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=func) if (name := ast.unparse(func)) in SEED:
                seed = seed_of(node, name)
                if seed is None or ast.unparse(seed) == "None":
                    yield name
            case ast.Attribute() if (name := ast.unparse(node)).startswith("np.random."):
                if name.count(".") == 2 and name not in TYPES | set(SEED):
                    yield name
            case ast.Import(names=names) | ast.ImportFrom(module="random", names=names):
                yield from (alias.name for alias in names if isinstance(node, ast.ImportFrom) or alias.name == "random")
            case ast.ImportFrom(module="numpy.random" | "pymc" | "nutpie" as module):
                yield f"from {module} import: name the module where it is used, so that this test can see it"


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_random_act_takes_a_seed(name):
    assert list(unseeded(SOURCES[name])) == []


@pytest.mark.parametrize(
    "text",
    [
        "np.random.default_rng()",
        "np.random.default_rng(None)",
        "np.random.default_rng(seed=None)",
        "np.random.seed(1)",
        "np.random.normal(0, 1)",
        "import random",
        "from random import choice",
        "from numpy.random import default_rng",
        "pm.sample(draws=10)",
        "nutpie.sample(compiled, seed=None)",
    ],
)
def test_an_unseeded_act_is_seen(text):
    assert list(unseeded(text))


@pytest.mark.parametrize(
    "text",
    ["np.random.default_rng([seed, 1])", "rng: np.random.Generator", "pm.sample(random_seed=seed)", "rng.normal(0, 1)"],
)
def test_a_seeded_act_is_let_pass(text):
    assert list(unseeded(text)) == []

"""The shape of the package: imports run downward, importing is cheap, folder names and seeds are where they belong."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from slopeshift.fit import ENGINE

ROOT = Path(__file__).parents[1]

ORDER = """
    trial.cells trial.columns trial.rules trial.settings trial.door trial
    shape basis interval
    simulate.cohort simulate.conduct simulate
    priors history lanes kernel marginal coordinate_kernel coordinates curves residuals outcomes formula log_prior
    model
    effects gate atomic fit results two_stage response_by_interval
    classical.segments classical.ranks classical
    published safety
    work refit
    checks.material checks.families checks.left_out checks.integrated checks.loo checks.residuals checks.predictive
    checks.prior checks.power_scaling checks.added checks.comparison checks.rules checks
    null.population null.trials null.reference null.claim
    null.rates null.pseudo null.study null
    missing.departures missing.imputed missing.survivors missing.leaving missing
    sensitivity.subsets sensitivity.rows sensitivity.evidence sensitivity.alternatives sensitivity.curves
    sensitivity.subject sensitivity.refits sensitivity.variations sensitivity.weighed sensitivity.rules
    sensitivity.study sensitivity
    report.wording report.glossary report.flow report.analysis report.sections report.plots report.courses
    report.null_figures report.vector report.pictures report.sampling report.patient_view report.limitations
    report.interval_words report.interval_figures report.interval_section report.own_analysis report.chance
    report.contents report.identity report.estimand report.data_checks report.prior_table report.flow_figures
    report.answer_figures report.answer report.check_figures report.check_words report.check_section report.crosswalk
    report.sensitivity_figures report.sensitivity_section report.sensitivity_words report.missing_section
    report.spreadsheet report.files report
    calibration calibration.graph calibration.simulated calibration.posterior calibration.quantities calibration.ranks
    calibration.job calibration.uniformity calibration.record calibration.figures calibration.page calibration.study
    formats.source formats.ledger formats.notation formats.reading formats.privacy formats.mapping formats.rows
    formats.guess formats.table formats.redcap formats.conflicts formats.proact_tables formats.proact
    formats.cdisc formats.cdisc_tables formats.codemap formats.sdtm formats.adam
    formats.plausible formats.write formats
    formats.contents formats.export_rows formats.export_proact formats.export_cdisc formats.export
    cli.answers cli.kept cli.fits cli.sensitivity cli.calibration cli.formats cli.workspace cli
""".split()
"""Every module of the package: it may import those before it, and no other."""

PACKAGE = ROOT / "src/slopeshift"


def module_name(path: Path) -> str:
    """Name a module as ORDER does: `basis`, `trial` for a package, `trial.door` for a part of it."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


SOURCES = {module_name(path): path.read_text() for path in PACKAGE.rglob("*.py") if module_name(path)}


def imported(source: str) -> set[str]:
    """Name the modules of the package that a source imports: anywhere in it, for types only as well."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(level=level) if level:
                found.add("relative import: name the package")
            case ast.ImportFrom(module="slopeshift"):
                found |= {alias.name for alias in node.names}
            case ast.ImportFrom(module=str(module)) if module.startswith("slopeshift."):
                name = module.removeprefix("slopeshift.")
                found |= {part if (part := f"{name}.{a.name}") in ORDER else name for a in node.names}
            case ast.Import():
                found |= {a.name.removeprefix("slopeshift.") for a in node.names if a.name.startswith("slopeshift.")}
    return found


def closure(names: set[str], sources: Mapping[str, str]) -> set[str]:
    """Add what the named modules import, and what these import, to the end."""
    below = set().union(*(imported(sources[name]) for name in names & set(sources)))
    return names if below <= names else closure(names | below, sources)


# ---- imports ----


def upward(sources: Mapping[str, str]) -> list[str]:
    """List the imports that do not run downward."""
    place = {name: i for i, name in enumerate(ORDER)}
    pairs = [(name, other) for name in sources if name in place for other in sorted(imported(sources[name]))]
    return [f"{name} imports {other}" for name, other in pairs if place.get(other, len(place)) >= place[name]]


def test_every_module_has_a_place_in_the_order():
    assert set(SOURCES) - set(ORDER) == set(), "give a new module its place in ORDER (tests/test_architecture.py)"


def test_architecture_lists_the_modules_in_their_order():
    table = re.findall(r"^\| `(\w+)` \|", (ROOT / "ARCHITECTURE.md").read_text(), flags=re.M)
    assert table == [name for name in ORDER if "." not in name]


def test_imports_run_downward():
    assert upward(SOURCES) == []


@pytest.mark.parametrize(
    "text",
    [
        "from slopeshift.report import page",
        "from slopeshift import report",
        "import slopeshift.report",
        "def f():\n    from slopeshift import report",
        "if TYPE_CHECKING:\n    from slopeshift.report import page",
    ],
)
def test_an_upward_import_is_seen_in_every_form(text):
    assert upward({"fit": text}) == ["fit imports report"]


def test_the_simulator_shares_no_code_with_the_models():
    """So that a mistake in one cannot hide in the other."""
    for name in [name for name in SOURCES if name.startswith("simulate")]:
        assert all(other.startswith("simulate") for other in imported(SOURCES[name])), name


def test_relative_imports_are_refused():
    assert upward({"fit": "from . import report"}) == ["fit imports relative import: name the package"]


def test_a_fit_is_out_of_date_when_any_module_changes_that_it_is_made_with():
    vocabulary = set().union(*(imported(path.read_text()) for path in (ROOT / "models").glob("*.py")))
    assert closure({"fit"} | vocabulary, SOURCES) == set(ENGINE)
    assert not set(ENGINE) & {"effects", "gate", "results", "plots", "report", "cli"}, (
        "editing these must refit nothing"
    )


def test_make_and_fit_agree_on_what_a_fit_is_made_with():
    listed = re.search(r"^ENGINE := (.*)$", (ROOT / "Makefile").read_text(), flags=re.M).group(1).split()
    assert {*listed} == {name.partition(".")[0] for name in ENGINE}


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("slopeshift", {"pymc", "pytensor", "nutpie", "arviz", "matplotlib", "pandas", "pandera", "scipy", "xarray"}),
        (
            "slopeshift.cli",
            {"pymc", "pytensor", "nutpie", "arviz", "matplotlib", "pandas", "pandera", "scipy", "xarray"},
        ),
        ("slopeshift.trial", {"pymc", "pytensor", "nutpie", "arviz", "matplotlib"}),
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

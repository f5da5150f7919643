"""The first command on a new machine: what environment is declared, how it is found or built, what make does when."""

import os
import re
import shutil
import subprocess
import time
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import slopeshift

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()
DOCS_LOCK = (ROOT / "requirements-docs.lock").read_text()
DEV = PYPROJECT["project"]["optional-dependencies"]["dev"]
DIRECT = {Requirement(line).name: Requirement(line).specifier for line in PYPROJECT["project"]["dependencies"] + DEV}
LOCKED = {name: Version(version) for name, version in re.findall(r"^([a-z0-9-]+)==([^ ]+)", LOCK, flags=re.M)}


# ---- pyproject.toml, environment.yml and requirements.lock agree ----


def conda_packages() -> dict[str, SpecifierSet]:
    lines = re.findall(r"^  - ([a-z0-9-]+)([<>=!].*)?$", (ROOT / "environment.yml").read_text(), flags=re.M)
    packages = {name: SpecifierSet(bounds) for name, bounds in lines}
    return {name: bounds for name, bounds in packages.items() if name not in {"conda-forge", "nodefaults", "pip"}}


def test_conda_environment_has_the_same_packages_and_bounds():
    python = SpecifierSet(PYPROJECT["project"]["requires-python"])
    assert conda_packages() == {"python": python} | DIRECT


@pytest.mark.parametrize("name", sorted(DIRECT))
def test_locked_version_is_within_bounds(name):
    assert LOCKED[name] in DIRECT[name]


def test_what_builds_the_package_is_locked():
    assert set(PYPROJECT["build-system"]["requires"]) <= set(DEV)


def test_the_conda_recipe_has_the_same_version_packages_and_bounds():
    recipe = yaml.safe_load((ROOT / "conda/recipe.yaml").read_text())
    run = {Requirement(line.replace(" ", "", 1)) for line in recipe["requirements"]["run"]}
    python = SpecifierSet(PYPROJECT["project"]["requires-python"])
    wanted = {Requirement(line).name: Requirement(line).specifier for line in PYPROJECT["project"]["dependencies"]}
    assert {each.name: each.specifier for each in run} == {"python": python} | wanted
    assert recipe["context"]["version"] == slopeshift.__version__


def test_the_citation_is_of_this_version_and_licence():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (slopeshift.__version__, PYPROJECT["project"]["license"])


def test_the_container_has_what_make_needs_and_runs_it_as_a_user():
    lines = (ROOT / "Containerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[2:-1]]
    assert all((ROOT / name).exists() for name in copied)
    assert {"Makefile", "pyproject.toml", "requirements.lock", "scripts", "src", "models", "data"} <= set(copied)
    assert [line for line in lines if line.startswith("USER")] == ["USER trial"]
    assert lines.index("USER trial") < lines.index("RUN make env && mkdir -p fits reports")


@pytest.mark.parametrize("form", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda form: form.stem)
def test_forms_for_issues_are_whole_and_ask_for_no_data(form):
    content = yaml.safe_load(form.read_text())
    if form.stem == "config":
        return
    assert {"name", "description", "body"} <= set(content)
    assert all("label" in part["attributes"] for part in content["body"] if part["type"] == "textarea")
    assert "data of patients" in form.read_text()


# ---- requirements-docs.lock ----


def pins(lock: str) -> set[tuple[str, str]]:
    return set(re.findall(r"^([a-z0-9-]+)==([^ ]+)", lock, flags=re.M))


def test_the_packages_of_the_documentation_are_locked_within_bounds():
    extras = PYPROJECT["project"]["optional-dependencies"]
    wanted = [Requirement(line) for line in extras["docs"] + extras["release"]]
    for name, version in pins(DOCS_LOCK):
        assert all(Version(version) in each.specifier for each in wanted if each.name == name), (name, version)
    assert {each.name for each in wanted} <= {name for name, _ in pins(DOCS_LOCK)}


def test_the_documentation_changes_no_version_of_the_environment():
    shared = {name for name, _ in pins(LOCK)}
    assert {pin for pin in pins(DOCS_LOCK) if pin[0] in shared} <= pins(LOCK)


def test_the_lock_of_the_documentation_holds_pins_and_hashes_and_names_no_host_or_path():
    pin = r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; [^\\]+)? \\\n"
    hashes = r"    --hash=sha256:[0-9a-f]{64}( \\\n    --hash=sha256:[0-9a-f]{64})*\n"
    assert re.fullmatch(f"({pin}{hashes})+", DOCS_LOCK)


# ---- the version ----


def test_version_is_the_one_the_package_names():
    assert slopeshift.__version__ == PYPROJECT["project"]["version"]


def test_lock_holds_pins_and_hashes_and_names_no_host_or_path():
    pin = r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; [^\\]+)? \\\n"
    hashes = r"    --hash=sha256:[0-9a-f]{64}( \\\n    --hash=sha256:[0-9a-f]{64})*\n"
    origin = r"    # via( [a-z0-9-]+( \(pyproject\.toml\))?\n|\n(    #   [a-z0-9-]+( \(pyproject\.toml\))?\n)+)"
    assert re.fullmatch(f"({pin}{hashes}{origin})+", LOCK)


# ---- scripts/find-python, scripts/find-uv ----


def program(path: Path, text: str = "exit 0") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path):
    """A checkout on a machine whose PATH holds the standard tools and no Python."""
    for name in ("Makefile", "pyproject.toml", "requirements.lock", "scripts"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    for tool in "sh make ls sort dirname test rm mkdir touch cat cmp grep sed awk basename".split():
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool))
    return tmp_path


def run(machine: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command there with nothing else in the environment: no settings of an outer make, no conda, no pyenv."""
    environment = {"PATH": str(machine / "bin"), "HOME": str(machine / "home")} | variables
    return subprocess.run(command, cwd=machine, env=environment, capture_output=True, text=True, check=False)


def test_python_is_found_on_path_newest_supported_first(machine):
    program(machine / "bin/python3.12")
    newer = program(machine / "bin/python3.13")
    assert run(machine, "scripts/find-python").stdout.strip() == str(newer)


def test_python_in_the_active_conda_environment_comes_first(machine):
    program(machine / "bin/python3.13")
    conda = program(machine / "conda/bin/python")
    assert run(machine, "scripts/find-python", CONDA_PREFIX=str(machine / "conda")).stdout.strip() == str(conda)


def test_pyenv_shim_that_does_not_run_is_passed_over_for_the_newest_pyenv_version(machine):
    program(machine / "bin/python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    program(machine / "bin/python3", "exit 1")
    for version in ("3.9.18", "3.13.2", "3.13.10", "3.12.1"):
        program(machine / f"home/.pyenv/versions/{version}/bin/python")
    newest = machine / "home/.pyenv/versions/3.13.10/bin/python"
    assert run(machine, "scripts/find-python").stdout.strip() == str(newest)


def test_pyenv_root_is_followed(machine):
    python = program(machine / "elsewhere/versions/3.12.1/bin/python")
    assert run(machine, "scripts/find-python", PYENV_ROOT=str(machine / "elsewhere")).stdout.strip() == str(python)


def test_python_variable_overrides_the_search(machine):
    program(machine / "bin/python3.13")
    chosen = program(machine / "mine/python")
    assert run(machine, "scripts/find-python", PYTHON=str(chosen)).stdout.strip() == str(chosen)


def test_python_variable_that_is_too_old_is_refused(machine):
    program(machine / "bin/python3.13")
    old = program(machine / "mine/python", "exit 1")
    done = run(machine, "scripts/find-python", PYTHON=str(old))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"PYTHON={old} is not a Python from 3.12 to 3.14" in done.stderr


def test_uv_is_asked_for_a_python_where_the_machine_has_none(machine):
    program(machine / "bin/python3", "exit 1")
    uv = program(machine / "bin/uv", 'case "$2" in find) echo /from/uv/python ;; esac')
    assert run(machine, "scripts/find-python", str(uv)).stdout.strip() == "/from/uv/python"


def test_what_to_install_is_said_where_no_python_can_be_had(machine):
    done = run(machine, "scripts/find-python", str(program(machine / "bin/uv", "exit 1")))
    assert done.returncode == 1
    assert "Install one from python.org, conda-forge, pyenv" in done.stderr


def test_uv_on_path_is_used(machine):
    uv = program(machine / "bin/uv")
    assert run(machine, "scripts/find-uv").stdout.strip() == str(uv)
    assert not (machine / ".uv").exists()


PYTHON_WITH_VENV = """
case "$1 $2" in
"-m venv") mkdir -p .uv/bin && echo '{pip}' > .uv/bin/python && chmod +x .uv/bin/python ;;
esac
"""


def test_uv_is_installed_beside_the_environment_where_path_has_none(machine):
    (machine / "bin/chmod").symlink_to(shutil.which("chmod"))
    pip = '#!/bin/sh\necho "#!/bin/sh" > .uv/bin/uv; chmod +x .uv/bin/uv'
    program(machine / "bin/python3.13", PYTHON_WITH_VENV.format(pip=pip))
    assert run(machine, "scripts/find-uv").stdout.strip() == ".uv/bin/uv"
    (machine / "bin/python3.13").unlink()
    assert run(machine, "scripts/find-uv").stdout.strip() == ".uv/bin/uv", "and is found again"


def test_uv_that_cannot_be_installed_leaves_nothing_behind(machine):
    (machine / "bin/chmod").symlink_to(shutil.which("chmod"))
    program(machine / "bin/python3.13", PYTHON_WITH_VENV.format(pip="#!/bin/sh\nexit 1"))
    done = run(machine, "scripts/find-uv")
    assert done.returncode == 1
    assert "uv could not be installed" in done.stderr
    assert not (machine / ".uv").exists()


# ---- make env ----

UV = """
echo "$@" >> uv.log
case "$1 $2" in
"venv "*) mkdir -p .venv/bin && echo '#!/bin/sh' > .venv/bin/python && chmod +x .venv/bin/python ;;
"pip sync") test ! -e offline ;;
esac
"""


@pytest.fixture
def with_uv(machine):
    (machine / "bin/chmod").symlink_to(shutil.which("chmod"))
    program(machine / "bin/uv", UV)
    program(machine / "bin/python3.13")
    return machine


def builds(machine: Path) -> int:
    log = machine / "uv.log"
    return log.read_text().count("pip sync") if log.exists() else 0


def later(*paths: Path) -> None:
    """Make files newer than everything written so far, whatever the resolution of the file system's clock."""
    soon = time.time() + 2
    for path in paths:
        path.touch()
        os.utime(path, (soon, soon))


def test_environment_is_built_once_from_the_hashed_lock(with_uv):
    assert run(with_uv, "make", "-j2", "env").returncode == 0
    assert run(with_uv, "make", "env").returncode == 0
    assert builds(with_uv) == 1
    assert "--require-hashes requirements.lock" in (with_uv / "uv.log").read_text()


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_environment_is_stale_when_its_declaration_is_newer(with_uv, name):
    run(with_uv, "make", "env")
    later(with_uv / name)
    run(with_uv, "make", "env")
    assert builds(with_uv) == 2


def test_environment_is_stale_when_the_checkout_has_moved(with_uv, tmp_path_factory):
    run(with_uv, "make", "env")
    moved = tmp_path_factory.mktemp("moved") / "here"
    with_uv.rename(moved)
    assert run(moved, "make", "env").returncode == 0
    assert builds(moved) == 2


def test_environment_is_stale_when_its_interpreter_is_gone(with_uv):
    run(with_uv, "make", "env")
    (with_uv / ".venv/bin/python").unlink()
    run(with_uv, "make", "env")
    assert builds(with_uv) == 2


def test_environment_is_stale_when_another_python_is_asked_for(with_uv):
    run(with_uv, "make", "env")
    other = program(with_uv / "other/python")
    run(with_uv, "make", "env", f"PYTHON={other}")
    assert f"venv --quiet --clear --python {other}" in (with_uv / "uv.log").read_text()


def test_failed_build_counts_for_nothing(with_uv):
    (with_uv / "offline").touch()
    assert run(with_uv, "make", "env").returncode != 0
    (with_uv / "offline").unlink()
    assert run(with_uv, "make", "env").returncode == 0
    assert builds(with_uv) == 2


def test_conda_environment_that_has_slopeshift_is_used_as_it_is(with_uv):
    program(with_uv / "conda/bin/slopeshift", 'echo "conda: $@" PYTHONPATH=$PYTHONPATH')
    done = run(with_uv, "make", "check", "TRIAL=data/tiny", CONDA_PREFIX=str(with_uv / "conda"))
    assert done.stdout.strip() == "conda: check data/tiny PYTHONPATH=src"
    assert builds(with_uv) == 0


def test_conda_environment_without_slopeshift_is_left_alone(with_uv):
    python = program(with_uv / "conda/bin/python")
    run(with_uv, "make", "env", CONDA_PREFIX=str(with_uv / "conda"))
    assert f"venv --quiet --clear --python {python} .venv" in (with_uv / "uv.log").read_text()


# ---- make fit, make report ----

SLOPESHIFT = """
echo "$@" >> calls.log
case "$1" in
fit) for model in models/*.py; do mkdir -p fits/tiny; echo . > fits/tiny/$(basename $model .py).json; done
    ls | grep -q '^fails-' && exit 3 || exit 0 ;;
report) mkdir -p "$8"; echo . > "$8/index.html"; ls | grep -q '^fails-' && exit 3 || exit 0 ;;
esac
"""


@pytest.fixture
def trial(machine):
    """A checkout with two models, one trial, and a slopeshift that only writes down how it was called."""
    program(machine / "slopeshift", SLOPESHIFT)
    (machine / "models").mkdir()
    for name in ("line", "curve"):
        (machine / f"models/{name}.py").touch()
    (machine / "data/tiny").mkdir(parents=True)
    return machine


def make(machine: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run make with the environment taken as ready; return what it did and the calls of slopeshift, sorted."""
    log = machine / "calls.log"
    log.unlink(missing_ok=True)
    done = run(machine, "make", "READY=", "SLOPESHIFT=./slopeshift", "TRIAL=data/tiny", *arguments)
    return done, sorted(log.read_text().splitlines()) if log.exists() else []


FIT_CALL = "fit data/tiny --models models --fits fits"
CHECKS_CALL = "checks data/tiny --models models --fits fits"
REPORT_CALL = "report data/tiny --fits fits --models models --out reports/tiny"


def test_bare_make_lists_every_command(machine):
    listed = run(machine, "make").stdout
    phony = re.search(r"^\.PHONY: (.*)$", (machine / "Makefile").read_text(), flags=re.M)
    commands = set(phony.group(1).split()) - {"FORCE"}
    assert set(re.findall(r"^  make ([a-z-]+)  +\S", listed, flags=re.M)) == commands


def test_fit_asks_slopeshift_every_time_which_decides_by_content(trial):
    for _ in range(2):
        assert make(trial, "fit")[1] == [FIT_CALL]


def test_settings_are_passed(trial):
    given = ("SEED=3", "DRAWS=10", "TUNE=20", "CHAINS=2")
    assert make(trial, "fit", *given)[1] == [f"{FIT_CALL} --seed 3 --draws 10 --tune 20 --chains 2"]


def test_report_fits_first(trial):
    assert make(trial, "report")[1] == [CHECKS_CALL, FIT_CALL, REPORT_CALL]


@pytest.mark.parametrize("target", ["fit", "report"])
def test_a_failed_gate_fails_the_command(trial, target):
    (trial / "fails-curve").touch()
    assert make(trial, target)[0].returncode != 0


def test_a_failed_gate_is_reported_too(trial):
    (trial / "fails-curve").touch()
    assert make(trial, "report")[1] == [CHECKS_CALL, FIT_CALL, REPORT_CALL]
    assert (trial / "reports/tiny/index.html").exists()


def test_trials_are_kept_apart(trial):
    shutil.copytree(trial / "data/tiny", trial / "data/other")
    calls = make(trial, "report", "TRIAL=data/other/")[1]
    assert [call.split()[1] for call in calls] == 3 * ["data/other/"]
    assert calls[-1].endswith("--out reports/other")

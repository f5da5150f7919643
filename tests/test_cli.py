"""The command line: what it says, what it returns, and what it refuses."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from trials import ROOT, posterior
from typer.testing import CliRunner

import slopeshift
from slopeshift.answers import kept
from slopeshift.answers.stored import NAMES
from slopeshift.cli import app, fitting, said
from slopeshift.cli.answers import Silence, show_progress
from slopeshift.cli.fitting import at_a_time, remaining
from slopeshift.design.visits import visits_of
from slopeshift.fit import sample as sampling
from slopeshift.fit import store
from slopeshift.fit.store import Fit, Settings
from slopeshift.keep.tables import save
from slopeshift.trial import read_trial

SYNTHETIC = ROOT / "data" / "synthetic-msc-als"
MODEL = ROOT / "models" / "alsfrsr.py"


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def in_a_process(program, *arguments):
    """Run a program with arguments of the command line, and return what `run` returns."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    return SimpleNamespace(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)


@pytest.fixture
def trial(tmp_path):
    return shutil.copytree(SYNTHETIC, tmp_path / "data" / "mine")


def stored(folder, trial, *, file=MODEL, passed=True, draws=None, **inputs):
    """Put a fit in place whose record says that it was made from this trial, without sampling anything."""
    made_from = store.inputs(read_trial(trial).files, file.read_text(), Settings()) | inputs
    gate = {"passed": passed, "failures": [] if passed else [f"rhat of change [{k}] is 1.5" for k in range(30)]}
    record = {"model": file.stem, "outcome": "alsfrsr", "status": "sampled", "inputs": made_from, "gate": gate}
    groups = {"posterior": draws or xr.Dataset({"x": ("draw", np.zeros(3))})}
    tree = xr.DataTree.from_dict(groups | {"constant_data": visits_of(read_trial(trial), "alsfrsr").dataset()})
    store.save(Fit(tree, record), folder / trial.name)
    place = folder / trial.name / kept.ANSWERS / file.stem
    for name in NAMES:  # its answers, so that none are made of draws that are none
        save(name, pd.DataFrame(columns=["x"]), kept.made_from(record, "answers.stored"), place)


def test_check_counts_what_it_read():
    done = run("check", SYNTHETIC)
    assert done.exit_code == 0
    assert "20 patients" in done.stdout
    assert done.stdout.strip().endswith("Nothing wrong.")


def test_check_lists_everything_wrong_and_fails(trial):
    visits = (trial / "visits.csv").read_text().splitlines()
    visits[1] = "P01,-3.00,49,x"
    (trial / "visits.csv").write_text("\n".join(visits))
    done = run("check", trial)
    assert done.exit_code == 1
    assert "2 problems" in done.stderr
    for text in ("visits.csv", "alsfrsr", "'49'", "fvc", "'x'"):
        assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_usage_is_told_apart_from_bad_input(trial):
    assert run("fit").exit_code == 2
    assert run("fit", trial, "--draws", "0").exit_code == 2
    assert run("fit", trial / "nowhere", "--models", ROOT / "models").exit_code == 1
    assert run("fit", trial, "--models", trial).exit_code == 1


def test_a_fit_that_is_up_to_date_is_left_alone(trial, tmp_path):
    stored(tmp_path, trial)
    done = run("fit", trial, "--model", MODEL, "--fits", tmp_path)
    assert (done.exit_code, done.stdout) == (0, "alsfrsr: up to date\n")


def test_a_failed_gate_fails_again_without_sampling_and_is_not_repeated_at_length(trial, tmp_path):
    stored(tmp_path, trial, passed=False)
    done = run("fit", trial, "--model", MODEL, "--fits", tmp_path)
    assert done.exit_code == 3
    assert done.stderr.count("GATE FAILED") == 11
    assert "and 20 more, listed in the report" in done.stderr


@pytest.mark.parametrize(
    "change",
    [["--seed", "2"], ["--draws", "100"], ["--tune", "100"], ["--chains", "2"], ["--force"]],
    ids=lambda change: change[0],
)
def test_other_settings_make_a_fit_out_of_date(trial, tmp_path, monkeypatch, change):
    stored(tmp_path, trial)

    def sampled(*_, **__):
        raise store.FitError("sampling")

    monkeypatch.setattr(sampling, "sample", sampled)
    done = run("fit", trial, "--model", MODEL, "--fits", tmp_path, *change)
    assert (done.exit_code, done.stderr.strip()) == (1, "sampling")


@pytest.fixture
def models(tmp_path):
    """Three copies of a model."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("first", "second", "third"):
        shutil.copy(MODEL, folder / f"{name}.py")
    return folder


def test_an_edited_model_is_sampled_again_and_the_others_are_not(trial, tmp_path, models, monkeypatch):
    for path in models.glob("*.py"):
        stored(tmp_path / "fits", trial, file=path)
    (models / "second.py").write_text(MODEL.read_text() + "EDITED = True\n")
    sampled = []

    def sample(file, *_, **__):
        sampled.append(file.name)
        raise store.FitError("sampling")

    monkeypatch.setattr(sampling, "sample", sample)
    assert run("fit", trial, "--models", models, "--fits", tmp_path / "fits").exit_code == 1
    assert sampled == ["second"]


def test_a_broken_model_or_a_failed_gate_leaves_the_other_models_alone(trial, tmp_path, models, monkeypatch):
    monkeypatch.setattr(said, "in_words", lambda *_: "the answer")
    for name, passed in (("second", False), ("third", True)):
        stored(tmp_path / "fits", trial, file=models / f"{name}.py", passed=passed)
    (models / "first.py").write_text("x = 1\n")
    done = run("fit", trial, "--models", models, "--fits", tmp_path / "fits")
    assert done.exit_code == 1
    assert "first.py: its docstring must begin" in done.stderr
    assert "second: GATE FAILED" in done.stderr
    assert "third: up to date" in done.stdout
    assert done.stdout.endswith("the answer\n")


def test_a_trial_without_the_outcome_skips_the_model_and_says_so(trial, tmp_path):
    lines = [line.rsplit(",", 1)[0] for line in (trial / "visits.csv").read_text().splitlines()]
    (trial / "visits.csv").write_text("\n".join(lines))
    done = run("fit", trial, "--model", ROOT / "models" / "fvc.py", "--fits", tmp_path)
    assert (done.exit_code, done.stdout) == (0, "fvc: skipped, the trial records no fvc\n")
    assert json.loads((tmp_path / "mine" / "fvc.json").read_text())["status"] == "skipped"


@pytest.mark.parametrize("what", ["data", "model", "engine"])
def test_the_report_refuses_a_fit_of_other_inputs(trial, tmp_path, what):
    models = tmp_path / "models"
    models.mkdir()
    shutil.copy(MODEL, models)
    stored(tmp_path, trial, **{what: "other"})
    done = run("report", trial, "--models", models, "--fits", tmp_path, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert f"this fit was made with a different {what}" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_report_says_which_fit_is_missing(trial, tmp_path):
    done = run("report", trial, "--models", ROOT / "models", "--fits", tmp_path, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "alsfrsr.nc: no such fit; make it with `slopeshift fit`" in done.stderr


def test_interrupting_is_answered_in_words(trial, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sampling, "sample", interrupted)
    done = run("fit", trial, "--model", MODEL, "--fits", tmp_path)
    assert done.exit_code == 130
    assert "interrupted; the fits made before are kept" in done.stderr
    assert not list(tmp_path.glob("mine/*"))


def test_simulate_writes_the_committed_trial(tmp_path):
    assert run("simulate", tmp_path / "again").exit_code == 0
    for path in SYNTHETIC.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


# ---- null ----


def test_null_writes_its_tables_beside_the_fits(trial, tmp_path):
    done = run("null", trial, "--fits", tmp_path, "--models", MODEL.parent, "--replicates", 20, "--refits", 0)
    assert done.exit_code == 0, done.output
    assert "alsfrsr: its fit is not drawn from" in done.stdout
    assert "no such fit" in done.stdout
    assert {path.name for path in (tmp_path / "mine" / "null").iterdir()} == {
        "null_reference.csv",
        "null_distribution.csv",
        "tables.json",
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--published", "nobody"), "there are petrou2021, untreated"),
        (("--pseudo", "--refits", 0), "it refits the models: give --refits 1 or more"),
        (("--lead-in", "guess"), "use one of least_squares, end_to_end, from_onset"),
    ],
)
def test_null_refuses_wrong_usage(trial, arguments, said):
    done = run("null", trial, *arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize("passed", [True, False])
def test_null_draws_from_a_fit_only_where_it_passed_its_gate(trial, tmp_path, passed):
    stored(tmp_path, trial, passed=passed, draws=posterior())
    done = run("null", trial, "--fits", tmp_path, "--models", MODEL.parent, "--replicates", 20, "--refits", 0)
    assert done.exit_code == 0, done.output
    sources = set(pd.read_csv(tmp_path / "mine" / "null" / "null_reference.csv")["source"])
    assert ("fit of alsfrsr" in sources) == passed
    assert ("its fit failed the diagnostics gate and is not drawn from" in done.stdout) == (not passed)


def test_sensitivity_without_fits_says_what_to_make_first(trial, tmp_path):
    result = run("sensitivity", trial, "--models", ROOT / "models", "--fits", tmp_path)
    assert result.exit_code == 1
    assert "make it with `slopeshift fit`" in result.output
    assert "no fit is available" in result.output


def test_null_says_why_it_cannot_select(trial, tmp_path):
    """Nobody of any population has lost so much; the rule is judged, so that no recorded value breaks it."""
    rule = 'outcome = "alsfrsr"\nquantity = "loss"\nfrom = "first"\nto = "last"\nat_least = 40\nspread = 0.5'
    settings = trial / "trial.toml"
    settings.write_text(f'{settings.read_text()}\n[[entry]]\n{rule}\nsource = "protocol"\n')
    done = run(*("null", trial, "--fits", tmp_path, "--models", MODEL.parent, "--replicates", 2, "--refits", 0))
    assert done.exit_code == 1
    assert "Correct the rule in trial.toml" in done.stderr
    assert "Traceback" not in done.stderr


# ---- the order of a run ----


@pytest.fixture
def answers(monkeypatch):
    """An answer that names the models that it is of."""
    text = "THE ANSWER OF {}".format
    monkeypatch.setattr(said, "in_words", lambda _, found: text(" ".join(record["model"] for record, _ in found)))


def test_the_models_named_after_outcomes_are_fitted_first_and_answer_once(trial, tmp_path, models, answers):
    shutil.copy(MODEL, models)
    for path in models.glob("*.py"):
        stored(tmp_path / "fits", trial, file=path)
    (models / "second.py").write_text("x = 1\n")
    done = run("fit", trial, "--models", models, "--fits", tmp_path / "fits")
    assert done.stdout.splitlines()[:3] == ["alsfrsr: up to date", "THE ANSWER OF alsfrsr", "first: up to date"]
    assert done.stdout.count("THE ANSWER") == 1
    assert "second.py: its docstring must begin" in done.stderr


def test_where_no_model_is_named_after_an_outcome_the_answer_comes_last(trial, tmp_path, models, answers):
    for path in models.glob("*.py"):
        stored(tmp_path / "fits", trial, file=path)
    done = run("fit", trial, "--models", models, "--fits", tmp_path / "fits")
    assert done.stdout == (
        "first: up to date\nsecond: up to date\nthird: up to date\nTHE ANSWER OF first second third\n"
    )


def test_what_is_left_is_told_by_what_models_took_on_average():
    assert remaining(0, [3.0]) == ""
    assert remaining(1, [3.0]) == "; 1 model left, about 3 s"
    assert remaining(3, [2.0, 4.0]) == "; 3 models left, about 9 s"
    assert remaining(9, [9.0]) == "; 9 models left, about 81 s"
    assert remaining(9, [20.0]) == "; 9 models left, about 3 min"


def test_models_are_sampled_side_by_side_to_the_draws_that_one_after_the_other_gives(
    trial, tmp_path, models, answers, monkeypatch
):
    build = "def build(trial):\n    raise ModelError('cannot be built')\n"
    (models / "third.py").write_text(
        f"{MODEL.read_text()}\n\nfrom slopeshift.model.files import ModelError\n\n\n{build}"
    )
    small = ("--models", models, "--draws", 40, "--tune", 40, "--chains", 2)
    # The one is a process of its own: code that this one compiled for another test may differ in the last digit.
    one_core = "from slopeshift.cli import app, fitting; fitting.cores = lambda: 1; app()"
    monkeypatch.setattr(fitting, "cores", lambda: 2)
    for number in (1, 2):
        asked = ["fit", trial, *small, "--fits", tmp_path / str(number)]
        done = in_a_process(one_core, *asked) if number == 1 else run(*asked)
        assert (done.exit_code, done.stderr.count("cannot be built")) == (1, 1)
        assert ("sampling 3 models, 2 at a time" in done.stdout) == (number == 2)
        assert [done.stdout.count(f"{name}: done in") for name in ("first", "second", "third")] == [1, 1, 0]
        assert "up to date" not in done.stdout
    for name in ("first", "second"):
        one, two = (store.open_fit(tmp_path / str(number) / "mine", name).tree for number in (1, 2))
        assert one["posterior"].to_dataset().equals(two["posterior"].to_dataset())


def test_models_of_a_trial_of_more_than_5000_visits_are_sampled_one_after_the_other(monkeypatch):
    monkeypatch.setattr(fitting, "cores", lambda: 2)
    assert [at_a_time(10, visits) for visits in (5000, 5001)] == [2, 1]
    assert [at_a_time(models, 5000) for models in (0, 1, 2)] == [0, 1, 2]
    monkeypatch.setattr(fitting, "cores", lambda: 1)
    assert at_a_time(10, 5000) == 1


# ---- what a command loads ----

HEAVY = {"pymc", "pytensor", "nutpie", "arviz", "numba", "bambi"}
"""What only sampling and the statistics of draws need; each takes seconds to load."""


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["check", SYNTHETIC],
        ["show", MODEL],
        ["show", ROOT / "models" / "alsfrsr_student.py"],
        ["init", "work"],
        ["export", "sdtm", SYNTHETIC, "sdtm"],
        ["answer", "data/mine", "--models", ROOT / "models", "--json"],
    ],
    ids=lambda command: " ".join(Path(word).stem for word in command[:2]),
)
def test_a_command_that_does_not_sample_loads_no_sampler(trial, tmp_path, command):
    stored(tmp_path / "fits", trial)
    empty = pd.DataFrame(columns=list(said.KEYS))
    record = store.read_record(tmp_path / "fits" / "mine", "alsfrsr")
    place = tmp_path / "fits" / "mine" / kept.ANSWERS / "alsfrsr"
    save("population", empty, kept.made_from(record, "answers.stored"), place)
    program = "import sys; from slopeshift.cli import app; app(standalone_mode=False); print(*sys.modules)"
    words = [sys.executable, "-c", program, *map(str, command)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert HEAVY & set(done.stdout.splitlines()[-1].split()) == set()


def test_the_version_names_every_package_that_a_fit_records():
    done = CliRunner().invoke(app, ["--version"])
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert done.exit_code == 0
    assert lines["slopeshift"] == slopeshift.__version__
    assert {*store.PACKAGES, "numba", "bambi"} <= set(lines)


@pytest.mark.parametrize(
    ("terminal", "quiet", "shown"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_a_bar_of_progress_is_drawn_in_a_terminal_and_not_when_quiet(monkeypatch, terminal, quiet, shown):
    monkeypatch.setattr("sys.stderr", SimpleNamespace(isatty=lambda: terminal))
    monkeypatch.setattr("sys.stdout", Silence() if quiet else io.StringIO())
    assert show_progress() == shown

"""The commands `import`, `export` and `init`: what they say, what they write, what they refuse."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from sources import SYNTHETIC, exported, small_trial
from trials import ROOT
from typer.testing import CliRunner

from slopeshift.cli import app
from slopeshift.cli.formats import Format
from slopeshift.formats import FORMATS
from slopeshift.trial import read_trial


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def table(tmp_path):
    return exported("table", small_trial(tmp_path / "small"), tmp_path / "in")


def test_the_command_line_names_every_format():
    assert {form.value for form in Format} == set(FORMATS)


def test_import_says_what_was_taken_and_what_was_not(table, tmp_path):
    done = run("import", "table", table["source"], tmp_path / "out", "--mapping", table["document"])
    assert done.exit_code == 0
    assert "3 patients, 6 visits, 3 injections, 2 events" in done.stdout
    assert "14 of 14 source rows used" in done.stdout


def test_import_lists_the_reasons_of_rows_that_were_left_out(tmp_path):
    source = exported("proact", small_trial(tmp_path / "small"), tmp_path / "in")["source"]
    done = run("import", "proact", source, tmp_path / "out")
    assert "2 left out: Subject_Died is not Yes, and no other end is recorded" in done.stdout


def test_a_guess_is_shown_and_written_and_nothing_is_imported(table, tmp_path):
    done = run("import", "table", table["source"], tmp_path / "out")
    assert done.exit_code == 1
    assert "alsfrsr: alsfrsr" in done.stdout
    file = tmp_path / "out-mapping.yaml"
    assert f"--mapping {file}" in done.stderr
    assert file.read_text() in done.stdout
    assert not (tmp_path / "out").exists()
    assert "is there already" in run("import", "table", table["source"], tmp_path / "out").stderr
    assert run("import", "table", table["source"], tmp_path / "out", "--accept").exit_code == 0


def test_a_refusal_is_words_on_the_error_stream_and_a_traceback_only_for_debugging(table, tmp_path):
    table["source"].write_text(table["source"].read_text().replace(",41,", ",49,"))
    command = ["import", "table", table["source"], tmp_path / "out", "--mapping", table["document"]]
    done = run(*command)
    assert (done.exit_code, done.stdout) == (1, "")
    for text in ("table.csv", "'49'", "highest possible value is 48", "nothing was taken in"):
        assert text in done.stderr
    assert type(run("--debug", *command).exception).__name__ == "RefusedError"


@pytest.mark.parametrize("command", [["check", "here"], ["doctor"]])
def test_a_fault_of_the_program_is_one_line_and_a_status_of_its_own(command, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("nothing\nfits")

    monkeypatch.setattr("slopeshift.trial.read_trial", broken)
    monkeypatch.setattr("slopeshift.cli.doctor.looked_at", broken)
    done = run(*command)
    assert (done.exit_code, done.stdout) == (4, "")
    assert done.stderr.count("\n") == 1
    for words in ("ZeroDivisionError: nothing fits", ".py, line ", "report this line", "--debug", "slopeshift "):
        assert words in done.stderr
    assert isinstance(run("--debug", *command).exception, ZeroDivisionError)


def test_json_answers_in_both_cases(table, tmp_path):
    command = ["import", "table", table["source"], tmp_path / "out", "--mapping", table["document"], "--json"]
    answer = json.loads(run(*command).stdout)
    assert answer == {
        "trial": str(tmp_path / "out"), "patients": 3, "visits": 6, "injections": 3, "events": 2,
        "alsfrsr": 6, "fvc": 6,
        "rows": {"used": 14}, "left_out": [], "problems": [], "notes": [],
    }  # fmt: skip
    again = run(*command)
    assert again.exit_code == 1
    assert json.loads(again.stdout)["problems"][0]["found"] == "a folder that is not empty"


def test_check_answers_in_json_too(tmp_path):
    answer = json.loads(run("check", SYNTHETIC, "--json").stdout)
    assert answer["patients"] == 20
    assert answer["problems"] == []
    trial = small_trial(tmp_path / "small")
    (trial / "visits.csv").unlink()
    done = run("check", trial, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["problems"] == [
        {"file": "visits.csv", "row": None, "patient": None, "column": None, "found": "missing", "remedy": "add it"}
    ]


def test_check_prints_notes_and_takes_them_for_problems_where_it_is_strict(tmp_path):
    trial = small_trial(tmp_path / "small")
    (trial / "patients.csv").write_text((trial / "patients.csv").read_text().replace("6,death", ",death"))
    done = run("check", trial)
    assert done.exit_code == 0
    assert re.search(r"worth a look:\n\n.*\npatients.csv +3 +A2 +end_month +no time for the end 'death'", done.stdout)
    (note,) = json.loads(run("check", trial, "--json").stdout)["notes"]
    assert (note["patient"], note["row"], note["column"]) == ("A2", 3, "end_month")
    strict = run("check", trial, "--strict", "--json")
    assert strict.exit_code == 1
    assert json.loads(strict.stdout)["problems"] == [note]
    assert "no time for the end 'death'" in strict.stderr
    assert run("check", SYNTHETIC, "--strict").exit_code == 0


def test_quiet_says_nothing_but_errors(table, tmp_path):
    done = run("--quiet", "import", "table", table["source"], tmp_path / "out", "--mapping", table["document"])
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
    assert "no such folder" in run("--quiet", "check", tmp_path / "nowhere").stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["import", "excel", "a", "b"],
        ["import", "table"],
        ["import", "table", "a", "b", "--dates", "us"],
        ["import", "table", "a", "b", "--decimal", "dot"],
        ["import", "table", "--write-codemap", "x.yaml"],
        ["export", "excel", "a", "b"],
    ],
)
def test_wrong_usage_has_a_status_of_its_own(arguments):
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize("form", ["sdtm", "adam"])
def test_the_code_map_can_be_written_and_given_back(form, tmp_path):
    file = tmp_path / "codes.yaml"
    assert run("import", form, "--write-codemap", file).exit_code == 0
    source = exported(form, small_trial(tmp_path / "small"), tmp_path / "in")["source"]
    assert run("import", form, source, tmp_path / "out", "--mapping", file).exit_code == 0
    again = run("import", form, "--write-codemap", file)
    assert (again.exit_code, "there already" in again.stderr) == (1, True)


def test_export_names_what_it_leaves_out(tmp_path):
    done = run("export", "sdtm", SYNTHETIC, tmp_path / "out")
    assert done.exit_code == 0
    assert "sdtm has no place for injections.planned_month" in done.stdout
    assert run("export", "sdtm", SYNTHETIC, tmp_path / "out").exit_code == 1


def test_exit_statuses_are_documented_where_help_is_asked_for():
    text = " ".join(run("--help").stdout.split())
    for status in ("0 done", "1 bad input", "2 wrong usage", "3 a fit failed", "4 a fault", "130 interrupted"):
        assert status in text
    assert "--install-completion" in text


# ---- a workspace ----


def test_init_lays_out_what_is_needed(tmp_path):
    done = run("init", tmp_path / "mine")
    assert done.exit_code == 0
    laid = {str(path.relative_to(tmp_path / "mine")) for path in (tmp_path / "mine").rglob("*") if path.is_file()}
    assert laid >= {"Makefile", "environment.yml", ".gitignore", "models/alsfrsr.py", "models/fvc.py", "data/README.md"}
    read_trial(tmp_path / "mine" / "data" / "synthetic-msc-als")
    assert "VERSION" not in (tmp_path / "mine" / "environment.yml").read_text()


@pytest.mark.parametrize("what", ["a file", "a folder with a file", "a link"])
def test_init_refuses_what_is_there(what, tmp_path):
    folder = tmp_path / "mine"
    match what:
        case "a file":
            folder.write_text("mine")
        case "a link":
            folder.symlink_to(tmp_path / "elsewhere")
        case _:
            folder.mkdir()
            (folder / "notes.txt").write_text("mine")
    done = run("init", folder)
    assert done.exit_code == 1
    assert "there already, and not an empty folder" in done.stderr
    assert not (tmp_path / "elsewhere").exists()
    assert what != "a folder with a file" or [path.name for path in folder.iterdir()] == ["notes.txt"]


PRETENDED = """#!/bin/sh
echo "$@" >> calls.log
test "$1" != fit || exit ${FIT:-0}
"""


@pytest.mark.parametrize(
    ("target", "fit", "calls", "works"),
    [
        (["fit", "DRAWS=10", "SEED=3"], "0", ["fit data/synthetic-msc-als --seed 3 --draws 10"], True),
        (["report"], "0", [f"{step} data/synthetic-msc-als" for step in ("fit", "checks", "report")], True),
        (["report"], "3", [f"{step} data/synthetic-msc-als" for step in ("fit", "checks", "report")], False),
        (["report"], "1", ["fit data/synthetic-msc-als"], False),
        (["check", "TRIAL=data/mine"], "0", ["check data/mine"], True),
    ],
)
def test_the_workspace_makefile_calls_slopeshift(target, fit, calls, works, tmp_path):
    run("init", tmp_path / "mine")
    program = tmp_path / "slopeshift"
    program.write_text(PRETENDED)
    program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "FIT": fit}
    done = subprocess.run(["make", *target], cwd=tmp_path / "mine", env=environment, capture_output=True, check=False)
    assert [line.rstrip() for line in (tmp_path / "mine" / "calls.log").read_text().splitlines()] == calls
    assert (done.returncode == 0) == works


def test_bare_make_in_a_workspace_lists_its_commands(tmp_path):
    run("init", tmp_path / "mine")
    listed = subprocess.run(["make"], cwd=tmp_path / "mine", capture_output=True, text=True, check=True).stdout
    for command in ("make fit", "make report", "make check"):
        assert command in listed


@pytest.mark.slow
def test_the_wheel_alone_makes_a_workspace_that_fits(tmp_path):
    """Built without the network, installed into an environment that borrows its dependencies from this one."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "src", "models", "data"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, source / name)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=source, check=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    shutil.unpack_archive(wheel, site, "zip")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    program = environment / "bin" / "slopeshift"
    program.write_text(f"#!{environment}/bin/python\nfrom slopeshift.cli import app\napp()\n")
    program.chmod(0o755)
    variables = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MAKEFLAGS", "MAKELEVEL")
    }
    variables["PATH"] = f"{environment / 'bin'}:{variables['PATH']}"

    def command(*arguments, cwd):
        return subprocess.run(arguments, cwd=cwd, env=variables, capture_output=True, text=True, check=False)

    where = command(environment / "bin" / "python", "-c", "import slopeshift; print(slopeshift.__file__)", cwd=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(environment)
    assert command("slopeshift", "init", "mine", cwd=tmp_path).returncode == 0
    for path in (tmp_path / "mine" / "models").glob("*.py"):
        if path.stem not in ("alsfrsr", "fvc"):
            path.unlink()  # two show that it works; the others would take minutes to compile
    done = command("make", "fit", "DRAWS=500", "TUNE=500", "CHAINS=4", cwd=tmp_path / "mine")
    assert done.returncode in (0, 2), done.stderr  # 2: make's word for a gate that so few draws may fail
    fits = {path.name for path in (tmp_path / "mine" / "fits" / "synthetic-msc-als").iterdir()}
    assert {"alsfrsr.nc", "alsfrsr.json", "fvc.nc", "fvc.json"} <= fits, done.stderr

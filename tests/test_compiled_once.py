"""What all models share is compiled once for an installation, by another process, and a run says so."""

import subprocess
from types import SimpleNamespace

import pytest
from numba.core import event
from trials import ROOT, line_trial

from slopeshift.design.visits import visits_of
from slopeshift.fit import compiled_once as module
from slopeshift.fit import nuts
from slopeshift.fit.compiled import Sampling, compile_once
from slopeshift.model.files import load_model

MODELS = ROOT / "models"


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Programs that were started, without their being run, and a cache of their own."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(nuts, "nutpie", lambda: None)
    monkeypatch.setattr(module, "_running", {})
    programs = []

    class Process:
        returncode = 0

        def __init__(self, command, **_):
            programs.append(command[-1])

        def wait(self):
            return self.returncode

    monkeypatch.setattr(subprocess, "Popen", Process)
    return programs, Process


def test_it_is_done_once_and_said(started):
    programs, said = started[0], []
    for _ in range(2):
        module.compiled_once("plain", said.append)
    assert programs == [module.PROGRAM.format(program) for program in module.PARTS["plain"]]
    assert said == [f"compiling what models share, once for this installation: about {module.SECONDS['plain']} s"]


def test_where_it_failed_it_is_tried_again(started, monkeypatch):
    programs, process = started
    monkeypatch.setattr(process, "returncode", 1)
    for _ in range(2):
        module.compiled_once("plain", lambda _: None)
    assert len(programs) == 2 * len(module.PARTS["plain"])


def test_other_code_is_compiled_anew(started, monkeypatch):
    module.compiled_once("plain", lambda _: None)
    monkeypatch.setattr(module, "code", lambda *_: "0" * 64)
    module.compiled_once("plain", lambda _: None)
    assert len(started[0]) == 2 * len(module.PARTS["plain"])


def test_what_was_begun_is_waited_for_and_not_begun_again(started):
    assert module.begin("sampled")
    module.compiled_once("sampled", lambda _: None)
    assert len(started[0]) == len(module.PARTS["sampled"])
    assert not module.begin("sampled")


def test_where_nothing_can_be_kept_nothing_is_started(started, monkeypatch):
    monkeypatch.setattr(module, "_writable", lambda _: False)
    module.compiled_once("plain", lambda _: None)
    assert started[0] == []


def compilations(of):
    """Count what numba compiles while `of` runs, here."""
    with event.install_recorder("numba:compile") as record:
        of()
    return len(record.buffer)


def run(part):
    for program in module.PARTS[part]:
        exec(compile(module.PROGRAM.format(program), "program", "exec"), {})


@pytest.mark.parametrize(
    "part", [part if part == "plain" else pytest.param(part, marks=pytest.mark.slow) for part in module.PARTS]
)
def test_the_programs_can_be_run(part):
    """They name functions of the engine: were one renamed, nothing would be compiled aside, and nobody told."""
    run(part)


def test_they_leave_nothing_to_compile_for_a_fit():
    run("plain")
    trial = line_trial(4, seed=1)
    file = load_model(MODELS / "alsfrsr_straight.py")
    ready = compile_once("alsfrsr_straight", file.source, trial, Sampling(chains=1, draws=5, tune=5))
    assert compilations(lambda: ready.fit(trial, visits_of(trial, "alsfrsr", file.build.shape), 1)) == 0


@pytest.mark.parametrize(
    ("model", "part"),
    [
        ("alsfrsr", "plain"),
        ("fvc_straight", "plain"),
        ("alsfrsr_autocorrelated", "in_time"),
        ("alsfrsr_bounded", "sampled"),
        ("interval_negative_control", "regression"),
        ("formula", "plain"),
    ],
)
def test_a_model_needs_one_part(model, part):
    trial = line_trial(4, seed=1)
    assert module.part_of(load_model(MODELS / f"{model}.py").build, trial) == part


def test_of_a_function_nothing_is_compiled_ahead():
    assert module.part_of(lambda trial: None, line_trial(4, seed=1)) is None


def test_rules_of_entry_need_their_own_for_the_outcome_that_they_act_on():
    rule = SimpleNamespace(outcome="alsfrsr")
    needed = [
        module.part_of(load_model(MODELS / name).build, SimpleNamespace(entry=(rule,)))
        for name in ("alsfrsr.py", "fvc.py")
    ]
    assert needed == ["entered", "plain"]

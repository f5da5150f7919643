"""What all models share is compiled once for an installation, by another process, and a run says so."""

import subprocess

import pytest

from slopeshift.fit import compiled_once as module
from slopeshift.fit import nuts


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Programs that were started, without their being run, and a cache of their own."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(nuts, "load_sampler", lambda: None)
    programs = []

    class Process:
        returncode = 0

        def __init__(self, command, **_):
            programs.append(command[-1])

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(subprocess, "Popen", Process)
    return programs, Process


def test_it_is_done_once_and_said(started):
    programs, said = started[0], []
    for _ in range(2):
        module.compiled_once(module.EXACT, said.append)
    assert programs == [module.PROGRAM.format(module.EXACT)]
    assert said == ["compiling what models share, once for this installation: about 45 s"]


def test_where_it_failed_it_is_tried_again(started, monkeypatch):
    programs, process = started
    monkeypatch.setattr(process, "returncode", 1)
    for _ in range(2):
        module.compiled_once(module.EXACT, lambda _: None)
    assert len(programs) == 2


def test_other_code_is_compiled_anew(started, monkeypatch):
    module.compiled_once(module.EXACT, lambda _: None)
    monkeypatch.setattr(module, "code", lambda *_: "0" * 64)
    module.compiled_once(module.EXACT, lambda _: None)
    assert len(started[0]) == 2


def test_where_nothing_can_be_kept_nothing_is_started(started, monkeypatch):
    monkeypatch.setattr(module, "_writable", lambda _: False)
    module.compiled_once(module.EXACT, lambda _: None)
    assert started[0] == []


def test_what_only_models_that_sample_patients_need_is_compiled_apart(started):
    for part in (module.EXACT, module.SAMPLED):
        module.compiled_once(part, lambda _: None)
    assert started[0] == [module.PROGRAM.format("density"), module.PROGRAM.format("sampled")]


@pytest.mark.parametrize("part", [module.EXACT, module.SAMPLED])
def test_the_program_can_be_run(part):
    """It names functions of the engine: were one renamed, nothing would be compiled aside, and nobody told."""
    exec(compile(module.PROGRAM.format(part), "program", "exec"), {})

"""What is kept: tables with what they were made from, provenance by content."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pandas as pd
import pytest
from packages import copied_package, ended
from posteriors import posterior_from
from trials import ROOT, line_trial, posterior

from slopeshift import published
from slopeshift.answers import two_stage
from slopeshift.calibration.job import CalibrationJob
from slopeshift.fit.candidates import Candidate
from slopeshift.fit.store import Fit, Settings, inputs
from slopeshift.keep import atomic, made_from, tables
from slopeshift.keep.atomic import locked, replacing, replacing_folder
from slopeshift.model.files import load_model
from slopeshift.null import study as null
from slopeshift.null.population import fitted
from slopeshift.null.pseudo import PseudoJob
from slopeshift.null.rates import RefitJob
from slopeshift.sensitivity import study as sensitivity
from slopeshift.sensitivity.refits import VariationJob

TABLE = pd.DataFrame(
    {
        "injection": ["1", "overall", ""],
        "mean": [0.1 + 0.2, np.nan, -np.inf],
        "n": [1, 2, 3],
        "ok": [True, False, True],
        "note": ["a, b", "NA", 'said "no"'],
    }
)


def test_a_table_is_read_as_it_was_written(tmp_path):
    tables.save("population", TABLE, {"fit": "a"}, tmp_path)
    found, stale = tables.current(tmp_path, lambda _: {"fit": "a"})
    assert stale == []
    pd.testing.assert_frame_equal(found["population"], TABLE, check_dtype=False)
    assert found["population"]["mean"][0] == 0.1 + 0.2


def test_a_table_made_from_something_else_is_named_and_not_read(tmp_path):
    tables.save("population", TABLE, {"fit": "a"}, tmp_path)
    tables.save("patients", TABLE, {"fit": "b"}, tmp_path)
    found, stale = tables.current(tmp_path, lambda _: {"fit": "a"})
    assert (list(found), stale) == (["population"], ["patients"])


def test_an_empty_table_keeps_its_columns(tmp_path):
    tables.save("population", TABLE[:0], {}, tmp_path)
    found, _ = tables.current(tmp_path, lambda _: {})
    assert list(found["population"]) == list(TABLE)


def test_an_interrupted_write_leaves_a_table_that_counts_as_missing(tmp_path, monkeypatch):
    tables.save("population", TABLE, {"fit": "a"}, tmp_path)
    monkeypatch.setattr(pd.DataFrame, "to_csv", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        tables.save("population", TABLE, {"fit": "b"}, tmp_path)
    assert tables.current(tmp_path, lambda _: {"fit": "a"}) == ({}, [])


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ([None, None], [np.nan, np.nan]),
        ([None, 2.5], [np.nan, 2.5]),
        ([None, 2], [np.nan, 2.0]),
        (["1", "2"], ["1", "2"]),
        (["", ""], ["", ""]),
    ],
)
def test_a_gap_among_numbers_stays_a_gap_and_a_text_a_text(tmp_path, values, read):
    """A table of trials without an entry rule has no minimum loss in any row."""
    tables.save("t", pd.DataFrame({"x": pd.Series(values, dtype=object)}), {}, tmp_path)
    found = tables.current(tmp_path, lambda _: {})[0]["t"]["x"]
    np.testing.assert_array_equal(found.to_numpy(), np.array(read, dtype=found.dtype))


def test_truth_values_with_gaps_are_refused(tmp_path):
    with pytest.raises(ValueError, match="column 'passed' has truth values and gaps"):
        tables.save("t", pd.DataFrame({"passed": [True, None]}), {}, tmp_path)
    assert not list(tmp_path.iterdir())


WORDS = '"""One."""\n\nX = 1\n"""What it is."""\n\n\ndef f():\n    """Two."""\n    return X  # three\n'


def test_words_of_a_program_do_not_count():
    other = '"""Uno."""\nX = 1\n\ndef f():\n    return (X)\n'
    assert made_from.without_docstrings(WORDS) == made_from.without_docstrings(other)


def test_code_of_a_program_counts():
    assert made_from.without_docstrings(WORDS) != made_from.without_docstrings(WORDS.replace("return X", "return -X"))


def test_the_closure_follows_imports_in_functions_and_for_types():
    closure = made_from.closure(frozenset({"fit.sample"}))
    assert {"fit.log_prior", "engine.kernel", "design.visits", "trial.door"} <= closure
    assert not {name for name in closure if name.startswith(("answers", "report", "cli"))}


def test_a_module_that_is_not_there_is_refused():
    with pytest.raises(LookupError, match=r"fit\.nothing"):
        made_from.code("fit.nothing")


# ---- what is out of date after a change, and what is not ----

MODEL = ROOT / "models/alsfrsr.py"


def keys():
    """Everything that names what a kept answer was made from: fits, tables and the replicates of jobs."""
    trial, file = line_trial(), load_model(MODEL)
    fit = Fit(None, {"model": "alsfrsr", "inputs": inputs(trial.files, file.source, Settings())})
    candidate = Candidate(file, None, fit.record["inputs"])
    given = (trial, "alsfrsr", "alsfrsr", file.source)
    return {
        "fit": fit.record["inputs"],
        "two_stage": two_stage._made_from(fit),
        "sensitivity": sensitivity._made_from(trial, [candidate]),
        **{name: null._made_from(name, trial, [candidate]) for name in null.CODE},
        "answers": made_from.code("answers.tables"),
        "refit job": RefitJob(*given, fitted("fit", posterior_from(posterior())), 1).key,
        "pseudo job": PseudoJob(*given, 1).key,
        "sensitivity job": VariationJob(*given, 1, ()).key,
        "calibration job": CalibrationJob(trial, "alsfrsr", file.source, 1).key,
    }


def out_of_date(before):
    return {name for name, key in keys().items() if key != before[name]}


@pytest.fixture(scope="module")
def edit(tmp_path_factory):
    with copied_package(tmp_path_factory.mktemp("package")) as edit:
        yield edit


def test_other_words_anywhere_put_nothing_out_of_date(edit):
    before = keys()
    for module in made_from.closure(frozenset({"cli.fits", "calibration.study"})):
        path = made_from._path(module)
        text = path.read_text()
        path.write_text(text.replace('"""', '"""In other words: ', 1) + "\n# a remark\n" if '"""' in text else text)
    edit("answers.quantities", "def population(", "def population(")
    assert out_of_date(before) == set()


REFITTED = {
    "null_refits",
    "refit job",
    "pseudo_injection",
    "pseudo_moves",
    "pseudo job",
    "sensitivity",
    "sensitivity job",
}


@pytest.mark.parametrize(
    ("module", "stale"),
    [
        ("answers.convergence", {"two_stage", "answers"} | REFITTED),
        ("answers.two_stage", {"two_stage"}),
        ("null.claim", {"published_claim"}),
        ("published", {"published_claim"}),
        ("null.pseudo", {"pseudo_injection", "pseudo_moves", "pseudo job"}),
        ("calibration.posterior", {"calibration job"}),
        ("answers.quantities", {"two_stage", "answers", "calibration job"} | REFITTED),
        ("report.analysis", set()),
        ("cli.fits", set()),
    ],
)
def test_changed_code_puts_out_of_date_what_it_decides_and_nothing_else(edit, module, stale):
    before = keys()
    edit(module)
    assert out_of_date(before) == stale


def test_a_changed_engine_puts_everything_out_of_date_but_what_is_made_without_a_fit(edit):
    before = keys()
    edit("engine.kernel")
    assert out_of_date(before) == set(before) - {"published_claim"}


def test_a_changed_published_count_puts_the_claim_out_of_date(monkeypatch):
    before = keys()
    monkeypatch.setattr(published, "content", lambda: {"petrou2021": "other counts"})
    assert out_of_date(before) == {"published_claim"}


# ---- whole files, one writer at a time ----


def beside(target, process, host=None):
    """Name what another process writes beside a target."""
    return target.with_name(f".{target.name}.{host or re.sub(r'\\W', '_', socket.gethostname())}-{process}-0a1b2c3d")


def test_two_writers_of_one_file_both_end_well(tmp_path):
    target = tmp_path / "a.nc"
    with replacing(target) as first:
        first.write_text("first")
        with replacing(target) as second:
            second.write_text("second")
        assert target.read_text() == "second"
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("write", [replacing, replacing_folder])
def test_only_what_nobody_writes_any_more_is_removed(tmp_path, write):
    target = tmp_path / "a"
    dead, living = beside(target, ended()), beside(target, os.getpid())
    elsewhere, old = beside(target, ended(), "elsewhere"), beside(target, 1, "old")
    others = [tmp_path / ".a.txt", tmp_path / ".a.lock", beside(tmp_path / "a.b", ended())]
    for path in (dead, living, elsewhere, old, *others):
        path.write_text("")
    os.utime(old, (0, time.time() - atomic.ABANDONED - 1))
    with write(target) as path:
        path.touch()
    assert set(tmp_path.iterdir()) == {target, living, elsewhere, *others}


@pytest.mark.parametrize("write", [replacing, replacing_folder])
def test_what_fails_or_is_interrupted_leaves_the_target_as_it_was(tmp_path, write):
    target = tmp_path / "a"
    with write(target) as path:
        (path / "x" if path.is_dir() else path).write_text("before")
    with pytest.raises(KeyboardInterrupt), write(target) as path:
        signal.raise_signal(signal.SIGINT)
    assert (target / "x" if target.is_dir() else target).read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


WRITER = """
import sys, time
from pathlib import Path
from slopeshift.keep.atomic import locked, replacing

folder, name, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
with locked(folder, print):
    if (folder / "made").exists():
        print("up to date")
    else:
        with replacing(folder / "made") as path, path.open("w") as file:
            file.write("half ")
            file.flush()
            Path(f"{folder}.begun").touch()
            time.sleep(seconds)
            file.write(name)
"""


def writer(folder, name, seconds):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", WRITER, str(folder), name, str(seconds)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def begun(folder):
    """Start a process that has begun to write and would take a minute, and wait until it has begun."""
    first = writer(folder, "first", 60)
    wait_for((folder.parent / f"{folder.name}.begun").exists)
    return first


def test_a_second_writer_says_what_it_waits_for_and_finds_the_work_done(tmp_path):
    folder = tmp_path / "fits"
    first = writer(folder, "first", 1.5)
    wait_for((tmp_path / "fits.begun").exists)
    said = writer(folder, "second", 0).communicate(timeout=60)[0]
    assert said.splitlines() == [
        f"{folder}: another process is writing there; waiting until it has ended",
        "up to date",
    ]
    assert first.communicate(timeout=60)[0] == ""
    assert (folder / "made").read_text() == "half first"
    assert list(folder.iterdir()) == [folder / "made"]


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_writer_that_is_stopped_lets_the_one_that_waits_do_the_work(tmp_path, stop):
    folder = tmp_path / "fits"
    first = begun(folder)
    second = writer(folder, "second", 0)
    assert "waiting" in second.stdout.readline()
    first.send_signal(stop)
    first.communicate(timeout=60)
    assert second.communicate(timeout=60) == ("", "")
    assert (folder / "made").read_text() == "half second"
    # The second may have begun while the first was still ending; whoever writes next finds that it has ended.
    with replacing(folder / "made") as path:
        path.write_text("third")
    assert list(folder.iterdir()) == [folder / "made"], "what was left behind is removed"


def test_a_writer_that_waits_can_be_interrupted_and_the_other_is_left_alone(tmp_path):
    folder = tmp_path / "fits"
    first = begun(folder)
    second = writer(folder, "second", 0)
    assert "waiting" in second.stdout.readline()
    second.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in second.communicate(timeout=60)[1]
    assert first.poll() is None
    assert not (folder / "made").exists()
    first.kill()
    first.communicate(timeout=60)


def test_a_process_may_take_its_own_lock_again(tmp_path):
    said = []
    with locked(tmp_path / "a", said.append), locked(tmp_path / "a", said.append), locked(tmp_path / "b", said.append):
        tables.save("t", TABLE, {}, tmp_path / "a")
    assert said == []


def test_tables_that_processes_save_at_once_are_all_kept(tmp_path):
    program = (
        "import sys, pandas as pd; from pathlib import Path; from slopeshift.keep.tables import save\n"
        "for i in range(10): save(f'{sys.argv[2]}-{i}', pd.DataFrame({'x': [i]}), {}, Path(sys.argv[1]))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    start = partial(subprocess.Popen, env=environment)
    for process in [start([sys.executable, "-c", program, str(tmp_path / "kept"), name]) for name in "ab"]:
        assert process.wait(timeout=60) == 0
    found, stale = tables.current(tmp_path / "kept", lambda _: {})
    assert (len(found), stale) == (20, [])


def test_what_is_imported_for_types_alone_decides_nothing():
    text = (
        "from typing import TYPE_CHECKING\nfrom slopeshift.keep import atomic\n"
        "if TYPE_CHECKING:\n    from slopeshift.fit import sample\nelse:\n    from slopeshift.engine import simd\n"
    )
    assert made_from.imported(text) == {"keep", "keep.atomic", "engine", "engine.simd"}

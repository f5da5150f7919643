"""Work on many replicates: the same whoever does it, however it is divided, and however often it is interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jobs import Draws, Dying, Failing
from trials import ROOT

from slopeshift.keep.processes import WorkError
from slopeshift.keep.replicates import CHUNK, replicates

COUNT = 12


def text(rows):
    """Rows as text, so that the last digit counts and NaN equals NaN."""
    return json.dumps(rows)


@pytest.fixture
def expected(tmp_path):
    return replicates(Draws(1), COUNT, tmp_path / "expected", processes=1)


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.json")}


def test_every_replicate_is_there_once_and_in_order(expected):
    assert [row["replicate"] for row in expected] == sorted(2 * list(range(COUNT)))
    assert len({row["x"] for row in expected}) == 2 * COUNT


def test_several_processes_give_what_one_gives(tmp_path, expected):
    assert text(replicates(Draws(1), COUNT, tmp_path / "other", processes=2)) == text(expected)
    assert files(tmp_path / "other") == files(tmp_path / "expected")


def test_another_seed_gives_other_results_in_another_place(tmp_path, expected):
    other = replicates(Draws(2), COUNT, tmp_path / "expected", processes=1)
    assert text(other) != text(expected)
    assert len(list((tmp_path / "expected").iterdir())) == 2


def test_fewer_replicates_are_the_first_of_more(tmp_path, expected):
    fewer = replicates(Draws(1), 7, tmp_path / "fewer", processes=1)
    assert text(fewer) == text(expected[:14])
    assert text(replicates(Draws(1), COUNT, tmp_path / "fewer", processes=1)) == text(expected)


def test_what_was_lost_is_done_again_to_the_last_digit_and_the_rest_is_left(tmp_path, expected):
    before = files(tmp_path / "expected")
    store = tmp_path / "expected" / Draws(1).key
    lost, *kept = sorted(store.iterdir())
    times = {path: path.stat().st_mtime_ns for path in kept}
    lost.unlink()
    assert text(replicates(Draws(1), COUNT, tmp_path / "expected", processes=1)) == text(expected)
    assert files(tmp_path / "expected") == before
    assert {path: path.stat().st_mtime_ns for path in kept} == times


def test_nothing_is_done_where_all_is_there(tmp_path, expected):
    class Refusing(Draws):
        def rows(self, replicate):
            raise AssertionError("done again")

    assert text(replicates(Refusing(1), COUNT, tmp_path / "expected")) == text(expected)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_run_that_was_stopped_goes_on_to_the_same_results(tmp_path, expected, stop):
    program = (
        "from pathlib import Path; from jobs import Draws; from slopeshift.keep.replicates import replicates\n"
        f"if __name__ == '__main__': replicates(Draws(1, 0.1), {COUNT}, Path('stopped'), processes=2)"
    )
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    (tmp_path / "program.py").write_text(program)
    running = subprocess.Popen(
        [sys.executable, "program.py"], cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.DEVNULL
    )
    store = tmp_path / "stopped" / Draws(1).key
    deadline = time.monotonic() + 60
    while not list(store.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(stop)
    running.wait()
    assert 0 < len(files(tmp_path / "stopped")) <= 3
    assert text(replicates(Draws(1), COUNT, tmp_path / "stopped", processes=1)) == text(expected)
    assert files(tmp_path / "stopped") == files(tmp_path / "expected")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="lists processes by /proc")
def test_processes_end_with_the_one_they_work_for(tmp_path):
    program = (
        "import os, time; from slopeshift.keep.processes import workers\n"
        "if __name__ == '__main__':\n"
        "    with workers(2) as pool:\n"
        "        print(*{pool.submit(os.getpid).result() for _ in range(9)}, flush=True)\n"
        "        pool.submit(time.sleep, 600)\n"
        "        time.sleep(600)\n"
    )
    (tmp_path / "program.py").write_text(program)
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(
        [sys.executable, tmp_path / "program.py"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as running:
        working = [Path("/proc") / number for number in running.stdout.readline().decode().split()]
        assert working
        assert all(process.exists() for process in working)
        running.kill()
    deadline = time.monotonic() + 30
    while any(process.exists() for process in working) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(process.exists() for process in working)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_replicate_that_fails_says_why_and_keeps_what_was_done(tmp_path, processes):
    with pytest.raises(ValueError, match="replicate 7 cannot be done"):
        replicates(Failing(), CHUNK * 2, tmp_path, processes=processes)
    assert not any("000005" in path.name.split("-")[0] for path in tmp_path.rglob("*.json"))


def test_a_process_that_is_lost_is_told_of(tmp_path):
    with pytest.raises(WorkError, match="a process ended before its work was done; the same command goes on where"):
        replicates(Dying(), CHUNK * 2, tmp_path, processes=2)


def test_without_dask_a_scheduler_is_refused_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(WorkError, match=r"a scheduler needs Dask: install slopeshift\[cluster\]"):
        replicates(Draws(1), 1, tmp_path, scheduler="tcp://nowhere:1")


def test_a_bar_on_standard_error_changes_nothing(tmp_path, expected, capsys):
    assert text(replicates(Draws(1), COUNT, tmp_path / "bar", processes=1, progress=True)) == text(expected)
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_a_cluster_gives_what_one_process_gives_also_when_a_worker_is_lost(tmp_path, expected, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    from distributed import LocalCluster

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")]))
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        assert text(replicates(Draws(1), COUNT, tmp_path / "cluster", scheduler=address)) == text(expected)
        with ThreadPoolExecutor(1) as background:
            slow = background.submit(replicates, Draws(1, 0.5), COUNT, tmp_path / "lost", scheduler=address)
            time.sleep(1.5)
            victim = next(iter(cluster.workers.values()))
            os.kill(victim.pid, signal.SIGKILL)
            assert text(slow.result(timeout=120)) == text(expected)
    assert files(tmp_path / "lost") == files(tmp_path / "expected")

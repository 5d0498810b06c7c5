"""A run that is killed or interrupted loses the running jobs alone; resumed, it ends as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mlbench as package
from mlbench.store import Store

METHODS = (
    {
        "name": "Mined",
        "loss": "margin",
        "miner": "distance-weighted",
        "search": {"loss.beta": {"low": 0.5, "high": 1.5}},
    },
    "Untrained",
)
LONGER = {"training": {"iterations_per_epoch": 10, "max_epochs": 3, "patience": 9}}
TABLES = ("leaderboard.md", "leaderboard.csv", "leaderboard.json")
JOBS = 10 + 6

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


@pytest.fixture(scope="module")
def uninterrupted(tiny, tmp_path_factory):
    """The tables of a run that nothing disturbed."""
    result = package.run(tiny(*METHODS, **LONGER), store=tmp_path_factory.mktemp("uninterrupted") / "store")
    return tables(result.store)


@pytest.fixture
def running(benchmark_file, tmp_path):
    """Start the command in a process group of its own; whatever is left of it in the end is killed."""
    started = []

    def start(workers):
        # A shell without job control has its background processes, and so their children, ignore SIGINT.
        code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        code += "from mlbench.cli import main; main()"
        arguments = ["run", benchmark_file(*METHODS, **LONGER), "--store", str(tmp_path / "store")]
        command = [sys.executable, "-c", code, *arguments, "--workers", str(workers)]
        with (tmp_path / "messages").open("w") as messages:
            started.append(subprocess.Popen(command, stdout=messages, stderr=messages, start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def tables(store):
    return {name: (store / name).read_bytes() for name in TABLES}


def wait_until(condition, process=None):
    """Poll; fail when the process has ended before, or after a time that is long enough for any machine."""
    deadline = time.monotonic() + 300
    while not (found := condition()):
        assert process is None or process.poll() is None, "it ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def happened(store, event):
    """Whether an event of a training has been written."""
    file = store / "events.jsonl"
    lines = file.read_text().split("\n")[:-1] if file.exists() else []
    return any(json.loads(line)["event"] == event for line in lines)


def workers_of(process):
    """Process ids of the children."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        state = state_of(path.parent.name)
        if state and int(state[1]) == process.pid:
            found.append(int(path.parent.name))
    return found


def state_of(pid):
    """State and parent of a process, nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def gone(pids):
    return all((state := state_of(pid)) is None or state[0] == "Z" for pid in pids)


def finish(mlbench, benchmark_file, store):
    """Give the same command again; how many runs it found done."""
    before = len(list(Store(store).records()))
    assert before < JOBS and not (store / "leaderboard.md").exists()
    code, out, err = mlbench("run", benchmark_file(*METHODS, **LONGER), "--store", store, "--workers", "0")
    assert code == 0, err
    assert f"{JOBS - before} runs now, {before} from before, 0 failed." in out
    return before


@pytest.mark.parametrize(("workers", "event"), [(0, "started"), (1, "validated")])
def test_a_killed_run_is_resumed_to_the_same_bytes(
    running, mlbench, benchmark_file, tmp_path, uninterrupted, workers, event
):
    store = tmp_path / "store"
    process = running(workers)
    wait_until(lambda: happened(store, event), process)
    children = workers_of(process)
    assert len(children) == workers
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    wait_until(lambda: gone(children))  # a worker notices that nobody listens any more
    finish(mlbench, benchmark_file, store)
    assert tables(store) == uninterrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupted_run_says_that_it_can_be_resumed(
    running, mlbench, benchmark_file, tmp_path, uninterrupted, number
):
    store = tmp_path / "store"
    process = running(1)
    wait_until(lambda: happened(store, "validated"), process)
    children = workers_of(process)
    os.kill(process.pid, number)
    assert process.wait() == 75
    assert gone(children)
    last = (tmp_path / "messages").read_text().splitlines()[-1]
    assert last == "mlbench: interrupted; give the same command again to resume"
    finish(mlbench, benchmark_file, store)
    assert tables(store) == uninterrupted
    assert not [record for record in Store(store).records() if record.outcome != "completed"]

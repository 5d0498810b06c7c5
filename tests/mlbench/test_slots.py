"""Which executor runs get, and which GPU: told by the processes that are started, none of which needs a GPU."""

import io
import json
from collections import Counter

import pytest

from mlbench.api import ConfigError
from mlbench.execution import executors, local
from mlbench.execution.context import Context
from mlbench.execution.control import Control
from mlbench.spec import load_benchmark
from mlbench.training import Meter

DEVICES = "runtime.device=cuda:0,cuda:1"


class Process:
    """A worker process that only listens."""

    started = ()

    def __init__(self, command, **_):
        self.stdin, self.stdout, self.pid, self.told = self, io.StringIO(), 0, []
        Process.started.append(self)

    def write(self, line):
        self.told.append(json.loads(line))

    def flush(self):
        pass

    close = kill = flush

    def wait(self):
        return 0

    @property
    def device(self):
        return self.told[0]["context"]["device"]

    @property
    def jobs(self):
        return [message["job"] for message in self.told if "job" in message]


@pytest.fixture
def started(monkeypatch):
    monkeypatch.setattr(local.subprocess, "Popen", Process)
    monkeypatch.setattr(local, "kill", lambda process: None)
    monkeypatch.setattr(Process, "started", [])
    return Process.started


def test_runs_spread_over_gpus_before_they_share_one(started, tiny, tmp_path):
    benchmark = load_benchmark(tiny("Untrained"), [DEVICES, "runtime.slots=2", "runtime.workers=4"])
    with executors.pool_of(benchmark, Context(str(tmp_path), {}, "cuda:0"), 100, Control()) as pool:
        assert pool.idle == 4
        for number in range(4):
            pool.submit(f"job {number}", {})
        assert pool.idle == 0
        places = {job: process.device for process in started for job in process.jobs}
    assert {places["job 0"], places["job 1"]} == {"cuda:0", "cuda:1"}
    assert Counter(places.values()) == {"cuda:0": 2, "cuda:1": 2}
    # On a GPU a process does one job, and its successor waits on the same GPU.
    assert Counter(process.device for process in started if not process.jobs) == {"cuda:0": 2, "cuda:1": 2}


def test_fewer_runs_than_slots_start_no_more_processes(started, tiny, tmp_path):
    benchmark = load_benchmark(tiny("Untrained"), [DEVICES, "runtime.slots=8", "runtime.workers=16"])
    with executors.pool_of(benchmark, Context(str(tmp_path), {}, "cuda:0"), 3, Control()) as pool:
        assert pool.idle == len(started) == 3


def test_a_run_is_billed_the_part_of_a_gpu_that_it_has(started, tiny, tmp_path, monkeypatch):
    benchmark = load_benchmark(tiny("Untrained"), [DEVICES, "runtime.slots=2", "runtime.workers=3"])
    with executors.pool_of(benchmark, Context(str(tmp_path), {}, "cuda:0"), 100, Control()):
        shares = [(process.device, process.told[0]["context"]["gpu_share"]) for process in started]
    assert sorted(shares) == [("cuda:0", 0.5), ("cuda:0", 0.5), ("cuda:1", 1.0)]
    monkeypatch.setattr("torch.cuda.reset_peak_memory_stats", lambda device: None)
    spent = Meter("cuda:0", 0.5, {"seconds": 60.0, "gpu_seconds": 30.0}).spent
    assert spent["gpu_seconds"] == pytest.approx(spent["seconds"] / 2) and spent["seconds"] > 60


def test_attempts_add_up_though_a_checkpoint_and_a_lease_know_of_the_same():
    meter = Meter("cpu", spent={"seconds": 60.0, "cpu_seconds": 40.0})
    meter.go_on({"seconds": 50.0, "cpu_seconds": 30.0})  # the checkpoint is older than the last word in the lease
    assert 60 < meter.spent["seconds"] < 110 and 40 < meter.spent["cpu_seconds"] < 70


@pytest.mark.parametrize(
    "override, message",
    [
        ("runtime.executor=ry", "runtime.executor"),
        ("runtime.address=auto", "address: for executor ray, not local"),
        ("runtime.slurm.partition=gpu", "slurm: for executor slurm, not local"),
        ("runtime.slurm.partitoin=gpu", "did you mean partition"),
        ("runtime.device=cuda:0,cpu", "a list names GPUs"),
        ("runtime.slots=2", "slots: so many runs share a GPU"),
    ],
)
def test_what_an_executor_cannot_do_is_refused(tiny, override, message):
    with pytest.raises(ConfigError, match=message):
        load_benchmark(tiny("Untrained", runtime={}), [override])


def test_ray_chooses_the_gpu_itself(tiny):
    with pytest.raises(ConfigError, match="write cpu or cuda, got 'cuda:1'"):
        load_benchmark(tiny("Untrained", runtime={"executor": "ray", "device": "cuda:1", "workers": 1}))

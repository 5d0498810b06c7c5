"""Really on Ray: the bytes of the local executor, whatever dies in between. `make test-cluster`."""

import os
import secrets
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from accidents import said
from clusters import AtFirst, events, processes, stop_and_go_on, study, validated

import mlbench
from mlbench.api import ConfigError
from mlbench.execution import ray_pool
from mlbench.store import Store

pytest.importorskip("ray", reason="pip install 'mlbench-dml[ray]'")


@pytest.fixture(scope="module", autouse=True)
def token():
    """Clusters that ask for a token, as those of the documentation do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "5")  # Ray's own patience with a head: a minute
        yield


@pytest.fixture(scope="module")
def here(tiny, tmp_path_factory):
    """The study on the local executor."""
    return mlbench.run(study(tiny, workers=2), store=tmp_path_factory.mktemp("local") / "store").store


@pytest.fixture(scope="module")
def undisturbed(here):
    return said(Store(here))


class Cluster:
    """Nodes of one core each, on this machine: a head, and others."""

    def __init__(self):
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.groups = {}

    def start(self, name):
        """`ray start`, as the documentation has it, but small."""
        role = [f"--address={self.address}"]
        if name == "head":
            role = ["--head", f"--port={self.port}", "--disable-usage-stats", "--include-dashboard=false"]
        size = ["--node-ip-address=127.0.0.1", "--num-cpus=1", "--object-store-memory=80000000"]
        command = [Path(sys.executable).parent / "ray", "start", *role, *size]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
        assert process.wait() == 0
        self.groups[name] = process.pid

    def kill(self, name):
        with suppress(ProcessLookupError):
            os.killpg(self.groups[name], signal.SIGKILL)


@pytest.fixture
def cluster():
    cluster = Cluster()
    try:
        cluster.start("head")
        cluster.start("node")
        yield cluster
    finally:
        for name in cluster.groups:
            cluster.kill(name)


def test_a_killed_worker_loses_nothing(tiny, tmp_path, undisturbed):
    store = tmp_path / "store"

    def kill():
        for process in processes("ray::on_ray")[:1]:
            os.kill(process, signal.SIGKILL)

    watch = AtFirst(store, kill)
    result = mlbench.run(study(tiny, executor="ray", workers=2), store=store, watch=watch)
    assert watch.action is None and events(store, "retried")
    assert not result.summary.failed and said(Store(store)) == undisturbed
    again = mlbench.run(study(tiny, executor="ray", workers=2), store=store)
    assert not again.summary.done and len(again.summary.cached) == again.summary.total


class NodeThenHead(AtFirst):
    """Kills the node; when that was noticed, the head."""

    def __init__(self, store, cluster):
        super().__init__(store, lambda: cluster.kill("node"))
        self.cluster = cluster

    def retried(self, job, reason):
        super().retried(job, reason)
        self.cluster.kill("head")

    def stopped(self, job):  # what Ray spoke through was that node
        super().stopped(job)
        self.cluster.kill("head")


def test_a_killed_node_and_a_killed_head_lose_nothing(tiny, tmp_path, undisturbed, cluster, monkeypatch):
    store = tmp_path / "store"
    tables = study(tiny, executor="ray", address=cluster.address, workers=2)
    watch = NodeThenHead(store, cluster)
    monkeypatch.setattr(ray_pool, "_PATIENCE", 5.0)
    with pytest.raises(KeyboardInterrupt):  # exit code 75 of the command
        mlbench.run(tables, store=store, watch=watch)
    assert watch.action is None and watch.said[-1].startswith(f"Ray ({cluster.address}) is gone; what is done is kept")
    monkeypatch.undo()
    cluster.start("head")
    result = mlbench.run(tables, store=store)
    assert not result.summary.failed and said(Store(store)) == undisturbed


def test_runs_that_are_asked_to_stop_keep_their_state(tiny, tmp_path, here, cluster):
    there = study(tiny, executor="ray", address=cluster.address, workers=2)
    stop_and_go_on(there, tmp_path / "store", here)


def test_a_run_of_two_ranks_is_one_task_on_one_node(tiny, tmp_path, cluster):
    wide = study(tiny, ranks=2, executor="ray", workers=1)
    elsewhere = wide | {"runtime": wide["runtime"] | {"address": cluster.address}}
    with pytest.raises(ConfigError, match=r"nothing in the cluster has room for a run, which needs .*'num_cpus': 2"):
        mlbench.run(elsewhere, store=tmp_path / "store")
    there = mlbench.run(wide, store=tmp_path / "store")
    here = mlbench.run(study(tiny, ranks=2, workers=1), store=tmp_path / "here")
    assert not there.summary.failed and said(Store(there.store)) == said(Store(here.store))
    assert validated(there.store) == validated(here.store) != []


def test_where_no_ray_is_the_command_says_so(tiny, tmp_path, token):
    address = Cluster().address
    with pytest.raises(ConfigError, match=rf"no Ray at {address} .*refused.*ray start --head.*RAY_AUTH_MODE=token"):
        mlbench.run(study(tiny, executor="ray", address=address, workers=2), store=tmp_path / "store")

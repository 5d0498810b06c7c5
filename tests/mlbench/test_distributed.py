"""Several processes of one training: what one process would do with the whole batch, or a failure that says why."""

import json
import subprocess

import pytest
import ranked
import torch
from accidents import small

import mlbench
from mlbench.api import ConfigError
from mlbench.execution import open_study
from mlbench.execution.context import context_of
from mlbench.execution.launch import devices_of, joined, meeting
from mlbench.execution.worker import Hearing, Worker
from mlbench.protocols import Outcome
from mlbench.registry.child import python_module
from mlbench.spec import load_benchmark
from mlbench.store import Store
from mlbench.training.ranks import ALONE

FRAGILE = '''
import os
import signal
from pathlib import Path

import torch
import torch.distributed as dist
from pytorch_metric_learning import losses


class Fragile(losses.MultiSimilarityLoss):
    """In the fourth step something happens to the second rank, once or always."""

    def __init__(self, how: str, once: str = ""):
        super().__init__()
        self.how, self.once = how, once
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None):
        self.seen += 1
        if self.seen == 4 and dist.is_initialized() and dist.get_rank() == 1 and not Path(self.once or "-").exists():
            if self.once:
                Path(self.once).touch()
            if self.how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("wrong on one rank")
        return super().forward(embeddings, labels, indices_tuple)
'''


@pytest.fixture(scope="module")
def two_ranks():
    """What rank 0 of two found, and by how much the ranks differ."""
    store = meeting(2)
    command, environment = python_module("ranked")
    other = subprocess.Popen([*command, str(store.port)], env=environment)
    try:
        with joined(store, 0, 2, "cpu") as ranks:
            found = ranked.as_rank(ranks)
        assert other.wait() == 0
        return found
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("case", ranked.CASES)
def test_two_ranks_find_the_losses_gradients_and_weights_of_one_process(two_ranks, case):
    found, apart = two_ranks
    expected = ranked.follow(case, ALONE)
    assert expected["loss 0"] > 0 and expected["gradient of model.0.weight"].abs().max() > 1e-4
    for name, value in expected.items():
        torch.testing.assert_close(found[case][name], value, rtol=1e-9, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}")
    assert not any(apart[case].values())


def distributed(tiny, how, once="", ranks=2, **runtime):
    """A study of a loss that may lose a rank."""
    method = {"name": "Fragile", "loss": {"id": "fragile/fragile", "how": how, "once": str(once)}}
    tables = small(tiny, method, workers=0, **runtime)
    return tables | {
        "model": tables["model"] | {"freeze_batchnorm": True},
        "training": tables["training"] | {"ranks": ranks},
    }


def test_a_run_of_two_ranks_outlives_the_death_of_one_and_reports_what_one_process_does(tiny, install, tmp_path):
    install("fragile", {"losses": ["fragile = fragile:Fragile"]}, FRAGILE)
    once = tmp_path / "died"
    result = mlbench.run(distributed(tiny, "killed", once, checkpoint_every=0.0), store=tmp_path / "two")
    alone = mlbench.run(distributed(tiny, "killed", once, ranks=1), store=tmp_path / "one")
    assert once.exists() and not result.summary.failed
    assert "Fragile" in (result.store / "leaderboard.md").read_text()
    events = [json.loads(line) for line in (result.store / "events.jsonl").read_text().splitlines()]
    assert [line["reason"] for line in events if line["event"] == "retried"] == ["killed"]
    logs = [path.read_text() for path in (result.store / "logs").iterdir()]
    assert any("rank 1 of 2: " in log and "goes on in epoch 2" in log for log in logs)
    curves = curves_of(result.store)
    assert len(curves) == 2 and curves.keys() == curves_of(alone.store).keys()
    for fold, curve in curves_of(alone.store).items():
        for entry, expected in zip(curves[fold], curve, strict=True):
            assert entry == pytest.approx(expected, rel=1e-4)


def curves_of(store):
    records = list(Store(store).records())
    return {record.fold: record.results["curve"] for record in records if record.role == "reproduction"}


def trial_in_two_parts(tiny, store, ranks):
    """The curve of a trial that was let go on after its first epoch, and what was noted."""
    method = {"name": "Searched", "loss": "contrastive", "search": {"loss.pos_margin": {"low": 0.0, "high": 0.2}}}
    tables = small(tiny, method)
    tables["training"] |= {"ranks": ranks}
    tables["search"] = tables["search"] | {"stopping": {"epochs": [1], "factor": 2}}
    study = open_study(load_benchmark(tables), store)
    study.claim()
    worker, notes = Worker(context_of(study)), []
    parts = {job.rung: job for job in study.plan.jobs if (job.role, job.number, job.fold) == ("trial", 0, 0)}
    better = {job.key: Outcome("", 1.0 - job.number, 1) for job in study.plan.jobs if job.rung == 0}
    for rung in (0, 1):
        request = study.request(parts[rung], better)
        record = worker.run(request, Hearing(note=notes.append))
    return record.results["curve"], notes


def test_a_trial_of_two_ranks_goes_on_where_it_could_have_been_stopped(tiny, tmp_path):
    curve, notes = trial_in_two_parts(tiny, tmp_path / "two", ranks=2)
    alone, _ = trial_in_two_parts(tiny, tmp_path / "one", ranks=1)
    assert "goes on in epoch 2 after 0 batches" in notes
    assert [entry["epoch"] for entry in curve] == [1, 2]
    for entry, expected in zip(curve, alone, strict=True):  # its batch norms are trained: they see the whole batch
        assert entry == pytest.approx(expected, rel=1e-4)


def test_a_rank_that_fails_fails_the_run_with_its_reason(tiny, install, tmp_path):
    install("fragile", {"losses": ["fragile = fragile:Fragile"]}, FRAGILE)
    result = mlbench.run(distributed(tiny, "raised", fail_fast=True), store=tmp_path / "store")
    (record,) = Store(result.store).records()
    assert (record.outcome, record.why) == ("failed", "error")
    assert record.error.startswith("rank 1 of 2: ValueError: wrong on one rank") and "in forward" in record.error


def test_a_batch_that_ranks_cannot_share_is_refused_before_anything_runs(tiny):
    with pytest.raises(
        ConfigError, match=r"methods\[0\] \(Fine\): training.ranks = 3 cannot share a batch of 8 evenly"
    ):
        open_study(
            load_benchmark(tiny({"name": "Fine", "loss": "contrastive"}, training={"ranks": 3, "batch_size": 8}))
        )


def test_ranks_need_a_device_each():
    with pytest.raises(ConfigError, match=r"training.ranks: 2 ranks need as many CUDA devices from cuda:40 on"):
        devices_of("cuda:40", 2)

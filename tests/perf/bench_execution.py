"""What the harness costs: beside a bare training loop, by one more worker, and until a worker is there.

Run by hand, on an idle machine, a few minutes:

    OMP_NUM_THREADS=1 pytest tests/perf/bench_execution.py -s

The bare loop is what a script would be: torch, pytorch-metric-learning and nothing of mlbench's but the sampler, so
that the batches are the same. It must find what the harness finds: the same losses, metrics and weights. Both train in
one process and take turns after every step, so that a machine that is slow for a second is slow for both. Nothing
asserts a time.
"""

import io
import os
import resource
import time
from collections import OrderedDict
from dataclasses import replace
from statistics import median

import pytest
import torch
from pytorch_metric_learning.losses import ContrastiveLoss
from safetensors.torch import load
from torch import nn
from torch.nn.functional import normalize

from mlbench.data.samplers import MPerClass
from mlbench.execution import open_study
from mlbench.execution.context import context_of
from mlbench.execution.local import LocalProcesses
from mlbench.execution.pool import InProcess
from mlbench.spec import load_benchmark
from mlbench.store import Store

ROUNDS = int(os.environ.get("MLBENCH_BENCH_ROUNDS", "5"))
EPOCHS, BATCH, SIZE = 3, 32, 128
#: Steps of an epoch by the width of the network.
STEPS = {16: 100, 64: 40}
#: Jobs of each of the two pools; whatever divides by two.
JOBS = 8


def benchmark(width):
    """Of a network of this width."""
    return {
        "name": "execution",
        "dataset": {"id": "glyphs", "max_classes": 640},
        "folds": 2,
        "reproductions": JOBS // 2,
        "model": {"trunk": {"id": "conv-small", "width": width}, "embedding_size": SIZE, "freeze_batchnorm": False},
        "transforms": {"size": 32, "resize": 32, "mean": [0.2], "std": [0.35], "flip": 0.0},
        "training": {
            "batch_size": BATCH,
            "iterations_per_epoch": STEPS[width],
            "max_epochs": EPOCHS,
            "evaluate_every": 1,
            "patience": EPOCHS,
            "optimizer": {"name": "Adam", "lr": 1e-3, "weight_decay": 1e-4},
        },
        "methods": [{"name": "Contrastive", "loss": {"id": "contrastive", "pos_margin": 0.0, "neg_margin": 0.5}}],
    }


class Bare:
    """A training as a script has it.

    Args:
        learn: Images ``[N, 1, 32, 32]`` uint8 and labels ``[N]`` to learn from.
        select: The same to validate on.
        request: What the harness is asked for.
    """

    def __init__(self, learn, select, request):
        self.learn, self.select, self.seed = learn, select, int(request["seed"])
        self.width, self.count = (
            request["model"]["trunk"]["arguments"]["width"],
            request["training"]["iterations_per_epoch"],
        )
        self.sampler = MPerClass(BATCH, request["samples_per_class"])

    def steps(self):
        """Train; stops after every step, and at the end with curve and state dict of the best model."""
        torch.manual_seed(self.seed)
        model = network(self.width)
        loss_of = ContrastiveLoss(pos_margin=0.0, neg_margin=0.5)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-4, foreach=True)
        (images, labels), curve, best = self.learn, [], None
        batches = self.sampler.batches(labels, self.seed)
        for _ in range(EPOCHS):
            model.train()
            total = 0.0
            for _ in range(self.count):
                indices = torch.from_numpy(next(batches))
                loss = loss_of(model(prepared(images[indices])), labels[indices])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                total += float(loss.detach())
                yield
            entry = {"loss": total / self.count, **self.validated(model)}
            if best is None or entry["map_at_r"] > max(earlier["map_at_r"] for earlier in curve):
                best = {name: value.clone() for name, value in model.state_dict().items()}
            curve.append(entry)
        torch.save(best, io.BytesIO())
        return curve, best

    @torch.inference_mode()
    def validated(self, model):
        """MAP@R, R-Precision and Recall@K of the validation classes."""
        images, labels = self.select
        model.eval()
        embeddings = torch.cat([normalize(model(prepared(part))) for part in images.split(256)])
        similar = (embeddings @ embeddings.T).fill_diagonal_(-torch.inf)
        positives = (labels[:, None] == labels).sum(1) - 1
        nearest = similar.topk(max(8, int(positives.max()))).indices
        right = (labels[nearest] == labels[:, None]).double()
        within = torch.arange(right.shape[1]) < positives[:, None]
        precision = right.cumsum(1) / torch.arange(1, right.shape[1] + 1)
        found = {f"recall_at_{k}": float(right[:, :k].amax(1).mean()) for k in (1, 2, 4, 8)}
        found["r_precision"] = float(((right * within).sum(1) / positives).mean())
        return found | {"map_at_r": float(((precision * right * within).sum(1) / positives).mean())}


def network(width):
    """Four strided convolutions and a linear layer, named as the harness names them."""
    blocks, channels = [], 1
    for number, kernel in enumerate((5, 3, 3, 3)):
        wide = width * 2**number
        convolution = nn.Conv2d(channels, wide, kernel, stride=2, padding=kernel // 2, bias=False)
        blocks.append(nn.Sequential(convolution, nn.BatchNorm2d(wide), nn.ReLU(inplace=True)))
        channels = wide
    layers = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(2), nn.Flatten()).to(memory_format=torch.channels_last)
    trunk = nn.Sequential(OrderedDict(layers=layers))
    return nn.Sequential(OrderedDict(trunk=trunk, embedder=nn.Linear(32 * width, SIZE)))


def prepared(images):
    """What the network takes."""
    return images.float().div_(255).sub_(0.2).div_(0.35)


def opened(width, store):
    """A study of trainings with a network of this width."""
    study = open_study(load_benchmark(benchmark(width)), store)
    study.claim()
    return study


def trainings(study):
    """What is asked of all trainings, by the keys of their jobs."""
    return {job.key: study.request(job, {}) for job in study.plan.jobs if job.role == "reproduction"}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return opened(min(STEPS), tmp_path_factory.mktemp("execution") / "store")


@pytest.fixture(scope="module")
def requests(study):
    return trainings(study)


def done(pool):
    """Wait for a job's end."""
    while True:
        for message in pool.news(60.0):
            assert message.kind in ("told", "done"), message
            if message.kind == "done":
                return message.job


class Turns:
    """Seconds of two trainings of which one makes a step whenever the other has made one.

    Attributes:
        bare: Wall and processor seconds of the bare loop.
        harness: Of the harness.
        result: What the bare loop found.
    """

    def __init__(self, bare):
        self.bare, self.harness, self.result = [0.0, 0.0], [0.0, 0.0], None
        self._steps = bare.steps()
        self._since = 0.0, 0.0

    def run(self, harness):
        """Both to their ends; ``harness`` calls `step` between any two of its own."""
        self._since = now()
        harness()
        self._passed(self.harness)
        while self.result is None:
            self._since = now()
            self._step()

    def step(self):
        """One of the bare loop."""
        self._passed(self.harness)
        self._step()

    def _step(self):
        try:
            next(self._steps)
        except StopIteration as end:
            self.result = end.value
        self._passed(self.bare)

    def _passed(self, whose):
        """Give the time since the last call to one of the two, so that either pays for one look at the clocks a step.

        In floats: after a step this code is in no cache, and with arrays a look took 60 microseconds.
        """
        wall, processor = now()
        whose[0] += wall - self._since[0]
        whose[1] += processor - self._since[1]
        self._since = wall, processor


def now():
    """Wall and processor seconds."""
    return time.perf_counter(), time.process_time()


@pytest.mark.parametrize("width", STEPS)
def test_overhead_over_a_bare_loop(width, tmp_path, figures):
    study = opened(width, tmp_path / "opened")
    key, request = next(iter(trainings(study).items()))
    taken = []
    pool = InProcess(context_of(study), lambda job: taken[-1].step())  # asked after every step whether to stop
    worker = pool._worker
    views = [tensors(view) for view in worker.views(request, worker._parts(request))]
    bare = Bare(*views, request)

    def harness():
        study.store.path = tmp_path / f"store-{time.monotonic_ns()}"
        worker.store = Store(study.store.path)
        pool.submit(key, request)
        done(pool)

    for _ in range(ROUNDS + 1):
        taken.append(Turns(bare))
        taken[-1].run(harness)
    check_equal(worker.store, *taken[-1].result)
    found = {name: [getattr(one, name) for one in taken[1:]] for name in ("harness", "bare")}  # one to warm up
    pairs = list(zip(*found.values(), strict=True))
    over = [100 * (median(ours[kind] / theirs[kind] for ours, theirs in pairs) - 1) for kind in (0, 1)]
    rows = [f"| {name} | {middle(times, 0):.2f} | {middle(times, 1):.2f} |" for name, times in found.items()]
    table = ["| | wall, s | processor, s |", "|---|---|---|", *rows]
    table += [f"| overhead, median of ratios | {over[0]:+.1f}% | {over[1]:+.1f}% |"]
    steps = EPOCHS * STEPS[width]
    each = 1000 * middle(found["bare"], 0) / steps
    about = f"{steps} steps of {BATCH} images of 32 × 32, {EPOCHS} validations, all in all {each:.0f} ms a step; "
    about += f"medians of {ROUNDS}."
    figures(
        f"The harness beside a bare loop: a network of width {width}",
        "\n".join([about, "", *table]),
        {"seconds": found, "overhead": over},
    )


def middle(times, kind):
    """Median of wall (0) or processor (1) seconds."""
    return median(one[kind] for one in times)


def tensors(view):
    """Images and labels of a view."""
    return torch.stack(list(view.images(range(len(view))))), torch.from_numpy(view.labels)


def check_equal(store, curve, best):
    """The bare loop found what the harness did."""
    (record,) = store.records()
    assert len(record.results["curve"]) == len(curve) == EPOCHS
    for ours, theirs in zip(record.results["curve"], curve, strict=True):
        assert ours["loss"] == theirs["loss"]
        # Two neighbours whose similarities differ in the last bit alone may change places.
        assert {name: ours[name] for name in theirs} == pytest.approx(theirs, rel=1e-4)
    kept = load(store.read(record.run, "model.safetensors"))
    assert kept.keys() == best.keys() and all(torch.equal(kept[name], best[name]) for name in best)


def test_throughput_of_two_workers(study, requests, tmp_path, figures):
    speeds = {1: [], 2: []}
    for turn in range(ROUNDS):
        for workers in speeds:
            context = replace(context_of(study), store=str(tmp_path / f"store-{turn}-{workers}"))
            pool = LocalProcesses(context, ["cpu"] * workers)
            waiting = list(requests.items())
            for _ in range(workers):  # the first of each opens the dataset, and is not counted
                pool.submit(*waiting.pop())
            for _ in range(workers):
                done(pool)
            counted, begun = len(waiting) - len(waiting) % workers, time.perf_counter()
            waiting = waiting[:counted]
            for _ in range(counted):
                while pool.idle and waiting:
                    pool.submit(*waiting.pop())
                done(pool)
            speeds[workers].append(counted / (time.perf_counter() - begun))
            pool.close()
    ratio = median(two / one for one, two in zip(*speeds.values(), strict=True))
    table = [f"| workers | trainings a minute, median of {ROUNDS} |", "|---|---|"]
    table += [f"| {workers} | {60 * median(found):.1f} |" for workers, found in speeds.items()]
    table += [f"| ratio, median | {ratio:.2f} |"]
    figures("Two workers beside one", "\n".join(table), {"trainings a second": speeds, "ratio": ratio})


def test_start_of_a_worker(study, requests, tmp_path, figures):
    firsts, seconds, processor = [], [], []
    for turn in range(ROUNDS):
        (first, request), (second, after) = list(requests.items())[:2]
        short = [
            one | {"training": one["training"] | {"max_epochs": 1, "iterations_per_epoch": 1}}
            for one in (request, after)
        ]
        before, begun = children_seconds(), time.perf_counter()
        pool = LocalProcesses(replace(context_of(study), store=str(tmp_path / f"store-{turn}")), ["cpu"])
        pool.submit(first, short[0])
        done(pool)
        firsts.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        pool.submit(second, short[1])
        done(pool)
        seconds.append(time.perf_counter() - begun)
        pool.close()
        processor.append(children_seconds() - before)
    start = median(a - b for a, b in zip(firsts, seconds, strict=True))
    table = [f"| a training of one step, median of {ROUNDS} | s |", "|---|---|"]
    table += [f"| the first of a worker, its start included | {median(firsts):.2f} |"]
    table += [f"| the next one | {median(seconds):.2f} |", f"| so the start | {start:.2f} |"]
    table += [f"| processor time of both and the start | {median(processor):.2f} |"]
    figures("Start of a worker", "\n".join(table), {"first": firsts, "next": seconds, "processor": processor})


def children_seconds():
    """Of the processor, of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

"""Resuming: from any step to the same bits, and from nothing that cannot be trusted."""

import random
from importlib.metadata import version

import pytest
import torch
from accidents import setup, small

from mlbench.data.images import ImageStore
from mlbench.execution import open_study
from mlbench.execution.context import context_of
from mlbench.execution.environment import environment
from mlbench.execution.worker import Hearing, Worker
from mlbench.registry import entries, resolve
from mlbench.spec import load_benchmark
from mlbench.store import Store
from mlbench.store.checkpoints import Checkpoints
from mlbench.training import Interrupted, Keeper, train
from mlbench.training.setup import setup_of

METHODS = {
    "mined": {"name": "Mined", "loss": {"id": "margin"}, "miner": "distance-weighted"},
    "proxies": {"name": "Proxies", "loss": {"id": "cosface", "scale": 16.0}, "samples_per_class": 4},
    "memory": {
        "name": "Memory",
        "loss": {"id": "cross-batch-memory", "loss": "contrastive", "memory_size": 20},
    },
}


@pytest.fixture(scope="module")
def prepare(tiny):
    """Everything that a training of a method on the digits needs, built anew; with its views."""

    def prepare(method):
        study = open_study(load_benchmark(small(tiny, method)))
        request = study.protocol.request(study.plan.jobs[0], {})
        views = images.view((0, 1, 2)), images.view((3, 4))
        return setup_of(request, views[0], "cpu"), *views

    images = ImageStore.build(resolve("datasets", "digits", "dataset").build(), None)
    return prepare


class Stops(Keeper):
    """Keeps the state in a file at one step, and stops."""

    def __init__(self, checkpoints, after):
        self.checkpoints, self.left = checkpoints, after

    def resume(self):
        return self.checkpoints.latest()[0]

    def offer(self, position, capture, *, validated):
        self.left -= 1
        if not self.left:
            self.checkpoints.write(capture())
            raise Interrupted


@pytest.fixture
def checkpoints(tmp_path):
    store = Store(tmp_path)
    return Checkpoints(tmp_path / "checkpoints" / "abc", "abc", {"torch": "1"}, store.quarantine)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_training_that_is_stopped_after_every_step_ends_in_the_same_bits(prepare, checkpoints, method):
    told, again = [], []
    expected = train(*prepare(method), told.append)
    while True:
        torch.manual_seed(random.randrange(1 << 30))  # as in another process
        try:
            done = train(*prepare(method), again.append, Stops(checkpoints, 1))
            break
        except Interrupted:
            continue
    assert again == told == expected.curve and len(told) == 2
    assert (done.curve, done.best, done.images) == (expected.curve, expected.best, expected.images)
    assert done.state.keys() == expected.state.keys()
    assert all(torch.equal(value, expected.state[name]) for name, value in done.state.items())


def state(number):
    return {"number": number, "tensor": torch.full((3,), float(number)), "deep": [{"a": (1, None, "b")}]}


def test_the_last_two_checkpoints_are_kept_and_come_back(checkpoints, tmp_path):
    for number in range(4):
        checkpoints.write(state(number))
    found, problems = checkpoints.latest()
    assert found["number"] == 3 and torch.equal(found["tensor"], state(3)["tensor"]) and not problems
    assert found["deep"] == state(3)["deep"]
    assert len(list((tmp_path / "checkpoints" / "abc").iterdir())) == 2


def truncated(content):
    return content[: len(content) // 2]


def changed(content):
    return content[:-20] + bytes([content[-20] ^ 1]) + content[-19:]


def of_another_run(content):
    return content.replace(b'"run": "abc"', b'"run": "xyz"')


def of_another_version(content):
    return content.replace(b'"torch": "1"', b'"torch": "2"')


def of_the_future(content):
    return content.replace(b'"format": 2', b'"format": 9')


def without_head(content):
    return content.partition(b"\n")[2]


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (truncated, "truncated"),
        (changed, "does not match its checksum"),
        (of_another_run, "run: 'xyz' there, 'abc' here"),
        (of_another_version, "versions.torch: '2' there, '1' here"),
        (of_the_future, "format: 9 there, 2 here"),
        (without_head, "not a checkpoint"),
        (lambda content: b"", "not a checkpoint"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_trusted_is_named_and_set_aside_and_the_one_before_is_used(checkpoints, tmp_path, damage, named):
    checkpoints.write(state(1))
    checkpoints.write(state(2))
    newest = max((tmp_path / "checkpoints" / "abc").iterdir())
    newest.write_bytes(bad := damage(newest.read_bytes()))
    found, problems = checkpoints.latest()
    assert found["number"] == 1
    assert len(problems) == 1 and named in problems[0] and newest.name in problems[0]
    (name, why) = next(iter(Store(tmp_path).quarantine))
    assert why == problems[0] and (tmp_path / "quarantine" / name).read_bytes() == bad


class Payload:
    def __reduce__(self):
        return (print, ("executed",))


def test_a_checkpoint_never_executes_anything(checkpoints, tmp_path, capsys):
    checkpoints.write({"harmless": Payload()})
    assert checkpoints.latest()[0] is None
    assert "executed" not in capsys.readouterr().out
    assert "more than plain data" in next(iter(Store(tmp_path).quarantine))[1]


def test_a_state_that_cannot_be_written_is_refused_and_leaves_nothing(checkpoints, tmp_path):
    with pytest.raises(TypeError):
        checkpoints.write({"local": lambda: None})
    assert not (tmp_path / "checkpoints").exists()


def test_a_checkpoint_of_another_version_of_a_plugin_is_set_aside(tiny, install, tmp_path):
    setup(install)
    tables = small(tiny, {"name": "Mine", "loss": {"id": "faulty/accident", "how": "none", "at": 0}})
    study = open_study(load_benchmark(tables), tmp_path / "store")
    study.claim()
    worker, request, said = Worker(context_of(study)), study.request(study.plan.jobs[0], {}), []

    def stopped():
        with pytest.raises(Interrupted):
            worker.run(request, Hearing(stopping=lambda: True, note=said.append))

    stopped()
    stopped()
    assert said[1] == "goes on in epoch 1 after 1 batches" and len(said) == 3
    (info,) = (tmp_path / "site-packages").glob("faulty-*.dist-info")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.2.4\n")
    entries.cache_clear()
    stopped()
    assert "(versions.faulty: '1.2.3' there, '1.2.4' here)" in said[3] and said[-1].startswith("stopped in epoch 1")


def test_a_record_names_the_versions_of_what_computes():
    found = environment()
    assert found["torchvision"] == version("torchvision") and found["pillow"] == version("pillow")
    assert "triton" in found


def test_a_finished_run_leaves_no_checkpoints(checkpoints, tmp_path):
    checkpoints.write(state(1))
    checkpoints.clear()
    assert not (tmp_path / "checkpoints" / "abc").exists()

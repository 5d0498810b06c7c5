"""What is left of processes that were killed or had no room on the disk: removed, or harmless."""

import errno
import json

import pytest
from accidents import small

import mlbench
from mlbench.api import StoreError
from mlbench.execution.watch import Events, Watch
from mlbench.execution.worker import Worker
from mlbench.spec import digest
from mlbench.store import Record, Store
from mlbench.store.atomic import staged_folder
from mlbench.store.leftovers import clear_up
from mlbench.store.store import HEADER_LEASE

REQUEST = {"job": {"method": "A", "role": "trial", "number": 0, "fold": 0}}
RUN = digest(REQUEST)
RECORD = Record(run=RUN, request=REQUEST, outcome="completed", results={"best": {"map_at_r": 0.5}})


class Killed(BaseException):
    """Nothing after it happens."""


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store with one record, and with what a kill leaves in every place where something is written."""
    store = Store(tmp_path)
    store.commit(RECORD)
    for place in ("requests", "leases", f"checkpoints/{RUN[:32]}", "checkpoints/unfinished", f"parts/{RUN[:32]}"):
        (tmp_path / place).mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr("mlbench.store.atomic.shutil.rmtree", lambda *_, **__: None)
        with pytest.raises(Killed), staged_folder(tmp_path / "runs" / "other") as staging:
            (staging / "record.json").write_text("half")
            raise Killed
    staged = "12.0123abcd"
    for name in (
        f".leaderboard.md.{staged}",
        "requests/1.json",
        "leases/job.0",
        "leases/coordinator-1.0",
        f"checkpoints/{RUN[:32]}/00000001.ckpt",
        f"checkpoints/unfinished/.00000001.ckpt.{staged}",
        f"parts/{RUN[:32]}/00000000.ckpt",
        *OTHERS,
    ):
        (tmp_path / name).write_text("{}")
    for name in ("leases/job.0", "leases/coordinator-1.0"):
        held = store.leases.take(name.removeprefix("leases/").removesuffix(".0") + "x", {})
        (tmp_path / name).write_bytes(next((tmp_path / "leases").glob("*x.0")).read_bytes())
        held.release()
    return store


#: Still of use, or somebody else's.
OTHERS = (".gitignore", "checkpoints/unfinished/00000000.ckpt")


def files(store):
    return {str(path.relative_to(store.path)) for path in store.path.rglob("*") if path.is_file()}


def test_what_the_killed_left_is_removed_and_nothing_else(store):
    assert len(files(store)) == 1 + 8 + len(OTHERS)
    clear_up(store)
    assert files(store) == {f"runs/{RUN[:32]}/record.json", *OTHERS}
    assert store.get(RUN) == RECORD


@pytest.mark.parametrize(("outcome", "kept"), [("failed", True), ("diverged", False), ("completed", False)])
@pytest.mark.parametrize("rung", [None, 1])
def test_what_a_retry_would_go_on_from_is_kept_and_nothing_else(tmp_path, outcome, kept, rung):
    store = Store(tmp_path)
    request = {"job": REQUEST["job"] | ({} if rung is None else {"rung": rung}), "training": {"max_epochs": 9}}
    state, other = store.state(request), store.state(request | {"seed": 1})
    other = other if rung is not None else tmp_path / "checkpoints" / RUN[:32]
    store.commit(RECORD)
    store.commit(Record(run=digest(request), request=request, outcome=outcome, results=RECORD.results))
    for folder in (state, other):
        folder.mkdir(parents=True)
        (folder / "00000000.ckpt").touch()
    clear_up(store)
    assert state.exists() == kept and not other.exists()


def test_nothing_is_removed_while_somebody_is_at_work(store):
    before = files(store)
    lease = store.leases.take("busy", {})
    clear_up(store)
    assert files(store) - {"leases/busy.0"} == before
    lease.release()


@pytest.mark.parametrize("name", ["coordinator-2", HEADER_LEASE])
def test_a_lease_without_a_word_is_given_time_and_then_removed(store, monkeypatch, name):
    monkeypatch.setattr("mlbench.store.lease._WORDLESS", 0.2)
    (store.path / "leases" / f"{name}.0").touch()  # its holder was killed between making and writing it
    clear_up(store)
    assert files(store) == {f"runs/{RUN[:32]}/record.json", *OTHERS}


def test_a_record_that_appears_between_two_looks_is_believed(tmp_path, monkeypatch):
    store = Store(tmp_path)
    file = store.folder(RUN) / "record.json"
    read = type(file).read_bytes

    def late(path):
        if path == file and not file.exists():
            store.commit(RECORD)  # just after it was looked for
            raise FileNotFoundError(errno.ENOENT, "not yet", str(path))
        return read(path)

    monkeypatch.setattr(type(file), "read_bytes", late)
    assert store.get(RUN) == RECORD
    assert not list(store.quarantine)


def test_a_disk_that_was_full_within_a_run_is_no_failure_of_the_run(tiny, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "train", full)
        with pytest.raises(StoreError, match=r"No space left on device.*free some space"):
            mlbench.run(small(tiny, "Untrained", workers=0), store=tmp_path / "store")
    assert not list(Store(tmp_path / "store").records())
    assert not mlbench.run(small(tiny, "Untrained", workers=0), store=tmp_path / "store").summary.failed


def test_an_event_after_one_that_was_cut_off_has_a_line_of_its_own(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "begin"}\n{"event": "star')
    events = Events(path, Watch())
    events.begin(3, 0)
    events.close()
    lines = path.read_text().splitlines()
    assert len(lines) == 3 and json.loads(lines[2])["total"] == 3

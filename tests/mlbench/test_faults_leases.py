"""Leases: one holder, whoever dies, whatever the clocks say."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from mlbench.api import StoreError
from mlbench.store import lease as module
from mlbench.store.lease import Leases

HOLD = """
import sys, time
from pathlib import Path
from mlbench.store.lease import Leases
lease = Leases(Path(sys.argv[1])).take("job", {"job": "theirs"})
lease.tell(spent=lambda: {"seconds": 7.0})
lease.beat()
print("held" if lease else "refused", flush=True)
time.sleep(600)
"""


@pytest.fixture
def leases(tmp_path):
    return Leases(tmp_path / "leases")


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An observer on another machine, whose clock can be turned; it never sees locks."""
    monkeypatch.setattr(module, "_locked", lambda path: None)
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def later(seconds):
        now[0] += seconds

    return Leases(tmp_path / "leases", expiry=60.0), later


def test_a_lease_has_one_holder_until_it_is_given_back(leases, tmp_path):
    lease = leases.take("job", {"job": "A"})
    assert leases.take("job", {}) is None and Leases(tmp_path / "leases").take("job", {}) is None
    assert leases.holder("job")["job"] == "A" and leases.take("other", {}) is not None
    lease.release()
    assert leases.holder("job") is None
    assert leases.take("job", {}) is not None


@pytest.mark.skipif(module.fcntl is None, reason="no locks here")
def test_a_holder_that_is_killed_holds_nothing(leases, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "leases"], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout.readline() == "held\n"
        assert leases.take("job", {}) is None
        assert leases.holder("job")["pid"] == process.pid
        os.kill(process.pid, signal.SIGKILL)
    assert leases.holder("job") is None
    lease = leases.take("job", {})
    assert lease is not None and lease.beat() and lease.spent == {"seconds": 7.0}
    assert len(list((tmp_path / "leases").iterdir())) == 1
    lease.release()
    assert leases.take("job", {}).spent == {}


def test_what_was_spent_is_left_to_the_next_holder_at_once_on_any_machine(leases, elsewhere):
    spent = [1.0]
    theirs = leases.take("job", {})
    theirs.tell(spent=lambda: {"seconds": spent[0]})
    assert theirs.beat()
    spent[0] = 2.0
    theirs.leave()
    theirs.release()
    observer, _ = elsewhere
    assert observer.holder("job") is None and not list(observer.held()) and not observer.alive()
    assert observer.take("job", {}).spent == {"seconds": 2.0}


@pytest.mark.skipif(module.fcntl is None, reason="no locks here")
def test_whoever_looks_at_a_lease_just_when_it_is_taken_is_not_in_the_way(leases, monkeypatch):
    write = module.Lease._write

    def looked_at(lease):
        write(lease)
        looking = os.open(lease._path, os.O_RDONLY)
        module.fcntl.flock(looking, module.fcntl.LOCK_SH)  # as `status` does
        threading.Timer(0.1, os.close, [looking]).start()

    monkeypatch.setattr(module.Lease, "_write", looked_at)
    lease = leases.take("job", {})
    assert lease is not None and leases.holder("job") is not None


def test_a_lease_that_is_cleared_away_just_when_it_is_taken_is_not_held(leases, monkeypatch):
    lock = module._lock
    with monkeypatch.context() as patch:
        patch.setattr(module, "_lock", lambda descriptor: (next((leases._folder).iterdir()).unlink(), lock(descriptor)))
        assert leases.take("job", {}) is None
    assert leases.take("job", {}) is not None


def test_a_lease_that_cannot_be_written_is_not_left_behind(leases, tmp_path, monkeypatch):
    def full(descriptor, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "write", full)
        with pytest.raises(StoreError, match="No space left on device"):
            leases.take("job", {})
    assert not list((tmp_path / "leases").iterdir())
    assert leases.take("job", {}) is not None


def test_a_lease_whose_holder_was_killed_before_a_word_is_free_soon(elsewhere, tmp_path):
    observer, later = elsewhere
    (tmp_path / "leases").mkdir()
    (tmp_path / "leases" / "job.0").touch()
    assert observer.take("job", {}) is None
    later(6)
    assert observer.take("job", {}) is not None


def test_from_another_machine_a_holder_lives_as_long_as_it_counts(leases, elsewhere):
    theirs = leases.take("job", {})
    observer, later = elsewhere
    for _ in range(5):
        assert observer.take("job", {}) is None
        later(50)
        assert theirs.beat()
    later(59)
    assert observer.take("job", {}) is None
    later(59)
    assert observer.take("job", {}) is None
    later(2)
    mine = observer.take("job", {})
    assert mine is not None
    assert not theirs.beat()  # it wakes up, and learns that it lost
    theirs.release()
    assert mine.beat() and observer.holder("job") is not None


def test_a_clock_that_is_set_back_changes_nothing(leases, elsewhere, tmp_path, monkeypatch):
    theirs = leases.take("job", {})
    observer, later = elsewhere
    assert observer.take("job", {}) is None
    hour_ago = time.time() - 3600
    monkeypatch.setattr(time, "time", lambda: hour_ago)
    for path in (tmp_path / "leases").iterdir():
        os.utime(path, (hour_ago, hour_ago))
    later(30)
    theirs.beat()
    assert observer.take("job", {}) is None
    later(61)
    assert observer.take("job", {}) is not None


def test_who_lost_the_lease_does_not_take_it_from_the_next_holder(leases, elsewhere):
    first = leases.take("job", {"job": "first"})
    observer, later = elsewhere
    observer.take("job", {})
    later(61)
    second = observer.take("job", {"job": "second"})
    first.release()
    assert observer.holder("job")["job"] == "second" and second.beat()


def test_what_is_held_can_be_listed(leases):
    lease = leases.take("job", {"job": "Triplet/trial-0/fold-1", "run": "abc"})
    lease.tell(epoch=3, step=7)
    lease.beat()
    ((name, content, _),) = leases.held()
    assert name == "job" and (content["job"], content["epoch"], content["step"]) == ("Triplet/trial-0/fold-1", 3, 7)


def test_that_a_holder_elsewhere_is_dead_need_be_waited_for_only_once(leases, elsewhere, tmp_path):
    theirs = leases.take("job", {})
    theirs.tell(spent={"seconds": 2.0})
    assert theirs.beat()
    observer, later = elsewhere
    observer.free("job")  # it may live
    assert theirs.beat() and observer.holder("job") is not None
    later(61)
    newcomer = Leases(tmp_path / "leases", expiry=60.0)
    assert newcomer.take("job", {}) is None
    observer.free("job")
    assert newcomer.take("job", {}).spent == {"seconds": 2.0}
    observer.free("nothing")
    assert {path.stem for path in (tmp_path / "leases").iterdir()} == {"job"}


def test_what_a_holder_says_can_be_long_and_become_shorter(leases):
    lease = leases.take("job", {"job": "\N{CYRILLIC SMALL LETTER ZHE}" * 200})
    lease.tell(step=1000)
    assert lease.beat()
    lease.tell(step=1)
    assert lease.beat() and leases.holder("job")["step"] == 1


def test_what_a_holder_says_last_is_what_others_read(leases):
    lease, asked, go_on = leases.take("job", {}), threading.Event(), threading.Event()

    def slow():
        first = not asked.is_set()
        asked.set()
        return first and go_on.wait(60)

    lease.tell(slow=slow)
    counting = threading.Thread(target=lease.beat)
    counting.start()
    assert asked.wait(60)
    lease.tell(through=True)
    saying = threading.Thread(target=lease.beat)
    saying.start()
    saying.join(0.1)
    go_on.set()
    for thread in (counting, saying):
        thread.join()
    assert leases.holder("job")["through"]

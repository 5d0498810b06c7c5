"""What a store believes: whole records of its own plan, as they were written; and the formats that it ever had."""

import errno
import json
import os
from hashlib import sha256
from pathlib import Path

import pytest
from accidents import small

import mlbench
from mlbench.api import StoreError
from mlbench.leaderboard.write import publish
from mlbench.spec import digest
from mlbench.store import Record, Store

GOLDEN = Path(__file__).parent / "golden"
PUBLISHED = Path(__file__).parents[2] / "leaderboards/reality-check/glyphs-640/policies"
RECIPE = {"dataset": {"content": "abc"}, "folds": 2}


def record(number=0, content="abc", **change):
    job = {"method": "Triplet", "role": "trial", "number": number, "fold": 0}
    request = {"job": job, "dataset": {"content": content}}
    values = {"run": digest(request), "request": request, "outcome": "completed"}
    return Record(**values | {"results": {"best": {"map_at_r": 0.25}}, "cost": {"seconds": 1.0}} | change)


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store")
    made.claim(RECIPE, {}, {"name": "mine"})
    return made


# -- formats ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
def test_every_format_is_read_and_written_as_it_was(version):
    text = (GOLDEN / f"record-{version}.json").read_text(encoding="utf-8").strip()
    found = Record.from_json(text, "golden")
    assert found.format == version and found.outcome == "completed"
    assert found.score and digest(found.request) == found.run
    assert found.to_json() == text
    assert ("checksum" in json.loads(text)) == (version > 1)


def test_the_checksum_is_that_of_all_other_fields():
    content = json.loads((GOLDEN / "record-2.json").read_text(encoding="utf-8"))
    checksum = content.pop("checksum")
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert sha256(text.encode()).hexdigest() == checksum


def test_a_published_store_of_the_old_format_is_published_again_to_the_same_bytes(tmp_path):
    publish(Store(PUBLISHED), tmp_path)
    for name in ("records.jsonl", "store.json", "leaderboard.md", "leaderboard.csv", "leaderboard.json"):
        assert (tmp_path / name).read_bytes() == (PUBLISHED / name).read_bytes(), name


@pytest.mark.parametrize("key", ["results", "cost", "environment", "outcome", "error"])
def test_a_record_that_was_edited_by_hand_is_not_believed(store, key):
    store.commit(record())
    file = store.folder(record().run) / "record.json"
    content = json.loads(file.read_text())
    content[key] = {"results": {"best": {"map_at_r": 0.99}}, "cost": {}, "environment": {"torch": "9"}}.get(
        key, "failed"
    )
    file.write_text(json.dumps(content))
    assert store.get(record().run) is None
    ((name, why),) = store.quarantine
    assert "does not match its checksum" in why and str(file) in why
    assert json.loads((store.path / "quarantine" / name / "record.json").read_text()) == content


# -- stores that were merged -----------------------------------------------------------------------------------------


def test_a_record_of_another_plan_is_named_and_set_aside(store):
    store.commit(record())
    stranger = record(content="xyz")
    store.commit(stranger)
    assert list(store.records()) == [record()]
    ((_, why),) = store.quarantine
    assert "of another plan (dataset: content: 'xyz' there, 'abc' here)" in why


@pytest.mark.parametrize("packed", [True, False])
def test_two_records_of_a_run_that_disagree_are_both_named(store, packed):
    other = record(results={"best": {"map_at_r": 0.5}})
    lines = [record(), *([other] if packed else [])]
    (store.path / "records.jsonl").write_text("".join(line.to_json() + "\n" for line in lines))
    if not packed:
        store.commit(other)
    with pytest.raises(StoreError, match=r"records.jsonl:1 and .* disagree.*map_at_r: 0.25 there, 0.5 here.*move"):
        list(store.records())
    assert not list(store.quarantine)


def test_two_records_of_a_run_that_say_the_same_are_one(store):
    (store.path / "records.jsonl").write_text(record(cost={"seconds": 9.0}).to_json() + "\n")
    store.commit(record(environment={"python": "3.12"}))
    assert [found.cost["seconds"] for found in store.records()] == [9.0]


# -- models ----------------------------------------------------------------------------------------------------------


def change(file):
    file.write_bytes(file.read_bytes()[:-1] + b"!")


@pytest.mark.parametrize(("damage", "named"), [(change, "its hash differs"), (os.unlink, "is gone")])
def test_a_model_that_is_not_what_the_run_left_is_named_and_its_run_done_again(store, damage, named):
    store.commit(record(), {"model.safetensors": b"weights"})
    assert store.read(record().run, "model.safetensors") == b"weights"
    damage(store.folder(record().run) / "model.safetensors")
    with pytest.raises(StoreError, match=f"model.safetensors: .*{named}.*same command again"):
        store.read(record().run, "model.safetensors")
    assert store.get(record().run) is None and len(list(store.quarantine)) == 1


# -- disks -----------------------------------------------------------------------------------------------------------


def overwriting(original):
    """Renames as a disk does that lets a folder replace another one with all its content."""

    def rename(self, target):
        if self.name == "theirs":
            for path in Path(target).iterdir():
                path.unlink()
        return original(self, target)

    return rename


def test_a_disk_without_atomic_rename_is_refused_before_anything_is_run(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "rename", overwriting(Path.rename))
    with pytest.raises(StoreError, match=r"this disk has no renaming that leaves .*--store"):
        Store(tmp_path / "store").claim(RECIPE, {}, {})
    assert not (tmp_path / "store" / "store.json").exists()


def test_a_disk_without_exclusive_creation_is_refused(tmp_path, monkeypatch):
    opened = os.open
    monkeypatch.setattr(os, "open", lambda path, flags, *mode, **more: opened(path, flags & ~os.O_EXCL, *mode, **more))
    with pytest.raises(StoreError, match=r"this disk has no exclusive creation of files.*--store"):
        Store(tmp_path / "store").claim(RECIPE, {}, {})


def test_a_disk_that_cannot_sync_folders_will_do(store, monkeypatch):
    synced = os.fsync

    def fsync(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store.commit(record())
    assert store.get(record().run) == record()


def test_a_claim_that_was_killed_half_way_can_be_made_again(tmp_path):
    (tmp_path / "store" / "runs").mkdir(parents=True)
    (tmp_path / "store" / "leases").mkdir()
    Store(tmp_path / "store").claim(RECIPE, {}, {})
    assert Store(tmp_path / "store").header["recipe"] == RECIPE


# -- disks that are slow to show -------------------------------------------------------------------------------------


@pytest.fixture
def late(monkeypatch):
    """A network disk: a number of looks at a record that was just committed do not see it."""
    get, commit, unseen = Store.get, Store.commit, {}
    looks = [0]

    def commits(self, record, files=None):
        commit(self, record, files)
        unseen[record.run] = looks[0]

    def gets(self, run):
        if not unseen.get(run):
            return get(self, run)
        unseen[run] -= 1
        return None

    monkeypatch.setattr(Store, "commit", commits)
    monkeypatch.setattr(Store, "get", gets)
    monkeypatch.setattr("mlbench.execution.coordinator._PAUSE", 0.01)
    return looks


def test_a_record_that_is_seen_a_little_later_is_waited_for(tiny, tmp_path, late):
    late[0] = 2
    summary = mlbench.run(small(tiny, "Untrained"), store=tmp_path / "store").summary
    assert len(summary.done) == 3 and not summary.failed


def test_a_record_that_is_never_seen_is_named_with_where_to_look(tiny, tmp_path, late, monkeypatch):
    late[0] = 10**9
    monkeypatch.setattr("mlbench.execution.coordinator._SEEN", 0.05)
    with pytest.raises(StoreError, match=r"Untrained/reproduction-0/fold-0: .*store after 0 seconds; see that all"):
        mlbench.run(small(tiny, "Untrained"), store=tmp_path / "store")

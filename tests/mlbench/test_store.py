"""Records on disk: whole or not at all, the first writer's, never deleted."""

import errno
import json
import os
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from mlbench.api import StoreError
from mlbench.spec import digest
from mlbench.store import Record, Store

RECIPE = {"folds": 4, "training": {"batch_size": 32, "optimizer": {"lr": 0.1}}, "dataset": {"content": "abc"}}
METHODS = {"Triplet": {"loss": {"id": "triplet-margin", "margin": 0.1}}}


def record(number=0, **change):
    request = {"job": {"method": "Triplet", "role": "trial", "number": number, "fold": 0}, "seed": number}
    results = {"best": {"map_at_r": 0.25 + number / 100}, "curve": [{"epoch": 1, "loss": 0.5}]}
    values = {"run": digest(request), "request": request, "outcome": "completed", "results": results}
    return Record(**values | {"cost": {"seconds": 1.5}} | change)


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store")
    made.claim(RECIPE, METHODS, {"name": "mine"})
    return made


def contents(folder):
    """Every file below a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def aside(store):
    """What was set aside, without the reasons that lie beside it."""
    found = contents(store.path / "quarantine")
    return [content for name, content in found.items() if os.sep in name]


def failing(monkeypatch, function, number):
    """From now on a call of the operating system fails, as on a full disk or in a folder of someone else."""

    def fail(*arguments, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*function, fail)


# -- records ---------------------------------------------------------------------------------------------------------


def test_what_was_committed_comes_back(store):
    store.commit(record(), {"model.safetensors": b"\x00weights"})
    assert store.get(record().run) == record(files={"model.safetensors": sha256(b"\x00weights").hexdigest()})
    assert store.read(record().run, "model.safetensors") == b"\x00weights"
    assert (store.folder(record().run) / "model.safetensors").read_bytes() == b"\x00weights"


def test_another_process_sees_it(store):
    store.commit(record())
    assert Store(store.path).get(record().run) == record()


def test_what_was_not_committed_is_not_there(store):
    assert store.get(record().run) is None
    assert not (store.path / "quarantine").exists()


def test_the_first_writer_wins(store):
    store.commit(record(), {"model": b"first"})
    before = contents(store.path)
    store.commit(record(cost={"seconds": 99.0}), {"model": b"second", "more": b"!"})
    assert contents(store.path) == before


def test_records_come_in_the_order_of_their_hashes(store):
    for number in range(5):
        store.commit(record(number))
    runs = [found.run for found in store.records()]
    assert runs == sorted(record(number).run for number in range(5))


def test_a_forgotten_record_is_kept_and_can_be_done_again(store):
    store.commit(record(outcome="failed", results={}, error="killed"))
    store.forget(store.get(record().run), "because")
    assert store.get(record().run) is None
    assert any(b"killed" in content for content in aside(store))
    store.commit(record())
    assert store.get(record().run) == record()


@pytest.mark.parametrize("outcome", ["failed", "diverged"])
def test_only_a_completed_run_has_a_score(outcome):
    assert record(3).score == 0.28
    assert record(3, outcome=outcome).score is None


def test_a_record_knows_its_job():
    assert (record(3).method, record(3).role, record(3).number) == ("Triplet", "trial", 3)


def test_the_stored_text_is_canonical():
    text = record().to_json()
    assert "\n" not in text and text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


# -- what cannot be trusted ------------------------------------------------------------------------------------------

WHOLE = record().to_json().encode()
DAMAGED = {
    "torn": WHOLE[: len(WHOLE) // 2],
    "empty": b"",
    "garbage": b"\x00\xff\xfe garbage",
    "no table": b"[1, 2]",
    "too deep": b"[" * 100_000,
    "another format": WHOLE.replace(b'"format":2', b'"format":3'),
    "an unknown key": WHOLE.replace(b'"format":2', b'"extra":2,"format":2'),
    "a changed request": WHOLE.replace(b'"seed":0', b'"seed":5'),
    "a changed result": WHOLE.replace(b"0.25", b"0.95"),
    "a changed cost": WHOLE.replace(b'"seconds":1.5', b'"seconds":0.5'),
    "no checksum": b"{" + WHOLE.partition(b",")[2],
    "a downgrade": WHOLE.replace(b'"format":2', b'"format":1'),
    "not a number": WHOLE.replace(b'"seed":0', b'"seed":NaN'),
    "a broken character": WHOLE.replace(b'"Triplet"', b'"\\ud800"'),
    "a record that belongs elsewhere": record(1).to_json().encode(),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("look", ["get", "records"])
def test_a_damaged_record_is_set_aside_and_its_run_done_again(store, content, look):
    store.commit(record(), {"model": b"weights"})
    store.commit(record(2))
    (store.folder(record().run) / "record.json").write_bytes(content)
    if look == "get":
        assert store.get(record().run) is None
    else:
        assert list(store.records()) == [record(2)]
    assert sorted(aside(store)) == sorted([content, b"weights"])
    store.commit(record())
    assert store.get(record().run) == record()


def test_every_damaged_version_is_kept(store):
    kept = []
    for number in range(3):
        store.commit(record())
        kept.append(f"torn {number}".encode())
        (store.folder(record().run) / "record.json").write_bytes(kept[-1])
        assert store.get(record().run) is None
        if number == 1:
            shutil.rmtree(sorted(path for path in (store.path / "quarantine").iterdir() if path.is_dir())[0])
            del kept[0]
    assert sorted(aside(store)) == kept


def test_a_record_whose_file_was_removed_is_done_again(store):
    store.commit(record(), {"model": b"weights"})
    (store.folder(record().run) / "record.json").unlink()
    assert store.get(record().run) is None
    store.commit(record())
    assert store.get(record().run) == record()
    assert aside(store) == [b"weights"]


def test_a_copied_run_counts_once(store):
    store.commit(record())
    shutil.copytree(store.folder(record().run), store.path / "runs" / "copy")
    assert list(store.records()) == [record()]


def test_what_a_killed_writer_left_is_no_record(store):
    store.commit(record())
    staging = store.path / "runs" / ".staging-abc-1-2"
    staging.mkdir()
    (staging / "record.json").write_text(record(1).to_json())
    assert list(store.records()) == [record()] and store.get(record(1).run) is None


# -- packed ----------------------------------------------------------------------------------------------------------


def pack(store, *records):
    (store.path / "records.jsonl").write_text("".join(r.to_json() + "\n" for r in records), encoding="utf-8")


def test_packed_records_are_read(store):
    pack(store, record(1), record(0))
    assert [r.run for r in store.records()] == sorted([record(0).run, record(1).run])


def test_a_run_that_is_packed_and_there_counts_once(store):
    pack(store, record(0), record(1), record(1))
    store.commit(record(1, cost={"seconds": 99.0}))
    store.commit(record(2))
    found = list(store.records())
    assert [r.run for r in found] == sorted(record(n).run for n in range(3))
    assert {r.cost["seconds"] for r in found} == {1.5}


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\x0b", "\r\n", "é"])
def test_a_packed_error_may_say_anything(store, character):
    said = record(outcome="failed", results={}, error=f"one{character}two")
    pack(store, said)
    assert list(store.records()) == [said]


def test_a_packed_record_that_was_edited_is_refused_with_its_line(store):
    pack(store, record(0), record(1))
    file = store.path / "records.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"seed":1', b'"seed":9'))
    with pytest.raises(StoreError, match=r"records.jsonl:2: its request does not match its hash"):
        list(store.records())


# -- what a store belongs to -----------------------------------------------------------------------------------------


def test_a_store_says_what_it_belongs_to(store):
    header = Store(store.path).header
    assert (header["recipe"], header["methods"], header["name"]) == (RECIPE, METHODS, "mine")


def test_claiming_again_changes_nothing(store):
    before = contents(store.path)
    store.claim(RECIPE, METHODS, {"name": "mine"})
    assert contents(store.path) == before


def test_new_methods_are_added_and_old_ones_stay(store):
    store.commit(record())
    store.claim(RECIPE, {"New": {"loss": {"id": "contrastive"}}}, {"name": "mine"})
    assert store.header["methods"] == METHODS | {"New": {"loss": {"id": "contrastive"}}}
    assert store.get(record().run) == record()


def test_another_recipe_is_refused_by_the_field_that_differs(store):
    other = json.loads(json.dumps(RECIPE))
    other["training"]["optimizer"]["lr"] = 0.2
    before = contents(store.path)
    with pytest.raises(StoreError, match=r"training.optimizer.lr: 0.1 there, 0.2 here.*--store"):
        store.claim(other, METHODS, {})
    assert contents(store.path) == before


def test_a_recipe_with_many_differences_names_some_and_counts_the_rest(store):
    with pytest.raises(StoreError, match="; and 2 more"):
        store.claim({}, METHODS, {})


def test_a_changed_method_of_the_same_name_is_refused(store):
    changed = {"Triplet": {"loss": {"id": "triplet-margin", "margin": 0.2}}}
    with pytest.raises(StoreError, match=r"another method called 'Triplet' \(loss.margin: 0.1 there, 0.2 here\)"):
        store.claim(RECIPE, changed, {})
    assert store.header["methods"] == METHODS


def test_a_search_goes_on_only_with_the_version_that_proposed_its_trials(store):
    assert "proposed_by" not in store.header
    new = {"New": {"loss": {"id": "contrastive"}}}
    store.claim(RECIPE, METHODS | new, {}, {"Triplet": "optuna 4.3.0", "New": "optuna 4.3.0"})
    assert store.header["proposed_by"] == {"New": "optuna 4.3.0"}  # of the other one nobody knows
    before = contents(store.path)
    error = r"trials of 'New' were proposed by optuna 4.3.0, here is optuna 4.5.0.*'optuna==4.3.0', or .*--store"
    with pytest.raises(StoreError, match=error):
        store.claim(RECIPE, METHODS | new, {}, {"Triplet": "optuna 4.5.0", "New": "optuna 4.5.0"})
    assert contents(store.path) == before
    store.claim(RECIPE, METHODS, {}, {"Triplet": "optuna 4.5.0"})
    assert store.header["proposed_by"] == {"New": "optuna 4.3.0"}


def test_tuples_and_lists_are_the_same_recipe(store):
    store.claim({**RECIPE, "folds": 4}, {"Triplet": {**METHODS["Triplet"]}}, {})
    listed = {"values": [1, 2]}
    other = Store(store.path.with_name("tuples"))
    other.claim({"a": (1, 2)}, {}, {})
    other.claim({"a": listed["values"]}, {}, {})


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(StoreError, match="not empty and no store"):
        Store(tmp_path).claim(RECIPE, METHODS, {})
    assert contents(tmp_path) == {"thesis.tex": b"precious"}


def test_an_empty_folder_is_taken(tmp_path):
    Store(tmp_path).claim(RECIPE, METHODS, {})
    assert Store(tmp_path).header["recipe"] == RECIPE


def test_no_store_is_told_apart_from_a_damaged_one(tmp_path):
    with pytest.raises(StoreError, match=r"no store here.*`mlbench run` makes one"):
        _ = Store(tmp_path / "nowhere").header


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"[]", b"{}", b'{"format": 2}'])
def test_a_damaged_store_is_refused_and_left_alone(store, content):
    file = store.path / "store.json"
    file.write_bytes(content)
    with pytest.raises(StoreError, match=r"store.json: (damaged|format)"):
        store.claim(RECIPE, METHODS, {})
    assert file.read_bytes() == content


def test_a_file_where_the_store_should_be(tmp_path):
    path = tmp_path / "file"
    path.write_text("precious")
    with pytest.raises(StoreError, match="--store"):
        Store(path).claim(RECIPE, METHODS, {})
    assert path.read_text() == "precious"


# -- disks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("function", [(os, "fsync"), (Path, "open"), (Path, "mkdir")])
def test_a_full_disk_is_told_and_leaves_no_half_written_run(store, monkeypatch, function, number):
    store.commit(record())
    before = contents(store.path)
    with monkeypatch.context() as patch:
        failing(patch, function, number)
        with pytest.raises(StoreError, match="free some space and give the same command again"):
            store.commit(record(1), {"model": b"weights"})
    assert contents(store.path) == before
    assert [path.name for path in (store.path / "runs").iterdir()] == [store.folder(record().run).name]
    store.commit(record(1))
    assert store.get(record(1).run) == record(1)


def test_a_full_disk_leaves_the_header_as_it_was(store, monkeypatch):
    before = contents(store.path)
    with monkeypatch.context() as patch:
        failing(patch, (os, "fsync"), errno.ENOSPC)
        with pytest.raises(StoreError, match="free some space"):
            store.claim(RECIPE, {"New": {}}, {})
    assert contents(store.path) == before


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_cannot_be_written_is_told(store, monkeypatch, number):
    with monkeypatch.context() as patch:
        failing(patch, (Path, "mkdir"), number)
        with pytest.raises(StoreError, match="choose a writable folder with --store"):
            store.commit(record())
        with pytest.raises(StoreError, match="choose another folder with --store"):
            Store(store.path.with_name("new")).claim(RECIPE, METHODS, {})


def test_a_damaged_record_in_a_folder_that_cannot_be_written_is_told(store, monkeypatch):
    store.commit(record())
    (store.folder(record().run) / "record.json").write_text("torn")
    with monkeypatch.context() as patch:
        failing(patch, (Path, "rename"), errno.EROFS)
        with pytest.raises(StoreError, match="choose a writable folder with --store"):
            store.get(record().run)
    assert (store.folder(record().run) / "record.json").read_text() == "torn"


def test_a_record_that_cannot_be_read_is_told_and_stays(store, monkeypatch):
    store.commit(record())
    with monkeypatch.context() as patch:
        failing(patch, (Path, "read_bytes"), errno.EIO)
        with pytest.raises(StoreError, match="cannot be read"):
            store.get(record().run)
    assert store.get(record().run) == record()

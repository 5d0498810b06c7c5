"""Records to tables: known records, the table worked out by hand, and the same bytes whenever it is made."""

import csv
import json
import math
import random
from pathlib import Path

import pytest
import scipy.stats

import mlbench
from mlbench.api import StoreError
from mlbench.leaderboard import publish, rows_of, search_frame, t_interval, write_leaderboard
from mlbench.spec import digest
from mlbench.store import Record, Store

RECIPE = {
    "protocol": "reality-check",
    "folds": 2,
    "dataset": {"id": "mlbench/glyphs", "version": 1, "content": "abc"},
    "model": {
        "trunk": {"id": "mlbench/conv-small", "version": 1, "arguments": {"width": 4}},
        "embedding_size": 8,
        "freeze_batchnorm": False,
    },
    "transforms": {"size": 32},
    "training": {
        "batch_size": 8,
        "max_epochs": 2,
        "iterations_per_epoch": 4,
        "patience": 1,
        "optimizer": {"name": "Adam", "lr": 0.001, "weight_decay": 0.0001, "momentum": 0.9},
    },
    "search": {"trials": 3, "sampler": "sobol", "generation": 3},
    "evaluation": {"recall_at": [4, 1]},
}
SEARCH = {"loss.margin": {}, "loss.distance.p": {}, "loss_optimizer.lr": {}}
METHODS = {"Alpha": {"search": SEARCH}, "Beta": {"search": {}}, "Gone": {"search": {}}, "Waiting": {"search": {}}}
ABOUT = {"name": "by hand", "digest": "d1e5" * 16, "dataset": {"id": "mlbench/glyphs", "classes": 40, "items": 480}}
SAME = ("leaderboard.md", "leaderboard.csv", "leaderboard.json", "search.md", "search.csv")
FILES = (*SAME, "cost.md", "cost.csv", "search-cost.csv")


def record(method, role, number, fold, results, outcome="completed", memory=100, **request):
    request |= {"job": {"method": method, "role": role, "number": number, "fold": fold}}
    trained = role != "test" and outcome == "completed"
    cost = {"seconds": 1800.0, "peak_memory": memory * 2**20} | ({"training_seconds": 2.0} if trained else {})
    error = None if outcome == "completed" else "the loss became nan after 8 images"
    return Record(run=digest(request), request=request, outcome=outcome, results=results, error=error, cost=cost)


def training(method, role, number, fold, score, margin=0.123456, **more):
    chosen = {
        "training": {"loss_optimizer": {"lr": 0.00123}},
        "loss": {
            "id": "mlbench/contrastive",
            "arguments": {
                "margin": margin,
                "distance": {"id": "mlbench/lp", "arguments": {"p": 2, "normalize_embeddings": True}},
            },
        },
    }
    if score is None:
        return record(method, role, number, fold, {}, "diverged", **chosen, **more)
    best = {"map_at_r": score, "epoch": 2}
    return record(method, role, number, fold, {"best": best, "curve": [best], "images": 64}, **chosen, **more)


def test_of(trained, separated, concatenated):
    """A test: R-Precision is 0.1 above MAP@R, Recall@1 is 0.5 and Recall@4 is 0.75, whatever MAP@R is."""
    method, number = trained[0].method, trained[0].number

    def metrics(score):
        return {"map_at_r": score, "r_precision": score + 0.1, "recall_at_1": 0.5, "recall_at_4": 0.75, "queries": 240}

    results = {"separated": [metrics(score) for score in separated], "concatenated": metrics(concatenated)}
    return record(method, "test", number, None, results, models=[item.run for item in trained])


test_of.__test__ = False


def trial(method, number, scores, **more):
    return [training(method, "trial", number, fold, score, **more) for fold, score in enumerate(scores)]


def reproduction(method, number, scores, separated, concatenated, **more):
    trained = [training(method, "reproduction", number, fold, score, **more) for fold, score in enumerate(scores)]
    return [*trained, test_of(trained, separated, concatenated)]


RECORDS = [
    # Trials of 0.15, (0.30 + 0) / 2 = 0.15 and 0.22.
    *trial("Alpha", 0, [0.10, 0.20], margin=0.7),
    *trial("Alpha", 1, [0.30, None], margin=0.8),
    *trial("Alpha", 2, [0.20, 0.24]),
    # Reproductions of 0.22, 0.26 and 0.24 in validation; of 0.25, 0.27 and 0.29 in the test.
    *reproduction("Alpha", 0, [0.21, 0.23], [0.20, 0.30], 0.40),
    *reproduction("Alpha", 1, [0.25, 0.27], [0.22, 0.32], 0.42, memory=500),
    *reproduction("Alpha", 2, [0.24, 0.24], [0.30, 0.28], 0.44),
    # One reproduction: no interval.
    *reproduction("Beta", 0, [0.3, 0.3], [0.28, 0.32], 0.41),
    # Nothing but failures.
    *[training("Gone", "reproduction", 0, fold, None) for fold in range(2)],
]
#: Half width of three values that are 0.02 apart: 4.302653 (Student, 2 degrees of freedom) * 0.02 / sqrt(3).
HALF = 0.0496828


@pytest.fixture
def make(tmp_path):
    """A store with these records."""

    def make(records=RECORDS, name="store"):
        store = Store(tmp_path / name)
        store.claim(RECIPE, METHODS, ABOUT)
        for item in records:
            store.commit(item)
        return store

    return make


def tables(text):
    """The tables of a Markdown file as lists of rows of cells, headings first."""
    found, inside = [], False
    for line in text.splitlines():
        if line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if not inside:
                found.append([])
            if not set("".join(cells)) <= set("-:"):
                found[-1].append(cells)
        inside = line.startswith("|")
    return found


def contents(folder, names=FILES):
    return {name: (Path(folder) / name).read_bytes() for name in names}


# -- the search ------------------------------------------------------------------------------------------------------


def test_the_best_so_far_against_trials_images_and_seconds(make):
    frame = search_frame(make())
    assert list(frame["method"]) == ["Alpha"] * 3 and list(frame["trial"]) == [0, 1, 2]
    assert list(frame["map_at_r"]) == pytest.approx([0.15, 0.15, 0.22])
    assert list(frame["best"]) == pytest.approx([0.15, 0.15, 0.22])
    # 64 images a training; nothing is known of those of the one that failed.
    assert list(frame["images"]) == [128, 192, 320] and list(frame["stopped"]) == [0, 0, 0]
    assert list(frame["seconds"]) == [3600.0, 7200.0, 10800.0]


def test_of_a_training_in_parts_the_last_part_alone_counts(tmp_path):
    def part(number, fold, rung, score):
        made = training("Alpha", "trial", number, fold, score)
        request = made.request | {"job": made.request["job"] | {"rung": rung}}
        results = made.results | {"images": 64 * (rung + 1)}
        return made.model_copy(update={"run": digest(request), "request": request, "results": results})

    store = Store(tmp_path / "store")
    search = RECIPE["search"] | {"stopping": {"epochs": [1], "factor": 2}}
    store.claim(RECIPE | {"search": search}, METHODS, ABOUT)
    first, second = [(0, 0, 0.1), (0, 1, 0.3), (1, 0, 0.2), (1, 1, 0.2)], [(1, 0, 0.4), (1, 1, 0.6)]
    for number, fold, score in first:
        store.commit(part(number, fold, 0, score))
    for number, fold, score in second:
        store.commit(part(number, fold, 1, score))
    frame = search_frame(store)
    assert list(frame["map_at_r"]) == pytest.approx([0.2, 0.5]) and list(frame["stopped"]) == [2, 0]
    assert list(frame["images"]) == [2 * 64, 2 * 64 + 2 * 128]
    (alpha,) = [row for row in rows_of(store) if row.method == "Alpha"]
    assert (alpha.trials, alpha.best_trial, alpha.images) == (2, pytest.approx(0.5), 384)
    write_leaderboard(store, store.path)
    assert "one trial in 2 goes on after epochs 1" in (store.path / "leaderboard.md").read_text()


# -- intervals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[0.2, 0.4], [0.1, 0.11, 0.13, 0.08, 0.4], [3.0, 3.0, 3.0], [1e-9, 2e-9, 4e-9]])
def test_the_interval_is_students(values):
    found = t_interval(values)
    mean, error = sum(values) / len(values), scipy.stats.sem(values)
    if error == 0:
        low = high = mean
    else:
        low, high = scipy.stats.t.interval(0.95, len(values) - 1, loc=mean, scale=error)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)
    assert (found.mean, found.n) == (pytest.approx(mean), len(values))


def test_fewer_than_two_values_have_no_interval():
    assert (t_interval([0.3]).mean, t_interval([0.3]).half, t_interval([0.3]).low) == (0.3, None, None)
    assert math.isnan(t_interval([]).mean) and t_interval([]).n == 0


# -- the table -------------------------------------------------------------------------------------------------------


def test_the_frame_has_the_numbers_worked_out_by_hand(make):
    frame = mlbench.leaderboard(make().path).set_index("method")
    assert list(frame.index) == ["Beta", "Alpha", "Gone", "Waiting"]
    assert list(frame["rank"]) == [1, 2, 3, 4]
    alpha = frame.loc["Alpha"]
    assert alpha["separated.map_at_r.values"] == pytest.approx([0.25, 0.27, 0.29])
    assert alpha["concatenated.map_at_r.values"] == [0.40, 0.42, 0.44]
    for name, mean, half in [
        ("separated.map_at_r", 0.27, HALF),
        ("separated.r_precision", 0.37, HALF),
        ("separated.recall_at_1", 0.5, 0.0),
        ("concatenated.map_at_r", 0.42, HALF),
        ("concatenated.recall_at_4", 0.75, 0.0),
    ]:
        assert (alpha[name], alpha[f"{name}.half"]) == pytest.approx((mean, half), abs=1e-6)
    assert json.loads(alpha.hyperparameters) == {
        "loss.margin": 0.123456,
        "loss.distance.p": 2,
        "loss_optimizer.lr": 0.00123,
    }
    assert (alpha.n, alpha.trials, alpha.runs, alpha.failures, alpha.training_images) == (3, 3, 15, 1, 11 * 64)
    assert (alpha.best_trial, alpha.validation_map_at_r) == pytest.approx((0.22, 0.24))
    assert list(frame.n) == [1, 3, 0, 0]
    assert list(frame.failures) == [0, 1, 2, 0]


def test_the_markdown_has_them_too(make):
    text = write_leaderboard(store := make(), store.path)[0].read_text(encoding="utf-8")
    separated, concatenated, search = tables(text)
    heading = ["", "Method", "MAP@R", "R-Precision", "Recall@1", "Recall@4", "n"]
    nothing = ["—"] * 4 + ["0"]
    assert separated == [
        heading,
        ["1", "Beta", "30.00", "40.00", "50.00", "75.00", "1"],
        ["2", "Alpha", "27.00 ± 4.97", "37.00 ± 4.97", "50.00 ± 0.00", "75.00 ± 0.00", "3"],
        ["3", "Gone", *nothing],
        ["4", "Waiting", *nothing],
    ]
    assert concatenated == [
        heading,
        ["1", "Alpha", "42.00 ± 4.97", "52.00 ± 4.97", "50.00 ± 0.00", "75.00 ± 0.00", "3"],
        ["2", "Beta", "41.00", "51.00", "50.00", "75.00", "1"],
        ["3", "Gone", *nothing],
        ["4", "Waiting", *nothing],
    ]
    chosen = "distance.p=2, margin=0.1235, loss_optimizer.lr=0.00123"
    assert search == [
        ["Method", "Trials", "Best trial", "Reproductions, validation", "Chosen", "Runs", "Failed"],
        ["Beta", "0", "—", "30.00", "—", "3", "0"],
        ["Alpha", "3", "22.00", "24.00", chosen, "15", "1 diverged"],
        ["Gone", "0", "—", "0.00", "—", "2", "2 diverged"],
        ["Waiting", "0", "—", "—", "—", "0", "0"],
    ]
    for fact in (
        "# by hand",
        "40 classes",
        "480 images",
        "batch norm trained",
        "batch 8",
        "3 trials",
        "`d1e5d1e5d1e5d1e5`",
    ):
        assert fact in text


def test_csv_and_json_have_every_digit(make):
    write_leaderboard(store := make(), store.path)
    with (store.path / "leaderboard.csv").open(newline="", encoding="utf-8") as file:
        lines = {line["method"]: line for line in csv.DictReader(file)}
    rows = {row["method"]: row for row in json.loads((store.path / "leaderboard.json").read_bytes())["rows"]}
    for name in ("separated.map_at_r", "concatenated.map_at_r.half", "best_trial"):
        assert float(lines["Alpha"][name]) == rows["Alpha"][name]
    assert rows["Alpha"]["separated.map_at_r"] == pytest.approx(0.27)
    assert rows["Alpha"]["concatenated.map_at_r.values"] == [0.40, 0.42, 0.44]
    assert rows["Beta"]["separated.map_at_r.half"] is None and lines["Beta"]["separated.map_at_r.half"] == ""
    assert rows["Gone"]["separated.map_at_r"] is None and lines["Gone"]["separated.map_at_r"] == ""
    assert rows["Gone"]["separated.map_at_r.values"] == [] and rows["Gone"]["best_trial"] is None


def test_cost_is_a_table_of_its_own(make):
    write_leaderboard(store := make(), store.path)
    (table,) = tables((store.path / "cost.md").read_text(encoding="utf-8"))
    assert table == [
        ["Method", "Runs", "Hours", "Peak memory (MiB)", "Training images/s"],
        ["Alpha", "15", "7.50", "500", "32"],
        ["Beta", "3", "1.50", "100", "32"],
        ["Gone", "2", "1.00", "100", "—"],
        ["Waiting", "0", "0.00", "0", "—"],
    ]


@pytest.mark.parametrize("count", [0, 2, 3])
def test_a_store_of_few_or_no_results_has_a_leaderboard(make, count):
    """Nothing at all, two trainings that wait for their test, and one reproduction."""
    store = make([item for item in RECORDS if item.method == "Beta"][:count])
    text = write_leaderboard(store, store.path)[0].read_text(encoding="utf-8")
    assert tables(text)[0][1][1:3] == (["Beta", "30.00"] if count == 3 else ["Alpha", "—"])
    assert len(mlbench.leaderboard(store.path)) == 4


def test_only_reproductions_of_the_best_trial_count(make):
    """After a failure was retried there can be others."""
    former = reproduction("Alpha", 1, [0.9, 0.9], [0.9, 0.9], 0.9, margin=0.7)
    frames = [
        mlbench.leaderboard(make(records, name).path).set_index("method")
        for records, name in ((RECORDS, "without"), (RECORDS + former, "with"))
    ]
    for column in ("n", "separated.map_at_r", "concatenated.map_at_r", "validation_map_at_r", "hyperparameters"):
        assert frames[0].loc["Alpha", column] == frames[1].loc["Alpha", column]


def test_of_trials_equal_but_for_rounding_the_best_is_the_one_that_was_reproduced(make):
    # As the protocol adds them up, fold by fold, the second trial is ahead by one unit in the last place.
    first, second = [0.3, 0.2, 0.1], [0.1, 0.2, 0.3]
    assert sum(first) < sum(second)
    records = trial("Alpha", 0, first, margin=0.7) + trial("Alpha", 1, second)
    records += reproduction("Alpha", 0, [0.2] * 3, [0.2] * 3, 0.3)
    row = mlbench.leaderboard(make(records).path).set_index("method").loc["Alpha"]
    assert row.n == 1 and json.loads(row.hyperparameters)["loss.margin"] == 0.123456


def test_further_metrics_of_a_recipe_have_columns_of_their_own(tmp_path):
    store = Store(tmp_path / "store")
    further = [{"id": "acme/inside", "version": 1, "arguments": {}}]
    store.claim(RECIPE | {"evaluation": {"recall_at": [1], "metrics": further}}, {"Alpha": {"search": {}}}, ABOUT)
    for number, values in enumerate([(0.5, 0.7), (0.6, 0.8)]):
        found = {"map_at_r": 0.3, "r_precision": 0.4, "recall_at_1": 0.5, "queries": 240, "lone_queries": 3}
        trained = [training("Alpha", "reproduction", number, fold, 0.3) for fold in range(2)]
        results = {
            "separated": [found | {"Inside": value} for value in values],
            "concatenated": found | {"Inside": 0.9},
        }
        tested = record("Alpha", "test", number, None, results, models=[item.run for item in trained])
        for item in (*trained, tested):
            store.commit(item)
    row = mlbench.leaderboard(store.path).iloc[0]
    assert row["separated.Inside.values"] == pytest.approx([0.6, 0.7]) and row["concatenated.Inside"] == 0.9
    assert not any("queries" in column for column in row.index)
    separated, concatenated, _ = tables(write_leaderboard(store, store.path)[0].read_text(encoding="utf-8"))
    assert separated[0] == ["", "Method", "MAP@R", "R-Precision", "Recall@1", "Inside", "n"]
    assert separated[1][5].startswith("65.00 ± ") and concatenated[1][5] == "90.00 ± 0.00"


def test_no_store_is_an_error_that_says_how_to_make_one(tmp_path):
    with pytest.raises(StoreError, match=r"no store here.*mlbench run"):
        mlbench.leaderboard(tmp_path)


# -- the same bytes --------------------------------------------------------------------------------------------------


def test_the_order_of_writing_does_not_count(make):
    first = make()
    second = make(random.Random(0).sample(RECORDS, len(RECORDS)), "second")
    write_leaderboard(first, first.path)
    before = contents(first.path)
    write_leaderboard(first, first.path)
    write_leaderboard(second, second.path)
    assert contents(first.path) == contents(second.path) == before


def test_timings_are_no_part_of_the_results(make):
    slow = [item.model_copy(update={"cost": {**item.cost, "seconds": 9e9}}) for item in RECORDS]
    stores = [make(), make(slow, "slow")]
    for store in stores:
        write_leaderboard(store, store.path)
    results = [contents(store.path, SAME) for store in stores]
    assert results[0] == results[1]
    timed = FILES[len(SAME) :]
    assert contents(stores[0].path, timed) != contents(stores[1].path, timed)


def test_a_published_folder_is_a_store_again(make, tmp_path):
    store = make()
    write_leaderboard(store, store.path)
    written = publish(store, tmp_path / "deep" / "published")
    assert {path.name for path in written} == {"store.json", "records.jsonl", *FILES}
    published = Store(tmp_path / "deep" / "published")
    assert contents(published.path) == contents(store.path)
    assert list(published.records()) == list(store.records())
    publish(published, tmp_path / "again")
    assert contents(tmp_path / "again", [path.name for path in written]) == contents(
        published.path, [path.name for path in written]
    )


def test_a_record_changed_by_hand_is_refused(make, tmp_path):
    publish(make(), tmp_path / "published")
    file = tmp_path / "published" / "records.jsonl"
    file.write_text(file.read_text(encoding="utf-8").replace('"number":2', '"number":7', 1), encoding="utf-8")
    with pytest.raises(StoreError, match=r"records\.jsonl:\d+: its request does not match its hash"):
        write_leaderboard(Store(file.parent), tmp_path / "out")


def test_a_folder_that_cannot_be_made_is_named(make, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file.*cannot be made: .*choose another folder"):
        publish(make(), tmp_path / "file" / "published")


ROOT = Path(__file__).parents[2] / "leaderboards"


@pytest.mark.parametrize("records", sorted(ROOT.glob("**/records.jsonl")), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_committed_leaderboard_is_what_its_records_give(records, tmp_path):
    write_leaderboard(Store(records.parent), tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert set(names) in ({*FILES}, {name for name in FILES if "search" not in name})
    assert contents(tmp_path, names) == contents(records.parent, names)

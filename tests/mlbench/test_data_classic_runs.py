"""Whole runs on a dataset in its owner's layout."""

import json

from miniatures.cub import write_cub

from mlbench.data.classic.cub200 import Cub200


def test_the_papers_protocol_is_planned_on_cub(mlbench, tmp_path):
    write_cub(tmp_path, classes=88, per_class=2)  # 33 classes train in a fold, a batch of the paper's has 32
    changes = ("dataset=cub200", f"paths.cub200={tmp_path}", "model.trunk.weights=none")
    code, out, err = mlbench("plan", "reality-check", *(part for change in changes for part in ("--set", change)))
    assert code == 0, err
    assert "mlbench/cub200" in out and "88 classes" in out and "176" in out
    assert "14 methods with a search × 50 trials × 4 folds; 15 methods × 10 reproductions × 4 folds" in out


def test_a_run_on_cub_ends_in_a_leaderboard(mlbench, tmp_path, benchmark_file):
    """Grey images, and classes with one image in training and in the test, do not disturb it."""
    root = write_cub(tmp_path, lone=(2, 12))
    file = benchmark_file(
        "Contrastive",
        "Untrained",
        dataset={"id": "cub200", "path": str(tmp_path)},
        reproductions=1,
        search={"trials": 1, "generation": 1},
        transforms={"size": 16, "resize": 16, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
        training={"max_epochs": 1},
    )
    code, out, err = mlbench("run", file, "--store", tmp_path / "store")
    assert code == 0 and " 0 failed" in out, f"{out}\n{err}"
    assert "| Contrastive" in out and "| Untrained" in out
    records = [json.loads(path.read_text()) for path in (tmp_path / "store").rglob("record.json")]
    tested = [record["results"]["concatenated"] for record in records if record["request"]["task"] == "test"]
    # Seven of the eight test classes have four images; the other's is a query without a positive, left out and counted.
    assert {(scores["queries"], scores["lone_queries"]) for scores in tested} == {(28, 1)}
    assert {record["request"]["dataset"]["content"] for record in records} == {Cub200(str(root)).content_hash}

"""Tables of the literature: shown as their files say, refused where a file is wrong, apart from our leaderboards."""

import json
from pathlib import Path

import pytest

from mlbench.api import StoreError
from mlbench.leaderboard import write_leaderboard
from mlbench.leaderboard.pages import write_pages
from mlbench.leaderboard.published import load_published, shipped
from mlbench.registry import find
from mlbench.store import Store

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "leaderboards" / "published"
OURS = ROOT / "leaderboards" / "reality-check" / "large-batch"
FILE = """
title = "Somebody's table"
dataset_id = "acme/birds"
dataset = "Birds"
setup = { Selection = "on the test classes" }
sources = [{ what = "their paper", url = "https://example.org" }]
[[tables]]
heading = "All"
columns = ["Recall@1", "Recall@2"]
rows = [{ method = "Low", values = [1.5, 2.0] }, { method = "High", values = [90.25, 95.00], note = "lucky" }]
"""


def rows_of(text):
    """The rows of all tables of a page as lists of cells, headings and rules among them."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]


def test_the_committed_pages_are_what_the_files_give(tmp_path):
    committed = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    assert {path.name: path.read_bytes() for path in write_pages(tmp_path)} == committed
    assert "reality-check-cub200.md" in committed


def test_every_table_is_of_a_dataset_that_can_be_run():
    for published in shipped().values():
        assert find("datasets", published.dataset_id, "dataset_id").id == published.dataset_id


def test_figures_are_shown_as_published_and_not_ranked(tmp_path):
    (tmp_path / "table.toml").write_text(FILE)
    text = load_published(tmp_path / "table.toml").markdown()
    rows = rows_of(text)
    assert rows[0] == ["Method", "Recall@1", "Recall@2", "Note"]
    assert rows[2:] == [["Low", "1.5", "2.0", ""], ["High", "90.25", "95.00", "lucky"]]
    for fact in ("Published by others", "on the test classes", "their paper, https://example.org"):
        assert fact in text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[1.5, 2.0]", "[1.5]", r"tables\.0: .*Low: 1 values for 2 columns"),
        ("heading", "headings", r"tables\.0\.heading: Field required"),
        (', url = "https://example.org"', "", r"sources\.0\.url: Field required"),
        ("title =", "title", "not a file of published tables"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, old, new, message):
    path = tmp_path / "table.toml"
    path.write_text(FILE.replace(old, new))
    with pytest.raises(StoreError, match=rf"table\.toml: {message}"):
        load_published(path)


def leaderboard_of(dataset_id, tmp_path):
    """Files of a leaderboard with our records and that dataset's id."""
    folder = tmp_path / dataset_id.replace("/", "-")
    folder.mkdir()
    header = json.loads((OURS / "store.json").read_text())
    header["dataset"]["id"] = dataset_id
    (folder / "store.json").write_text(json.dumps(header))
    (folder / "records.jsonl").write_bytes((OURS / "records.jsonl").read_bytes())
    return {path.name: path.read_text() for path in write_leaderboard(Store(folder), folder)}


def test_a_leaderboard_shows_below_its_own_results_what_was_published_on_its_dataset(tmp_path):
    plain, cars = (leaderboard_of(name, tmp_path) for name in ("mlbench/glyph-features", "mlbench/cars196"))
    assert "Published" not in plain["leaderboard.md"]
    ours, published = cars["leaderboard.md"].split("\n\n## Published\n\n")
    assert ours.replace("cars196", "glyph-features") + "\n" == plain["leaderboard.md"]
    first, *_, last, later = rows_of(published)[2:18]  # the paper's table 512-d, in its order and without places
    assert first == ["Pretrained", "46.89", "13.77", "5.91", ""]
    assert last == ["SoftTriple", "84.49", "37.03", "27.08", ""]
    assert later == ["MS + WPM", "86.66", "39.39", "29.67", "later, in the same harness"]
    for fact in ("Published by others", "not ranked", "BN-Inception", "https://arxiv.org/abs/2003.08505"):
        assert fact in published
    ranked = {name: text for name, text in plain.items() if name != "leaderboard.md"}
    assert {name: text for name, text in cars.items() if name != "leaderboard.md"} == ranked

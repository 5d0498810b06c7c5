"""Tables of the literature: shown as their files say, refused where a file is wrong, apart from our leaderboards."""

from pathlib import Path

import pytest

from mlbench.api import StoreError
from mlbench.leaderboard.published import load_published, write_published

FOLDER = Path(__file__).parents[2] / "leaderboards" / "published"
FILE = """
title = "Somebody's table"
dataset = "Birds"
setup = { Selection = "on the test classes" }
sources = [{ what = "their paper", url = "https://example.org" }]
[[tables]]
heading = "All"
columns = ["Recall@1", "Recall@2"]
rows = [{ method = "Low", values = [1.5, 2.0] }, { method = "High", values = [90.25, 95.0], note = "lucky" }]
"""


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_committed_table_is_what_its_file_gives(path, tmp_path):
    (tmp_path / path.name).write_bytes(path.read_bytes())
    (written,) = write_published(tmp_path)
    assert written.read_bytes() == (FOLDER / written.name).read_bytes()
    assert not (FOLDER / "records.jsonl").exists()  # nothing there is a store


def test_figures_are_shown_as_published_and_not_ranked(tmp_path):
    (tmp_path / "table.toml").write_text(FILE)
    text = write_published(tmp_path)[0].read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if "|" in line]
    assert rows[0] == ["Method", "Recall@1", "Recall@2", "Note"]
    assert rows[2:] == [["Low", "1.5", "2.0", ""], ["High", "90.25", "95.0", "lucky"]]
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

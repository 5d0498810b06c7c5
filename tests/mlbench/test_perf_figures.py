"""The page of end-to-end figures."""

import json

from mlbench.perf import Measurement
from mlbench.perf.figures import Figures


def test_a_page_and_the_same_for_programs(tmp_path, capsys):
    figures = Figures()
    figures.add("Evaluation", "| a | b |\n|-|-|\n| 1 | 2 |", {"CUB": {"ours": [Measurement(1.5, 2**20, 0.5)]}})
    figures.add("Loader", "| images/s |\n|-|", {"ours": [1000.0]})
    page = figures.write(tmp_path)
    assert "Evaluation" in capsys.readouterr().out
    text = page.read_text()
    assert text.index("## Evaluation\n\n| a | b |") < text.index("## Loader\n\n| images/s |")
    assert page.parent.parent == tmp_path
    content = json.loads(page.with_name("figures.json").read_text())
    assert content["sections"]["Evaluation"]["CUB"]["ours"][0]["seconds"] == 1.5
    assert {"device", "revision", "date", "torch", "sentence-transformers"} <= content["about"].keys()
    assert all(f"- {name}: " in text for name in content["about"])


def test_measuring_again_replaces_the_page(tmp_path):
    for title in ("One", "Two"):
        figures = Figures()
        figures.add(title, "", {})
        page = figures.write(tmp_path)
    assert "## Two" in page.read_text()
    assert "## One" not in page.read_text()

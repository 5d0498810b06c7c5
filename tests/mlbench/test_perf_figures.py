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
    assert content["sections"]["Evaluation"]["data"]["CUB"]["ours"][0]["seconds"] == 1.5
    assert {"device", "torch", "sentence-transformers"} <= content["about"].keys()
    assert {"revision", "date", "load"} <= content["sections"]["Loader"].keys()
    assert all(f"- {name}: " in text for name in content["about"])


def written(folder, **sections):
    figures = Figures()
    for title, text in sections.items():
        figures.add(title, text, {})
    return figures.write(folder)


def test_a_section_replaces_itself_and_leaves_the_others(tmp_path):
    written(tmp_path, One="first", Two="second")
    text = written(tmp_path, One="again").read_text()
    assert text.index("## One\n\nagain\n") < text.index("## Two\n\nsecond\n") and "first" not in text


def test_of_other_versions_nothing_stays(tmp_path):
    file = written(tmp_path, One="first").with_name("figures.json")
    file.write_text(file.read_text().replace('"torch": "', '"torch": "0.'))
    assert "## One" not in written(tmp_path, Two="second").read_text()

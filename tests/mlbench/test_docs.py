"""What README and docs tell the reader to type must work."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from mlbench.registry import entries
from mlbench.spec import (
    Benchmark,
    Component,
    Evaluation,
    Method,
    Model,
    Runtime,
    Search,
    Slurm,
    Training,
    Transforms,
    load_benchmark,
)

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "leaderboards/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.S | re.M)


def test_the_benchmark_of_the_readme_loads(tmp_path):
    (block,) = blocks(ROOT / "README.md", "toml")
    file = tmp_path / "mine.toml"
    file.write_text(block, encoding="utf-8")
    benchmark = load_benchmark(file)
    assert [method.name for method in benchmark.methods] == ["Contrastive", "Triplet hard", "Untrained", "Circle"]
    assert benchmark.dataset.arguments == {"path": "photos"}


def test_the_benchmark_of_the_reference_loads(tmp_path):
    file = tmp_path / "shoes.toml"
    file.write_text(blocks(ROOT / "docs/benchmark-files.md", "toml")[0], encoding="utf-8")
    benchmark = load_benchmark(file)
    assert [method.name for method in benchmark.methods] == ["Contrastive", "Triplet"]
    assert len(benchmark.transforms.mean) == 3


TABLES = {
    "Top level": Benchmark,
    "`[model]`": Model,
    "`[transforms]`": Transforms,
    "`[training]`": Training,
    "`[search]`": Search,
    "`[evaluation]`": Evaluation,
    "`[[methods]]`": Method,
    "`[runtime]`": Runtime,
}


@pytest.mark.parametrize("heading", TABLES)
def test_the_reference_names_every_key_with_its_default(heading):
    text = (ROOT / "docs/benchmark-files.md").read_text(encoding="utf-8")
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \| (.*?) \|", section, flags=re.M)
    listed = {key: default for keys, default in rows for key in re.findall(r"`(\w+)`", keys)}
    fields = TABLES[heading].model_fields
    assert listed.keys() == fields.keys()
    for key, field in fields.items():
        written = re.match(r"`([^`]+)`|(required|none)|", listed[key])
        if written[1]:
            assert _plain(field.default) == tomllib.loads(f"value = {written[1]}")["value"], key
        elif written[2]:
            assert field.is_required() if written[2] == "required" else field.default is None, key


def _plain(default):
    """A default as a file would say it."""
    if isinstance(default, Component):
        return default.id
    if isinstance(default, tuple):
        return list(default)
    return default.model_dump(exclude_defaults=True) if isinstance(default, Slurm) else default


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_and_every_verb_exists(page):
    from mlbench.cli.app import app

    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M))
    verbs = {verb.name for verb in (*app.registered_commands, *app.registered_groups)}
    assert set(re.findall(r"\bmake ([a-z]+)\b(?= |`|$|\))", "\n".join(code_of(text)))) <= targets
    assert set(re.findall(r"^(?:`)?mlbench ([a-z][a-z-]*)", "\n".join(code_of(text)), flags=re.M)) <= verbs


def code_of(text):
    """Fenced blocks and inline code of a page."""
    fenced = re.findall(r"^```[a-z]*\n(.*?)^```", text, flags=re.S | re.M)
    return [*fenced, *re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_repository_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_plugin_of_the_guide_conforms_and_runs(tmp_path, monkeypatch, tiny, perf_guard):
    import mlbench

    package, benchmark = blocks(ROOT / "docs" / "plugins.md", "toml")
    source, checking, costs = blocks(ROOT / "docs" / "plugins.md", "python")
    project = tomllib.loads(package)["project"]
    info = tmp_path / "acme_margins-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["mlbench.losses"]
    (info / "entry_points.txt").write_text(
        "\n".join(["[mlbench.losses]", *(f"{name} = {target}" for name, target in points.items())]) + "\n"
    )
    (tmp_path / "acme_margins.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    entries.cache_clear()
    try:
        names = {}
        exec(checking, names)
        assert {check.status for check in names["report"]} == {"passed", "not applicable"}
        exec(costs, names)
        names["test_memory"](perf_guard)
        method = tomllib.loads(benchmark)["methods"][0]
        result = mlbench.run(tiny(method), store=tmp_path / "store")
        assert result.summary.failed == {}
        assert list(result.leaderboard.method) == ["Cosine hinge"]
    finally:
        monkeypatch.undo()
        sys.modules.pop("acme_margins", None)
        entries.cache_clear()


def test_the_index_of_leaderboards_lists_every_one_and_everything_published():
    text = (ROOT / "leaderboards/README.md").read_text(encoding="utf-8")
    pages = [*(ROOT / "leaderboards").rglob("leaderboard.md"), *(ROOT / "leaderboards/published").iterdir()]
    listed = set(re.findall(r"\]\(([^)]+)\)", text))
    assert {page.relative_to(ROOT / "leaderboards").as_posix() for page in pages} <= listed


def test_the_table_of_the_readme_is_the_committed_leaderboard():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- glyphs leaderboard: begin -->\n(.*?)<!-- glyphs leaderboard: end -->", text, flags=re.S)
    committed = (ROOT / "leaderboards/reality-check/glyphs/leaderboard.md").read_text(encoding="utf-8")
    separated = re.search(r"## Separated[^\n]*\n\n(.*?)\n\n## ", committed, flags=re.S)
    assert shown[1].strip() == separated[1].strip()

"""Every verb: what it prints, its exit code, and what it says when something is wrong.

That help and listings import nothing heavy is in test_registry.py.
"""

import json

import numpy as np
import pytest

from mlbench.store import Store

VERBS = ("run", "plan", "status", "logs", "retry", "cancel", "leaderboard", "evaluate", "ls", "show", "check")
VERBS += ("init-plugin", "doctor")
MINE = {"name": "Mine", "loss": "triplet-margin", "search": {"loss.margin": {"low": 0.0, "high": 1.0}}}


@pytest.fixture
def npz(tmp_path):
    path = tmp_path / "mine.npz"
    embeddings = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [-1, 0]], dtype=np.float32)
    np.savez(path, embeddings=embeddings, labels=["a", "a", "b", "b", "lone"])
    return path


# -- usage -----------------------------------------------------------------------------------------------------------


def test_help_names_every_verb(mlbench):
    code, out, err = mlbench("--help")
    assert code == 0 and not err
    for verb in VERBS:
        assert f"\n  {verb} " in out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(mlbench, verb):
    code, out, err = mlbench(verb, "--help")
    assert code == 0 and not err and f"Usage: mlbench {verb} " in out


def test_without_a_verb_it_prints_its_help(mlbench):
    code, _, err = mlbench()
    assert code == 1 and "Usage: mlbench " in err and "error" not in err


MISTAKES = {
    "an unknown verb": (["learn"], "No such command 'learn'", "mlbench --help"),
    "an unknown option": (["run", "smoke", "--wokers", "2"], "No such option: --wokers", "mlbench run --help"),
    "no benchmark": (["run"], "Missing argument 'benchmark'", "mlbench run --help"),
    "an option without value": (["plan", "smoke", "--set"], "'--set'", "mlbench --help"),
    "text for a number": (["run", "smoke", "--workers", "many"], "'--workers'", "mlbench run --help"),
    "too many arguments": (["plan", "smoke", "again"], "again", "mlbench plan --help"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_usage_error_names_the_mistake_and_the_help(mlbench, case):
    arguments, mistake, advice = MISTAKES[case]
    code, out, err = mlbench(*arguments)
    assert code == 1 and not out
    assert err.startswith("mlbench: error: ") and mistake in err and f"`{advice}`" in err
    assert len(err.splitlines()) == 1


# -- run, plan, status, leaderboard ----------------------------------------------------------------------------------


def test_from_plan_to_published_leaderboard(mlbench, benchmark_file, tmp_path):
    file, store = benchmark_file(MINE, "Untrained"), tmp_path / "store"

    code, out, err = mlbench("plan", file, "--store", store)
    assert code == 0 and not err
    rows = [line.split() for line in out.splitlines()]
    assert ["Mine", "4", "4", "2", "loss.margin"] in rows and ["all", "4", "8", "4"] in rows
    assert ["Untrained", "0", "4", "2", "—"] in rows
    assert "40 classes" in out and str(store) in out

    code, out, err = mlbench("plan", file, "--store", store, "--json")
    jobs = {job["key"]: job["after"] for job in json.loads(out)["jobs"]}
    assert len(jobs) == 16
    assert jobs["Untrained/test-0"] == ["Untrained/reproduction-0/fold-0", "Untrained/reproduction-0/fold-1"]
    assert mlbench("run", file, "--store", store, "--dry-run", "--json") == (0, out, "")
    assert mlbench("status", file, "--store", store)[0] == 0
    assert not store.exists()  # until here nothing was to be written

    code, out, err = mlbench("run", file, "--store", store)
    assert code == 0
    assert "16 runs now, 0 from before, 0 failed." in out and f"{store}/leaderboard.md" in out
    assert (store / "leaderboard.md").read_text(encoding="utf-8") in out
    assert "mlbench: 16 jobs, 0 already done" in err and "16/16 jobs" in err

    code, out, _ = mlbench("run", file, "--store", store, "--json")
    assert code == 0
    assert json.loads(out) == {"store": str(store), "done": 0, "cached": 16, "failed": {}, "left": []}

    code, out, _ = mlbench("status", file, "--store", store, "--json")
    assert code == 0 and json.loads(out)["methods"] == [
        {"method": "Mine", "jobs": 10, "done": 10, "failed": 0, "left": 0, "reasons": {}},
        {"method": "Untrained", "jobs": 6, "done": 6, "failed": 0, "left": 0, "reasons": {}},
    ]

    before = (store / "leaderboard.md").read_bytes()
    (store / "leaderboard.md").unlink()
    code, out, err = mlbench("leaderboard", store)
    assert code == 0 and not err and before.decode() in out
    assert (store / "leaderboard.md").read_bytes() == before

    code, out, _ = mlbench("leaderboard", store, "--publish", tmp_path / "published", "--json")
    assert code == 0
    assert {row["method"]: row["n"] for row in json.loads(out)} == {"Mine": 2, "Untrained": 2}
    assert (tmp_path / "published" / "leaderboard.md").read_bytes() == before
    code, out, _ = mlbench("leaderboard", tmp_path / "published")
    assert code == 0 and before.decode() in out


def test_a_half_done_store_has_a_status(mlbench, benchmark_file, tmp_path):
    file, store = benchmark_file(), tmp_path / "store"
    assert mlbench("run", file, "--store", store)[0] == 0
    for record in list(Store(store).records()):
        if record.role == "test":
            Store(store).forget(record, "to be half done")
    code, out, _ = mlbench("status", file, "--store", store)
    assert code == 0 and ["Untrained", "6", "4", "0", "2"] in [line.split() for line in out.splitlines()]


def test_set_changes_a_value_and_says_where_it_does_not_fit(mlbench, benchmark_file, tmp_path):
    file = benchmark_file()
    code, out, _ = mlbench("plan", file, "--set", "reproductions=3", "--set", "folds=4", "--json")
    assert code == 0 and len(json.loads(out)["jobs"]) == 3 * (4 + 1)
    code, _, err = mlbench("plan", file, "--set", "training.batch_sise=8")
    assert code == 1 and "training.batch_sise: unknown; did you mean batch_size?" in err
    code, _, err = mlbench("plan", file, "--set", "training.batch_size")
    assert code == 1 and "write key=value" in err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("dataset=sop", True),
        ("dataset=mlbench/cars196", True),
        ("dataset=cub200", False),  # whose spaces these are
        ('methods=["Contrastive", { use = "MS", search."loss.alpha".low = 1.0 }]', False),
    ],
)
def test_a_plan_says_which_benchmark_has_the_spaces_of_the_dataset(mlbench, change, told):
    dataset = () if change.startswith("dataset") else ("--set", "dataset=sop")
    out = mlbench("plan", "reality-check", *dataset, "--set", change)[1]
    assert ("for this dataset there is the benchmark reality-check-" in out) == told


def test_records_go_to_a_folder_of_the_recipe_unless_told_otherwise(mlbench, benchmark_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stores = [
        json.loads(mlbench("plan", benchmark_file(), "--json", "--set", change)[1])["store"]
        for change in ("seed=0", "seed=1", "runtime.workers=3")
    ]
    assert all(store.startswith("mlbench-runs/tiny-") for store in stores)
    assert stores[0] == stores[2] != stores[1]


@pytest.mark.usefixtures("misbehaving")
def test_failed_runs_give_exit_code_2_until_they_are_retried_with_success(mlbench, benchmark_file, tmp_path):
    (file := tmp_path / "refused").write_text("2")
    method = {"name": "Refused", "loss": {"id": "misbehaving/refuses", "tenths": 2, "file": str(file)}}
    arguments = ("run", benchmark_file(method, "Untrained"), "--store", tmp_path / "store")
    code, out, err = mlbench(*arguments)
    assert code == 2 and "6 runs now, 0 from before, 6 failed." in out
    assert "mlbench: failed: Refused/reproduction-0/fold-0: error: loss: misbehaving/refuses refuses" in err
    store = tmp_path / "store"
    assert f"`mlbench logs {store}` says why" in err and f"`mlbench retry {store}` lets" in err
    code, out, _ = mlbench(*arguments, "--json")
    assert code == 2 and len(json.loads(out)["failed"]) == 6
    file.unlink()
    assert mlbench(*arguments)[0] == 2
    code, out, _ = mlbench(*arguments, "--retry-failed")
    assert code == 0 and "6 runs now, 6 from before, 0 failed." in out


def test_an_interrupted_run_gives_exit_code_75_and_resumes(mlbench, benchmark_file, tmp_path, monkeypatch):
    from mlbench.training import loop

    original, calls = loop.embed, []
    arguments = ("run", benchmark_file(), "--store", tmp_path / "store")

    def embed(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "embed", embed)
        code, _, err = mlbench(*arguments)
    assert code == 75 and err.splitlines()[-1] == "mlbench: interrupted; give the same command again to resume"
    code, out, _ = mlbench(*arguments)
    assert code == 0 and "3 runs now, 3 from before, 0 failed." in out


# -- evaluate --------------------------------------------------------------------------------------------------------


def test_evaluate_prints_the_metrics_of_a_file(mlbench, npz):
    code, out, err = mlbench("evaluate", npz)
    assert code == 0 and not err
    assert [line.split() for line in out.splitlines()[:-1]] == [
        [name, "100.000", "%"] for name in ("Recall@1", "Recall@2", "Recall@4", "Recall@8", "R-Precision", "MAP@R")
    ]
    assert out.splitlines()[-1] == "4 queries; 1 without a positive left out"
    code, out, _ = mlbench("evaluate", npz, "--recall-at", "3", "--json")
    assert code == 0
    assert json.loads(out) == {"Recall@3": 1.0, "R-Precision": 1.0, "MAP@R": 1.0, "queries": 4, "lone_queries": 1}


def test_evaluate_of_all_ranks_prints_map_and_mrr(mlbench, npz):
    code, out, _ = mlbench("evaluate", npz, "--all-ranks", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["MAP@R"] <= found["MAP"] <= 1
    assert found["Recall@1"] <= found["MRR"] <= 1


def test_evaluate_names_the_file_and_what_is_wrong_with_it(mlbench, npz, tmp_path):
    code, out, err = mlbench("evaluate", tmp_path / "none.npz")
    assert (code, out, err) == (1, "", f"mlbench: error: {tmp_path / 'none.npz'}: no such file\n")
    code, _, err = mlbench("evaluate", npz, "--recall-at", "0")
    assert code == 1 and "recall_at: 0; expected a whole number" in err


# -- ls, show, doctor ------------------------------------------------------------------------------------------------


def test_ls_lists_a_kind(mlbench):
    code, out, err = mlbench("ls", "losses")
    assert code == 0 and not err
    assert "mlbench/contrastive" in [line.split()[0] for line in out.splitlines()]
    code, out, _ = mlbench("ls", "losses", "--json")
    assert {"id": "mlbench/contrastive", "distribution": "mlbench-dml"}.items() <= next(
        row for row in json.loads(out) if row["id"] == "mlbench/contrastive"
    ).items()
    for kind, name in (("methods", "MS+Miner"), ("benchmarks", "quickstart"), ("datasets", "mlbench/glyphs")):
        code, out, _ = mlbench("ls", kind)
        assert code == 0 and any(line.startswith(f"{name} ") for line in out.splitlines())


def test_ls_lists_everything(mlbench):
    code, out, _ = mlbench("ls", "--json")
    listed = json.loads(out)
    assert code == 0 and {"losses", "miners", "datasets", "models", "methods", "benchmarks"} <= set(listed)
    code, out, _ = mlbench("ls")
    headings = [line for line in out.splitlines() if not line.startswith(" ")]
    assert headings == [f"{kind} ({len(rows)})" for kind, rows in listed.items()]


def test_ls_names_the_kinds_there_are(mlbench):
    code, _, err = mlbench("ls", "loses")
    assert code == 1 and "unknown kind 'loses'" in err and "losses" in err and "benchmarks" in err


def test_show_shows_a_component_a_method_and_a_benchmark(mlbench, benchmark_file):
    code, out, _ = mlbench("show", "losses/contrastive")
    assert code == 0 and out.startswith("mlbench/contrastive  (mlbench-dml ")
    arguments = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith("  ")}
    assert arguments["pos_margin"][-2:] == ["=", "0"] and arguments["neg_margin"][-2:] == ["=", "1"]
    assert "needs: second_view" in mlbench("show", "losses/vicreg")[1]
    code, out, _ = mlbench("show", "MS+Miner")
    assert code == 0 and "miner.epsilon" in json.loads(out)["search"]
    code, out, _ = mlbench("show", benchmark_file())
    assert code == 0 and json.loads(out)["evaluation"] == {"recall_at": [1, 2, 4, 8], "metrics": []}


@pytest.mark.parametrize("name", ["triplet", "losses/triplet-margn", "loses/contrastive", "nothing.toml"])
def test_show_says_when_there_is_no_such_thing(mlbench, name):
    code, out, err = mlbench("show", name)
    assert code == 1 and not out and name.rpartition("/")[2] in err
    assert ("did you mean Triplet?" in err) == (name == "triplet")


def test_doctor_finds_an_installation_in_order(mlbench):
    code, out, _ = mlbench("doctor")
    assert code == 0 and out.endswith("\n0 problems found.\n")
    code, out, _ = mlbench("doctor", "--json")
    assert code == 0 and {"ok"} == {finding["state"] for finding in json.loads(out)}
    assert {"torch", "device", "losses"} <= {finding["what"] for finding in json.loads(out)}


def test_doctor_names_a_component_that_cannot_be_imported(mlbench, misbehaving, tmp_path):
    (tmp_path / "site" / "misbehaving_losses.py").write_text("import nowhere_to_be_found")
    code, out, _ = mlbench("doctor")
    assert code == 1 and "3 problems found." in out
    problem = next(line for line in out.splitlines() if line.startswith("problem"))
    assert "misbehaving/kills-once" in problem and "No module named 'nowhere_to_be_found'" in problem

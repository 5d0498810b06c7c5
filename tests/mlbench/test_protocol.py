"""The Reality Check's plan and requests, and that selection cannot see the test classes."""

import copy
import json
from dataclasses import replace

import pytest

from mlbench.api import ConfigError, DataError
from mlbench.data.images import ImageStore
from mlbench.data.splits import mlrc_splits
from mlbench.execution.context import Context
from mlbench.execution.worker import Worker
from mlbench.protocols import DatasetFacts, Outcome, RealityCheck, Recipe
from mlbench.protocols.recipe import with_parameters
from mlbench.spec import Method, canonical_json, digest, load_benchmark
from mlbench.store import Store

FOLDS, TRIALS, REPRODUCTIONS, GENERATION = 4, 6, 3, 3
SEARCHED = {
    "name": "Searched",
    "loss": {"id": "triplet-margin", "distance": "lp"},
    "search": {"loss.margin": {"low": 0.0, "high": 1.0}, "loss_optimizer.lr": {"low": 1e-6, "high": 1.0, "log": True}},
}
OTHER = {
    "name": "Other",
    "loss": "contrastive",
    "miner": "batch-hard",
    "search": {"loss.neg_margin": {"low": 0.0, "high": 1.0}},
}
FIXED = {"name": "Fixed", "loss": "contrastive"}
UNTRAINED = {"name": "Untrained"}
METHODS = [SEARCHED, FIXED, OTHER, UNTRAINED]


def protocol(methods=METHODS, classes=40, **change):
    tables = {
        "name": "test",
        "seed": 5,
        "folds": FOLDS,
        "reproductions": REPRODUCTIONS,
        "dataset": "glyphs",
        "model": {"trunk": "conv-small", "embedding_size": 16},
        "search": {"trials": TRIALS, "sampler": "sobol", "generation": GENERATION},
        "methods": methods,
    }
    facts = DatasetFacts("mlbench/glyphs", 1, "c" * 64, classes, 10 * classes)
    benchmark = load_benchmark(tables | change)
    return RealityCheck(Recipe(benchmark, facts, mlrc_splits(classes, benchmark.folds)))


def score(job):
    """A validation score for a job: trial 4 is best, fold matters little."""
    return 0.5 - abs(job.number - 4) / 10 + job.fold / 100


def carried_out(protocol, score=score):
    """Requests and outcomes of all jobs, asked for in the order of the plan."""
    requests, outcomes = {}, {}
    for job in protocol.plan().jobs:
        requests[job.key] = request = protocol.request(job, outcomes)
        found = None if request is None else 1.0 if job.role == "test" else score(job)
        outcomes[job.key] = Outcome("" if request is None else digest(request), found)
    return requests, outcomes


@pytest.fixture(scope="module")
def done():
    return carried_out(protocol())


def jobs(method, role, plan=None):
    plan = plan or protocol().plan()
    return [job for job in plan.jobs if (job.method, job.role) == (method, role)]


# -- the plan --------------------------------------------------------------------------------------------------------


def test_the_plan_has_every_job_once():
    plan = protocol().plan()
    trials = 2 * TRIALS * FOLDS
    reproductions = len(METHODS) * REPRODUCTIONS * FOLDS
    assert len(plan) == trials + reproductions + len(METHODS) * REPRODUCTIONS
    assert len({job.key for job in plan.jobs}) == len(plan)


def test_the_papers_size():
    benchmark = load_benchmark("reality-check", ["model.trunk.weights=none"])
    plan = RealityCheck(Recipe(benchmark, DatasetFacts("mlbench/folder", 1, "c", 200, 11_788), mlrc_splits(200))).plan()
    # "14 algorithms x 50 steps x 4 folds", then 10 reproductions of 4 folds and a test of each, the baseline's too.
    assert len(plan) == 14 * 50 * 4 + 15 * 10 * (4 + 1)


def test_batches_of_superclasses_are_planned_with_those_of_every_fold():
    method = {"name": "Few", "loss": "contrastive", "sampler": {"id": "hierarchical", "superclasses_per_batch": 2}}

    def planned(superclasses):
        plain = protocol([method], training={"batch_size": 16})
        facts = replace(plain.recipe.dataset, superclasses=superclasses)
        return RealityCheck(replace(plain.recipe, dataset=facts)).plan()

    assert len(planned(tuple(range(2)) * 20)) == 5 * REPRODUCTIONS
    with pytest.raises(ConfigError, match=r"methods\[0\] \(Few\): the sampler Hierarchical needs superclasses"):
        planned(None)
    # Of superclasses 0 and 1, a fold that trains on both has three classes together.
    with pytest.raises(ConfigError, match=r"methods\[0\] \(Few\): a batch of 16 needs 2 superclasses with 4 classes"):
        planned((0,) + (1, 1) + (2,) * 37)


def test_every_method_with_a_search_gets_the_same_budget():
    for method, trials in (("Searched", TRIALS), ("Other", TRIALS), ("Fixed", 0), ("Untrained", 0)):
        found = {(job.number, job.fold) for job in jobs(method, "trial")}
        assert found == {(number, fold) for number in range(trials) for fold in range(FOLDS)}
        again = {(job.number, job.fold) for job in jobs(method, "reproduction")}
        assert again == {(number, fold) for number in range(REPRODUCTIONS) for fold in range(FOLDS)}
        assert [(job.number, job.fold) for job in jobs(method, "test")] == [(n, None) for n in range(REPRODUCTIONS)]


def test_a_job_comes_after_all_it_needs():
    before = {}
    for job in protocol().plan().jobs:
        assert set(job.after) <= before.keys()
        assert all(before[key].method == job.method for key in job.after)
        before[job.key] = job


def test_a_trial_waits_for_earlier_generations_only():
    for job in jobs("Searched", "trial"):
        first = job.number - job.number % GENERATION
        assert len(job.after) == first * FOLDS
        assert {key.split("/")[1] for key in job.after} == {f"trial-{number}" for number in range(first)}


def test_reproductions_wait_for_the_whole_search_and_tests_for_their_models():
    everything = {job.key for job in jobs("Searched", "trial")}
    assert all(set(job.after) == everything for job in jobs("Searched", "reproduction"))
    for job in jobs("Searched", "test"):
        assert job.after == tuple(f"Searched/reproduction-{job.number}/fold-{fold}" for fold in range(FOLDS))


# -- requests --------------------------------------------------------------------------------------------------------


def test_requests_are_plain_data_and_all_different(done):
    requests, _ = done
    assert all(json.loads(json.dumps(request)) == request for request in requests.values())
    assert len({digest(request) for request in requests.values()}) == len(requests)


def test_the_same_outcomes_give_the_same_requests(done):
    assert carried_out(protocol()) == done


def test_a_request_can_be_asked_for_at_any_time_in_any_order(done):
    requests, outcomes = done
    fresh = protocol()
    assert {job.key: fresh.request(job, outcomes) for job in reversed(fresh.plan().jobs)} == requests


def test_asking_changes_nothing(done):
    requests, outcomes = done
    held = copy.deepcopy(outcomes)
    for job in (one := protocol()).plan().jobs:
        one.request(job, outcomes)["training" if job.role != "test" else "models"] = "changed by the caller"
        assert one.request(job, outcomes) == requests[job.key]
    assert outcomes == held


def test_no_method_depends_on_which_others_there_are(done):
    requests, _ = done
    alone, _ = carried_out(protocol([OTHER]))
    assert alone == {key: request for key, request in requests.items() if key.startswith("Other/")}


def test_no_search_depends_on_results_of_another_method(done):
    requests, _ = done
    changed, _ = carried_out(protocol(), lambda job: 0.3 if job.method == "Searched" else score(job))
    assert {key for key in requests if requests[key] != changed[key]} <= {
        key for key in requests if key.startswith("Searched/")
    }


def test_trials_differ_in_parameters_and_folds_of_one_do_not(done):
    requests, _ = done
    margins = {
        number: {
            requests[f"Searched/trial-{number}/fold-{fold}"]["loss"]["arguments"]["margin"] for fold in range(FOLDS)
        }
        for number in range(TRIALS)
    }
    assert all(len(found) == 1 for found in margins.values())
    assert len(set.union(*margins.values())) == TRIALS


def test_searched_values_arrive_where_they_belong(done):
    request = done[0]["Searched/trial-0/fold-0"]
    assert 0.0 <= request["loss"]["arguments"]["margin"] <= 1.0
    assert 1e-6 <= request["training"]["loss_optimizer"]["lr"] <= 1.0
    assert request["training"]["optimizer"]["lr"] == 1e-6


def test_the_untrained_baseline_has_neither_loss_nor_miner(done):
    request = done[0]["Untrained/reproduction-0/fold-0"]
    assert request["loss"] is None and request["miner"] is None


# -- seeds -----------------------------------------------------------------------------------------------------------


def test_seeds_are_paired_across_methods_and_distinct_within_one(done):
    requests, _ = done
    seeds = {}
    for key, request in requests.items():
        method, place = key.split("/", 1)
        if "seed" in request:
            seeds.setdefault(method, {})[place] = request["seed"]
    assert seeds["Searched"] == seeds["Other"]
    assert seeds["Fixed"] == seeds["Untrained"] == {p: s for p, s in seeds["Other"].items() if "reproduction" in p}
    assert len(set(seeds["Searched"].values())) == (TRIALS + REPRODUCTIONS) * FOLDS


def test_another_seed_of_the_benchmark_changes_every_training():
    one, _ = carried_out(protocol())
    other, _ = carried_out(protocol(seed=6))
    seeds = [{request["seed"] for request in found.values() if "seed" in request} for found in (one, other)]
    assert not seeds[0] & seeds[1]


# -- selection -------------------------------------------------------------------------------------------------------


def settings(request):
    return request["loss"], request["training"]["loss_optimizer"]


def test_the_reproductions_are_those_of_the_best_trial_with_seeds_of_their_own(done):
    requests, _ = done
    best = [requests[f"Searched/trial-4/fold-{fold}"] for fold in range(FOLDS)]
    for number in range(REPRODUCTIONS):
        for fold in range(FOLDS):
            again = requests[f"Searched/reproduction-{number}/fold-{fold}"]
            assert settings(again) == settings(best[fold])
            assert again["seed"] not in {request["seed"] for request in best}
            assert digest(again) not in {digest(request) for request in best}


def test_the_best_is_the_one_with_the_best_mean_over_folds():
    # Trial 1 has the best single fold, trial 2 the best mean.
    table = {1: [0.9, 0.1, 0.1, 0.1], 2: [0.4, 0.4, 0.4, 0.4]}
    requests, _ = carried_out(protocol(), lambda job: table.get(job.number, [0.2] * 4)[job.fold])
    chosen = requests["Searched/reproduction-0/fold-0"]
    assert settings(chosen) == settings(requests["Searched/trial-2/fold-0"])


def test_a_training_that_failed_counts_as_zero():
    # Without its failure trial 3 would win with 0.9; with it its mean is 0.675 and trial 1 wins.
    def score(job):
        if job.number == 3 and job.role == "trial":
            return None if job.fold == 0 else 0.9
        return 0.7 if job.number == 1 else 0.2

    requests, _ = carried_out(protocol(), score)
    chosen = requests["Searched/reproduction-0/fold-0"]
    assert settings(chosen) == settings(requests["Searched/trial-1/fold-0"])


def test_the_earliest_of_equals_wins():
    requests, _ = carried_out(protocol(), lambda job: 0.5)
    chosen = requests["Searched/reproduction-0/fold-0"]
    assert settings(chosen) == settings(requests["Searched/trial-0/fold-0"])


def test_where_every_trial_failed_there_is_nothing_to_reproduce():
    requests, _ = carried_out(protocol(), lambda job: None if job.method == "Searched" else 0.5)
    trials = [requests[job.key] for job in jobs("Searched", "trial")]
    assert all(request is not None for request in trials)  # the search itself goes on to its end
    for role in ("reproduction", "test"):
        assert all(requests[job.key] is None for job in jobs("Searched", role))
        assert all(requests[job.key] is not None for job in jobs("Other", role))


def test_a_test_names_the_models_of_its_reproduction(done):
    requests, outcomes = done
    request = requests["Searched/test-1"]
    assert request["models"] == [outcomes[f"Searched/reproduction-1/fold-{fold}"].run for fold in range(FOLDS)]
    assert request["task"] == "test"


def test_without_one_of_its_models_there_is_no_test(done):
    _, outcomes = done
    broken = outcomes | {"Searched/reproduction-1/fold-2": Outcome("x", None)}
    tests = jobs("Searched", "test")
    assert [protocol().request(job, broken) is None for job in tests] == [False, True, False]


# -- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [0, 1, 15])
def test_too_few_classes_for_the_folds(classes):
    with pytest.raises(DataError, match="too few for 4 folds"):
        protocol(classes=classes)


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ({"loss": "triplet-margn"}, "methods[0].loss: unknown loss"),
        ({"loss": {"id": "contrastive", "margn": 1}}, "methods[0].loss.margn: unknown"),
        ({"miner": {"id": "batch-hard", "epsilon": 1}}, "methods[0].miner.epsilon: unknown"),
        ({"search": "loss.margn"}, "methods[0].search.loss.margn: unknown; did you mean margin?"),
        ({"search": "loss.distance.p"}, "methods[0].search.loss.distance.p: "),
        ({"search": "loss"}, "methods[0].search.loss.: unknown"),
        ({"search": "loss.id"}, "methods[0].search.loss.id: unknown"),
        ({"search": "miner.epsilon"}, "methods[0].search.miner.epsilon: the method has no table 'miner'"),
        (
            {"search": "los.margin"},
            "methods[0].search.los.margin: paths start with loss, miner, sampler, loss_optimizer",
        ),
        ({"sampler": "m-per-clas"}, "methods[0].sampler: unknown sampler"),
        ({"sampler": "m-per-class"}, "methods[0].sampler: mlbench/m-per-class needs samples_per_class"),
        ({"sampler": {"id": "m-per-class", "m": 2}}, "methods[0].sampler.m: unknown"),
        (
            {"search": "sampler.samples_per_class"},
            "methods[0].search.sampler.samples_per_class: the method has no table",
        ),
        ({"search": "name"}, "methods[0].search.name: paths start with"),
        ({"search": "loss_optimizer.lrr"}, "methods[0].search.loss_optimizer.lrr: "),
        ({"search": "loss_optimizer.lr.x"}, "methods[0].search.loss_optimizer.lr.x: "),
        ({"search": "samples_per_class"}, "methods[0].search.samples_per_class: "),
        ({"search": "loss.reducer"}, "methods[0].loss.reducer: expected a component"),
    ],
)
def test_a_method_that_could_only_fail_later_is_refused_by_its_place(method, said):
    table = {"name": "A", "loss": "triplet-margin"} | method
    if isinstance(table.get("search"), str):
        table["search"] = {table["search"]: {"low": 0.0, "high": 1.0}}
    with pytest.raises(ConfigError) as error:
        protocol([table])
    assert str(error.value).startswith(said)


def test_a_range_outside_of_what_is_allowed_is_refused_at_either_end():
    for bounds in ({"low": -1.0, "high": 1.0}, {"low": 0.0, "high": 1.0}):
        with pytest.raises(ConfigError, match=r"methods\[0\].search.loss_optimizer.lr: "):
            protocol([FIXED | {"search": {"loss_optimizer.lr": bounds}}])


def test_every_choice_is_checked():
    for choices in (["lp", "cosin", "snr"], ["lp", "cosine", "snr", "dot"], ["lx", "cosine", "snr"]):
        with pytest.raises(ConfigError, match="unknown distance"):
            protocol([FIXED | {"search": {"loss.distance": {"choices": choices}}}])
    protocol([FIXED | {"search": {"loss.distance": {"choices": ["lp", "cosine", "snr"]}}}])


def test_a_search_goes_into_parts_written_as_bare_ids():
    requests, _ = carried_out(protocol([SEARCHED | {"search": {"loss.distance.p": {"low": 1, "high": 2}}}]))
    found = {
        request["loss"]["arguments"]["distance"]["arguments"]["p"] for request in requests.values() if "loss" in request
    }
    assert found == {1, 2}


def test_filling_in_values_leaves_the_method_alone():
    method = Method.model_validate(SEARCHED)
    filled = with_parameters(method, {"loss.margin": 0.25})
    assert (filled.loss.arguments["margin"], "margin" in method.loss.arguments) == (0.25, False)


# -- the test classes ------------------------------------------------------------------------------------------------


def test_no_request_of_a_training_names_a_test_class(done):
    splits = mlrc_splits(40)
    for key, request in done[0].items():
        assert request["split"] == {"hash": splits.hash, "folds": FOLDS}
        if "/test-" not in key:
            assert "models" not in request and "test" not in canonical_json(request)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Where the characters are drawn once for all tests, away from the user's cache."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def worker(tmp_path, cache, monkeypatch):
    """A worker on forty characters, the protocol it serves, and the classes of every view it asks for."""
    benchmark = load_benchmark(
        {
            "extends": "smoke",
            "name": "spied",
            "folds": 2,
            "reproductions": 1,
            "model": {"embedding_size": 8},
            "training": {"batch_size": 8, "iterations_per_epoch": 2, "max_epochs": 1, "evaluate_every": 1},
            "search": {"trials": 1, "sampler": "sobol"},
            "methods": [SEARCHED, UNTRAINED],
        }
    )
    monkeypatch.setenv("MLBENCH_CACHE", str(cache))
    worker = Worker(Context(str(tmp_path / "store"), {"id": "glyphs", "max_classes": 40}, "cpu"))
    facts = DatasetFacts("mlbench/glyphs", 1, worker.dataset.content_hash, 40, len(worker.dataset.items))
    Store(tmp_path / "store").claim({}, {}, {})
    asked = []
    view = ImageStore.view
    monkeypatch.setattr(
        ImageStore, "view", lambda self, classes, *items: asked.append(set(classes)) or view(self, classes, *items)
    )
    return worker, RealityCheck(Recipe(benchmark, facts, mlrc_splits(40, 2))), asked


def test_nothing_that_trains_or_selects_ever_sees_a_test_class(worker):
    worker, protocol, asked = worker
    splits = mlrc_splits(40, 2)
    outcomes, seen = {}, {"trial": [], "reproduction": [], "test": []}
    for job in protocol.plan().jobs:
        asked.clear()
        worker._view.cache_clear()  # what an earlier job has asked for would be handed out unseen
        record = worker.run(protocol.request(job, outcomes))
        assert record.outcome == "completed", record.error
        outcomes[job.key] = Outcome(record.run, record.score)
        seen[job.role] += asked
        if job.role != "test":
            fold = splits.folds[job.fold]
            assert asked and all(classes in (set(fold.train), set(fold.val)) for classes in asked)
    assert all(not classes & set(splits.test) for role in ("trial", "reproduction") for classes in seen[role])
    assert seen["trial"] and seen["reproduction"]
    assert seen["test"] and all(classes == set(splits.test) for classes in seen["test"])


def test_a_worker_refuses_data_that_is_not_what_was_planned_for(worker):
    worker, protocol, asked = worker
    job = protocol.plan().jobs[0]
    request = protocol.request(job, {})
    for change, said in (
        ({"dataset": {**request["dataset"], "content": "0" * 64}}, "content changed"),
        ({"split": {**request["split"], "hash": "0" * 64}}, "no longer those of the plan"),
    ):
        with pytest.raises(DataError, match=said):
            worker.run(request | change)
    assert not asked


@pytest.mark.parametrize(
    "composed",
    [lambda m: {"samples_per_class": m}, lambda m: {"sampler": {"id": "m-per-class", "samples_per_class": m}}],
)
@pytest.mark.parametrize(("size", "m", "reason"), [(8, 3, "not a positive multiple"), (64, 1, "needs 64 classes")])
def test_a_batch_that_the_classes_cannot_fill_is_refused_before_anything_runs(tiny, size, m, reason, composed):
    from mlbench.execution import open_study
    from mlbench.spec import load_benchmark

    method = {"name": "T", "loss": {"id": "triplet-margin"}} | composed(m)
    with pytest.raises(ConfigError, match=rf"^methods\[1\] \(T\): .*{reason}"):
        open_study(load_benchmark(tiny("Untrained", method, training={"batch_size": size})))

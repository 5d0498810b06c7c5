"""Hopeless trials stop early, and the search is a pure function of what was committed."""

import sys
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay import best_by, replayed

import mlbench
from mlbench.api import ConfigError
from mlbench.execution import open_study
from mlbench.execution.keeping import Keeping
from mlbench.protocols import Outcome
from mlbench.search import survivors
from mlbench.search.propose import seed_of
from mlbench.spec import digest, load_benchmark
from mlbench.store import Store
from mlbench.store.checkpoints import Checkpoints
from mlbench.training import Meter, Position
from mlbench.training.loop import _Steps

TRIALS, GENERATION, FOLDS, LAST = 7, 4, 2, 8
SEARCHED = {"name": "Searched", "loss": "triplet-margin", "search": {"loss.margin": {"low": 0.0, "high": 1.0}}}
HALVING = {"epochs": [2, 4], "factor": 2}


# -- who goes on -----------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3]), min_size=1, max_size=9), st.integers(2, 4), st.data())
def test_one_in_so_many_goes_on(scores, factor, data):
    numbered = data.draw(st.permutations(list(enumerate(scores))))
    going = survivors(dict(numbered), factor)
    assert len(going) == max(1, len(scores) // factor)
    for number, score in numbered:  # counted instead of sorted: who is better, or as good and earlier
        ahead = sum((other, -n) > (score, -number) for n, other in numbered)
        assert (number in going) == (ahead < len(going))


# -- the plan and its requests ---------------------------------------------------------------------------------------


def study(tiny, sampler="sobol", stopping=HALVING):
    search = {"trials": TRIALS, "sampler": sampler, "generation": GENERATION}
    search |= {"stopping": stopping} if stopping else {}
    training = {"max_epochs": LAST, "evaluate_every": 1, "patience": LAST}
    return open_study(load_benchmark(tiny(SEARCHED, search=search, training=training)))


def curve_of(request):
    """The validations of a training that goes as its request says; its parts are the beginning of the whole."""
    job = {name: value for name, value in request["job"].items() if name != "rung"}
    seed = digest([request["loss"], job, request["seed"]])
    epochs = range(1, request["training"]["max_epochs"] + 1)
    return tuple((epoch, seed_of(seed, epoch) / 2**32) for epoch in epochs)


def trained(request):
    curve = curve_of(request)
    return Outcome(digest(request), max(score for _, score in curve), curve[-1][0])


def carried_out(one, choose=lambda ready: ready[0], killed=lambda: False):
    """What is asked for, done in any order of what is ready, by a coordinator that may be killed at any time."""
    protocol = type(one.protocol)(one.recipe)
    requests, outcomes = {}, {}
    while waiting := [job for job in one.plan.jobs if job.key not in outcomes]:
        if killed():
            protocol = type(one.protocol)(one.recipe)  # nothing survives but what was committed
        job = choose([job for job in waiting if all(key in outcomes for key in job.after)])
        found = protocol.request(job, {key: outcomes[key] for key in job.after})
        outcomes[job.key] = found if isinstance(found, Outcome) else trained(found) if job.fold is not None else DONE
        requests[job.key] = found
    return requests


DONE = Outcome("test", 1.0)


@pytest.mark.parametrize(
    ("sampler", "stopping", "examples"), [("sobol", HALVING, 12), ("tpe", HALVING, 3), ("tpe", None, 3)]
)
def test_the_study_is_the_same_in_whatever_order_workers_finish_and_however_often_it_is_killed(
    tiny, monkeypatch, sampler, stopping, examples
):
    monkeypatch.setattr(sys.modules["mlbench.search.propose"], "STARTUP_TRIALS", 2)
    one = study(tiny, sampler, stopping)
    expected = carried_out(one)
    assert any(isinstance(found, Outcome) for found in expected.values()) == bool(stopping)

    @settings(max_examples=examples, deadline=None, derandomize=True)
    @given(st.data())
    def check(data):
        choose = lambda ready: data.draw(st.sampled_from(ready))  # noqa: E731
        assert carried_out(one, choose, lambda: data.draw(st.booleans())) == expected

    check()


def test_the_parts_of_a_trial_are_trained_as_the_replay_says(tiny):
    with_stopping, without = carried_out(study(tiny)), carried_out(study(tiny, stopping=None))
    full = {(n, f): curve_of(without[f"Searched/trial-{n}/fold-{f}"]) for n in range(TRIALS) for f in range(FOLDS)}
    for (number, fold), curve in replayed(full, GENERATION, **HALVING).items():
        parts = [with_stopping[f"Searched/trial-{number}/fold-{fold}/rung-{rung}"] for rung in range(3)]
        last = [part for part in parts if not isinstance(part, Outcome)][-1]
        assert curve_of(last) == curve
        assert len({digest([part["loss"], part["seed"]]) for part in parts if not isinstance(part, Outcome)}) == 1


def test_a_training_that_ended_by_itself_or_failed_is_not_continued(tiny):
    one = study(tiny)
    first = {job.key: Outcome("run", 0.1, 2) for job in one.plan.jobs if job.rung == 0}
    first["Searched/trial-1/fold-0/rung-0"] = ended = Outcome("ended", 0.9, 1)  # its patience was over
    first["Searched/trial-1/fold-1/rung-0"] = failed = Outcome("failed", None)
    jobs = {job.key: job for job in one.plan.jobs}
    asked = [one.request(jobs[f"Searched/trial-{n}/fold-{f}/rung-1"], first) for n in (0, 1, 2) for f in (0, 1)]
    # (0.9 + 0) / 2 is best, then the earliest of those with 0.1.
    assert [isinstance(found, dict) for found in asked] == [True, True, False, False, False, False]
    assert asked[2:4] == [ended, failed]


def test_early_stopping_has_a_digest_of_its_own_and_none_of_the_old_ones_changes(tiny):
    recipes = [study(tiny, stopping=stopping).recipe.identity() for stopping in (None, HALVING, {"epochs": [2]})]
    assert len({digest(recipe) for recipe in recipes}) == 3
    assert "stopping" not in recipes[0]["search"]


@pytest.mark.parametrize(
    ("stopping", "said"),
    [
        ({"epochs": [3]}, "search.stopping.epochs: nothing can be decided at epoch 3; allowed are multiples of"),
        ({"epochs": [2, 8]}, "at epoch 8; allowed are multiples of training.evaluate_every (2) below training.max"),
        ({"epochs": [0]}, "at epoch 0"),
        ({"epochs": [4, 2]}, "search.stopping.epochs: must grow, got [4, 2]"),
        ({"epochs": []}, "search.stopping.epochs: "),
        ({"factor": 3}, "search.stopping.epochs: missing"),
        ({"epochs": [2], "factor": 1}, "search.stopping.factor: "),
        ({"epochs": [2], "factr": 2}, "search.stopping.factr: unknown; did you mean factor?"),
        ({"epochs": [2], "factor": 5}, "search.stopping.factor: 5 of a generation's trials"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_place(tiny, stopping, said):
    search = {"stopping": stopping, "generation": 4}
    with pytest.raises(ConfigError) as error:
        load_benchmark(tiny(SEARCHED, search=search, training={"max_epochs": 8, "evaluate_every": 2}))
    assert said in str(error.value)


# -- trainings -------------------------------------------------------------------------------------------------------


STOPPED = {"stopping": {"epochs": [1, 2], "factor": 2}}


@pytest.fixture
def steps(monkeypatch):
    """A list that grows with every step of a training."""
    found = []
    step = _Steps.step
    monkeypatch.setattr(_Steps, "step", lambda self, batch: found.append(1) or step(self, batch))
    return found


def test_a_search_in_parts_is_bit_for_bit_the_beginning_of_the_full_one(tiny, tmp_path, monkeypatch, steps):
    def trials(name, **table):
        search = {"trials": 4, "generation": 4} | table
        training = {"max_epochs": 3, "patience": 3, "optimizer": {"name": "Adam", "lr": 1e-2}}
        mlbench.run(tiny(SEARCHED, search=search, training=training, reproductions=1), store=tmp_path / name)
        records = [record for record in Store(tmp_path / name).records() if record.role == "trial"]
        return {(record.number, record.fold, record.rung): record for record in records}

    full = trials("full")
    steps.clear()
    parts = trials("halved", **STOPPED)
    # 2 reproductions of 3 epochs; 2 folds of trials of 3, 2, 1 and 1 epochs; 2 steps each.
    assert len(steps) == 2 * (2 * 3 + 2 * (3 + 2 + 1 + 1))
    left = replayed({key[:2]: points(record) for key, record in full.items()}, 4, **STOPPED["stopping"])
    last = {key: max(rung for *other, rung in parts if tuple(other) == key) for key in left}
    assert {key: points(parts[(*key, rung)]) for key, rung in last.items()} == left
    assert sorted(last.values()) == [0, 0, 0, 0, 1, 1, 2, 2]
    for (number, fold), rung in last.items():
        record = parts[number, fold, rung]
        assert record.results["images"] == 8 * 2 * (rung + 1)
        assert record.score == best_by(left[number, fold], 3)
        if rung == 2:  # to the last bit, loss and all metrics
            assert record.results == full[number, fold, None].results
    assert not (tmp_path / "halved" / "parts").exists()
    assert mlbench.leaderboard(tmp_path / "halved")["training_images"][0] == 8 * len(steps)

    steps.clear()
    monkeypatch.setattr(Keeping, "until", property(lambda self: None, lambda *_: None))  # no state is kept
    again = trials("lost", **STOPPED)
    assert len(steps) == 2 * (2 * 3 + 2 * ((1 + 2 + 3) + (1 + 2) + 1 + 1))
    assert {key: record.results for key, record in again.items()} == {key: r.results for key, r in parts.items()}


@pytest.mark.parametrize(("until", "goes_on"), [(4, False), (5, True), (9, True)])
def test_a_part_that_is_done_again_does_not_begin_where_a_later_one_ended(tmp_path, until, goes_on):
    checkpoints = Checkpoints(tmp_path / "abc", "abc", {}, Store(tmp_path).quarantine)
    checkpoints.write({"training": {"position": asdict(Position(epoch=6))}, "spent": {}})
    keeping = Keeping(checkpoints, 60.0, Meter("cpu"), lambda: False, lambda **progress: None, lambda text: None)
    keeping.until = until
    assert (keeping.resume() is not None) == goes_on


def points(record):
    return tuple((entry["epoch"], entry["map_at_r"]) for entry in record.results["curve"])

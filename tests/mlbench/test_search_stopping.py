"""Hopeless trials stop early, and the search is still a pure function of what was committed."""

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay import cut, replayed

import mlbench
from mlbench.api import ConfigError
from mlbench.execution import open_study
from mlbench.protocols import Outcome
from mlbench.search import Curve, thresholds
from mlbench.search.propose import seed_of
from mlbench.spec import digest, load_benchmark
from mlbench.store import Store

TRIALS, FOLDS, LAST = 6, 2, 8
SEARCHED = {"name": "Searched", "loss": "triplet-margin", "search": {"loss.margin": {"low": 0.0, "high": 1.0}}}
HALVING = {"epochs": [2, 4], "factor": 2}

scores = st.floats(0.0, 1.0)
curves = st.builds(
    lambda values, stopped: Curve(tuple(enumerate(values, 1)), stopped),
    st.lists(scores, min_size=1, max_size=5),
    st.booleans(),
)


# -- thresholds ------------------------------------------------------------------------------------------------------


@given(st.lists(curves, max_size=9), scores, st.integers(1, 5), st.integers(2, 4))
def test_one_in_so_many_goes_on(earlier, score, epoch, factor):
    # Counted instead of sorted: who got so far, and who of them is better than the new one.
    there = [
        max(value for at, value in curve.points if at <= epoch)
        for curve in earlier
        if not curve.stopped or len(curve.points) >= epoch
    ]
    better, places = sum(value > score for value in there), (len(there) + 1) // factor
    goes_on = all(score >= threshold for _, threshold in thresholds([epoch], factor, earlier))
    assert goes_on == (better < places or places == 0)


@given(st.permutations([Curve(((1, score / 10), (2, score / 7)), score % 2 == 0) for score in range(7)]))
def test_the_order_of_the_earlier_ones_does_not_count(earlier):
    assert thresholds([1, 2, 3], 3, earlier) == thresholds([1, 2, 3], 3, sorted(earlier, key=lambda c: c.points))


def test_with_a_factor_of_two_it_is_the_median_rule():
    earlier = [Curve(((1, score),)) for score in (0.5, 0.1, 0.4, 0.2, 0.3)]
    assert thresholds([1], 2, earlier) == [(1, 0.3)]


# -- requests --------------------------------------------------------------------------------------------------------


def study(tiny, sampler="sobol", generation=2, stopping=HALVING, **change):
    search = {"trials": TRIALS, "sampler": sampler, "generation": generation}
    search |= {"stopping": stopping} if stopping else {}
    training = {"max_epochs": LAST, "evaluate_every": 1, "patience": LAST}
    return open_study(load_benchmark(tiny(SEARCHED, search=search, training=training, **change)))


def left_of(request):
    """What a training leaves that learns as its request says, but for the stopping, which it obeys."""
    seed = digest({name: value for name, value in request.items() if name != "stop_below"})
    full = Curve(tuple((epoch, seed_of(seed, epoch) / 2**32) for epoch in range(1, LAST + 1)))
    curve = cut(full, dict(request.get("stop_below", [])))
    return Outcome(digest(request), max(score for _, score in curve.points), curve)


def carried_out(protocol, plan, choose=lambda ready: ready[0], killed=lambda: False):
    """Requests of all jobs, done in any order of those that are ready, by a coordinator that may be killed."""
    fresh, outcomes = protocol(), {}
    while waiting := [job for job in plan.jobs if job.key not in outcomes]:
        if killed():
            fresh = protocol()  # nothing survives but what was committed
        job = choose([job for job in waiting if all(key in outcomes for key in job.after)])
        request = fresh.request(job, {key: outcomes[key] for key in job.after})
        outcomes[job.key] = Outcome(digest(request), 1.0) if job.role == "test" else left_of(request)
    return {job.key: fresh.request(job, outcomes) for job in plan.jobs}


@pytest.mark.parametrize(
    ("sampler", "stopping", "examples"), [("sobol", HALVING, 15), ("tpe", HALVING, 3), ("tpe", None, 3)]
)
def test_the_study_is_the_same_in_whatever_order_workers_finish_and_however_often_it_is_killed(
    tiny, monkeypatch, sampler, stopping, examples
):
    monkeypatch.setattr(sys.modules["mlbench.search.propose"], "STARTUP_TRIALS", 2)
    one = study(tiny, sampler, stopping=stopping)
    recipe, kind = one.protocol.recipe, type(one.protocol)
    expected = carried_out(lambda: kind(recipe), one.plan)
    stopped = {key for key, request in expected.items() if "stop_below" in request and left_of(request).curve.stopped}
    assert bool(stopped) == bool(stopping)

    @settings(max_examples=examples, deadline=None, derandomize=True)
    @given(st.data())
    def check(data):
        choose = lambda ready: data.draw(st.sampled_from(ready))  # noqa: E731
        assert carried_out(lambda: kind(recipe), one.plan, choose, lambda: data.draw(st.booleans())) == expected

    check()


def test_only_trials_of_later_generations_are_told_when_to_stop(tiny):
    with_stopping, without = study(tiny), study(tiny, stopping=None)
    requests, plain = (carried_out(lambda s=s: s.protocol, s.plan) for s in (with_stopping, without))
    assert {key for key in requests if "stop_below" in requests[key]} == {
        f"Searched/trial-{number}/fold-{fold}" for number in range(2, TRIALS) for fold in range(FOLDS)
    }
    for key in requests:  # Sobol: all else is as without
        if "/trial" in key:
            assert {name: value for name, value in requests[key].items() if name != "stop_below"} == plain[key]


def test_a_fold_is_compared_with_the_same_fold_of_earlier_generations(tiny):
    one = study(tiny)
    outcomes = {
        job.key: Outcome("run", 0.5, Curve(((2, 0.1 * job.number + 0.01 * job.fold), (4, 0.5))))
        for job in one.plan.jobs
        if job.role == "trial"
    }
    outcomes["Searched/trial-0/fold-1"] = Outcome("run", None)  # failed: it says nothing of what a good one reaches
    (asked,) = [job for job in one.plan.jobs if job.key == "Searched/trial-3/fold-1"]
    assert one.request(asked, outcomes)["stop_below"] == [[2, 0.11], [4, 0.5]]


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
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_place(tiny, stopping, said):
    with pytest.raises(ConfigError) as error:
        load_benchmark(tiny(SEARCHED, search={"stopping": stopping}, training={"max_epochs": 8, "evaluate_every": 2}))
    assert said in str(error.value)


# -- trainings -------------------------------------------------------------------------------------------------------


def test_a_replay_is_what_really_happens(tiny, tmp_path):
    stopping, training = {"epochs": [1, 2], "factor": 2}, {"max_epochs": 4, "patience": 4}
    found = {}
    for name, table in (("full", {}), ("stopped", {"stopping": stopping})):
        search = {"trials": 5, "generation": 1} | table
        benchmark = tiny(SEARCHED, search=search, training=training, reproductions=1)
        mlbench.run(benchmark, store=tmp_path / name)
        records = [record for record in Store(tmp_path / name).records() if record.role == "trial"]
        found[name] = {(record.number, record.request["job"]["fold"]): record for record in records}
    full = {key: record.curve for key, record in found["full"].items()}
    really = {key: record.curve for key, record in found["stopped"].items()}
    assert really == replayed(full, 1, **stopping)
    lengths = {len(curve.points) for curve in really.values()}
    assert len(lengths) > 1 and max(lengths) == 4  # some were stopped, some were not
    for key, record in found["stopped"].items():
        assert record.outcome == "completed"
        assert record.score == max(score for _, score in really[key].points)
        assert record.results["images"] == 8 * 2 * len(really[key].points)

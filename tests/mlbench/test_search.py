"""The next trial is a pure function of study, number and earlier generations."""

import json
import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbench.api import Categorical, Float, Int, StoreError
from mlbench.execution import open_study
from mlbench.search import Trial, propose
from mlbench.search.propose import STARTUP_TRIALS, seed_of
from mlbench.spec import load_benchmark

SPACE = {
    "loss.margin": Float(low=-0.2, high=2.0),
    "loss_optimizer.lr": Float(low=1e-6, high=1.0, log=True),
    "loss.num_bins": Int(low=2, high=32),
    "samples_per_class": Int(low=1, high=64, log=True),
    "loss.distance": Categorical(choices=("lp", "cosine", "snr")),
}
LINE = {"x": Float(low=0.0, high=1.0)}
SAMPLERS = ["sobol", "tpe", "gp"]
MODELS = ["tpe", "gp"]


def value_of(parameters):
    """Something smooth that depends on every parameter."""
    return 1.0 / (1.0 + sum(abs(hash_free(value) - 0.3) for value in parameters.values()))


def hash_free(value):
    return {"lp": 0.0, "cosine": 0.5, "snr": 1.0}[value] if isinstance(value, str) else float(value) / 32


def study(space, sampler, trials, generation, objective=value_of, name="study"):
    """A search from its start, generation after generation."""
    history = []
    while len(history) < trials:
        first = len(history)
        new = [propose(space, sampler, name, first + i, generation, history) for i in range(generation)]
        history += [Trial(first + i, parameters, objective(parameters)) for i, parameters in enumerate(new)]
    return history


def fits(dimension, value):
    if isinstance(dimension, Categorical):
        return value in dimension.choices
    kind = int if isinstance(dimension, Int) else float
    return type(value) is kind and dimension.low <= value <= dimension.high


@pytest.fixture(scope="module", params=SAMPLERS)
def searched(request):
    """A sampler, its space and what it did in six generations of two, the last two by its model."""
    # Gaussian processes take a second for each proposal in all of the space.
    space = {path: SPACE[path] for path in ("loss.margin", "samples_per_class")} if request.param == "gp" else SPACE
    return request.param, space, study(space, request.param, 12, 2)


# -- a pure function -------------------------------------------------------------------------------------------------


def test_the_order_in_which_trials_finished_does_not_count(searched):
    sampler, space, history = searched
    shuffled = random.Random(3).sample(history[:10], 10)
    assert propose(space, sampler, "study", 11, 2, shuffled) == history[11].parameters


def test_the_own_and_later_generations_do_not_count(searched):
    sampler, space, history = searched
    assert propose(space, sampler, "study", 9, 2, history) == history[9].parameters


def test_no_proposal_depends_on_one_that_was_asked_before(searched):
    sampler, space, history = searched
    backwards = [propose(space, sampler, "study", number, 2, history) for number in (11, 8, 3)]
    assert backwards == [history[number].parameters for number in (11, 8, 3)]


def test_the_order_in_which_the_space_is_written_does_not_count(searched):
    sampler, space, history = searched
    found = propose(dict(reversed(space.items())), sampler, "study", 10, 2, history)
    assert found == history[10].parameters and list(found) == sorted(space)


def test_another_study_is_another_search(searched):
    sampler, space, history = searched
    other = [propose(space, sampler, "other", number, 2, []) for number in range(8)]
    assert all(found not in [trial.parameters for trial in history] for found in other)


def test_the_results_of_earlier_generations_count_for_models_alone(searched):
    sampler, space, history = searched
    other = [Trial(trial.number, trial.parameters, 1.0 - trial.objective) for trial in history[:10]]
    same = propose(space, sampler, "study", 10, 2, other) == history[10].parameters
    assert same == (sampler == "sobol")


def test_another_process_proposes_the_same(searched):
    sampler, space, history = searched
    code = """
import json, sys
from mlbench.api import Float, Int, Categorical
from mlbench.search import Trial, propose
sampler, space, history = json.load(sys.stdin)
kinds = {"float": Float, "int": Int, "categorical": Categorical}
space = {path: kinds[table["type"]](**table) for path, table in space.items()}
print(json.dumps(propose(space, sampler, "study", 10, 2, [Trial(*row) for row in history])))
"""
    plain = [(trial.number, trial.parameters, trial.objective) for trial in history]
    told = json.dumps([sampler, {path: dimension.model_dump() for path, dimension in space.items()}, plain])
    printed = subprocess.check_output([sys.executable, "-c", code], input=told, text=True)
    assert json.loads(printed.splitlines()[-1]) == history[10].parameters


def test_proposals_are_plain_data(searched):
    for trial in searched[2]:
        assert json.loads(json.dumps(trial.parameters)) == trial.parameters


# -- bounds ----------------------------------------------------------------------------------------------------------

bounds = st.tuples(st.floats(-1e3, 1e3), st.floats(0.01, 1e3)).map(lambda b: Float(low=b[0], high=b[0] + b[1]))
log_bounds = st.tuples(st.floats(1e-6, 1.0), st.floats(1.5, 1e6)).map(
    lambda b: Float(low=b[0], high=b[0] * b[1], log=True)
)
whole = st.tuples(st.integers(1, 50), st.integers(1, 50), st.booleans()).map(
    lambda b: Int(low=b[0], high=b[0] + b[1], log=b[2])
)
choices = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=4, unique=True).map(
    lambda c: Categorical(choices=tuple(c))
)
spaces = st.dictionaries(
    st.sampled_from(["loss.a", "loss.b", "miner.c", "lr"]), bounds | log_bounds | whole | choices, min_size=1
)


@settings(max_examples=60, deadline=None)
@given(spaces, st.integers(0, 200), st.text("abc", max_size=3))
def test_sobol_stays_within_bounds(space, number, name):
    found = propose(space, "sobol", name, number, 1, [])
    assert all(fits(space[path], value) for path, value in found.items()) and found.keys() == space.keys()


@pytest.mark.parametrize(("sampler", "examples"), [("tpe", 8), ("gp", 4)])
def test_models_stay_within_bounds(sampler, examples):
    @settings(max_examples=examples, deadline=None, derandomize=True)
    @given(spaces, st.lists(st.floats(0, 1), min_size=8, max_size=8))
    def check(space, objectives):
        history = [Trial(n, propose(space, "sobol", "s", n, 8, []), value) for n, value in enumerate(objectives)]
        found = propose(space, sampler, "s", 8, 8, history)
        assert all(fits(space[path], value) for path, value in found.items()) and found.keys() == space.keys()

    check()


def test_every_value_seen_in_a_search_is_within_bounds(searched):
    _, space, history = searched
    for trial in history:
        assert all(fits(space[path], value) for path, value in trial.parameters.items())


# -- worth doing -----------------------------------------------------------------------------------------------------


def test_no_two_trials_are_the_same(searched):
    proposed = [json.dumps(trial.parameters) for trial in searched[2]]
    assert len(set(proposed)) == len(proposed)


@pytest.mark.parametrize("sampler", MODELS)
def test_trials_of_one_generation_differ_even_where_the_model_is_sure(sampler):
    history = study(LINE, sampler, 12, 4, objective=lambda parameters: 1.0 - (parameters["x"] - 0.7) ** 2)
    assert len({trial.parameters["x"] for trial in history[8:]}) == 4


@pytest.mark.parametrize("sampler", MODELS)
def test_what_is_proposed_twice_in_a_generation_is_replaced(sampler, monkeypatch):
    monkeypatch.setattr("mlbench.search.model_based.ask", lambda *arguments: {"x": 0.5})
    history = study(LINE, "sobol", 8, 4)
    generation = [propose(LINE, sampler, "study", number, 4, history)["x"] for number in range(8, 12)]
    assert generation[0] == 0.5 and len(set(generation)) == 4


def test_the_first_trials_are_the_same_for_every_sampler_and_spread_out():
    first = [[propose(LINE, sampler, "s", n, 1, [])["x"] for n in range(STARTUP_TRIALS)] for sampler in SAMPLERS]
    assert first[0] == first[1] == first[2]
    assert sorted(int(x * STARTUP_TRIALS) for x in first[0]) == list(range(STARTUP_TRIALS))


@pytest.mark.parametrize("sampler", MODELS)
def test_a_model_looks_where_it_is_good(sampler):
    def near(kind):
        history = study(LINE, kind, 16, 1, objective=lambda parameters: 1.0 - (parameters["x"] - 0.7) ** 2)
        return sum(abs(trial.parameters["x"] - 0.7) < 0.1 for trial in history[STARTUP_TRIALS:])

    # Eight even points have one or two there.
    assert near("sobol") <= 2 < near(sampler)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("objective", [0.0, 0.5])
def test_a_search_in_which_nothing_differs_goes_on(sampler, objective):
    assert len(study(LINE, sampler, 10, 2, objective=lambda parameters: objective)) == 10


def test_seeds_differ_by_study_and_by_every_number():
    seeds = [seed_of(study, *numbers) for study in "ab" for numbers in [(), (0,), (1,), (0, 1), (1, 0), (11,), (1, 1)]]
    assert len(set(seeds)) == len(seeds) and all(0 <= seed < 2**32 for seed in seeds)


SEARCHED = {"name": "Searched", "loss": "triplet-margin", "search": {"loss.margin": {"low": 0.0, "high": 1.0}}}


@pytest.mark.parametrize(
    ("search", "refused"),
    [
        ({"sampler": "tpe", "trials": 9, "generation": 1}, True),
        ({"sampler": "gp", "trials": 9, "generation": 4}, True),
        ({"sampler": "gp", "trials": 9, "generation": 9}, False),
        ({"sampler": "tpe", "trials": 8, "generation": 1}, False),
        ({"sampler": "sobol", "trials": 50, "generation": 1}, False),
    ],
)
def test_another_optuna_is_refused_where_it_would_decide_what_is_tried(tiny, tmp_path, monkeypatch, search, refused):
    one = open_study(load_benchmark(tiny(SEARCHED, "Untrained", search=search)), tmp_path / "store")
    one.claim()
    one.claim()
    monkeypatch.setattr(sys.modules["mlbench.search.propose"], "version", lambda name: f"{name}-of-tomorrow")
    if refused:
        with pytest.raises(StoreError, match=r"'Searched' were proposed by optuna \S+, here is optuna .*tomorrow"):
            one.claim()
        header = one.store.path / "store.json"
        older = json.loads(header.read_text()) | {"proposed_by": {}}  # as before there was that entry
        header.write_text(json.dumps(older))
    one.claim()
    assert "proposed_by" not in one.store.header

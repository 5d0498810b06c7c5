"""The three doors of the conformance kit, and what a declaration of an expected failure means.

What the checks catch is in test_testing_faults.py; that built-ins conform, in test_testing_builtins.py.
"""

import ast
import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import ContrastiveLoss, NPairsLoss, SubCenterArcFaceLoss

from mlbench import testing
from mlbench.api import Categorical, ComponentInfo, ConfigError, Float, PluginError, UnknownNameError
from mlbench.testing import ConformanceError, check_component

pytest_plugins = ["pytester"]


class OrderMatters(NPairsLoss):
    info = ComponentInfo(expected_failures={"sample-order": "takes the first positive pair of every class"})


VECTOR = """
from torch import nn
class Loss(nn.Module):
    def forward(self, embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None):
        return embeddings.pow(2).sum(1)
"""


def failed(report):
    return [check.name for check in report if check.status == "failed"]


# -- check_component -------------------------------------------------------------------------------------------------


def test_the_report_has_a_status_a_demand_and_a_remedy_for_every_check():
    report = check_component("losses", "n-pairs")
    assert {check.status for check in report} == {"passed", "expected failure", "not applicable"}
    assert all(check.demand.endswith(".") and check.fix.endswith(".") for check in report)
    details = {check.name: check.detail for check in report if check.status != "passed"}
    assert details["sample-order"] == "takes the first positive pair of every class"
    assert details["parameter-gradient"] == "it has no parameters"


def test_a_class_need_not_be_installed_and_may_take_arguments():
    report = check_component("losses", OrderMatters)
    assert failed(report) == []
    with pytest.raises(ConfigError, match=r"losses/ContrastiveLoss.pos_margn: unknown; did you mean pos_margin\?"):
        check_component("losses", ContrastiveLoss, {"pos_margn": 0.1})
    with pytest.raises(
        ConformanceError, match=r"ContrastiveLoss fails .* checks\n(.*\n)*embedding-gradient: .* is zero"
    ):
        check_component("losses", ContrastiveLoss, {"pos_margin": 9.0, "neg_margin": 0.0}, raise_on_failure=True)


def test_an_undeclared_failure_is_raised_with_what_went_wrong():
    class Undeclared(NPairsLoss):
        """Not among the classes whose failures are known."""

    with pytest.raises(ConformanceError, match=r"Undeclared fails \d checks\n(.*\n)*sample-order: .* became "):
        check_component("losses", Undeclared, raise_on_failure=True)


def test_a_declared_failure_must_fail():
    report = check_component("losses", "contrastive", expected_failures={"picklable": "because"})
    assert failed(report) == ["picklable"]
    (check,) = (check for check in report if check.status == "failed")
    assert check.detail == "declared to fail (because), but passes; remove the declaration"


def test_a_declared_failure_must_apply():
    report = check_component("losses", "arcface", expected_failures={"reference-parity": "because"})
    assert failed(report) == ["reference-parity"]


def test_what_cannot_be_built_is_one_error_and_not_a_failure_of_every_check():
    with pytest.raises(PluginError, match="cannot be constructed"):
        check_component("losses", SubCenterArcFaceLoss)


def test_a_declared_space_is_of_arguments_that_it_has_and_takes():
    class Misspelt(ContrastiveLoss):
        info = ComponentInfo(space={"neg_margn": Float(low=0.0, high=1.0)})

    class Words(ContrastiveLoss):
        info = ComponentInfo(space={"neg_margin": Categorical(choices=("wide", "narrow"))})

    with pytest.raises(ConfigError, match=r"losses/Misspelt: info.space.neg_margn: unknown; did you mean neg_margin\?"):
        check_component("losses", Misspelt)
    with pytest.raises(ConfigError, match=r"losses/Words: info.space.neg_margin: expected number, got str 'wide'"):
        check_component("losses", Words)


def test_the_global_generators_are_left_alone():
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    check_component("miners", "distance-weighted")
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])
    assert before[2] == random.getstate()


def test_bad_requests_are_refused():
    with pytest.raises(ConfigError, match="no checks for 'models', only for losses, miners, samplers, datasets, metr"):
        check_component("models", "conv-small")
    with pytest.raises(ConfigError, match="unknown check 'pickel'; there are: finite-value"):
        check_component("losses", "contrastive", expected_failures={"pickel": "because"})
    with pytest.raises(ConfigError, match="expected failure of picklable has no reason"):
        check_component("losses", "contrastive", expected_failures={"picklable": ""})
    with pytest.raises(UnknownNameError, match="did you mean"):
        check_component("losses", "contrastiv")


def test_a_misspelt_declaration_of_a_component_is_refused():
    class Misspelt(NPairsLoss):
        info = ComponentInfo(expected_failures={"sample-ordre": "takes the first positive pair of every class"})

    with pytest.raises(ConfigError, match="unknown check 'sample-ordre'"):
        check_component("losses", Misspelt)


def test_checks_do_not_rest_on_assert_statements():
    """``python -O`` drops them, and every component would be sound."""
    sources = [file.read_text(encoding="utf-8") for file in Path(testing.__file__).parent.rglob("*.py")]
    assert not any(isinstance(node, ast.Assert) for source in sources for node in ast.walk(ast.parse(source)))


# -- mlbench check ---------------------------------------------------------------------------------------------------


def test_the_verb_prints_every_check_and_how_to_mend_what_failed(mlbench):
    code, out, _ = mlbench("check", "losses/contrastive", "--set", "pos_margin=9.0", "--set", "neg_margin=0.0")
    assert code == 1
    assert out.startswith("losses/mlbench/contrastive  (mlbench-dml ")
    assert "failed            embedding-gradient  " in out
    assert "must: The gradient reaches the embeddings" in out and "fix:  Do not detach" in out


def test_a_cause_that_fails_many_checks_is_told_once(mlbench, install):
    install("acme-dml", {"losses": ["acme = acme_dml:Loss"]}, VECTOR)
    code, out, _ = mlbench("check", "acme-dml")
    assert code == 1 and out.count("not a scalar") < out.count("  failed  ")
    assert "failed            embedding-gradient  " in out and "  as finite-value" in out


def test_a_module_that_cannot_be_imported_is_not_mended_by_arguments(mlbench, install):
    install("acme-dml", {"losses": ["acme = acme_dml:Loss"]}, "clas Loss: pass\n")
    code, out, _ = mlbench("check", "acme-dml")
    assert code == 1 and "SyntaxError" in out
    assert "fix:  Mend the module or its entry point" in out and "--set KEY=VALUE" not in out


def test_the_verb_takes_a_name_of_several_kinds_or_a_distribution(mlbench):
    code, out, _ = mlbench("check", "mlbench-policies")
    assert code == 0 and "miners/mlbench-policies/policy" in out and " 0 failed" in out
    code, out, _ = mlbench("check", "triplet-margin", "--json")
    assert code == 0
    assert [row["component"] for row in json.loads(out)] == [
        "losses/mlbench/triplet-margin",
        "miners/mlbench/triplet-margin",
    ]


def test_the_json_has_every_check(mlbench):
    code, out, _ = mlbench("check", "n-pairs", "--json")
    (row,) = json.loads(out)
    assert code == 0 and row["sound"] is True and row["distribution"] == "mlbench-dml"
    statuses = {check["name"]: check["status"] for check in row["checks"]}
    assert statuses["sample-order"] == "expected failure" and statuses["finite-value"] == "passed"


def test_a_component_that_cannot_be_built_fails_with_the_next_step(mlbench):
    code, out, _ = mlbench("check", "datasets/folder")
    assert code == 1 and "mlbench/folder needs path" in out and "--set KEY=VALUE" in out


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("triplet-margni", "did you mean"),
        ("models/conv-small", "is of the kind models; there are checks for losses, miners"),
    ],
)
def test_a_name_that_cannot_be_checked_is_an_error(mlbench, name, said):
    code, out, err = mlbench("check", name)
    assert code == 1 and not out and said in err


# -- @parametrize_with_checks ----------------------------------------------------------------------------------------

SUITE = """
from pytorch_metric_learning.losses import ContrastiveLoss, NPairsLoss
from mlbench.testing import parametrize_with_checks

@parametrize_with_checks({components})
def test_conforms(check):
    check()
"""


def test_the_decorator_makes_a_test_of_every_check(pytester):
    pytester.makepyfile(SUITE.format(components='["losses/n-pairs", ("losses", ContrastiveLoss, {"pos_margin": 0.1})]'))
    result = pytester.runpytest_inprocess("--strict-markers", "-v")
    result.assert_outcomes(passed=40, skipped=5, xfailed=1)
    result.stdout.fnmatch_lines(["*test_conforms?losses/mlbench/n-pairs:sample-order? XFAIL*"])
    result.stdout.fnmatch_lines(["*test_conforms?losses/ContrastiveLoss:finite-value? PASSED*"])


def test_a_failed_check_says_what_must_be_and_how(pytester):
    pytester.makepyfile(
        SUITE.format(components='[("losses", ContrastiveLoss, {"pos_margin": 9.0, "neg_margin": 0.0})]')
    )
    result = pytester.runpytest_inprocess("-k", "embedding-gradient or finite-value")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["the gradient is zero", "  must: The gradient reaches*", "  fix:  Do not detach*"])


def test_an_unknown_component_is_an_error_with_the_nearest_names(pytester):
    pytester.makepyfile(SUITE.format(components='["n-pairz"]'))
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*'n-pairz' is no component*; did you mean*n-pairs*"])


def test_the_plugin_of_pytest_imports_nothing_heavy():
    code = (
        "import sys, mlbench.testing.pytest_plugin\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'pytorch_metric_learning'} & set(sys.modules)\n"
        "raise SystemExit(f'imports {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""The conformance kit catches what it promises to catch."""

import numpy as np
import pytest
import torch
from torch import nn

from mlbench.api import ConfigError, UnknownNameError
from mlbench.registry import Resolved, entries
from mlbench.testing import ConformanceError, check_component
from mlbench.testing.kit import _run
from mlbench.testing.losses import CHECKS as LOSS_CHECKS
from mlbench.testing.miners import CHECKS as MINER_CHECKS
from mlbench.testing.subject import Subject


class Sound(nn.Module):
    """Distances within classes: passes everything."""

    def forward(self, embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None):
        others, other_labels = (embeddings, labels) if ref_emb is None else (ref_emb, ref_labels)
        squared = (embeddings[:, None] - others[None]).square().mean(2)
        same = labels[:, None] == other_labels[None]
        return (squared * same).mean() - torch.exp(-squared * ~same).mean()


class Vector(Sound):
    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs).expand(2)


class NotFinite(Sound):
    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs) * float("nan")


class Detached(Sound):
    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs).detach()


class Constant(Sound):
    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs) * 0


class IdleParameter(Sound):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))


class FirstSampleOnly(Sound):
    def forward(self, embeddings, *args, **kwargs):
        return super().forward(embeddings, *args, **kwargs) + embeddings[0].sum()


class LabelValues(Sound):
    def forward(self, embeddings, labels, *args, **kwargs):
        return super().forward(embeddings, labels, *args, **kwargs) * labels.float().mean()


class NoNegativesCrash(Sound):
    def forward(self, embeddings, labels, *args, **kwargs):
        if len(labels.unique()) == 1:
            raise IndexError("no negatives")
        return super().forward(embeddings, labels, *args, **kwargs)


class NoPositivesNan(Sound):
    def forward(self, embeddings, labels, *args, **kwargs):
        positives = (labels[:, None] == labels[None]).sum() - len(labels)
        return super().forward(embeddings, labels, *args, **kwargs) + 0 * embeddings.sum() / positives


class RootOfZero(Sound):
    def forward(self, embeddings, *args, **kwargs):
        return super().forward(embeddings, *args, **kwargs) + (embeddings[0] - embeddings[1]).square().sum().sqrt()


class InPlace(Sound):
    def forward(self, embeddings, *args, **kwargs):
        with torch.no_grad():
            embeddings.mul_(0.5)
        return super().forward(embeddings, *args, **kwargs)


class SetsNumpySeed(Sound):
    def forward(self, *args, **kwargs):
        np.random.seed(3)
        return super().forward(*args, **kwargs)


class DrawsFromTorch(Sound):
    def forward(self, *args, **kwargs):
        torch.rand(1)
        return super().forward(*args, **kwargs)


class KeepsGraph(Sound):
    total = 0.0

    def forward(self, *args, **kwargs):
        self.total = self.total + super().forward(*args, **kwargs).square()
        return self.total


class HiddenState(Sound):
    seen = 0

    def forward(self, *args, **kwargs):
        self.seen += 1
        return super().forward(*args, **kwargs) * self.seen


class Unpicklable(Sound):
    def __init__(self):
        super().__init__()
        self.function = lambda: None


class IgnoresReference(Sound):
    def forward(self, embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None):
        return super().forward(embeddings, labels)


class Pairs(nn.Module):
    """All triplets: a sound miner."""

    def forward(self, embeddings, labels, ref_emb=None, ref_labels=None):
        others = labels if ref_labels is None else ref_labels
        same = labels[:, None] == others[None]
        different = ~same
        if ref_labels is None:
            same = same & ~torch.eye(len(labels), dtype=torch.bool)
        return torch.where(same[:, :, None] & different[:, None, :])


class SelfPositive(Pairs):
    def forward(self, embeddings, labels, ref_emb=None, ref_labels=None):
        index = torch.arange(len(labels))
        return index, index, index.roll(4)


class WrongNegative(Pairs):
    def forward(self, *args, **kwargs):
        anchors, positives, _ = super().forward(*args, **kwargs)
        return anchors, positives, positives


class OutOfRange(Pairs):
    def forward(self, *args, **kwargs):
        anchors, positives, negatives = super().forward(*args, **kwargs)
        return anchors, positives, negatives + 1000


class FloatIndices(Pairs):
    def forward(self, *args, **kwargs):
        return tuple(indices.float() for indices in super().forward(*args, **kwargs))


@pytest.fixture
def resolved():
    """Resolve a class as if a distribution had registered it."""
    entry = entries("losses")[0]

    def make(component):
        return Resolved(entry, component, {}, "test")

    return make


def failures(checks, subject):
    outcomes = [_run(name, function, subject, None) for name, function in checks.items()]
    return {check.name for check in outcomes if check is not None and check.status == "failed"}


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        (Vector, "finite-value"),
        (NotFinite, "finite-value"),
        (Detached, "embedding-gradient"),
        (Constant, "embedding-gradient"),
        (IdleParameter, "parameter-gradient"),
        (FirstSampleOnly, "sample-order"),
        (LabelValues, "class-names"),
        (NoNegativesCrash, "no-negatives"),
        (NoPositivesNan, "no-positives"),
        (RootOfZero, "equal-embeddings"),
        (InPlace, "untouched-input"),
        (SetsNumpySeed, "global-generators"),
        (DrawsFromTorch, "global-generators"),
        (KeepsGraph, "several-steps"),
        (HiddenState, "state-dict"),
        (Unpicklable, "pickle"),
        (IgnoresReference, "reference-form"),
    ],
)
def test_a_faulty_loss_is_caught(resolved, fault, check):
    assert check in failures(LOSS_CHECKS, Subject(resolved(fault)))


@pytest.mark.parametrize("fault", [SelfPositive, WrongNegative, OutOfRange, FloatIndices])
def test_a_faulty_miner_is_caught(resolved, fault):
    assert "truthful" in failures(MINER_CHECKS, Subject(resolved(fault)))


def test_sound_components_raise_no_alarm(resolved):
    assert failures(LOSS_CHECKS, Subject(resolved(Sound))) == set()
    assert failures(MINER_CHECKS, Subject(resolved(Pairs))) == set()


def test_the_report_has_a_status_and_a_reason_for_every_check():
    reason = "takes the first positive pair of every class"
    report = check_component("losses", "n-pairs", expected_failures={"sample-order": reason})
    assert {check.status for check in report} == {"passed", "expected failure"}
    assert [check.detail for check in report if check.status == "expected failure"] == [reason]


def test_an_undeclared_failure_is_raised_with_what_went_wrong():
    with pytest.raises(ConformanceError, match=r"mlbench/n-pairs fails 1 checks\nsample-order: .* became "):
        check_component("losses", "n-pairs", raise_on_failure=True)


def test_a_declaration_must_be_needed():
    report = check_component("losses", "contrastive", expected_failures={"pickle": "because"})
    assert [check.name for check in report if check.status == "failed"] == ["pickle"]
    report = check_component("losses", "arcface", expected_failures={"reference-form": "because"})
    assert [check.name for check in report if check.status == "failed"] == ["reference-form"]


def test_the_global_generators_are_left_alone():
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    check_component("miners", "distance-weighted")
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])


def test_bad_requests_are_refused():
    with pytest.raises(ConfigError, match="no checks for 'datasets', only for losses, miners"):
        check_component("datasets", "glyphs")
    with pytest.raises(ConfigError, match="unknown check 'pickel'; there are: finite-value"):
        check_component("losses", "contrastive", expected_failures={"pickel": "because"})
    with pytest.raises(UnknownNameError, match="did you mean"):
        check_component("losses", "contrastiv")

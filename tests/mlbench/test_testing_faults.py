"""The conformance kit catches what it promises: at least one seeded fault for every check of every kind."""

import itertools
import random
import re
import time
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from faulty_columns import FAULTS as FAULTY_COLUMNS
from faulty_columns import Sound as SoundColumns
from faulty_columns import SoundClosedSet
from pytorch_metric_learning.losses import ContrastiveLoss
from pytorch_metric_learning.miners import BatchHardMiner
from stripes import HashOfStrings, Stripes
from torch import nn

from mlbench.api import ComponentInfo, ItemTable
from mlbench.data.samplers import MPerClass, MPerClassBatches
from mlbench.evaluation.metric import Retrieval
from mlbench.testing import check_component
from mlbench.testing.kit import KINDS, Case, requirements
from mlbench.testing.subject import Subject

FAULTS = []


def fault(check, detail, kind=None):
    """Register a faulty class with the check that must catch it, and with a piece of what the check must say."""

    def register(cls):
        FAULTS.append((kind or next(kind for kind, base in SOUND.items() if issubclass(cls, base)), cls, check, detail))
        return cls

    return register


# -- losses ----------------------------------------------------------------------------------------------------------


class Sound(nn.Module):
    """Distances within classes."""

    def forward(self, embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None):
        if indices_tuple is not None:
            raise ValueError("takes all pairs")
        others, other_labels = (embeddings, labels) if ref_emb is None else (ref_emb, ref_labels)
        squared = (embeddings[:, None] - others[None]).square().mean(2)
        same = labels[:, None] == other_labels[None]
        return (squared * same).mean() - torch.exp(-squared * ~same).mean()


class AllTriplets(nn.Module):
    """All triplets."""

    def forward(self, embeddings, labels, ref_emb=None, ref_labels=None):
        others = labels if ref_labels is None else ref_labels
        same = labels[:, None] == others[None]
        different = ~same
        if ref_labels is None:
            same = same & ~torch.eye(len(labels), dtype=torch.bool)
        return torch.where(same[:, :, None] & different[:, None, :])


SOUND = {"losses": Sound, "miners": AllTriplets, "samplers": MPerClass, "datasets": Stripes, "metrics": Retrieval}


@fault("finite-value", "shape (2,)")
class Vector(Sound):
    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs).expand(2)


@fault("finite-value", "the value is nan")
class NotFinite(Sound):
    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs) * float("nan")


@fault("finite-value", "returned float, not a tensor")
class PlainNumber(Sound):
    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs).item()


@fault("embedding-gradient", "has no gradient")
class Detached(Sound):
    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs).detach()


@fault("embedding-gradient", "the gradient is zero")
class Constant(Sound):
    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs) * 0


@fault("parameter-gradient", "no gradient reaches weight")
class IdleParameter(Sound):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))


class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


@fault("numerical-gradient", "the gradient says")
class WrongBackward(Sound):
    def forward(self, *args, **kwargs):
        return _Doubled.apply(super().forward(*args, **kwargs))


@fault("numerical-gradient", "the gradient says")
class HalfDetached(Sound):
    def forward(self, embeddings, *args, **kwargs):
        return super().forward(embeddings, *args, **kwargs) + embeddings.detach().square().mean()


@fault("numerical-gradient", "gives a torch.float32 value")
class SinglePrecision(Sound):
    def forward(self, embeddings, *args, **kwargs):
        return super().forward(embeddings.float(), *args, **kwargs)


@fault("sample-order", "samples in another order")
class FirstSampleOnly(Sound):
    def forward(self, embeddings, *args, **kwargs):
        return super().forward(embeddings, *args, **kwargs) + embeddings[0].sum()


@fault("class-names", "classes called otherwise")
class LabelLeak(Sound):
    def forward(self, embeddings, labels, *args, **kwargs):
        return super().forward(embeddings, labels, *args, **kwargs) * labels.float().mean()


@fault("no-negatives", "IndexError: no negatives")
class NeedsNegatives(Sound):
    def forward(self, embeddings, labels, *args, **kwargs):
        if len(labels.unique()) == 1:
            raise IndexError("no negatives")
        return super().forward(embeddings, labels, *args, **kwargs)


@fault("no-positives", "the value is nan")
class NanOnSingletons(Sound):
    def forward(self, embeddings, labels, *args, **kwargs):
        positives = (labels[:, None] == labels[None]).sum() - len(labels)
        return super().forward(embeddings, labels, *args, **kwargs) + 0 * embeddings.sum() / positives


@fault("equal-embeddings", "the gradient is not finite")
class RootOfZero(Sound):
    def forward(self, embeddings, *args, **kwargs):
        return super().forward(embeddings, *args, **kwargs) + (embeddings[0] - embeddings[1]).square().sum().sqrt()


@fault("zero-vectors", "the value is nan")
class DividesByNorm(Sound):
    def forward(self, embeddings, *args, **kwargs):
        return super().forward(embeddings / embeddings.norm(dim=1, keepdim=True), *args, **kwargs)


@fault("collapsed-embeddings", "the value is nan")
class DividesBySpread(Sound):
    def forward(self, embeddings, *args, **kwargs):
        centred = embeddings - embeddings.mean(0)
        return super().forward(centred / centred.std(0), *args, **kwargs)


@fault("autocast", "RuntimeError")
class MixesTypes(Sound):
    def forward(self, embeddings, labels, *args, **kwargs):
        similarity = torch.zeros(len(labels), len(labels))
        similarity[labels > 0] = (embeddings @ embeddings.T)[labels > 0]
        return super().forward(embeddings, labels, *args, **kwargs) + similarity.mean()


@fault("bfloat16", "RuntimeError")
class WantsFloat32(Sound):
    def forward(self, embeddings, *args, **kwargs):
        return super().forward(embeddings @ torch.eye(embeddings.shape[1]), *args, **kwargs)


@fault("bfloat16", "bfloat16 ")
class CancelsDigits(Sound):
    def forward(self, embeddings, *args, **kwargs):
        return super().forward(embeddings, *args, **kwargs) + ((embeddings + 1000) - 1000).sum()


@fault("untouched-input", "changes embeddings in place")
class InPlace(Sound):
    def forward(self, embeddings, *args, **kwargs):
        with torch.no_grad():
            embeddings.mul_(0.5)
        return super().forward(embeddings, *args, **kwargs)


@fault("untouched-input", "changes labels in place")
class RenamesLabels(Sound):
    def forward(self, embeddings, labels, *args, **kwargs):
        labels -= labels.min() - 1
        return super().forward(embeddings, labels, *args, **kwargs)


@fault("global-generators", "seeds the global generator of torch when it is built")
class SeedsWhenBuilt(Sound):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)


@fault("several-steps", "RuntimeError")
class KeepsGraph(Sound):
    total = 0.0

    def forward(self, *args, **kwargs):
        self.total = self.total + super().forward(*args, **kwargs).square()
        return self.total


@fault("state-dict", "with its state dict")
class HiddenState(Sound):
    seen = 0

    def forward(self, *args, **kwargs):
        self.seen += 1
        return super().forward(*args, **kwargs) * self.seen


@fault("reference-form", "no gradient reaches ref_emb")
class IgnoresReference(Sound):
    def forward(self, embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None):
        return super().forward(embeddings, labels)


@fault("mined-pairs", "a quarter of the triplets gives what all of them give")
class IgnoresMiner(Sound):
    def forward(self, embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None):
        return super().forward(embeddings, labels, None, ref_emb, ref_labels)


@fault("reference-parity", "ContrastiveLoss and it differ", "losses")
class OffByAPercent(ContrastiveLoss):
    info = ComponentInfo(reference="pytorch_metric_learning.losses:ContrastiveLoss")

    def forward(self, *args, **kwargs):
        return 1.01 * super().forward(*args, **kwargs)


@fault("reference-parity", "ContrastiveLoss and it differ", "losses")
class SameValueOtherGradient(ContrastiveLoss):
    info = ComponentInfo(reference="pytorch_metric_learning.losses:ContrastiveLoss")

    def forward(self, *args, **kwargs):
        return _Doubled.apply(super().forward(*args, **kwargs))


@fault("reference-parity", "reference 'torch:Contrastive' cannot be imported", "losses")
class ReferenceNotThere(ContrastiveLoss):
    info = ComponentInfo(reference="torch:Contrastive")


# -- miners ----------------------------------------------------------------------------------------------------------


@fault("truthful", "an anchor is its own positive")
class SelfPositive(AllTriplets):
    def forward(self, embeddings, labels, ref_emb=None, ref_labels=None):
        index = torch.arange(len(labels))
        return index, index, index.roll(4)


@fault("truthful", "a negative has the label of its anchor")
class FalseNegatives(AllTriplets):
    def forward(self, *args, **kwargs):
        anchors, positives, _ = super().forward(*args, **kwargs)
        return anchors, positives, positives


@fault("truthful", "a positive has another label than its anchor")
class FalsePositives(AllTriplets):
    def forward(self, *args, **kwargs):
        anchors, _, negatives = super().forward(*args, **kwargs)
        return anchors, negatives, negatives


@fault("truthful", "an index is out of range 0..31")
class OutOfRange(AllTriplets):
    def forward(self, *args, **kwargs):
        anchors, positives, negatives = super().forward(*args, **kwargs)
        return anchors, positives, negatives + 1000


@fault("truthful", "torch.float32 of 1 dimensions")
class FloatIndices(AllTriplets):
    def forward(self, *args, **kwargs):
        return tuple(indices.float() for indices in super().forward(*args, **kwargs))


@fault("truthful", "index tensors differ in length")
class UnevenTensors(AllTriplets):
    def forward(self, *args, **kwargs):
        anchors, positives, negatives = super().forward(*args, **kwargs)
        return anchors, positives[:-1], negatives


@fault("mines-something", "every result is empty")
class FindsNothing(AllTriplets):
    def forward(self, *args, **kwargs):
        return tuple(indices[:0] for indices in super().forward(*args, **kwargs))


@fault("uneven-classes", "a positive has another label than its anchor")
class CountsOnPairs(AllTriplets):
    def forward(self, embeddings, labels, *args, **kwargs):
        index = torch.arange(len(labels) // 2 * 2)
        return index, index ^ 1, index.roll(4)


@fault("class-names", "classes called otherwise")
class EvenLabelsOnly(AllTriplets):
    def forward(self, embeddings, labels, *args, **kwargs):
        found = super().forward(embeddings, labels, *args, **kwargs)
        return tuple(indices[labels[found[0]] % 2 == 0] for indices in found)


class _Hardest(AllTriplets):
    """For every anchor its farthest positive and its nearest negative, without a thought for what may be missing."""

    def forward(self, embeddings, labels, *args, **kwargs):
        distance = torch.cdist(embeddings, embeddings, compute_mode="donot_use_mm_for_euclid_dist")
        same = labels[:, None] == labels[None]
        positives = distance.where(same & self.told_apart(distance), -torch.inf).argmax(1)
        return torch.arange(len(labels)), positives, distance.where(~same, torch.inf).argmin(1)

    def told_apart(self, distance):
        return ~torch.eye(len(distance), dtype=torch.bool)


@fault("no-negatives", "a negative has the label of its anchor")
class TakesAnyNegative(_Hardest):
    pass


@fault("no-positives", "a positive has another label than its anchor")
class TakesAnyPositive(_Hardest):
    pass


@fault("equal-embeddings", "a positive has another label than its anchor")
class SelfByDistance(_Hardest):
    def told_apart(self, distance):
        return distance > 0


@fault("zero-norm", "a positive has another label than its anchor")
class MinesNan(_Hardest):
    def forward(self, embeddings, labels, *args, **kwargs):
        unit = embeddings / embeddings.norm(dim=1, keepdim=True)
        distance = torch.cdist(unit, unit)
        nearest = (distance + 10 * (labels[:, None] != labels[None]) + 10 * torch.eye(len(labels))).argmin(1)
        return torch.arange(len(labels)), nearest, super().forward(embeddings, labels)[2]


@fault("dtypes", "RuntimeError")
class MinesFloat32Only(AllTriplets):
    def forward(self, embeddings, *args, **kwargs):
        return super().forward(embeddings @ torch.eye(embeddings.shape[1]), *args, **kwargs)


@fault("leaves-gradients-alone", "changes the gradient of the embeddings")
class CallsBackward(AllTriplets):
    def forward(self, embeddings, *args, **kwargs):
        if embeddings.requires_grad:
            embeddings.sum().backward()
        return super().forward(embeddings, *args, **kwargs)


@fault("reference-form", "positives: an index is out of range 0..6")
class MinesOnlyTheBatch(AllTriplets):
    def forward(self, embeddings, labels, ref_emb=None, ref_labels=None):
        return super().forward(embeddings, labels)


@fault("reference-parity", "BatchHardMiner and it differ", "miners")
class MissesOne(BatchHardMiner):
    info = ComponentInfo(reference="pytorch_metric_learning.miners:BatchHardMiner")

    def forward(self, *args, **kwargs):
        return tuple(indices[1:] for indices in super().forward(*args, **kwargs))


@fault("reference-parity", "BatchHardMiner and it differ with ref_emb", "miners")
class RightOnlyInTheSquare(BatchHardMiner):
    info = ComponentInfo(reference="pytorch_metric_learning.miners:BatchHardMiner")

    def forward(self, embeddings, labels, ref_emb=None, ref_labels=None):
        found = super().forward(embeddings, labels, ref_emb, ref_labels)
        return found if ref_emb is None else tuple(indices[1:] for indices in found)


# -- samplers --------------------------------------------------------------------------------------------------------


def batchwise(change):
    """`batches` with every batch changed."""

    def batches(self, labels, seed):
        return (change(self, batch, np.asarray(labels)) for batch in MPerClass.batches(self, labels, seed))

    return batches


@fault("index-batches", "a batch is list")
class Lists(MPerClass):
    batches = batchwise(lambda self, batch, labels: batch.tolist())


@fault("index-batches", "an index is out of range 0..53")
class LabelsForPositions(MPerClass):
    batches = batchwise(lambda self, batch, labels: labels[batch])


@fault("batch-size", "a batch of 6, told 8")
class DropsOneClass(MPerClass):
    batches = batchwise(lambda self, batch, labels: batch[self.samples_per_class :])


@fault("samples-per-class", "4 samples of class ")
class WrongM(MPerClass):
    def __init__(self, batch_size: int, samples_per_class: int):
        super().__init__(batch_size, 2 * samples_per_class)


@dataclass
class Grouped:
    indices: np.ndarray
    groups: np.ndarray


@fault("groups", "samples of two classes share a group")
class GroupsWithinClasses(MPerClass):
    batches = batchwise(lambda self, batch, labels: Grouped(batch, np.arange(len(batch)) % 2))


@fault("groups", "7 groups of 8 samples")
class GroupMissing(MPerClass):
    batches = batchwise(lambda self, batch, labels: Grouped(batch, labels[batch][1:]))


@fault("distinct-samples", "twice in a batch")
class DrawsWithReplacement(MPerClass):
    batches = batchwise(lambda self, batch, labels: np.repeat(batch[::2], 2))


@fault("endless", "the stream ends after 48 samples")
class OneEpoch(MPerClass):
    def batches(self, labels, seed):
        return itertools.islice(super().batches(labels, seed), 6)


@fault("coverage", "samples are never drawn")
class SkipsAClass(MPerClass):
    def batches(self, labels, seed):
        kept = np.flatnonzero(labels != np.max(labels))
        return (kept[batch] for batch in super().batches(labels[kept], seed))


class Saved(MPerClassBatches):
    """The stream of a class below, which says how its state is wrong."""

    wrong = None

    def state_dict(self):
        return type(self).wrong(self, super().state_dict())


def streams(wrong):
    """`batches` whose state is wrong."""
    stream = type("Stream", (Saved,), {"wrong": staticmethod(wrong)})

    def batches(self, labels, seed):
        whole = MPerClass.batches(self, labels, seed)
        return stream(whole._members, whole._classes, whole._each, seed)

    return batches


@fault("saved-stream", "a new stream with the state after 1 batches")
class ForgetsItsQueue(MPerClass):
    batches = streams(lambda stream, state: state | {"queue": []})


@fault("saved-stream", "a later draw changed the state")
class LivingState(MPerClass):
    def batches(self, labels, seed):
        return _Living(super().batches(labels, seed))


class _Living:
    def __init__(self, stream):
        self.stream, self.state = stream, stream.state_dict()

    def __iter__(self):
        return self

    def __next__(self):
        batch = next(self.stream)
        self.state.update(self.stream.state_dict())
        return batch

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.stream.load_state_dict(state)


@fault("saved-stream", "the state has no JSON form")
class ArrayState(MPerClass):
    batches = streams(lambda stream, state: {name: np.asarray(value, dtype=object) for name, value in state.items()})


@fault("resumable", "the same object again")
class GeneratorOfItsOwn(MPerClass):
    def __init__(self, batch_size: int, samples_per_class: int):
        super().__init__(batch_size, samples_per_class)
        self.calls = 0

    def batches(self, labels, seed):
        self.calls += 1
        return super().batches(labels, seed + self.calls - 1)


@fault("resumable", "another object, other global generators")
class GlobalOrder(MPerClass):
    def batches(self, labels, seed):
        return super().batches(labels, int(np.random.randint(1000)))


@fault("seed-matters", "two seeds give the same batches")
class IgnoresSeed(MPerClass):
    def batches(self, labels, seed):
        return super().batches(labels, 0)


@fault("too-few-classes", "IndexError")
class CrashesOnOneClass(MPerClass):
    def batches(self, labels, seed):
        np.unique(labels)[self.batch_size // self.samples_per_class - 1]
        return super().batches(labels, seed)


# -- datasets --------------------------------------------------------------------------------------------------------


@fault("item-table", "is no subclass of mlbench.api.Dataset", "datasets")
class NoDataset:
    items = Stripes.items
    load = Stripes.load


@fault("item-table", "another object has other ids")
class UnstableOrder(Stripes):
    def __init__(self):
        self.offset = next(COUNTER)

    @property
    def items(self):
        table = super().items
        ids = tuple(str(index + self.offset) for index in range(len(table)))
        return ItemTable(ids=ids, labels=table.labels, class_names=table.class_names)


@fault("splits", "5 classes are too few")
class TooFewClasses(Stripes):
    classes = 5


@fault("splits", "class 'class 3' has a single item")
class SingleItem(Stripes):
    @property
    def items(self):
        table = super().items
        kept = np.flatnonzero(np.arange(len(table)) != 6)
        return ItemTable(ids=tuple(map(str, kept)), labels=table.labels[kept], class_names=table.class_names)


@fault("items-load", "item 1 is no uint8 array")
class FloatPixels(Stripes):
    def load(self, index):
        return super().load(index) / 255 if index == 1 else super().load(index)


@fault("items-load", "item 19 does not load: OSError: damaged")
class DamagedItem(Stripes):
    def load(self, index):
        if index == 19:
            raise OSError("damaged")
        return super().load(index)


@fault("items-load", "items have [1, 3] channels")
class MixedChannels(Stripes):
    def load(self, index):
        return super().load(index).repeat(3 if index == 7 else 1, axis=2)


@fault("items-stay", "pixels loaded again")
class AugmentsOnLoading(Stripes):
    def load(self, index):
        return super().load(index) + np.uint8(next(COUNTER) % 100)


@fault("overlap", "2 of 18 pictures are in several classes, one of them in class 0, class 9")
class TrainTestOverlap(Stripes):
    def load(self, index):
        return super().load(index - 18 if index >= 18 else index)


fault("content-hash", "another process has the content hash")(HashOfStrings)


@fault("content-hash", "another object has the content hash")
class HashOfAddress(Stripes):
    def __init__(self):
        self.key = next(COUNTER)

    @property
    def content_hash(self):
        return f"{self.key:064x}"


@fault("content-hash", "not 64 hex digits")
class ShortHash(Stripes):
    content_hash = "abc"


@fault("global-generators", "global generator of NumPy")
class ShufflesGlobally(Stripes):
    def __init__(self):
        np.random.seed(0)


@fault("global-settings", "changes NumPy's error handling")
class SilencesNumpy(Stripes):
    def load(self, index):
        np.seterr(divide="ignore")
        return super().load(index)


FAULTS += [("datasets", *fault) for fault in FAULTY_COLUMNS]


# -- metrics ---------------------------------------------------------------------------------------------------------


def brute(embeddings, labels, itself=False, later_first=False, lone_counts=False):
    """Recall@1 as people write it."""
    unit = nn.functional.normalize(embeddings.double())
    similarity = (unit @ unit.T).numpy().round(12)
    if not itself:
        np.fill_diagonal(similarity, -np.inf)
    nearest = len(labels) - 1 - similarity[:, ::-1].argmax(1) if later_first else similarity.argmax(1)
    hits = labels.numpy()[nearest] == labels.numpy()
    several = (labels[:, None] == labels[None]).sum(1).numpy() > 1
    return {"recall_at_1": float(hits.mean() if lone_counts else hits[several].mean())}


@fault("named-numbers", "map_at_r is Tensor, not a plain number")
class Tensors(Retrieval):
    def __call__(self, embeddings, labels):
        return {name: torch.tensor(value) for name, value in super().__call__(embeddings, labels).items()}


@fault("named-numbers", "names change with the batch")
class NamesOfTheBatch(Retrieval):
    def __call__(self, embeddings, labels):
        found = super().__call__(embeddings, labels)
        return {**found, f"seen_{found['map_at_r']}": 1}


@fault("bounds", "recall_at_1 is 71.875")
class Percent(Retrieval):
    def __call__(self, embeddings, labels):
        return {"recall_at_1": 100 * super().__call__(embeddings, labels)["recall_at_1"]}


@fault("brute-force", "recall_at_1 by its definition and by the metric")
class FindsItself(Retrieval):
    def __call__(self, embeddings, labels):
        return brute(embeddings, labels, itself=True)


@fault("brute-force", "map_at_r by its definition and by the metric")
class OtherMetricOfThatName(Retrieval):
    def __call__(self, embeddings, labels):
        return {"map_at_r": super().__call__(embeddings, labels)["r_precision"]}


@fault("ties", "recall_at_1 by its definition and by the metric")
class LastOfEquals(Retrieval):
    def __call__(self, embeddings, labels):
        return brute(embeddings, labels, later_first=True)


@fault("lone-queries", "recall_at_1 by its definition and by the metric")
class LoneQueriesAreMisses(Retrieval):
    def __call__(self, embeddings, labels):
        return brute(embeddings, labels, lone_counts=True)


@fault("gallery", "of a gallery by its definition and by the metric")
class SearchesTheQueries(Retrieval):
    def search(self, queries, query_labels, gallery, gallery_labels):
        return self(queries, query_labels)


@fault("gallery", "other names: ['Recall@1'")
class OtherNamesOfAGallery(Retrieval):
    def search(self, *arrays):
        return {"Recall@1": super().search(*arrays)["recall_at_1"]}


@fault("sample-order", "samples in another order")
class FirstHalfOnly(Retrieval):
    def __call__(self, embeddings, labels):
        half = len(labels) // 2
        return super().__call__(embeddings[:half], labels[:half])


@fault("class-names", "classes called otherwise")
class LabelWeighted(Retrieval):
    def __call__(self, embeddings, labels):
        return {"score": super().__call__(embeddings, labels)["map_at_r"] / (1 + labels.double().mean().item())}


@fault("degenerate", "ZeroDivisionError")
class DividesByClasses(Retrieval):
    def __call__(self, embeddings, labels):
        return {"score": 1 / (len(labels.unique()) - 1)}


@fault("reference-parity", "mlbench.evaluation.metric:Retrieval and it differ")
class OffReference(Retrieval):
    info = ComponentInfo(reference="mlbench.evaluation.metric:Retrieval")

    def __call__(self, embeddings, labels):
        return {name: 0.99 * value for name, value in super().__call__(embeddings, labels).items()}


# -- what no kind of component may do --------------------------------------------------------------------------------

COUNTER = itertools.count(1)
METHODS = {"losses": "forward", "miners": "forward", "samplers": "batches", "metrics": "__call__"}


def doing(kind, act):
    """A sound component that does something first."""
    sound = getattr(SOUND[kind], METHODS[kind])

    def method(self, *args, **kwargs):
        act(self, *args)
        return sound(self, *args, **kwargs)

    return type(f"{act.__name__}_{kind}", (SOUND[kind],), {METHODS[kind]: method})


def draws_from_torch(*_):
    torch.rand(1)


def sets_numpy_seed(*_):
    np.random.seed(3)


def sets_python_seed(*_):
    random.seed(3)


def sets_default_device(*_):
    torch.set_default_device("meta")
    torch.set_default_device(torch.device("cpu", 0))


def sets_default_dtype(*_):
    torch.set_default_dtype(torch.bfloat16)


def stops_gradients(*_):
    torch.set_grad_enabled(False)


def sets_threads(*_):
    torch.set_num_threads(torch.get_num_threads() + 1)


def keeps_a_function(self, *_):
    self.function = lambda: None


def scales_the_first(self, first, *_):
    with torch.no_grad():
        first *= 2


GENERATORS = {draws_from_torch: "of torch", sets_numpy_seed: "of NumPy", sets_python_seed: "of Python"}
SETTINGS = {
    sets_default_device: "the default device",
    sets_default_dtype: "the default dtype",
    stops_gradients: "whether gradients are recorded",
    sets_threads: "the number of threads",
}
for kind in METHODS:
    FAULTS += [(kind, doing(kind, act), "global-generators", said) for act, said in GENERATORS.items()]
    FAULTS += [(kind, doing(kind, act), "global-settings", f"changes {said}") for act, said in SETTINGS.items()]
    FAULTS.append((kind, doing(kind, keeps_a_function), "picklable", "Error"))
FAULTS += [(kind, doing(kind, scales_the_first), "untouched-input", "in place") for kind in METHODS if kind != "losses"]


class _Clock:
    """Noise that no seed controls."""

    @staticmethod
    def noise():
        return time.perf_counter_ns() % 1000 + next(COUNTER)


@fault("determinism", "the same call twice")
class NoisyLoss(Sound):
    def forward(self, *args, **kwargs):
        return super().forward(*args, **kwargs) * _Clock.noise()


@fault("determinism", "the same call twice")
class NoisyMiner(AllTriplets):
    def forward(self, *args, **kwargs):
        kept = next(COUNTER)
        return tuple(indices[:kept] for indices in super().forward(*args, **kwargs))


@fault("determinism", "the same call twice")
class NoisySampler(MPerClass):
    def batches(self, labels, seed):
        return super().batches(labels, _Clock.noise())


@fault("determinism", "the same call twice")
class NoisyMetric(Retrieval):
    def __call__(self, embeddings, labels):
        return {"score": 1 / _Clock.noise()}


# -- the tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "component", "check", "detail"), FAULTS, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_seeded_fault_is_caught_by_the_check_that_is_for_it(kind, component, check, detail):
    found = Case(Subject(kind, component), requirements(kind)[check], {}).run()
    assert found.status == "failed"
    assert re.search(re.escape(detail), found.detail), found.detail


@pytest.mark.parametrize("kind", KINDS)
def test_every_check_has_a_fault_that_it_catches(kind):
    assert {check for of, _, check, _ in FAULTS if of == kind} == set(requirements(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_component_raises_no_alarm(kind):
    assert [check for check in check_component(kind, SOUND[kind]) if check.status == "failed"] == []


@pytest.mark.parametrize("dataset", [SoundColumns, SoundClosedSet])
def test_a_sound_item_table_raises_no_alarm(dataset):
    assert [check for check in check_component("datasets", dataset) if check.status == "failed"] == []

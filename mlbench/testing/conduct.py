"""Checks that every kind of component shares: what it may do to its inputs, its process and itself."""

import copy
import pickle
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mlbench.api import ConfigError
from mlbench.registry import parameters
from mlbench.testing.batch import CLASSES, SIZE, Batch, balanced, uneven
from mlbench.testing.known import declaration_of
from mlbench.testing.requirement import NotApplicable, require, requirement
from mlbench.testing.same import require_same
from mlbench.testing.subject import Subject, stream_of
from mlbench.testing.surroundings import generator_states, seeded, untouched_generators, untouched_settings


@requirement("Work on a copy: clone() before operations that end in an underscore, += or index assignment.")
def untouched_input(subject: Subject) -> None:
    """The tensors it is given stay as they are."""
    batch = balanced()
    before = copy.deepcopy(batch)
    subject.use(subject.build(), batch)
    for name in ("embeddings", "labels", "second"):
        require(torch.equal(getattr(before, name), getattr(batch, name)), f"changes {name} in place")


@requirement("Draw from a torch.Generator of your own, seeded by an argument or by the data; never seed globally.")
def global_generators(subject: Subject) -> None:
    """It draws no random numbers from the global generators, and seeds none, neither when built nor when used."""
    states = []
    for seed in range(2):
        with seeded(seed):
            built = subject.resolved.build(num_classes=CLASSES, embedding_size=SIZE)
            states.append(generator_states())
    for owner in states[0]:
        require(states[0][owner] != states[1][owner], f"seeds the global generator of {owner} when it is built")
    batch = balanced()
    with untouched_generators():
        if subject.kind == "samplers":
            next(iter(stream_of(built, batch.labels.numpy(), 3)))
        else:
            built(batch.embeddings, batch.labels, **subject.needed(batch))


@requirement("Use torch.no_grad(), torch.device(...) and the like as context managers; set nothing for the process.")
def global_settings(subject: Subject) -> None:
    """The default device and dtype, gradient mode, threads and the like stay as they are."""
    with untouched_settings():
        subject.use(subject.build(), balanced())


@requirement("Order what comes from sets and dictionaries, seed every generator, avoid time and object addresses.")
def determinism(subject: Subject) -> None:
    """Two objects built and used alike give the same bits."""
    # A sampler may refuse as few classes as an uneven batch has.
    for batch in [balanced()] if subject.kind == "samplers" else [balanced(), uneven()]:
        first, second = (outcome(subject, subject.build(), batch) for _ in range(2))
        require_same(first, second, "the same call twice")


@requirement("Keep no lambdas, open files, locks or local classes on the object.")
def picklable(subject: Subject) -> None:
    """It survives pickling, before and after it was used."""
    built = subject.build()
    for seed in range(2):
        copied = pickle.loads(pickle.dumps(built))
        first, second = (subject.use(each, balanced(seed)) for each in (built, copied))
        require_same(first, second, "after pickling")


@requirement("One of the two is wrong: compare them on a batch of four samples by hand.")
def reference_parity(subject: Subject) -> None:
    """It gives what the component gives that it declares as its reference, with ``ref_emb`` too where both take it."""
    name = declaration_of(subject.resolved.component).reference
    if not name:
        raise NotApplicable("it declares no reference")
    plain = _reference(subject, name)
    for batch in (balanced(), uneven(), balanced(4)):
        built, other = _built_alike(subject, plain)
        expected, found = outcome(plain, other, batch), outcome(subject, built, batch)
        require_same(expected, found, f"{name} and it differ", tolerance=1e-4)
    if subject.kind in ("losses", "miners") and not subject.two_views:
        try:
            found, expected = (_against_references(subject.kind, each) for each in _built_alike(subject, plain))
        except (TypeError, ValueError):  # one of them has no such form, as reference-form says
            return
        require_same(expected, found, f"{name} and it differ with ref_emb", tolerance=1e-4)


def outcome(subject: Subject, built: Any, batch: Batch) -> Any:
    """What using an object gives: of a loss also the gradients, of a miner its tuples in ascending order."""
    if subject.kind == "miners":
        return [_ordered(part) for part in _pairs(subject.use(built, batch))]
    if subject.kind != "losses":
        return subject.use(built, batch)
    views = [batch.embeddings.clone().requires_grad_(), batch.second.clone().requires_grad_()]
    value = subject.loss(built, Batch(views[0], batch.labels, views[1]))
    if value.requires_grad:
        value.backward()
    tensors = [*views, *(parameter for _, parameter in sorted(built.named_parameters()))]
    return value, [tensor.grad for tensor in tensors if tensor.grad is not None]


def _built_alike(subject: Subject, plain: Subject) -> tuple[Any, Any]:
    built, other = subject.build(), plain.build()
    if isinstance(built, nn.Module) and isinstance(other, nn.Module):
        other.load_state_dict(built.state_dict())
    return built, other


def _against_references(kind: str, built: Any) -> Any:
    batch, others = balanced(), uneven()
    with seeded(1):
        found = built(batch.embeddings, batch.labels, ref_emb=others.embeddings, ref_labels=others.labels)
    return [_ordered(part) for part in _pairs(found)] if kind == "miners" else found


def _pairs(mined: tuple[Tensor, ...]) -> list[tuple[Tensor, ...]]:
    return [mined] if len(mined) == 3 else [mined[:2], mined[2:]]


def _ordered(parts: tuple[Tensor, ...]) -> Tensor:
    columns = torch.stack(parts).numpy()
    return torch.from_numpy(columns[:, np.lexsort(columns)])


def _reference(subject: Subject, name: str) -> Subject:
    module, _, attribute = name.partition(":")
    try:
        component = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"reference {name!r} cannot be imported: {error}; write package.module:Class") from error
    known = parameters(component)
    return Subject(subject.kind, component, {key: value for key, value in subject.table.items() if key in known})

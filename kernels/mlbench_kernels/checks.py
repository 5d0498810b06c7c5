"""Checks of arguments: one clear error that names the argument, what came and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Integral

import torch
from torch import Tensor

from .rules.rule import Rule

_LABEL_TYPES = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def check_choice(name: str, value: object, allowed: Collection[str]) -> None:
    """Raise `ValueError` unless `value` is one of `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name}: {value!r} is unknown; allowed are {', '.join(sorted(allowed))}")


def check_whole(name: str, value: object, least: int) -> int:
    """Return `value` as an int, or raise `ValueError` unless it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < least:
        raise ValueError(f"{name}: {value!r}; expected a whole number, at least {least}")
    return int(value)


def check_embeddings(name: str, value: object) -> None:
    """Raise `ValueError` unless `value` is `[N, D]`, floating point, not empty and finite."""
    check_matrix(name, value)
    assert isinstance(value, Tensor)
    check_finite(name, value)


def check_matrix(name: str, value: object) -> None:
    """Raise `ValueError` unless `value` is `[N, D]`, floating point and not empty."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: expected a torch tensor [N, D], got {type(value).__name__}")
    if value.ndim != 2:
        raise ValueError(f"{name}: expected shape [N, D], got {list(value.shape)}")
    if not value.is_floating_point():
        raise ValueError(f"{name}: expected a floating-point dtype, got {value.dtype}")
    if 0 in value.shape:
        raise ValueError(f"{name}: expected N >= 1 and D >= 1, got shape {list(value.shape)}")


def check_finite(name: str, value: Tensor) -> None:
    """Raise `ValueError` unless all values are finite."""
    # One reduction settles the usual case; rows are looked at only when it fails.
    if not all(math.isfinite(bound) for bound in torch.stack(torch.aminmax(value)).tolist()):
        row = int((~torch.isfinite(value)).any(dim=1).nonzero()[0])
        what = "NaN" if bool(torch.isnan(value[row]).any()) else "an infinite value"
        raise ValueError(f"{name}: row {row} contains {what}; all values must be finite")


def check_labels(name: str, value: object, of: str, embeddings: Tensor) -> None:
    """Raise `ValueError` unless `value` is `[N]`, of an integer dtype, on the device of `embeddings` `[N, D]`."""
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: expected a torch tensor [N], got {type(value).__name__}")
    if value.dtype not in _LABEL_TYPES:
        raise ValueError(f"{name}: expected an integer dtype, got {value.dtype}")
    if value.ndim != 1:
        raise ValueError(f"{name}: expected shape [N], got {list(value.shape)}")
    if len(value) != len(embeddings):
        raise ValueError(f"{name}: {len(value)} labels for {len(embeddings)} rows of {of}; the lengths must be equal")
    if value.device != embeddings.device:
        raise ValueError(f"{name}: on {value.device}, but {of} are on {embeddings.device}; use one device")


def check_references(name: str, embeddings: Tensor, references: object, reference_labels: object) -> None:
    """Raise `ValueError` unless references and their labels are both absent, or both fit `embeddings`."""
    if references is None and reference_labels is None:
        return
    if references is None or reference_labels is None:
        missing = "references" if references is None else "reference_labels"
        other = "reference_labels" if references is None else "references"
        raise ValueError(f"{missing}: None, but {other} came; give both or neither")
    check_matrix("references", references)
    assert isinstance(references, Tensor)
    check_labels("reference_labels", reference_labels, "references", references)
    if references.shape[1] != embeddings.shape[1]:
        raise ValueError(
            f"references: dimension {references.shape[1]}, but {name} have dimension {embeddings.shape[1]}; "
            "they must be equal"
        )
    if references.device != embeddings.device:
        raise ValueError(f"references: on {references.device}, but {name} are on {embeddings.device}; use one device")


def check_rule(rule: Rule, anchors: Tensor) -> None:
    """Raise `ValueError` unless the thresholds of `rule` fit `anchors` `[N, D]`."""
    limits = rule.thresholds
    if limits is not None and (limits.ndim != 2 or len(limits) != len(anchors)):
        raise ValueError(f"thresholds: expected shape [{len(anchors)}, T], got {list(limits.shape)}")
    if limits is not None and limits.device != anchors.device:
        raise ValueError(f"thresholds: on {limits.device}, but anchors are on {anchors.device}; use one device")

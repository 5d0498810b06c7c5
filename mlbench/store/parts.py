"""Trainings in parts, as the trials that may be stopped early: each goes on where the one before has ended."""

from collections.abc import Mapping
from typing import Any


def is_part(request: Mapping[str, Any]) -> bool:
    """Whether the training may be continued by another job: one that differs in its last epoch and the rung alone."""
    return "rung" in request["job"]


def whole(request: Mapping[str, Any]) -> dict[str, Any]:
    """What all parts of a training have in common; of one that is done at once, the request."""
    if not is_part(request):
        return dict(request)
    training, job = dict(request["training"]), dict(request["job"])
    del training["max_epochs"], job["rung"]
    return {**request, "training": training, "job": job}

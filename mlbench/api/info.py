"""What a component says about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlbench.api.space import Dimension

#: Version of the contract between mlbench and a component of each kind. A component made for another one is not loaded.
API_VERSIONS: Mapping[str, int] = {
    "losses": 1,
    "miners": 1,
    "distances": 1,
    "reducers": 1,
    "regularizers": 1,
    "samplers": 1,
    "datasets": 1,
    "splits": 1,
    "models": 1,
    "metrics": 1,
    "protocols": 1,
}


@dataclass(frozen=True, kw_only=True)
class ComponentInfo:
    """Optional declaration of a component, as its class attribute ``info``.

    Attributes:
        summary: One line for ``mlbench show``.
        citation: The paper or source.
        tags: Free words, e.g. ``("pair", "proxy")``.
        api: The version of its kind's contract that it was written for (see `API_VERSIONS`).
        version: Behaviour version: raise it when the same configuration starts to give other numbers. It enters the
            identity of every run that uses the component.
        space: Search space of its constructor's arguments.
        needs: What must be there for it to run. A loss may need ``"second_view"`` (another augmentation of every sample
            arrives as ``ref_emb``) and ``"groups"`` (the sampler's groups arrive as ``groups``, ``[N]`` int64; the
            labels do where the sampler knows no groups). A model may need ``"vectors"`` (items that are no images). A
            sampler may need ``"superclasses"`` (that of every item arrives as ``superclasses``, ``[N]`` int64).
        reference: ``"package.module:Class"`` of a component in plain torch that gives the same results, where this one
            is backed by a kernel. The conformance kit compares the two, built with the same arguments.
        example: Arguments for the conformance kit, where the constructor needs some.
        expected_failures: Why a check of the conformance kit must fail, by the name of the check.

    >>> ComponentInfo(summary="Triplet loss on squared distances").version
    1
    """

    summary: str = ""
    citation: str = ""
    tags: tuple[str, ...] = ()
    api: int = 1  # not today's version: what declares none was written for the first
    version: int = 1
    space: Mapping[str, Dimension] = field(default_factory=dict)
    needs: frozenset[str] = frozenset()
    reference: str = ""
    example: Mapping[str, Any] = field(default_factory=dict)
    expected_failures: Mapping[str, str] = field(default_factory=dict)

"""A finished trial."""

from dataclasses import dataclass

from mlbench.api.space import Value


@dataclass(frozen=True)
class Trial:
    """A finished trial: its number, its parameters and its objective (higher is better)."""

    number: int
    parameters: dict[str, Value]
    objective: float

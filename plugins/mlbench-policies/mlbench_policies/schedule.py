"""Policies that change in the course of the training."""

from typing import ClassVar

from mlbench.api import ComponentInfo, Float
from mlbench_policies.miner import Negative, PolicyMiner, Positive, check_policies


class PolicySchedule(PolicyMiner):
    """A `PolicyMiner` that goes from one pair of policies to the next as the epochs pass.

    Args:
        stages: First epoch, positive and negative policy of every stage, in order; the first epoch of all is 0.
        margin: As for `PolicyMiner`.
        collapse_patience: As for `PolicyMiner`.

    Raises:
        ValueError: If the stages do not begin with epoch 0 or do not follow one another, or for what `PolicyMiner`
            refuses.

    >>> miner = PolicySchedule(stages=[(0, "easy", "semi-hard"), (10, "easy", "hard"), (25, "hard", "hard")])
    >>> miner.start_epoch(12)
    >>> miner.positive, miner.negative
    ('easy', 'hard')
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="One triplet per anchor by policies that change at given epochs, from easy to hard",
        citation="https://arxiv.org/abs/1904.04370 (easy positives); https://arxiv.org/abs/1503.03832 (semi-hard)",
        tags=("triplet", "schedule"),
        space={"margin": Float(low=0.05, high=1.0)},
        example={"stages": [[0, "easy", "semi-hard"], [10, "hard", "hard"]]},
    )

    def __init__(
        self, stages: list[tuple[int, Positive, Negative]], margin: float = 0.5, collapse_patience: int = 20
    ) -> None:
        starts = [start for start, _, _ in stages]
        if starts[:1] != [0] or sorted(set(starts)) != starts:
            raise ValueError(f"stages must start at epoch 0 and then at ever later ones, got {starts}")
        for _, positive, negative in stages:
            check_policies(positive, negative)
        super().__init__(*stages[0][1:], margin, collapse_patience)
        self.stages = stages

    def start_epoch(self, epoch: int) -> None:
        """Take the policies of the last stage that has begun by ``epoch``."""
        _, self.positive, self.negative = max(stage for stage in self.stages if stage[0] <= epoch)

"""A pair loss against a queue of the embeddings of earlier batches."""

from typing import Any

from pytorch_metric_learning import losses

from mlbench.api import ComponentInfo


class CrossBatchMemory(losses.CrossBatchMemory):  # type: ignore[misc]
    """pytorch-metric-learning's cross-batch memory with its whole state in the state dict.

    The plain class keeps the queue's position and whether it has been filled out of it, so a resumed run would write
    to other slots than an uninterrupted one.

    Args:
        loss: The pair or triplet loss to compute between the batch ``[N, D]`` and the memory ``[M, D]``.
        embedding_size: D.
        memory_size: M, at least the batch size.
        miner: Chooses pairs or triplets between batch and memory.
    """

    info = ComponentInfo(
        summary="Cross-batch memory: a pair loss between the batch and a queue of earlier embeddings",
        citation="https://arxiv.org/abs/1912.06798",
        tags=("wrapper", "memory"),
        example={"loss": "contrastive", "memory_size": 64},
        expected_failures={
            "numerical-gradient": "the memory, which holds this batch too, is a constant for the gradient",
            "reference-form": "the memory is its reference; the call has no ref_emb",
        },
    )

    def __init__(self, loss: Any, embedding_size: int, memory_size: int = 1024, miner: Any = None) -> None:
        super().__init__(loss=loss, embedding_size=embedding_size, memory_size=memory_size, miner=miner)

    @classmethod
    def check_loss_support(cls, loss_name: str) -> None:
        """Refuse a loss that cannot compare a batch with a memory.

        Raises:
            ValueError: With the losses that can.
        """
        if loss_name not in cls.supported_losses():
            raise ValueError(f"loss: {loss_name} cannot use a memory; these can: {', '.join(cls.supported_losses())}")

    def get_extra_state(self) -> dict[str, int]:
        """Position and filling of the queue."""
        return {"queue_idx": self.queue_idx, "has_been_filled": int(self.has_been_filled)}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Restore what ``get_extra_state`` returned."""
        self.queue_idx = state["queue_idx"]
        self.has_been_filled = bool(state["has_been_filled"])

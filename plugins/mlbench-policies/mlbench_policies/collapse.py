"""Noticing that all embeddings have become equal."""

from torch import Tensor

from mlbench.api import Collapsed


class CollapseWatch:
    """Ends a training whose embeddings have been nearly equal for many batches in a row.

    A batch counts when no squared distance in it exceeds a thousandth of the margin: the loss of every triplet is then
    within 0.1% of the margin. A single such batch can be chance, or a start from poor weights.

    Args:
        margin: The margin of the triplet loss.
        patience: How many such batches in a row end the training.
    """

    def __init__(self, margin: float, patience: int) -> None:
        self.limit = margin / 1000
        self.patience = patience
        self.batches = 0

    def look(self, distances: Tensor) -> None:
        """Look at the squared distances of a batch, ``[N, M]``.

        Raises:
            Collapsed: If this is the last straw.
        """
        largest = float(distances.max()) if distances.numel() > 1 else float("inf")
        self.batches = self.batches + 1 if largest <= self.limit else 0
        if self.batches >= self.patience:
            raise Collapsed(
                f"all embeddings are equal: for {self.batches} batches in a row no squared distance was above "
                f"{self.limit:g}, a thousandth of the margin; try a lower learning rate or an easier policy first"
            )

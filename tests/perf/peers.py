"""FaceNet's semi-hard triplet loss as several packages compute it, for the benchmarks that compare them.

For every anchor-positive pair the nearest negative farther than the positive, or the farthest one if none is; the mean
over all pairs. pytorch-metric-learning has no such rule: it takes all triplets within the margin, which is more work
and another value.
"""

from importlib.util import find_spec

MARGIN = 0.2


def ours():
    from mlbench_kernels.miners import SemiHardMiner

    miner = SemiHardMiner(fallback="farthest", distance="euclidean")

    def call(embeddings, labels):
        anchor, positive, negative = (embeddings[index] for index in miner(embeddings.detach(), labels))
        near, far = (anchor - positive).norm(dim=1), (anchor - negative).norm(dim=1)
        return (near - far + MARGIN).relu().mean()

    return call


def of_sentence_transformers():
    from mlbench.models._torchvision import import_torchvision

    import_torchvision()  # which it imports too, and which may need help
    from sentence_transformers.losses import BatchSemiHardTripletLoss

    loss = BatchSemiHardTripletLoss(model=None, margin=MARGIN)
    return lambda embeddings, labels: loss.batch_semi_hard_triplet_loss(labels, embeddings)


def of_pytorch_metric_learning():
    from pytorch_metric_learning import losses, miners

    miner = miners.TripletMarginMiner(margin=MARGIN, type_of_triplets="semihard")
    function = losses.TripletMarginLoss(margin=MARGIN)
    return lambda embeddings, labels: function(embeddings, labels, miner(embeddings, labels))


def product():
    """No loss at all, but what every dense one begins with: the matrix of all similarities, and its gradient."""
    return lambda embeddings, labels: (embeddings @ embeddings.T).mean()


SEMI_HARD = {
    "mlbench_kernels": ours,
    "sentence-transformers": of_sentence_transformers,
    "pytorch-metric-learning, all within the margin": of_pytorch_metric_learning,
    "one matrix product": product,
}


def installed(contestants):
    """The names of those that are here: sentence-transformers is optional."""
    return [name for name in contestants if name != "sentence-transformers" or find_spec("sentence_transformers")]

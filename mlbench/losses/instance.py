"""Instance loss, with a word on what it expects."""

from pytorch_metric_learning import losses

from mlbench.api import ComponentInfo


class InstanceLoss(losses.InstanceLoss):  # type: ignore[misc]
    """pytorch-metric-learning's instance loss as it is.

    ``cross_entropy(gamma * cos(x_i, x_j), t_i)`` over the batch, where the target ``t_i`` is the rank of the label of
    sample ``i`` among the labels of the batch. The target is used as the position of a sample, so the loss means
    something only in batches whose first samples are one of each class, in the order of the labels.
    """

    info = ComponentInfo(
        summary="Instance loss; needs batches whose first samples are one of each class, in the order of the labels",
        citation="https://arxiv.org/abs/1711.05535",
        tags=("pair",),
        expected_failures=dict.fromkeys(
            ("sample-order", "class-names"), "the rank of a label is used as the position of a sample in the batch"
        ),
    )

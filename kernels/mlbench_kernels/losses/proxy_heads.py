"""Proxy-NCA and Proxy-Anchor without the matrix of similarities."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus

from ..ops.class_softmax import class_softmax
from .class_head import ClassHead, sample_weights, weighted_mean


class ProxyNCALoss(ClassHead):
    """Softmax over squared distances to one proxy per class (Movshovitz-Attias et al., 2017).

    A drop-in for pytorch-metric-learning's loss of this name with its default distance and reducer: the own proxy is in
    the denominator, rows and proxies are normalised. It leaves no sample out, however small its probability.

    Args:
        num_classes: number of classes C.
        embedding_size: dimension D.
        softmax_scale: what the squared distances are multiplied by.
        backend: as for `mlbench_kernels.ops.class_softmax`.
    """

    def __init__(self, num_classes: int, embedding_size: int, softmax_scale: float = 1, backend: str = "auto") -> None:
        super().__init__(num_classes, embedding_size, backend)
        self.softmax_scale = softmax_scale
        self.proxies = nn.Parameter(torch.empty(num_classes, embedding_size))
        nn.init.normal_(self.proxies)

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: tuple[Tensor, ...] | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Tensor:
        """The mean loss of the samples; a choice weights its anchors only. Otherwise as for `NormalizedSoftmaxLoss`."""
        self.check(embeddings, labels, ref_emb, ref_labels)
        # -|x - p|^2 = 2 x.p - 2 between rows of length 1, and the constant is no part of a softmax.
        rows = 2 * self.softmax_scale * normalize(embeddings.to(torch.promote_types(embeddings.dtype, torch.float32)))
        own, others = class_softmax(rows, self.proxies, labels, backend=self.backend)
        return weighted_mean(softplus(others - own), sample_weights(_anchors(indices_tuple), embeddings))


def _anchors(indices: tuple[Tensor, ...] | None) -> tuple[Tensor, ...] | None:
    """The anchors of triplets (3 parts) or of positive and negative pairs (4 parts)."""
    return None if indices is None else (indices[0],) if len(indices) == 3 else (indices[0], indices[2])


class ProxyAnchorLoss(ClassHead):
    """Proxies as anchors (Kim et al., "Proxy Anchor Loss for Deep Metric Learning", 2020, equation 4).

    `1/|P+| sum_{p in P+} log(1 + sum_{x of p} exp(-alpha (cos(x, p) - margin)))
    + 1/C sum_p log(1 + sum_{x not of p} exp(alpha (cos(x, p) + margin)))`, P+ being the proxies that have a sample. A
    drop-in for pytorch-metric-learning's loss of this name with its default distance and reducer.

    Args:
        num_classes: number of classes C.
        embedding_size: dimension D.
        margin: added to and taken off the cosines.
        alpha: what the cosines are multiplied by.
        backend: as for `mlbench_kernels.ops.class_softmax`.
    """

    def __init__(
        self, num_classes: int, embedding_size: int, margin: float = 0.1, alpha: float = 32, backend: str = "auto"
    ) -> None:
        super().__init__(num_classes, embedding_size, backend)
        self.margin = margin
        self.alpha = alpha
        self.proxies = nn.Parameter(torch.empty(num_classes, embedding_size))
        nn.init.kaiming_normal_(self.proxies, mode="fan_out")

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: tuple[Tensor, ...] | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Tensor:
        """The loss; arguments and errors as for `NormalizedSoftmaxLoss`. A sample's weight goes into its exponents."""
        self.check(embeddings, labels, ref_emb, ref_labels)
        rows = normalize(embeddings.to(torch.promote_types(embeddings.dtype, torch.float32)))
        weights = sample_weights(indices_tuple, embeddings)
        shift = rows.new_zeros(len(rows)) if weights is None else weights - 1
        own, far = class_softmax(self.alpha * rows, self.proxies, labels, shift, by_class=True, backend=self.backend)
        near = self._log_sum(self.alpha * self.margin - own + 2 * shift, labels.long())
        present = rows.new_zeros(self.num_classes).index_fill(0, labels.long(), 1)
        positive = (softplus(near) * present).sum() / present.sum()
        return positive + softplus(far + self.alpha * self.margin).mean()

    def _log_sum(self, values: Tensor, labels: Tensor) -> Tensor:
        """Log-sum-exp of the values of each class `[C]`; -inf, with zero gradient, where there are none."""
        lowest = values.new_full((self.num_classes,), -torch.inf)
        largest = lowest.scatter_reduce(0, labels, values.detach(), "amax")
        total = torch.zeros_like(lowest).index_add(0, labels, (values - largest[labels]).exp())
        return largest + total.clamp_min(torch.finfo(total.dtype).tiny).log()

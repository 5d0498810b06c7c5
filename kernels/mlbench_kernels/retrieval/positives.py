"""The positives of a group of queries: their scores, and how many negatives have been seen ahead of each."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..labels import LabelOrder
from .points import Points, close_scores, error_factor, exact_scores

ENTRY_BYTES = 104  # peak bytes per (query, positive) pair, reached at the end; 56 of them while tiles are looked at
_SCRATCH = 4 << 20  # bytes of classes scored in one product: what a shared cache holds
_PIECE = 256  # queries of one class whose positives are scored in one product


class Positives:
    """State of the streaming pass for the queries at sorted positions `[first, last)`.

    For every query the scores of its R positives are kept in descending order, followed by a sentinel. Every
    negative that is seen falls between two of them; counting those places is all that is needed, because

        rank of the k-th nearest positive = k + #{negatives ahead of it}.

    `gate[q]` is a score below which nothing can change a metric of query q any more. It rises as negatives are
    counted: once the k-th positive is known to be ranked too low to matter, only what is ahead of the (k-1)-th counts.

    The positives' scores are products in float64 of the rounded factors. A negative whose score is within the rounding
    error of a positive is placed by such a product too, if that is not enough by exact scores, and by the lowest
    reference index where those are equal, so the ranks are those of float64 whatever the tiling.
    """

    def __init__(
        self,
        queries: Points,
        references: Points,
        query_order: LabelOrder,
        reference_order: LabelOrder,
        span: tuple[int, int],
        largest_k: int,
        all_ranks: bool,
        square: bool,
        memory: int,
    ) -> None:
        self.queries, self.references = queries, references
        self.first, self.last = span
        self.memory = memory
        self._reference_label = reference_order.label
        self._label = query_order.label[self.first : self.last]
        start, size = reference_order.spans(self._label)
        self.relevant = size - int(square)  # [Q], R of each query
        self.cap = self.relevant.clamp_min(largest_k)  # [Q], ranks beyond it do not matter
        self.enough = int(self.cap.max()) + 1  # this many, one perhaps the query itself, fill all ranks that matter
        self._offset = torch.cat((size.new_zeros(1), (self.relevant + 1).cumsum(0)))  # [Q + 1]
        self._cuts: list[int] = self._offset.tolist()
        entries, device = self._cuts[-1], queries.left.device
        self._score = torch.full((entries,), -torch.inf, dtype=torch.float64, device=device)
        self._positive = torch.zeros(entries, dtype=torch.int64, device=device)
        self._count = torch.zeros(entries, dtype=torch.int64, device=device)
        self._score_all(start, size, square)

        self._row = torch.repeat_interleave(self.relevant + 1)  # [entries], query of each entry
        self._key = _keys(self._row, self._score.float())
        self._k = torch.arange(1, entries + 1, device=device) - self._offset.index_select(0, self._row)
        relevant = self.relevant.index_select(0, self._row)
        real = self._k <= relevant
        # Beyond rank R only the nearest positive matters, and only up to the largest K of Recall@K, unless all do.
        far = (self._k == 1) | all_ranks
        limit = torch.where(far, self.cap.index_select(0, self._row), relevant)
        self._spare = torch.where(real, limit - self._k, -1)

        self._factor = error_factor(queries.source.shape[1])
        radius = queries.radius[self.first : self.last]
        theirs = torch.where(real, references.radius.index_select(0, self._positive), 0.0)
        farthest = torch.zeros_like(radius).scatter_reduce_(0, self._row, theirs, "amax")
        self._slack = error_factor(0) * (radius + farthest).square()
        self._unsure: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self._unsure_count = 0
        self.gate = torch.full_like(radius, torch.inf)
        self.tighten(0, self.last - self.first)

    def _score_all(self, start: Tensor, size: Tensor, square: bool) -> None:
        """Fill scores and positions of the positives, one batched product per shape of class."""
        place = torch.arange(len(size), device=size.device)
        head = torch.ones_like(size, dtype=torch.bool)
        head[1:] = self._label[1:] != self._label[:-1]
        head |= (place - place[head][head.cumsum(0) - 1]) % _PIECE == 0
        begin = place[head]
        length = torch.diff(begin, append=begin.new_tensor([len(size)]))
        base = int(size.max()) + 1
        shapes, member = (length * base + size[head]).unique(return_inverse=True)
        for shape, code in enumerate(shapes.tolist()):
            n_queries, n_references = divmod(code, base)
            if n_references <= int(square):
                continue
            width = self.queries.left.shape[1]
            cost = 48 * n_queries * n_references + 16 * width * (n_queries + n_references)
            for part in begin[member == shape].split(max(1, min(self.memory, _SCRATCH) // cost)):
                q = part[:, None] + torch.arange(n_queries, device=part.device)
                r = start[part][:, None] + torch.arange(n_references, device=part.device)
                self._score_classes(q, r, square)

    def _score_classes(self, q: Tensor, r: Tensor, square: bool) -> None:
        """Positives of `G` equally shaped classes: queries `q` `[G, n]`, references `r` `[G, m]`."""
        left = self.queries.left.index_select(0, (q + self.first).flatten()).double()
        right = self.references.right(r.flatten()).double()
        score = torch.bmm(left.view(*q.shape, -1), right.view(*r.shape, -1).mT)  # [G, n, m]
        if square:
            score.masked_fill_((q + self.first)[:, :, None] == r[:, None, :], -torch.inf)
        score, order = score.sort(dim=2, descending=True)
        keep = score.shape[2] - int(square)
        at = self._offset[q][..., None] + torch.arange(keep, device=q.device)
        self._score[at] = score[..., :keep]
        self._positive[at] = r.gather(1, order[..., :keep].flatten(1)).view_as(at)

    def error(self, rows: Tensor | slice, radius: Tensor) -> Tensor:
        """How far a computed score and a positive's may be from the truth together, for references of this radius."""
        return self._slack[rows] + self._factor * self._reach(rows, radius).square()

    def _close_error(self, rows: Tensor, radius: Tensor) -> Tensor:
        """The same for scores that are off by what their factors were rounded, `close_scores`."""
        return self._slack[rows] + error_factor(0) * self._reach(rows, radius).square()

    def _reach(self, rows: Tensor | slice, radius: Tensor) -> Tensor:
        return self.queries.radius[self.first : self.last][rows] + radius

    def observe(self, row: Tensor, column: Tensor, score: Tensor, error: Tensor) -> None:
        """Count references seen.

        Args:
            row: `[H]`, queries, counted from 0.
            column: `[H]`, sorted positions of references; positives among them are ignored.
            score: `[H]`, computed scores.
            error: `[H]`, their `error`.
        """
        # index_select is several times faster than indexing here.
        negative = self._label.index_select(0, row) != self._reference_label.index_select(0, column)
        place = torch.searchsorted(self._key, _keys(row, score - error), right=True)
        above = (place - 1).clamp_min_(0)
        unsure = (self._score.index_select(0, above) <= score + error) & negative
        unsure &= self._row.index_select(0, above) == row
        some = unsure.nonzero().flatten()
        if len(some):
            self._remember(row[some], column[some], score[some] + error[some], place[some])
            negative &= ~unsure
        self._count.scatter_add_(0, place, negative.long())

    def _remember(self, row: Tensor, column: Tensor, upper: Tensor, place: Tensor) -> None:
        """Keep negatives that need exact scores until there are enough to be worth a batch."""
        over = torch.nextafter(upper, upper.new_tensor(torch.inf))
        sure = torch.searchsorted(self._key, _keys(row, over), right=True)
        self._unsure.append((row, column, sure, place))
        self._unsure_count += len(row)
        if self._unsure_count * 128 > self.memory:
            self.settle()

    def settle(self) -> None:
        """Place the remembered negatives among the positives `[sure, place)` that are as near, exactly."""
        if not self._unsure:
            return
        sure = torch.cat([part[2] for part in self._unsure])
        # Gates have risen since: where the nearest of these positives does not matter any more, none of them does.
        _, ahead = self._ahead(0, self.last - self.first)
        live = (ahead.index_select(0, sure) <= self._spare.index_select(0, sure)).nonzero().flatten()
        row, column, sure, place = (torch.cat(parts).index_select(0, live) for parts in zip(*self._unsure, strict=True))
        self._unsure, self._unsure_count = [], 0
        # Exact scores cost the most, so scores without the error of the product come first.
        score = close_scores(self.queries, row + self.first, self.references, column)
        error = self._close_error(row, self.references.radius[column])
        above, below = score + error, score - error
        sure = _bisect(sure, place, lambda at: self._score[at] > above)
        place = _bisect(sure, place, lambda at: self._score[at] >= below)
        near = (sure < place).nonzero().flatten()
        if len(near):
            sure[near] = self._exact_places(row[near], column[near], sure[near], place[near])
        self._count.scatter_add_(0, sure, torch.ones_like(sure))

    def _exact_places(self, row: Tensor, column: Tensor, sure: Tensor, place: Tensor) -> Tensor:
        """Places of negatives among the positives `[sure, place)`, by exact scores and then by index.

        Each of these positives is scored once, however many negatives are near to it: in a collapsed embedding all are.
        """
        steps = self._count.new_zeros(len(self._count) + 1)
        near = steps.index_add_(0, sure, torch.ones_like(sure)).index_add_(0, place, -torch.ones_like(sure)).cumsum(0)
        entry = near.nonzero().flatten()
        begin = torch.searchsorted(entry, sure)
        score = exact_scores(self.queries, self._row[entry] + self.first, self.references, self._positive[entry])
        index = self.references.index[self._positive[entry]]
        # In order within each run of neighbours: between those of two queries there is a sentinel.
        run = torch.cat((entry.new_zeros(1), (entry.diff() > 1).cumsum(0)))
        order = index.argsort()
        order = order[score[order].argsort(stable=True, descending=True)]
        order = order[run[order].argsort(stable=True)]
        score, index = score[order], index[order]
        theirs = exact_scores(self.queries, row + self.first, self.references, column)
        other = self.references.index[column]
        end = begin + place - sure
        at = _bisect(begin, end, lambda at: (score[at] > theirs) | ((score[at] == theirs) & (index[at] < other)))
        return sure + at - begin

    def _ahead(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Queries (from 0) of the entries of queries `[start, stop)`, and the negatives ahead of each entry."""
        low, high = self._cuts[start], self._cuts[stop]
        total = torch.cat((self._count.new_zeros(1), self._count[low:high].cumsum(0)))
        row = self._row[low:high] - start
        return row, total[1:] - total[self._offset[start:stop] - low].index_select(0, row)

    def tighten(self, start: int, stop: int) -> None:
        """Raise the gates of queries `[start, stop)` by what has been counted."""
        low, high = self._cuts[start], self._cuts[stop]
        row, ahead = self._ahead(start, stop)
        matters = (ahead <= self._spare[low:high]).long()
        alive = torch.zeros(stop - start, dtype=torch.int64, device=row.device).index_add_(0, row, matters)
        worst = self._score[self._offset[start:stop] + alive - 1].float()
        self.gate[start:stop] = torch.where(alive > 0, worst, torch.inf)

    def forget(self) -> None:
        """Forget the counts, not which positives no longer matter: what follows sees the same references again."""
        _, ahead = self._ahead(0, self.last - self.first)
        self._spare.masked_fill_(ahead > self._spare, -1)
        self._count.zero_()

    def ranks(self) -> tuple[Tensor, Tensor, Tensor]:
        """For each positive: its query (from 0), its number k among the query's positives, and its rank.

        A rank that is too low to matter (above R, for the nearest positive above the largest K too; none with
        `all_ranks`) is `cap + 1`.
        """
        self.settle()
        row, ahead = self._ahead(0, self.last - self.first)
        rank = torch.where(ahead <= self._spare, self._k + ahead, self.cap[row] + 1)
        real = self._k <= self.relevant[row]
        return row[real], self._k[real], rank[real]


def _bisect(low: Tensor, high: Tensor, ahead: Callable[[Tensor], Tensor]) -> Tensor:
    """For each of `[H]` ranges `[low, high)`, in which those that are `ahead` come first, the first that is not."""
    for _ in range(int((high - low).max()).bit_length() if len(low) else 0):
        middle = (low + high) // 2
        on = ahead(torch.where(low < high, middle, 0)) & (low < high)
        low, high = torch.where(on, middle + 1, low), torch.where(on, high, middle)
    return low


def _keys(row: Tensor, score: Tensor) -> Tensor:
    """Int64 keys that sort by query, then by descending score, so that one binary search serves all queries."""
    bits = (0.0 - score).view(torch.int32)  # not -score: 0.0 and -0.0 must have the same bits
    # Negative floats count backwards in their bits; flipping them makes the integers as ordered as the floats.
    return (row << 32) + (bits ^ ((bits >> 31) & 0x7FFFFFFF))

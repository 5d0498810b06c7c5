"""A user's own pair loss, as docs/kernels.md shows it: negatives within a margin cost its fourth power."""

from mlbench_kernels.rules import PairLoss


class Quartic(PairLoss):
    triton = "quartic_triton"

    def value(self, distance, thresholds):
        (margin,) = self.numbers
        return (margin - distance).clamp_min(0) ** 4

    def slope(self, distance, thresholds):
        (margin,) = self.numbers
        return -4 * (margin - distance).clamp_min(0) ** 3

"""Miners: those of pytorch-metric-learning, most of them as they are.

An entry point in ``pyproject.toml`` names the class. Left out: the abstract ``BaseMiner``, and
``EmbeddingsAlreadyPackagedAsTriplets``, which trusts the order of the batch instead of the labels and therefore needs
batches that no sampler here makes.
"""

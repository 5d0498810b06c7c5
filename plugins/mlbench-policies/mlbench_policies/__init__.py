"""Triplet mining by policy: a plugin of mlbench."""

from mlbench_policies.miner import PolicyMiner as PolicyMiner

"""Triplet mining by policy, with a schedule of policies: a plugin of mlbench."""

from mlbench_policies.collapse import CollapseWatch as CollapseWatch
from mlbench_policies.miner import PolicyMiner as PolicyMiner
from mlbench_policies.schedule import PolicySchedule as PolicySchedule

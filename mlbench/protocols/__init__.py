"""Protocols: a benchmark becomes a plan of jobs, and each job a request that says everything that matters."""

from mlbench.protocols.job import Job as Job
from mlbench.protocols.job import Outcome as Outcome
from mlbench.protocols.job import Plan as Plan
from mlbench.protocols.job import Protocol as Protocol
from mlbench.protocols.reality_check import RealityCheck as RealityCheck
from mlbench.protocols.recipe import DatasetFacts as DatasetFacts
from mlbench.protocols.recipe import Recipe as Recipe

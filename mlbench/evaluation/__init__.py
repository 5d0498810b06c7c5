"""Retrieval metrics of embeddings: exact, streaming, without an index library."""

from mlbench.evaluation.ensemble import concatenate as concatenate
from mlbench.evaluation.evaluate import evaluate as evaluate
from mlbench.evaluation.evaluate import evaluate_file as evaluate_file
from mlbench.evaluation.metric import Retrieval as Retrieval
from mlbench.evaluation.metric import measure as measure

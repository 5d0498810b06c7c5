"""Magnet loss with its sampling, its metric and its baseline: a plugin of mlbench."""

from mlbench_magnet.clusters import Clusters as Clusters
from mlbench_magnet.clusters import cluster_classes as cluster_classes
from mlbench_magnet.in_batch import InBatchMagnetLoss as InBatchMagnetLoss
from mlbench_magnet.knc import KNearestClusters as KNearestClusters
from mlbench_magnet.magnet import MagnetLoss as MagnetLoss
from mlbench_magnet.neighbourhood import NeighbourhoodSampler as NeighbourhoodSampler
from mlbench_magnet.pairwise import PairwiseLoss as PairwiseLoss
from mlbench_magnet.sampling import ClusterSampler as ClusterSampler

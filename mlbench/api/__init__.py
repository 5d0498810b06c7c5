"""Everything a plugin author imports: small, stable, versioned.

A component is a class that an entry point names (groups ``mlbench.losses``, ``mlbench.miners``, ...). Its constructor
is its configuration schema; an optional class attribute ``info`` says the rest. A plain pytorch-metric-learning loss
is a component already.
"""

from typing import TYPE_CHECKING

from mlbench._lazy import lazy_exports

if TYPE_CHECKING:
    from mlbench.api.dataset import Archive as Archive
    from mlbench.api.dataset import Counts as Counts
    from mlbench.api.dataset import Dataset as Dataset
    from mlbench.api.dataset import ItemTable as ItemTable
    from mlbench.api.epochs import FollowsEpochs as FollowsEpochs
    from mlbench.api.errors import Collapsed as Collapsed
    from mlbench.api.errors import ConfigError as ConfigError
    from mlbench.api.errors import DataError as DataError
    from mlbench.api.errors import Diverged as Diverged
    from mlbench.api.errors import MlbenchError as MlbenchError
    from mlbench.api.errors import PluginError as PluginError
    from mlbench.api.errors import StoreError as StoreError
    from mlbench.api.errors import TrainingStopped as TrainingStopped
    from mlbench.api.errors import UnknownNameError as UnknownNameError
    from mlbench.api.hashing import digest as digest
    from mlbench.api.info import API_VERSIONS as API_VERSIONS
    from mlbench.api.info import ComponentInfo as ComponentInfo
    from mlbench.api.metric import GalleryMetric as GalleryMetric
    from mlbench.api.metric import Metric as Metric
    from mlbench.api.sampler import GroupedBatch as GroupedBatch
    from mlbench.api.sampler import RefreshedSampler as RefreshedSampler
    from mlbench.api.sampler import ResumableBatches as ResumableBatches
    from mlbench.api.sampler import Sampler as Sampler
    from mlbench.api.space import Categorical as Categorical
    from mlbench.api.space import Dimension as Dimension
    from mlbench.api.space import Float as Float
    from mlbench.api.space import Int as Int
    from mlbench.api.space import Space as Space
    from mlbench.api.splits import ClassSplits as ClassSplits
    from mlbench.api.splits import Fold as Fold
    from mlbench.api.splits import ItemSplits as ItemSplits
    from mlbench.api.splits import Part as Part
    from mlbench.api.splits import SplitScheme as SplitScheme
    from mlbench.api.table import table_dataset as table_dataset
    from mlbench.api.trunk import StartsFromWeights as StartsFromWeights
    from mlbench.api.trunk import Trunk as Trunk

# Importing this package must stay cheap: `mlbench --help` and `mlbench ls` pass through it.
__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "dataset": ("Archive", "Counts", "Dataset", "ItemTable"),
        "epochs": ("FollowsEpochs",),
        "errors": (
            "Collapsed",
            "ConfigError",
            "DataError",
            "Diverged",
            "MlbenchError",
            "PluginError",
            "StoreError",
            "TrainingStopped",
            "UnknownNameError",
        ),
        "hashing": ("digest",),
        "info": ("API_VERSIONS", "ComponentInfo"),
        "metric": ("GalleryMetric", "Metric"),
        "sampler": ("GroupedBatch", "RefreshedSampler", "ResumableBatches", "Sampler"),
        "space": ("Categorical", "Dimension", "Float", "Int", "Space"),
        "splits": ("ClassSplits", "Fold", "ItemSplits", "Part", "SplitScheme"),
        "table": ("table_dataset",),
        "trunk": ("StartsFromWeights", "Trunk"),
    },
)

"""Split schemes: by which rule a dataset's classes, and where need be its items, are split. One rule a file."""

from mlbench.api.splits import ClassSplits as ClassSplits
from mlbench.api.splits import Fold as Fold
from mlbench.api.splits import ItemSplits as ItemSplits
from mlbench.api.splits import Part as Part
from mlbench.data.splits.leave_one_view_out import LeaveOneViewOut as LeaveOneViewOut
from mlbench.data.splits.mlrc import Mlrc as Mlrc
from mlbench.data.splits.mlrc import mlrc_splits as mlrc_splits
from mlbench.data.splits.official import Official as Official
from mlbench.data.splits.query_gallery import QueryGallery as QueryGallery
from mlbench.data.splits.ring import ring_folds as ring_folds
from mlbench.data.splits.scheme import split as split

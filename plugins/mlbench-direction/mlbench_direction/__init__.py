"""Direction regularisation (Mohan et al., CVPR 2020) of three losses: a plugin of mlbench."""

from mlbench_direction.cosines import direction_cosines as direction_cosines
from mlbench_direction.multi_similarity import DRMultiSimilarityLoss as DRMultiSimilarityLoss
from mlbench_direction.proxy_nca import DRProxyNCALoss as DRProxyNCALoss
from mlbench_direction.triplet import DRTripletMarginLoss as DRTripletMarginLoss

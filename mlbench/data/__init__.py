"""Datasets, class-disjoint splits, the image store, transforms and batch samplers."""

from typing import TYPE_CHECKING

from mlbench._lazy import lazy_exports

if TYPE_CHECKING:
    from mlbench.data.batches import RankBatches as RankBatches
    from mlbench.data.batches import batches_of as batches_of
    from mlbench.data.digits import Digits as Digits
    from mlbench.data.emoji import Emoji as Emoji
    from mlbench.data.fashion_mnist import FashionMnist as FashionMnist
    from mlbench.data.folder import Folder as Folder
    from mlbench.data.glyph_features import GlyphFeatures as GlyphFeatures
    from mlbench.data.glyphs import Glyphs as Glyphs
    from mlbench.data.hierarchical import Hierarchical as Hierarchical
    from mlbench.data.images import ImageStore as ImageStore
    from mlbench.data.images import ImageView as ImageView
    from mlbench.data.npz import Npz as Npz
    from mlbench.data.prepare.location import dataset_folder as dataset_folder
    from mlbench.data.samplers import MPerClass as MPerClass
    from mlbench.data.splits import mlrc_splits as mlrc_splits
    from mlbench.data.transforms import EvalTransform as EvalTransform
    from mlbench.data.transforms import TrainTransform as TrainTransform
    from mlbench.data.transforms import output_channels as output_channels

# Lazy: the splits and the samplers are of use without torch, and naming a dataset must not import Pillow.
__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "batches": ("RankBatches", "batches_of"),
        "digits": ("Digits",),
        "emoji": ("Emoji",),
        "fashion_mnist": ("FashionMnist",),
        "folder": ("Folder",),
        "glyph_features": ("GlyphFeatures",),
        "glyphs": ("Glyphs",),
        "hierarchical": ("Hierarchical",),
        "images": ("ImageStore", "ImageView"),
        "npz": ("Npz",),
        "prepare.location": ("dataset_folder",),
        "samplers": ("MPerClass",),
        "splits": ("mlrc_splits",),
        "transforms": ("EvalTransform", "TrainTransform", "output_channels"),
    },
)

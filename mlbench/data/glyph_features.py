"""Precomputed embeddings of real images that any machine can make: `glyphs` through a network trained elsewhere."""

from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mlbench.api.dataset import Dataset, ItemTable
from mlbench.api.hashing import digest
from mlbench.api.info import ComponentInfo
from mlbench.data.cache import cached_arrays
from mlbench.data.glyph_network import FEATURES, features_of, network_key
from mlbench.data.glyphs import Glyphs


class GlyphFeatures(Dataset):
    """Item = the features of an image of `glyphs`: 512 numbers of a small network that was trained on other characters.

    Items, classes and their order are those of :class:`mlbench.data.glyphs.Glyphs`. The network has seen none of these
    characters and no image that is among theirs: see :mod:`mlbench.data.glyph_network`. Made once, in half a minute,
    then cached. Another version of PyTorch or kind of processor may round otherwise; the content hash tells.

    Args:
        max_classes: Keep only the first so many classes.

    Raises:
        ConfigError: If ``max_classes`` is not between 1 and the number of classes.
        DataError: If matplotlib's font folder is missing.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Vectors: 2,080 characters through a small network that was trained on other ones",
        citation=Glyphs.info.citation,
        tags=("vectors", "views"),
    )
    licence: ClassVar[str] = Glyphs.licence

    def __init__(self, max_classes: int | None = None) -> None:
        self._glyphs = Glyphs(max_classes)

    @property
    def items(self) -> ItemTable:
        """The item table of the images."""
        return self._glyphs.items

    @property
    def vector_size(self) -> int:
        """512."""
        return FEATURES

    def load(self, index: int) -> npt.NDArray[np.float32]:
        """The features of image ``index``, ``[512]``."""
        vector: npt.NDArray[np.float32] = self._vectors[index]
        return vector

    @cached_property
    def content_hash(self) -> str:
        """Over the features that are really used and what they are features of."""
        return digest(["glyph-features", self._vectors, self._glyphs.content_hash])

    @cached_property
    def _vectors(self) -> npt.NDArray[np.float32]:
        key = digest([network_key(), self._glyphs.content_hash])[:32]
        arrays = cached_arrays("glyph-features", key, lambda: {"vectors": features_of(self._images())})
        return np.asarray(arrays["vectors"], np.float32)

    def _images(self) -> npt.NDArray[np.uint8]:
        """``[N, 32, 32]``."""
        return np.stack([self._glyphs.load(index)[:, :, 0] for index in range(len(self.items))])

"""Features of images as a dataset: what a trunk that nobody trains makes of any dataset's images, made once."""

import time
from functools import cached_property, partial
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mlbench.api.dataset import Dataset, ItemTable
from mlbench.api.errors import ConfigError, DataError
from mlbench.api.hashing import digest
from mlbench.api.info import ComponentInfo
from mlbench.data.cache import Arrays, cached_arrays
from mlbench.data.images import ImageStore, ImageView
from mlbench.data.prepared import Tell, prepare
from mlbench.data.transforms import EvalTransform, output_channels
from mlbench.registry import info_of, resolve
from mlbench.spec import Transforms, canonical_json, identity_of
from mlbench.spec.load import transforms_of

#: Items whose features are kept in one file of the cache: after a kill no more than these are made again.
_CHUNK = 1024
#: Images per forward pass.
_BATCH = 64
#: What `Transforms` leave to chance.
_RANDOM = ("crop", "affine", "flip", "invert")


class Features(Dataset):
    """Item = the features of another dataset's image: the output of a trunk that is not trained.

    Items, classes, splits and roles are those of the other dataset. With the trunk ``mlp`` a benchmark trains heads on
    them, in seconds, as a frozen trunk below the embedder would be trained in hours. Features are made before the first
    run and then read from the cache folder; a trunk without weights from elsewhere is that of seed 0. The content hash
    is over images, trunk and transforms: another processor may round otherwise, as in any training.

    Args:
        of: The dataset of images, as ``dataset`` names one: an id, or a table with an id.
        trunk: The trunk, as ``model.trunk`` names one.
        transforms: What happens to an image before the trunk, as ``[transforms]`` says it; nothing random.

    Raises:
        ConfigError: If a name is unknown, an argument does not fit, or the two do not fit each other.
        DataError: If the images are not there, or one cannot be decoded.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="Vectors: the images of any dataset through any trunk that is not trained", tags=("vectors",)
    )
    licence: ClassVar[str] = "as the images"

    def __init__(
        self, of: str | dict[str, Any], trunk: str | dict[str, Any], transforms: dict[str, Any] | None = None
    ) -> None:
        images = resolve("datasets", of, "dataset.of")
        self._images, self._of = images.entry.id, cast(Dataset, images.build())
        if self._of.vector_size is not None:
            raise ConfigError("dataset.of: its items are vectors, features are made of images; name it as the dataset")
        self._trunk = resolve("models", trunk, "dataset.trunk")
        if "vectors" in info_of(self._trunk.component).needs:
            raise ConfigError(f"dataset.trunk: {self._trunk.entry.id} takes vectors; `mlbench ls models` lists others")
        self._transforms = _checked(transforms or {})
        self.transform = EvalTransform(self._transforms)

    @property
    def items(self) -> ItemTable:
        """The item table of the images."""
        return self._of.items

    @property
    def closed_set(self) -> bool:
        """As of the images."""
        return self._of.closed_set

    @property
    def origin(self) -> str:
        """The images, the trunk and how large it sees them."""
        trunk, size = self._trunk.identity(), self._transforms.size
        arguments = ", ".join(f"{name}={value}" for name, value in sorted(trunk["arguments"].items()))
        return f"{self._images}, {size} × {size}, through {trunk['id']} ({arguments})"

    @cached_property
    def vector_size(self) -> int:
        """Width of the trunk's output."""
        return int(self.model(self._of.load(0).shape[2]).features)  # type: ignore[arg-type]

    @cached_property
    def content_hash(self) -> str:
        """Over everything that features are made of."""
        recipe = canonical_json([self._trunk.identity(), identity_of(self._transforms)])
        return digest(["features", self._of.content_hash, recipe])

    def load(self, index: int) -> npt.NDArray[np.float32]:
        """The features of image ``index``, ``[vector_size]``."""
        vector: npt.NDArray[np.float32] = self._vectors[index]
        return vector

    def make(self, tell: Tell = lambda *_: None, device: str = "cpu") -> None:
        """Make all features that are not in the cache folder.

        Args:
            tell: Is told how far it is. It may raise, to leave it: it goes on from there later.
            device: Where the trunk computes.
        """
        if "_vectors" not in vars(self):
            self._vectors = self._made(tell, device)

    @cached_property
    def _vectors(self) -> npt.NDArray[np.float32]:
        return self._made(lambda *_: None, "cpu")

    def _made(self, tell: Tell, device: str) -> npt.NDArray[np.float32]:
        making, count = _Making(self, tell, device), len(self.items)
        key = digest([self.content_hash, torch.__version__])[:32]
        parts = []
        for start in range(0, count, _CHUNK):
            rows = range(start, min(start + _CHUNK, count))
            arrays = cached_arrays("features", f"{key}-{rows.start}-{rows.stop}", partial(making, rows))
            parts.append(np.asarray(arrays["vectors"], np.float32))
        return np.concatenate(parts)

    def view(self, tell: Tell) -> ImageView:
        """All images in their order, prepared first where they are not."""
        try:
            prepare(self._of, self._transforms.resize, tell=tell)
            store = ImageStore.build(self._of, self._transforms.resize)
        except DataError as error:
            raise DataError(f"dataset.of: {error}\nof features none can be left out") from None
        return store.view(range(len(self.items.class_names)))

    def model(self, channels: int) -> nn.Module:
        """The trunk for images of so many channels."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model: nn.Module = self._trunk.build(in_channels=output_channels(self._transforms, channels))
        return model.eval()


class _Making:
    """Makes features part by part; opens images and trunk when the first part is not in the cache."""

    def __init__(self, dataset: Features, tell: Tell, device: str) -> None:
        self._dataset, self._tell, self._device = dataset, tell, device
        self._made, self._began = 0, 0.0

    def __call__(self, part: range) -> Arrays:
        images, model = self._opened
        vectors = np.empty((len(part), self._dataset.vector_size), np.float32)
        for start in range(part.start, part.stop, _BATCH):
            rows = range(start, min(start + _BATCH, part.stop))
            vectors[start - part.start :][: len(rows)] = self._features(model, images, rows)
            self._made += len(rows)
            each, total = (time.monotonic() - self._began) / self._made, len(self._dataset.items)
            self._tell(rows.stop, total, each * (total - rows.stop))
        return {"vectors": vectors}

    @cached_property
    def _opened(self) -> tuple[ImageView, nn.Module]:
        images = self._dataset.view(self._tell)
        model = self._dataset.model(images.channels).to(self._device)
        self._began = time.monotonic()
        return images, model

    @torch.inference_mode()
    def _features(self, model: nn.Module, images: ImageView, rows: range) -> npt.NDArray[np.float32]:
        batch = self._dataset.transform(images.images(rows))
        try:
            found: Tensor = model(batch.to(self._device)).float().cpu()
        except RuntimeError as error:
            raise ConfigError(f"dataset.trunk: it fails on images {list(batch.shape[1:])}: {error}") from error
        return found.numpy()


def _checked(table: dict[str, Any]) -> Transforms:
    transforms = transforms_of(table, "dataset")
    if chance := [name for name in _RANDOM if getattr(transforms, name)]:
        raise ConfigError(f"dataset.transforms: features are made once, so {chance[0]} cannot be random; remove it")
    return transforms

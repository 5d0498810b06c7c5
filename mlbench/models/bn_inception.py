"""BN-Inception, the trunk of the Reality Check, with the names of its public weights."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, relu

from mlbench.api import ComponentInfo, ConfigError
from mlbench.models._library_trunk import LibraryTrunk
from mlbench.models._weights import content_of, load_weights

_CLASSIFIERS = tuple(f"{name}.{part}" for name in ("last_linear", "fc") for part in ("weight", "bias"))
_NOT_SHIPPED = (
    "bn-inception: its ImageNet weights come from you: download bn_inception-52deb4733.pth "
    "(http://data.lip6.fr/cadene/pretrainedmodels/bn_inception-52deb4733.pth, the file of "
    "`pretrainedmodels.bninception`), then --set model.trunk.weights=PATH"
)


class _Block(NamedTuple):
    """Channels of an inception block's branches; one without ``direct`` and ``projected`` halves the image's sides."""

    name: str
    direct: int  # 1x1
    single: tuple[int, int]  # 1x1, 3x3
    double: tuple[int, int]  # 1x1, 3x3, 3x3 as wide
    pool: Literal["mean", "max"]
    projected: int  # 1x1 behind the pooling

    @property
    def stride(self) -> int:
        return 1 if self.direct else 2

    def layers(self, width: int) -> Iterator[tuple[str, int, int, int, int]]:
        """Name, channels before and after, kernel size and stride of every convolution."""
        if self.direct:
            yield "1x1", width, self.direct, 1, 1
        yield "3x3_reduce", width, self.single[0], 1, 1
        yield "3x3", *self.single, 3, self.stride
        yield "double_3x3_reduce", width, self.double[0], 1, 1
        yield "double_3x3_1", *self.double, 3, 1
        yield "double_3x3_2", self.double[1], self.double[1], 3, self.stride
        if self.projected:
            yield "pool_proj", width, self.projected, 1, 1

    def width_after(self, width: int) -> int:
        """Channels of its output: the pooled input itself is one branch where nothing projects it."""
        return self.direct + self.single[1] + self.double[1] + (self.projected or width)


_BLOCKS = (
    _Block("3a", 64, (64, 64), (64, 96), "mean", 32),
    _Block("3b", 64, (64, 96), (64, 96), "mean", 64),
    _Block("3c", 0, (128, 160), (64, 96), "max", 0),
    _Block("4a", 224, (64, 96), (96, 128), "mean", 128),
    _Block("4b", 192, (96, 128), (96, 128), "mean", 128),
    _Block("4c", 160, (128, 160), (128, 160), "mean", 128),
    _Block("4d", 96, (128, 192), (160, 192), "mean", 128),
    _Block("4e", 0, (128, 192), (192, 256), "max", 0),
    _Block("5a", 352, (192, 320), (160, 224), "mean", 128),
    _Block("5b", 352, (192, 320), (192, 224), "max", 128),
)


class BNInception(LibraryTrunk):
    """BN-Inception without its classifier: 10.3 M parameters (11.3 M with it), 1024 features.

    S. Ioffe, C. Szegedy, Batch Normalization, ICML 2015, arXiv:1502.03167, in the variant that was trained in Caffe and
    converted to PyTorch: the convolutions have biases, and pooling that halves the sides rounds them up. Those weights
    expect ``transforms`` with ``pixels = "bgr-255"``, ``mean = [104, 117, 128]`` and ``std = [1, 1, 1]``.

    Args:
        weights: The path of a state dict file with the names of ``pretrainedmodels.bninception``, or ``"none"`` for
            PyTorch's random initialisation. There is no download: ``"pretrained"`` says where to get the file.
        in_channels: 3, or 1 for grey images, which the model then sees as three equal channels.

    Raises:
        ConfigError: If there is no file, or it cannot be read or fitted.

    >>> trunk = BNInception("none")
    >>> trunk.features, trunk(torch.zeros(2, 3, 64, 64)).shape
    (1024, torch.Size([2, 1024]))
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(
        summary="BN-Inception of the Reality Check; its ImageNet weights are a file that you download",
        citation="Ioffe and Szegedy, Batch Normalization, ICML 2015, arXiv:1502.03167",
        tags=("pretrained",),
    )

    def __init__(self, weights: str = "pretrained", in_channels: int = 3) -> None:
        if weights == "pretrained":
            raise ConfigError(_NOT_SHIPPED)
        body = _Network()
        if weights != "none":
            load_weights(body, weights, _CLASSIFIERS)
        super().__init__(body, body.width, in_channels)

    @classmethod
    def weights_identity(cls, arguments: Mapping[str, Any]) -> str:
        """Hash of the file that the weights come from, or "none"."""
        weights = str(arguments["weights"])
        if weights == "pretrained":
            raise ConfigError(_NOT_SHIPPED)
        return weights if weights == "none" else content_of(weights)


class _Network(nn.Module):
    """All layers side by side, as the public file names them: ``inception_3a_1x1``, ``inception_3a_1x1_bn``."""

    def __init__(self) -> None:
        super().__init__()
        self._add("conv1_7x7_s2", 3, 64, 7, stride=2)
        self._add("conv2_3x3_reduce", 64, 64, 1)
        self._add("conv2_3x3", 64, 192, 3)
        self.width = 192
        for block in _BLOCKS:
            for name, *sizes in block.layers(self.width):
                self._add(f"inception_{block.name}_{name}", *sizes)
            self.width = block.width_after(self.width)

    def _add(self, name: str, before: int, after: int, kernel_size: int, stride: int = 1) -> None:
        self.add_module(name, nn.Conv2d(before, after, kernel_size, stride, padding=kernel_size // 2))
        self.add_module(f"{name}_bn", nn.BatchNorm2d(after))

    def forward(self, images: Tensor) -> Tensor:
        """``[B, 3, H, W]`` to ``[B, 1024]``; at 227x227 the sides go 114, 57, 28, 14, 7."""
        maps = _halved(self._layer("conv1_7x7_s2", images))
        maps = _halved(self._layer("conv2_3x3", self._layer("conv2_3x3_reduce", maps)))
        for block in _BLOCKS:
            maps = self._block(block, maps)
        return maps.mean((2, 3))

    def _layer(self, name: str, maps: Tensor) -> Tensor:
        return relu(self.get_submodule(f"{name}_bn")(self.get_submodule(name)(maps)), inplace=True)

    def _block(self, block: _Block, maps: Tensor) -> Tensor:
        def chain(*names: str, of: Tensor = maps) -> Tensor:
            for name in names:
                of = self._layer(f"inception_{block.name}_{name}", of)
            return of

        branches = [chain("1x1")] if block.direct else []
        branches += [chain("3x3_reduce", "3x3"), chain("double_3x3_reduce", "double_3x3_1", "double_3x3_2")]
        pooled = _pooled(block, maps)
        return torch.cat([*branches, chain("pool_proj", of=pooled) if block.projected else pooled], dim=1)


def _pooled(block: _Block, maps: Tensor) -> Tensor:
    if block.stride == 2:
        if maps.shape[-2] % 2 or maps.shape[-1] % 2:  # of odd sides the convolutions keep one more than the pooling
            raise ConfigError(
                f"bn-inception: block {block.name} cannot halve {maps.shape[-2]}x{maps.shape[-1]}; "
                "images must be of such a size as 224, 227 or any multiple of 32 (transforms.size)"
            )
        return _halved(maps)
    return avg_pool2d(maps, 3, 1, padding=1) if block.pool == "mean" else max_pool2d(maps, 3, 1, padding=1)


def _halved(maps: Tensor) -> Tensor:
    # Caffe rounds sizes up: 112 becomes 56 without any padding.
    return max_pool2d(maps, 3, 2, ceil_mode=True)

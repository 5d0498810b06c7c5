"""The training transform on the device, of images that lie there."""

import torch
from torch import Tensor

from mlbench.data.chunks import Ints
from mlbench.data.device_crops import DeviceImages
from mlbench.data.images import ImageView
from mlbench.data.transforms import Draws
from mlbench.spec.transforms import Transforms


class OnDevice:
    """Crop, flip, inversion and normalisation of a view's images, all of which lie on a device.

    The batches are those of `mlbench.data.transforms.TrainTransform` with the same draws: whole numbers until the
    pixels are cut, and then one rounded operation after another in the same order.

    Args:
        view: The images to train on.
        config: The transforms of the benchmark file; with a random crop, without an affine map.
        device: Where they go.

    Raises:
        DataError: If they do not fit there.
    """

    def __init__(self, view: ImageView, config: Transforms, device: str) -> None:
        self._images = DeviceImages([view.images([index])[0] for index in range(len(view))], device)
        self._size, self._bgr_255, self._device = config.size, config.pixels == "bgr-255", device
        self._mean, self._std = (torch.tensor(part, device=device)[:, None, None] for part in (config.mean, config.std))
        # A number of Python's would be multiplied by its inverse on a GPU, which rounds otherwise.
        self._white = torch.tensor(255.0, device=device)

    def __call__(self, indices: Ints, draws: Draws) -> Tensor:
        """A batch: float32 ``[B, output_channels, size, size]`` on the device.

        Args:
            indices: Places of the images in the view. ``[B]``
            draws: What chance decided for them.
        """
        flip, invert = (part.to(self._device)[:, None, None, None] for part in (draws.flip, draws.invert))
        pixels = self._images.cut(indices, draws.boxes, self._size).permute(0, 3, 1, 2).float()
        pixels = torch.where(invert, self._white - pixels, pixels)
        pixels = torch.where(flip, pixels.flip(-1), pixels)
        pixels = pixels.flip(1) if self._bgr_255 else pixels / self._white
        return ((pixels - self._mean) / self._std).contiguous()

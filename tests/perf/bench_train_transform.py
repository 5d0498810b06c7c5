"""Crop, flip and normalisation of a batch of images."""

import torch

from mlbench.data.transforms import TrainTransform
from mlbench.spec.transforms import RandomResizedCrop, Transforms


def test_train_transform(benchmark):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (16, 3, 64, 64), generator=generator, dtype=torch.uint8)
    transform = TrainTransform(Transforms(size=48, crop=RandomResizedCrop(), flip=0.5))
    benchmark(lambda: transform(images, torch.Generator().manual_seed(0)))
